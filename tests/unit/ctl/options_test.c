/* Every setting of every subcommand keeps its range, and operands are
 * counted before anything is done with them. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/ctl.h"
#include "ctl/options.h"

static const struct option_table *const tables[] = {
    &up_options_table, &ring_show_table,   &ring_explain_table,
    &ring_add_table,   &ring_remove_table, &kv_get_table,
    &kv_set_table,     &kv_delete_table,   &kv_stats_table,
};

enum { TABLE_COUNT = sizeof tables / sizeof tables[0] };

union any_options {
    struct up_options up;
    struct ring_options ring;
    struct ring_add_options ring_add;
    struct kv_options kv;
    struct kv_set_options kv_set;
};

static bool is_plain_number(const struct option_spec *spec)
{
    return spec->kind == OPTION_UINT;
}

static uint64_t value_of(const union any_options *options,
                         const struct option_spec *spec)
{
    uint64_t value;

    memcpy(&value, (const char *)options + spec->offset, sizeof value);
    return value;
}

static enum err set_number(const struct option_table *table,
                           union any_options *options,
                           const struct option_spec *spec, uint64_t value)
{
    char text[24];
    struct why why;

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return option_set(table, options, spec->name, text, &why);
}

static void every_number_keeps_its_range(void **state)
{
    unsigned count = 0;

    (void)state;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        union any_options options;

        option_presets(tables[t], &options);
        for (size_t i = 0; i < tables[t]->spec_count; i++) {
            const struct option_spec *spec = &tables[t]->specs[i];

            if (!is_plain_number(spec)) {
                continue;
            }
            count++;
            assert_int_equal(value_of(&options, spec), spec->preset);
            assert_int_equal(
                set_number(tables[t], &options, spec, spec->max + 1),
                ERR_RANGE);
            assert_int_equal(value_of(&options, spec), spec->preset);
            assert_int_equal(set_number(tables[t], &options, spec, spec->max),
                             ERR_OK);
            assert_int_equal(value_of(&options, spec), spec->max);
            assert_int_equal(set_number(tables[t], &options, spec, spec->min),
                             ERR_OK);
        }
    }
    assert_true(count >= 5);
}

static void every_subcommand_explains_itself_by_example(void **state)
{
    (void)state;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        char example[64];

        (void)snprintf(example, sizeof example, "\n  %s ", tables[t]->program);
        if (tables[t] == &ring_show_table || tables[t] == &kv_stats_table ||
            tables[t] == &up_options_table) {
            example[strlen(example) - 1] = '\0';
        }
        assert_non_null(strstr(tables[t]->synopsis, example));
    }
}

static void help_fits_a_terminal(void **state)
{
    (void)state;
    for (size_t t = 0; t < TABLE_COUNT; t++) {
        char text[16384] = "";
        FILE *out = fmemopen(text, sizeof text, "w");

        option_help(tables[t], out);
        (void)fclose(out);
        for (const char *at = text; *at != '\0';) {
            size_t width = strcspn(at, "\n");

            assert_true(width <= 80);
            at += width + (at[width] == '\n');
        }
    }
}

static struct up_options up_of(const char *flag, const char *value)
{
    struct up_options options;
    struct why why;

    option_presets(&up_options_table, &options);
    assert_int_equal(option_set(&up_options_table, &options, flag, value, &why),
                     ERR_OK);
    return options;
}

static void sizes_and_times_read_as_people_write_them(void **state)
{
    (void)state;
    assert_int_equal(up_of("memory", "64m").memory, 64 * MIB);
    assert_int_equal(up_of("memory", "256").memory, 256 * MIB);
    assert_int_equal(up_of("memory", "1g").memory, 1 * GIB);
    assert_int_equal(up_of("demo-seconds", "6").demo_seconds, 6 * SECONDS);
    assert_int_equal(up_of("demo-seconds", "1m").demo_seconds, 1 * MINUTES);
}

/* What ctl_parse made of it. */
struct outcome {
    bool goes_on;
    int status;
    struct option_texts operands;
};

static struct outcome parse(size_t min, size_t max, int argc,
                            char *const *words)
{
    char *argv[8] = {NULL};
    struct kv_options options;
    struct outcome outcome = {.status = -1};
    struct ctl_arguments arguments = {.table = &kv_get_table,
                                      .options = &options,
                                      .operands = &outcome.operands,
                                      .operands_min = min,
                                      .operands_max = max,
                                      .operands_help = "KEY"};

    memcpy(argv, words, (size_t)argc * sizeof argv[0]);
    outcome.goes_on = ctl_parse(&arguments, argc, argv, &outcome.status);
    return outcome;
}

static void operands_are_counted(void **state)
{
    char program[] = "torc get";
    char one[] = "one";
    char two[] = "two";
    char *words[] = {program, one, two};

    (void)state;
    assert_true(parse(1, 1, 2, words).goes_on);
    assert_true(parse(1, 2, 3, words).goes_on);
    assert_false(parse(1, 1, 3, words).goes_on);
    assert_int_equal(parse(1, 1, 3, words).status, CTL_FAILED);
    assert_false(parse(1, 1, 1, words).goes_on);
    assert_int_equal(parse(1, 1, 1, words).status, CTL_FAILED);
}

static void a_dash_alone_is_a_value(void **state)
{
    char program[] = "torc set";
    char dash[] = "-";
    char stop[] = "--";
    char negative[] = "-5";
    char *alone[] = {program, dash};
    char *guarded[] = {program, stop, negative};
    char *bare[] = {program, negative};

    (void)state;
    assert_true(parse(1, 1, 2, alone).goes_on);
    assert_true(parse(1, 1, 3, guarded).goes_on);
    assert_false(parse(1, 1, 2, bare).goes_on);
    assert_int_equal(parse(1, 1, 2, bare).status, CTL_FAILED);
}

static void control_bytes_become_question_marks(void **state)
{
    char words[] = "a\x1b[2Jb\nc\x7f";
    char kept[] = "h\xc3\xa9 ok";

    (void)state;
    ctl_make_printable(words);
    assert_string_equal(words, "a?[2Jb?c?");
    ctl_make_printable(kept);
    assert_string_equal(kept, "h\xc3\xa9 ok");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_keeps_its_range),
        cmocka_unit_test(every_subcommand_explains_itself_by_example),
        cmocka_unit_test(help_fits_a_terminal),
        cmocka_unit_test(sizes_and_times_read_as_people_write_them),
        cmocka_unit_test(operands_are_counted),
        cmocka_unit_test(a_dash_alone_is_a_value),
        cmocka_unit_test(control_bytes_become_question_marks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
