/* Texts end early rather than with a hole, and every row of a metric table
 * comes out as Prometheus reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/metric.h"

#define SAMPLES(METRIC)                                   \
    METRIC(COUNTER, gets, "Keys asked for.")              \
    METRIC(GAUGE, connections, "Clients now.\nNot ever.") \
    METRIC(COUNTER, misses, "A \\ in words.")

struct sample_metrics {
#define METRIC(kind, name, help) metric_t name;
    SAMPLES(METRIC)
#undef METRIC
};

static const struct metric_spec specs[] = {
#define METRIC(kind, name, help) {METRIC_##kind, #name, help},
    SAMPLES(METRIC)
#undef METRIC
};

enum { SPEC_COUNT = sizeof specs / sizeof specs[0] };

static void a_text_is_always_terminated(void **state)
{
    char at[8];
    struct text text;

    (void)state;
    text_init(&text, at, sizeof at);
    assert_string_equal(at, "");
    text_add(&text, "%s=%d", "a", 12);
    assert_string_equal(at, "a=12");
    assert_true(slice_equal(text_slice(&text), SLICE("a=12")));
}

static void what_does_not_fit_is_counted_and_ends_the_text(void **state)
{
    char at[8];
    struct text text;

    (void)state;
    text_init(&text, at, sizeof at);
    text_add(&text, "1234567");
    assert_int_equal(text.lost, 0);
    text_init(&text, at, sizeof at);
    text_add(&text, "12");
    text_add(&text, "345678");
    assert_string_equal(at, "12");
    assert_int_equal(text.lost, 6);
    text_add(&text, "3");
    assert_string_equal(at, "12");
    assert_int_equal(text.lost, 7);
    assert_int_equal(text_slice(&text).size, 2);
}

static void a_text_without_room_only_counts(void **state)
{
    struct text text;

    (void)state;
    text_init(&text, NULL, 0);
    text_add(&text, "%d", 123);
    assert_int_equal(text.lost, 3);
    assert_int_equal(text_slice(&text).size, 0);
}

static void sums_are_over_all_workers(void **state)
{
    struct sample_metrics workers[2] = {0};
    metric_t *const rows[] = {&workers[0].gets, &workers[1].gets};
    uint64_t sums[SPEC_COUNT];

    (void)state;
    metric_add(&workers[0].gets, 5);
    metric_add(&workers[1].gets, 6);
    metric_add(&workers[1].gets, 1);
    metric_set(&workers[0].connections, 3);
    metric_add(&workers[1].misses, 9);
    metric_sum(sums, SPEC_COUNT, rows, 2);
    assert_int_equal(sums[0], 12);
    assert_int_equal(sums[1], 3);
    assert_int_equal(sums[2], 9);
    metric_sum(sums, SPEC_COUNT, rows, 0);
    assert_int_equal(sums[0], 0);
}

static void every_row_is_a_prometheus_sample(void **state)
{
    static const uint64_t values[] = {12, 3, UINT64_MAX};
    char at[1024];
    struct text text;

    (void)state;
    text_init(&text, at, sizeof at);
    metric_prometheus(&text, "shard", specs, values, SPEC_COUNT);
    assert_string_equal(
        at, "# HELP torc_shard_gets_total Keys asked for.\n"
            "# TYPE torc_shard_gets_total counter\n"
            "torc_shard_gets_total 12\n"
            "# HELP torc_shard_connections Clients now.\\nNot ever.\n"
            "# TYPE torc_shard_connections gauge\n"
            "torc_shard_connections 3\n"
            "# HELP torc_shard_misses_total A \\\\ in words.\n"
            "# TYPE torc_shard_misses_total counter\n"
            "torc_shard_misses_total 18446744073709551615\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_always_terminated),
        cmocka_unit_test(what_does_not_fit_is_counted_and_ends_the_text),
        cmocka_unit_test(a_text_without_room_only_counts),
        cmocka_unit_test(sums_are_over_all_workers),
        cmocka_unit_test(every_row_is_a_prometheus_sample),
    };
    return cmocka_run_group_tests_name("metric", tests, NULL, NULL);
}
