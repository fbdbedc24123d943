/* Any thread may log and nobody ever waits: a full queue drops and counts,
 * repeats are withheld and counted, and what was queued is written at the
 * end. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/log.h"
#include "base/mem.h"
#include "support/torture.h"

enum {
    OUTPUT_SIZE_MAX = 4 << 20,
    PIPE_SIZE = 4096,
    THREADS = 4,
    LINES_PER_THREAD = 200,
};

/* A clock that a test turns by hand, while the writer reads it. */
struct bench {
    _Atomic uint64_t now_ns;
    struct env env;
    struct log *log;
    int read_fd;
    int write_fd;
    char *output;
};

static uint64_t bench_monotonic_ns(void *context)
{
    return atomic_load(&((struct bench *)context)->now_ns);
}

static int64_t bench_wall_ms(void *context)
{
    return INT64_C(1600000000000) +
           (int64_t)(bench_monotonic_ns(context) / 1000000);
}

static void bench_pass_ms(struct bench *bench, uint64_t ms)
{
    (void)atomic_fetch_add(&bench->now_ns, ms * 1000000);
}

static void bench_begin(struct bench *bench, enum log_level level)
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    bench->read_fd = ends[0];
    bench->write_fd = ends[1];
    atomic_init(&bench->now_ns, UINT64_C(1000000000));
    bench->env = (struct env){
        .context = bench,
        .monotonic_ns = bench_monotonic_ns,
        .wall_ms = bench_wall_ms,
        .mem = mem_system(),
    };
    bench->output = test_malloc(OUTPUT_SIZE_MAX);
    const struct log_options options = {
        .level = level,
        .format = LOG_LOGFMT,
        .fd = bench->write_fd,
        .role = "shard",
    };

    assert_int_equal(log_create(&bench->log, &bench->env, &options), ERR_OK);
}

/* Reads one line, waiting for it. */
static void bench_read_line(struct bench *bench, char *line, size_t capacity)
{
    size_t size = 0;

    do {
        assert_true(size + 1 < capacity);
        assert_int_equal(read(bench->read_fd, line + size, 1), 1);
    } while (line[size++] != '\n');
    line[size] = '\0';
}

/* Ends the log and reads all that it wrote and nobody has read yet. */
static void bench_end(struct bench *bench)
{
    size_t size = 0;
    ssize_t got;

    log_destroy(&bench->log);
    assert_null(bench->log);
    assert_int_equal(close(bench->write_fd), 0);
    do {
        got = read(bench->read_fd, bench->output + size,
                   OUTPUT_SIZE_MAX - 1 - size);
        assert_true(got >= 0);
        size += (size_t)got;
    } while (got > 0);
    bench->output[size] = '\0';
    assert_int_equal(close(bench->read_fd), 0);
}

static size_t occurrences(const char *text, const char *of)
{
    size_t count = 0;

    while ((text = strstr(text, of)) != NULL) {
        text += strlen(of);
        count++;
    }
    return count;
}

/* Logs one of many events, so that none is a repeat. */
static void log_another(struct bench *bench, unsigned index)
{
    if (index % LOG_BURST_MAX == 0) {
        bench_pass_ms(bench, 1000);
    }
    LOG_ERR(bench->log, "test", "another", LOG_U64("index", index));
}

static void what_was_queued_is_written_at_the_end(void **state)
{
    struct bench bench;

    (void)state;
    bench_begin(&bench, LOG_INFO);
    LOG_NOTE(bench.log, "net", "listening", LOG_TEXT("address", "::1"));
    bench_pass_ms(&bench, 7);
    LOG_ERR(bench.log, "net", "no more descriptors");
    bench_end(&bench);
    assert_string_equal(
        bench.output,
        "time=2020-09-13T12:26:41.000000Z level=info role=shard component=net "
        "msg=listening address=::1\n"
        "time=2020-09-13T12:26:41.007000Z level=error role=shard "
        "component=net msg=\"no more descriptors\"\n");
    test_free(bench.output);
}

static void microseconds_come_from_the_clock_that_never_jumps(void **state)
{
    struct bench bench;

    (void)state;
    bench_begin(&bench, LOG_INFO);
    (void)atomic_fetch_add(&bench.now_ns, 123456000);
    LOG_NOTE(bench.log, "net", "first");
    (void)atomic_fetch_add(&bench.now_ns, 300000);
    LOG_NOTE(bench.log, "net", "second");
    bench_end(&bench);
    assert_non_null(strstr(bench.output, "26:41.123000Z"));
    assert_non_null(strstr(bench.output, "26:41.123300Z"));
    test_free(bench.output);
}

static void less_important_lines_are_not_written(void **state)
{
    struct bench bench;

    (void)state;
    bench_begin(&bench, LOG_WARN);
    LOG_NOTE(bench.log, "net", "hidden");
    LOG_WARNING(bench.log, "net", "shown");
    log_level_set(bench.log, LOG_DEBUG);
    assert_int_equal(log_level_get(bench.log), LOG_DEBUG);
    LOG_TRACE(bench.log, "net", "detail");
    LOG_TRACE(NULL, "net", "no log at all");
    bench_end(&bench);
    assert_null(strstr(bench.output, "hidden"));
    assert_null(strstr(bench.output, "at all"));
    assert_non_null(strstr(bench.output, "level=warn"));
    assert_non_null(strstr(bench.output, "level=debug"));
    test_free(bench.output);
}

static void repeats_are_withheld_and_counted(void **state)
{
    struct bench bench;

    (void)state;
    bench_begin(&bench, LOG_INFO);
    for (unsigned i = 0; i < LOG_BURST_MAX + 480; i++) {
        LOG_WARNING(bench.log, "upstream", "shard is down", LOG_U64("i", i));
        if (i % 100 == 0) {
            LOG_WARNING(bench.log, "upstream", "another event");
            LOG_WARNING(bench.log, "elsewhere", "shard is down");
        }
    }
    bench_pass_ms(&bench, 1000);
    LOG_WARNING(bench.log, "upstream", "shard is down", LOG_U64("i", 7777));
    bench_end(&bench);
    const char *summary = strstr(bench.output, "component=upstream "
                                               "msg=\"shard is down\" "
                                               "withheld=480\n");

    assert_non_null(summary);
    assert_non_null(strstr(summary, "i=7777"));
    assert_int_equal(occurrences(bench.output, "withheld="), 1);
    assert_int_equal(occurrences(bench.output, " i="), LOG_BURST_MAX + 1);
    assert_int_equal(occurrences(bench.output, "another event"), 5);
    assert_int_equal(occurrences(bench.output, "component=elsewhere"), 5);
    test_free(bench.output);
}

static void an_event_that_fell_silent_is_summed_up_all_the_same(void **state)
{
    struct bench bench;
    char line[LOG_LINE_SIZE_MAX + 1];

    (void)state;
    bench_begin(&bench, LOG_INFO);
    for (unsigned i = 0; i < LOG_BURST_MAX + 3; i++) {
        LOG_WARNING(bench.log, "upstream", "shard is down");
    }
    bench_pass_ms(&bench, 1000);
    for (unsigned i = 0; i < LOG_BURST_MAX; i++) {
        bench_read_line(&bench, line, sizeof line);
        assert_null(strstr(line, "withheld"));
    }
    /* Nobody logs any more; the writer looks at the clock by itself. */
    bench_read_line(&bench, line, sizeof line);
    assert_non_null(strstr(line, "withheld=3\n"));
    bench_end(&bench);
    assert_string_equal(bench.output, "");
    test_free(bench.output);
}

static void the_end_sums_up_what_is_withheld(void **state)
{
    struct bench bench;

    (void)state;
    bench_begin(&bench, LOG_INFO);
    for (unsigned i = 0; i < LOG_BURST_MAX + 3; i++) {
        LOG_WARNING(bench.log, "upstream", "shard is down");
    }
    bench_end(&bench);
    assert_int_equal(occurrences(bench.output, "withheld=3\n"), 1);
    test_free(bench.output);
}

/* The pipe takes one page and nobody reads: if a caller had to wait for the
 * writer, this would never end. */
static void a_full_queue_drops_and_never_blocks(void **state)
{
    enum { LINES = 2 * LOG_QUEUE_LINES_MAX };
    struct bench bench;
    char line[LOG_LINE_SIZE_MAX + 1];

    (void)state;
    bench_begin(&bench, LOG_INFO);
    assert_true(fcntl(bench.write_fd, F_SETPIPE_SZ, PIPE_SIZE) > 0);
    for (unsigned i = 0; i < LINES; i++) {
        log_another(&bench, i);
    }
    uint64_t dropped = log_dropped(bench.log);

    /* What the pipe took is at most a line for each 80 bytes of it. */
    assert_in_range(dropped, LINES - LOG_QUEUE_LINES_MAX - PIPE_SIZE / 80,
                    LINES - LOG_QUEUE_LINES_MAX);
    for (unsigned i = 0; i < LINES - dropped; i++) {
        bench_read_line(&bench, line, sizeof line);
        assert_non_null(strstr(line, "msg=another"));
    }
    bench_read_line(&bench, line, sizeof line);
    char expected[64];

    (void)snprintf(expected, sizeof expected, " dropped=%llu\n",
                   (unsigned long long)dropped);
    assert_non_null(strstr(line, expected));
    bench_end(&bench);
    assert_string_equal(bench.output, "");
    test_free(bench.output);
}

static void an_end_that_nobody_reads_is_an_end(void **state)
{
    struct bench bench;

    (void)state;
    bench_begin(&bench, LOG_INFO);
    assert_true(fcntl(bench.write_fd, F_SETPIPE_SZ, PIPE_SIZE) > 0);
    for (unsigned i = 0; i < 500; i++) {
        log_another(&bench, i);
    }
    bench_end(&bench);
    assert_true(occurrences(bench.output, "\n") < 100);
    test_free(bench.output);
}

static void a_reader_that_went_away_is_counted_not_fatal(void **state)
{
    struct bench bench;

    (void)state;
    bench_begin(&bench, LOG_INFO);
    int no_reader[2];

    assert_int_equal(pipe(no_reader), 0);
    assert_int_equal(close(no_reader[0]), 0);
    assert_int_equal(dup2(no_reader[1], bench.write_fd), bench.write_fd);
    assert_int_equal(close(no_reader[1]), 0);
    LOG_ERR(bench.log, "net", "unheard");
    for (unsigned i = 0; i < 5000 && log_dropped(bench.log) == 0; i++) {
        (void)usleep(1000);
    }
    assert_int_equal(log_dropped(bench.log), 1);
    bench_end(&bench);
    test_free(bench.output);
}

static void *thread_run(void *context)
{
    static const char *const components[] = {"a", "b", "c", "d"};
    struct bench *bench = context;

    for (unsigned i = 0; i < LINES_PER_THREAD; i++) {
        LOG_ERR(bench->log, components[i % 4], "shared", LOG_U64("index", i));
        if (i % 16 == 0) {
            bench_pass_ms(bench, 100);
        }
    }
    return NULL;
}

static uint64_t withheld_in(const char *text)
{
    uint64_t sum = 0;

    while ((text = strstr(text, "withheld=")) != NULL) {
        text += strlen("withheld=");
        sum += strtoull(text, NULL, 10);
    }
    return sum;
}

static void lines_of_many_threads_are_all_written_or_counted(void **state)
{
    struct bench bench;
    pthread_t threads[THREADS];

    (void)state;
    bench_begin(&bench, LOG_INFO);
    /* All of it fits, so that nobody needs to read meanwhile. */
    assert_true(fcntl(bench.write_fd, F_SETPIPE_SZ, 1 << 20) > 0);
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, thread_run, &bench),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(log_dropped(bench.log), 0);
    bench_end(&bench);
    assert_int_equal(occurrences(bench.output, " index=") +
                         withheld_in(bench.output),
                     THREADS * LINES_PER_THREAD);
    /* Four events, and the clock passed through at most seven seconds. */
    assert_true(occurrences(bench.output, " index=") <=
                (size_t)4 * 7 * LOG_BURST_MAX);
    assert_true(withheld_in(bench.output) > 0);
    assert_int_equal(occurrences(bench.output, "\n"),
                     occurrences(bench.output, "\ntime=") + 1);
    test_free(bench.output);
}

static enum err create_then_destroy(const struct mem *mem, void *context)
{
    struct env *env = context;
    const struct log_options options = {.fd = -1, .role = "shard"};
    struct log *log = NULL;

    env->mem = mem;
    enum err e = log_create(&log, env, &options);

    log_destroy(&log);
    return e;
}

static void creation_survives_any_failed_allocation(void **state)
{
    struct env env;

    (void)state;
    env_system(&env);
    assert_true(torture_allocations(create_then_destroy, &env) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_queued_is_written_at_the_end),
        cmocka_unit_test(microseconds_come_from_the_clock_that_never_jumps),
        cmocka_unit_test(less_important_lines_are_not_written),
        cmocka_unit_test(repeats_are_withheld_and_counted),
        cmocka_unit_test(an_event_that_fell_silent_is_summed_up_all_the_same),
        cmocka_unit_test(the_end_sums_up_what_is_withheld),
        cmocka_unit_test(a_full_queue_drops_and_never_blocks),
        cmocka_unit_test(an_end_that_nobody_reads_is_an_end),
        cmocka_unit_test(a_reader_that_went_away_is_counted_not_fatal),
        cmocka_unit_test(lines_of_many_threads_are_all_written_or_counted),
        cmocka_unit_test(creation_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
