/* Lines come out whole however the bytes came in, and what is kept between two
 * pieces is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "net/lines.h"

struct seen {
    char text[256]; /* each line with a bar behind it */
    size_t count;
};

static void see(void *context, struct slice line)
{
    struct seen *seen = context;
    size_t size = strlen(seen->text);

    assert_true(size + line.size + 2 <= sizeof seen->text);
    memcpy(seen->text + size, line.at, line.size);
    seen->text[size + line.size] = '|';
    seen->count++;
}

static void count_line(void *context, struct slice line)
{
    size_t *total = context;

    *total += line.size;
}

static void lines_are_the_same_at_every_cut(void **state)
{
    const struct slice text = SLICE("one\ntwo two\r\n\n\r\nthree\n4\nrest");

    (void)state;
    for (size_t first = 0; first <= text.size; first++) {
        for (size_t second = first; second <= text.size; second++) {
            struct seen seen = {.count = 0};
            struct lines lines;
            const struct slice pieces[] = {
                {text.at, first},
                {text.at + first, second - first},
                {text.at + second, text.size - second}};

            lines_init(&lines, mem_system(), 64);
            for (int i = 0; i < 3; i++) {
                assert_int_equal(lines_feed(&lines, pieces[i], see, &seen),
                                 ERR_OK);
            }
            assert_string_equal(seen.text, "one|two two|three|4|");
            lines_fini(&lines);
        }
    }
}

static void a_line_of_the_limit_passes_and_one_more_byte_does_not(void **state)
{
    static const struct {
        const char *pieces[3];
        enum err expected;
    } cases[] = {
        {{"12345678\n", "", ""}, ERR_OK},
        {{"12345678\r\n", "", ""}, ERR_OK},
        {{"1234", "5678\r", "\n"}, ERR_OK},
        {{"1234", "5678", "\n"}, ERR_OK},
        {{"123456789\n", "", ""}, ERR_LIMIT},
        {{"1234", "56789\n", ""}, ERR_LIMIT},
        {{"1234", "56789", "\n"}, ERR_LIMIT},
        {{"1234", "5678", "90"}, ERR_LIMIT},
        {{"1234567890", "", ""}, ERR_LIMIT},
        {{"ok\nok\n1234567890", "", ""}, ERR_LIMIT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct seen seen = {.count = 0};
        struct lines lines;
        enum err e = ERR_OK;

        lines_init(&lines, mem_system(), 8);
        for (int piece = 0; piece < 3 && e == ERR_OK; piece++) {
            e = lines_feed(&lines, slice_of(cases[i].pieces[piece]), see,
                           &seen);
        }
        assert_int_equal(e, cases[i].expected);
        lines_fini(&lines);
    }
}

static void a_reset_forgets_the_unfinished_line(void **state)
{
    struct seen seen = {.count = 0};
    struct lines lines;

    (void)state;
    lines_init(&lines, mem_system(), 64);
    assert_int_equal(lines_feed(&lines, SLICE("half a li"), see, &seen),
                     ERR_OK);
    lines_reset(&lines);
    assert_int_equal(lines_feed(&lines, SLICE("whole\n"), see, &seen), ERR_OK);
    assert_string_equal(seen.text, "whole|");
    lines_fini(&lines);
}

static void the_room_of_a_large_line_is_given_back(void **state)
{
    struct mem_faulty faulty;
    struct lines lines;
    size_t total = 0;
    static char block[1 << 20];

    (void)state;
    memset(block, 'x', sizeof block);
    mem_faulty_init(&faulty, mem_system());
    lines_init(&lines, &faulty.mem, 4 << 20);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lines_feed(&lines, (struct slice){block, sizeof block},
                                    count_line, &total),
                         ERR_OK);
    }
    assert_int_equal(faulty.allocated, 1);
    assert_int_equal(lines_feed(&lines, SLICE("\n"), count_line, &total),
                     ERR_OK);
    assert_int_equal(total, 3 << 20);
    assert_int_equal(faulty.allocated, 0);
    lines_fini(&lines);
}

static void no_memory_is_an_error_and_leaks_nothing(void **state)
{
    struct mem_faulty faulty;
    struct seen seen = {.count = 0};
    struct lines lines;

    (void)state;
    mem_faulty_init(&faulty, mem_system());
    faulty.fail_in = 0;
    lines_init(&lines, &faulty.mem, 64);
    assert_int_equal(lines_feed(&lines, SLICE("half"), see, &seen), ERR_NOMEM);
    faulty.fail_in = -1;
    lines_reset(&lines);
    assert_int_equal(lines_feed(&lines, SLICE("ha"), see, &seen), ERR_OK);
    assert_int_equal(lines_feed(&lines, SLICE("lf\n"), see, &seen), ERR_OK);
    assert_string_equal(seen.text, "half|");
    lines_fini(&lines);
    assert_int_equal(faulty.allocated, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_the_same_at_every_cut),
        cmocka_unit_test(a_line_of_the_limit_passes_and_one_more_byte_does_not),
        cmocka_unit_test(a_reset_forgets_the_unfinished_line),
        cmocka_unit_test(the_room_of_a_large_line_is_given_back),
        cmocka_unit_test(no_memory_is_an_error_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
