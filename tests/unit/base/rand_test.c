/* One seed gives one sequence everywhere, and no result is favoured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rand.h"

/* Drawn from an implementation in another language of the same two published
 * algorithms. */
static void the_sequence_of_a_seed_never_changes(void **state)
{
    static const uint64_t expected[] = {
        UINT64_C(0x15780b2e0c2ec716), UINT64_C(0x6104d9866d113a7e),
        UINT64_C(0xae17533239e499a1), UINT64_C(0xecb8ad4703b360a1),
        UINT64_C(0xfde6dc7fe2ec5e64), UINT64_C(0xc50da53101795238),
    };
    struct rand rand;

    (void)state;
    rand_init(&rand, 42);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_int_equal(rand_u64(&rand), expected[i]);
    }
}

static void seeds_differ_from_the_first_draw(void **state)
{
    struct rand a;
    struct rand b;

    (void)state;
    rand_init(&a, 0);
    rand_init(&b, 1);
    assert_int_not_equal(rand_u64(&a), rand_u64(&b));
}

static void bounds_hold_and_every_result_is_as_likely(void **state)
{
    enum { BOUND = 7, DRAWS = 70000 };
    unsigned counts[BOUND] = {0};
    struct rand rand;

    (void)state;
    rand_init(&rand, 7);
    for (unsigned i = 0; i < DRAWS; i++) {
        uint64_t drawn = rand_below(&rand, BOUND);

        assert_true(drawn < BOUND);
        counts[drawn]++;
    }
    /* 10000 each; five standard deviations are 463. */
    for (unsigned i = 0; i < BOUND; i++) {
        assert_in_range(counts[i], 10000 - 463, 10000 + 463);
    }
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(rand_below(&rand, 1), 0);
    }
}

/* A bound of 3/4 of the range: four draws fall on three results, so without
 * drawing again half of all results would be multiples of three. */
static void a_huge_bound_is_fair_too(void **state)
{
    enum { DRAWS = 40000 };
    const uint64_t bound = UINT64_C(3) << 62;
    unsigned multiples = 0;
    struct rand rand;

    (void)state;
    rand_init(&rand, 11);
    for (unsigned i = 0; i < DRAWS; i++) {
        uint64_t drawn = rand_below(&rand, bound);

        assert_true(drawn < bound);
        multiples += drawn % 3 == 0;
    }
    /* A third is 13333; five standard deviations are 471. */
    assert_in_range(multiples, 13333 - 471, 13333 + 471);
}

static void units_are_below_one_and_spread(void **state)
{
    unsigned low = 0;
    struct rand rand;

    (void)state;
    rand_init(&rand, 3);
    for (unsigned i = 0; i < 10000; i++) {
        double drawn = rand_unit(&rand);

        assert_true(drawn >= 0 && drawn < 1);
        low += drawn < 0.25;
    }
    /* 2500; five standard deviations are 217. */
    assert_in_range(low, 2500 - 217, 2500 + 217);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequence_of_a_seed_never_changes),
        cmocka_unit_test(seeds_differ_from_the_first_draw),
        cmocka_unit_test(bounds_hold_and_every_result_is_as_likely),
        cmocka_unit_test(a_huge_bound_is_fair_too),
        cmocka_unit_test(units_are_below_one_and_spread),
    };
    return cmocka_run_group_tests_name("rand", tests, NULL, NULL);
}
