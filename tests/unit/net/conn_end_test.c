/* Connections over every kind of network: how they begin and end. */
#include "unit/net/conn_world.h"

#include <string.h>

static void echo(struct side *side)
{
    struct slice input = conn_input(side->conn);

    if (!conn_is_clogged(side->conn)) {
        assert_true(conn_append(side->conn, input));
        conn_consume(side->conn, input.size);
    }
}

/* One byte a call, then again. */
static void one_by_one(struct side *side)
{
    struct slice input = conn_input(side->conn);

    if (input.size > 0) {
        assert_true(conn_append(side->conn, (struct slice){input.at, 1}));
        conn_consume(side->conn, 1);
    }
    if (input.size > 1) {
        conn_again(side->conn);
    }
}

/* --- endings --- */

static void a_peer_that_leaves_ends_the_conn_once(void **state)
{
    struct world *world = *state;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, echo, NULL);
    peer_fini(&peer);
    world_until(world, side.ended == 1);
    assert_int_equal(side.why, CONN_END_PEER);
    assert_int_equal(side.called, 0);
    assert_int_equal(conn_pool_count(world->pool), 0);
    world_turn(world);
    assert_int_equal(side.ended, 1);
}

static void closing_sends_what_is_queued(void **state)
{
    struct world *world = *state;
    size_t total = world->kind == WORLD_DRIBBLE ? 10000 : 3 << 20;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, NULL, NULL);
    char *at = conn_reserve(side.conn, total);

    pattern_fill(at, 0, total);
    conn_commit(side.conn, total);
    conn_close(side.conn);
    conn_close(side.conn);
    assert_int_equal(side.ended, 0);
    assert_true(conn_is_closing(side.conn));
    peer_expect_end(&peer);
    assert_int_equal(peer.size, total);
    assert_pattern(peer.received, total);
    assert_int_equal(side.ended, 1);
    assert_int_equal(side.why, CONN_END_OURS);
    pair_fini(&side, &peer);
}

/* Says one word to whatever it hears, and closes. */
static void refuse(struct side *side)
{
    conn_consume(side->conn, conn_input(side->conn).size);
    assert_true(conn_append(side->conn, SLICE("no")));
    conn_close(side->conn);
}

static void a_last_answer_reaches_a_peer_that_is_still_sending(void **state)
{
    struct world *world = *state;
    size_t total = world->kind == WORLD_DRIBBLE ? 10000 : 300 << 10;
    char *much = mem_alloc(mem_system(), total);
    struct side side;
    struct peer peer;

    pattern_fill(much, 0, total);
    pair_init(world, &side, &peer, refuse, NULL);
    peer_send(&peer, much, total);
    peer_expect_end(&peer);
    assert_int_equal(peer.error, 0);
    assert_int_equal(peer.size, 2);
    assert_memory_equal(peer.received, "no", 2);
    mem_free(mem_system(), much);
    pair_fini(&side, &peer);
}

static void closing_now_drops_what_is_queued(void **state)
{
    struct world *world = *state;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, NULL, NULL);
    assert_true(conn_append(side.conn, SLICE("never sent")));
    conn_close_now(side.conn);
    assert_int_equal(side.ended, 0);
    peer_expect_end(&peer);
    assert_int_equal(peer.size, 0);
    assert_int_equal(side.ended, 1);
    assert_int_equal(side.why, CONN_END_OURS);
    pair_fini(&side, &peer);
}

static void a_peer_that_only_stops_writing_gets_its_answers(void **state)
{
    struct world *world = *state;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, one_by_one, NULL);
    for (size_t sent = 0; sent < 5;) {
        sent += peer_try_send(&peer, "hello" + sent, 5 - sent);
    }
    peer_finish(&peer);
    peer_expect_end(&peer);
    assert_int_equal(peer.size, 5);
    assert_memory_equal(peer.received, "hello", 5);
    world_until(world, side.ended == 1);
    assert_int_equal(side.why, CONN_END_PEER);
    pair_fini(&side, &peer);
}

static void swallow(struct side *side)
{
    conn_consume(side->conn, conn_input(side->conn).size);
}

static void a_held_conn_outlives_the_end_of_its_input(void **state)
{
    struct world *world = *state;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, swallow, NULL);
    conn_hold(side.conn, true);
    peer_send(&peer, "get a", 5);
    peer_finish(&peer);
    for (int i = 0; i < 50; i++) {
        world_turn(world);
    }
    assert_int_equal(side.ended, 0);
    assert_true(conn_append(side.conn, SLICE("a is 1")));
    conn_flush(side.conn);
    conn_hold(side.conn, false);
    peer_expect_end(&peer);
    assert_int_equal(peer.size, 6);
    world_until(world, side.ended == 1);
    assert_int_equal(side.why, CONN_END_PEER);
    pair_fini(&side, &peer);
}

static void the_end_of_the_pool_ends_its_conns(void **state)
{
    struct world *world = *state;
    struct side sides[3];
    struct peer peers[3];

    for (size_t i = 0; i < 3; i++) {
        pair_init(world, &sides[i], &peers[i], echo, NULL);
    }
    assert_true(conn_append(sides[0].conn, SLICE("x")));
    conn_close_now(sides[1].conn);
    conn_pool_destroy(&world->pool);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(sides[i].ended, 1);
        assert_int_equal(sides[i].why, CONN_END_OURS);
        peer_fini(&peers[i]);
    }
}

static void close_visited(void *context, struct conn *conn)
{
    unsigned *count = context;

    (*count)++;
    conn_close(conn);
}

static void each_conn_may_be_closed_when_it_is_visited(void **state)
{
    struct world *world = *state;
    struct side sides[5];
    struct peer peers[5];
    unsigned count = 0;

    for (size_t i = 0; i < 5; i++) {
        pair_init(world, &sides[i], &peers[i], echo, NULL);
    }
    conn_pool_each(world->pool, close_visited, &count);
    assert_int_equal(count, 5);
    world_until(world, conn_pool_count(world->pool) == 0);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(sides[i].ended, 1);
        peer_fini(&peers[i]);
    }
}

/* --- connecting --- */

static void a_conn_that_was_opened_sends_what_was_queued_before(void **state)
{
    struct world *world = *state;
    struct side side = {.world = world, .input = swallow};
    struct conn_options options = side_options(&side);
    struct peer peer;

    assert_int_equal(
        conn_open(&side.conn, world->pool, &world->address, &options), ERR_OK);
    assert_int_equal(side.opened, 0);
    assert_true(conn_append(side.conn, SLICE("early")));
    conn_flush(side.conn);
    peer_accept(world, &peer);
    peer_expect(&peer, 5);
    assert_memory_equal(peer.received, "early", 5);
    assert_int_equal(side.opened, 1);
    peer_send(&peer, "answer", 6);
    world_until(world, side.called > 0);
    conn_close(side.conn);
    peer_expect_end(&peer);
    assert_int_equal(side.ended, 1);
    pair_fini(&side, &peer);
}

static void a_refused_connect_is_told_after_the_call(void **state)
{
    struct world *world = *state;
    const struct net *net = world->net;
    struct side side = {.world = world};
    struct conn_options options = side_options(&side);

    net->unlisten(net->context, world->listener);
    assert_int_equal(
        conn_open(&side.conn, world->pool, &world->address, &options), ERR_OK);
    assert_int_equal(side.ended, 0);
    world_until(world, side.ended == 1);
    assert_int_equal(side.opened, 0);
    assert_int_equal(side.why, CONN_END_ERROR);
    world->listener =
        net->listen(net->context, &world->address, 1, false, 0700);
    assert_true(world->listener >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TESTS(a_peer_that_leaves_ends_the_conn_once),
        WORLD_TESTS(closing_sends_what_is_queued),
        WORLD_TESTS(a_last_answer_reaches_a_peer_that_is_still_sending),
        WORLD_TESTS(closing_now_drops_what_is_queued),
        WORLD_TESTS(a_peer_that_only_stops_writing_gets_its_answers),
        WORLD_TESTS(a_held_conn_outlives_the_end_of_its_input),
        WORLD_TESTS(the_end_of_the_pool_ends_its_conns),
        WORLD_TESTS(each_conn_may_be_closed_when_it_is_visited),
        WORLD_TESTS(a_conn_that_was_opened_sends_what_was_queued_before),
        WORLD_TESTS(a_refused_connect_is_told_after_the_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
