/* The two steps of a publication: shards first, routers when the fence is
 * done.  Connections are counters, time is an argument. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ringd/publish.h"

enum { FENCE_MS = 2000, HEARTBEAT_MS = 5000 };

/* What a connection got. */
struct connection {
    unsigned documents, heartbeats, dropped;
    uint32_t epoch;     /* of the last document */
    uint32_t heartbeat; /* of the last heartbeat */
};

static uint32_t number_after(struct slice line, const char *words)
{
    const char *at = memmem(line.at, line.size, words, strlen(words));

    return at == NULL ? 0 : (uint32_t)strtoul(at + strlen(words), NULL, 10);
}

static void record(void *context, void *to, struct slice line)
{
    struct connection *connection = to;

    (void)context;
    assert_int_equal(line.at[line.size - 1], '\n');
    assert_ptr_equal(memchr(line.at, '\n', line.size), line.at + line.size - 1);
    if (memcmp(line.at, "{\"heartbeat\":", 13) == 0) {
        connection->heartbeats++;
        connection->heartbeat = number_after(line, "heartbeat\":");
    } else {
        connection->documents++;
        connection->epoch = number_after(line, "\"epoch\":");
    }
}

static void drop(void *context, void *which)
{
    struct connection *connection = which;

    (void)context;
    connection->dropped++;
}

struct world {
    struct mem_faulty mem;
    struct env env;
    struct publish *publish;
    struct ring *ring; /* the newest */
    uint64_t now_ms;
    struct connection a, b, c, router, plain;
};

static int world_begin(void **state)
{
    static struct world world;

    memset(&world, 0, sizeof world);
    mem_faulty_init(&world.mem, mem_system());
    world.env.mem = &world.mem.mem;
    world.now_ms = 1000000;
    struct publish_options options = {
        .fence_timeout_ms = FENCE_MS,
        .heartbeat_ms = HEARTBEAT_MS,
        .send = record,
        .drop = drop,
    };

    assert_int_equal(publish_create(&world.publish, &world.env, &options),
                     ERR_OK);
    *state = &world;
    return 0;
}

static int world_end(void **state)
{
    struct world *world = *state;

    ring_unref(&world->ring);
    publish_destroy(&world->publish);
    assert_int_equal(world->mem.allocated, 0);
    return 0;
}

/* Commits the ring of these one-letter members in the next epoch. */
static void commit(struct world *world, const char *names, bool first)
{
    struct ring_member members[8] = {0};
    size_t count = strlen(names);
    struct ring *next = NULL;
    uint32_t epoch = world->ring == NULL ? 1 : world->ring->epoch + 1;

    for (size_t i = 0; i < count; i++) {
        members[i].name[0] = names[i];
        (void)snprintf(members[i].address, sizeof members[i].address, "%c:1",
                       names[i]);
        members[i].weight = 1;
        members[i].state = MEMBER_SERVING;
    }
    assert_int_equal(ring_plan(world->env.mem, "t", epoch, members, count,
                               world->ring, &next, NULL),
                     ERR_OK);
    ring_unref(&world->ring);
    world->ring = next;
    assert_int_equal(publish_ring(world->publish, next, first, world->now_ms),
                     ERR_OK);
}

static void watch(struct world *world, enum publish_role role, const char *name,
                  uint32_t epoch, struct connection *connection)
{
    assert_int_equal(publish_watch(world->publish, role, name, epoch,
                                   connection, world->now_ms, NULL),
                     ERR_OK);
}

static void answer(struct world *world, enum publish_role role,
                   const char *name, uint32_t epoch, bool ok)
{
    struct publish_answer words = {role, name, epoch, ok, ok ? "" : "no"};

    assert_int_equal(publish_ack(world->publish, &words, world->now_ms, NULL),
                     ERR_OK);
}

static void ack(struct world *world, const char *name, uint32_t epoch)
{
    answer(world, PUBLISH_SHARD, name, epoch, true);
}

static void pass(struct world *world, uint64_t ms)
{
    world->now_ms += ms;
    publish_tick(world->publish, world->now_ms);
}

/* Shards a and b, a router and a plain watcher, all in epoch 1. */
static void settle(struct world *world)
{
    commit(world, "ab", true);
    watch(world, PUBLISH_SHARD, "a", 0, &world->a);
    watch(world, PUBLISH_SHARD, "b", 0, &world->b);
    watch(world, PUBLISH_ROUTER, "r", 0, &world->router);
    watch(world, PUBLISH_PLAIN, "", 0, &world->plain);
    ack(world, "a", 1);
    ack(world, "b", 1);
    answer(world, PUBLISH_ROUTER, "r", 1, true);
}

static void a_first_ring_goes_to_everybody_at_once(void **state)
{
    struct world *world = *state;

    settle(world);
    assert_int_equal(world->a.epoch, 1);
    assert_int_equal(world->router.epoch, 1);
    assert_int_equal(world->plain.epoch, 1);
}

static void routers_wait_for_the_shards_that_lose(void **state)
{
    struct world *world = *state;

    settle(world);
    commit(world, "abc", false);
    assert_int_equal(world->a.epoch, 2);
    assert_int_equal(world->b.epoch, 2);
    assert_int_equal(world->router.epoch, 1);
    ack(world, "a", 2);
    assert_int_equal(world->router.epoch, 1);
    ack(world, "b", 2);
    assert_int_equal(world->router.epoch, 2);
    assert_int_equal(world->plain.epoch, 2);
    assert_int_equal(world->router.documents, 2);
}

static void routers_wait_for_a_connected_shard_that_gains(void **state)
{
    struct world *world = *state;

    settle(world);
    watch(world, PUBLISH_SHARD, "c", 0, &world->c);
    commit(world, "abc", false);
    ack(world, "a", 2);
    ack(world, "b", 2);
    assert_int_equal(world->router.epoch, 1);
    ack(world, "c", 2);
    assert_int_equal(world->router.epoch, 2);
}

static void a_shard_that_is_no_member_holds_nothing_up(void **state)
{
    struct world *world = *state;

    settle(world);
    watch(world, PUBLISH_SHARD, "z", 0, &world->c);
    commit(world, "abc", false);
    ack(world, "a", 2);
    ack(world, "b", 2);
    assert_int_equal(world->router.epoch, 2);
}

static void the_fence_ends_with_its_time(void **state)
{
    struct world *world = *state;
    struct publish_books books;

    settle(world);
    commit(world, "abc", false);
    ack(world, "a", 2);
    pass(world, FENCE_MS - 1);
    assert_int_equal(world->router.epoch, 1);
    pass(world, 1);
    assert_int_equal(world->router.epoch, 2);
    publish_books(world->publish, &books);
    assert_int_equal(books.fence_timeouts, 1);
}

static void a_loser_that_is_not_connected_is_given_the_fences_time(void **state)
{
    struct world *world = *state;

    settle(world);
    publish_unwatch(world->publish, &world->b);
    commit(world, "a", false);
    ack(world, "a", 2);
    pass(world, FENCE_MS - 1);
    assert_int_equal(world->router.epoch, 1);
    /* It comes back, and may at once say that it knows. */
    watch(world, PUBLISH_SHARD, "b", 1, &world->b);
    assert_int_equal(world->b.epoch, 2);
    ack(world, "b", 2);
    assert_int_equal(world->router.epoch, 2);
}

static void a_refusal_is_no_acknowledgement(void **state)
{
    struct world *world = *state;
    struct publish_peer peer;

    settle(world);
    commit(world, "abc", false);
    ack(world, "a", 2);
    answer(world, PUBLISH_SHARD, "b", 2, false);
    assert_int_equal(world->router.epoch, 1);
    assert_true(publish_find(world->publish, PUBLISH_SHARD, "b", &peer));
    assert_int_equal(peer.epoch, 1);
    assert_string_equal(peer.error, "no");
    pass(world, FENCE_MS);
    assert_int_equal(world->router.epoch, 2);
}

static void an_acknowledgement_of_an_older_ring_opens_nothing(void **state)
{
    struct world *world = *state;

    settle(world);
    commit(world, "abc", false);
    ack(world, "a", 2);
    ack(world, "b", 1);
    assert_int_equal(world->router.epoch, 1);
}

static void a_change_during_a_fence_gives_routers_only_the_newest(void **state)
{
    struct world *world = *state;

    settle(world);
    commit(world, "abc", false);
    pass(world, FENCE_MS - 1);
    commit(world, "ab", false);
    ack(world, "a", 2);
    ack(world, "b", 2);
    assert_int_equal(world->a.epoch, 3);
    assert_int_equal(world->router.epoch, 1);
    /* Every slot is back where routers think it is, but both were owned by
     * another in between: both must know. */
    ack(world, "a", 3);
    assert_int_equal(world->router.epoch, 1);
    ack(world, "b", 3);
    assert_int_equal(world->router.epoch, 3);
    assert_int_equal(world->router.documents, 2);
}

static void a_slow_watcher_gets_only_the_newest(void **state)
{
    struct world *world = *state;

    settle(world);
    commit(world, "abc", false);
    commit(world, "abcd", false);
    commit(world, "abcde", false);
    assert_int_equal(world->a.documents, 2);
    ack(world, "a", 2);
    assert_int_equal(world->a.documents, 3);
    assert_int_equal(world->a.epoch, 4);
    /* b never answers: after a while it is told all the same. */
    assert_int_equal(world->b.epoch, 2);
    pass(world, PUBLISH_PATIENCE_MS);
    assert_int_equal(world->b.epoch, 4);
    assert_int_equal(world->b.documents, 3);
}

static void who_knows_the_ring_is_not_told_again(void **state)
{
    struct world *world = *state;

    settle(world);
    memset(&world->a, 0, sizeof world->a);
    publish_unwatch(world->publish, &world->a);
    watch(world, PUBLISH_SHARD, "a", 1, &world->a);
    assert_int_equal(world->a.documents, 0);
    commit(world, "abc", false);
    assert_int_equal(world->a.epoch, 2);
}

static void a_shard_that_started_anew_must_acknowledge_anew(void **state)
{
    struct world *world = *state;

    settle(world);
    commit(world, "abc", false);
    ack(world, "a", 2);
    watch(world, PUBLISH_SHARD, "a", 0, &world->c);
    assert_int_equal(world->a.dropped, 1);
    ack(world, "b", 2);
    assert_int_equal(world->router.epoch, 1);
    ack(world, "a", 2);
    assert_int_equal(world->router.epoch, 2);
    /* The end of the old connection is not the end of the new one. */
    publish_unwatch(world->publish, &world->a);
    commit(world, "ab", false);
    assert_int_equal(world->c.epoch, 3);
}

static void after_a_restart_routers_wait_unless_one_knows_already(void **state)
{
    struct world *world = *state;
    struct connection other = {0};

    commit(world, "ab", false);
    watch(world, PUBLISH_ROUTER, "new", 0, &world->router);
    watch(world, PUBLISH_SHARD, "a", 0, &world->a);
    ack(world, "a", 1);
    assert_int_equal(world->a.epoch, 1);
    assert_int_equal(world->router.documents, 0);
    assert_int_equal(publish_line(world->publish, PUBLISH_ROUTER).size, 0);
    watch(world, PUBLISH_ROUTER, "old", 1, &other);
    assert_int_equal(world->router.epoch, 1);
    assert_int_equal(other.documents, 0);
}

static void after_a_restart_time_opens_the_ring(void **state)
{
    struct world *world = *state;
    struct publish_books books;

    commit(world, "ab", false);
    watch(world, PUBLISH_ROUTER, "new", 0, &world->router);
    pass(world, FENCE_MS);
    assert_int_equal(world->router.epoch, 1);
    publish_books(world->publish, &books);
    assert_int_equal(books.fence_timeouts, 0);
}

static void a_ring_from_the_future_vouches_for_nothing(void **state)
{
    struct world *world = *state;

    settle(world);
    publish_unwatch(world->publish, &world->a);
    watch(world, PUBLISH_SHARD, "a", 9, &world->a);
    commit(world, "abc", false);
    ack(world, "b", 2);
    assert_int_equal(world->router.epoch, 1);
}

static void heartbeats_name_what_the_watcher_should_have(void **state)
{
    struct world *world = *state;

    settle(world);
    pass(world, 0);
    unsigned before = world->a.heartbeats;

    pass(world, HEARTBEAT_MS - 1);
    assert_int_equal(world->a.heartbeats, before);
    commit(world, "abc", false);
    pass(world, 1);
    assert_int_equal(world->a.heartbeats, before + 1);
    assert_int_equal(world->a.heartbeat, 2);
    assert_int_equal(world->router.heartbeat, 1);
    publish_unwatch(world->publish, &world->a);
    pass(world, HEARTBEAT_MS);
    assert_int_equal(world->a.heartbeats, before + 1);
}

static void bad_answers_are_refused_in_words(void **state)
{
    struct world *world = *state;
    struct why why = {""};
    struct publish_answer future = {PUBLISH_SHARD, "a", 2, true, ""};
    struct publish_answer nameless = {PUBLISH_SHARD, "", 1, true, ""};

    settle(world);
    assert_int_equal(publish_ack(world->publish, &future, 0, &why), ERR_RANGE);
    assert_non_null(strstr(why.text, "epoch is 2; allowed is at most 1"));
    assert_int_equal(publish_ack(world->publish, &nameless, 0, &why),
                     ERR_SYNTAX);
    assert_int_equal(publish_watch(world->publish, PUBLISH_SHARD, "a b", 0,
                                   &world->c, 0, &why),
                     ERR_SYNTAX);
    assert_non_null(strstr(why.text, "\"a b\""));
}

static void count_one(void *context, const struct publish_peer *peer)
{
    unsigned *count = context;

    (void)peer;
    (*count)++;
}

static void those_who_left_are_forgotten_when_there_are_too_many(void **state)
{
    struct world *world = *state;
    unsigned count = 0;

    settle(world);
    for (unsigned i = 0; i < PUBLISH_PEERS_MAX + 10; i++) {
        char name[16];

        (void)snprintf(name, sizeof name, "gone-%u", i);
        answer(world, PUBLISH_ROUTER, name, 1, true);
    }
    publish_each(world->publish, count_one, &count);
    assert_int_equal(count, PUBLISH_PEERS_MAX);
    struct publish_peer peer;

    assert_true(publish_find(world->publish, PUBLISH_SHARD, "a", &peer));
    assert_true(peer.connected);
    assert_false(publish_find(world->publish, PUBLISH_ROUTER, "gone-0", &peer));
}

static void without_memory_the_old_ring_stays(void **state)
{
    struct world *world = *state;

    settle(world);
    struct ring *next = NULL;

    assert_int_equal(ring_plan(world->env.mem, "t", 2, world->ring->members, 1,
                               world->ring, &next, NULL),
                     ERR_OK);
    for (int64_t n = 0; n < 2; n++) {
        world->mem.fail_in = n;
        assert_int_equal(
            publish_ring(world->publish, next, false, world->now_ms),
            ERR_NOMEM);
        assert_int_equal(world->a.epoch, 1);
    }
    world->mem.fail_in = -1;
    assert_int_equal(publish_ring(world->publish, next, false, world->now_ms),
                     ERR_OK);
    assert_int_equal(world->a.epoch, 2);
    ring_unref(&next);
}

#define IN_WORLD(name) \
    cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_first_ring_goes_to_everybody_at_once),
        IN_WORLD(routers_wait_for_the_shards_that_lose),
        IN_WORLD(routers_wait_for_a_connected_shard_that_gains),
        IN_WORLD(a_shard_that_is_no_member_holds_nothing_up),
        IN_WORLD(the_fence_ends_with_its_time),
        IN_WORLD(a_loser_that_is_not_connected_is_given_the_fences_time),
        IN_WORLD(a_refusal_is_no_acknowledgement),
        IN_WORLD(an_acknowledgement_of_an_older_ring_opens_nothing),
        IN_WORLD(a_change_during_a_fence_gives_routers_only_the_newest),
        IN_WORLD(a_slow_watcher_gets_only_the_newest),
        IN_WORLD(who_knows_the_ring_is_not_told_again),
        IN_WORLD(a_shard_that_started_anew_must_acknowledge_anew),
        IN_WORLD(after_a_restart_routers_wait_unless_one_knows_already),
        IN_WORLD(after_a_restart_time_opens_the_ring),
        IN_WORLD(a_ring_from_the_future_vouches_for_nothing),
        IN_WORLD(heartbeats_name_what_the_watcher_should_have),
        IN_WORLD(bad_answers_are_refused_in_words),
        IN_WORLD(those_who_left_are_forgotten_when_there_are_too_many),
        IN_WORLD(without_memory_the_old_ring_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
