/* Connections over every kind of network: bytes and back-pressure. */
#include "unit/net/conn_world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/rand.h"

/* --- bytes --- */

static void echo(struct side *side)
{
    struct slice input = conn_input(side->conn);

    if (!conn_is_clogged(side->conn)) {
        assert_true(conn_append(side->conn, input));
        conn_consume(side->conn, input.size);
    }
}

static void an_echo_returns_every_byte_in_order(void **state)
{
    struct world *world = *state;
    size_t total = world->kind == WORLD_DRIBBLE ? 20000 : 500000;
    char *bytes = mem_alloc(mem_system(), total);
    struct side side;
    struct peer peer;
    struct rand rand;

    rand_init(&rand, 3);
    pattern_fill(bytes, 0, total);
    pair_init(world, &side, &peer, echo, NULL);
    for (size_t sent = 0; sent < total;) {
        size_t size = 1 + (size_t)rand_below(&rand, 40000);

        size = size < total - sent ? size : total - sent;
        peer_send(&peer, bytes + sent, size);
        sent += size;
    }
    peer_expect(&peer, total);
    assert_pattern(peer.received, total);

    struct conn_books books;

    conn_pool_books(world->pool, &books);
    assert_int_equal(books.bytes_read, total);
    assert_int_equal(books.bytes_written, total);
    assert_int_equal(books.buffer_bytes, 0);
    pair_fini(&side, &peer);
    mem_free(mem_system(), bytes);
}

/* A request is a size in 8 digits and as many bytes; its answer is the size
 * again, if the bytes were contiguous and right. */
static void measured(struct side *side)
{
    struct conn *conn = side->conn;

    for (;;) {
        struct slice input = conn_input(conn);
        uint64_t size;

        if (input.size < 8) {
            break;
        }
        assert_true(
            slice_read_u64((struct slice){input.at, 8}, 99999999, &size));
        if (input.size < 8 + size) {
            assert_int_equal(conn_want(conn, 8 + size), ERR_OK);
            break;
        }
        assert_pattern(input.at + 8, size);
        assert_true(conn_append(conn, (struct slice){input.at, 8}));
        conn_consume(conn, 8 + size);
        conn_request_done(conn);
    }
}

static size_t measured_write(char *out, size_t size)
{
    (void)snprintf(out, 9, "%08zu", size);
    pattern_fill(out + 8, 0, size);
    return 8 + size;
}

static void requests_of_every_size_arrive_contiguous(void **state)
{
    static const size_t sizes[] = {0,     1,     7,      8,     1000,
                                   16375, 16376, 16377,  16384, 32760,
                                   32768, 50000, 131072, 3,     1 << 20};
    struct world *world = *state;
    size_t count = sizeof sizes / sizeof sizes[0];
    char *bytes = mem_alloc(mem_system(), 2 << 20);
    struct side side;
    struct peer peer;
    size_t filled = 0;

    /* One byte at a time, a megabyte is patience without insight. */
    count = world->kind == WORLD_DRIBBLE ? 8 : count;
    pair_init(world, &side, &peer, measured, NULL);
    for (size_t i = 0; i < count; i++) {
        filled += measured_write(bytes + filled, sizes[i]);
    }
    peer_send(&peer, bytes, filled);
    peer_expect(&peer, 8 * count);
    for (size_t i = 0; i < count; i++) {
        char want[9];

        (void)snprintf(want, sizeof want, "%08zu", sizes[i]);
        assert_memory_equal(peer.received + 8 * i, want, 8);
    }
    assert_int_equal(world_held(world), 0);
    pair_fini(&side, &peer);
    mem_free(mem_system(), bytes);
}

static void a_big_announcement_takes_memory_only_as_bytes_come(void **state)
{
    struct world *world = *state;
    char bytes[2000] = "01000000";
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, measured, NULL);
    pattern_fill(bytes + 8, 0, sizeof bytes - 8);
    peer_send(&peer, bytes, sizeof bytes);
    world_until(world, side.conn != NULL &&
                           conn_input(side.conn).size == sizeof bytes);
    assert_int_equal(world_held(world), CONN_BLOCK_SIZE);
    peer_fini(&peer);
    world_until(world, side.ended == 1);
    assert_int_equal(side.why, CONN_END_PEER);
    assert_int_equal(world_held(world), 0);
}

/* "s" skips what follows, whose size is in 7 digits; all else is echoed. */
static void skipping(struct side *side)
{
    struct conn *conn = side->conn;
    struct slice input = conn_input(conn);

    while (input.size > 0) {
        uint64_t size;

        if (input.at[0] != 's') {
            assert_true(conn_append(conn, (struct slice){input.at, 1}));
            conn_consume(conn, 1);
        } else if (input.size < 8) {
            return;
        } else {
            assert_true(slice_read_u64((struct slice){input.at + 1, 7}, 9999999,
                                       &size));
            conn_consume(conn, 8);
            conn_skip(conn, size);
        }
        input = conn_input(conn);
    }
}

static void skipped_bytes_are_never_seen_and_never_held(void **state)
{
    struct world *world = *state;
    size_t big = world->kind == WORLD_DRIBBLE ? 20000 : 300000;
    char *bytes = mem_alloc_zeroed(mem_system(), big + 64);
    struct side side;
    struct peer peer;
    int head = snprintf(bytes, 64, "as0000003xyzbs%07zu", big);

    pair_init(world, &side, &peer, skipping, NULL);
    memset(bytes + head, 'x', big);
    memcpy(bytes + (size_t)head + big, "c", 1);
    for (size_t sent = 0; sent < (size_t)head + big + 1;) {
        sent +=
            peer_try_send(&peer, bytes + sent, (size_t)head + big + 1 - sent);
        world_turn(world);
        assert_true(world_held(world) <= CONN_BLOCK_SIZE);
    }
    peer_expect(&peer, 3);
    assert_memory_equal(peer.received, "abc", 3);
    pair_fini(&side, &peer);
    mem_free(mem_system(), bytes);
}

/* --- budgets and pauses --- */

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

static void an_owner_with_a_budget_is_called_until_it_is_done(void **state)
{
    struct world *world = *state;
    char bytes[500];
    struct side side;
    struct peer peer;

    pattern_fill(bytes, 0, sizeof bytes);
    pair_init(world, &side, &peer, one_by_one, NULL);
    peer_send(&peer, bytes, sizeof bytes);
    peer_expect(&peer, sizeof bytes);
    assert_pattern(peer.received, sizeof bytes);
    assert_true(side.called >= sizeof bytes);
    pair_fini(&side, &peer);
}

static void pausing(struct side *side)
{
    echo(side);
    conn_pause(side->conn);
}

static void a_paused_conn_reads_nothing_until_it_is_resumed(void **state)
{
    struct world *world = *state;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, pausing, NULL);
    peer_send(&peer, "a", 1);
    peer_expect(&peer, 1);
    peer_send(&peer, "b", 1);
    for (int i = 0; i < 20; i++) {
        world_turn(world);
    }
    assert_int_equal(side.called, 1);
    conn_resume(side.conn);
    peer_expect(&peer, 2);
    assert_memory_equal(peer.received, "ab", 2);
    assert_int_equal(side.called, 2);
    pair_fini(&side, &peer);
}

static void leaving_and_pausing(struct side *side)
{
    if (side->called == 1) {
        conn_pause(side->conn);
    } else {
        echo(side);
    }
}

static void input_left_behind_is_handed_out_again_after_a_pause(void **state)
{
    struct world *world = *state;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, leaving_and_pausing, NULL);
    peer_send(&peer, "a", 1);
    world_until(world, side.called == 1);
    conn_resume(side.conn);
    peer_expect(&peer, 1);
    pair_fini(&side, &peer);
}

/* --- back-pressure --- */

enum { ANSWER_SIZE = 4096 };

/* Each byte asks for one answer. */
static void generous(struct side *side)
{
    char answer[ANSWER_SIZE];

    while (conn_input(side->conn).size > 0 && !conn_is_clogged(side->conn)) {
        pattern_fill(answer, side->produced, sizeof answer);
        assert_true(
            conn_append(side->conn, (struct slice){answer, sizeof answer}));
        side->produced += sizeof answer;
        conn_consume(side->conn, 1);
    }
    assert_true(conn_output_size(side->conn) <= CONN_OUTPUT_HIGH + ANSWER_SIZE);
}

static void a_reader_that_stops_stops_the_producer(void **state)
{
    struct world *world = *state;
    size_t asked = world->kind == WORLD_DRIBBLE ? 60 : 4000;
    char asks[4000];
    struct side side;
    struct peer peer;

    memset(asks, '?', sizeof asks);
    pair_init(world, &side, &peer, generous, NULL);
    for (size_t sent = 0; sent < asked;) {
        sent += peer_try_send(&peer, asks, asked - sent);
        world_turn(world);
    }
    size_t before = 0;

    /* Nobody reads: production comes to a standstill. */
    do {
        before = side.produced;
        for (int i = 0; i < 30; i++) {
            world_turn(world);
        }
    } while (side.produced != before);
    assert_true(side.produced < asked * ANSWER_SIZE);
    assert_true(world_held(world) <= CONN_OUTPUT_HIGH + 4 * CONN_BLOCK_SIZE);
    /* With a reader it goes on to the end. */
    peer_expect(&peer, asked * ANSWER_SIZE);
    assert_pattern(peer.received, peer.size);
    assert_int_equal(world_held(world), 0);
    pair_fini(&side, &peer);
}

static void lavish(struct side *side)
{
    generous(side);
    if (side->produced == 100 * ANSWER_SIZE) {
        conn_close(side->conn);
        assert_int_equal(side->ended, 0);
        assert_false(conn_append(side->conn, SLICE("late")));
    }
}

static void an_owner_that_fills_its_output_is_called_again(void **state)
{
    struct world *world = *state;
    char asks[100];
    struct side side;
    struct peer peer;

    memset(asks, '?', sizeof asks);
    pair_init(world, &side, &peer, lavish, NULL);
    peer_send(&peer, asks, sizeof asks);
    peer_expect_end(&peer);
    assert_int_equal(peer.size, 100 * ANSWER_SIZE);
    assert_pattern(peer.received, peer.size);
    assert_int_equal(side.ended, 1);
    assert_int_equal(side.why, CONN_END_OURS);
    pair_fini(&side, &peer);
}

/* --- output --- */

static void cutting(struct side *side)
{
    struct conn *conn = side->conn;
    size_t size = conn_input(conn).size;
    size_t before;

    conn_consume(conn, size);
    assert_true(conn_append(conn, SLICE("kept ")));
    before = conn_output_size(conn);
    for (int i = 0; i < 10; i++) {
        char *at = conn_reserve(conn, 10000);

        memset(at, 'x', 10000);
        conn_commit(conn, 10000);
    }
    assert_int_equal(conn_output_size(conn), before + 100000);
    conn_output_cut(conn, before);
    assert_false(conn_is_clogged(conn));
    assert_int_equal(conn_output_size(conn), before);
    assert_true(conn_append(conn, SLICE("end")));
    assert_non_null(conn_reserve(conn, 20000));
    conn_commit(conn, 0);
}

static void output_that_was_cut_never_leaves(void **state)
{
    struct world *world = *state;
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, cutting, NULL);
    peer_send(&peer, "?", 1);
    peer_expect(&peer, 8);
    assert_memory_equal(peer.received, "kept end", 8);
    assert_int_equal(world_held(world), 0);
    pair_fini(&side, &peer);
}

static void output_beyond_its_limit_is_refused_whole(void **state)
{
    struct world *world = *state;
    struct conn_options options = {.output_limit = 10};
    struct side side;
    struct peer peer;

    pair_init(world, &side, &peer, NULL, &options);
    assert_null(conn_reserve(side.conn, 11));
    assert_true(conn_append(side.conn, SLICE("12345678")));
    assert_false(conn_append(side.conn, SLICE("abc")));
    assert_true(conn_append(side.conn, SLICE("90")));
    conn_flush_later(side.conn);
    peer_expect(&peer, 10);
    assert_memory_equal(peer.received, "1234567890", 10);
    pair_fini(&side, &peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TESTS(an_echo_returns_every_byte_in_order),
        WORLD_TESTS(requests_of_every_size_arrive_contiguous),
        WORLD_TESTS(a_big_announcement_takes_memory_only_as_bytes_come),
        WORLD_TESTS(skipped_bytes_are_never_seen_and_never_held),
        WORLD_TESTS(an_owner_with_a_budget_is_called_until_it_is_done),
        WORLD_TESTS(a_paused_conn_reads_nothing_until_it_is_resumed),
        WORLD_TESTS(input_left_behind_is_handed_out_again_after_a_pause),
        WORLD_TESTS(a_reader_that_stops_stops_the_producer),
        WORLD_TESTS(an_owner_that_fills_its_output_is_called_again),
        WORLD_TESTS(output_that_was_cut_never_leaves),
        WORLD_TESTS(output_beyond_its_limit_is_refused_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
