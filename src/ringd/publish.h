/* publish.h -- who is told of a ring, and when.
 *
 * In two steps.  A committed ring goes to shards at once; routers (and whoever
 * gives no role) get it when its *fence* is done: every shard that loses slots
 * by it has acknowledged it, and so has every other member that is connected;
 * or the fence's time has passed.  So no router sends a key to its new owner
 * while the old one might still answer for it.  The ring that routers have is
 * the *open* one.
 *
 * A watcher has one unanswered document at a time: the next one goes out when
 * it has answered, or has had PUBLISH_PATIENCE_MS, and is then the newest.
 *
 * Knows no HTTP and no clock: bytes leave through two callbacks, time comes in
 * as an argument, so tests and simulations run this very code.
 */
#ifndef RINGD_PUBLISH_H
#define RINGD_PUBLISH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "core/ring.h"

enum {
    PUBLISH_NAME_SIZE_MAX = 255,
    PUBLISH_ERROR_SIZE_MAX = 255,
    PUBLISH_PEERS_MAX = 8192, /* remembered, connected or not */
    PUBLISH_PATIENCE_MS = 1000,
};

enum publish_role { PUBLISH_SHARD, PUBLISH_ROUTER, PUBLISH_PLAIN };

struct publish;

struct publish_options {
    uint64_t fence_timeout_ms;
    uint64_t heartbeat_ms;
    /* One line, with its ending, to a connection.  Must not call back. */
    void (*send)(void *context, void *connection, struct slice line);
    /* This connection will be sent nothing more: another of the same name has
     * taken its place.  Must not call back. */
    void (*drop)(void *context, void *connection);
    void *context;
};

enum err publish_create(struct publish **out, const struct env *env,
                        const struct publish_options *options);
void publish_destroy(struct publish **publish);

/* A ring was committed.  Its epoch is above all earlier ones.  The ring is
 * borrowed.  first: nobody can have an earlier one, so there is nothing to
 * fence.  Otherwise, if this manager does not know which ring routers have
 * (it has just started), only time, or a router that shows that it has this
 * one, ends the fence.  ERR_NOMEM: nothing has changed. */
enum err publish_ring(struct publish *publish, struct ring *ring, bool first,
                      uint64_t now_ms);

/* Somebody connects who has put `epoch` in force (0: none).  name may be "".
 * May send at once.  ERR_NOMEM, ERR_LIMIT; ERR_SYNTAX: a name that is too long
 * or not printable. */
enum err publish_watch(struct publish *publish, enum publish_role role,
                       const char *name, uint32_t epoch, void *connection,
                       uint64_t now_ms, struct why *why);
/* The connection is gone.  Unknown ones are ignored. */
void publish_unwatch(struct publish *publish, const void *connection);

struct publish_answer {
    enum publish_role role;
    const char *name;
    uint32_t epoch;
    bool ok;           /* false: it refuses that epoch's ring */
    const char *error; /* why; "" */
};

/* ERR_RANGE: an epoch that was never published.  ERR_SYNTAX, ERR_LIMIT,
 * ERR_NOMEM as above. */
enum err publish_ack(struct publish *publish,
                     const struct publish_answer *answer, uint64_t now_ms,
                     struct why *why);

/* Heartbeats, fences that have had their time, documents that had to wait.
 * Call about once a second. */
void publish_tick(struct publish *publish, uint64_t now_ms);

/* What a watcher of that role is given now; NULL: nothing yet.  Borrowed. */
const struct ring *publish_current(const struct publish *publish,
                                   enum publish_role role);
/* The same as a line with its ending; empty: nothing yet. */
struct slice publish_line(const struct publish *publish,
                          enum publish_role role);

struct publish_peer {
    enum publish_role role;
    const char *name;
    uint32_t epoch; /* the newest one it has in force; 0: none */
    bool connected;
    const char *error; /* of its last refusal; "" */
};

void publish_each(const struct publish *publish,
                  void (*visit)(void *context, const struct publish_peer *peer),
                  void *context);
/* False: never heard of. */
bool publish_find(const struct publish *publish, enum publish_role role,
                  const char *name, struct publish_peer *out);

struct publish_books {
    uint64_t documents_sent, acks, acks_refusing, fence_timeouts;
    uint64_t connected;
};
void publish_books(const struct publish *publish, struct publish_books *out);

const char *publish_role_name(enum publish_role role);
/* "" is PUBLISH_PLAIN. */
bool publish_role_find(const char *name, enum publish_role *out);

#endif
