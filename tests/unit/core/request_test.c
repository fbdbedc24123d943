/* What is obeyed, what is refused and with which words, and that neither
 * depends on how the bytes arrived. */
#include <stdio.h>

#include "unit/core/request_check.h"

#define KEY_250                                          \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk" \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk" \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk" \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk" \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
#define KEY_251 KEY_250 "k"

static void every_command_word_leads_to_its_command(void **state)
{
    static const char *const operands[] = {
        [SHAPE_KEYS] = " k\r\n",
        [SHAPE_TOUCH_KEYS] = " 5 k\r\n",
        [SHAPE_STORE] = " k 1 2 3\r\nabc\r\n",
        [SHAPE_CAS] = " k 1 2 3 4\r\nabc\r\n",
        [SHAPE_DELETE] = " k\r\n",
        [SHAPE_ARITH] = " k 5\r\n",
        [SHAPE_TOUCH] = " k 5\r\n",
        [SHAPE_META] = " k\r\n",
        [SHAPE_META_STORE] = " k 3\r\nabc\r\n",
        [SHAPE_META_NOOP] = "\r\n",
        [SHAPE_ADMIN] = " k\r\n",
    };

    (void)state;
    for (unsigned i = 0; i < COMMAND_COUNT; i++) {
        struct slice word = command_word(i);
        const char *rest = operands[command_shape(i)];
        char text[64];
        struct request r;
        size_t size = word.size + strlen(rest);

        memcpy(text, word.at, word.size);
        memcpy(text + word.size, rest, strlen(rest));
        assert_int_equal(parse_checked((struct slice){text, size}, &r),
                         PARSE_DONE);
        assert_int_equal(r.command, i);
        assert_int_equal(r.consumed, size);
    }
}

static const struct {
    struct slice text;
    enum command command;
    const char *key;
    const char *rest;
    const char *value;
    uint32_t flags;
    int64_t exptime;
    uint64_t number;
    bool noreply;
} good[] = {
    {TEXT("get k\r\n"), COMMAND_GET, "k", "", ""},
    {TEXT("get k\n"), COMMAND_GET, "k", "", ""},
    {TEXT("get   k   \r\n"), COMMAND_GET, "k", "", ""},
    {TEXT("gets a b  c \r\n"), COMMAND_GETS, "a", "b  c", ""},
    {TEXT("get noreply\r\n"), COMMAND_GET, "noreply", "", ""},
    {TEXT("get a noreply\r\n"), COMMAND_GET, "a", "noreply", ""},
    {TEXT("get / HTTP/1.1\r\n"), COMMAND_GET, "/", "HTTP/1.1", ""},
    {TEXT("get \x80\xff\r\n"), COMMAND_GET, "\x80\xff", "", ""},
    {TEXT("get " KEY_250 " k\r\n"), COMMAND_GET, KEY_250, "k", ""},
    {TEXT("gat -1 a b\r\n"), COMMAND_GAT, "a", "b", "", 0, -1},
    {TEXT("gats 2147483647 a\r\n"), COMMAND_GATS, "a", "", "", 0, INT32_MAX},
    {TEXT("set k 1 -2 3\r\nabc\r\n"), COMMAND_SET, "k", "", "abc", 1, -2},
    {TEXT("set k 0 0 0\r\n\r\n"), COMMAND_SET, "k", "", ""},
    {TEXT("set k 0 0 2\n\r\n\r\n"), COMMAND_SET, "k", "", "\r\n"},
    {TEXT("set k 0 0 1 noreply\r\na\r\n"), COMMAND_SET, "k", "", "a", 0, 0, 0,
     true},
    {TEXT("set k 0 0 1 x noreply \r\na\r\n"), COMMAND_SET, "k", "", "a", 0, 0,
     0, true},
    {TEXT("set k 0 0 1 noreply x\r\na\r\n"), COMMAND_SET, "k", "", "a"},
    {TEXT("set k 0 0 1 noreplyx\r\na\r\n"), COMMAND_SET, "k", "", "a"},
    {TEXT("set k 0 0 1 xnoreply\r\na\r\n"), COMMAND_SET, "k", "", "a"},
    {TEXT("set k 4294967295 4294967296 01\r\na\r\n"), COMMAND_SET, "k", "", "a",
     UINT32_MAX, INT64_C(4294967296)},
    {TEXT("cas k 0 0 1 18446744073709551615\r\na\r\n"), COMMAND_CAS, "k", "",
     "a", 0, 0, UINT64_MAX},
    {TEXT("cas k 0 0 1 7 noreply\r\na\r\n"), COMMAND_CAS, "k", "", "a", 0, 0, 7,
     true},
    {TEXT("delete k\r\n"), COMMAND_DELETE, "k", "", ""},
    {TEXT("delete k 0 noreply\r\n"), COMMAND_DELETE, "k", "", "", 0, 0, 0,
     true},
    {TEXT("delete k noreply 0\r\n"), COMMAND_DELETE, "k", "", ""},
    {TEXT("delete noreply\r\n"), COMMAND_DELETE, "noreply", "", "", 0, 0, 0,
     true},
    {TEXT("incr k 18446744073709551615\r\n"), COMMAND_INCR, "k", "", "", 0, 0,
     UINT64_MAX},
    {TEXT("decr k 1 2 noreply\r\n"), COMMAND_DECR, "k", "", "", 0, 0, 1, true},
    {TEXT("touch k -2147483648 noreply\r\n"), COMMAND_TOUCH, "k", "", "", 0,
     INT32_MIN, 0, true},
    {TEXT("mn\r\n"), COMMAND_MN, "", "", ""},
    {TEXT("mn k v noreply\r\n"), COMMAND_MN, "", "", ""},
    {TEXT("stats\r\n"), COMMAND_STATS, "", "", ""},
    {TEXT("stats  settings x \r\n"), COMMAND_STATS, "", "settings x", ""},
    {TEXT("flush_all 5 noreply\r\n"), COMMAND_FLUSH_ALL, "", "5 noreply", ""},
    {TEXT("  flush_all 0\r\n"), COMMAND_FLUSH_ALL, "", "0", ""},
    {TEXT(" verbosity 1\n"), COMMAND_VERBOSITY, "", "1", ""},
    {TEXT("ring 18\r\n"), COMMAND_RING, "", "18", ""},
};

static void a_good_request_is_read_as_it_was_meant(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct request r;

        assert_int_equal(parse_checked(good[i].text, &r), PARSE_DONE);
        assert_int_equal(r.command, good[i].command);
        assert_int_equal(r.consumed, good[i].text.size);
        assert_slice(r.key, good[i].key);
        assert_slice(r.rest, good[i].rest);
        assert_slice(r.value, good[i].value);
        assert_int_equal(r.flags, good[i].flags);
        assert_int_equal(r.exptime, good[i].exptime);
        assert_int_equal(r.number, good[i].number);
        assert_int_equal(r.noreply, good[i].noreply);
        assert_int_equal(r.meta_set, 0);
        assert_int_equal(r.error, WIRE_NONE);
    }
}

static const struct refusal no_block[] = {
    {TEXT("\r\n"), WIRE_BAD_FORMAT},
    {TEXT("\n"), WIRE_BAD_FORMAT},
    {TEXT("a\n"), WIRE_BAD_FORMAT},
    {TEXT("mn\n"), WIRE_BAD_FORMAT},
    {TEXT(" \r\n"), WIRE_BAD_FORMAT},
    {TEXT("a\r\n"), WIRE_BAD_FORMAT},
    {TEXT("ab\r\n"), WIRE_ERROR},
    {TEXT("abc\n"), WIRE_ERROR},
    {TEXT("    \r\n"), WIRE_ERROR},
    {TEXT("mn\r\r\n"), WIRE_ERROR},
    {TEXT("a\0b\r\n"), WIRE_ERROR},
    {TEXT("GET k\r\n"), WIRE_ERROR},
    {TEXT("Mg k\r\n"), WIRE_ERROR},
    {TEXT("getx k\r\n"), WIRE_ERROR},
    {TEXT("ge k\r\n"), WIRE_ERROR},
    {TEXT("get\tk\r\n"), WIRE_ERROR},
    {TEXT(" get k\r\n"), WIRE_ERROR},
    {TEXT("foo noreply\r\n"), WIRE_ERROR, .noreply = true},
    {TEXT("noreply \r\n"), WIRE_ERROR, .noreply = true},
    {TEXT("HTTP/1.1\r\n"), WIRE_ERROR},
    {TEXT("foo HTTP/1.1 x\r\n"), WIRE_ERROR},
    {TEXT("foo xHTTP/1.1\r\n"), WIRE_ERROR},
    {TEXT("*1\r\n$4\r\nPING\r\n"), WIRE_ERROR},
    {TEXT("get\r\n"), WIRE_BAD_FORMAT},
    {TEXT("get \r\n"), WIRE_BAD_FORMAT},
    {TEXT("get " KEY_251 "\r\n"), WIRE_BAD_FORMAT},
    {TEXT("get k " KEY_251 "\r\n"), WIRE_BAD_FORMAT},
    {TEXT("get k a\tb c\r\n"), WIRE_BAD_FORMAT},
    {TEXT("get k\r\r\n"), WIRE_BAD_FORMAT},
    {TEXT("get " KEY_251 " noreply\r\n"), WIRE_BAD_FORMAT},
    {TEXT("gat\r\n"), WIRE_BAD_FORMAT},
    {TEXT("gat 1\r\n"), WIRE_BAD_FORMAT},
    {TEXT("gat x \r\n"), WIRE_BAD_FORMAT},
    {TEXT("gat x k\r\n"), WIRE_BAD_EXPTIME},
    {TEXT("gat x " KEY_251 "\r\n"), WIRE_BAD_EXPTIME},
    {TEXT("gat 1 k " KEY_251 "\r\n"), WIRE_BAD_FORMAT},
    {TEXT("delete\r\n"), WIRE_BAD_FORMAT},
    {TEXT("delete k a b c\r\n"), WIRE_BAD_FORMAT},
    {TEXT("delete " KEY_251 "\r\n"), WIRE_BAD_FORMAT},
    {TEXT("delete " KEY_251 " noreply\r\n"), WIRE_BAD_FORMAT, .noreply = true},
    {TEXT("incr\r\n"), WIRE_BAD_FORMAT},
    {TEXT("incr k\r\n"), WIRE_BAD_FORMAT},
    {TEXT("incr " KEY_251 " x\r\n"), WIRE_BAD_FORMAT},
    {TEXT("incr k x\r\n"), WIRE_BAD_DELTA},
    {TEXT("decr k x noreply\r\n"), WIRE_BAD_DELTA, .noreply = true},
    {TEXT("decr k noreply\r\n"), WIRE_BAD_DELTA, .noreply = true},
    {TEXT("touch\r\n"), WIRE_BAD_FORMAT},
    {TEXT("touch k\r\n"), WIRE_BAD_FORMAT},
    {TEXT("touch " KEY_251 " x\r\n"), WIRE_BAD_FORMAT},
    {TEXT("touch k x\r\n"), WIRE_BAD_EXPTIME},
    {TEXT("touch k noreply\r\n"), WIRE_BAD_EXPTIME, .noreply = true},
};

static void a_bad_line_is_refused_with_memcacheds_words(void **state)
{
    (void)state;
    check_refusals(no_block, sizeof no_block / sizeof no_block[0]);
}

/* Else the data block would be obeyed as commands. */
static const struct refusal unknown_block[] = {
    {TEXT("set\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("set k\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("add k 0\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("replace k 0 0\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("append k 0 0 \r\nmn\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("prepend k 0 0 -1\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("set k 0 0 x\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("set k 0 0 1x\r\na\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("set k 0 0 noreply\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("set k 0 0 x noreply\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("cas k 0 0 2147483646 1\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("set " KEY_251 " 0 0 x\r\n"), WIRE_BAD_FORMAT, true},
    {TEXT("set " KEY_251 " 0 0 101\r\n"), WIRE_BAD_FORMAT, true, .skip = 103},
    {TEXT("set k x 0 2147483645\r\n"), WIRE_BAD_FORMAT, true,
     .skip = 2147483647},
    {TEXT(" set k 0 0 1\r\na\r\n"), WIRE_ERROR, true},
    {TEXT(" cas k 0 0 1 noreply\r\n"), WIRE_ERROR, true, true},
    {TEXT("set k 0 0 1\r\nab\r\n"), WIRE_BAD_CHUNK, true},
    {TEXT("set k 0 0 1\r\na\n\n"), WIRE_BAD_CHUNK, true},
    {TEXT("set k 0 0 2\r\na\r\n\r\n"), WIRE_BAD_CHUNK, true},
    {TEXT("add k 0 0 0 noreply\r\nab"), WIRE_BAD_CHUNK, true, true},
};

static void a_block_of_unsure_size_closes(void **state)
{
    (void)state;
    check_refusals(unknown_block,
                   sizeof unknown_block / sizeof unknown_block[0]);
}

static const struct refusal known_block[] = {
    {TEXT("set " KEY_251 " 0 0 7\r\n"), WIRE_BAD_FORMAT, .skip = 9},
    {TEXT("set a\tb 0 0 100\r\n"), WIRE_BAD_FORMAT, .skip = 102},
    {TEXT("set \x01 0 0 1\r\n"), WIRE_BAD_FORMAT, .skip = 3},
    {TEXT("set k x 0 7\r\n"), WIRE_BAD_FORMAT, .skip = 9},
    {TEXT("set k 0 x 7\r\n"), WIRE_BAD_FORMAT, .skip = 9},
    {TEXT("set k 0 x 7 noreply\r\n"), WIRE_BAD_FORMAT, .noreply = true,
     .skip = 9},
    {TEXT("cas k 0 0 7\r\n"), WIRE_BAD_FORMAT, .skip = 9},
    {TEXT("cas k 0 0 7 \r\n"), WIRE_BAD_FORMAT, .skip = 9},
    {TEXT("cas k 0 0 7 x\r\n"), WIRE_BAD_FORMAT, .skip = 9},
    {TEXT("cas k 0 0 7 noreply\r\n"), WIRE_BAD_FORMAT, .noreply = true,
     .skip = 9},
    {TEXT("set k 0 0 101\r\n"), WIRE_TOO_LARGE, .skip = 103},
    {TEXT("add k 0 0 2147483645\r\n"), WIRE_TOO_LARGE, .skip = 2147483647},
    {TEXT("cas k 0 0 101 5 noreply\r\n"), WIRE_TOO_LARGE, .noreply = true,
     .skip = 103},
};

static void a_block_of_known_size_is_swallowed(void **state)
{
    (void)state;
    check_refusals(known_block, sizeof known_block / sizeof known_block[0]);
}

static void a_value_that_is_too_large_still_names_its_key(void **state)
{
    struct slice text = TEXT("set name 0 0 101\r\n");
    struct request r;

    (void)state;
    assert_int_equal(parse_checked(text, &r), PARSE_BAD);
    assert_int_equal(r.command, COMMAND_SET);
    assert_slice(r.key, "name");
    assert_int_equal(r.consumed, text.size);
}

static void the_block_is_waited_for_with_its_exact_size(void **state)
{
    struct request_parser parser = {.value_size_max = CHECK_VALUE_SIZE_MAX};
    struct slice text = TEXT("set k 0 0 100\r\n");
    struct request r;

    (void)state;
    assert_int_equal(request_parse(&parser, text, &r), PARSE_MORE);
    assert_int_equal(r.needed, text.size + 102);
    parser = (struct request_parser){.value_size_max = CHECK_VALUE_SIZE_MAX};
    assert_int_equal(request_parse(&parser, (struct slice){0}, &r), PARSE_MORE);
    assert_int_equal(r.needed, 1);
}

/* The values that number fields are tried with, and the fields they fit. */
enum fit {
    FITS_NONE = 0,
    FITS_U32 = 1,
    FITS_I32 = 2,
    FITS_I64 = 4,
    FITS_U64 = 8,
    FITS_SIZE = 16, /* of a data block, TOO_LARGE included */
    FITS_ALL = 31,
};

static const struct {
    const char *word;
    unsigned fits;
} numbers[] = {
    {"0", FITS_ALL},
    {"-0", FITS_I32 | FITS_I64},
    {"007", FITS_ALL},
    {"-1", FITS_I32 | FITS_I64},
    {"-2147483648", FITS_I32 | FITS_I64},
    {"-2147483649", FITS_I64},
    {"2147483645", FITS_ALL},
    {"2147483646", FITS_ALL & ~FITS_SIZE},
    {"2147483647", FITS_ALL & ~FITS_SIZE},
    {"2147483648", FITS_U32 | FITS_I64 | FITS_U64},
    {"4294967295", FITS_U32 | FITS_I64 | FITS_U64},
    {"4294967296", FITS_I64 | FITS_U64},
    {"9223372036854775807", FITS_I64 | FITS_U64},
    {"9223372036854775808", FITS_U64},
    {"18446744073709551615", FITS_U64},
    {"18446744073709551616", FITS_NONE},
    {"99999999999999999999", FITS_NONE},
    {"-99999999999999999999", FITS_NONE},
    {"+1", FITS_NONE},
    {"-", FITS_NONE},
    {"--1", FITS_NONE},
    {"1-", FITS_NONE},
    {"0x1", FITS_NONE},
    {"1.0", FITS_NONE},
    {"1\t", FITS_NONE},
    {"\xb1", FITS_NONE},
};

static const struct {
    const char *before;
    const char *after;
    unsigned fit;
    enum wire_line error;
} number_fields[] = {
    {"gat ", " k\r\n", FITS_I32, WIRE_BAD_EXPTIME},
    {"touch k ", "\r\n", FITS_I32, WIRE_BAD_EXPTIME},
    {"incr k ", "\r\n", FITS_U64, WIRE_BAD_DELTA},
    {"decr k ", " noreply\r\n", FITS_U64, WIRE_BAD_DELTA},
    {"set k ", " 0 1\r\na\r\n", FITS_U32, WIRE_BAD_FORMAT},
    {"set k 0 ", " 1\r\na\r\n", FITS_I64, WIRE_BAD_FORMAT},
    {"set k 0 0 ", "\r\n", FITS_SIZE, WIRE_BAD_FORMAT},
    {"cas k 0 0 1 ", "\r\na\r\n", FITS_U64, WIRE_BAD_FORMAT},
    {"ms k ", "\r\n", FITS_SIZE, WIRE_BAD_FORMAT},
    {"mg k T", "\r\n", FITS_I32, WIRE_BAD_TOKEN},
    {"mg k N", "\r\n", FITS_I32, WIRE_BAD_TOKEN},
    {"mg k R", "\r\n", FITS_I32, WIRE_BAD_TOKEN},
    {"mg k C", "\r\n", FITS_U64, WIRE_BAD_TOKEN},
    {"mg k E", "\r\n", FITS_U64, WIRE_BAD_TOKEN},
    {"ms k 1 F", "\r\na\r\n", FITS_U32, WIRE_BAD_FORMAT},
    {"ma k D", "\r\n", FITS_U64, WIRE_BAD_ARITH_FLAG},
    {"ma k J", "\r\n", FITS_U64, WIRE_BAD_ARITH_FLAG},
};

static void number_try(size_t field, size_t number)
{
    char text[128];
    struct request r;
    int size =
        snprintf(text, sizeof text, "%s%s%s", number_fields[field].before,
                 numbers[number].word, number_fields[field].after);
    enum parse result = parse_checked((struct slice){text, (size_t)size}, &r);

    if ((numbers[number].fits & number_fields[field].fit) == 0) {
        assert_int_equal(result, PARSE_BAD);
        assert_int_equal(r.error, number_fields[field].error);
    } else if (number_fields[field].fit == FITS_SIZE) {
        assert_true(result == PARSE_MORE || r.error == WIRE_TOO_LARGE);
    } else {
        assert_int_equal(result, PARSE_DONE);
    }
}

static void every_number_field_takes_just_what_fits_it(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof number_fields / sizeof number_fields[0];
         f++) {
        for (size_t n = 0; n < sizeof numbers / sizeof numbers[0]; n++) {
            number_try(f, n);
        }
    }
}

/* Of every length, so that each way of looking at several bytes at once meets
 * the byte at each of its places. */
static void a_key_holds_no_control_byte_at_any_place(void **state)
{
    char text[64] = "mg ";

    (void)state;
    for (size_t size = 1; size <= 40; size++) {
        for (size_t at = 0; at < size; at++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                struct request_parser parser = {.value_size_max = 1};
                struct request r;
                bool is_good = byte > ' ' && byte != 0x7f;

                if (byte == ' ' || byte == '\n') {
                    continue;
                }
                memset(text + 3, 'k', size);
                text[3 + at] = (char)byte;
                memcpy(text + 3 + size, " v\r\n", 4);
                enum parse result =
                    request_parse(&parser, (struct slice){text, size + 7}, &r);

                assert_int_equal(result, is_good ? PARSE_DONE : PARSE_BAD);
                assert_int_equal(r.error,
                                 is_good ? WIRE_NONE : WIRE_BAD_FORMAT);
                assert_int_equal(r.key.size, is_good ? size : 0);
            }
        }
    }
}

/* Writes word, then keys "a", then a newline, size bytes in all. */
static struct slice line_of(char *block, const char *word, size_t size)
{
    size_t start = strlen(word);

    memcpy(block, word, start);
    for (size_t i = start; i < size - 1; i++) {
        block[i] = (i - start) % 2 == 0 ? ' ' : 'a';
    }
    block[size - 1] = '\n';
    return (struct slice){block, size};
}

static void lines_are_bounded_and_only_those_of_get_may_be_long(void **state)
{
    static const struct {
        const char *word;
        size_t size_max;
    } rows[] = {
        {"get", GET_LINE_SIZE_MAX},   {"gets", GET_LINE_SIZE_MAX},
        {"gat 5", GET_LINE_SIZE_MAX}, {"gats 5", GET_LINE_SIZE_MAX},
        {"delete k", LINE_SIZE_MAX},  {"stats", LINE_SIZE_MAX},
        {"getx", LINE_SIZE_MAX},      {" get", LINE_SIZE_MAX},
    };
    char *block = mem_alloc(mem_system(), GET_LINE_SIZE_MAX + 2);

    (void)state;
    assert_non_null(block);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request_parser parser = {.value_size_max = 1};
        struct request r;
        struct slice line = line_of(block, rows[i].word, rows[i].size_max);
        struct slice cut = {line.at, line.size - 1};

        assert_int_equal(request_parse(&parser, cut, &r), PARSE_MORE);
        assert_int_equal(r.needed, line.size);
        assert_true(request_parse(&parser, line, &r) != PARSE_LOST);
        assert_int_equal(r.consumed, line.size);

        line = line_of(block, rows[i].word, rows[i].size_max + 1);
        assert_int_equal(request_parse(&parser, line, &r), PARSE_LOST);
        assert_int_equal(r.error, WIRE_LINE_TOO_LONG);
        cut = (struct slice){line.at, line.size - 1};
        assert_int_equal(request_parse(&parser, cut, &r), PARSE_LOST);
    }
    mem_free(mem_system(), block);
}

static void a_long_get_that_trickles_in_is_looked_through_once(void **state)
{
    enum { SIZE = 1 << 20 };
    struct request_parser parser = {.value_size_max = 1};
    char *block = mem_alloc(mem_system(), SIZE);
    struct request r;

    (void)state;
    assert_non_null(block);
    struct slice line = line_of(block, "get", SIZE);

    for (size_t size = 1; size < SIZE; size += 7) {
        assert_int_equal(
            request_parse(&parser, (struct slice){line.at, size}, &r),
            PARSE_MORE);
        assert_int_equal(parser.scanned, size);
    }
    assert_int_equal(request_parse(&parser, line, &r), PARSE_DONE);
    assert_int_equal(parser.scanned, 0);
    mem_free(mem_system(), block);
}

static void bytes_of_another_protocol_are_lost_without_a_word(void **state)
{
    static const struct slice rows[] = {
        TEXT("\x80"),
        TEXT("\x80\x0a\0\0\0\0\0\0"),
        TEXT("\x16"),
        TEXT("\x16\x03\x01\x02\0\x01\r\n"),
        TEXT("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        TEXT("POST /x HTTP/1.0 \r\n"),
        TEXT("DELETE HTTP/1.1\r\n"),
        TEXT(" set HTTP/1.1\r\n"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request_parser parser = {.value_size_max = 1};
        struct request r;

        assert_int_equal(request_parse(&parser, rows[i], &r), PARSE_LOST);
        assert_int_equal(r.error, WIRE_NONE);
        assert_true(r.close);
    }
}

static void keys_and_words_come_off_one_by_one(void **state)
{
    struct slice rest = TEXT(" a  bc d ");
    struct slice word;

    (void)state;
    assert_true(request_next_key(&rest, &word));
    assert_slice(word, "a");
    assert_true(request_next_word(&rest, &word));
    assert_slice(word, "bc");
    assert_true(request_next_key(&rest, &word));
    assert_slice(word, "d");
    assert_false(request_next_key(&rest, &word));
    assert_false(request_next_word(&rest, &word));
    assert_int_equal(rest.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_word_leads_to_its_command),
        cmocka_unit_test(a_good_request_is_read_as_it_was_meant),
        cmocka_unit_test(a_bad_line_is_refused_with_memcacheds_words),
        cmocka_unit_test(a_block_of_unsure_size_closes),
        cmocka_unit_test(a_block_of_known_size_is_swallowed),
        cmocka_unit_test(a_value_that_is_too_large_still_names_its_key),
        cmocka_unit_test(the_block_is_waited_for_with_its_exact_size),
        cmocka_unit_test(every_number_field_takes_just_what_fits_it),
        cmocka_unit_test(a_key_holds_no_control_byte_at_any_place),
        cmocka_unit_test(lines_are_bounded_and_only_those_of_get_may_be_long),
        cmocka_unit_test(a_long_get_that_trickles_in_is_looked_through_once),
        cmocka_unit_test(bytes_of_another_protocol_are_lost_without_a_word),
        cmocka_unit_test(keys_and_words_come_off_one_by_one),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
