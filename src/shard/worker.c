#include "shard/worker.h"

#include "base/check.h"
#include "base/mem.h"
#include "shard/session.h"
#include "shard/shard_private.h"

enum {
    TEND_INTERVAL_MS = 100,
    TEND_BUDGET_ITEMS = 4096,
    EXPTIME_RELATIVE_MAX_S = 60 * 60 * 24 * 30,
};

struct engine_now worker_now(const struct worker *worker)
{
    uint64_t passed_ms = loop_now_ms(worker->loop) - worker->started_mono_ms;

    return (struct engine_now){
        .ms = worker->started_wall_ms + passed_ms,
        .epoch = worker_epoch(worker),
    };
}

uint64_t worker_expires_ms(const struct worker *worker, int64_t exptime)
{
    if (exptime == 0) {
        return 0;
    }
    if (exptime < 0) {
        return 1;
    }
    if (exptime > EXPTIME_RELATIVE_MAX_S) {
        uint64_t at_s = (uint64_t)exptime;

        return at_s > UINT64_MAX / 1000 ? UINT64_MAX : at_s * 1000;
    }
    return worker_now(worker).ms + (uint64_t)exptime * 1000;
}

uint32_t worker_epoch(const struct worker *worker)
{
    return worker->ring != NULL ? worker->ring->epoch : 0;
}

void worker_adopt(struct worker *worker, struct ring *ring)
{
    ring_unref(&worker->ring);
    worker->ring = ring_ref(ring);
    worker->self = ring_member_find(ring, worker->shard->name);
}

/* Only the first worker tends the engine: once for all. */
static void worker_tend(void *context)
{
    struct worker *worker = context;
    struct engine_now now = worker_now(worker);

    engine_tend(worker->store, &now, TEND_BUDGET_ITEMS);
    timer_set(worker->loop, &worker->tend,
              loop_now_ms(worker->loop) + TEND_INTERVAL_MS);
}

static enum err worker_begin(void *context, unsigned index, struct loop *loop,
                             struct conn_pool *pool, void **out)
{
    struct shard *shard = context;
    const struct env *env = shard->env;
    struct worker *worker = mem_alloc_zeroed(env->mem, sizeof *worker);

    if (worker == NULL) {
        return ERR_NOMEM;
    }
    worker->shard = shard;
    worker->options = shard->options;
    worker->engine = shard->engine;
    worker->store = engine_thread(shard->engine, index);
    worker->index = index;
    worker->loop = loop;
    worker->pool = pool;
    worker->started_wall_ms = shard->started_wall_ms;
    worker->started_mono_ms = shard->started_mono_ms;
    worker->self = RING_NOBODY;
    worker->alone = shard->options->ringd.count == 0;
    worker->tend = (struct timer){.run = worker_tend, .context = worker};
    if (index == 0) {
        worker_tend(worker);
    }
    shard->workers[index] = worker;
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

static void worker_end(void *context)
{
    struct worker *worker = context;
    const struct mem *mem = worker->shard->env->mem;

    timer_clear(worker->loop, &worker->tend);
    ring_unref(&worker->ring);
    worker->shard->workers[worker->index] = NULL;
    mem_free(mem, worker);
}

const struct crew_handler worker_crew_handler = {
    .begin = worker_begin,
    .accepted = worker_accepted,
    .drain = worker_drain,
    .end = worker_end,
};
