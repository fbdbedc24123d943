#include "ringd/ringd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "ringd/ringd_inside.h"
#include "ringd/store_file.h"

enum { MEMBERS_FILE_SIZE_MAX = 1 << 20 };

struct ringd {
    const struct env *env;
    const struct ringd_options *options;
    struct store store;
    struct store_version version; /* of what the store holds */
    struct ring *ring;            /* the committed one */
    struct publish *publish;
    struct http_server *http;
    uint64_t commits, commit_failures, changes_refused;
};

const struct metric_spec ringd_metric_specs[RINGD_METRIC_COUNT] = {
#define METRIC(kind, name, help) {METRIC_##kind, #name, help},
#include "ringd/metrics.def"
#undef METRIC
};

const struct env *ringd_env(const struct ringd *ringd)
{
    return ringd->env;
}

struct publish *ringd_publish(struct ringd *ringd)
{
    return ringd->publish;
}

const struct ring *ringd_ring(const struct ringd *ringd)
{
    return ringd->ring;
}

const char *ringd_address(const struct ringd *ringd)
{
    return http_address(ringd->http);
}

/* --- changes ----------------------------------------------------------- */

static enum err ring_commit(struct ringd *ringd, const struct ring *next,
                            struct why *why)
{
    char *text = NULL;
    size_t size = 0;
    enum err e = ring_write(next, &text, &size);

    if (e != ERR_OK) {
        return err_why(why, e, "no memory to write the ring");
    }
    if (size > RING_DOCUMENT_SIZE_MAX) {
        e = err_why(why, ERR_LIMIT,
                    "the ring's document would have %zu bytes; allowed are at "
                    "most %d",
                    size, RING_DOCUMENT_SIZE_MAX);
    } else {
        e = ringd->store.compare_and_swap(ringd->store.context,
                                          (struct slice){text, size},
                                          &ringd->version, why);
    }
    mem_free(next->mem, text);
    if (e == ERR_OK) {
        ringd->commits++;
        return ERR_OK;
    }
    ringd->commit_failures++;
    LOG_ERR(ringd->env->log, "ringd", "cannot commit a ring",
            LOG_U64("epoch", next->epoch), LOG_TEXT("why", why->text));
    return e;
}

/* Tells of the committed ring, unless that is done.  Without memory it stays
 * undone until the next tick. */
static void ring_publish(struct ringd *ringd)
{
    const struct ring *told = publish_current(ringd->publish, PUBLISH_SHARD);

    if (told->epoch < ringd->ring->epoch &&
        publish_ring(ringd->publish, ringd->ring, false,
                     env_monotonic_ms(ringd->env)) != ERR_OK) {
        LOG_ERR(ringd->env->log, "ringd", "no memory to publish a ring",
                LOG_U64("epoch", ringd->ring->epoch));
    }
}

/* Commits and publishes; takes next over, also on failure.  NULL: nothing
 * changes. */
static enum err ring_take(struct ringd *ringd, struct ring *next,
                          struct why *why)
{
    if (next == NULL) {
        return ERR_OK;
    }
    enum err e = ring_commit(ringd, next, why);

    if (e != ERR_OK) {
        ring_unref(&next);
        return e;
    }
    ring_unref(&ringd->ring);
    ringd->ring = next;
    LOG_NOTE(ringd->env->log, "ringd", "a new ring is committed",
             LOG_U64("epoch", next->epoch),
             LOG_U64("members", next->member_count));
    ring_publish(ringd);
    return ERR_OK;
}

static void change_refused(struct ringd *ringd, const struct why *why)
{
    ringd->changes_refused++;
    LOG_WARNING(ringd->env->log, "ringd", "a change was refused",
                LOG_TEXT("why", why->text));
}

enum err ringd_change(struct ringd *ringd, const struct roster_change *change,
                      struct why *why)
{
    struct ring *next = NULL;
    enum err e = roster_merge(ringd->env->mem, ringd->ring->cluster,
                              ringd->ring, change, 1, &next, why);

    if (e != ERR_OK) {
        change_refused(ringd, why);
        return e;
    }
    return ring_take(ringd, next, why);
}

enum err ringd_remove(struct ringd *ringd, const char *name, struct why *why)
{
    struct ring *next = NULL;
    enum err e = roster_remove(ringd->env->mem, ringd->ring, name, &next, why);

    if (e != ERR_OK) {
        change_refused(ringd, why);
        return e;
    }
    return ring_take(ringd, next, why);
}

void ringd_metrics(const struct ringd *ringd,
                   uint64_t values[static RINGD_METRIC_COUNT])
{
    const struct ring *open = publish_current(ringd->publish, PUBLISH_ROUTER);
    struct publish_books books;

    publish_books(ringd->publish, &books);
    values[RINGD_METRIC_epoch] = ringd->ring->epoch;
    values[RINGD_METRIC_epoch_open] = open == NULL ? 0 : open->epoch;
    values[RINGD_METRIC_members] = ringd->ring->member_count;
    values[RINGD_METRIC_watchers] = books.connected;
    values[RINGD_METRIC_commits] = ringd->commits;
    values[RINGD_METRIC_commit_failures] = ringd->commit_failures;
    values[RINGD_METRIC_changes_refused] = ringd->changes_refused;
    values[RINGD_METRIC_documents_sent] = books.documents_sent;
    values[RINGD_METRIC_acks] = books.acks;
    values[RINGD_METRIC_acks_refusing] = books.acks_refusing;
    values[RINGD_METRIC_fence_timeouts] = books.fence_timeouts;
}

/* --- the start --------------------------------------------------------- */

struct change_list {
    struct roster_change *at; /* RING_MEMBERS_MAX of them */
    size_t count;
};

static enum err list_add(void *context, const struct roster_change *change,
                         struct why *why)
{
    struct change_list *list = context;

    if (list->count == RING_MEMBERS_MAX) {
        return err_why(why, ERR_RANGE,
                       "member %s is one too many; allowed are at most %d",
                       change->member.name, RING_MEMBERS_MAX);
    }
    list->at[list->count++] = *change;
    return ERR_OK;
}

static enum err flags_read(const struct option_texts *texts,
                           struct change_list *list, struct why *why)
{
    for (size_t i = 0; i < texts->count; i++) {
        struct roster_change change;
        struct why inner = {""};
        enum err e =
            roster_change_read(slice_of(texts->at[i]), &change, &inner);

        if (e == ERR_OK) {
            e = list_add(list, &change, &inner);
        }
        if (e != ERR_OK) {
            return err_why(why, e, "--member: %.480s", inner.text);
        }
    }
    return ERR_OK;
}

static enum err file_read(const struct mem *mem, const char *path, char **out,
                          size_t *size, struct why *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = mem_alloc(mem, MEMBERS_FILE_SIZE_MAX + 1);
    size_t have = 0;
    ssize_t got = -1;

    while (fd >= 0 && text != NULL && have <= MEMBERS_FILE_SIZE_MAX) {
        got = read(fd, text + have, MEMBERS_FILE_SIZE_MAX + 1 - have);
        if (got <= 0) {
            break;
        }
        have += (size_t)got;
    }
    enum err e = ERR_OK;

    if (fd < 0 || got < 0) {
        e = err_why(why, ERR_IO, "--members-file: cannot read %.300s: %s", path,
                    strerror(errno));
    } else if (have > MEMBERS_FILE_SIZE_MAX) {
        e = err_why(why, ERR_LIMIT,
                    "--members-file: %.300s is longer than %d bytes, the most "
                    "allowed",
                    path, MEMBERS_FILE_SIZE_MAX);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    if (e != ERR_OK) {
        mem_free(mem, text);
        return e;
    }
    *out = text;
    *size = have;
    return ERR_OK;
}

static enum err members_file_read(const struct mem *mem, const char *path,
                                  struct change_list *list, struct why *why)
{
    char *text = NULL;
    size_t size = 0;
    struct why inner = {""};
    enum err e = file_read(mem, path, &text, &size, why);

    if (e != ERR_OK) {
        return e;
    }
    e = roster_lines_read((struct slice){text, size}, list_add, list, &inner);
    mem_free(mem, text);
    if (e != ERR_OK) {
        return err_why(why, e, "--members-file %.100s: %.380s", path,
                       inner.text);
    }
    return ERR_OK;
}

/* ERR_OK with ringd->ring still NULL: the store is empty. */
static enum err store_read(struct ringd *ringd, struct why *why)
{
    const char *path = ringd->options->store;
    const char *cluster = ringd->options->cluster;
    char *text = NULL;
    size_t size = 0;
    struct why inner = {""};
    enum err e = ringd->store.get(ringd->store.context, &text, &size,
                                  &ringd->version, why);

    if (e != ERR_OK) {
        return e == ERR_UNKNOWN ? ERR_OK : e;
    }
    e = ring_read(ringd->env->mem, (struct slice){text, size}, &ringd->ring,
                  &inner);
    mem_free(ringd->env->mem, text);
    if (e != ERR_OK) {
        return err_why(why, e,
                       "the store %.100s holds no good ring and was left as "
                       "it is: %.200s. Repair it, or move it away to start "
                       "anew",
                       path, inner.text);
    }
    if (strcmp(ringd->ring->cluster, cluster) != 0) {
        return err_why(why, ERR_CONFLICT,
                       "the store %.100s is of cluster \"%s\", but --cluster "
                       "is \"%.80s\"; allowed is the same",
                       path, ringd->ring->cluster, cluster);
    }
    return ERR_OK;
}

/* What flags and file say is merged into what the store has; the store wins
 * where they are silent. */
static enum err members_merge(struct ringd *ringd, struct why *why)
{
    const struct ringd_options *options = ringd->options;
    const struct mem *mem = ringd->env->mem;
    struct change_list list = {
        .at = mem_alloc(mem, RING_MEMBERS_MAX * sizeof list.at[0])};
    struct ring *next = NULL;

    if (list.at == NULL) {
        return err_why(why, ERR_NOMEM, "no memory for the members");
    }
    enum err e = ERR_OK;

    if (options->members_file != NULL) {
        e = members_file_read(mem, options->members_file, &list, why);
    }
    if (e == ERR_OK) {
        e = flags_read(&options->member, &list, why);
    }
    if (e == ERR_OK) {
        e = roster_merge(mem, options->cluster, ringd->ring, list.at,
                         list.count, &next, why);
    }
    mem_free(mem, list.at);
    if (e != ERR_OK || next == NULL) {
        return e;
    }
    e = ring_commit(ringd, next, why);
    if (e != ERR_OK) {
        ring_unref(&next);
        return e;
    }
    ring_unref(&ringd->ring);
    ringd->ring = next;
    return ERR_OK;
}

static void on_tick(void *context)
{
    struct ringd *ringd = context;

    ring_publish(ringd);
    publish_tick(ringd->publish, env_monotonic_ms(ringd->env));
}

static enum err publish_begin(struct ringd *ringd, bool first, struct why *why)
{
    struct publish_options options = {
        .fence_timeout_ms = ringd->options->fence_timeout,
        .heartbeat_ms = ringd->options->heartbeat,
        .send = api_send,
        .drop = api_drop,
        .context = ringd,
    };
    enum err e = publish_create(&ringd->publish, ringd->env, &options);

    if (e == ERR_OK) {
        e = publish_ring(ringd->publish, ringd->ring, first,
                         env_monotonic_ms(ringd->env));
    }
    return e == ERR_OK ? e : err_why(why, e, "no memory to publish the ring");
}

static enum err ring_begin(struct ringd *ringd, struct why *why)
{
    enum err e = store_read(ringd, why);

    if (e != ERR_OK) {
        return e;
    }
    bool first = ringd->ring == NULL;

    e = members_merge(ringd, why);
    return e == ERR_OK ? publish_begin(ringd, first, why) : e;
}

static enum err http_begin(struct ringd *ringd, struct why *why)
{
    struct http_options options = {
        .address = ringd->options->listen,
        .routes = api_routes,
        .route_count = api_route_count,
        .context = ringd,
        .tick = on_tick,
    };

    return http_start(&ringd->http, ringd->env, &options, why);
}

enum err ringd_start(struct ringd **out, const struct env *env,
                     const struct ringd_options *options, struct why *why)
{
    struct ringd *ringd = mem_alloc_zeroed(env->mem, sizeof *ringd);

    if (ringd == NULL) {
        return err_why(why, ERR_NOMEM, "no memory to start");
    }
    ringd->env = env;
    ringd->options = options;
    enum err e = store_file_open(env->mem, options->store, &ringd->store, why);

    if (e == ERR_OK) {
        e = ring_begin(ringd, why);
    }
    if (e == ERR_OK) {
        /* Before the API can change what it tells. */
        LOG_NOTE(env->log, "ringd", "ring at start",
                 LOG_TEXT("cluster", ringd->ring->cluster),
                 LOG_TEXT("store", options->store),
                 LOG_U64("epoch", ringd->ring->epoch),
                 LOG_U64("members", ringd->ring->member_count));
        e = http_begin(ringd, why);
    }
    if (e != ERR_OK) {
        ringd_stop(&ringd);
        return e;
    }
    LOG_NOTE(env->log, "ringd", "serving",
             LOG_TEXT("listen", http_address(ringd->http)));
    *out = ringd;
    return ERR_OK;
}

void ringd_stop(struct ringd **ringd)
{
    struct ringd *gone = *ringd;

    *ringd = NULL;
    if (gone == NULL) {
        return;
    }
    if (gone->http != NULL) {
        http_stop(&gone->http);
    }
    publish_destroy(&gone->publish);
    ring_unref(&gone->ring);
    if (gone->store.close != NULL) {
        gone->store.close(gone->store.context);
    }
    mem_free(gone->env->mem, gone);
}
