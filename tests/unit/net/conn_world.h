/* conn_world.h -- a loop, a pool and the two ends of a connection, over the
 * fake network or over real sockets.
 *
 * One end is a conn with a struct side as its owner; the other is the test's
 * own: a bare handle that it writes to and reads from while the loop turns.
 */
#ifndef TESTS_CONN_WORLD_H
#define TESTS_CONN_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/conn.h"
#include "support/fake_net.h"

enum world_kind { WORLD_FAKE, WORLD_DRIBBLE, WORLD_TCP, WORLD_UNIX };

struct world {
    enum world_kind kind;
    struct fake_net *fake; /* NULL: real sockets */
    struct env env;
    const struct net *net;
    struct loop *loop;
    struct conn_pool *pool;
    int listener;
    char text[NET_ADDRESS_SIZE_MAX + 8];
    struct net_address address;
};

void world_init(struct world *world, enum world_kind kind, size_t pool_limit);
void world_fini(struct world *world);
void world_turn(struct world *world);
/* Turns until the condition holds; a test fails that waits too long. */
#define world_until(world, condition)                \
    do {                                             \
        unsigned turns_ = 0;                         \
                                                     \
        while (!(condition)) {                       \
            assert_true(turns_++ < WORLD_TURNS_MAX); \
            world_turn(world);                       \
        }                                            \
    } while (0)
enum { WORLD_TURNS_MAX = 500000, WORLD_POOL_LIMIT = 64 << 20 };
/* cmocka's; *state is the world. */
int world_setup_fake(void **state);
int world_setup_dribble(void **state);
int world_setup_tcp(void **state);
int world_setup_unix(void **state);
int world_teardown(void **state);
#define WORLD_TEST(name, kind)                                               \
    {                                                                        \
#name " [" #kind "]", name, world_setup_##kind, world_teardown, NULL \
    }
#define WORLD_TESTS(name)                                                     \
    WORLD_TEST(name, fake), WORLD_TEST(name, dribble), WORLD_TEST(name, tcp), \
        WORLD_TEST(name, unix)

uint64_t world_held(const struct world *world); /* buffer bytes */

/* The owner of a conn, and what it saw. */
struct side {
    struct world *world;
    struct conn *conn; /* NULL: ended */
    void (*input)(struct side *side);
    unsigned opened, called, ended;
    enum conn_end why;
    size_t produced, budget; /* for the inputs that use them */
    bool in_call;
};

extern const struct conn_handler side_handler;
struct conn_options side_options(struct side *side);

/* The test's own end: what it received so far. */
struct peer {
    struct world *world;
    int handle;
    char *received;
    size_t size, room;
    bool at_end;
    int error;
};

/* Connects both; options NULL: side_options. */
void pair_init(struct world *world, struct side *side, struct peer *peer,
               void (*input)(struct side *side),
               const struct conn_options *options);
/* Ends what is left of both. */
void pair_fini(struct side *side, struct peer *peer);
/* Accepts what conn_open connected to. */
void peer_accept(struct world *world, struct peer *peer);
/* Sends all of it, turning the loop and reading meanwhile. */
void peer_send(struct peer *peer, const void *bytes, size_t size);
/* Sends what goes without waiting; returns how much. */
size_t peer_try_send(struct peer *peer, const void *bytes, size_t size);
/* Reads what has arrived. */
void peer_pull(struct peer *peer);
/* Turns and reads until so much has been received, all told. */
void peer_expect(struct peer *peer, size_t size);
void peer_expect_end(struct peer *peer);
void peer_fini(struct peer *peer);   /* closes and frees; safe twice */
void peer_finish(struct peer *peer); /* closes only its direction */

/* Byte i of a stream that tells misplaced bytes. */
char pattern_at(size_t i);
void pattern_fill(char *out, size_t from, size_t size);
void assert_pattern(const char *bytes, size_t size);

#endif
