/* What the demonstration's verdict rests on: any byte that differs is found
 * out, and so is any version that may not be seen any more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/demo_value.h"
#include "support/torture.h"

enum { KEYS = 500, VERSIONS = 4 };

static void a_value_reads_back_its_version(void **state)
{
    char bytes[DEMO_VALUE_SIZE_MAX];

    (void)state;
    for (uint32_t key = 0; key < KEYS; key++) {
        for (uint32_t version = 1; version <= VERSIONS; version++) {
            size_t size = demo_value_write(bytes, key, version);
            uint32_t read = 0;

            assert_in_range(size, DEMO_VALUE_SIZE_MIN, DEMO_VALUE_SIZE_MAX);
            assert_true(
                demo_value_read((struct slice){bytes, size}, key, &read));
            assert_int_equal(read, version);
        }
    }
}

static void any_other_byte_is_found_out(void **state)
{
    char bytes[DEMO_VALUE_SIZE_MAX];
    size_t size = demo_value_write(bytes, 7, 3);

    (void)state;
    for (size_t i = 0; i < size; i++) {
        uint32_t read = 0;

        bytes[i] = (char)(bytes[i] ^ 1);
        assert_false(demo_value_read((struct slice){bytes, size}, 7, &read));
        bytes[i] = (char)(bytes[i] ^ 1);
    }
}

static void any_other_length_is_found_out(void **state)
{
    char bytes[DEMO_VALUE_SIZE_MAX + 1];
    size_t size = demo_value_write(bytes, 7, 3);
    uint32_t read = 0;

    (void)state;
    bytes[size] = 'x';
    assert_false(demo_value_read((struct slice){bytes, size + 1}, 7, &read));
    for (size_t shorter = 0; shorter < size; shorter++) {
        assert_false(demo_value_read((struct slice){bytes, shorter}, 7, &read));
    }
}

static void the_value_of_another_key_is_found_out(void **state)
{
    char bytes[DEMO_VALUE_SIZE_MAX];
    size_t size = demo_value_write(bytes, 7, 3);
    uint32_t read = 0;

    (void)state;
    assert_false(demo_value_read((struct slice){bytes, size}, 8, &read));
}

static void some_values_look_like_protocol_and_some_are_large(void **state)
{
    char bytes[DEMO_VALUE_SIZE_MAX];
    unsigned baited = 0;
    unsigned large = 0;

    (void)state;
    for (uint32_t key = 0; key < KEYS; key++) {
        size_t size = demo_value_write(bytes, key, 1);

        baited += memmem(bytes, size, "\r\nEND\r\n", 7) != NULL;
        large += size > 1024;
    }
    assert_in_range(baited, KEYS / 20, KEYS / 4);
    assert_in_range(large, 1, KEYS / 10);
}

static void keys_are_words_of_the_protocol(void **state)
{
    char text[DEMO_KEY_SIZE_MAX];

    (void)state;
    assert_int_equal(demo_key_write(text, 42), 11);
    assert_memory_equal(text, "demo:000042", 11);
    assert_true(demo_key_write(text, UINT32_MAX) <= DEMO_KEY_SIZE_MAX);
}

static struct demo_ledger *ledger_new(void)
{
    struct demo_ledger *ledger = NULL;

    assert_int_equal(demo_ledger_create(mem_system(), KEYS, &ledger), ERR_OK);
    return ledger;
}

static void what_was_acknowledged_hides_what_was_before(void **state)
{
    struct demo_ledger *ledger = ledger_new();
    uint32_t first = demo_ledger_begin(ledger, 5);

    (void)state;
    demo_ledger_finish(ledger, 5, first);
    uint32_t second = demo_ledger_begin(ledger, 5);

    /* The second is under way: either may be seen. */
    uint32_t before = demo_ledger_finished(ledger, 5);

    assert_int_equal(demo_ledger_judge(ledger, 5, before, first), DEMO_RIGHT);
    assert_int_equal(demo_ledger_judge(ledger, 5, before, second), DEMO_RIGHT);
    demo_ledger_finish(ledger, 5, second);

    /* A get that was sent before the acknowledgement may still see the first;
     * one that was sent after it may not. */
    assert_int_equal(demo_ledger_judge(ledger, 5, before, first), DEMO_RIGHT);
    before = demo_ledger_finished(ledger, 5);
    assert_int_equal(demo_ledger_judge(ledger, 5, before, first), DEMO_STALE);
    assert_int_equal(demo_ledger_judge(ledger, 5, before, second), DEMO_RIGHT);
    demo_ledger_destroy(&ledger);
}

static void a_version_that_nobody_sent_is_found_out(void **state)
{
    struct demo_ledger *ledger = ledger_new();

    (void)state;
    assert_int_equal(demo_ledger_judge(ledger, 9, 0, 1), DEMO_UNBORN);
    assert_int_equal(demo_ledger_begin(ledger, 9), 1);
    assert_int_equal(demo_ledger_judge(ledger, 9, 0, 1), DEMO_RIGHT);
    assert_int_equal(demo_ledger_judge(ledger, 9, 0, 2), DEMO_UNBORN);
    demo_ledger_destroy(&ledger);
    assert_null(ledger);
}

static void keys_have_versions_of_their_own(void **state)
{
    struct demo_ledger *ledger = ledger_new();

    (void)state;
    demo_ledger_finish(ledger, 1, demo_ledger_begin(ledger, 1));
    assert_int_equal(demo_ledger_finished(ledger, 1), 1);
    assert_int_equal(demo_ledger_finished(ledger, 2), 0);
    assert_int_equal(demo_ledger_begin(ledger, 2), 1);
    demo_ledger_destroy(&ledger);
}

static enum err create_then_destroy(const struct mem *mem, void *context)
{
    struct demo_ledger *ledger = NULL;
    enum err e = demo_ledger_create(mem, KEYS, &ledger);

    (void)context;
    demo_ledger_destroy(&ledger);
    return e;
}

static void a_ledger_survives_any_failed_allocation(void **state)
{
    (void)state;
    assert_true(torture_allocations(create_then_destroy, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_reads_back_its_version),
        cmocka_unit_test(any_other_byte_is_found_out),
        cmocka_unit_test(any_other_length_is_found_out),
        cmocka_unit_test(the_value_of_another_key_is_found_out),
        cmocka_unit_test(some_values_look_like_protocol_and_some_are_large),
        cmocka_unit_test(keys_are_words_of_the_protocol),
        cmocka_unit_test(what_was_acknowledged_hides_what_was_before),
        cmocka_unit_test(a_version_that_nobody_sent_is_found_out),
        cmocka_unit_test(keys_have_versions_of_their_own),
        cmocka_unit_test(a_ledger_survives_any_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
