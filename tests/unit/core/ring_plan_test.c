/* What an operator relies on: shares that are even, changes that move little,
 * and a table that does not depend on the order in which things were said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "core/ring.h"
#include "support/torture.h"

enum { MEMBERS_TESTED_MAX = 201 };

static struct ring_member member_of(unsigned number, uint32_t weight)
{
    struct ring_member member = {.weight = weight, .state = MEMBER_SERVING};

    (void)snprintf(member.name, sizeof member.name, "torc-shard-%u", number);
    (void)snprintf(member.address, sizeof member.address, "10.0.0.%u:11211",
                   number);
    return member;
}

static void members_of(struct ring_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        members[i] = member_of((unsigned)i, 1);
    }
}

static struct ring *plan(uint32_t epoch, const struct ring_member *members,
                         size_t count, const struct ring *before)
{
    struct ring *ring = NULL;
    struct why why = {""};
    enum err e = ring_plan(mem_system(), "test", epoch, members, count, before,
                           &ring, &why);

    if (e != ERR_OK) {
        print_error("%s\n", why.text);
    }
    assert_int_equal(e, ERR_OK);
    return ring;
}

static const char *owner_name(const struct ring *ring, size_t slot)
{
    return ring->owner[slot] == RING_NOBODY
               ? ""
               : ring->members[ring->owner[slot]].name;
}

static unsigned moved(const struct ring *a, const struct ring *b)
{
    unsigned count = 0;

    for (size_t s = 0; s < SLOT_COUNT; s++) {
        count += strcmp(owner_name(a, s), owner_name(b, s)) != 0;
    }
    return count;
}

/* No member above 1.05 of its fair share, nor above that share rounded up
 * where one slot is more than 5 %. */
static void assert_balanced(const struct ring *ring)
{
    uint32_t counts[MEMBERS_TESTED_MAX];
    uint64_t weights = 0;

    for (size_t i = 0; i < ring->member_count; i++) {
        weights += ring->members[i].weight;
    }
    ring_slot_counts(ring, counts);
    for (size_t i = 0; i < ring->member_count; i++) {
        uint64_t scaled = (uint64_t)SLOT_COUNT * ring->members[i].weight;
        uint64_t whole = (scaled + weights - 1) / weights;

        if (counts[i] > whole) {
            assert_true(counts[i] * weights * 100 <= scaled * 105);
        }
    }
}

static const size_t sizes[] = {2, 3, 5, 10, 50, 100, 200};
#define EACH_SIZE(n) \
    for (const size_t *n = sizes; n < sizes + sizeof sizes / sizeof *sizes; n++)

static void equal_members_have_at_most_1_05_of_the_mean(void **state)
{
    struct ring_member members[MEMBERS_TESTED_MAX];
    uint32_t counts[MEMBERS_TESTED_MAX];

    (void)state;
    members_of(members, MEMBERS_TESTED_MAX);
    EACH_SIZE(n)
    {
        struct ring *ring = plan(1, members, *n, NULL);
        uint32_t most = 0;
        uint32_t sum = 0;

        ring_slot_counts(ring, counts);
        for (size_t i = 0; i < *n; i++) {
            most = counts[i] > most ? counts[i] : most;
            sum += counts[i];
        }
        assert_int_equal(sum, SLOT_COUNT);
        assert_true((double)most * (double)*n <= 1.05 * SLOT_COUNT);
        ring_unref(&ring);
    }
}

static void removing_one_of_n_moves_at_most_1_25_of_its_share(void **state)
{
    struct ring_member all[MEMBERS_TESTED_MAX];
    struct ring_member left[MEMBERS_TESTED_MAX];

    (void)state;
    members_of(all, MEMBERS_TESTED_MAX);
    EACH_SIZE(n)
    {
        struct ring *before = plan(1, all, *n, NULL);

        for (size_t gone = 0; gone < *n && gone < 20; gone++) {
            memcpy(left, all, *n * sizeof all[0]);
            left[gone] = left[*n - 1];
            struct ring *after = plan(2, left, *n - 1, before);

            assert_balanced(after);
            assert_true((double)moved(before, after) * (double)*n <=
                        1.25 * SLOT_COUNT);
            ring_unref(&after);
        }
        ring_unref(&before);
    }
}

static void adding_one_to_n_moves_at_most_1_25_of_its_share(void **state)
{
    struct ring_member all[MEMBERS_TESTED_MAX];

    (void)state;
    EACH_SIZE(n)
    {
        members_of(all, *n);
        struct ring *before = plan(1, all, *n - 1, NULL);

        for (unsigned i = 0; i < 20; i++) {
            all[*n - 1] = member_of(1000 + i, 1);
            struct ring *after = plan(2, all, *n, before);

            assert_balanced(after);
            assert_true((double)moved(before, after) * (double)*n <=
                        1.25 * SLOT_COUNT);
            ring_unref(&after);
        }
        ring_unref(&before);
    }
}

/* The figures must also hold for a ring with a long past, not only for the
 * second one. */
static void a_long_history_stays_balanced_and_moves_little(void **state)
{
    struct ring_member members[MEMBERS_TESTED_MAX];
    struct ring *ring = NULL;
    struct rand rand;
    size_t count = 0;
    unsigned next = 0;

    (void)state;
    rand_init(&rand, 7);
    for (uint32_t epoch = 1; epoch <= 450; epoch++) {
        size_t most = count;
        bool grow = count < 2 || (epoch <= 200 || rand_below(&rand, 2) == 0);

        if (grow && count < 200) {
            members[count++] = member_of(next++, 1);
            most = count;
        } else {
            members[rand_below(&rand, count)] = members[count - 1];
            count--;
        }
        struct ring *after = plan(epoch, members, count, ring);

        assert_balanced(after);
        if (ring != NULL) {
            assert_true((double)moved(ring, after) * (double)most <=
                        1.25 * SLOT_COUNT);
        }
        ring_unref(&ring);
        ring = after;
    }
    ring_unref(&ring);
}

static void the_order_of_the_members_does_not_matter(void **state)
{
    struct ring_member members[50];
    struct ring_member shuffled[50];
    struct rand rand;

    (void)state;
    rand_init(&rand, 1);
    members_of(members, 50);
    struct ring *ring = plan(1, members, 49, NULL);
    struct ring *next = plan(2, members, 50, ring);

    for (unsigned round = 0; round < 5; round++) {
        memcpy(shuffled, members, sizeof members);
        for (size_t i = 48; i > 0; i--) {
            size_t j = rand_below(&rand, i + 1);
            struct ring_member kept = shuffled[i];

            shuffled[i] = shuffled[j];
            shuffled[j] = kept;
        }
        struct ring *again = plan(1, shuffled, 49, NULL);
        struct ring *again_next = plan(2, shuffled, 50, ring);

        assert_memory_equal(again->owner, ring->owner, sizeof ring->owner);
        assert_memory_equal(again_next->owner, next->owner, sizeof next->owner);
        ring_unref(&again);
        ring_unref(&again_next);
    }
    ring_unref(&next);
    ring_unref(&ring);
}

static void a_shard_that_comes_back_finds_its_own_slots(void **state)
{
    struct ring_member members[30];

    (void)state;
    members_of(members, 30);
    struct ring *whole = plan(1, members, 30, NULL);
    struct ring *without = plan(2, members, 29, whole);
    struct ring *back = plan(3, members, 30, without);

    assert_int_equal(moved(whole, back), 0);
    ring_unref(&whole);
    ring_unref(&without);
    ring_unref(&back);
}

static void only_the_leaver_and_the_newcomer_change_hands(void **state)
{
    struct ring_member members[4];

    (void)state;
    members_of(members, 4);
    struct ring *four = plan(1, members, 4, NULL);
    struct ring *three = plan(2, members, 3, four);

    for (size_t s = 0; s < SLOT_COUNT; s++) {
        if (strcmp(owner_name(four, s), members[3].name) != 0) {
            assert_string_equal(owner_name(four, s), owner_name(three, s));
            assert_int_equal(three->tenure[s], 1);
        } else {
            assert_int_equal(three->tenure[s], 2);
        }
    }
    ring_unref(&four);
    ring_unref(&three);
}

static void weights_shape_the_shares(void **state)
{
    struct ring_member members[5];
    uint32_t counts[5];

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        members[i] = member_of(i, i < 4 ? 1 : RING_WEIGHT_MAX);
    }
    struct ring *steep = plan(1, members, 5, NULL);

    assert_balanced(steep);
    members[4].weight = 4;
    struct ring *ring = plan(2, members, 5, steep);

    assert_balanced(ring);
    ring_slot_counts(ring, counts);
    assert_in_range(counts[4], SLOT_COUNT / 2 * 9 / 10,
                    SLOT_COUNT / 2 * 21 / 20);
    members[4].weight = 2;
    struct ring *flatter = plan(3, members, 5, ring);

    assert_balanced(flatter);
    ring_slot_counts(flatter, counts);
    assert_in_range(counts[4], SLOT_COUNT / 3 * 9 / 10,
                    SLOT_COUNT / 3 * 21 / 20);
    ring_unref(&steep);
    ring_unref(&ring);
    ring_unref(&flatter);
}

static void only_serving_and_down_members_own_slots(void **state)
{
    struct ring_member members[4];
    uint32_t counts[4];

    (void)state;
    members_of(members, 4);
    members[0].state = MEMBER_JOINING;
    members[1].state = MEMBER_DRAINING;
    members[2].state = MEMBER_DOWN;
    struct ring *ring = plan(1, members, 4, NULL);

    ring_slot_counts(ring, counts);
    assert_int_equal(counts[0], 0);
    assert_int_equal(counts[1], 0);
    assert_true(counts[2] > 7000);
    assert_true(counts[3] > 7000);
    ring_unref(&ring);
}

static void without_members_slots_are_nobodys(void **state)
{
    struct ring_member member = member_of(0, 1);

    (void)state;
    struct ring *empty = plan(1, NULL, 0, NULL);
    struct ring *one = plan(2, &member, 1, empty);
    struct ring *same = plan(3, &member, 1, one);
    struct ring *again = plan(4, NULL, 0, same);

    for (size_t s = 0; s < SLOT_COUNT; s++) {
        assert_int_equal(empty->owner[s], RING_NOBODY);
        assert_int_equal(empty->tenure[s], 1);
        assert_int_equal(one->owner[s], 0);
        assert_int_equal(one->tenure[s], 2);
        assert_int_equal(same->tenure[s], 2);
        assert_int_equal(again->owner[s], RING_NOBODY);
        assert_int_equal(again->tenure[s], 4);
    }
    ring_unref(&empty);
    ring_unref(&one);
    ring_unref(&same);
    ring_unref(&again);
}

static void refuse(enum err expected, const char *words, uint32_t epoch,
                   const struct ring_member *members, size_t count,
                   const struct ring *before)
{
    struct ring *ring = NULL;
    struct why why = {""};

    assert_int_equal(ring_plan(mem_system(), "test", epoch, members, count,
                               before, &ring, &why),
                     expected);
    assert_null(ring);
    if (strstr(why.text, words) == NULL) {
        print_error("\"%s\" lacks \"%s\"\n", why.text, words);
        fail();
    }
}

static void bad_members_are_refused_by_field_and_value(void **state)
{
    struct ring_member good = member_of(0, 1);
    struct ring_member bad = good;

    (void)state;
    (void)snprintf(bad.name, sizeof bad.name, "Shard_1");
    refuse(ERR_SYNTAX, "\"Shard_1\"", 1, &bad, 1, NULL);
    bad = good;
    bad.name[0] = '\0';
    refuse(ERR_SYNTAX, "name", 1, &bad, 1, NULL);
    static const char *const addresses[] = {
        "",       "host",    "host:",  "host:0",   "host:65536",
        ":11211", "ho st:1", "unix:/", "host:12x", "h\n:1",
    };
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        bad = good;
        (void)snprintf(bad.address, sizeof bad.address, "%s", addresses[i]);
        refuse(ERR_SYNTAX, "address", 1, &bad, 1, NULL);
    }
    bad = good;
    (void)snprintf(bad.admin, sizeof bad.admin, "nowhere");
    refuse(ERR_SYNTAX, "admin is \"nowhere\"", 1, &bad, 1, NULL);
    bad = good;
    (void)snprintf(bad.zone, sizeof bad.zone, "a b");
    refuse(ERR_SYNTAX, "zone is \"a b\"", 1, &bad, 1, NULL);
    bad = good;
    bad.weight = 0;
    refuse(ERR_RANGE, "weight is 0; allowed is 1 to 1000", 1, &bad, 1, NULL);
    bad.weight = 1001;
    refuse(ERR_RANGE, "weight is 1001", 1, &bad, 1, NULL);

    struct ring_member twice[2] = {good, good};

    refuse(ERR_EXISTS, "twice", 1, twice, 2, NULL);
    struct ring *ring = plan(5, &good, 1, NULL);

    refuse(ERR_STALE, "epoch is 5; allowed is above 5", 5, &good, 1, ring);
    refuse(ERR_STALE, "epoch is 0", 0, &good, 1, NULL);
    ring_unref(&ring);
}

static void as_many_members_as_allowed_and_no_more(void **state)
{
    static struct ring_member members[RING_MEMBERS_MAX + 1];
    static uint32_t counts[RING_MEMBERS_MAX];

    (void)state;
    members_of(members, RING_MEMBERS_MAX + 1);
    struct ring *ring = plan(1, members, RING_MEMBERS_MAX, NULL);

    ring_slot_counts(ring, counts);
    for (size_t i = 0; i < RING_MEMBERS_MAX; i++) {
        assert_int_equal(counts[i], SLOT_COUNT / RING_MEMBERS_MAX);
    }
    refuse(ERR_RANGE, "1025 members", 1, members, RING_MEMBERS_MAX + 1, NULL);
    ring_unref(&ring);
}

static enum err plan_and_forget(const struct mem *mem, void *context)
{
    struct ring *ring = NULL;
    enum err e = ring_plan(mem, "test", 1, context, 3, NULL, &ring, NULL);

    ring_unref(&ring);
    return e;
}

static void survives_any_failed_allocation(void **state)
{
    struct ring_member members[3];

    (void)state;
    members_of(members, 3);
    assert_true(torture_allocations(plan_and_forget, members) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_members_have_at_most_1_05_of_the_mean),
        cmocka_unit_test(removing_one_of_n_moves_at_most_1_25_of_its_share),
        cmocka_unit_test(adding_one_to_n_moves_at_most_1_25_of_its_share),
        cmocka_unit_test(a_long_history_stays_balanced_and_moves_little),
        cmocka_unit_test(the_order_of_the_members_does_not_matter),
        cmocka_unit_test(a_shard_that_comes_back_finds_its_own_slots),
        cmocka_unit_test(only_the_leaver_and_the_newcomer_change_hands),
        cmocka_unit_test(weights_shape_the_shares),
        cmocka_unit_test(only_serving_and_down_members_own_slots),
        cmocka_unit_test(without_members_slots_are_nobodys),
        cmocka_unit_test(bad_members_are_refused_by_field_and_value),
        cmocka_unit_test(as_many_members_as_allowed_and_no_more),
        cmocka_unit_test(survives_any_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
