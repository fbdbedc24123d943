/* A shard's answer is taken whole or not at all, and a shard that does not
 * answer what it was asked is found out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "core/reply.h"
#include "proto/limits.h"

enum { VALUE_SIZE_MAX = 100 };

#define TEXT(literal)                  \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }
#define KEY_250                                          \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk" \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk" \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk" \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk" \
    "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"

/* Out of a block that holds no more, for a sanitizer to watch. */
static enum reply_outcome parse_cut(struct reply_parser *parser,
                                    enum reply_expect expect, struct slice text,
                                    size_t size, struct reply *out)
{
    char *block = mem_alloc(mem_system(), size);

    assert_non_null(block);
    memcpy(block, text.at, size);
    enum reply_outcome outcome =
        reply_parse(parser, expect, (struct slice){block, size}, out);

    mem_free(mem_system(), block);
    return outcome;
}

/* Every cut asks for more until the answer is whole, what follows does not
 * matter, and a broken answer never turns whole by being cut. */
static enum reply_outcome parse_checked(enum reply_expect expect,
                                        struct slice text, struct reply *out)
{
    struct reply_parser parser = {.value_size_max = VALUE_SIZE_MAX};
    struct reply_parser patient = {.value_size_max = VALUE_SIZE_MAX};
    enum reply_outcome outcome = reply_parse(&parser, expect, text, out);
    enum reply_outcome cut_outcome = REPLY_MORE;
    struct reply cut;

    for (size_t i = 0; i <= text.size && cut_outcome == REPLY_MORE; i++) {
        struct reply_parser fresh = {.value_size_max = VALUE_SIZE_MAX};

        cut_outcome = parse_cut(&fresh, expect, text, i, &cut);
        if (cut_outcome == REPLY_MORE) {
            assert_true(cut.needed > i);
            assert_true(outcome != REPLY_DONE || cut.needed <= out->consumed);
        }
        assert_int_equal(parse_cut(&patient, expect, text, i, &cut),
                         cut_outcome);
        if (outcome == REPLY_DONE) {
            assert_int_equal(cut_outcome,
                             i < out->consumed ? REPLY_MORE : REPLY_DONE);
        }
    }
    assert_int_equal(cut_outcome, outcome);
    if (outcome == REPLY_DONE) {
        assert_int_equal(cut.consumed, out->consumed);
        assert_int_equal(cut.kind, out->kind);
        assert_true(out->whole.at == text.at);
        assert_int_equal(out->whole.size, out->consumed);
    }
    assert_true((outcome == REPLY_BROKEN) == (out->why != NULL));
    return outcome;
}

static void assert_slice(struct slice found, const char *expected)
{
    assert_int_equal(found.size, strlen(expected));
    assert_memory_equal(found.at, expected, found.size);
}

static const struct {
    enum reply_expect expect;
    struct slice text;
    enum reply_kind kind;
    const char *line;
    const char *value;
    const char *key;
} good[] = {
    {EXPECT_VALUE, TEXT("END\r\n"), REPLY_MISS, "END", "", ""},
    {EXPECT_VALUE, TEXT("VALUE k 0 3\r\nabc\r\nEND\r\n"), REPLY_HIT,
     "VALUE k 0 3", "abc", "k"},
    {EXPECT_VALUE, TEXT("VALUE k 18446744073709551615 0 7\r\n\r\nEND\r\n"),
     REPLY_HIT, "VALUE k 18446744073709551615 0 7", "", "k"},
    {EXPECT_VALUE, TEXT("VALUE " KEY_250 " 0 5\r\n\r\nEND\r\nEND\r\n"),
     REPLY_HIT, "VALUE " KEY_250 " 0 5", "\r\nEND", KEY_250},
    {EXPECT_VALUE, TEXT("ERROR\r\n"), REPLY_ERROR, "ERROR", "", ""},
    {EXPECT_VALUE, TEXT("SERVER_ERROR: out of memory\r\n"), REPLY_ERROR,
     "SERVER_ERROR: out of memory", "", ""},
    {EXPECT_VALUE, TEXT("SERVER_ERROR moved\r\n"), REPLY_ERROR,
     "SERVER_ERROR moved", "", ""},
    {EXPECT_VALUE, TEXT("SERVER_ERROR moved x\r\n"), REPLY_ERROR,
     "SERVER_ERROR moved x", "", ""},
    {EXPECT_LINE, TEXT("STORED\r\n"), REPLY_LINE, "STORED", "", ""},
    {EXPECT_LINE, TEXT("42\r\n"), REPLY_LINE, "42", "", ""},
    {EXPECT_LINE, TEXT("VERSION 1.6.45\r\n"), REPLY_LINE, "VERSION 1.6.45", "",
     ""},
    {EXPECT_LINE, TEXT("CLIENT_ERROR bad data chunk\r\n"), REPLY_ERROR,
     "CLIENT_ERROR bad data chunk", "", ""},
    {EXPECT_LINE, TEXT("ERROR Too many open connections\r\n"), REPLY_ERROR,
     "ERROR Too many open connections", "", ""},
    {EXPECT_LINE, TEXT("ERRORS\r\n"), REPLY_LINE, "ERRORS", "", ""},
    {EXPECT_META, TEXT("HD\r\n"), REPLY_LINE, "HD", "", ""},
    {EXPECT_META, TEXT("HD O1 kfoo c5\r\n"), REPLY_LINE, "HD O1 kfoo c5", "",
     ""},
    {EXPECT_META, TEXT("NS\r\n"), REPLY_LINE, "NS", "", ""},
    {EXPECT_META, TEXT("EX c0\r\n"), REPLY_LINE, "EX c0", "", ""},
    {EXPECT_META, TEXT("NF O1\r\n"), REPLY_LINE, "NF O1", "", ""},
    {EXPECT_META, TEXT("MN\r\n"), REPLY_LINE, "MN", "", ""},
    {EXPECT_META, TEXT("ME k exp=-1 la=0\r\n"), REPLY_LINE, "ME k exp=-1 la=0",
     "", ""},
    {EXPECT_META, TEXT("EN\r\n"), REPLY_MISS, "EN", "", ""},
    {EXPECT_META, TEXT("EN O1 kfoo\r\n"), REPLY_MISS, "EN O1 kfoo", "", ""},
    {EXPECT_META, TEXT("VA 2\r\nab\r\n"), REPLY_HIT, "VA 2", "ab", ""},
    {EXPECT_META, TEXT("VA 0 f0 O1 W\r\n\r\n"), REPLY_HIT, "VA 0 f0 O1 W", "",
     ""},
    {EXPECT_META, TEXT("VA 4\r\n\r\nEN\r\n"), REPLY_HIT, "VA 4", "\r\nEN", ""},
    {EXPECT_META, TEXT("SERVER_ERROR object too large for cache\r\n"),
     REPLY_ERROR, "SERVER_ERROR object too large for cache", "", ""},
    {EXPECT_STATS, TEXT("END\r\n"), REPLY_STATS, "END", "", ""},
    {EXPECT_STATS, TEXT("STAT pid 1\r\nSTAT uptime 2\r\nEND\r\n"), REPLY_STATS,
     "STAT pid 1", "", ""},
    {EXPECT_STATS, TEXT("ITEM k [1 b; 0 s]\r\nEND\r\n"), REPLY_STATS,
     "ITEM k [1 b; 0 s]", "", ""},
    {EXPECT_STATS, TEXT("RESET\r\n"), REPLY_LINE, "RESET", "", ""},
    {EXPECT_STATS, TEXT("ERROR\r\n"), REPLY_ERROR, "ERROR", "", ""},
};

static void a_good_answer_is_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct reply r;

        assert_int_equal(parse_checked(good[i].expect, good[i].text, &r),
                         REPLY_DONE);
        assert_int_equal(r.kind, good[i].kind);
        assert_int_equal(r.consumed, good[i].text.size);
        assert_slice(r.line, good[i].line);
        assert_slice(r.value, good[i].value);
        assert_slice(r.key, good[i].key);
    }
}

static void the_answer_behind_is_left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[1024];
        struct reply r;
        size_t size = good[i].text.size;

        memcpy(text, good[i].text.at, size);
        memcpy(text + size, "VALUE x", 7);
        assert_int_equal(
            parse_checked(good[i].expect, (struct slice){text, size + 7}, &r),
            REPLY_DONE);
        assert_int_equal(r.kind, good[i].kind);
        assert_int_equal(r.consumed, size);
    }
}

static void a_hit_gives_the_block_without_its_end(void **state)
{
    struct reply r;

    (void)state;
    assert_int_equal(
        parse_checked(EXPECT_VALUE,
                      (struct slice)TEXT("VALUE k 5 2 9\r\nab\r\nEND\r\n"), &r),
        REPLY_DONE);
    assert_slice(r.block, "VALUE k 5 2 9\r\nab\r\n");
    assert_slice(r.whole, "VALUE k 5 2 9\r\nab\r\nEND\r\n");
}

static void the_size_to_wait_for_is_exact(void **state)
{
    static const struct {
        enum reply_expect expect;
        struct slice text;
        size_t needed;
    } rows[] = {
        {EXPECT_VALUE, TEXT("VALUE k 0 100\r\n"), 15 + 100 + 7},
        {EXPECT_VALUE, TEXT("VALUE k 0 1\r\na\r\nEN"), 13 + 1 + 7},
        {EXPECT_META, TEXT("VA 100 s100\r\nx"), 13 + 100 + 2},
        {EXPECT_META, TEXT("VA 1\r\na\r"), 6 + 1 + 2},
        {EXPECT_LINE, TEXT("STO"), 4},
        {EXPECT_LINE, TEXT(""), 1},
        {EXPECT_STATS, TEXT("STAT a b\r\nSTA"), 14},
        {EXPECT_STATS, TEXT("STAT a b\r\n"), 11},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct reply r;

        assert_int_equal(parse_checked(rows[i].expect, rows[i].text, &r),
                         REPLY_MORE);
        assert_int_equal(r.needed, rows[i].needed);
    }
}

static void a_moved_answer_names_its_epoch(void **state)
{
    static const enum reply_expect all[] = {EXPECT_VALUE, EXPECT_LINE,
                                            EXPECT_META, EXPECT_STATS};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct reply r;

        assert_int_equal(
            parse_checked(all[i],
                          (struct slice)TEXT(
                              "SERVER_ERROR moved 18446744073709551615\r\n"),
                          &r),
            REPLY_DONE);
        assert_int_equal(r.kind, REPLY_MOVED);
        assert_int_equal(r.epoch, UINT64_MAX);
    }
}

static const struct {
    enum reply_expect expect;
    struct slice text;
} bad[] = {
    {EXPECT_VALUE, TEXT("\r\n")},
    {EXPECT_VALUE, TEXT("END\n")},
    {EXPECT_VALUE, TEXT("\n")},
    {EXPECT_VALUE, TEXT("STORED\r\n")},
    {EXPECT_VALUE, TEXT("END \r\n")},
    {EXPECT_VALUE, TEXT("HD\r\n")},
    {EXPECT_VALUE, TEXT("STAT a b\r\n")},
    {EXPECT_VALUE, TEXT("VALUE\r\n")},
    {EXPECT_VALUE, TEXT("VALUE \r\n")},
    {EXPECT_VALUE, TEXT("VALUES k 0 1\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 \r\n")},
    {EXPECT_VALUE, TEXT("VALUE  k 0 1\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0  1\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 1 \r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 1 5 \r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 1 5 6\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 1 x\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 1  5\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k x 1\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k -1 1\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 x\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 -1\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 101\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 18446744073709551615\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 18446744073709551616\r\n")},
    {EXPECT_VALUE, TEXT("VALUE " KEY_250 "k 0 1\r\n")},
    {EXPECT_VALUE, TEXT("VALUE a\tb 0 1\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 1\r\nab\r\nEND\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 2\r\na\r\nEND\r\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 1\r\na\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 1\r\na\r\nVALUE")},
    {EXPECT_VALUE, TEXT("VALUE k 0 1\r\na\r\nEND\n")},
    {EXPECT_VALUE, TEXT("VALUE k 0 1\r\na\r\nEND \r\n")},
    {EXPECT_LINE, TEXT("\r\n")},
    {EXPECT_LINE, TEXT("STORED\n")},
    {EXPECT_LINE, TEXT("VALUE k 0 1\r\n")},
    {EXPECT_LINE, TEXT("VA 1\r\n")},
    {EXPECT_LINE, TEXT("STAT pid 1\r\n")},
    {EXPECT_LINE, TEXT("END\r\n")},
    {EXPECT_META, TEXT("\r\n")},
    {EXPECT_META, TEXT("HD\n")},
    {EXPECT_META, TEXT(" HD\r\n")},
    {EXPECT_META, TEXT("HDx\r\n")},
    {EXPECT_META, TEXT("STORED\r\n")},
    {EXPECT_META, TEXT("END\r\n")},
    {EXPECT_META, TEXT("VALUE k 0 1\r\n")},
    {EXPECT_META, TEXT("VA\r\n")},
    {EXPECT_META, TEXT("VA \r\n")},
    {EXPECT_META, TEXT("VA x\r\n")},
    {EXPECT_META, TEXT("VA -1\r\n")},
    {EXPECT_META, TEXT("VA 101\r\n")},
    {EXPECT_META, TEXT("VA 1\r\nab\r\n")},
    {EXPECT_META, TEXT("VA 1\r\na\n")},
    {EXPECT_STATS, TEXT("\r\n")},
    {EXPECT_STATS, TEXT("END\n")},
    {EXPECT_STATS, TEXT("VALUE k 0 1\r\n")},
    {EXPECT_STATS, TEXT("VA 1\r\n")},
    {EXPECT_STATS, TEXT("STAT a b\r\nSTORED\r\n")},
    {EXPECT_STATS, TEXT("STAT a b\r\nERROR\r\n")},
    {EXPECT_STATS, TEXT("STAT a b\r\n\r\n")},
    {EXPECT_STATS, TEXT("STAT a b\r\nSTAT c d\n")},
};

static void an_answer_to_something_else_is_broken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct reply r;
        enum reply_outcome outcome =
            parse_checked(bad[i].expect, bad[i].text, &r);

        if (outcome != REPLY_BROKEN) {
            print_error("row %zu: %s\n", i, bad[i].text.at);
        }
        assert_int_equal(outcome, REPLY_BROKEN);
    }
}

static void no_line_is_endless(void **state)
{
    static const enum reply_expect all[] = {EXPECT_VALUE, EXPECT_LINE,
                                            EXPECT_META, EXPECT_STATS};
    char text[REPLY_LINE_SIZE_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct reply_parser parser = {.value_size_max = VALUE_SIZE_MAX};
        struct reply r;

        memset(text, 'x', sizeof text);
        memcpy(text, "ERROR ", 6);
        struct slice cut = {text, REPLY_LINE_SIZE_MAX - 1};
        struct slice whole = {text, REPLY_LINE_SIZE_MAX};

        assert_int_equal(reply_parse(&parser, all[i], cut, &r), REPLY_MORE);
        assert_int_equal(reply_parse(&parser, all[i], whole, &r), REPLY_BROKEN);

        memcpy(text + REPLY_LINE_SIZE_MAX - 2, "\r\n", 2);
        assert_int_equal(reply_parse(&parser, all[i], whole, &r), REPLY_DONE);
        assert_int_equal(r.kind, REPLY_ERROR);

        memcpy(text + REPLY_LINE_SIZE_MAX - 2, "x\r\n", 3);
        whole.size++;
        assert_int_equal(reply_parse(&parser, all[i], whole, &r), REPLY_BROKEN);
    }
}

/* And one that trickles in is not gone through again for each piece. */
static void no_list_is_endless(void **state)
{
    enum { LINE = 16 };
    struct reply_parser parser = {.value_size_max = VALUE_SIZE_MAX};
    char *block = mem_alloc(mem_system(), STATS_REPLY_SIZE_MAX + LINE);
    struct slice text = {block, 0};
    struct reply r;

    (void)state;
    assert_non_null(block);
    while (text.size < STATS_REPLY_SIZE_MAX) {
        memcpy(block + text.size, "STAT abcde 123\r\n", LINE);
        text.size += LINE;
        assert_int_equal(reply_parse(&parser, EXPECT_STATS, text, &r),
                         REPLY_MORE);
        assert_int_equal(parser.scanned, text.size);
    }
    memcpy(block + text.size, "END\r\n", 5);
    text.size += 5;
    assert_int_equal(reply_parse(&parser, EXPECT_STATS, text, &r),
                     REPLY_BROKEN);
    mem_free(mem_system(), block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_answer_is_told_apart),
        cmocka_unit_test(the_answer_behind_is_left_alone),
        cmocka_unit_test(a_hit_gives_the_block_without_its_end),
        cmocka_unit_test(the_size_to_wait_for_is_exact),
        cmocka_unit_test(a_moved_answer_names_its_epoch),
        cmocka_unit_test(an_answer_to_something_else_is_broken),
        cmocka_unit_test(no_line_is_endless),
        cmocka_unit_test(no_list_is_endless),
    };
    return cmocka_run_group_tests_name("reply", tests, NULL, NULL);
}
