/* The HTTP server over real sockets on loopback: routes, refusals, streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/http.h"
#include "support/patience.h"

enum { ANSWER_SIZE_MAX = 64 << 10, WATCHERS_MAX = HTTP_STREAMS_MAX + 8 };

struct site;

struct watcher {
    struct site *site;
    struct http_stream *stream;
    atomic_int ended;
};

struct site {
    struct env env;
    struct http_server *server;
    struct watcher *watchers;
    atomic_size_t watcher_count;
    atomic_int ended_count;
    atomic_int ticks;
    atomic_int posts;
    atomic_bool wrong_thread;
    pthread_t thread; /* of the server, as the first handler saw it */
    bool thread_known;
};

/* Runs on the server's thread only. */
static void thread_note(struct site *site)
{
    if (!site->thread_known) {
        site->thread = pthread_self();
        site->thread_known = true;
    }
    if (!pthread_equal(site->thread, pthread_self())) {
        atomic_store(&site->wrong_thread, true);
    }
}

static void on_hello(void *context, struct http_request *request)
{
    thread_note(context);
    http_answer(request, 200, "text/plain", SLICE("hello\n"));
}

static void on_path(void *context, struct http_request *request)
{
    (void)context;
    http_answer(request, 200, "text/plain", http_path(request));
}

static void on_exact(void *context, struct http_request *request)
{
    (void)context;
    http_answer(request, 200, "text/plain", SLICE("exact"));
}

static void on_query(void *context, struct http_request *request)
{
    const char *name = http_query(request, "name");

    (void)context;
    http_answer(request, 200, "text/plain",
                name == NULL ? SLICE("none") : slice_of(name));
}

static void on_echo(void *context, struct http_request *request)
{
    (void)context;
    http_answer(request, 201, "application/json", http_body(request));
}

static void on_refuse(void *context, struct http_request *request)
{
    (void)context;
    http_refuse(request, 409, "odd: %s", "\"quoted\" \\ \n \xff end");
}

static void on_ended(void *context)
{
    struct watcher *watcher = context;

    thread_note(watcher->site);
    watcher->stream = NULL;
    atomic_fetch_add(&watcher->ended, 1);
    atomic_fetch_add(&watcher->site->ended_count, 1);
}

static void on_watch(void *context, struct http_request *request)
{
    struct site *site = context;
    size_t count = atomic_load(&site->watcher_count);
    struct watcher *watcher = &site->watchers[count];

    check(count < WATCHERS_MAX);
    watcher->site = site;
    watcher->stream =
        http_answer_stream(request, "application/x-ndjson", on_ended, watcher);
    if (watcher->stream != NULL) {
        http_stream_send(watcher->stream, SLICE("first\n"));
        atomic_store(&site->watcher_count, count + 1);
    }
}

static void on_tick(void *context)
{
    struct site *site = context;

    thread_note(site);
    atomic_fetch_add(&site->ticks, 1);
}

static void site_open(struct site *site)
{
    static const struct http_route routes[] = {
        {HTTP_GET, "/hello", on_hello},       {HTTP_POST, "/hello", on_echo},
        {HTTP_GET, "/items/", on_path},       {HTTP_DELETE, "/items/", on_path},
        {HTTP_GET, "/items/exact", on_exact}, {HTTP_GET, "/query", on_query},
        {HTTP_PUT, "/echo", on_echo},         {HTTP_GET, "/refuse", on_refuse},
        {HTTP_GET, "/watch", on_watch},
    };
    const struct http_options options = {
        .address = "127.0.0.1:0",
        .routes = routes,
        .route_count = sizeof routes / sizeof routes[0],
        .context = site,
        .tick = on_tick,
    };
    struct why why = {""};

    memset(site, 0, sizeof *site);
    site->watchers = calloc(WATCHERS_MAX, sizeof *site->watchers);
    assert_non_null(site->watchers);
    env_system(&site->env);
    enum err e = http_start(&site->server, &site->env, &options, &why);

    if (e != ERR_OK) {
        fail_msg("%s", why.text);
    }
}

static void site_close(struct site *site)
{
    http_stop(&site->server);
    assert_null(site->server);
    assert_false(atomic_load(&site->wrong_thread));
    free(site->watchers);
}

/* --- a client that sees every byte -------------------------------------- */

static int dial(const struct site *site)
{
    const char *address = http_address(site->server);
    const struct timeval patience = {.tv_sec = 5};
    struct sockaddr_in at = {.sin_family = AF_INET};
    int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(handle >= 0);
    assert_int_equal(strncmp(address, "127.0.0.1:", 10), 0);
    at.sin_port = htons((uint16_t)strtoul(address + 10, NULL, 10));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(handle, SOL_SOCKET, SO_RCVTIMEO, &patience,
                     sizeof patience);
    assert_int_equal(connect(handle, (struct sockaddr *)&at, sizeof at), 0);
    return handle;
}

static void say(int handle, const char *at, size_t size)
{
    /* The server may hang up before it has heard all of it. */
    while (size > 0) {
        ssize_t taken = send(handle, at, size, MSG_NOSIGNAL);

        if (taken < 0) {
            return;
        }
        at += taken;
        size -= (size_t)taken;
    }
}

/* Until the peer closes, or until needle has been seen. */
static void hear(int handle, char out[ANSWER_SIZE_MAX], const char *needle)
{
    size_t size = 0;

    out[0] = '\0';
    while (size < ANSWER_SIZE_MAX - 1) {
        ssize_t got = recv(handle, out + size, ANSWER_SIZE_MAX - 1 - size, 0);

        if (got <= 0) {
            return;
        }
        size += (size_t)got;
        out[size] = '\0';
        if (needle != NULL && strstr(out, needle) != NULL) {
            return;
        }
    }
}

static void ask(const struct site *site, const char *words,
                char out[ANSWER_SIZE_MAX])
{
    char request[1024];
    int size =
        snprintf(request, sizeof request,
                 "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", words);
    int handle = dial(site);

    say(handle, request, (size_t)size);
    hear(handle, out, NULL);
    (void)close(handle);
}

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in \"%.400s\"", part, text);
    }
}

static int watch(const struct site *site)
{
    char answer[ANSWER_SIZE_MAX];
    int handle = dial(site);
    static const char request[] = "GET /watch HTTP/1.1\r\nHost: x\r\n\r\n";

    say(handle, request, sizeof request - 1);
    hear(handle, answer, "first\n");
    assert_has(answer, "first\n");
    assert_has(answer, "Transfer-Encoding: chunked");
    return handle;
}

/* --- tests -------------------------------------------------------------- */

static void requests_find_their_routes(void **state)
{
    static const struct {
        const char *request, *status, *body;
    } cases[] = {
        {"GET /hello", "HTTP/1.1 200", "\r\n\r\nhello\n"},
        {"GET /hello?x=1", "HTTP/1.1 200", "\r\n\r\nhello\n"},
        {"GET /items/a-1.b", "HTTP/1.1 200", "\r\n\r\na-1.b"},
        {"DELETE /items/a/b", "HTTP/1.1 200", "\r\n\r\na/b"},
        {"GET /items/exact", "HTTP/1.1 200", "\r\n\r\nexact"},
        {"GET /query?name=a%20b+c&y=2", "HTTP/1.1 200", "\r\n\r\na b c"},
        {"GET /query?other=1", "HTTP/1.1 200", "\r\n\r\nnone"},
        {"GET /query", "HTTP/1.1 200", "\r\n\r\nnone"},
    };
    char answer[ANSWER_SIZE_MAX];
    struct site site;

    (void)state;
    site_open(&site);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(&site, cases[i].request, answer);
        assert_has(answer, cases[i].status);
        assert_has(answer, cases[i].body);
    }
    site_close(&site);
}

static void what_is_not_served_is_refused_in_json(void **state)
{
    static const struct {
        const char *request, *status, *part;
    } cases[] = {
        {"GET /nothing", " 404 ", "{\"error\": \"there is no /nothing here\"}"},
        {"GET /hell", " 404 ", "{\"error\""},
        {"GET /hello/", " 404 ", "{\"error\""},
        {"GET /", " 404 ", "{\"error\""},
        {"GET /%22", " 404 ", "{\"error\": \"there is no /%22 here\"}"},
        {"PUT /hello", " 405 ", "Allow: GET, POST\r\n"},
        {"DELETE /hello", " 405 ", "{\"error\": \"this method"},
        {"PATCH /hello", " 405 ", "{\"error\": \"this method"},
        {"OPTIONS /hello", " 405 ", "{\"error\": \"this method"},
        {"HEAD /hello", " 405 ", "Allow: GET, POST\r\n"},
        {"PUT /items/exact", " 405 ", "Allow: GET\r\n"},
        {"GET /query?name", " 400 ", "{\"error\": \"the query is malformed"},
        {"GET /refuse", " 409 ",
         "{\"error\": \"odd: \\\"quoted\\\" \\\\ \\u000a \\u00ff end\"}"},
    };
    char answer[ANSWER_SIZE_MAX];
    struct site site;

    (void)state;
    site_open(&site);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(&site, cases[i].request, answer);
        assert_has(answer, cases[i].status);
        assert_has(answer, cases[i].part);
    }
    site_close(&site);
}

static void a_connection_serves_several_requests(void **state)
{
    static const char two[] = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
                              "GET /items/second HTTP/1.1\r\nHost: x\r\n\r\n";
    char answer[ANSWER_SIZE_MAX];
    struct site site;

    (void)state;
    site_open(&site);
    int handle = dial(&site);

    say(handle, two, sizeof two - 1);
    hear(handle, answer, "second");
    assert_has(answer, "hello\n");
    assert_has(answer, "second");
    (void)close(handle);
    site_close(&site);
}

static void a_body_arrives_whole_whatever_its_pieces(void **state)
{
    static const char head[] =
        "PUT /echo HTTP/1.1\r\nHost: x\r\n"
        "Content-Length: 10\r\nConnection: close\r\n\r\n";
    char answer[ANSWER_SIZE_MAX];
    struct site site;

    (void)state;
    site_open(&site);
    int handle = dial(&site);

    say(handle, head, sizeof head - 1);
    for (int i = 0; i < 10; i++) {
        say(handle, &"0123456789"[i], 1);
    }
    hear(handle, answer, NULL);
    assert_has(answer, " 201 ");
    assert_has(answer, "\r\n\r\n0123456789");
    (void)close(handle);
    site_close(&site);
}

static void what_is_too_large_is_refused_and_the_server_lives(void **state)
{
    char answer[ANSWER_SIZE_MAX];
    char head[256];
    static char filler[HTTP_HEADERS_SIZE_MAX + 1024];
    struct site site;

    (void)state;
    site_open(&site);
    int handle = dial(&site);
    int size = snprintf(head, sizeof head,
                        "PUT /echo HTTP/1.1\r\nHost: x\r\n"
                        "Content-Length: %d\r\n\r\n",
                        HTTP_BODY_SIZE_MAX + 1);

    say(handle, head, (size_t)size);
    hear(handle, answer, NULL);
    assert_has(answer, " 413 ");
    (void)close(handle);

    handle = dial(&site);
    memset(filler, 'x', sizeof filler);
    say(handle, "GET /hello HTTP/1.1\r\nX: ", 24);
    say(handle, filler, sizeof filler);
    hear(handle, answer, NULL);
    assert_null(strstr(answer, " 200 "));
    (void)close(handle);

    ask(&site, "GET /hello", answer);
    assert_has(answer, "hello\n");
    site_close(&site);
}

static void garbage_is_not_obeyed(void **state)
{
    static const char *const rubbish[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "get hello\r\n",
        "GET /hello\r\n\r\n",
        "GET /hello HTTP/9.9\r\n\r\n",
        "BREW /hello HTTP/1.1\r\n\r\n",
        "PUT /echo HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "PUT /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    };
    char answer[ANSWER_SIZE_MAX];
    struct site site;

    (void)state;
    site_open(&site);
    for (size_t i = 0; i < sizeof rubbish / sizeof rubbish[0]; i++) {
        int handle = dial(&site);

        say(handle, rubbish[i], strlen(rubbish[i]));
        (void)shutdown(handle, SHUT_WR);
        hear(handle, answer, NULL);
        assert_null(strstr(answer, " 200 "));
        assert_null(strstr(answer, " 201 "));
        (void)close(handle);
    }
    ask(&site, "GET /hello", answer);
    assert_has(answer, "hello\n");
    site_close(&site);
}

static void send_to_all(void *context)
{
    struct site *site = context;
    size_t count = atomic_load(&site->watcher_count);

    for (size_t i = 0; i < count; i++) {
        if (site->watchers[i].stream != NULL) {
            http_stream_send(site->watchers[i].stream, SLICE("news\n"));
        }
    }
    atomic_fetch_add(&site->posts, 1);
}

static void end_all(void *context)
{
    struct site *site = context;
    size_t count = atomic_load(&site->watcher_count);

    for (size_t i = 0; i < count; i++) {
        if (site->watchers[i].stream != NULL) {
            http_stream_end(site->watchers[i].stream);
            http_stream_end(site->watchers[i].stream);
            http_stream_send(site->watchers[i].stream, SLICE("too late\n"));
        }
    }
}

static void a_stream_carries_what_is_sent_until_it_is_ended(void **state)
{
    char answer[ANSWER_SIZE_MAX];
    struct site site;

    (void)state;
    site_open(&site);
    int one = watch(&site);
    int two = watch(&site);

    http_post(site.server, send_to_all, &site);
    hear(one, answer, "news\n");
    assert_has(answer, "news\n");
    hear(two, answer, "news\n");
    assert_has(answer, "news\n");
    http_post(site.server, end_all, &site);
    hear(one, answer, NULL);
    assert_has(answer, "0\r\n\r\n");
    assert_null(strstr(answer, "too late"));
    hear(two, answer, NULL);
    assert_true(eventually(atomic_load(&site.ended_count) == 2));
    (void)close(one);
    (void)close(two);
    site_close(&site);
    assert_int_equal(atomic_load(&site.ended_count), 2);
}

static void a_stream_ends_once_when_its_peer_goes(void **state)
{
    struct site site;

    (void)state;
    site_open(&site);
    int one = watch(&site);
    int two = watch(&site);
    const struct linger reset = {.l_onoff = 1};

    (void)close(one);
    assert_true(eventually(atomic_load(&site.ended_count) == 1));
    (void)setsockopt(two, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    (void)close(two);
    assert_true(eventually(atomic_load(&site.ended_count) == 2));
    http_post(site.server, send_to_all, &site);
    assert_true(eventually(atomic_load(&site.posts) == 1));
    site_close(&site);
    assert_int_equal(atomic_load(&site.ended_count), 2);
}

static void what_a_watcher_says_is_not_hoarded(void **state)
{
    static char noise[1 << 20];
    char answer[ANSWER_SIZE_MAX];
    const struct timeval moment = {.tv_usec = 100000};
    struct site site;
    ssize_t sent = 0;

    (void)state;
    site_open(&site);
    int handle = watch(&site);

    /* The kernel's buffers take some; the server must not take the rest. */
    (void)setsockopt(handle, SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof moment);
    for (int i = 0; i < 64; i++) {
        ssize_t taken = send(handle, noise, sizeof noise, MSG_NOSIGNAL);

        if (taken <= 0) {
            break;
        }
        sent += taken;
    }
    assert_true(sent < (32 << 20));
    http_post(site.server, send_to_all, &site);
    hear(handle, answer, "news\n");
    assert_has(answer, "news\n");
    (void)close(handle);
    site_close(&site);
}

static void flood(void *context)
{
    static char block[1 << 20];
    struct site *site = context;

    memset(block, 'b', sizeof block);
    for (int i = 0; i < 64; i++) {
        for (size_t w = 0; w < atomic_load(&site->watcher_count); w++) {
            /* Must stay usable for the whole walk, cut off or not. */
            check(site->watchers[w].stream != NULL);
            http_stream_send(site->watchers[w].stream,
                             (struct slice){block, sizeof block});
        }
    }
    atomic_fetch_add(&site->posts, 1);
}

static void a_watcher_too_far_behind_is_cut_off(void **state)
{
    char answer[ANSWER_SIZE_MAX];
    struct site site;

    (void)state;
    site_open(&site);
    int slow = watch(&site);

    http_post(site.server, flood, &site);
    assert_true(eventually(atomic_load(&site.ended_count) == 1));
    assert_int_equal(atomic_load(&site.posts), 1);
    ask(&site, "GET /hello", answer);
    assert_has(answer, "hello\n");
    (void)close(slow);
    site_close(&site);
}

static void one_stream_too_many_is_told_to_come_back(void **state)
{
    const struct rlimit handles = {.rlim_cur = 2 * WATCHERS_MAX + 256,
                                   .rlim_max = 2 * WATCHERS_MAX + 256};
    static int peers[HTTP_STREAMS_MAX];
    char answer[ANSWER_SIZE_MAX];
    struct rlimit now;
    struct site site;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
    if (now.rlim_cur < handles.rlim_cur &&
        setrlimit(RLIMIT_NOFILE, &handles) != 0) {
        skip();
    }
    site_open(&site);
    for (int i = 0; i < HTTP_STREAMS_MAX; i++) {
        peers[i] = watch(&site);
    }
    ask(&site, "GET /watch", answer);
    assert_has(answer, " 503 ");
    assert_has(answer, "{\"error\"");
    (void)close(peers[0]);
    assert_true(eventually(atomic_load(&site.ended_count) == 1));
    peers[0] = watch(&site);
    for (int i = 0; i < HTTP_STREAMS_MAX; i++) {
        (void)close(peers[i]);
    }
    site_close(&site);
    assert_int_equal(atomic_load(&site.ended_count), HTTP_STREAMS_MAX + 1);
}

static void count_post(void *context)
{
    struct site *site = context;

    thread_note(site);
    atomic_fetch_add(&site->posts, 1);
}

static void *post_many(void *context)
{
    struct site *site = context;

    for (int i = 0; i < 1000; i++) {
        http_post(site->server, count_post, site);
    }
    return NULL;
}

static void posts_of_many_threads_run_on_the_server_s_own(void **state)
{
    pthread_t threads[4];
    struct site site;

    (void)state;
    site_open(&site);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &site),
                         0);
    }
    for (int i = 0; i < 4; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    assert_true(eventually(atomic_load(&site.posts) == 4000));
    site_close(&site);
}

static void a_stop_ends_streams_and_runs_what_was_posted(void **state)
{
    char answer[ANSWER_SIZE_MAX];
    struct site site;

    (void)state;
    site_open(&site);
    int one = watch(&site);
    int two = watch(&site);

    http_post(site.server, send_to_all, &site);
    http_stop(&site.server);
    assert_int_equal(atomic_load(&site.posts), 1);
    assert_int_equal(atomic_load(&site.ended_count), 2);
    hear(one, answer, NULL);
    assert_has(answer, "news\n");
    assert_has(answer, "0\r\n\r\n");
    (void)close(one);
    (void)close(two);
    site_close(&site);
}

static void the_tick_comes_about_once_a_second(void **state)
{
    struct site site;

    (void)state;
    site_open(&site);
    assert_true(eventually(atomic_load(&site.ticks) >= 1));
    site_close(&site);
    assert_true(atomic_load(&site.ticks) <= 3);
}

static void an_address_that_cannot_be_had_is_named(void **state)
{
    const char *const wrong[] = {
        "127.0.0.1", "127.0.0.1:70000", "::1:80", "unix:/tmp/x", "", NULL};
    struct http_options options = {.address = NULL};
    struct http_server *server = NULL;
    struct site site;
    struct why why;

    (void)state;
    site_open(&site);
    for (size_t i = 0; wrong[i] != NULL; i++) {
        options.address = wrong[i];
        why.text[0] = '\0';
        assert_int_not_equal(http_start(&server, &site.env, &options, &why),
                             ERR_OK);
        assert_null(server);
        assert_has(why.text, wrong[i]);
    }
    options.address = http_address(site.server);
    assert_int_equal(http_start(&server, &site.env, &options, &why), ERR_IO);
    assert_has(why.text, options.address);
    assert_has(why.text, "in use");
    site_close(&site);
}

static void no_memory_at_start_leaks_nothing(void **state)
{
    const struct http_options options = {.address = "127.0.0.1:0"};
    struct http_server *server = NULL;
    struct mem_faulty faulty;
    struct env env;
    enum err e = ERR_NOMEM;

    (void)state;
    env_system(&env);
    mem_faulty_init(&faulty, mem_system());
    env.mem = &faulty.mem;
    for (int64_t n = 0; e == ERR_NOMEM; n++) {
        faulty.fail_in = n;
        e = http_start(&server, &env, &options, NULL);
        assert_true(e == ERR_OK || faulty.allocated == 0);
    }
    assert_int_equal(e, ERR_OK);
    faulty.fail_in = -1;
    http_stop(&server);
    assert_int_equal(faulty.allocated, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_find_their_routes),
        cmocka_unit_test(what_is_not_served_is_refused_in_json),
        cmocka_unit_test(a_connection_serves_several_requests),
        cmocka_unit_test(a_body_arrives_whole_whatever_its_pieces),
        cmocka_unit_test(what_is_too_large_is_refused_and_the_server_lives),
        cmocka_unit_test(garbage_is_not_obeyed),
        cmocka_unit_test(a_stream_carries_what_is_sent_until_it_is_ended),
        cmocka_unit_test(a_stream_ends_once_when_its_peer_goes),
        cmocka_unit_test(what_a_watcher_says_is_not_hoarded),
        cmocka_unit_test(a_watcher_too_far_behind_is_cut_off),
        cmocka_unit_test(one_stream_too_many_is_told_to_come_back),
        cmocka_unit_test(posts_of_many_threads_run_on_the_server_s_own),
        cmocka_unit_test(a_stop_ends_streams_and_runs_what_was_posted),
        cmocka_unit_test(the_tick_comes_about_once_a_second),
        cmocka_unit_test(an_address_that_cannot_be_had_is_named),
        cmocka_unit_test(no_memory_at_start_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
