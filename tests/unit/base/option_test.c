/* Every option in a table keeps its range, is reached by flag, letter and
 * environment, and a refusal says what was wrong and what is allowed. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/option.h"

struct sample {
#define OPTION(kind, name, letter, preset, min, max, help) \
    OPTION_FIELD_##kind(name);
#include "unit/base/option_sample.def"
#undef OPTION
};

static const struct option_spec specs[] = {
#define OPTION(kind, name, letter, preset, min, max, help) \
    OPTION_ROW_##kind(struct sample, name, letter, preset, min, max, help),
#include "unit/base/option_sample.def"
#undef OPTION
};

static const struct option_legacy legacy[] = {
    {'k', "lock-memory", false},
    {'L', NULL, false},
    {'o', "extended", true},
    {0, "hash", true},
};

static const struct option_table table = {
    .program = "torc-sample",
    .synopsis = "torc-sample: nothing but options",
    .specs = specs,
    .spec_count = sizeof specs / sizeof specs[0],
    .legacy = legacy,
    .legacy_count = sizeof legacy / sizeof legacy[0],
};

enum { WORDS_MAX = 80 };

struct parsed {
    enum option_outcome outcome;
    struct sample options;
    struct option_texts operands;
    struct why why;
    struct why notice;
};

/* Ends with NULL. */
static struct parsed parse(int with_operands, ...)
{
    struct parsed parsed = {.why = {"unset"}, .notice = {"unset"}};
    char program[] = "torc-sample";
    char *argv[WORDS_MAX] = {program};
    int argc = 1;
    va_list words;

    va_start(words, with_operands);
    while (argc < WORDS_MAX && (argv[argc] = va_arg(words, char *)) != NULL) {
        argc++;
    }
    va_end(words);
    parsed.outcome = option_parse(&table, &parsed.options, argc, argv,
                                  with_operands != 0 ? &parsed.operands : NULL,
                                  &parsed.why, &parsed.notice);
    return parsed;
}

#define PARSE(...)          parse(0, __VA_ARGS__ __VA_OPT__(, ) NULL)
#define PARSE_OPERANDS(...) parse(1, __VA_ARGS__ __VA_OPT__(, ) NULL)

#define assert_parsed(parsed) assert_int_equal((parsed).outcome, OPTION_PARSED)

#define assert_refused(parsed, words)                       \
    do {                                                    \
        assert_int_equal((parsed).outcome, OPTION_REFUSED); \
        assert_string_equal((parsed).why.text, (words));    \
    } while (0)

static void nothing_given_leaves_every_preset(void **state)
{
    struct parsed parsed = PARSE();

    (void)state;
    assert_parsed(parsed);
    assert_int_equal(parsed.options.port, 11211);
    assert_int_equal(parsed.options.value_size_max, MIB);
    assert_int_equal(parsed.options.memory_limit, 64 * MIB);
    assert_int_equal(parsed.options.request_timeout, 5000);
    assert_int_equal(parsed.options.no_evict, 0);
    assert_string_equal(parsed.options.name, "shard-0");
    assert_null(parsed.options.zone);
    assert_int_equal(parsed.options.listen.count, 1);
    assert_string_equal(parsed.options.listen.at[0], "127.0.0.1");
    assert_int_equal(parsed.options.verbosity, 0);
    assert_string_equal(parsed.notice.text, "");
}

struct written {
    char text[32];
};

static struct written number_text(uint64_t number, const char *unit)
{
    struct written written;

    (void)snprintf(written.text, sizeof written.text, "%" PRIu64 "%s", number,
                   unit);
    return written;
}

static uint64_t field_of(const struct option_spec *spec,
                         const struct sample *options)
{
    uint64_t value;

    memcpy(&value, (const char *)options + spec->offset, sizeof value);
    return value;
}

/* step is the least that the unit can say. */
static void range_check(const struct option_spec *spec, uint64_t step,
                        const char *unit)
{
    struct sample options;
    struct why why;

    option_presets(&table, &options);
    assert_int_equal(option_set(&table, &options, spec->name,
                                number_text(spec->max / step + 1, unit).text,
                                &why),
                     ERR_RANGE);
    assert_non_null(strstr(why.text, "allowed: "));
    if (spec->min > 0) {
        assert_int_equal(
            option_set(&table, &options, spec->name,
                       number_text(spec->min / step - 1, unit).text, &why),
            ERR_RANGE);
    }
    assert_int_equal(field_of(spec, &options), spec->preset);
    assert_int_equal(option_set(&table, &options, spec->name,
                                number_text(spec->min / step, unit).text, &why),
                     ERR_OK);
    assert_int_equal(field_of(spec, &options), spec->min);
    assert_int_equal(option_set(&table, &options, spec->name,
                                number_text(spec->max / step, unit).text, &why),
                     ERR_OK);
    assert_int_equal(field_of(spec, &options), spec->max);
}

static void every_option_keeps_its_range(void **state)
{
    unsigned checked = 0;

    (void)state;
    for (size_t i = 0; i < table.spec_count; i++) {
        switch (specs[i].kind) {
        case OPTION_UINT:
        case OPTION_COUNT:
        case OPTION_SIZE: range_check(&specs[i], 1, ""); break;
        case OPTION_MEBIBYTES: range_check(&specs[i], KIB, "k"); break;
        case OPTION_DURATION: range_check(&specs[i], 1, "ms"); break;
        case OPTION_FLAG:
        case OPTION_TEXT:
        case OPTION_TEXTS: continue;
        }
        checked++;
    }
    assert_int_equal(checked, 5);
}

static void units_mean_what_the_table_says(void **state)
{
    static const struct {
        const char *name;
        const char *text;
        enum err e;
        uint64_t value;
    } rows[] = {
        {"value_size_max", "1048576", ERR_OK, MIB},
        {"value_size_max", "2m", ERR_OK, 2 * MIB},
        {"value-size-max", "512K", ERR_OK, 512 * KIB},
        {"value_size_max", "1g", ERR_OK, GIB},
        {"value_size_max", "2x", ERR_SYNTAX, 0},
        {"value_size_max", "2mm", ERR_SYNTAX, 0},
        {"value_size_max", "m", ERR_SYNTAX, 0},
        {"value_size_max", "", ERR_SYNTAX, 0},
        {"value_size_max", "-1", ERR_SYNTAX, 0},
        {"value_size_max", "1.5m", ERR_SYNTAX, 0},
        {"value_size_max", " 2m", ERR_SYNTAX, 0},
        {"value_size_max", "2 m", ERR_SYNTAX, 0},
        {"value_size_max", "99999999999999999999", ERR_RANGE, 0},
        {"value_size_max", "17179869185g", ERR_RANGE, 0},
        {"memory_limit", "100", ERR_OK, 100 * MIB},
        {"memory_limit", "2g", ERR_OK, 2 * GIB},
        {"memory_limit", "65536k", ERR_OK, 64 * MIB},
        {"request_timeout", "2", ERR_OK, 2000},
        {"request_timeout", "250ms", ERR_OK, 250},
        {"request_timeout", "2m", ERR_OK, 120000},
        {"request_timeout", "1h", ERR_OK, 3600000},
        {"request_timeout", "1d", ERR_SYNTAX, 0},
        {"port", "80", ERR_OK, 80},
        {"port", "80k", ERR_SYNTAX, 0},
        {"no_evict", "yes", ERR_OK, 1},
        {"no_evict", "off", ERR_OK, 0},
        {"no_evict", "TRUE", ERR_OK, 1},
        {"no_evict", "0", ERR_OK, 0},
        {"no_evict", "2", ERR_SYNTAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sample options;
        struct sample before;
        struct why why = {"unset"};

        option_presets(&table, &options);
        options.no_evict = 7;
        before = options;
        enum err e =
            option_set(&table, &options, rows[i].name, rows[i].text, &why);

        assert_int_equal(e, rows[i].e);
        if (e != ERR_OK) {
            assert_memory_equal(&options, &before, sizeof options);
            assert_non_null(strstr(why.text, rows[i].text));
            continue;
        }
        for (size_t k = 0; k < table.spec_count; k++) {
            if (strncmp(specs[k].name, rows[i].name, 5) == 0) {
                assert_int_equal(field_of(&specs[k], &options), rows[i].value);
            }
        }
    }
}

static void flags_are_written_in_every_usual_way(void **state)
{
    struct parsed parsed =
        PARSE("--port=1", "-m", "100", "-I2m", "--request-timeout", "9s", "-vM",
              "--name", "a=b", "-vz", "east", "--listen=::1,::2", "-l", "*");

    (void)state;
    assert_parsed(parsed);
    assert_int_equal(parsed.options.port, 1);
    assert_int_equal(parsed.options.memory_limit, 100 * MIB);
    assert_int_equal(parsed.options.value_size_max, 2 * MIB);
    assert_int_equal(parsed.options.request_timeout, 9000);
    assert_int_equal(parsed.options.no_evict, 1);
    assert_string_equal(parsed.options.name, "a=b");
    assert_string_equal(parsed.options.zone, "east");
    assert_int_equal(parsed.options.verbosity, 2);
    assert_int_equal(parsed.options.listen.count, 2);
    assert_string_equal(parsed.options.listen.at[0], "::1,::2");
    assert_string_equal(parsed.options.listen.at[1], "*");
}

static void the_last_of_several_flags_wins(void **state)
{
    struct parsed parsed = PARSE("-p", "1", "--port", "2", "--no-evict",
                                 "--no-evict=no", "--verbosity=3", "--zone=");

    (void)state;
    assert_parsed(parsed);
    assert_int_equal(parsed.options.port, 2);
    assert_int_equal(parsed.options.no_evict, 0);
    assert_int_equal(parsed.options.verbosity, 3);
    assert_string_equal(parsed.options.zone, "");
    assert_int_equal(PARSE("-vvvvvv").options.verbosity, 3);
}

static void flags_win_over_the_environment_over_the_preset(void **state)
{
    (void)state;
    assert_int_equal(setenv("TORC_PORT", "2222", 1), 0);
    assert_int_equal(setenv("TORC_MEMORY_LIMIT", "128", 1), 0);
    assert_int_equal(setenv("TORC_LISTEN", "10.0.0.1,10.0.0.2", 1), 0);
    assert_int_equal(setenv("TORC_VERBOSITY", "2", 1), 0);
    assert_int_equal(setenv("TORC_ZONE", "", 1), 0);
    struct parsed variables = PARSE();
    struct parsed flags = PARSE("-p", "3333", "-l", "::1", "-v");

    assert_int_equal(unsetenv("TORC_PORT"), 0);
    assert_int_equal(unsetenv("TORC_MEMORY_LIMIT"), 0);
    assert_int_equal(unsetenv("TORC_LISTEN"), 0);
    assert_int_equal(unsetenv("TORC_VERBOSITY"), 0);
    assert_int_equal(unsetenv("TORC_ZONE"), 0);

    assert_parsed(variables);
    assert_int_equal(variables.options.port, 2222);
    assert_int_equal(variables.options.memory_limit, 128 * MIB);
    assert_int_equal(variables.options.listen.count, 1);
    assert_string_equal(variables.options.listen.at[0], "10.0.0.1,10.0.0.2");
    assert_int_equal(variables.options.verbosity, 2);
    assert_null(variables.options.zone);

    assert_parsed(flags);
    assert_int_equal(flags.options.port, 3333);
    assert_int_equal(flags.options.memory_limit, 128 * MIB);
    assert_int_equal(flags.options.listen.count, 1);
    assert_string_equal(flags.options.listen.at[0], "::1");
    assert_int_equal(flags.options.verbosity, 1);
}

static void a_bad_variable_is_refused_by_its_name(void **state)
{
    (void)state;
    assert_int_equal(setenv("TORC_PORT", "http", 1), 0);
    struct parsed refused = PARSE();
    struct parsed helped = PARSE("--help");

    assert_int_equal(unsetenv("TORC_PORT"), 0);
    assert_refused(refused, "TORC_PORT: \"http\" is not a whole number; "
                            "allowed: 0 to 65535");
    assert_int_equal(helped.outcome, OPTION_HELP);
}

static void a_refusal_says_what_and_what_is_allowed(void **state)
{
    (void)state;
    assert_refused(PARSE("--port=70000"),
                   "--port: \"70000\" is out of range; allowed: 0 to 65535");
    assert_refused(PARSE("-p", "x"), "-p: \"x\" is not a whole number; "
                                     "allowed: 0 to 65535");
    assert_refused(PARSE("-m4"),
                   "-m: \"4\" is out of range; allowed: 8m to 1t");
    assert_refused(PARSE("--request-timeout", "2h"),
                   "--request-timeout: \"2h\" is out of range; allowed: "
                   "200ms to 1h");
    assert_refused(PARSE("--value-size-max=big"),
                   "--value-size-max: \"big\" is not a size, like 512k, 64m "
                   "or 2g; allowed: 1k to 1g");
    assert_refused(PARSE("--no-evict=maybe"),
                   "--no-evict: \"maybe\" is not yes or no");
    assert_refused(PARSE("--port"),
                   "--port needs a value; allowed: 0 to 65535");
    assert_refused(PARSE("-vp"), "-p needs a value; allowed: 0 to 65535");
    assert_refused(PARSE("--extended"), "--extended needs a value");
    assert_refused(PARSE("here"), "\"here\" is no flag; --help lists all");
    assert_refused(PARSE("-"), "\"-\" is no flag; --help lists all");
}

static void an_unknown_flag_is_answered_with_the_nearest(void **state)
{
    (void)state;
    assert_refused(PARSE("--memory-limt=64"),
                   "unknown flag \"--memory-limt=64\"; did you mean "
                   "--memory-limit; --help lists all");
    assert_refused(PARSE("--prot", "1"),
                   "unknown flag \"--prot\"; did you mean --port; --help lists "
                   "all");
    assert_refused(PARSE("--frobnicate"),
                   "unknown flag \"--frobnicate\"; --help lists all");
    assert_refused(PARSE("-vq"), "unknown flag \"-q\"; --help lists all");

    struct sample options;
    struct why why;

    option_presets(&table, &options);
    assert_int_equal(option_set(&table, &options, "verbosty", "1", &why),
                     ERR_UNKNOWN);
    assert_string_equal(why.text,
                        "no option \"verbosty\"; did you mean --verbosity");
}

static void an_endless_name_is_refused_like_any_other(void **state)
{
    char flag[4096];

    (void)state;
    memset(flag, 'a', sizeof flag - 1);
    memcpy(flag, "--", 2);
    flag[sizeof flag - 1] = '\0';
    struct parsed parsed = PARSE(flag);

    assert_int_equal(parsed.outcome, OPTION_REFUSED);
    assert_non_null(strstr(parsed.why.text, "unknown flag"));
}

static void operands_are_collected_where_they_are_wanted(void **state)
{
    struct parsed parsed =
        PARSE_OPERANDS("get", "-v", "key", "--", "-p", "--port");

    (void)state;
    assert_parsed(parsed);
    assert_int_equal(parsed.operands.count, 4);
    assert_string_equal(parsed.operands.at[0], "get");
    assert_string_equal(parsed.operands.at[1], "key");
    assert_string_equal(parsed.operands.at[2], "-p");
    assert_string_equal(parsed.operands.at[3], "--port");
    assert_int_equal(parsed.options.verbosity, 1);
    assert_refused(PARSE("--", "-p"), "\"-p\" is no flag; --help lists all");
}

static void more_than_the_most_is_refused(void **state)
{
    char program[] = "torc-sample";
    char flag[] = "-l::1";
    char operand[] = "key";
    char *argv[OPTION_TEXTS_MAX + 2] = {program};
    struct sample options;
    struct option_texts operands;
    struct why why;

    (void)state;
    for (int i = 0; i <= OPTION_TEXTS_MAX; i++) {
        argv[i + 1] = flag;
    }
    assert_int_equal(option_parse(&table, &options, OPTION_TEXTS_MAX + 1, argv,
                                  NULL, &why, NULL),
                     OPTION_PARSED);
    assert_int_equal(options.listen.count, OPTION_TEXTS_MAX);
    assert_int_equal(option_parse(&table, &options, OPTION_TEXTS_MAX + 2, argv,
                                  NULL, &why, NULL),
                     OPTION_REFUSED);
    assert_string_equal(why.text, "-l: \"::1\" is one too many; allowed: 64");
    for (int i = 0; i <= OPTION_TEXTS_MAX; i++) {
        argv[i + 1] = operand;
    }
    assert_int_equal(option_parse(&table, &options, OPTION_TEXTS_MAX + 2, argv,
                                  &operands, &why, NULL),
                     OPTION_REFUSED);
    assert_string_equal(why.text, "\"key\" is one too many; allowed: 64");
}

static void what_only_memcached_needs_is_taken_with_a_notice(void **state)
{
    struct parsed parsed =
        PARSE("-k", "-o", "modern", "-vLomodern", "--hash=jenkins", "--hash",
              "murmur3", "--lock-memory", "-p", "1");

    (void)state;
    assert_parsed(parsed);
    assert_string_equal(parsed.notice.text,
                        "accepted, without effect here: -k, -o, -L, -o, "
                        "--hash, --hash, --lock-memory");
    assert_int_equal(parsed.options.port, 1);
    assert_int_equal(parsed.options.verbosity, 1);
}

static void help_and_version_are_there_without_a_row(void **state)
{
    (void)state;
    assert_int_equal(PARSE("-h").outcome, OPTION_HELP);
    assert_int_equal(PARSE("-vh").outcome, OPTION_HELP);
    assert_int_equal(PARSE("--help").outcome, OPTION_HELP);
    assert_int_equal(PARSE("-V").outcome, OPTION_VERSION);
    assert_int_equal(PARSE("--version").outcome, OPTION_VERSION);
}

static void help_names_every_option_within_80_columns(void **state)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_non_null(out);
    option_help(&table, out);
    assert_int_equal(fclose(out), 0);
    static const char *const expected[] = {
        "torc-sample: nothing but options\n",
        "\n  -p, --port NUMBER\n",
        "[preset 11211; 0 to 65535; TORC_PORT]",
        "\n  -m, --memory-limit MEGABYTES\n",
        "        [preset 64m; 8m to 1t; TORC_MEMORY_LIMIT]\n",
        "\n      --request-timeout TIME\n",
        "[preset 5s; 200ms to 1h; TORC_REQUEST_TIMEOUT]",
        "\n  -M, --no-evict\n",
        "[preset no; TORC_NO_EVICT]",
        "\n  -z, --zone TEXT\n",
        "[no preset; TORC_ZONE]",
        "[preset 127.0.0.1; repeatable; TORC_LISTEN]",
        "\n  -v, --verbosity\n",
        "\n  -h, --help\n",
        "-k --lock-memory -L -o --extended --hash",
    };

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        if (strstr(text, expected[i]) == NULL) {
            fail_msg("\"%s\" is not in:\n%s", expected[i], text);
        }
    }
    for (const char *line = text; *line != '\0';) {
        size_t width = strcspn(line, "\n");

        assert_in_range(width, 0, 80);
        line += width + 1;
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_given_leaves_every_preset),
        cmocka_unit_test(every_option_keeps_its_range),
        cmocka_unit_test(units_mean_what_the_table_says),
        cmocka_unit_test(flags_are_written_in_every_usual_way),
        cmocka_unit_test(the_last_of_several_flags_wins),
        cmocka_unit_test(flags_win_over_the_environment_over_the_preset),
        cmocka_unit_test(a_bad_variable_is_refused_by_its_name),
        cmocka_unit_test(a_refusal_says_what_and_what_is_allowed),
        cmocka_unit_test(an_unknown_flag_is_answered_with_the_nearest),
        cmocka_unit_test(an_endless_name_is_refused_like_any_other),
        cmocka_unit_test(operands_are_collected_where_they_are_wanted),
        cmocka_unit_test(more_than_the_most_is_refused),
        cmocka_unit_test(what_only_memcached_needs_is_taken_with_a_notice),
        cmocka_unit_test(help_and_version_are_there_without_a_row),
        cmocka_unit_test(help_names_every_option_within_80_columns),
    };
    return cmocka_run_group_tests_name("option", tests, NULL, NULL);
}
