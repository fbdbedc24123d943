/* The demonstration's verdict: right answers and misses pass, and each way in
 * which a cache can be wrong is counted as wrong, not as an error and not at
 * all as a hit that was fine.
 *
 * A scripted server answers each batch from what the batch itself says it
 * asked, with one thing made wrong at a time. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/demo_batch.h"
#include "net/net.h"

enum { SCRIPT_MAX = 4 << 20 };

enum fault {
    FAULT_NONE,
    FAULT_OTHER_BYTES, /* the value of another key */
    FAULT_OTHER_FLAGS,
    FAULT_OLDER,        /* a version below the acknowledged one */
    FAULT_UNBORN,       /* a version that was never sent */
    FAULT_OTHER_KEY,    /* a VALUE line for a key that was not asked for */
    FAULT_REFUSE_READS, /* SERVER_ERROR */
    FAULT_REFUSE_CHANGES,
    FAULT_GARBAGE,
    FAULT_HANG_UP,
};

struct stage {
    struct env env;
    int listener, peer;
    struct client *client;
    struct demo_ledger *ledger;
    struct batch *batch;
    uint32_t stored[DEMO_KEYS]; /* versions; 0: absent */
    enum fault fault;
    size_t size;
    char script[SCRIPT_MAX];
};

static void say(struct stage *stage, const char *bytes, size_t size)
{
    assert_true(size <= SCRIPT_MAX - stage->size);
    memcpy(stage->script + stage->size, bytes, size);
    stage->size += size;
}

static void say_text(struct stage *stage, const char *text)
{
    say(stage, text, strlen(text));
}

static void say_hit(struct stage *stage, enum op_kind kind, uint32_t key)
{
    char value[DEMO_VALUE_SIZE_MAX];
    char name[DEMO_KEY_SIZE_MAX + 1] = "";
    char line[128];
    enum fault fault = stage->fault;
    uint32_t version = stage->stored[key];
    uint32_t flags = demo_flags(key) + (fault == FAULT_OTHER_FLAGS);

    version -= fault == FAULT_OLDER;
    version += fault == FAULT_UNBORN;
    size_t size =
        demo_value_write(value, key + (fault == FAULT_OTHER_BYTES), version);

    (void)demo_key_write(name,
                         fault == FAULT_OTHER_KEY ? key + DEMO_KEYS : key);
    if (kind == OP_GET) {
        (void)snprintf(line, sizeof line, "VALUE %s %u %zu\r\n", name, flags,
                       size);
    } else {
        (void)snprintf(line, sizeof line, "VA %zu f%u k%s\r\n", size, flags,
                       name);
    }
    say_text(stage, line);
    say(stage, value, size);
    say_text(stage, "\r\n");
}

static void answer_reading(struct stage *stage, const struct op *op)
{
    char name[DEMO_KEY_SIZE_MAX + 1] = "";
    bool found = false;

    if (stage->fault == FAULT_REFUSE_READS) {
        say_text(stage, "SERVER_ERROR shard unreachable\r\n");
        if (op->kind == OP_META_GET_QUIET) {
            say_text(stage, "MN\r\n");
        }
        return;
    }
    for (size_t i = 0; i < op->key_count; i++) {
        if (stage->stored[op->keys[i]] != 0) {
            say_hit(stage, op->kind, op->keys[i]);
            found = true;
        }
    }
    if (op->kind == OP_META_GET) {
        if (!found) {
            (void)demo_key_write(name, op->keys[0]);
            say_text(stage, "EN k");
            say_text(stage, name);
            say_text(stage, "\r\n");
        }
    } else {
        say_text(stage, op->kind == OP_GET ? "END\r\n" : "MN\r\n");
    }
}

static void answer_change(struct stage *stage, const struct op *op)
{
    bool stores = op->kind == OP_SET || op->kind == OP_META_SET;
    bool meta = op->kind == OP_META_SET || op->kind == OP_META_DELETE;
    uint32_t *stored = &stage->stored[op->keys[0]];

    if (stage->fault == FAULT_REFUSE_CHANGES) {
        say_text(stage, "SERVER_ERROR shard unreachable\r\n");
        return;
    }
    if (stores) {
        say_text(stage, meta ? "HD\r\n" : "STORED\r\n");
    } else if (*stored != 0) {
        say_text(stage, meta ? "HD\r\n" : "DELETED\r\n");
    } else {
        say_text(stage, meta ? "NF\r\n" : "NOT_FOUND\r\n");
    }
    *stored = stores ? op->version : 0;
}

/* One batch, there and back. */
static enum err turn(struct stage *stage)
{
    static char asked[BATCH_BYTES_MAX];
    struct batch *batch = stage->batch;
    struct why why = {""};

    batch_build(batch);
    assert_int_equal(batch->op_count, BATCH_OPS);
    stage->size = 0;
    for (size_t i = 0; i < batch->op_count; i++) {
        if (batch->ops[i].kind >= OP_SET) {
            answer_change(stage, &batch->ops[i]);
        } else {
            answer_reading(stage, &batch->ops[i]);
        }
    }
    if (stage->fault == FAULT_GARBAGE) {
        stage->size = 0;
        say_text(stage, "HTTP/1.1 400 Bad Request\r\n\r\n");
    }
    assert_int_equal(client_send(stage->client,
                                 (struct slice){batch->bytes, batch->size},
                                 &why),
                     ERR_OK);
    assert_int_equal(recv(stage->peer, asked, batch->size, MSG_WAITALL),
                     batch->size);
    assert_memory_equal(asked, batch->bytes, batch->size);
    if (stage->fault == FAULT_HANG_UP) {
        (void)shutdown(stage->peer, SHUT_RDWR);
    } else {
        assert_int_equal(send(stage->peer, stage->script, stage->size, 0),
                         stage->size);
    }
    return batch_answers(batch, stage->client, &why);
}

static int stage_open(void **state)
{
    struct stage *stage = calloc(1, sizeof *stage);
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof where;
    int room = SCRIPT_MAX;
    char address[32];

    assert_non_null(stage);
    env_system(&stage->env);
    stage->env.net = net_system();
    stage->batch = calloc(1, sizeof *stage->batch);
    stage->listener = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(stage->listener, SOL_SOCKET, SO_SNDBUF, &room,
                     sizeof room);
    (void)setsockopt(stage->listener, SOL_SOCKET, SO_RCVBUF, &room,
                     sizeof room);
    assert_int_equal(bind(stage->listener, (struct sockaddr *)&where, size), 0);
    assert_int_equal(listen(stage->listener, 1), 0);
    assert_int_equal(
        getsockname(stage->listener, (struct sockaddr *)&where, &size), 0);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u",
                   ntohs(where.sin_port));
    assert_int_equal(
        client_open(&stage->client, &stage->env, address, 2000, NULL), ERR_OK);
    stage->peer = accept(stage->listener, NULL, NULL);
    assert_int_equal(
        demo_ledger_create(mem_system(), DEMO_KEYS, &stage->ledger), ERR_OK);
    batch_init(stage->batch, stage->ledger, 1);
    *state = stage;
    return 0;
}

static int stage_close(void **state)
{
    struct stage *stage = *state;

    client_close(&stage->client);
    (void)close(stage->peer);
    (void)close(stage->listener);
    demo_ledger_destroy(&stage->ledger);
    free(stage->batch);
    free(stage);
    return 0;
}

static void warm_up(struct stage *stage)
{
    for (int i = 0; i < 100; i++) {
        assert_int_equal(turn(stage), ERR_OK);
    }
    assert_true(metric_get(&stage->batch->counts.hits) > 100);
    assert_int_equal(metric_get(&stage->batch->counts.errors), 0);
    assert_int_equal(metric_get(&stage->batch->counts.wrong), 0);
    assert_string_equal(stage->batch->trouble.text, "");
}

static void right_answers_and_misses_are_no_trouble(void **state)
{
    struct stage *stage = *state;

    warm_up(stage);
    assert_int_equal(metric_get(&stage->batch->counts.requests),
                     100 * BATCH_OPS);
    assert_true(metric_get(&stage->batch->counts.stores) > 100);
    assert_true(metric_get(&stage->batch->counts.deletes) > 10);
}

static void what_was_missed_is_stored_next(void **state)
{
    struct stage *stage = *state;

    assert_int_equal(turn(stage), ERR_OK);
    size_t missed = stage->batch->missed_count;
    uint32_t last = stage->batch->missed[missed - 1];

    assert_true(missed > 0);
    batch_build(stage->batch);
    assert_true(stage->batch->ops[0].kind >= OP_SET);
    assert_int_equal(stage->batch->ops[0].keys[0], last);
}

static void a_cache_that_forgets_all_is_no_trouble(void **state)
{
    struct stage *stage = *state;

    warm_up(stage);
    memset(stage->stored, 0, sizeof stage->stored);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(turn(stage), ERR_OK);
    }
    assert_int_equal(metric_get(&stage->batch->counts.wrong), 0);
    assert_int_equal(metric_get(&stage->batch->counts.errors), 0);
}

static void only_own_keys_are_changed_and_once_a_batch(void **state)
{
    struct stage *stage = *state;

    for (int round = 0; round < 50; round++) {
        assert_int_equal(turn(stage), ERR_OK);
        for (size_t i = 0; i < BATCH_OPS; i++) {
            const struct op *op = &stage->batch->ops[i];

            if (op->kind < OP_SET) {
                continue;
            }
            assert_int_equal(op->keys[0] % DEMO_CONNECTIONS, 1);
            for (size_t j = 0; j < i; j++) {
                assert_false(stage->batch->ops[j].kind >= OP_SET &&
                             stage->batch->ops[j].keys[0] == op->keys[0]);
            }
        }
    }
}

static void is_wrong(struct stage *stage, enum fault fault, const char *words)
{
    warm_up(stage);
    stage->fault = fault;
    assert_int_equal(turn(stage), ERR_OK);
    assert_true(metric_get(&stage->batch->counts.wrong) > 0);
    assert_int_equal(metric_get(&stage->batch->counts.errors), 0);
    assert_non_null(strstr(stage->batch->trouble.text, words));
}

static void other_bytes_are_wrong(void **state)
{
    is_wrong(*state, FAULT_OTHER_BYTES, "other bytes");
}

static void other_flags_are_wrong(void **state)
{
    is_wrong(*state, FAULT_OTHER_FLAGS, "other flags");
}

static void an_older_version_is_wrong(void **state)
{
    is_wrong(*state, FAULT_OLDER, "older");
}

static void a_version_from_nowhere_is_wrong(void **state)
{
    is_wrong(*state, FAULT_UNBORN, "from nowhere");
}

static void a_deleted_key_that_returns_is_wrong(void **state)
{
    struct stage *stage = *state;

    warm_up(stage);
    /* As if no change of the next batches had ever reached the server, which
     * acknowledged all of them. */
    for (int i = 0; i < 200; i++) {
        uint32_t *before = malloc(sizeof stage->stored);

        assert_non_null(before);
        memcpy(before, stage->stored, sizeof stage->stored);
        assert_int_equal(turn(stage), ERR_OK);
        for (uint32_t key = 0; key < DEMO_KEYS; key++) {
            stage->stored[key] =
                before[key] != 0 ? before[key] : stage->stored[key];
        }
        free(before);
    }
    assert_true(metric_get(&stage->batch->counts.wrong) > 0);
    assert_non_null(strstr(stage->batch->trouble.text, "older"));
}

static void refused_readings_are_errors(void **state)
{
    struct stage *stage = *state;

    warm_up(stage);
    stage->fault = FAULT_REFUSE_READS;
    assert_int_equal(turn(stage), ERR_OK);
    assert_true(metric_get(&stage->batch->counts.errors) > 0);
    assert_int_equal(metric_get(&stage->batch->counts.wrong), 0);
    assert_non_null(strstr(stage->batch->trouble.text, "shard unreachable"));
}

static void refused_changes_are_errors_and_stay_open(void **state)
{
    struct stage *stage = *state;

    warm_up(stage);
    stage->fault = FAULT_REFUSE_CHANGES;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(turn(stage), ERR_OK);
    }
    assert_true(metric_get(&stage->batch->counts.errors) > 0);
    /* Whether they happened is not known: old values are still right. */
    stage->fault = FAULT_NONE;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(turn(stage), ERR_OK);
    }
    assert_int_equal(metric_get(&stage->batch->counts.wrong), 0);
}

static void ends_the_connection(struct stage *stage, enum fault fault,
                                enum err expected)
{
    warm_up(stage);
    stage->fault = fault;
    assert_int_equal(turn(stage), expected);
}

static void an_answer_for_another_key_ends_the_connection(void **state)
{
    ends_the_connection(*state, FAULT_OTHER_KEY, ERR_SYNTAX);
}

static void garbage_ends_the_connection(void **state)
{
    ends_the_connection(*state, FAULT_GARBAGE, ERR_SYNTAX);
}

static void a_hang_up_ends_the_connection(void **state)
{
    ends_the_connection(*state, FAULT_HANG_UP, ERR_CLOSED);
}

#define staged(test) \
    cmocka_unit_test_setup_teardown(test, stage_open, stage_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        staged(right_answers_and_misses_are_no_trouble),
        staged(what_was_missed_is_stored_next),
        staged(a_cache_that_forgets_all_is_no_trouble),
        staged(only_own_keys_are_changed_and_once_a_batch),
        staged(other_bytes_are_wrong),
        staged(other_flags_are_wrong),
        staged(an_older_version_is_wrong),
        staged(a_version_from_nowhere_is_wrong),
        staged(a_deleted_key_that_returns_is_wrong),
        staged(refused_readings_are_errors),
        staged(refused_changes_are_errors_and_stay_open),
        staged(an_answer_for_another_key_ends_the_connection),
        staged(garbage_ends_the_connection),
        staged(a_hang_up_ends_the_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
