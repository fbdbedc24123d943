#include "router/worker.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/slot.h"
#include "router/router_private.h"

enum { UNPARK_INTERVAL_MS = 10 };

/* --- calls ------------------------------------------------------------- */

struct call *worker_call_new(struct worker *worker)
{
    struct call *call = worker->free_calls;

    if (call != NULL) {
        worker->free_calls = call->upstream_next;
        *call = (struct call){0};
        return call;
    }
    return mem_alloc_zeroed(worker->env->mem, sizeof *call);
}

void worker_call_free(struct worker *worker, struct call *call)
{
    if (call == NULL) {
        return;
    }
    mem_free(worker->env->mem, call->parked);
    call->upstream_next = worker->free_calls;
    worker->free_calls = call;
}

/* --- the ring ---------------------------------------------------------- */

static unsigned lane_count(const struct worker *worker)
{
    return (unsigned)worker->options->shard_connections;
}

struct upstream *worker_route(struct worker *worker, uint64_t hash)
{
    const struct ring *ring = worker->ring;

    if (ring == NULL) {
        return NULL;
    }
    uint16_t owner = ring->owner[slot_of(hash)];

    if (owner == RING_NOBODY) {
        return NULL;
    }
    unsigned lanes = lane_count(worker);

    return worker->owners[owner * lanes + (lanes > 1 ? hash % lanes : 0)];
}

static struct upstream *upstream_find(struct worker *worker,
                                      const struct ring_member *member,
                                      unsigned lane)
{
    struct upstream *upstream = worker->upstreams;

    while (upstream != NULL &&
           (upstream->lane != lane ||
            strcmp(upstream->name, member->name) != 0 ||
            strcmp(upstream->address, member->address) != 0)) {
        upstream = upstream->next;
    }
    return upstream;
}

static struct upstream *upstream_have(struct worker *worker,
                                      const struct plan *plan, size_t index,
                                      unsigned lane)
{
    const struct ring_member *member = &plan->ring->members[index];
    struct upstream *upstream = upstream_find(worker, member, lane);

    if (upstream == NULL) {
        if (plan->where[index].size == 0 ||
            upstream_create(&upstream, worker, member, &plan->where[index],
                            lane) != ERR_OK) {
            return NULL;
        }
        upstream->next = worker->upstreams;
        worker->upstreams = upstream;
    }
    upstream->wanted = true;
    return upstream;
}

/* Those that the ring no longer knows go when nothing is on its way to them. */
static void upstreams_sweep(void *context)
{
    struct worker *worker = context;
    struct upstream **slot = &worker->upstreams;

    while (*slot != NULL) {
        struct upstream *upstream = *slot;

        if (!upstream->wanted && upstream->count == 0) {
            *slot = upstream->next;
            upstream_destroy(&upstream);
        } else {
            slot = &upstream->next;
        }
    }
}

void worker_sweep_later(struct worker *worker)
{
    loop_defer(worker->loop, &worker->sweep);
}

static void unpark(void *context);

void worker_adopt(struct worker *worker, const struct plan *plan)
{
    struct ring *ring = plan->ring;
    const struct mem *mem = worker->env->mem;
    unsigned lanes = lane_count(worker);
    size_t count = (size_t)ring->member_count * lanes;
    struct upstream **owners = mem_alloc(mem, (count + 1) * sizeof owners[0]);

    if (owners == NULL) {
        LOG_ERR(worker->env->log, "worker",
                "no memory for a new ring: keeping the old one",
                LOG_U64("epoch", ring->epoch));
        return;
    }
    for (struct upstream *u = worker->upstreams; u != NULL; u = u->next) {
        u->wanted = false;
    }
    for (size_t i = 0; i < count; i++) {
        owners[i] =
            upstream_have(worker, plan, i / lanes, (unsigned)(i % lanes));
    }
    mem_free(mem, worker->owners);
    worker->owners = owners;
    ring_unref(&worker->ring);
    worker->ring = ring_ref(ring);
    worker->generation++;
    upstreams_sweep(worker);
    for (struct upstream *u = worker->upstreams; u != NULL; u = u->next) {
        upstream_announce(u);
    }
    unpark(worker);
}

/* --- calls that a shard gave back -------------------------------------- */

void worker_park(struct worker *worker, struct call *call, struct slice request)
{
    metric_add(&worker->metrics.moved, 1);
    if (call->session == NULL) {
        worker_call_free(worker, call);
        return;
    }
    call->parked = mem_alloc(worker->env->mem, request.size);
    if (call->parked == NULL) {
        call_fail(worker, call, request, WIRE_SHARD_BUSY);
        return;
    }
    memcpy(call->parked, request.at, request.size);
    if (call->give_up_ms == 0) {
        call->give_up_ms = call->deadline_ms;
    }
    call->session->parked++;
    call->upstream_next = NULL;
    *worker->parked_tail = call;
    worker->parked_tail = &call->upstream_next;
    if (!timer_is_set(&worker->unpark)) {
        timer_set(worker->loop, &worker->unpark,
                  loop_now_ms(worker->loop) + UNPARK_INTERVAL_MS);
    }
}

static void call_resend(struct worker *worker, struct call *call)
{
    struct slice request = {call->parked, call->size};
    struct upstream *upstream = worker_route(worker, call->hash);
    enum wire_line refusal = WIRE_NO_RING;
    char *at = NULL;

    if (call->give_up_ms <= loop_now_ms(worker->loop)) {
        refusal = WIRE_SHARD_TIMEOUT;
    } else if (upstream != NULL) {
        upstream_announce(upstream);
        at = upstream_reserve(upstream, request.size, &refusal);
    }
    if (at == NULL) {
        call_fail(worker, call, request, refusal);
        return;
    }
    memcpy(at, request.at, request.size);
    mem_free(worker->env->mem, call->parked);
    call->parked = NULL;
    upstream_send(upstream, call, request.size);
}

/* In the order in which they were given back: requests of one client for one
 * key keep theirs. */
static void unpark(void *context)
{
    struct worker *worker = context;
    struct call *call = worker->parked;

    worker->generation += call != NULL;
    worker->parked = NULL;
    worker->parked_tail = &worker->parked;
    timer_clear(worker->loop, &worker->unpark);
    while (call != NULL) {
        struct call *next = call->upstream_next;

        if (call->session == NULL) {
            worker_call_free(worker, call);
        } else {
            call->session->parked--;
            call_resend(worker, call);
        }
        call = next;
    }
}

/* --- the thread -------------------------------------------------------- */

static enum err worker_begin(void *context, unsigned index, struct loop *loop,
                             struct conn_pool *pool, void **out)
{
    struct router *router = context;
    struct worker *worker = mem_alloc_zeroed(router->env->mem, sizeof *worker);

    if (worker == NULL) {
        return ERR_NOMEM;
    }
    worker->router = router;
    worker->options = router->options;
    worker->env = router->env;
    worker->index = index;
    worker->loop = loop;
    worker->pool = pool;
    worker->parked_tail = &worker->parked;
    if (conn_pool_create(&worker->shard_pool, loop,
                         router->options->buffer_limit /
                             router->options->threads) != ERR_OK) {
        mem_free(router->env->mem, worker);
        return ERR_NOMEM;
    }
    worker->sweep = (struct task){.run = upstreams_sweep, .context = worker};
    worker->unpark = (struct timer){.run = unpark, .context = worker};
    env_random(router->env, &worker->jitter, sizeof worker->jitter);
    router->workers[index] = worker;
    *out = worker;
    return ERR_OK;
}

static void worker_accepted(void *context, int handle)
{
    session_open(context, handle);
}

static void worker_drain_visit(void *context, struct conn *conn)
{
    (void)context;
    session_drain(conn_owner(conn));
}

static void worker_drain(void *context)
{
    struct worker *worker = context;

    worker->draining = true;
    conn_pool_each(worker->pool, worker_drain_visit, NULL);
}

static void calls_free(struct worker *worker, struct call *call)
{
    while (call != NULL) {
        struct call *next = call->upstream_next;

        mem_free(worker->env->mem, call->parked);
        mem_free(worker->env->mem, call);
        call = next;
    }
}

static void worker_end(void *context)
{
    struct worker *worker = context;
    struct router *router = worker->router;

    while (worker->upstreams != NULL) {
        struct upstream *upstream = worker->upstreams;

        worker->upstreams = upstream->next;
        upstream_destroy(&upstream);
    }
    conn_pool_destroy(&worker->shard_pool);
    loop_cancel(worker->loop, &worker->sweep);
    timer_clear(worker->loop, &worker->unpark);
    calls_free(worker, worker->parked);
    calls_free(worker, worker->free_calls);
    ring_unref(&worker->ring);
    mem_free(worker->env->mem, worker->owners);
    router->workers[worker->index] = NULL;
    mem_free(router->env->mem, worker);
}

const struct crew_handler worker_crew_handler = {
    .begin = worker_begin,
    .accepted = worker_accepted,
    .drain = worker_drain,
    .end = worker_end,
};
