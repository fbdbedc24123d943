#include "shard/shard.h"

#include "base/log.h"
#include "base/mem.h"
#include "node/listen.h"
#include "node/name.h"
#include "shard/shard_private.h"
#include "shard/stats.h"

/* --- the ring ---------------------------------------------------------- */

static void adopt_in_worker(void *context, void *worker)
{
    worker_adopt(worker, context);
}

/* When this returns no worker is in an operation begun under the old ring: the
 * acknowledgement that follows is what ringd's fence relies on. */
static void shard_adopt(void *context, struct ring *ring)
{
    struct shard *shard = context;

    crew_each(shard->crew, adopt_in_worker, ring);
}

static enum err shard_follow(struct shard *shard, struct why *why)
{
    const struct shard_options *options = shard->options;
    struct follower_options follower = {
        .role = "shard",
        .name = shard->name,
        .cluster = options->cluster,
        .ringds = options->ringd,
        .adopt = shard_adopt,
        .context = shard,
    };

    if (options->ringd.count == 0) {
        return ERR_OK;
    }
    struct follower *started = NULL;
    enum err e = follower_start(&started, shard->env, &follower, why);

    shard->follower = started;
    return e;
}

/* --- the admin page ---------------------------------------------------- */

static bool shard_ready(void *context, struct why *why)
{
    struct shard *shard = context;
    struct follower_state state;

    if (shard->follower == NULL) {
        return true;
    }
    follower_state(shard->follower, &state);
    if (state.epoch == 0) {
        (void)err_why(why, ERR_UNKNOWN, "no ring heard of yet");
        return false;
    }
    return true;
}

static void shard_metrics_page(void *context, struct text *out)
{
    stats_prometheus(context, out);
}

static struct ring *shard_ring(void *context)
{
    struct shard *shard = context;

    return shard->follower != NULL ? follower_ring(shard->follower) : NULL;
}

static enum err shard_admin(struct shard *shard, struct why *why)
{
    struct admin_options admin = {
        .address = shard->options->admin,
        .context = shard,
        .ready = shard_ready,
        .metrics = shard_metrics_page,
        .ring = shard_ring,
    };

    return admin_start(&shard->admin, shard->env, &admin, why);
}

/* --- what it listens on ------------------------------------------------ */

static enum err shard_listen(struct shard *shard, struct why *why)
{
    const struct shard_options *options = shard->options;
    struct listen_flags flags = {
        .hosts = options->listen,
        .port = options->port,
        .socket = options->socket,
        .socket_mode = options->socket_mode,
    };
    struct listen_book book;
    enum err e = listen_book_fill(&book, &flags, why);

    if (e != ERR_OK) {
        return e;
    }
    struct crew_options crew = {
        .handler = &worker_crew_handler,
        .context = shard,
        .worker_count = (unsigned)options->threads,
        .listen = book.texts,
        .unix_mode = book.unix_mode,
        .backlog = (int)options->backlog,
        .connection_limit = options->connection_limit,
        .refusal = wire_line(WIRE_TOO_MANY_CONNS),
        .buffer_limit = options->buffer_limit / options->threads,
    };
    return crew_start(&shard->crew, shard->env, &crew, why);
}

/* --- start and stop ---------------------------------------------------- */

/* CAS ids rise from the time of the start, in units that no shard can outrun
 * (16 million a second), so that a restarted shard never hands out an id that a
 * client may still hold.  Counted from 2026, to keep them short: some clients
 * ask for them with every read. */
static uint64_t cas_first(const struct shard *shard)
{
    const uint64_t base_ms = UINT64_C(1767225600000);
    uint64_t now_ms = shard->started_wall_ms;

    return ((now_ms > base_ms ? now_ms - base_ms : 0) << 14) + 1;
}

static enum err shard_store(struct shard *shard, struct why *why)
{
    const struct shard_options *options = shard->options;
    struct engine_options engine = {
        .mem = shard->env->mem,
        .memory_limit = options->memory_limit,
        .value_size_max = options->value_size_max,
        .thread_count = (unsigned)options->threads,
        .evict = !options->no_evict,
        .cas_first = cas_first(shard),
    };

    if (options->value_size_max > options->memory_limit / 2) {
        return err_why(why, ERR_RANGE,
                       "--value-size-max %llu: must be at most half of "
                       "--memory-limit %llu",
                       (unsigned long long)options->value_size_max,
                       (unsigned long long)options->memory_limit);
    }
    env_random(shard->env, engine.secret, sizeof engine.secret);
    return engine_create(&shard->engine, &engine, why);
}

enum err shard_start(struct shard **out, const struct env *env,
                     const struct shard_options *options, struct why *why)
{
    struct shard *shard = mem_alloc_zeroed(env->mem, sizeof *shard);
    enum err e;

    if (shard == NULL) {
        return err_why(why, ERR_NOMEM, "no memory for the shard");
    }
    shard->env = env;
    shard->options = options;
    shard->started_wall_ms = (uint64_t)env_wall_ms(env);
    shard->started_mono_ms = env_monotonic_ms(env);
    if ((e = node_name(shard->name, options->name, options->ringd.count > 0,
                       why)) != ERR_OK ||
        (e = shard_store(shard, why)) != ERR_OK ||
        (e = shard_listen(shard, why)) != ERR_OK ||
        (e = shard_follow(shard, why)) != ERR_OK ||
        (e = shard_admin(shard, why)) != ERR_OK) {
        shard_stop(&shard);
        return e;
    }
    const struct option_texts *addresses = crew_addresses(shard->crew);

    for (size_t i = 0; i < addresses->count; i++) {
        LOG_NOTE(env->log, "shard", "listening",
                 LOG_TEXT("address", addresses->at[i]),
                 LOG_TEXT("name", shard->name));
    }
    *out = shard;
    return ERR_OK;
}

void shard_stop(struct shard **out)
{
    struct shard *shard = *out;

    *out = NULL;
    admin_stop(&shard->admin);
    if (shard->follower != NULL) {
        follower_hush(shard->follower);
    }
    if (shard->crew != NULL) {
        listen_drain(shard->crew, shard->env, shard->options->drain_timeout);
        crew_stop(&shard->crew);
    }
    /* Last: until the workers are gone they may be asked for `stats`. */
    struct follower *follower = shard->follower;

    follower_stop(&follower);
    engine_destroy(&shard->engine);
    mem_free(shard->env->mem, shard);
}

const char *shard_admin_address(const struct shard *shard)
{
    return admin_address(shard->admin);
}
