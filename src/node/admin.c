#include "node/admin.h"

#include "base/mem.h"
#include "net/http.h"

enum { METRICS_SIZE_MAX = 1 << 20 };

#define TEXT_PLAIN "text/plain; charset=utf-8"

struct admin {
    const struct env *env;
    struct admin_options options;
    struct http_server *http;
};

static void admin_live(void *context, struct http_request *request)
{
    (void)context;
    http_answer(request, 200, TEXT_PLAIN, SLICE("ok\n"));
}

static void admin_ready(void *context, struct http_request *request)
{
    struct admin *admin = context;
    struct why why = {0};

    if (admin->options.ready(admin->options.context, &why)) {
        http_answer(request, 200, TEXT_PLAIN, SLICE("ok\n"));
    } else {
        http_refuse(request, 503, "not ready: %s", why.text);
    }
}

static void admin_metrics(void *context, struct http_request *request)
{
    struct admin *admin = context;
    char *room = mem_alloc(admin->env->mem, METRICS_SIZE_MAX);
    struct text text;

    if (room == NULL) {
        http_refuse(request, 503, "no memory for the page");
        return;
    }
    text_init(&text, room, METRICS_SIZE_MAX);
    admin->options.metrics(admin->options.context, &text);
    http_answer(request, 200, "text/plain; version=0.0.4; charset=utf-8",
                text_slice(&text));
    mem_free(admin->env->mem, room);
}

static void admin_ring(void *context, struct http_request *request)
{
    struct admin *admin = context;
    struct ring *ring = admin->options.ring(admin->options.context);
    char *json;
    size_t size;

    if (ring == NULL) {
        http_refuse(request, 404, "no ring in force here");
        return;
    }
    if (ring_write(ring, &json, &size) == ERR_OK) {
        http_answer(request, 200, "application/json",
                    (struct slice){json, size});
        mem_free(ring->mem, json);
    } else {
        http_refuse(request, 503, "no memory for the ring document");
    }
    ring_unref(&ring);
}

enum err admin_start(struct admin **out, const struct env *env,
                     const struct admin_options *options, struct why *why)
{
    static const struct http_route routes[] = {
        {HTTP_GET, "/livez", admin_live},
        {HTTP_GET, "/readyz", admin_ready},
        {HTTP_GET, "/metrics", admin_metrics},
        {HTTP_GET, "/ring", admin_ring},
    };

    if (options->address[0] == '\0') {
        return ERR_OK;
    }
    struct admin *admin = mem_alloc_zeroed(env->mem, sizeof *admin);

    if (admin == NULL) {
        return err_why(why, ERR_NOMEM, "no memory for the admin page");
    }
    admin->env = env;
    admin->options = *options;
    struct http_options http = {
        .address = options->address,
        .routes = routes,
        .route_count = sizeof routes / sizeof routes[0],
        .context = admin,
    };
    enum err e = http_start(&admin->http, env, &http, why);

    if (e != ERR_OK) {
        mem_free(env->mem, admin);
        return e;
    }
    *out = admin;
    return ERR_OK;
}

void admin_stop(struct admin **admin)
{
    if (*admin == NULL) {
        return;
    }
    http_stop(&(*admin)->http);
    mem_free((*admin)->env->mem, *admin);
    *admin = NULL;
}

const char *admin_address(const struct admin *admin)
{
    return admin != NULL ? http_address(admin->http) : "";
}
