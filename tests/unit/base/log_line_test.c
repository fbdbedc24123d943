/* Whatever bytes a field holds, a line is one line of valid UTF-8 in its
 * format, and a line that is too long says that it was cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log_line.h"

#define LOGFMT_LEAD                                                         \
    "time=2009-02-13T23:31:30.000042Z level=warn role=shard component=net " \
    "msg=odd"
#define JSON_LEAD                                                   \
    "{\"time\":\"2009-02-13T23:31:30.000042Z\",\"level\":\"warn\"," \
    "\"role\":\"shard\",\"component\":\"net\",\"msg\":\"odd\""

enum { FILLER_SIZE = 2 * LOG_LINE_SIZE_MAX };

struct written {
    char text[LOG_LINE_SIZE_MAX + 1];
    size_t size;
};

static struct written line_of(enum log_format format, const char *event,
                              const struct log_field *fields, size_t count)
{
    struct written written;
    const struct log_record record = {
        .wall_us = INT64_C(1234567890000042),
        .level = LOG_WARN,
        .role = "shard",
        .component = "net",
        .event = event,
        .fields = fields,
        .field_count = count,
    };

    written.size = log_line_write(written.text, format, &record);
    assert_in_range(written.size, 1, LOG_LINE_SIZE_MAX);
    written.text[written.size] = '\0';
    return written;
}

static void both_formats_carry_the_same_event(void **state)
{
    const struct log_field fields[] = {
        LOG_TEXT("shard", "shard-0"),
        LOG_U64("bytes", UINT64_MAX),
        LOG_I64("drift", -5),
    };

    (void)state;
    struct written words = line_of(LOG_LOGFMT, "slow peer", fields, 3);

    assert_string_equal(words.text,
                        "time=2009-02-13T23:31:30.000042Z level=warn "
                        "role=shard component=net msg=\"slow peer\" "
                        "shard=shard-0 bytes=18446744073709551615 drift=-5\n");
    words = line_of(LOG_JSON, "slow peer", fields, 3);
    assert_string_equal(
        words.text,
        "{\"time\":\"2009-02-13T23:31:30.000042Z\",\"level\":\"warn\","
        "\"role\":\"shard\",\"component\":\"net\",\"msg\":\"slow peer\","
        "\"shard\":\"shard-0\",\"bytes\":18446744073709551615,\"drift\":-5}\n");
}

static void an_event_without_fields_is_a_whole_line(void **state)
{
    (void)state;
    assert_string_equal(line_of(LOG_LOGFMT, "odd", NULL, 0).text,
                        LOGFMT_LEAD "\n");
    assert_string_equal(line_of(LOG_JSON, "odd", NULL, 0).text,
                        JSON_LEAD "}\n");
}

static void hostile_bytes_are_escaped(void **state)
{
    /* bare: logfmt needs no quotes for it. */
    static const struct {
        struct slice text;
        const char *quoted;
        bool bare;
    } rows[] = {
        {{"plain", 5}, "plain", true},
        {{"", 0}, "", false},
        {{"two words", 9}, "two words", false},
        {{"a=b", 3}, "a=b", false},
        {{"say \"x\"", 7}, "say \\\"x\\\"", false},
        {{"c:\\d", 4}, "c:\\\\d", false},
        {{"a\nb\rc\td", 7}, "a\\nb\\rc\\td", false},
        {{"nul\0nul", 7}, "nul\\u0000nul", false},
        {{"\x1b[2J", 4}, "\\u001b[2J", false},
        {{"\x7f", 1}, "\\u007f", false},
        {{"g\xc3\xbcrtel", 7}, "g\xc3\xbcrtel", false},
        {{"\xe2\x82\xac", 3}, "\xe2\x82\xac", false},
        {{"\xf0\x9f\xaa\xa2", 4}, "\xf0\x9f\xaa\xa2", false},
        /* A control of eight bits, and what ends a line for some. */
        {{"\xc2\x9b", 2}, "\\u009b", false},
        {{"\xe2\x80\xa8", 3}, "\\u2028", false},
        /* No UTF-8: a stray byte, cut short, overlong, a surrogate, beyond. */
        {{"a\xff", 2}, "a\\ufffd", false},
        {{"\x80", 1}, "\\ufffd", false},
        {{"\xc3", 1}, "\\ufffd", false},
        {{"\xe2\x82", 2}, "\\ufffd\\ufffd", false},
        {{"\xc0\xaf", 2}, "\\ufffd\\ufffd", false},
        {{"\xe0\x80\xaf", 3}, "\\ufffd\\ufffd\\ufffd", false},
        {{"\xed\xa0\x80", 3}, "\\ufffd\\ufffd\\ufffd", false},
        {{"\xf4\x90\x80\x80", 4}, "\\ufffd\\ufffd\\ufffd\\ufffd", false},
        {{"\xc3(", 2}, "\\ufffd(", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct log_field field = LOG_SLICE("key", rows[i].text);
        const char *quote = rows[i].bare ? "" : "\"";
        char expected[256];

        (void)snprintf(expected, sizeof expected, LOGFMT_LEAD " key=%s%s%s\n",
                       quote, rows[i].quoted, quote);
        assert_string_equal(line_of(LOG_LOGFMT, "odd", &field, 1).text,
                            expected);
        (void)snprintf(expected, sizeof expected,
                       JSON_LEAD ",\"key\":\"%s\"}\n", rows[i].quoted);
        assert_string_equal(line_of(LOG_JSON, "odd", &field, 1).text, expected);
    }
}

static bool ends_with(const struct written *line, const char *tail)
{
    size_t size = strlen(tail);

    return line->size >= size &&
           strcmp(line->text + line->size - size, tail) == 0;
}

static void a_long_text_is_cut_and_marked_at_every_length(void **state)
{
    char filler[FILLER_SIZE];

    (void)state;
    memset(filler, 'f', sizeof filler);
    for (size_t size = 850; size < 1100; size++) {
        const struct log_field fields[] = {
            LOG_SLICE("key", ((struct slice){filler, size})),
            LOG_TEXT("last", "x"),
        };
        struct written logfmt = line_of(LOG_LOGFMT, "odd", fields, 2);
        struct written json = line_of(LOG_JSON, "odd", fields, 2);

        assert_true(ends_with(&logfmt, "f last=x\n") ||
                    ends_with(&logfmt, "f last=...\n") ||
                    ends_with(&logfmt, "f cut=...\n") ||
                    ends_with(&logfmt, "f...\n"));
        assert_true(ends_with(&json, "f\",\"last\":\"x\"}\n") ||
                    ends_with(&json, "f\",\"last\":\"...\"}\n") ||
                    ends_with(&json, "f\",\"cut\":\"...\"}\n") ||
                    ends_with(&json, "f...\"}\n"));
        assert_true(memchr(json.text, '\n', json.size - 1) == NULL);
    }
}

static void a_cut_never_splits_an_escape_or_a_character(void **state)
{
    char filler[FILLER_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof filler; i += 4) {
        memcpy(filler + i, "\xf0\x9f\xaa\xa2", 4);
    }
    for (size_t lead = 0; lead < 12; lead++) {
        char odd[16];
        const struct log_field fields[] = {
            LOG_SLICE("a", ((struct slice){"aaaaaaaaaaaa", lead})),
            LOG_SLICE("key", ((struct slice){filler, sizeof filler})),
        };
        struct written line = line_of(LOG_JSON, "odd", fields, 2);

        (void)snprintf(odd, sizeof odd, "\xf0\x9f\xaa\xa2...\"}\n");
        assert_true(ends_with(&line, odd));
    }
    memset(filler, '\x01', sizeof filler);
    for (size_t lead = 0; lead < 12; lead++) {
        const struct log_field fields[] = {
            LOG_SLICE("a", ((struct slice){"aaaaaaaaaaaa", lead})),
            LOG_SLICE("key", ((struct slice){filler, sizeof filler})),
        };
        struct written line = line_of(LOG_LOGFMT, "odd", fields, 2);

        assert_true(ends_with(&line, "\\u0001...\"\n"));
    }
}

static void times_before_1970_are_times_too(void **state)
{
    char text[LOG_LINE_SIZE_MAX];
    const struct log_record record = {
        .wall_us = -1,
        .level = LOG_ERROR,
        .role = "ringd",
        .component = "log",
        .event = "odd",
    };

    (void)state;
    (void)log_line_write(text, LOG_LOGFMT, &record);
    assert_memory_equal(text, "time=1969-12-31T23:59:59.999999Z level=error",
                        44);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_formats_carry_the_same_event),
        cmocka_unit_test(an_event_without_fields_is_a_whole_line),
        cmocka_unit_test(hostile_bytes_are_escaped),
        cmocka_unit_test(a_long_text_is_cut_and_marked_at_every_length),
        cmocka_unit_test(a_cut_never_splits_an_escape_or_a_character),
        cmocka_unit_test(times_before_1970_are_times_too),
    };
    return cmocka_run_group_tests_name("log_line", tests, NULL, NULL);
}
