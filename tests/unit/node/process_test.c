/* What a program says and exits with before it begins, and how it is told to
 * end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net/net.h"
#include "node/process.h"

struct sample {
    uint64_t threads;
};

static const struct option_spec specs[] = {
    OPTION_ROW_UINT(struct sample, threads, 't', 4, 1, 64, "worker threads"),
};
static const struct option_legacy legacy[] = {{'R', NULL, true}};
static const struct option_table table = {
    .program = "torc-sample",
    .synopsis = "A sample.",
    .specs = specs,
    .spec_count = 1,
    .legacy = legacy,
    .legacy_count = 1,
};

struct said {
    bool going_on;
    int status;
    char text[4096]; /* what was written to the stream */
    struct sample sample;
};

/* Puts a file in the place of stdout or stderr for the time of the call. */
static void run(int stream, const char *const *words, struct said *said)
{
    char copies[4][32];
    char *argv[5] = {NULL};
    int argc = 0;
    FILE *file = tmpfile();
    int before = dup(stream);

    assert_non_null(file);
    for (; words[argc] != NULL; argc++) {
        (void)snprintf(copies[argc], sizeof copies[argc], "%s", words[argc]);
        argv[argc] = copies[argc];
    }
    (void)fflush(stdout);
    assert_true(dup2(fileno(file), stream) >= 0);
    memset(said, 0, sizeof *said);
    said->going_on =
        process_options(&table, &said->sample, argc, argv, NULL, &said->status);
    (void)fflush(stdout);
    (void)fflush(stderr);
    assert_true(dup2(before, stream) >= 0);
    (void)close(before);
    rewind(file);
    said->text[fread(said->text, 1, sizeof said->text - 1, file)] = '\0';
    (void)fclose(file);
}

static void options_that_are_good_say_nothing(void **state)
{
    struct said said;

    (void)state;
    run(STDERR_FILENO, (const char *[]){"torc-sample", "-t", "8", NULL}, &said);
    assert_true(said.going_on);
    assert_int_equal(said.sample.threads, 8);
    assert_string_equal(said.text, "");
}

static void help_and_version_go_to_standard_output_and_exit_0(void **state)
{
    struct said said;

    (void)state;
    run(STDOUT_FILENO, (const char *[]){"torc-sample", "--help", NULL}, &said);
    assert_false(said.going_on);
    assert_int_equal(said.status, 0);
    assert_non_null(strstr(said.text, "--threads"));
    assert_non_null(strstr(said.text, "worker threads"));
    run(STDOUT_FILENO, (const char *[]){"torc-sample", "-V", NULL}, &said);
    assert_false(said.going_on);
    assert_int_equal(said.status, 0);
    assert_string_equal(said.text,
                        "torc-sample 0.1.0 (memcached 1.6.45 protocol)\n");
}

static void a_refusal_names_the_program_and_exits_2(void **state)
{
    struct said said;

    (void)state;
    run(STDERR_FILENO, (const char *[]){"torc-sample", "-t", "65", NULL},
        &said);
    assert_false(said.going_on);
    assert_int_equal(said.status, 2);
    assert_int_equal(strncmp(said.text, "torc-sample: ", 13), 0);
    assert_non_null(strstr(said.text, "65"));
    assert_non_null(strstr(said.text, "--help\n"));
}

static void what_memcached_knew_is_noticed_and_taken(void **state)
{
    struct said said;

    (void)state;
    run(STDERR_FILENO, (const char *[]){"torc-sample", "-R", "20", NULL},
        &said);
    assert_true(said.going_on);
    assert_int_equal(strncmp(said.text, "torc-sample: ", 13), 0);
    assert_non_null(strstr(said.text, "-R"));
}

static void a_process_has_a_whole_world(void **state)
{
    struct env env = {.log = NULL};
    struct why why = {""};

    (void)state;
    assert_int_equal(process_begin(&env, "sample", 0, "json", &why), ERR_OK);
    assert_non_null(env.log);
    assert_ptr_equal(env.net, net_system());
    assert_non_null(env.mem);
    assert_true(env_monotonic_ms(&env) > 0);
    assert_int_equal(log_level_get(env.log), LOG_INFO);
    process_end(&env);
    assert_null(env.log);
    process_end(&env);
    assert_int_equal(process_begin(&env, "sample", 2, "logfmt", &why), ERR_OK);
    assert_int_equal(log_level_get(env.log), LOG_DEBUG);
    process_end(&env);
}

static void an_unknown_log_format_is_refused_by_name(void **state)
{
    struct env env = {.log = NULL};
    struct why why = {""};

    (void)state;
    assert_int_equal(process_begin(&env, "sample", 0, "xml", &why),
                     ERR_UNKNOWN);
    assert_non_null(strstr(why.text, "\"xml\""));
    assert_non_null(strstr(why.text, "logfmt or json"));
}

static void signals_wait_until_they_are_asked_for(void **state)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1, SIGHUP};

    (void)state;
    process_signals_block();
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_int_equal(kill(getpid(), numbers[i]), 0);
        assert_int_equal(process_signal_wait(), numbers[i]);
    }
}

static void a_broken_pipe_is_an_error_and_no_end(void **state)
{
    int ends[2];

    (void)state;
    process_signals_block();
    assert_int_equal(pipe(ends), 0);
    (void)close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_that_are_good_say_nothing),
        cmocka_unit_test(help_and_version_go_to_standard_output_and_exit_0),
        cmocka_unit_test(a_refusal_names_the_program_and_exits_2),
        cmocka_unit_test(what_memcached_knew_is_noticed_and_taken),
        cmocka_unit_test(a_process_has_a_whole_world),
        cmocka_unit_test(an_unknown_log_format_is_refused_by_name),
        cmocka_unit_test(signals_wait_until_they_are_asked_for),
        cmocka_unit_test(a_broken_pipe_is_an_error_and_no_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
