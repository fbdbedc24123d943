/* One blocking request: status and answer, or why not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "net/fetch.h"
#include "net/http.h"
#include "unit/net/http_peer.h"

struct site {
    struct env env;
    struct http_server *server;
};

static void on_echo(void *context, struct http_request *request)
{
    (void)context;
    http_answer(request, 202, "text/plain", http_body(request));
}

static void on_hello(void *context, struct http_request *request)
{
    (void)context;
    http_answer(request, 200, "text/plain", SLICE("hello"));
}

static void site_open(struct site *site)
{
    static const struct http_route routes[] = {
        {HTTP_GET, "/hello", on_hello},
        {HTTP_POST, "/echo", on_echo},
        {HTTP_DELETE, "/echo", on_hello},
    };
    const struct http_options options = {
        .address = "127.0.0.1:0",
        .routes = routes,
        .route_count = sizeof routes / sizeof routes[0],
    };

    env_system(&site->env);
    assert_int_equal(http_start(&site->server, &site->env, &options, NULL),
                     ERR_OK);
}

static void site_close(struct site *site)
{
    http_stop(&site->server);
}

static void one_request_brings_status_and_answer(void **state)
{
    static const struct {
        const char *method, *path, *body;
        int status;
        const char *answer;
    } cases[] = {
        {"GET", "/hello", "", 200, "hello"},
        {"POST", "/echo", "a body", 202, "a body"},
        {"POST", "/echo", "", 202, ""},
        {"DELETE", "/echo", "", 200, "hello"},
        {"GET", "/nowhere", "", 404,
         "{\"error\": \"there is no /nowhere here\"}\n"},
    };
    struct site site;

    (void)state;
    site_open(&site);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char url[256];
        struct fetch_once what = {.method = cases[i].method,
                                  .url = url,
                                  .body = slice_of(cases[i].body),
                                  .timeout_ms = 5000,
                                  .answer_size_max = 4096};
        struct why why = {""};
        char *answer = NULL;
        size_t size = 0;
        int status = 0;

        (void)snprintf(url, sizeof url, "http://%s%s",
                       http_address(site.server), cases[i].path);
        assert_int_equal(
            fetch_once(&site.env, &what, &status, &answer, &size, &why),
            ERR_OK);
        assert_int_equal(status, cases[i].status);
        assert_string_equal(answer, cases[i].answer);
        assert_int_equal(size, strlen(answer));
        mem_free(site.env.mem, answer);
    }
    site_close(&site);
}

static void one_request_that_fails_says_why(void **state)
{
    char nobody[128];
    char mute[128];
    char large[192];
    struct site site;

    (void)state;
    site_open(&site);
    nobody_name(nobody);
    int handle = mute_listen(mute);

    (void)snprintf(large, sizeof large, "http://%s/hello",
                   http_address(site.server));
    const struct {
        const char *url;
        enum err expected;
    } cases[] = {
        {nobody, ERR_IO},       {mute, ERR_TIMEOUT},
        {large, ERR_LIMIT},     {"file:///etc/passwd", ERR_IO},
        {"no address", ERR_IO},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct fetch_once what = {.method = "GET",
                                        .url = cases[i].url,
                                        .timeout_ms = 100,
                                        .answer_size_max = 4};
        struct why why = {""};
        char *answer = NULL;
        size_t size = 0;
        int status = 0;

        assert_int_equal(
            fetch_once(&site.env, &what, &status, &answer, &size, &why),
            cases[i].expected);
        assert_null(answer);
        assert_non_null(strstr(why.text, cases[i].url));
    }
    (void)close(handle);
    site_close(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_request_brings_status_and_answer),
        cmocka_unit_test(one_request_that_fails_says_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
