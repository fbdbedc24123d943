/* worker.h -- one thread of a shard: its loop, its way into the engine, its
 * counters, its view of the ring.  Workers share nothing but the engine.
 */
#ifndef SHARD_WORKER_H
#define SHARD_WORKER_H

#include <stdalign.h>
#include <stdbool.h>

#include "core/engine.h"
#include "core/request.h"
#include "core/ring.h"
#include "net/conn.h"
#include "net/crew.h"
#include "net/loop.h"
#include "shard/metrics.h"
#include "shard/options.h"

/* Requests that are parsed, hashed and prefetched before the first of them is
 * executed: enough to hide the memory's latency, few enough to stay in L1. */
enum { WORKER_BATCH_MAX = 16 };

struct shard;

struct worker {
    struct shard *shard;
    const struct shard_options *options;
    struct engine *engine;
    struct engine_thread *store;
    unsigned index;
    struct loop *loop;
    struct conn_pool *pool;

    /* Engine time is the wall clock at the start plus what the monotonic clock
     * says has passed: it never jumps. */
    uint64_t started_wall_ms, started_mono_ms;

    struct ring *ring; /* NULL: no ring heard of yet, or stands alone */
    uint16_t self;     /* this shard's member index, or RING_NOBODY */
    bool alone;
    bool draining;

    struct timer tend;
    alignas(64) struct shard_metrics metrics;
    struct request batch[WORKER_BATCH_MAX];
    struct engine_key keys[WORKER_BATCH_MAX];
};

extern const struct crew_handler worker_crew_handler;

/* The engine's time as of this turn of the loop. */
struct engine_now worker_now(const struct worker *worker);

/* memcached's rule: 0 never, negative at once, above 30 days an absolute unix
 * time, else seconds from now. */
uint64_t worker_expires_ms(const struct worker *worker, int64_t exptime);

/* Puts a ring in force; takes a reference of its own.  In the worker's
 * thread. */
void worker_adopt(struct worker *worker, struct ring *ring);

uint32_t worker_epoch(const struct worker *worker);

#endif
