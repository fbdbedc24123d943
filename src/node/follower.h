/* follower.h -- how shards and routers follow the ring.
 *
 * Holds ringd's watch open, reads each document, refuses what is malformed,
 * older or of another cluster (with a reason, to ringd and the log), keeps the
 * last good one for ever, and hands a new one to the role, which says when it
 * is in force; only then is it acknowledged.  The data path never waits for
 * any of this.
 */
#ifndef NODE_FOLLOWER_H
#define NODE_FOLLOWER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/option.h"
#include "core/ring.h"

struct follower;

struct follower_options {
    const char *role;    /* "shard" or "router": ringd fences shards first */
    const char *name;    /* who acknowledges */
    const char *cluster; /* NULL: whatever comes first */
    struct option_texts ringds; /* http://host:port */
    /* On the follower's thread: put this ring in force on every worker before
     * returning.  The ring is borrowed; ring_ref what is kept.  Epochs rise. */
    void (*adopt)(void *context, struct ring *ring);
    void *context;
};

/* options are copied; env is borrowed.  ERR_SYNTAX, ERR_LIMIT: *why names the
 * option.  adopt may be called before this returns. */
enum err follower_start(struct follower **out, const struct env *env,
                        const struct follower_options *options,
                        struct why *why);
/* Waits for an adopt that is running.  Safe on NULL. */
/* Follows no longer: when this returns nothing is being adopted, nor will be.
 * State and ring can still be asked for, until follower_stop. */
void follower_hush(struct follower *follower);
/* Safe on NULL. */
void follower_stop(struct follower **follower);

struct follower_state {
    bool connected;
    uint32_t epoch;    /* 0: none yet */
    uint64_t heard_ms; /* monotonic time of the last line */
    uint64_t refused;  /* documents refused */
    uint64_t reconnects;
    char last_refusal[256];
};
void follower_state(struct follower *follower, struct follower_state *out);
/* The ring in force, or NULL; the caller unrefs. */
struct ring *follower_ring(struct follower *follower);

/* The pure part, for tests and simulations: what to do with a line.
 * ERR_OK with *out set: a new ring.  ERR_OK with *out NULL: a heartbeat, or the
 * same epoch again.  ERR_STALE, ERR_CONFLICT (same epoch, other content;
 * another cluster), ERR_SYNTAX, ERR_LIMIT, ERR_RANGE: refused, *why says why.
 */
enum err follower_judge(const struct mem *mem, const struct ring *known,
                        const char *cluster, struct slice line,
                        struct ring **out, struct why *why);

#endif
