/* The tool's connection: answers come in any pieces, and one that cannot be
 * taken apart is refused with the address in the words. */
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

#include "base/mem.h"
#include "ctl/client.h"
#include "net/net.h"

/* A server that says what the test tells it to. */
struct stage {
    struct env env;
    int listener, peer;
    char address[64];
    struct client *client;
    struct why why;
};

static void stage_open(struct stage *stage, uint64_t timeout_ms)
{
    struct sockaddr_in where = {.sin_family = AF_INET,
                                .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof where;

    *stage = (struct stage){.listener = socket(AF_INET, SOCK_STREAM, 0)};
    env_system(&stage->env);
    stage->env.net = net_system();
    assert_int_equal(bind(stage->listener, (struct sockaddr *)&where, size), 0);
    assert_int_equal(listen(stage->listener, 4), 0);
    assert_int_equal(
        getsockname(stage->listener, (struct sockaddr *)&where, &size), 0);
    (void)snprintf(stage->address, sizeof stage->address, "127.0.0.1:%u",
                   ntohs(where.sin_port));
    assert_int_equal(client_open(&stage->client, &stage->env, stage->address,
                                 timeout_ms, &stage->why),
                     ERR_OK);
    stage->peer = accept(stage->listener, NULL, NULL);
    assert_true(stage->peer >= 0);
}

static void stage_say(struct stage *stage, struct slice bytes)
{
    assert_int_equal(send(stage->peer, bytes.at, bytes.size, 0), bytes.size);
}

static void stage_close(struct stage *stage)
{
    client_close(&stage->client);
    assert_null(stage->client);
    if (stage->peer >= 0) {
        (void)close(stage->peer);
    }
    (void)close(stage->listener);
}

static void line_is(struct stage *stage, const char *expected)
{
    struct slice line;

    assert_int_equal(client_line(stage->client, &line, &stage->why), ERR_OK);
    assert_int_equal(line.size, strlen(expected));
    assert_memory_equal(line.at, expected, line.size);
}

static void block_is(struct stage *stage, const char *expected)
{
    struct slice block;

    assert_int_equal(
        client_block(stage->client, strlen(expected), &block, &stage->why),
        ERR_OK);
    assert_int_equal(block.size, strlen(expected));
    assert_memory_equal(block.at, expected, block.size);
}

static void lines_and_blocks_come_in_order(void **state)
{
    struct stage stage;

    (void)state;
    stage_open(&stage, 2000);
    stage_say(&stage, SLICE("VALUE k 0 5\r\nhel\r\n\r\nEND\r\nSTORED\r\n"));
    line_is(&stage, "VALUE k 0 5");
    block_is(&stage, "hel\r\n");
    line_is(&stage, "END");
    line_is(&stage, "STORED");
    stage_close(&stage);
}

static void what_is_sent_arrives(void **state)
{
    struct stage stage;
    char got[16] = "";

    (void)state;
    stage_open(&stage, 2000);
    assert_int_equal(client_send(stage.client, SLICE("get k\r\n"), &stage.why),
                     ERR_OK);
    assert_int_equal(recv(stage.peer, got, 7, MSG_WAITALL), 7);
    assert_string_equal(got, "get k\r\n");
    stage_close(&stage);
}

static void a_value_larger_than_the_buffer_is_whole(void **state)
{
    enum { SIZE = 150000 };
    struct stage stage;
    struct slice block;
    char *bytes = malloc(SIZE + 2);

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 'x', SIZE);
    memcpy(bytes + SIZE, "\r\n", 2);
    stage_open(&stage, 2000);
    stage_say(&stage, SLICE("VA 150000\r\n"));
    stage_say(&stage, (struct slice){bytes, SIZE + 2});
    stage_say(&stage, SLICE("MN\r\n"));
    line_is(&stage, "VA 150000");
    assert_int_equal(client_block(stage.client, SIZE, &block, &stage.why),
                     ERR_OK);
    assert_memory_equal(block.at, bytes, SIZE);
    line_is(&stage, "MN");
    free(bytes);
    stage_close(&stage);
}

static void a_value_that_ends_elsewhere_is_refused(void **state)
{
    struct stage stage;
    struct slice block;

    (void)state;
    stage_open(&stage, 2000);
    stage_say(&stage, SLICE("hello!\r\n"));
    assert_int_equal(client_block(stage.client, 5, &block, &stage.why),
                     ERR_SYNTAX);
    assert_non_null(strstr(stage.why.text, stage.address));
    stage_close(&stage);
}

static void a_value_of_absurd_size_is_refused_unread(void **state)
{
    struct stage stage;
    struct slice block;

    (void)state;
    stage_open(&stage, 2000);
    assert_int_equal(client_block(stage.client, UINT64_MAX, &block, &stage.why),
                     ERR_SYNTAX);
    stage_close(&stage);
}

static void an_endless_line_is_refused(void **state)
{
    struct stage stage;
    struct slice line;
    char *bytes = malloc(CLIENT_LINE_SIZE_MAX + 1);

    (void)state;
    assert_non_null(bytes);
    memset(bytes, 'x', CLIENT_LINE_SIZE_MAX + 1);
    stage_open(&stage, 2000);
    stage_say(&stage, (struct slice){bytes, CLIENT_LINE_SIZE_MAX + 1});
    assert_int_equal(client_line(stage.client, &line, &stage.why), ERR_SYNTAX);
    free(bytes);
    stage_close(&stage);
}

static void a_silent_server_is_a_timeout(void **state)
{
    struct stage stage;
    struct slice line;

    (void)state;
    stage_open(&stage, 30);
    stage_say(&stage, SLICE("half a li"));
    assert_int_equal(client_line(stage.client, &line, &stage.why), ERR_TIMEOUT);
    assert_non_null(strstr(stage.why.text, stage.address));
    assert_non_null(strstr(stage.why.text, "30 ms"));
    stage_close(&stage);
}

static void a_server_that_hangs_up_is_told(void **state)
{
    struct stage stage;
    struct slice line;

    (void)state;
    stage_open(&stage, 2000);
    (void)close(stage.peer);
    stage.peer = -1;
    assert_int_equal(client_line(stage.client, &line, &stage.why), ERR_CLOSED);
    stage_close(&stage);
}

static void nobody_there_is_an_error_that_names_the_address(void **state)
{
    struct stage stage;
    struct client *client = NULL;

    (void)state;
    stage_open(&stage, 2000);
    stage_close(&stage);
    assert_int_equal(
        client_open(&client, &stage.env, stage.address, 2000, &stage.why),
        ERR_IO);
    assert_non_null(strstr(stage.why.text, stage.address));
    assert_null(client);
}

static void words_are_split_at_any_number_of_spaces(void **state)
{
    struct client_words words;

    (void)state;
    client_split(SLICE("  VA 5  kfoo "), &words);
    assert_int_equal(words.count, 3);
    assert_true(slice_equal(words.at[0], SLICE("VA")));
    assert_true(slice_equal(words.at[1], SLICE("5")));
    assert_true(slice_equal(words.at[2], SLICE("kfoo")));
    client_split(SLICE(""), &words);
    assert_int_equal(words.count, 0);
}

static void more_words_than_fit_are_left_out(void **state)
{
    char line[4 * CLIENT_WORDS_MAX];
    struct client_words words;

    (void)state;
    for (size_t i = 0; i < sizeof line; i++) {
        line[i] = i % 2 == 0 ? 'a' : ' ';
    }
    client_split((struct slice){line, sizeof line}, &words);
    assert_int_equal(words.count, CLIENT_WORDS_MAX);
}

static void error_lines_are_told_from_answers(void **state)
{
    (void)state;
    assert_true(client_line_is_error(SLICE("ERROR")));
    assert_true(client_line_is_error(SLICE("CLIENT_ERROR bad data chunk")));
    assert_true(client_line_is_error(SLICE("SERVER_ERROR moved 7")));
    assert_false(client_line_is_error(SLICE("END")));
    assert_false(client_line_is_error(SLICE("ERRO")));
    assert_false(client_line_is_error(SLICE("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_blocks_come_in_order),
        cmocka_unit_test(what_is_sent_arrives),
        cmocka_unit_test(a_value_larger_than_the_buffer_is_whole),
        cmocka_unit_test(a_value_that_ends_elsewhere_is_refused),
        cmocka_unit_test(a_value_of_absurd_size_is_refused_unread),
        cmocka_unit_test(an_endless_line_is_refused),
        cmocka_unit_test(a_silent_server_is_a_timeout),
        cmocka_unit_test(a_server_that_hangs_up_is_told),
        cmocka_unit_test(nobody_there_is_an_error_that_names_the_address),
        cmocka_unit_test(words_are_split_at_any_number_of_spaces),
        cmocka_unit_test(more_words_than_fit_are_left_out),
        cmocka_unit_test(error_lines_are_told_from_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
