/* The HTTP client against the HTTP server: a stream that breaks, hangs up, says
 * too much or nothing is opened again, and nobody waits for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "net/fetch.h"
#include "net/http.h"
#include "support/patience.h"
#include "unit/net/http_peer.h"

enum { TEXT_SIZE_MAX = 1024 };

/* A text that one thread writes and another reads. */
struct record {
    pthread_mutex_t mutex;
    char text[TEXT_SIZE_MAX];
};

static void record_add(struct record *record, struct slice bytes)
{
    pthread_mutex_lock(&record->mutex);
    size_t size = strlen(record->text);

    if (size + bytes.size + 2 <= TEXT_SIZE_MAX) {
        memcpy(record->text + size, bytes.at, bytes.size);
        record->text[size + bytes.size] = '|';
        record->text[size + bytes.size + 1] = '\0';
    }
    pthread_mutex_unlock(&record->mutex);
}

static bool record_has(struct record *record, const char *part)
{
    pthread_mutex_lock(&record->mutex);
    bool has = strstr(record->text, part) != NULL;

    pthread_mutex_unlock(&record->mutex);
    return has;
}

/* --- a server that does what a test wants ------------------------------- */

struct site {
    struct env env;
    struct http_server *server;
    struct http_stream *stream; /* the last; on the server's thread */
    atomic_int opened, ended;
    atomic_int status; /* of /watch; 200: a stream */
    struct record posts, queries;
    _Atomic(const char *) greeting;
};

static void on_ended(void *context)
{
    struct site *site = context;

    site->stream = NULL;
    atomic_fetch_add(&site->ended, 1);
}

static void on_watch(void *context, struct http_request *request)
{
    struct site *site = context;
    const char *query = http_query(request, "try");
    int status = atomic_load(&site->status);

    record_add(&site->queries, slice_of(query == NULL ? "?" : query));
    if (status != 200) {
        http_refuse(request, status, "not now");
    } else {
        site->stream =
            http_answer_stream(request, "application/x-ndjson", on_ended, site);
        http_stream_send(site->stream, slice_of(atomic_load(&site->greeting)));
    }
    atomic_fetch_add(&site->opened, 1);
}

static void on_ack(void *context, struct http_request *request)
{
    struct site *site = context;

    record_add(&site->posts, http_body(request));
    http_answer(request, 200, "application/json", SLICE("{}"));
}

static void site_open(struct site *site)
{
    static const struct http_route routes[] = {
        {HTTP_GET, "/watch", on_watch},
        {HTTP_POST, "/v1/ack", on_ack},
    };
    const struct http_options options = {
        .address = "127.0.0.1:0",
        .routes = routes,
        .route_count = sizeof routes / sizeof routes[0],
        .context = site,
    };

    memset(site, 0, sizeof *site);
    env_system(&site->env);
    (void)pthread_mutex_init(&site->posts.mutex, NULL);
    (void)pthread_mutex_init(&site->queries.mutex, NULL);
    atomic_store(&site->status, 200);
    atomic_store(&site->greeting, "up\n");
    assert_int_equal(http_start(&site->server, &site->env, &options, NULL),
                     ERR_OK);
}

static void site_close(struct site *site)
{
    http_stop(&site->server);
    pthread_mutex_destroy(&site->posts.mutex);
    pthread_mutex_destroy(&site->queries.mutex);
}

static void site_end_stream(void *context)
{
    struct site *site = context;

    if (site->stream != NULL) {
        http_stream_end(site->stream);
    }
}

struct saying {
    struct site *site;
    const char *words;
};

static void site_say(void *context)
{
    const struct saying *saying = context;

    if (saying->site->stream != NULL) {
        http_stream_send(saying->site->stream, slice_of(saying->words));
    }
}

/* --- a client that writes down what it hears ---------------------------- */

struct guest {
    struct env env;
    struct fetch *fetch;
    struct record lines, states;
    atomic_int line_count, up_count, down_count, url_count;
    atomic_uint_fast64_t ahead_ns; /* how far its clock is ahead */
    const char *ack;               /* posted at each line, or NULL */
};

static uint64_t guest_monotonic_ns(void *context)
{
    struct guest *guest = context;
    struct env real;

    env_system(&real);
    return real.monotonic_ns(real.context) + atomic_load(&guest->ahead_ns);
}

static void guest_random(void *context, void *out, size_t size)
{
    struct env real;

    (void)context;
    env_system(&real);
    real.random(real.context, out, size);
}

static void on_url(void *context, const char *server, char *out, size_t size)
{
    struct guest *guest = context;

    (void)snprintf(out, size, "%s/watch?try=%d", server,
                   atomic_fetch_add(&guest->url_count, 1));
}

static void on_line(void *context, struct slice line)
{
    struct guest *guest = context;

    record_add(&guest->lines,
               (struct slice){line.at, line.size < 64 ? line.size : 64});
    atomic_fetch_add(&guest->line_count, 1);
    if (guest->ack != NULL) {
        fetch_post(guest->fetch, "/v1/ack", slice_of(guest->ack));
    }
}

static void on_state(void *context, bool connected, const char *words)
{
    struct guest *guest = context;

    record_add(&guest->states, slice_of(words));
    atomic_fetch_add(connected ? &guest->up_count : &guest->down_count, 1);
}

static void guest_come(struct guest *guest, const struct option_texts *servers)
{
    static const struct fetch_handler handler = {
        .url = on_url, .line = on_line, .state = on_state};
    struct why why = {""};

    env_system(&guest->env);
    guest->env.context = guest;
    guest->env.monotonic_ns = guest_monotonic_ns;
    guest->env.random = guest_random;
    (void)pthread_mutex_init(&guest->lines.mutex, NULL);
    (void)pthread_mutex_init(&guest->states.mutex, NULL);
    enum err e =
        fetch_start(&guest->fetch, &guest->env, servers, &handler, guest, &why);

    if (e != ERR_OK) {
        fail_msg("%s", why.text);
    }
}

static void guest_go(struct guest *guest)
{
    fetch_stop(&guest->fetch);
    assert_null(guest->fetch);
    pthread_mutex_destroy(&guest->lines.mutex);
    pthread_mutex_destroy(&guest->states.mutex);
}

static void server_name(const struct site *site, char out[128])
{
    (void)snprintf(out, 128, "http://%s", http_address(site->server));
}

static void meet(struct site *site, struct guest *guest)
{
    char name[128];
    struct option_texts servers = {.at = {name}, .count = 1};

    server_name(site, name);
    guest_come(guest, &servers);
    assert_true(eventually(atomic_load(&guest->line_count) >= 1));
}

/* --- tests -------------------------------------------------------------- */

static void lines_sent_in_pieces_arrive_whole(void **state)
{
    struct site site;
    struct guest guest = {.ack = NULL};
    struct saying saying[] = {{&site, "one\ntw"}, {&site, "o"}, {&site, "\n"}};

    (void)state;
    site_open(&site);
    meet(&site, &guest);
    for (size_t i = 0; i < 3; i++) {
        http_post(site.server, site_say, &saying[i]);
        patience_nap();
    }
    assert_true(eventually(atomic_load(&guest.line_count) == 3));
    assert_true(record_has(&guest.lines, "up|one|two|"));
    assert_int_equal(atomic_load(&guest.up_count), 1);
    assert_int_equal(atomic_load(&guest.down_count), 0);
    guest_go(&guest);
    site_close(&site);
}

static void a_stream_that_ends_is_opened_again(void **state)
{
    struct site site;
    struct guest guest = {.ack = NULL};

    (void)state;
    site_open(&site);
    atomic_store(&site.greeting, "whole\nhalf");
    meet(&site, &guest);
    for (int round = 2; round <= 4; round++) {
        http_post(site.server, site_end_stream, &site);
        assert_true(eventually(atomic_load(&guest.up_count) == round));
        assert_true(eventually(atomic_load(&guest.line_count) == round));
    }
    assert_int_equal(atomic_load(&guest.down_count), 3);
    assert_true(record_has(&guest.states, "stream ended"));
    /* Each attempt asked for an address of its own, and half a line of one
     * stream was never glued to the next. */
    assert_true(record_has(&site.queries, "0|1|2|3|"));
    assert_true(record_has(&guest.lines, "whole|whole|whole|whole|"));
    guest_go(&guest);
    site_close(&site);
}

static void silence_is_noticed_and_the_stream_opened_again(void **state)
{
    struct site site;
    struct guest guest = {.ack = NULL};

    (void)state;
    site_open(&site);
    meet(&site, &guest);
    atomic_fetch_add(&guest.ahead_ns,
                     UINT64_C(1000000) * (FETCH_SILENCE_MS_MAX / 2));
    /* A request makes the client look round. */
    fetch_post(guest.fetch, "/v1/ack", SLICE("still here"));
    assert_true(eventually(record_has(&site.posts, "still here|")));
    assert_int_equal(atomic_load(&guest.down_count), 0);
    atomic_fetch_add(&guest.ahead_ns,
                     UINT64_C(1000000) * (FETCH_SILENCE_MS_MAX / 2 + 1));
    assert_true(eventually(atomic_load(&guest.up_count) == 2));
    assert_int_equal(atomic_load(&guest.down_count), 1);
    assert_true(record_has(&guest.states, "not one line in 15000 ms"));
    assert_true(eventually(atomic_load(&site.ended) == 1));
    guest_go(&guest);
    site_close(&site);
}

static void a_line_without_end_is_cut_off(void **state)
{
    enum { SIZE = FETCH_LINE_SIZE_MAX + 2 };
    struct site site;
    struct guest guest = {.ack = NULL};
    char *endless = malloc(SIZE + 1);

    (void)state;
    assert_non_null(endless);
    memset(endless, 'x', SIZE);
    endless[SIZE] = '\0';
    site_open(&site);
    meet(&site, &guest);
    struct saying saying = {&site, endless};

    http_post(site.server, site_say, &saying);
    assert_true(eventually(atomic_load(&guest.up_count) == 2));
    assert_true(record_has(&guest.states, "a line has more than the 4194304"));
    assert_true(record_has(&guest.lines, "up|up|"));
    guest_go(&guest);
    site_close(&site);
    free(endless);
}

static void a_refusal_is_no_stream(void **state)
{
    char name[128];
    struct option_texts servers = {.at = {name}, .count = 1};
    struct site site;
    struct guest guest = {.ack = NULL};

    (void)state;
    site_open(&site);
    server_name(&site, name);
    atomic_store(&site.status, 503);
    guest_come(&guest, &servers);
    assert_true(eventually(atomic_load(&site.opened) >= 3));
    assert_int_equal(atomic_load(&guest.line_count), 0);
    assert_int_equal(atomic_load(&guest.up_count), 0);
    /* Said once, though it was tried more often. */
    assert_int_equal(atomic_load(&guest.down_count), 1);
    assert_true(record_has(&guest.states, "HTTP status 503"));
    atomic_store(&site.status, 200);
    assert_true(eventually(atomic_load(&guest.up_count) == 1));
    guest_go(&guest);
    site_close(&site);
}

static void attempts_become_rare(void **state)
{
    const struct timespec second = {.tv_sec = 1};
    char name[128];
    struct option_texts servers = {.at = {name}, .count = 1};
    struct guest guest = {.ack = NULL};

    (void)state;
    nobody_name(name);
    guest_come(&guest, &servers);
    (void)nanosleep(&second, NULL);
    int tried = atomic_load(&guest.url_count);

    /* Without a back-off there would be thousands. */
    assert_in_range(tried, 2, 60);
    assert_int_equal(atomic_load(&guest.down_count), 1);
    guest_go(&guest);
}

static void servers_are_tried_in_turn(void **state)
{
    char nobody[128];
    char name[128];
    struct option_texts servers = {.at = {nobody, nobody, name}, .count = 3};
    struct site site;
    struct guest guest = {.ack = NULL};

    (void)state;
    site_open(&site);
    nobody_name(nobody);
    (void)snprintf(name, sizeof name, "http://%s//", http_address(site.server));
    guest_come(&guest, &servers);
    assert_true(eventually(atomic_load(&guest.up_count) == 1));
    assert_true(record_has(&site.queries, "2|"));
    guest_go(&guest);
    site_close(&site);
}

static void a_post_goes_to_the_connected_server_in_order(void **state)
{
    struct site site;
    struct guest guest = {.ack = NULL};

    (void)state;
    site_open(&site);
    meet(&site, &guest);
    uint64_t begin_ms = env_monotonic_ms(&site.env);

    fetch_post(guest.fetch, "/v1/ack", SLICE("first"));
    fetch_post(guest.fetch, "/nowhere", SLICE("lost"));
    fetch_post(guest.fetch, "/v1/ack", SLICE("second"));
    fetch_post(guest.fetch, "/v1/ack", SLICE(""));
    fetch_post(guest.fetch, "/v1/ack", SLICE("third"));
    assert_true(eventually(record_has(&site.posts, "first|second||third|")));
    /* One follows the other without a pause. */
    assert_true(env_monotonic_ms(&site.env) - begin_ms < 2000);
    assert_int_equal(atomic_load(&guest.down_count), 0);
    guest_go(&guest);
    site_close(&site);
}

static void a_line_handler_may_post(void **state)
{
    struct site site;
    struct guest guest = {.ack = "heard"};

    (void)state;
    site_open(&site);
    meet(&site, &guest);
    assert_true(eventually(record_has(&site.posts, "heard|")));
    guest_go(&guest);
    site_close(&site);
}

static void posts_to_nobody_are_dropped_and_bounded(void **state)
{
    char name[128];
    struct option_texts servers = {.at = {name}, .count = 1};
    struct guest guest = {.ack = NULL};

    (void)state;
    nobody_name(name);
    guest_come(&guest, &servers);
    for (int i = 0; i < 1000; i++) {
        fetch_post(guest.fetch, "/v1/ack", SLICE("to nobody"));
    }
    guest_go(&guest);
}

static void a_proxy_of_the_environment_is_not_used(void **state)
{
    struct site site;
    struct guest guest = {.ack = NULL};

    (void)state;
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:9", 1), 0);
    assert_int_equal(setenv("ALL_PROXY", "http://127.0.0.1:9", 1), 0);
    site_open(&site);
    meet(&site, &guest);
    guest_go(&guest);
    site_close(&site);
    (void)unsetenv("http_proxy");
    (void)unsetenv("ALL_PROXY");
}

static void a_stop_waits_for_nobody(void **state)
{
    char name[128];
    struct option_texts servers = {.at = {name}, .count = 1};
    struct guest guest = {.ack = NULL};
    int handle = mute_listen(name);
    struct env env;

    (void)state;
    env_system(&env);
    guest_come(&guest, &servers);
    assert_true(eventually(atomic_load(&guest.url_count) == 1));
    uint64_t begin_ms = env_monotonic_ms(&env);

    guest_go(&guest);
    assert_true(env_monotonic_ms(&env) - begin_ms < 1000);
    (void)close(handle);
}

static void servers_that_are_no_addresses_are_refused(void **state)
{
    static const char *const wrong[] = {"127.0.0.1:9160", "ftp://x", "http://",
                                        "", "https://x:1"};
    static const struct fetch_handler handler = {
        .url = on_url, .line = on_line, .state = on_state};
    struct option_texts servers = {.count = 0};
    struct fetch *fetch = NULL;
    struct env env;
    struct why why;

    (void)state;
    env_system(&env);
    assert_int_equal(fetch_start(&fetch, &env, &servers, &handler, NULL, &why),
                     ERR_SYNTAX);
    servers.count = 1;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        servers.at[0] = wrong[i];
        assert_int_equal(
            fetch_start(&fetch, &env, &servers, &handler, NULL, &why),
            ERR_SYNTAX);
        assert_non_null(strstr(why.text, wrong[i]));
        assert_null(fetch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_sent_in_pieces_arrive_whole),
        cmocka_unit_test(a_stream_that_ends_is_opened_again),
        cmocka_unit_test(silence_is_noticed_and_the_stream_opened_again),
        cmocka_unit_test(a_line_without_end_is_cut_off),
        cmocka_unit_test(a_refusal_is_no_stream),
        cmocka_unit_test(attempts_become_rare),
        cmocka_unit_test(servers_are_tried_in_turn),
        cmocka_unit_test(a_post_goes_to_the_connected_server_in_order),
        cmocka_unit_test(a_line_handler_may_post),
        cmocka_unit_test(posts_to_nobody_are_dropped_and_bounded),
        cmocka_unit_test(a_proxy_of_the_environment_is_not_used),
        cmocka_unit_test(a_stop_waits_for_nobody),
        cmocka_unit_test(servers_that_are_no_addresses_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
