/* Streams of the HTTP server over real sockets on loopback, and what other
 * threads post to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "base/check.h"
#include "net/http.h"
#include "support/patience.h"
#include "unit/net/http_peer.h"

enum { WATCHERS_MAX = HTTP_STREAMS_MAX + 8 };

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

static void site_open(struct site *site)
{
    static const struct http_route routes[] = {
        {HTTP_GET, "/hello", on_hello},
        {HTTP_GET, "/watch", on_watch},
    };
    const struct http_options options = {
        .address = "127.0.0.1:0",
        .routes = routes,
        .route_count = sizeof routes / sizeof routes[0],
        .context = site,
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

static int watch(const struct site *site)
{
    char answer[ANSWER_SIZE_MAX];
    int handle = dial(http_address(site->server));
    static const char request[] = "GET /watch HTTP/1.1\r\nHost: x\r\n\r\n";

    say(handle, request, sizeof request - 1);
    hear(handle, answer, "first\n");
    assert_has(answer, "first\n");
    assert_has(answer, "Transfer-Encoding: chunked");
    return handle;
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
    ask(http_address(site.server), "GET /hello", answer);
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
    ask(http_address(site.server), "GET /watch", answer);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_carries_what_is_sent_until_it_is_ended),
        cmocka_unit_test(a_stream_ends_once_when_its_peer_goes),
        cmocka_unit_test(what_a_watcher_says_is_not_hoarded),
        cmocka_unit_test(a_watcher_too_far_behind_is_cut_off),
        cmocka_unit_test(one_stream_too_many_is_told_to_come_back),
        cmocka_unit_test(posts_of_many_threads_run_on_the_server_s_own),
        cmocka_unit_test(a_stop_ends_streams_and_runs_what_was_posted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
