#include "net/http.h"

#include <event2/listener.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "net/http_inside.h"
#include "net/thread.h"

enum {
    HTTP_IDLE_S_MAX = 30, /* a connection without a request, or a slow one */
    HTTP_FLUSH_TURNS = 3,
};

static bool method_find(enum evhttp_cmd_type command, enum http_method *out)
{
    switch (command) {
    case EVHTTP_REQ_GET: *out = HTTP_GET; return true;
    case EVHTTP_REQ_POST: *out = HTTP_POST; return true;
    case EVHTTP_REQ_PUT: *out = HTTP_PUT; return true;
    case EVHTTP_REQ_DELETE: *out = HTTP_DELETE; return true;
    default: return false;
    }
}

/* How many bytes of path the route accounts for; 0: it is not this one. */
static size_t route_match(const struct http_route *route, struct slice path)
{
    struct slice own = slice_of(route->path);

    if (slice_equal(own, path)) {
        return own.size;
    }
    if (own.size > 0 && own.at[own.size - 1] == '/' && path.size > own.size &&
        memcmp(own.at, path.at, own.size) == 0) {
        return own.size;
    }
    return 0;
}

/* The longest match decides which paths are one resource; of those routes the
 * one of this method is returned, or NULL, with the methods there are. */
static const struct http_route *route_find(const struct http_server *server,
                                           struct slice path, bool method_known,
                                           enum http_method method,
                                           struct text *allowed)
{
    static const char *const names[] = {"GET", "POST", "PUT", "DELETE"};
    const struct http_route *found = NULL;
    size_t longest = 1;

    for (size_t i = 0; i < server->route_count; i++) {
        size_t size = route_match(&server->routes[i], path);

        longest = size > longest ? size : longest;
    }
    for (size_t i = 0; i < server->route_count; i++) {
        const struct http_route *route = &server->routes[i];

        if (route_match(route, path) != longest) {
            continue;
        }
        text_add(allowed, "%s%s", allowed->size > 0 ? ", " : "",
                 names[route->method]);
        if (method_known && route->method == method) {
            found = route;
        }
    }
    return found;
}

static void request_dispatch(struct http_request *request, struct slice path)
{
    struct http_server *server = request->server;
    char allowed_words[64];
    struct text allowed;
    enum http_method method = HTTP_GET;
    bool method_known =
        method_find(evhttp_request_get_command(request->raw), &method);

    text_init(&allowed, allowed_words, sizeof allowed_words);
    const struct http_route *route =
        route_find(server, path, method_known, method, &allowed);

    if (route != NULL) {
        bool prefix = route->path[strlen(route->path) - 1] == '/';
        size_t taken = prefix ? strlen(route->path) : 0;

        request->path = (struct slice){path.at + taken, path.size - taken};
        route->handle(server->context, request);
        check(request->answered);
    } else if (allowed.size > 0) {
        http_header_add(request->raw, "Allow", allowed_words);
        http_refuse(request, HTTP_BADMETHOD,
                    "this method is not allowed here: %s", allowed_words);
    } else {
        http_refuse(request, HTTP_NOTFOUND, "there is no %.*s here",
                    (int)(path.size < 128 ? path.size : 128), path.at);
    }
}

static void server_on_request(struct evhttp_request *raw, void *context)
{
    struct http_server *server = context;
    struct http_request request = {.server = server, .raw = raw};
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(raw);
    const char *query = evhttp_uri_get_query(uri);
    const char *path = evhttp_uri_get_path(uri);

    TAILQ_INIT(&request.query);
    if (query != NULL && query[0] != '\0' &&
        evhttp_parse_query_str(query, &request.query) != 0) {
        http_refuse(&request, HTTP_BADREQUEST,
                    "the query is malformed: want name=value&name=value");
    } else if (server->finishing) {
        http_refuse(&request, HTTP_SERVUNAVAIL, "the server is stopping");
    } else {
        bool empty = path == NULL || path[0] == '\0';

        request_dispatch(&request, slice_of(empty ? "/" : path));
    }
    evhttp_clear_headers(&request.query);
}

/* --- the thread -------------------------------------------------------- */

void http_post(struct http_server *server, void (*run)(void *context),
               void *context)
{
    struct http_post *post = mem_alloc(server->env->mem, sizeof *post);
    uint64_t one = 1;

    /* A post that is lost would be a change that nobody hears of; who cannot
     * have 32 bytes cannot go on. */
    check(post != NULL);
    *post = (struct http_post){.run = run, .context = context};
    pthread_mutex_lock(&server->mutex);
    STAILQ_INSERT_TAIL(&server->posts, post, next);
    pthread_mutex_unlock(&server->mutex);
    check(write(server->wake, &one, sizeof one) == (ssize_t)sizeof one);
}

static struct http_post *post_take(struct http_server *server)
{
    pthread_mutex_lock(&server->mutex);
    struct http_post *post = STAILQ_FIRST(&server->posts);

    if (post != NULL) {
        STAILQ_REMOVE_HEAD(&server->posts, next);
    }
    pthread_mutex_unlock(&server->mutex);
    return post;
}

static void server_on_post(evutil_socket_t handle, short what, void *context)
{
    struct http_server *server = context;
    struct http_post *post;
    uint64_t count;

    (void)what;
    (void)!read(handle, &count, sizeof count);
    while ((post = post_take(server)) != NULL) {
        post->run(post->context);
        mem_free(server->env->mem, post);
    }
}

static void server_on_reap(evutil_socket_t handle, short what, void *context)
{
    (void)handle;
    (void)what;
    http_streams_reap(context);
}

static void server_on_tick(evutil_socket_t handle, short what, void *context)
{
    struct http_server *server = context;

    (void)handle;
    (void)what;
    /* See server_on_accept_trouble. */
    (void)evconnlistener_enable(
        evhttp_bound_socket_get_listener(server->bound));
    if (server->tick != NULL) {
        server->tick(server->context);
    }
}

/* Out of file descriptors, mostly: the connection stays in the kernel's queue
 * and would wake us at once again, so accepting pauses until the next tick. */
static void server_on_accept_trouble(struct evconnlistener *listener,
                                     void *context)
{
    struct http_server *server = context;

    LOG_WARNING(
        server->env->log, "http", "cannot accept; pausing",
        LOG_TEXT("address", server->address),
        LOG_TEXT("why", evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR())));
    (void)evconnlistener_disable(listener);
}

/* Runs on the server's thread as its last post. */
static void server_finish(void *context)
{
    struct http_server *server = context;

    evhttp_del_accept_socket(server->evhttp, server->bound);
    (void)event_del(server->tick_event);
    server->finishing = true;
    http_streams_end(server);
    (void)event_base_loopbreak(server->base);
}

static void *server_run(void *context)
{
    struct http_server *server = context;

    thread_signals_block();
    (void)event_base_dispatch(server->base);
    /* The last chunks of streams and answers leave now or never. */
    for (int i = 0; i < HTTP_FLUSH_TURNS; i++) {
        (void)event_base_loop(server->base, EVLOOP_NONBLOCK);
    }
    return NULL;
}

/* --- start and stop ---------------------------------------------------- */

static bool server_prepare_events(struct http_server *server)
{
    static const struct timeval second = {.tv_sec = 1};

    server->tick_event =
        event_new(server->base, -1, EV_PERSIST, server_on_tick, server);
    server->post_event =
        event_new(server->base, server->wake, EV_READ | EV_PERSIST,
                  server_on_post, server);
    server->reap_event = event_new(server->base, -1, 0, server_on_reap, server);
    return server->tick_event != NULL && server->post_event != NULL &&
           server->reap_event != NULL &&
           event_add(server->tick_event, &second) == 0 &&
           event_add(server->post_event, NULL) == 0;
}

/* Everything but the socket and the thread.  What was made before a failure is
 * left for server_free. */
static bool server_prepare(struct http_server *server,
                           const struct http_options *options)
{
    const struct mem *mem = server->env->mem;

    server->routes =
        mem_alloc(mem, (options->route_count + 1) * sizeof *server->routes);
    server->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    server->base = event_base_new();
    if (server->routes == NULL || server->wake < 0 || server->base == NULL) {
        return false;
    }
    if (options->route_count > 0) {
        memcpy(server->routes, options->routes,
               options->route_count * sizeof *server->routes);
    }
    server->route_count = options->route_count;
    server->evhttp = evhttp_new(server->base);
    if (server->evhttp == NULL || !server_prepare_events(server)) {
        return false;
    }
    evhttp_set_timeout(server->evhttp, HTTP_IDLE_S_MAX);
    evhttp_set_max_body_size(server->evhttp, HTTP_BODY_SIZE_MAX);
    evhttp_set_max_headers_size(server->evhttp, HTTP_HEADERS_SIZE_MAX);
    evhttp_set_default_content_type(server->evhttp, NULL);
    /* All that libevent knows, so that the refusal is ours and says what is
     * allowed. */
    evhttp_set_allowed_methods(server->evhttp, UINT16_MAX);
    evhttp_set_gencb(server->evhttp, server_on_request, server);
    return true;
}

static void server_free(struct http_server *server)
{
    struct event *events[] = {server->tick_event, server->post_event,
                              server->reap_event};

    if (server->evhttp != NULL) {
        evhttp_free(server->evhttp);
    }
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (events[i] != NULL) {
            event_free(events[i]);
        }
    }
    if (server->base != NULL) {
        event_base_free(server->base);
    }
    if (server->wake >= 0) {
        (void)close(server->wake);
    }
    pthread_mutex_destroy(&server->mutex);
    server->magic = MAGIC_DEAD;
    mem_free(server->env->mem, server->routes);
    mem_free(server->env->mem, server);
}

static enum err server_open(struct http_server *server, const char *address,
                            struct why *why)
{
    int handle;
    enum err e = http_listen(address, &handle, server->address, why);

    if (e != ERR_OK) {
        return e;
    }
    server->bound = evhttp_accept_socket_with_handle(server->evhttp, handle);
    if (server->bound == NULL) {
        (void)close(handle);
        return err_why(why, ERR_IO, "cannot listen on \"%s\"", address);
    }
    evconnlistener_set_error_cb(evhttp_bound_socket_get_listener(server->bound),
                                server_on_accept_trouble);
    if (pthread_create(&server->thread, NULL, server_run, server) != 0) {
        return err_why(why, ERR_IO, "cannot start a thread for \"%s\"",
                       address);
    }
    return ERR_OK;
}

enum err http_start(struct http_server **out, const struct env *env,
                    const struct http_options *options, struct why *why)
{
    struct http_server *server = mem_alloc_zeroed(env->mem, sizeof *server);

    if (server == NULL) {
        return err_why(why, ERR_NOMEM, "out of memory for \"%s\"",
                       options->address);
    }
    server->magic = HTTP_SERVER_MAGIC;
    server->env = env;
    server->context = options->context;
    server->tick = options->tick;
    server->wake = -1;
    TAILQ_INIT(&server->streams);
    TAILQ_INIT(&server->endings);
    STAILQ_INIT(&server->posts);
    (void)pthread_mutex_init(&server->mutex, NULL);
    enum err e = ERR_OK;

    if (!server_prepare(server, options)) {
        e = err_why(why, ERR_NOMEM, "no memory or file handle for \"%s\"",
                    options->address);
    }
    if (e == ERR_OK) {
        e = server_open(server, options->address, why);
    }
    if (e != ERR_OK) {
        server_free(server);
        return e;
    }
    *out = server;
    return ERR_OK;
}

void http_stop(struct http_server **server)
{
    if (*server == NULL) {
        return;
    }
    check((*server)->magic == HTTP_SERVER_MAGIC);
    http_post(*server, server_finish, *server);
    (void)pthread_join((*server)->thread, NULL);
    server_free(*server);
    *server = NULL;
}

const char *http_address(const struct http_server *server)
{
    return server->address;
}
