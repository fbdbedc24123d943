/* A shard or router against a ring manager that is not always well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/http.h"
#include "node/follower.h"
#include "support/patience.h"
#include "unit/node/ring_sample.h"

enum { TEXT_SIZE_MAX = 8192 };

/* --- a manager ----------------------------------------------------------- */

struct ringd {
    struct env env;
    struct http_server *server;
    struct http_stream *stream; /* on the server's thread */
    char address[64];
    atomic_int watches;
    pthread_mutex_t mutex;
    char heard[TEXT_SIZE_MAX]; /* acknowledgements, a bar behind each */
    char queries[TEXT_SIZE_MAX];
    _Atomic(const char *) greeting; /* first line of each watch */
};

static void note(struct ringd *ringd, char text[TEXT_SIZE_MAX],
                 struct slice words)
{
    pthread_mutex_lock(&ringd->mutex);
    size_t size = strlen(text);

    (void)snprintf(text + size, TEXT_SIZE_MAX - size, "%.*s|", (int)words.size,
                   words.at);
    pthread_mutex_unlock(&ringd->mutex);
}

static bool noted(struct ringd *ringd, const char *text, const char *part)
{
    pthread_mutex_lock(&ringd->mutex);
    bool has = strstr(text, part) != NULL;

    pthread_mutex_unlock(&ringd->mutex);
    return has;
}

static void on_ended(void *context)
{
    struct ringd *ringd = context;

    ringd->stream = NULL;
}

static void on_ring(void *context, struct http_request *request)
{
    struct ringd *ringd = context;
    char query[512];
    static const char *const names[] = {"watch", "epoch", "role", "name"};
    size_t size = 0;

    for (int i = 0; i < 4; i++) {
        const char *value = http_query(request, names[i]);

        size += (size_t)snprintf(query + size, sizeof query - size, "%s,",
                                 value == NULL ? "?" : value);
    }
    note(ringd, ringd->queries, slice_of(query));
    ringd->stream =
        http_answer_stream(request, "application/x-ndjson", on_ended, ringd);
    http_stream_send(ringd->stream, slice_of(atomic_load(&ringd->greeting)));
    http_stream_send(ringd->stream, SLICE("\n"));
    atomic_fetch_add(&ringd->watches, 1);
}

static void on_ack(void *context, struct http_request *request)
{
    struct ringd *ringd = context;

    note(ringd, ringd->heard, http_body(request));
    http_answer(request, 200, "application/json", SLICE("{}"));
}

static void ringd_start(struct ringd *ringd, const char *address)
{
    static const struct http_route routes[] = {
        {HTTP_GET, "/v1/ring", on_ring},
        {HTTP_POST, "/v1/ack", on_ack},
    };
    const struct http_options options = {
        .address = address,
        .routes = routes,
        .route_count = sizeof routes / sizeof routes[0],
        .context = ringd,
    };
    struct why why = {""};

    if (http_start(&ringd->server, &ringd->env, &options, &why) != ERR_OK) {
        fail_msg("%s", why.text);
    }
    (void)snprintf(ringd->address, sizeof ringd->address, "%s",
                   http_address(ringd->server));
}

static void ringd_open(struct ringd *ringd, const char *greeting)
{
    memset(ringd, 0, sizeof *ringd);
    env_system(&ringd->env);
    (void)pthread_mutex_init(&ringd->mutex, NULL);
    atomic_store(&ringd->greeting, greeting);
    ringd_start(ringd, "127.0.0.1:0");
}

static void ringd_close(struct ringd *ringd)
{
    http_stop(&ringd->server);
    pthread_mutex_destroy(&ringd->mutex);
}

struct pushing {
    struct ringd *ringd;
    const char *line;
    atomic_bool done;
};

static void push_now(void *context)
{
    struct pushing *pushing = context;

    if (pushing->ringd->stream != NULL) {
        http_stream_send(pushing->ringd->stream, slice_of(pushing->line));
        http_stream_send(pushing->ringd->stream, SLICE("\n"));
    }
    atomic_store(&pushing->done, true);
}

static void push(struct ringd *ringd, const char *line)
{
    struct pushing pushing = {.ringd = ringd, .line = line};

    http_post(ringd->server, push_now, &pushing);
    assert_true(eventually(atomic_load(&pushing.done)));
}

/* --- a role that follows -------------------------------------------------- */

struct role {
    struct env env;
    struct follower *follower;
    pthread_mutex_t mutex;
    char adopted[TEXT_SIZE_MAX]; /* epochs, a bar behind each */
    struct ringd *ringd;
    atomic_bool early; /* acknowledged before it was in force */
};

static void on_adopt(void *context, struct ring *ring)
{
    struct role *role = context;
    char words[64];

    (void)snprintf(words, sizeof words, "\"epoch\":%" PRIu32 ",\"ok\":true",
                   ring->epoch);
    if (noted(role->ringd, role->ringd->heard, words)) {
        atomic_store(&role->early, true);
    }
    pthread_mutex_lock(&role->mutex);
    size_t size = strlen(role->adopted);

    (void)snprintf(role->adopted + size, sizeof role->adopted - size,
                   "%" PRIu32 "|", ring->epoch);
    pthread_mutex_unlock(&role->mutex);
}

static bool adopted(struct role *role, const char *epochs)
{
    pthread_mutex_lock(&role->mutex);
    bool same = strcmp(role->adopted, epochs) == 0;

    pthread_mutex_unlock(&role->mutex);
    return same;
}

static void role_open(struct role *role, struct ringd *ringd,
                      const char *cluster)
{
    char server[128];
    const struct follower_options options = {
        .role = "shard",
        .name = "shard 1&x",
        .cluster = cluster,
        .ringds = {.at = {server}, .count = 1},
        .adopt = on_adopt,
        .context = role,
    };
    struct why why = {""};

    memset(role, 0, sizeof *role);
    env_system(&role->env);
    role->ringd = ringd;
    (void)pthread_mutex_init(&role->mutex, NULL);
    (void)snprintf(server, sizeof server, "http://%s", ringd->address);
    if (follower_start(&role->follower, &role->env, &options, &why) != ERR_OK) {
        fail_msg("%s", why.text);
    }
}

static void role_close(struct role *role)
{
    follower_stop(&role->follower);
    assert_null(role->follower);
    assert_false(atomic_load(&role->early));
    pthread_mutex_destroy(&role->mutex);
}

static struct follower_state role_state(struct role *role)
{
    struct follower_state now;

    follower_state(role->follower, &now);
    return now;
}

static uint32_t role_epoch(struct role *role)
{
    struct ring *ring = follower_ring(role->follower);
    uint32_t epoch = ring == NULL ? 0 : ring->epoch;

    ring_unref(&ring);
    return epoch;
}

/* --- tests --------------------------------------------------------------- */

static void each_epoch_is_adopted_once_and_then_acknowledged(void **state)
{
    char *one = document("a", 1, 1);
    char *two = document("a", 2, 2);
    char *nine = document("a", 9, 3);
    struct ringd ringd;
    struct role role;

    (void)state;
    ringd_open(&ringd, one);
    role_open(&role, &ringd, NULL);
    assert_true(eventually(adopted(&role, "1|")));
    push(&ringd, one);
    push(&ringd, two);
    push(&ringd, two);
    push(&ringd, "{\"heartbeat\":2}");
    push(&ringd, nine);
    assert_true(eventually(noted(&ringd, ringd.heard,
                                 "{\"name\":\"shard 1&x\",\"role\":\"shard\","
                                 "\"epoch\":9,\"ok\":true}|")));
    assert_true(adopted(&role, "1|2|9|"));
    assert_true(noted(&ringd, ringd.heard, "\"epoch\":1,\"ok\":true"));
    assert_true(noted(&ringd, ringd.heard, "\"epoch\":2,\"ok\":true"));
    assert_true(noted(&ringd, ringd.queries, "1,0,shard,shard 1&x,|"));
    assert_int_equal(role_epoch(&role), 9);
    assert_int_equal(role_state(&role).epoch, 9);
    assert_int_equal(role_state(&role).refused, 0);
    assert_true(role_state(&role).connected);
    assert_true(role_state(&role).heard_ms > 0);
    role_close(&role);
    ringd_close(&ringd);
    mem_free(mem_system(), one);
    mem_free(mem_system(), two);
    mem_free(mem_system(), nine);
}

static void a_refusal_is_told_with_its_reason_and_changes_nothing(void **state)
{
    char *five = document("a", 5, 2);
    char *other = document("a", 5, 3);
    char *older = document("a", 4, 2);
    char *foreign = document("b", 6, 2);
    const struct {
        const char *line, *reason;
    } cases[] = {
        {"{\"epoch\":", "\"error\":\""},
        {other, "\"error\":\"epoch: 5 is in force with another content"},
        {older, "\"error\":\"epoch: 4 is below 5, which is in force\""},
        {foreign, "\"error\":\"cluster: this ring is of \\\"b\\\""},
    };
    struct ringd ringd;
    struct role role;

    (void)state;
    ringd_open(&ringd, five);
    role_open(&role, &ringd, "a");
    assert_true(eventually(role_epoch(&role) == 5));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        push(&ringd, cases[i].line);
        assert_true(eventually(role_state(&role).refused == i + 1));
        assert_true(eventually(noted(&ringd, ringd.heard, cases[i].reason)));
        assert_true(strlen(role_state(&role).last_refusal) > 0);
    }
    assert_true(noted(&ringd, ringd.heard, "\"epoch\":5,\"ok\":false"));
    assert_true(adopted(&role, "5|"));
    assert_int_equal(role_epoch(&role), 5);
    role_close(&role);
    ringd_close(&ringd);
    mem_free(mem_system(), five);
    mem_free(mem_system(), other);
    mem_free(mem_system(), older);
    mem_free(mem_system(), foreign);
}

static void without_a_manager_the_last_ring_stays(void **state)
{
    char *five = document("a", 5, 2);
    char *six = document("a", 6, 3);
    char *four = document("a", 4, 1);
    struct ringd ringd;
    struct role role;
    char address[64];

    (void)state;
    ringd_open(&ringd, five);
    role_open(&role, &ringd, NULL);
    assert_true(eventually(role_epoch(&role) == 5));
    struct ring *held = follower_ring(role.follower);

    (void)snprintf(address, sizeof address, "%s", ringd.address);
    http_stop(&ringd.server);
    assert_true(eventually(!role_state(&role).connected));
    assert_int_equal(role_epoch(&role), 5);

    /* It comes back with an older store: ours is kept, and it is told. */
    atomic_store(&ringd.greeting, four);
    ringd_start(&ringd, address);
    assert_true(eventually(role_state(&role).refused == 1));
    assert_true(noted(&ringd, ringd.queries, "1,5,shard,shard 1&x,|"));
    assert_int_equal(role_epoch(&role), 5);

    push(&ringd, six);
    assert_true(eventually(role_epoch(&role) == 6));
    assert_true(adopted(&role, "5|6|"));
    assert_int_equal(role_state(&role).reconnects, 1);
    assert_int_equal(held->epoch, 5);
    ring_unref(&held);
    role_close(&role);
    ringd_close(&ringd);
    mem_free(mem_system(), five);
    mem_free(mem_system(), six);
    mem_free(mem_system(), four);
}

static void a_manager_that_forgot_hears_the_acknowledgement_again(void **state)
{
    char *five = document("a", 5, 2);
    struct ringd ringd;
    struct role role;
    char address[64];

    (void)state;
    ringd_open(&ringd, five);
    role_open(&role, &ringd, NULL);
    assert_true(eventually(noted(&ringd, ringd.heard, "\"epoch\":5")));
    (void)snprintf(address, sizeof address, "%s", ringd.address);
    http_stop(&ringd.server);
    memset(ringd.heard, 0, sizeof ringd.heard);
    atomic_store(&ringd.greeting, "{\"heartbeat\":5}");
    ringd_start(&ringd, address);
    assert_true(
        eventually(noted(&ringd, ringd.heard, "\"epoch\":5,\"ok\":true")));
    assert_true(adopted(&role, "5|"));
    role_close(&role);
    ringd_close(&ringd);
    mem_free(mem_system(), five);
}

static void options_that_cannot_be_are_refused(void **state)
{
    struct follower_options options = {
        .role = "shard", .name = "x", .adopt = on_adopt};
    struct follower *follower = NULL;
    char long_name[512];
    struct env env;
    struct why why = {""};

    (void)state;
    env_system(&env);
    assert_int_equal(follower_start(&follower, &env, &options, &why),
                     ERR_SYNTAX);
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    options.ringds.at[0] = "http://127.0.0.1:1";
    options.ringds.count = 1;
    options.name = long_name;
    assert_int_equal(follower_start(&follower, &env, &options, &why),
                     ERR_LIMIT);
    assert_non_null(strstr(why.text, "name: "));
    assert_null(follower);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_epoch_is_adopted_once_and_then_acknowledged),
        cmocka_unit_test(a_refusal_is_told_with_its_reason_and_changes_nothing),
        cmocka_unit_test(without_a_manager_the_last_ring_stays),
        cmocka_unit_test(a_manager_that_forgot_hears_the_acknowledgement_again),
        cmocka_unit_test(options_that_cannot_be_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
