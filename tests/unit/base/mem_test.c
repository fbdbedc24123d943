/* Memory can be made to fail at will, and what was not given back is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support/torture.h"

static void a_block_of_no_bytes_is_still_a_block(void **state)
{
    (void)state;
    void *block = mem_alloc(mem_system(), 0);

    assert_non_null(block);
    mem_free(mem_system(), block);
    mem_free(mem_system(), NULL);
}

static void zeroed_memory_is_zero_wherever_it_comes_from(void **state)
{
    struct mem_faulty faulty;

    (void)state;
    mem_faulty_init(&faulty, mem_system());
    const struct mem *const sources[] = {mem_system(), &faulty.mem};

    for (size_t i = 0; i < 2; i++) {
        /* The second block is likely the first one's dirty bytes. */
        unsigned char *dirty = mem_alloc(sources[i], 1000);

        assert_non_null(dirty);
        memset(dirty, 0xa5, 1000);
        mem_free(sources[i], dirty);
        unsigned char *clean = mem_alloc_zeroed(sources[i], 1000);

        assert_non_null(clean);
        for (size_t at = 0; at < 1000; at++) {
            assert_int_equal(clean[at], 0);
        }
        mem_free(sources[i], clean);
    }
    assert_int_equal(faulty.allocated, 0);
}

static void a_resized_block_keeps_its_bytes(void **state)
{
    (void)state;
    char *text = mem_copy_text(mem_system(), "twisted strands");

    assert_non_null(text);
    char *grown = mem_resize(mem_system(), text, 100000);

    assert_non_null(grown);
    assert_string_equal(grown, "twisted strands");
    assert_null(mem_resize(mem_system(), grown, 0));
}

static void the_chosen_allocation_fails_and_only_that(void **state)
{
    struct mem_faulty faulty;

    (void)state;
    mem_faulty_init(&faulty, mem_system());
    faulty.fail_in = 1;
    char *first = mem_alloc(&faulty.mem, 10);

    assert_non_null(first);
    assert_null(mem_alloc(&faulty.mem, 10));
    void *third = mem_alloc(&faulty.mem, 10);

    assert_non_null(third);
    assert_int_equal(faulty.failed, 1);
    assert_int_equal(faulty.allocated, 2);

    /* A block that cannot grow is left as it was. */
    memcpy(first, "untouched", 10);
    faulty.fail_in = 0;
    assert_null(mem_resize(&faulty.mem, first, 1000));
    assert_string_equal(first, "untouched");
    assert_int_equal(faulty.allocated, 2);

    mem_free(&faulty.mem, first);
    mem_free(&faulty.mem, third);
    assert_int_equal(faulty.allocated, 0);
}

static enum err three_blocks(const struct mem *mem, void *context)
{
    enum err e = ERR_NOMEM;
    void *a = mem_alloc(mem, 1);
    void *b = mem_alloc_zeroed(mem, 2);
    char *c = mem_copy_text(mem, "three");

    (void)context;
    if (a != NULL && b != NULL && c != NULL) {
        e = ERR_OK;
    }
    mem_free(mem, c);
    mem_free(mem, b);
    mem_free(mem, a);
    return e;
}

static void torture_fails_every_allocation_once(void **state)
{
    (void)state;
    assert_int_equal(torture_allocations(three_blocks, NULL), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_of_no_bytes_is_still_a_block),
        cmocka_unit_test(zeroed_memory_is_zero_wherever_it_comes_from),
        cmocka_unit_test(a_resized_block_keeps_its_bytes),
        cmocka_unit_test(the_chosen_allocation_fails_and_only_that),
        cmocka_unit_test(torture_fails_every_allocation_once),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
