/* api.c -- the HTTP API; proto/openapi.yaml says what each path does. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "ringd/api_json.h"
#include "ringd/ringd_inside.h"

#define TYPE_JSON   "application/json"
#define TYPE_NDJSON "application/x-ndjson"
#define TYPE_TEXT   "text/plain; charset=utf-8"
#define TYPE_METRIC "text/plain; version=0.0.4; charset=utf-8"

enum { METRICS_SIZE_MAX = 16 << 10 };

/* A watcher's connection, as publish.c holds it. */
struct watch {
    struct ringd *ringd;
    struct http_stream *stream;
};

static void json_answer(struct http_request *request, json_t *value)
{
    char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT);

    if (text != NULL) {
        http_answer(request, 200, TYPE_JSON, slice_of(text));
    } else {
        http_refuse(request, 503, "out of memory");
    }
    free(text); /* jansson's */
    json_decref(value);
}

static void refuse(struct http_request *request, enum err e,
                   const struct why *why)
{
    int status = 400;

    switch (e) {
    case ERR_NOMEM:
    case ERR_CONFLICT:
    case ERR_IO: status = 503; break;
    case ERR_LIMIT: status = 413; break;
    default: break;
    }
    http_refuse(request, status, "%s", why->text);
}

static void epoch_answer(struct ringd *ringd, struct http_request *request)
{
    json_answer(request, json_pack("{s:I}", "epoch",
                                   (json_int_t)ringd_ring(ringd)->epoch));
}

/* --- the ring ---------------------------------------------------------- */

void api_send(void *context, void *connection, struct slice line)
{
    struct watch *watch = connection;

    (void)context;
    http_stream_send(watch->stream, line);
}

void api_drop(void *context, void *connection)
{
    struct watch *watch = connection;

    (void)context;
    http_stream_end(watch->stream);
}

static void watch_ended(void *context)
{
    struct watch *watch = context;

    publish_unwatch(ringd_publish(watch->ringd), watch);
    mem_free(ringd_env(watch->ringd)->mem, watch);
}

struct wish {
    enum publish_role role;
    const char *name;
    uint64_t epoch;
};

static enum err wish_read(const struct http_request *request, struct wish *out,
                          struct why *why)
{
    const char *role = http_query(request, "role");
    const char *name = http_query(request, "name");
    const char *epoch = http_query(request, "epoch");

    *out =
        (struct wish){.role = PUBLISH_PLAIN, .name = name == NULL ? "" : name};
    if (role != NULL && !publish_role_find(role, &out->role)) {
        return err_why(why, ERR_SYNTAX,
                       "role is \"%.80s\"; allowed is \"shard\" or \"router\"",
                       role);
    }
    if (epoch != NULL &&
        !slice_read_u64(slice_of(epoch), RING_EPOCH_MAX, &out->epoch)) {
        return err_why(why, ERR_RANGE,
                       "epoch is \"%.80s\"; allowed is a number from 0 to %u",
                       epoch, RING_EPOCH_MAX);
    }
    if (strlen(out->name) > PUBLISH_NAME_SIZE_MAX) {
        return err_why(why, ERR_SYNTAX,
                       "name has %zu bytes; allowed are at most %d",
                       strlen(out->name), PUBLISH_NAME_SIZE_MAX);
    }
    return ERR_OK;
}

static void ring_watch(struct ringd *ringd, struct http_request *request)
{
    const struct env *env = ringd_env(ringd);
    struct wish wish;
    struct why why = {""};
    enum err e = wish_read(request, &wish, &why);

    if (e != ERR_OK) {
        refuse(request, e, &why);
        return;
    }
    struct watch *watch = mem_alloc_zeroed(env->mem, sizeof *watch);

    if (watch == NULL) {
        http_refuse(request, 503, "out of memory");
        return;
    }
    watch->ringd = ringd;
    watch->stream =
        http_answer_stream(request, TYPE_NDJSON, watch_ended, watch);
    if (watch->stream == NULL) {
        mem_free(env->mem, watch); /* 503 was sent */
        return;
    }
    e = publish_watch(ringd_publish(ringd), wish.role, wish.name,
                      (uint32_t)wish.epoch, watch, env_monotonic_ms(env), &why);
    if (e != ERR_OK) {
        LOG_WARNING(env->log, "api", "a watcher was sent away",
                    LOG_TEXT("why", why.text));
        http_stream_end(watch->stream);
    }
}

static void on_ring(void *context, struct http_request *request)
{
    struct ringd *ringd = context;
    const char *watch = http_query(request, "watch");

    if (watch != NULL && strcmp(watch, "0") != 0) {
        ring_watch(ringd, request);
    } else {
        http_answer(request, 200, TYPE_JSON,
                    publish_line(ringd_publish(ringd), PUBLISH_SHARD));
    }
}

static void on_ack(void *context, struct http_request *request)
{
    struct ringd *ringd = context;
    struct publish_answer answer;
    json_t *document = NULL;
    struct why why = {""};
    enum err e = api_answer_read(http_body(request), &answer, &document, &why);

    if (e == ERR_OK) {
        e = publish_ack(ringd_publish(ringd), &answer,
                        env_monotonic_ms(ringd_env(ringd)), &why);
        json_decref(document);
    }
    if (e == ERR_OK) {
        http_answer(request, 204, TYPE_JSON, SLICE(""));
    } else {
        refuse(request, e, &why);
    }
}

/* --- members and watchers ---------------------------------------------- */

static void on_members(void *context, struct http_request *request)
{
    struct ringd *ringd = context;

    json_answer(request,
                api_members_show(ringd_ring(ringd), ringd_publish(ringd)));
}

static void on_member_put(void *context, struct http_request *request)
{
    struct ringd *ringd = context;
    struct roster_change change;
    struct why why = {""};
    enum err e = api_change_read(http_body(request), &change, &why);

    if (e == ERR_OK) {
        e = ringd_change(ringd, &change, &why);
    }
    if (e == ERR_OK) {
        epoch_answer(ringd, request);
    } else {
        refuse(request, e, &why);
    }
}

static void on_member_delete(void *context, struct http_request *request)
{
    struct ringd *ringd = context;
    struct slice path = http_path(request);
    char name[RING_NAME_SIZE_MAX + 1] = "";
    struct why why = {""};

    if (path.size < sizeof name) {
        memcpy(name, path.at, path.size);
    }
    enum err e = ringd_remove(ringd, name, &why);

    if (e == ERR_OK) {
        epoch_answer(ringd, request);
    } else if (e == ERR_UNKNOWN) {
        http_refuse(request, 404, "there is no member \"%.*s\"",
                    (int)(path.size < 80 ? path.size : 80), path.at);
    } else {
        refuse(request, e, &why);
    }
}

static void on_watchers(void *context, struct http_request *request)
{
    struct ringd *ringd = context;

    json_answer(request, api_watchers_show(ringd_publish(ringd)));
}

/* --- health ------------------------------------------------------------ */

/* Alive and ready are one thing here: there is no serving without a committed
 * ring. */
static void on_health(void *context, struct http_request *request)
{
    (void)context;
    http_answer(request, 200, TYPE_TEXT, SLICE("ok\n"));
}

static void on_metrics(void *context, struct http_request *request)
{
    uint64_t values[RINGD_METRIC_COUNT];
    char page[METRICS_SIZE_MAX];
    struct text out;

    ringd_metrics(context, values);
    text_init(&out, page, sizeof page);
    metric_prometheus(&out, "ringd", ringd_metric_specs, values,
                      RINGD_METRIC_COUNT);
    http_answer(request, 200, TYPE_METRIC, text_slice(&out));
}

const struct http_route api_routes[] = {
    {HTTP_GET, "/v1/ring", on_ring},
    {HTTP_GET, "/ring", on_ring},
    {HTTP_POST, "/v1/ack", on_ack},
    {HTTP_GET, "/v1/members", on_members},
    {HTTP_POST, "/v1/members", on_member_put},
    {HTTP_DELETE, "/v1/members/", on_member_delete},
    {HTTP_GET, "/v1/watchers", on_watchers},
    {HTTP_GET, "/livez", on_health},
    {HTTP_GET, "/readyz", on_health},
    {HTTP_GET, "/metrics", on_metrics},
};

const size_t api_route_count = sizeof api_routes / sizeof api_routes[0];
