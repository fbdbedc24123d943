/* worker.h -- one thread of a router: its loop, its upstreams, its view of the
 * ring.  Workers share nothing.
 */
#ifndef ROUTER_WORKER_H
#define ROUTER_WORKER_H

#include <stdalign.h>
#include <stdbool.h>

#include "core/ring.h"
#include "net/conn.h"
#include "net/crew.h"
#include "net/loop.h"
#include "router/call.h"
#include "router/metrics.h"
#include "router/options.h"
#include "router/session.h"
#include "router/upstream.h"

struct router;

/* Bytes of requests on their way: beyond it a client may have only one.  Small
 * enough to be through well within --shard-timeout. */
enum { WORKER_WINDOW_HIGH = 8 << 20 };

struct worker {
    struct router *router;
    const struct router_options *options;
    const struct env *env;
    unsigned index;
    struct loop *loop;
    struct conn_pool *pool;       /* of the clients */
    struct conn_pool *shard_pool; /* of the upstreams: a client that does not
                                   * read must not cost the shards' buffers */
    struct ring *ring;            /* NULL: none yet */
    struct upstream *upstreams;
    /* By member index, shard_connections for each: a key always takes the same
     * one, so that requests for it stay in order. */
    struct upstream **owners;
    struct call *free_calls;
    struct call *parked, **parked_tail; /* given back by a shard */
    struct timer unpark;
    struct task sweep;
    /* Rises when requests sent before may arrive after ones sent now: a new
     * ring, or requests sent again.  A session lets the older ones finish. */
    uint64_t generation;
    uint64_t window_bytes; /* of requests on their way to shards */
    uint64_t jitter;       /* state of a small generator */
    bool draining;
    alignas(64) struct router_metrics metrics;
    struct request request; /* the one being handled */
};

extern const struct crew_handler worker_crew_handler;

/* A ring, and where its members are: looked up by the thread that brings it,
 * because a look-up may block. */
struct plan {
    struct ring *ring;
    struct net_address *where; /* by member; size 0: not found */
};

/* Puts a ring in force; plan is borrowed.  In the worker's thread. */
void worker_adopt(struct worker *worker, const struct plan *plan);

/* The upstream of a key, or NULL: there is no ring, or nobody owns its slot. */
struct upstream *worker_route(struct worker *worker, uint64_t hash);

struct call *worker_call_new(struct worker *worker);
void worker_call_free(struct worker *worker, struct call *call);

/* A shard gave the call back.  Its request is copied; it is sent again soon,
 * by the ring then in force, or fails at its deadline. */
void worker_park(struct worker *worker, struct call *call,
                 struct slice request);

/* An upstream that no ring wants any more has nothing on its way: soon, not
 * now, it will be destroyed. */
void worker_sweep_later(struct worker *worker);

/* The call has failed: a miss for a read, the line for a write.  request: its
 * bytes, to echo from. */
void call_fail(struct worker *worker, struct call *call, struct slice request,
               enum wire_line line);
/* The shard's answer, worked into what the client gets. */
void call_answer(struct worker *worker, struct call *call,
                 const struct reply *reply);

#endif
