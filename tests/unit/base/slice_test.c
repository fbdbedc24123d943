/* Numbers from peers are read whole or refused, and a refusal changes
 * nothing. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/slice.h"

static void slices_are_equal_by_their_bytes(void **state)
{
    (void)state;
    assert_true(slice_equal(SLICE("get"), slice_of("get")));
    assert_false(slice_equal(SLICE("get"), SLICE("gets")));
    assert_false(slice_equal(SLICE("get"), SLICE("gat")));
    assert_true(slice_equal((struct slice){NULL, 0}, SLICE("")));
    assert_false(slice_equal(SLICE("a\0b"), SLICE("a\0c")));
}

static void unsigned_numbers_are_digits_only(void **state)
{
    static const struct {
        const char *word;
        uint64_t max;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0", 10, true, 0},
        {"10", 10, true, 10},
        {"11", 10, false, 0},
        {"007", 10, true, 7},
        {"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"18446744073709551616", UINT64_MAX, false, 0},
        {"184467440737095516150", UINT64_MAX, false, 0},
        {"", 10, false, 0},
        {"-1", UINT64_MAX, false, 0},
        {"+1", 10, false, 0},
        {" 1", 10, false, 0},
        {"1 ", 10, false, 0},
        {"0x1", 10, false, 0},
        {"1\xb1", 100, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = 12345;

        assert_int_equal(
            slice_read_u64(slice_of(rows[i].word), rows[i].max, &value),
            rows[i].good);
        assert_int_equal(value, rows[i].good ? rows[i].value : 12345);
    }
}

static void signed_numbers_reach_both_ends(void **state)
{
    static const struct {
        const char *word;
        int64_t min, max;
        bool good;
        int64_t value;
    } rows[] = {
        {"-1", -1, 1, true, -1},
        {"-2", -1, 1, false, 0},
        {"2", -1, 1, false, 0},
        {"-0", -1, 1, true, 0},
        {"-", -1, 1, false, 0},
        {"--1", -9, 9, false, 0},
        {"9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX},
        {"9223372036854775808", INT64_MIN, INT64_MAX, false, 0},
        {"-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN},
        {"-9223372036854775809", INT64_MIN, INT64_MAX, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t value = 12345;

        assert_int_equal(slice_read_i64(slice_of(rows[i].word), rows[i].min,
                                        rows[i].max, &value),
                         rows[i].good);
        assert_int_equal(value, rows[i].good ? rows[i].value : 12345);
    }
}

static void what_is_written_in_decimal_is_read_back(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift < 64; shift++) {
        const uint64_t values[] = {
            (UINT64_C(1) << shift) - 1,
            UINT64_C(1) << shift,
            UINT64_MAX >> shift,
        };

        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            char out[20];
            char expected[21];
            size_t size = decimal_write(out, values[i]);
            int expected_size =
                snprintf(expected, sizeof expected, "%" PRIu64, values[i]);

            assert_int_equal(size, expected_size);
            assert_memory_equal(out, expected, size);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_are_equal_by_their_bytes),
        cmocka_unit_test(unsigned_numbers_are_digits_only),
        cmocka_unit_test(signed_numbers_reach_both_ends),
        cmocka_unit_test(what_is_written_in_decimal_is_read_back),
    };
    return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
