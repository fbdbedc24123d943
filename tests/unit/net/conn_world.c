#include "unit/net/conn_world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void env_init(struct world *world)
{
    const struct fake_net_options options = {
        .seed = 42,
        .piece_max = world->kind == WORLD_DRIBBLE ? 1 : 0,
        .delay_ms_max = world->kind == WORLD_DRIBBLE ? 0 : 3,
    };

    if (world->kind == WORLD_FAKE || world->kind == WORLD_DRIBBLE) {
        world->fake = fake_net_create(mem_system(), &options);
        fake_net_env(world->fake, mem_system(), &world->env);
    } else {
        env_system(&world->env);
        world->env.net = net_system();
    }
    world->net = world->env.net;
}

void world_init(struct world *world, enum world_kind kind, size_t pool_limit)
{
    *world = (struct world){.kind = kind};
    env_init(world);
    const struct net *net = world->net;
    char text[64] = "127.0.0.1:0";

    if (kind == WORLD_UNIX) {
        (void)snprintf(text, sizeof text, "unix:/tmp/torc-conn-test-%d",
                       (int)getpid());
    }
    assert_int_equal(net->resolve(net->context, text, &world->address, NULL),
                     ERR_OK);
    world->listener =
        net->listen(net->context, &world->address, 64, false, 0700);
    assert_true(world->listener >= 0);
    assert_int_equal(net->local_text(net->context, world->listener, world->text,
                                     sizeof world->text),
                     ERR_OK);
    assert_int_equal(
        net->resolve(net->context, world->text, &world->address, NULL), ERR_OK);
    assert_int_equal(loop_create(&world->loop, &world->env), ERR_OK);
    assert_int_equal(conn_pool_create(&world->pool, world->loop, pool_limit),
                     ERR_OK);
}

void world_fini(struct world *world)
{
    conn_pool_destroy(&world->pool);
    loop_destroy(&world->loop);
    world->net->unlisten(world->net->context, world->listener);
    if (world->fake != NULL) {
        fake_net_destroy(&world->fake);
    }
}

void world_turn(struct world *world)
{
    loop_turn(world->loop, world->fake != NULL ? 10 : 1);
}

uint64_t world_held(const struct world *world)
{
    struct conn_books books;

    conn_pool_books(world->pool, &books);
    return books.buffer_bytes;
}

static int setup(void **state, enum world_kind kind)
{
    struct world *world = mem_alloc(mem_system(), sizeof *world);

    world_init(world, kind, WORLD_POOL_LIMIT);
    *state = world;
    return 0;
}

int world_setup_fake(void **state)
{
    return setup(state, WORLD_FAKE);
}

int world_setup_dribble(void **state)
{
    return setup(state, WORLD_DRIBBLE);
}

int world_setup_tcp(void **state)
{
    return setup(state, WORLD_TCP);
}

int world_setup_unix(void **state)
{
    return setup(state, WORLD_UNIX);
}

int world_teardown(void **state)
{
    struct world *world = *state;

    world_fini(world);
    mem_free(mem_system(), world);
    return 0;
}

/* --- the side with a conn --- */

static void side_input(void *owner, struct conn *conn)
{
    struct side *side = owner;

    assert_ptr_equal(side->conn, conn);
    assert_false(side->in_call);
    side->called++;
    side->in_call = true;
    if (side->input != NULL) {
        side->input(side);
    }
    side->in_call = false;
}

static void side_ended(void *owner, struct conn *conn, enum conn_end why)
{
    struct side *side = owner;

    assert_false(side->in_call);
    assert_ptr_equal(side->conn, conn);
    assert_true(conn_is_closing(conn));
    side->conn = NULL;
    side->why = why;
    side->ended++;
}

static void side_opened(void *owner, struct conn *conn)
{
    struct side *side = owner;

    assert_ptr_equal(side->conn, conn);
    side->opened++;
}

const struct conn_handler side_handler = {side_input, side_ended, side_opened};

struct conn_options side_options(struct side *side)
{
    return (struct conn_options){.handler = &side_handler, .owner = side};
}

/* --- the bare end --- */

static int accept_one(struct world *world)
{
    int handle = -EAGAIN;

    world_until(world, (handle = world->net->accept(
                            world->net->context, world->listener)) != -EAGAIN);
    assert_true(handle >= 0);
    return handle;
}

void pair_init(struct world *world, struct side *side, struct peer *peer,
               void (*input)(struct side *side),
               const struct conn_options *options)
{
    const struct net *net = world->net;

    *side = (struct side){.world = world, .input = input};
    struct conn_options plain = side_options(side);

    if (options != NULL) {
        plain = *options;
        plain.handler = &side_handler;
        plain.owner = side;
    }
    *peer = (struct peer){
        .world = world, .handle = net->connect(net->context, &world->address)};
    assert_true(peer->handle >= 0);
    int handle = accept_one(world);

    /* The fake network has connected when it was asked. */
    (void)net->connect_error(net->context, peer->handle);
    assert_int_equal(conn_create(&side->conn, world->pool, handle, &plain),
                     ERR_OK);
}

void peer_accept(struct world *world, struct peer *peer)
{
    *peer = (struct peer){.world = world, .handle = accept_one(world)};
}

size_t peer_try_send(struct peer *peer, const void *bytes, size_t size)
{
    const struct net *net = peer->world->net;
    char copy[4096];
    struct iovec piece = {copy, size < sizeof copy ? size : sizeof copy};

    memcpy(copy, bytes, piece.iov_len);
    ssize_t sent = net->write(net->context, peer->handle, &piece, 1);

    if (sent < 0) {
        peer->error = sent == -EAGAIN ? 0 : (int)-sent;
        return 0;
    }
    return (size_t)sent;
}

void peer_send(struct peer *peer, const void *bytes, size_t size)
{
    unsigned turns = 0;

    for (size_t sent = 0; sent < size;) {
        sent += peer_try_send(peer, (const char *)bytes + sent, size - sent);
        assert_int_equal(peer->error, 0);
        assert_true(turns++ < WORLD_TURNS_MAX);
        world_turn(peer->world);
        peer_pull(peer);
    }
}

void peer_pull(struct peer *peer)
{
    const struct net *net = peer->world->net;
    ssize_t got = 0;

    do {
        if (peer->size == peer->room) {
            peer->room = peer->room == 0 ? 4096 : peer->room * 2;
            peer->received =
                mem_resize(mem_system(), peer->received, peer->room);
            assert_non_null(peer->received);
        }
        got = net->read(net->context, peer->handle, peer->received + peer->size,
                        peer->room - peer->size);
        peer->size += got > 0 ? (size_t)got : 0;
    } while (got > 0);
    if (got == 0) {
        peer->at_end = true;
    } else if (got != -EAGAIN) {
        peer->error = (int)-got;
    }
}

void peer_expect(struct peer *peer, size_t size)
{
    world_until(peer->world, (peer_pull(peer), peer->size >= size));
    assert_int_equal(peer->size, size);
}

void peer_expect_end(struct peer *peer)
{
    world_until(peer->world,
                (peer_pull(peer), peer->at_end || peer->error != 0));
}

void peer_fini(struct peer *peer)
{
    if (peer->handle >= 0) {
        peer->world->net->close(peer->world->net->context, peer->handle);
        peer->handle = -1;
    }
    mem_free(mem_system(), peer->received);
    peer->received = NULL;
}

void pair_fini(struct side *side, struct peer *peer)
{
    if (side->conn != NULL) {
        conn_close_now(side->conn);
    }
    world_until(peer->world, side->conn == NULL);
    assert_int_equal(side->ended, 1);
    peer_fini(peer);
}

void peer_finish(struct peer *peer)
{
    if (peer->world->fake != NULL) {
        fake_net_finish(peer->world->fake, peer->handle);
    } else {
        assert_int_equal(shutdown(peer->handle, SHUT_WR), 0);
    }
}

/* --- patterns --- */

char pattern_at(size_t i)
{
    return (char)(i * 2654435761U >> 13);
}

void pattern_fill(char *out, size_t from, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = pattern_at(from + i);
    }
}

void assert_pattern(const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != pattern_at(i)) {
            fail_msg("byte %zu of %zu is wrong", i, size);
        }
    }
}
