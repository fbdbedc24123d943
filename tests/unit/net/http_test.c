/* The HTTP server over real sockets on loopback: routes and refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>

#include "base/mem.h"
#include "net/http.h"
#include "support/patience.h"
#include "unit/net/http_peer.h"

struct site {
    struct env env;
    struct http_server *server;
    atomic_int ticks;
};

static void on_hello(void *context, struct http_request *request)
{
    (void)context;
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

static void on_tick(void *context)
{
    struct site *site = context;

    atomic_fetch_add(&site->ticks, 1);
}

static void site_open(struct site *site)
{
    static const struct http_route routes[] = {
        {HTTP_GET, "/hello", on_hello},       {HTTP_POST, "/hello", on_echo},
        {HTTP_GET, "/items/", on_path},       {HTTP_DELETE, "/items/", on_path},
        {HTTP_GET, "/items/exact", on_exact}, {HTTP_GET, "/query", on_query},
        {HTTP_PUT, "/echo", on_echo},         {HTTP_GET, "/refuse", on_refuse},
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
}

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
        ask(http_address(site.server), cases[i].request, answer);
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
        ask(http_address(site.server), cases[i].request, answer);
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
    int handle = dial(http_address(site.server));

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
    int handle = dial(http_address(site.server));

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
    int handle = dial(http_address(site.server));
    int size = snprintf(head, sizeof head,
                        "PUT /echo HTTP/1.1\r\nHost: x\r\n"
                        "Content-Length: %d\r\n\r\n",
                        HTTP_BODY_SIZE_MAX + 1);

    say(handle, head, (size_t)size);
    hear(handle, answer, NULL);
    assert_has(answer, " 413 ");
    (void)close(handle);

    handle = dial(http_address(site.server));
    memset(filler, 'x', sizeof filler);
    say(handle, "GET /hello HTTP/1.1\r\nX: ", 24);
    say(handle, filler, sizeof filler);
    hear(handle, answer, NULL);
    assert_null(strstr(answer, " 200 "));
    (void)close(handle);

    ask(http_address(site.server), "GET /hello", answer);
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
        int handle = dial(http_address(site.server));

        say(handle, rubbish[i], strlen(rubbish[i]));
        (void)shutdown(handle, SHUT_WR);
        hear(handle, answer, NULL);
        assert_null(strstr(answer, " 200 "));
        assert_null(strstr(answer, " 201 "));
        (void)close(handle);
    }
    ask(http_address(site.server), "GET /hello", answer);
    assert_has(answer, "hello\n");
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
        cmocka_unit_test(the_tick_comes_about_once_a_second),
        cmocka_unit_test(an_address_that_cannot_be_had_is_named),
        cmocka_unit_test(no_memory_at_start_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
