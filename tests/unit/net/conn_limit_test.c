/* What a connection may cost: time, memory, system calls.  On the fake network,
 * whose clock and counters are exact. */
#include "unit/net/conn_world.h"

#include <stdio.h>
#include <string.h>

#include "support/torture.h"

enum { POOL_BLOCKS = 8, POOL_LIMIT = POOL_BLOCKS * CONN_BLOCK_SIZE };

static int setup(void **state)
{
    struct world *world = mem_alloc(mem_system(), sizeof *world);

    world_init(world, WORLD_FAKE, POOL_LIMIT);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;

    world_fini(world);
    mem_free(mem_system(), world);
    return 0;
}

/* Turns until the clock has moved on so far. */
static void pass(struct world *world, uint64_t duration_ms)
{
    uint64_t end_ms = fake_net_now_ms(world->fake) + duration_ms;

    while (fake_net_now_ms(world->fake) < end_ms) {
        loop_turn(world->loop,
                  (int64_t)(end_ms - fake_net_now_ms(world->fake)));
    }
    loop_turn(world->loop, 0);
}

/* A request is a line; its answer is "ok\n". */
static void lines(struct side *side)
{
    struct slice input = conn_input(side->conn);
    const char *end;

    while (input.size > 0 &&
           (end = memchr(input.at, '\n', input.size)) != NULL) {
        conn_consume(side->conn, (size_t)(end - input.at) + 1);
        conn_request_done(side->conn);
        (void)conn_append(side->conn, SLICE("ok\n"));
        input = conn_input(side->conn);
    }
}

static void swallow(struct side *side)
{
    conn_consume(side->conn, conn_input(side->conn).size);
}

static void keep_first(struct side *side)
{
    if (side->called > 1) {
        swallow(side);
    }
}

/* --- time --- */

static void a_silent_conn_ends_when_its_idle_time_is_over(void **state)
{
    struct world *world = *state;
    struct conn_options options = {.idle_timeout_ms = 10000};
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, lines, &options);
    uint64_t begin_ms = fake_net_now_ms(world->fake);

    pass(world, 9900);
    assert_int_equal(side.ended, 0);
    world_until(world, side.ended == 1);
    assert_int_equal(side.why, CONN_END_IDLE);
    assert_in_range(fake_net_now_ms(world->fake) - begin_ms, 10000, 10020);
    pair_fini(&side, &peer);
}

static void a_conn_that_speaks_now_and_then_is_not_idle(void **state)
{
    struct world *world = *state;
    struct conn_options options = {.idle_timeout_ms = 10000};
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, lines, &options);
    for (int i = 0; i < 10; i++) {
        pass(world, 9900);
        assert_int_equal(side.ended, 0);
        peer_send(&peer, "x\n", 2);
        pass(world, 10);
    }
    pass(world, 9900);
    assert_int_equal(side.ended, 0);
    pass(world, 200);
    assert_int_equal(side.ended, 1);
    assert_int_equal(side.why, CONN_END_IDLE);
    pair_fini(&side, &peer);
}

static void a_request_must_be_complete_in_its_time(void **state)
{
    struct world *world = *state;
    struct conn_options options = {.idle_timeout_ms = 60000,
                                   .request_timeout_ms = 1000};
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, lines, &options);
    /* Quiet between requests is no request. */
    pass(world, 20000);
    peer_send(&peer, "ge", 2);
    pass(world, 900);
    /* More bytes do not buy more time. */
    peer_send(&peer, "t ", 2);
    assert_int_equal(side.ended, 0);
    pass(world, 150);
    assert_int_equal(side.ended, 1);
    assert_int_equal(side.why, CONN_END_STALLED);
    pair_fini(&side, &peer);
}

static void each_request_has_the_whole_time_for_itself(void **state)
{
    struct world *world = *state;
    struct conn_options options = {.request_timeout_ms = 1000};
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, lines, &options);
    for (int i = 0; i < 10; i++) {
        /* The end of one request and the beginning of the next. */
        peer_send(&peer, "a\nb", 3);
        pass(world, 900);
        assert_int_equal(side.ended, 0);
    }
    pass(world, 200);
    assert_int_equal(side.why, CONN_END_STALLED);
    assert_int_equal(side.ended, 1);
    pair_fini(&side, &peer);
}

static void without_input_no_request_runs(void **state)
{
    struct world *world = *state;
    struct conn_options options = {.request_timeout_ms = 1000};
    struct side side;
    struct peer peer;

    /* An owner that never says that a request is done. */
    pair_init(world, &side, &peer, keep_first, &options);
    peer_send(&peer, "a", 1);
    world_until(world, side.called == 1);
    peer_send(&peer, "b", 1);
    world_until(world, side.called == 2);
    pass(world, 5000);
    assert_int_equal(side.ended, 0);
    pair_fini(&side, &peer);
}

static void bytes_to_skip_are_part_of_a_request(void **state)
{
    struct world *world = *state;
    struct conn_options options = {.request_timeout_ms = 1000};
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, swallow, &options);
    conn_skip(side.conn, 100);
    peer_send(&peer, "123", 3);
    pass(world, 1100);
    assert_int_equal(side.ended, 1);
    assert_int_equal(side.why, CONN_END_STALLED);
    pair_fini(&side, &peer);
}

static void time_spent_paused_is_not_the_peers(void **state)
{
    struct world *world = *state;
    struct conn_options options = {.idle_timeout_ms = 5000,
                                   .request_timeout_ms = 1000};
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, lines, &options);
    peer_send(&peer, "ge", 2);
    pass(world, 500);
    conn_pause(side.conn);
    pass(world, 20000);
    assert_int_equal(side.ended, 0);
    conn_resume(side.conn);
    pass(world, 900);
    assert_int_equal(side.ended, 0);
    pass(world, 200);
    assert_int_equal(side.ended, 1);
    assert_int_equal(side.why, CONN_END_STALLED);
    pair_fini(&side, &peer);
}

static void a_held_conn_is_not_idle(void **state)
{
    struct world *world = *state;
    struct conn_options options = {.idle_timeout_ms = 1000};
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, lines, &options);
    conn_hold(side.conn, true);
    pass(world, 5000);
    assert_int_equal(side.ended, 0);
    conn_hold(side.conn, false);
    pass(world, 900);
    assert_int_equal(side.ended, 0);
    pass(world, 200);
    assert_int_equal(side.ended, 1);
    pair_fini(&side, &peer);
}

static void fill(struct conn *conn, size_t size)
{
    char *at = conn_reserve(conn, size);

    assert_non_null(at);
    memset(at, 'x', size);
    conn_commit(conn, size);
    conn_flush(conn);
}

static void a_peer_that_takes_nothing_is_given_up(void **state)
{
    struct world *world = *state;
    struct conn_options options = {.idle_timeout_ms = 100000,
                                   .write_timeout_ms = 2000};
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, lines, &options);
    fill(side.conn, 100 << 10);
    pass(world, 1900);
    assert_int_equal(side.ended, 0);
    /* A little reading is a sign of life. */
    world_until(world, (peer_pull(&peer), peer.size > 0));
    pass(world, 1500);
    assert_int_equal(side.ended, 0);
    peer_pull(&peer);
    peer_expect(&peer, 100 << 10);
    pass(world, 5000);
    assert_int_equal(side.ended, 0);
    fill(side.conn, 100 << 10);
    pass(world, 2500);
    assert_int_equal(side.ended, 1);
    assert_int_equal(side.why, CONN_END_UNREAD);
    pair_fini(&side, &peer);
}

static void a_connect_without_an_answer_ends(void **state)
{
    struct world *world = *state;
    struct side side = {.world = world};
    struct conn_options options = side_options(&side);

    options.write_timeout_ms = 3000;
    fake_net_mood(world->fake, world->text, FAKE_SILENT);
    assert_int_equal(
        conn_open(&side.conn, world->pool, &world->address, &options), ERR_OK);
    pass(world, 2900);
    assert_int_equal(side.ended, 0);
    pass(world, 200);
    assert_int_equal(side.ended, 1);
    assert_int_equal(side.opened, 0);
    assert_int_equal(side.why, CONN_END_ERROR);
}

static void a_reset_is_an_error(void **state)
{
    struct world *world = *state;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, lines, NULL);
    fake_net_reset(world->fake, peer.handle);
    world_until(world, side.ended == 1);
    assert_int_equal(side.why, CONN_END_ERROR);
    pair_fini(&side, &peer);
}

static void a_closing_conn_that_nobody_reads_ends_in_time(void **state)
{
    struct world *world = *state;
    struct conn_options options = {.write_timeout_ms = 1000};
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, lines, &options);
    fill(side.conn, 100 << 10);
    conn_close(side.conn);
    pass(world, 1500);
    assert_int_equal(side.ended, 1);
    assert_int_equal(side.why, CONN_END_OURS);
    assert_int_equal(world_held(world), 0);
    pair_fini(&side, &peer);
}

/* --- memory --- */

static void wanting(struct side *side)
{
    if (side->called == 1) {
        assert_int_equal(conn_want(side->conn, POOL_LIMIT + 1), ERR_NOMEM);
        assert_int_equal(conn_want(side->conn, POOL_LIMIT / 2), ERR_OK);
    }
}

static void a_request_beyond_the_pool_ends_only_its_own_conn(void **state)
{
    struct world *world = *state;
    char bytes[CONN_BLOCK_SIZE] = "";
    struct side big[3];
    struct peer big_peer[3];
    struct side small;
    struct peer small_peer;
    unsigned ended = 0;

    for (size_t i = 0; i < 3; i++) {
        pair_init(world, &big[i], &big_peer[i], wanting, NULL);
    }
    pair_init(world, &small, &small_peer, lines, NULL);
    for (size_t round = 0; round < 40; round++) {
        for (size_t i = 0; i < 3; i++) {
            (void)peer_try_send(&big_peer[i], bytes, sizeof bytes);
            pass(world, 20);
            assert_true(world_held(world) <= POOL_LIMIT);
        }
    }
    for (size_t i = 0; i < 3; i++) {
        ended += big[i].ended;
        assert_true(big[i].ended == 0 || big[i].why == CONN_END_MEMORY);
    }
    assert_in_range(ended, 1, 2);
    peer_send(&small_peer, "x\n", 2);
    peer_expect(&small_peer, 3);
    pair_fini(&small, &small_peer);
    for (size_t i = 0; i < 3; i++) {
        pair_fini(&big[i], &big_peer[i]);
    }
    assert_int_equal(world_held(world), 0);
}

static void output_beyond_the_pool_is_refused(void **state)
{
    struct world *world = *state;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, lines, NULL);
    assert_null(conn_reserve(side.conn, POOL_LIMIT));
    assert_int_equal(world_held(world), 0);
    assert_non_null(conn_reserve(side.conn, POOL_LIMIT / 2));
    assert_null(conn_reserve(side.conn, POOL_LIMIT * 3 / 4));
    conn_flush(side.conn);
    assert_int_equal(world_held(world), 0);
    pair_fini(&side, &peer);
}

static enum err scenario(const struct mem *mem, void *context)
{
    struct world world;
    struct side side = {.world = &world};
    struct conn_options options = side_options(&side);
    struct conn_pool *pool = NULL;
    enum err e;

    (void)context;
    world_init(&world, WORLD_FAKE, POOL_LIMIT);
    struct env inner = world.env;

    inner.mem = mem;
    struct loop *loop = NULL;

    e = loop_create(&loop, &inner);
    if (e == ERR_OK) {
        e = conn_pool_create(&pool, loop, POOL_LIMIT);
    }
    if (e == ERR_OK) {
        e = conn_open(&side.conn, pool, &world.address, &options);
    }
    if (e == ERR_OK) {
        e = conn_append(side.conn, SLICE("x")) ? ERR_OK : ERR_NOMEM;
        e = conn_reserve(side.conn, 40000) != NULL ? e : ERR_NOMEM;
    }
    conn_pool_destroy(&pool);
    loop_destroy(&loop);
    world_fini(&world);
    return e;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_in_range(torture_allocations(scenario, NULL), 4, 20);
}

/* --- system calls --- */

/* One byte for one byte: what the fake network never cuts short. */
static void bytewise(struct side *side)
{
    swallow(side);
    assert_true(conn_append(side->conn, SLICE("k")));
}

static void a_request_costs_one_read_and_one_write(void **state)
{
    struct world *world = *state;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, bytewise, NULL);
    uint64_t changes = fake_net_changes(world->fake);

    for (unsigned i = 1; i <= 100; i++) {
        assert_int_equal(peer_try_send(&peer, "?", 1), 1);
        uint64_t reads = fake_net_reads(world->fake);
        uint64_t writes = fake_net_writes(world->fake);

        world_until(world, side.called == i);
        assert_int_equal(fake_net_reads(world->fake), reads + 1);
        assert_int_equal(fake_net_writes(world->fake), writes + 1);
        peer_expect(&peer, i);
        assert_int_equal(world_held(world), 0);
    }
    assert_int_equal(fake_net_changes(world->fake), changes);
    pair_fini(&side, &peer);
}

static void a_clogged_conn_reads_nothing(void **state)
{
    struct world *world = *state;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, lines, NULL);
    /* The network holds the first, the conn the second. */
    fill(side.conn, 64 << 10);
    pass(world, 1000);
    fill(side.conn, CONN_OUTPUT_HIGH + 1);
    pass(world, 1000);
    assert_true(conn_is_clogged(side.conn));
    uint64_t reads = fake_net_reads(world->fake);

    assert_int_equal(peer_try_send(&peer, "\n", 1), 1);
    pass(world, 1000);
    assert_int_equal(fake_net_reads(world->fake), reads);
    assert_int_equal(side.called, 0);
    /* Read after all when the peer has read. */
    peer_expect(&peer, (64 << 10) + CONN_OUTPUT_HIGH + 1 + 3);
    pair_fini(&side, &peer);
}

static void a_short_pause_costs_no_watch_change(void **state)
{
    struct world *world = *state;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, lines, NULL);
    uint64_t changes = fake_net_changes(world->fake);

    for (int i = 0; i < 10; i++) {
        conn_pause(side.conn);
        pass(world, 10);
        conn_resume(side.conn);
        pass(world, 10);
    }
    assert_int_equal(fake_net_changes(world->fake), changes);
    pair_fini(&side, &peer);
}

static void deferred_flushes_of_a_turn_are_one_write(void **state)
{
    struct world *world = *state;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, lines, NULL);
    uint64_t writes = fake_net_writes(world->fake);

    for (int i = 0; i < 50; i++) {
        assert_true(conn_append(side.conn, SLICE("x")));
        conn_flush_later(side.conn);
    }
    assert_int_equal(fake_net_writes(world->fake), writes);
    loop_turn(world->loop, 0);
    assert_int_equal(fake_net_writes(world->fake), writes + 1);
    peer_expect(&peer, 50);
    pair_fini(&side, &peer);
}

static void an_idle_conn_wakes_nobody(void **state)
{
    struct world *world = *state;
    struct conn_options options = {.idle_timeout_ms = 600000,
                                   .request_timeout_ms = 1000,
                                   .write_timeout_ms = 1000};
    struct side side;
    struct peer peer;
    unsigned turns = 0;

    pair_init(world, &side, &peer, lines, &options);
    while (side.ended == 0) {
        loop_turn(world->loop, -1);
        turns++;
    }
    assert_in_range(turns, 1, 10);
    assert_int_equal(side.why, CONN_END_IDLE);
    pair_fini(&side, &peer);
}

int main(void)
{
#define ON(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        ON(a_silent_conn_ends_when_its_idle_time_is_over),
        ON(a_conn_that_speaks_now_and_then_is_not_idle),
        ON(a_request_must_be_complete_in_its_time),
        ON(each_request_has_the_whole_time_for_itself),
        ON(without_input_no_request_runs),
        ON(bytes_to_skip_are_part_of_a_request),
        ON(time_spent_paused_is_not_the_peers),
        ON(a_held_conn_is_not_idle),
        ON(a_peer_that_takes_nothing_is_given_up),
        ON(a_connect_without_an_answer_ends),
        ON(a_reset_is_an_error),
        ON(a_closing_conn_that_nobody_reads_ends_in_time),
        ON(a_request_beyond_the_pool_ends_only_its_own_conn),
        ON(output_beyond_the_pool_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
        ON(a_request_costs_one_read_and_one_write),
        ON(a_clogged_conn_reads_nothing),
        ON(a_short_pause_costs_no_watch_change),
        ON(deferred_flushes_of_a_turn_are_one_write),
        ON(an_idle_conn_wakes_nobody),
    };
#undef ON

    return cmocka_run_group_tests(tests, NULL, NULL);
}
