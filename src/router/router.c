#include "router/router.h"

#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "node/listen.h"
#include "node/name.h"
#include "router/router_private.h"
#include "router/stats.h"

enum { FIXED_EPOCH = 1 };

/* --- the ring ---------------------------------------------------------- */

static void adopt_in_worker(void *context, void *worker)
{
    worker_adopt(worker, context);
}

/* A member that cannot be found is no reason to keep the old ring: its keys
 * miss, and the log says why. */
static void members_find(struct router *router, struct plan *plan)
{
    const struct net *net = router->env->net;

    for (size_t i = 0; i < plan->ring->member_count; i++) {
        const struct ring_member *member = &plan->ring->members[i];
        struct why why = {0};

        if (net->resolve(net->context, member->address, &plan->where[i],
                         &why) != ERR_OK) {
            plan->where[i].size = 0;
            LOG_ERR(router->env->log, "ring", "shard not found",
                    LOG_TEXT("shard", member->name), LOG_TEXT("why", why.text));
        }
    }
}

static void router_adopt(void *context, struct ring *ring)
{
    struct router *router = context;
    const struct mem *mem = router->env->mem;
    struct plan plan = {.ring = ring};

    plan.where =
        mem_alloc_zeroed(mem, (ring->member_count + 1u) * sizeof *plan.where);
    if (plan.where == NULL) {
        LOG_ERR(router->env->log, "ring", "no memory: keeping the old ring",
                LOG_U64("epoch", ring->epoch));
        return;
    }
    members_find(router, &plan);
    crew_each(router->crew, adopt_in_worker, &plan);
    mem_free(mem, plan.where);
}

/* "[name=]host:port": the address is the name if none is given. */
static enum err backend_read(const char *text, struct ring_member *out,
                             struct why *why)
{
    const char *equals = strchr(text, '=');
    const char *address = equals != NULL ? equals + 1 : text;
    struct ring_member member = {.weight = 1, .state = MEMBER_SERVING};
    int name_size, address_size;

    if (equals != NULL) {
        name_size = snprintf(member.name, sizeof member.name, "%.*s",
                             (int)(equals - text), text);
    } else {
        name_size = snprintf(member.name, sizeof member.name, "%s", text);
        for (char *at = member.name; *at != '\0'; at++) {
            *at = strchr("abcdefghijklmnopqrstuvwxyz0123456789.-", *at) != NULL
                      ? *at
                      : '-';
        }
    }
    address_size =
        snprintf(member.address, sizeof member.address, "%s", address);
    if (name_size < 0 || (size_t)name_size >= sizeof member.name ||
        address_size < 0 || (size_t)address_size >= sizeof member.address) {
        return err_why(why, ERR_RANGE,
                       "--backend %.80s: name or address too long (at most "
                       "%d and %d bytes)",
                       text, RING_NAME_SIZE_MAX, RING_ADDRESS_SIZE_MAX);
    }
    *out = member;
    return ERR_OK;
}

static enum err router_fix(struct router *router, struct why *why)
{
    const struct option_texts *texts = &router->options->backend;
    struct ring_member members[OPTION_TEXTS_MAX];

    for (size_t i = 0; i < texts->count; i++) {
        enum err e = backend_read(texts->at[i], &members[i], why);

        if (e != ERR_OK) {
            return e;
        }
    }
    enum err e = ring_plan(router->env->mem, "fixed", FIXED_EPOCH, members,
                           texts->count, NULL, &router->fixed, why);
    if (e == ERR_OK) {
        router_adopt(router, router->fixed);
    }
    return e;
}

static enum err router_follow(struct router *router, struct why *why)
{
    const struct router_options *options = router->options;
    struct follower_options follower = {
        .role = "router",
        .name = router->name,
        .cluster = options->cluster,
        .ringds = options->ringd,
        .adopt = router_adopt,
        .context = router,
    };

    if (options->backend.count > 0 && options->ringd.count > 0) {
        return err_why(why, ERR_RANGE,
                       "--backend and --ringd: give one or the other");
    }
    if (options->backend.count > 0) {
        return router_fix(router, why);
    }
    if (options->ringd.count == 0) {
        return err_why(why, ERR_RANGE,
                       "nothing to route to: give --ringd http://host:port, "
                       "or --backend host:port for each shard");
    }
    return follower_start(&router->follower, router->env, &follower, why);
}

static struct ring *router_ring(void *context)
{
    struct router *router = context;

    if (router->fixed != NULL) {
        return ring_ref(router->fixed);
    }
    return follower_ring(router->follower);
}

/* --- the admin page ---------------------------------------------------- */

static bool router_ready(void *context, struct why *why)
{
    struct ring *ring = router_ring(context);
    bool ready = ring != NULL;

    if (!ready) {
        (void)err_why(why, ERR_UNKNOWN, "no ring heard of yet");
    }
    ring_unref(&ring);
    return ready;
}

static void router_metrics_page(void *context, struct text *out)
{
    stats_prometheus(context, out);
}

static enum err router_admin(struct router *router, struct why *why)
{
    struct admin_options admin = {
        .address = router->options->admin,
        .context = router,
        .ready = router_ready,
        .metrics = router_metrics_page,
        .ring = router_ring,
    };

    return admin_start(&router->admin, router->env, &admin, why);
}

/* --- start and stop ---------------------------------------------------- */

static enum err router_listen(struct router *router, struct why *why)
{
    const struct router_options *options = router->options;
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
        .context = router,
        .worker_count = (unsigned)options->threads,
        .listen = book.texts,
        .unix_mode = book.unix_mode,
        .backlog = (int)options->backlog,
        .connection_limit = options->connection_limit,
        .refusal = wire_line(WIRE_TOO_MANY_CONNS),
        .buffer_limit = options->buffer_limit / options->threads,
    };
    return crew_start(&router->crew, router->env, &crew, why);
}

enum err router_start(struct router **out, const struct env *env,
                      const struct router_options *options, struct why *why)
{
    struct router *router = mem_alloc_zeroed(env->mem, sizeof *router);
    enum err e;

    if (router == NULL) {
        return err_why(why, ERR_NOMEM, "no memory for the router");
    }
    router->env = env;
    router->options = options;
    router->started_mono_ms = env_monotonic_ms(env);
    if ((e = node_name(router->name, options->name, options->ringd.count > 0,
                       why)) != ERR_OK ||
        (e = router_listen(router, why)) != ERR_OK ||
        (e = router_follow(router, why)) != ERR_OK ||
        (e = router_admin(router, why)) != ERR_OK) {
        router_stop(&router);
        return e;
    }
    const struct option_texts *addresses = crew_addresses(router->crew);

    for (size_t i = 0; i < addresses->count; i++) {
        LOG_NOTE(env->log, "router", "listening",
                 LOG_TEXT("address", addresses->at[i]),
                 LOG_TEXT("name", router->name));
    }
    *out = router;
    return ERR_OK;
}

void router_stop(struct router **out)
{
    struct router *router = *out;

    *out = NULL;
    admin_stop(&router->admin);
    if (router->follower != NULL) {
        follower_hush(router->follower);
    }
    if (router->crew != NULL) {
        listen_drain(router->crew, router->env, router->options->drain_timeout);
        crew_stop(&router->crew);
    }
    /* Last: until the workers are gone they may be asked for `stats`. */
    follower_stop(&router->follower);
    ring_unref(&router->fixed);
    mem_free(router->env->mem, router);
}
