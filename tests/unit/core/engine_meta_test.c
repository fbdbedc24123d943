/* The leases of the meta protocol: of many clients that find an item stale,
 * missing or about to expire, one wins the duty to refill it. */
#include "engine_fixture.h"

static const struct engine_get lease = {.leases = true};

static void leases(struct fixture *f, bool won, bool stale, bool sent)
{
    assert_int_equal(get_how(f, SLICE("k"), &lease), ENGINE_OK);
    assert_int_equal(f->item.won, won);
    assert_int_equal(f->item.stale, stale);
    assert_int_equal(f->item.sent, sent);
}

static void a_fresh_item_has_no_winner(void **state)
{
    struct fixture *f = *state;

    set(f, "k", "v");
    leases(f, false, false, false);
    leases(f, false, false, false);
}

static void one_client_wins_a_stale_item(void **state)
{
    struct fixture *f = *state;
    struct engine_delete stale = {.mark_stale = true};

    set(f, "k", "v");
    uint64_t cas = f->item.cas;

    assert_int_equal(delete_how(f, "missing", &stale), ENGINE_MISS);
    assert_int_equal(delete_how(f, "k", &stale), ENGINE_OK);
    reads(f, "k", "v");
    assert_true(f->item.cas > cas);
    assert_true(f->item.stale);
    assert_false(f->item.won);
    leases(f, true, true, false);
    leases(f, false, true, true);
    leases(f, false, true, true);
    assert_int_equal(delete_how(f, "k", &stale), ENGINE_OK);
    leases(f, true, true, false);
    set(f, "k", "new");
    leases(f, false, false, false);
}

static void marking_may_touch_and_choose_the_id(void **state)
{
    struct fixture *f = *state;
    struct engine_delete how = {.mark_stale = true,
                                .touch = true,
                                .expires_ms = f->now.ms + 30,
                                .cas_new = 4711,
                                .compare = true};

    set(f, "k", "v");
    how.cas = f->item.cas;
    assert_int_equal(delete_how(f, "k", &how), ENGINE_OK);
    assert_int_equal(delete_how(f, "k", &how), ENGINE_EXISTS);
    reads(f, "k", "v");
    assert_int_equal(f->item.cas, 4711);
    f->now.ms += 30;
    assert_int_equal(get(f, "k"), ENGINE_MISS);
}

static void the_winner_refills_and_a_loser_stays_stale(void **state)
{
    struct fixture *f = *state;
    struct engine_delete stale = {.mark_stale = true};
    struct engine_store how = {.value = SLICE("late"),
                               .compare = true,
                               .invalidate = true,
                               .expires_ms = f->now.ms + 9000};

    set_until(f, "k", "v", f->now.ms + 500);
    uint64_t before = f->item.cas;

    assert_int_equal(delete_how(f, "k", &stale), ENGINE_OK);
    leases(f, true, true, false);
    uint64_t winner = f->item.cas;

    how.cas = before;
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_OK);
    assert_true(f->item.stale);
    reads(f, "k", "late");
    assert_int_equal(f->item.expires_ms, f->now.ms + 500);
    leases(f, false, true, true);
    how.cas = f->item.cas + 1;
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_EXISTS);
    assert_true(f->item.cas == 0);
    leases(f, false, true, true);
    how.value = SLICE("right");
    how.cas = f->item.cas;
    assert_true(how.cas > winner);
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_OK);
    reads(f, "k", "right");
    leases(f, false, false, false);
}

static void a_missing_item_is_made_and_won(void **state)
{
    struct fixture *f = *state;
    struct engine_get how = {.leases = true,
                             .vivify = true,
                             .vivify_expires_ms = f->now.ms + 100,
                             .cas_new = 55};

    assert_int_equal(get_how(f, SLICE("k"), &how), ENGINE_MISS);
    assert_true(f->item.won);
    assert_int_equal(f->item.cas, 55);
    assert_int_equal(f->item.value_size, 0);
    assert_int_equal(f->item.expires_ms, f->now.ms + 100);
    assert_int_equal(get_how(f, SLICE("k"), &how), ENGINE_OK);
    assert_false(f->item.won);
    assert_true(f->item.sent);
    assert_int_equal(f->value_size, 0);
    f->now.ms += 100;
    assert_int_equal(get(f, "k"), ENGINE_MISS);
    assert_false(f->item.won);
}

static void joining_may_make_what_is_missing(void **state)
{
    struct fixture *f = *state;
    struct engine_store how = {.mode = STORE_APPEND,
                               .value = SLICE("ab"),
                               .flags = 6,
                               .vivify = true,
                               .vivify_expires_ms = f->now.ms + 10};

    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_OK);
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_OK);
    reads(f, "k", "abab");
    assert_int_equal(f->item.flags, 6);
    assert_int_equal(f->item.expires_ms, f->now.ms + 10);
}

static void one_client_wins_what_will_expire_soon(void **state)
{
    struct fixture *f = *state;
    struct engine_get how = {.leases = true, .recache = true, .recache_ms = 30};

    set(f, "k", "v");
    assert_int_equal(get_how(f, SLICE("k"), &how), ENGINE_OK);
    assert_false(f->item.won);
    set_until(f, "k", "v", f->now.ms + 60);
    f->now.ms += 30;
    assert_int_equal(get_how(f, SLICE("k"), &how), ENGINE_OK);
    assert_false(f->item.won);
    f->now.ms += 1;
    assert_int_equal(get_how(f, SLICE("k"), &how), ENGINE_OK);
    assert_true(f->item.won);
    assert_false(f->item.stale);
    assert_int_equal(get_how(f, SLICE("k"), &how), ENGINE_OK);
    assert_false(f->item.won);
    assert_true(f->item.sent);
}

static void dropping_the_value_keeps_the_item(void **state)
{
    struct fixture *f = *state;
    struct engine_delete how = {.drop_value = true};
    const size_t sizes[] = {1, 100, 5000, MIB};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct engine_store big = {.value = {f->value, sizes[i]},
                                   .flags = (uint32_t)(9 * (i % 2))};

        memset(f->value, 'x', sizes[i]);
        assert_int_equal(store_how(f, SLICE("k"), &big), ENGINE_OK);
        uint64_t cas = f->item.cas;

        how.mark_stale = i % 2 != 0;
        assert_int_equal(delete_how(f, "k", &how), ENGINE_OK);
        reads(f, "k", "");
        assert_int_equal(f->item.flags, 0);
        assert_int_equal(f->item.stale, how.mark_stale);
        assert_true(f->item.cas > cas);
        books_hold(f);
        assert_int_equal(store(f, STORE_APPEND, "k", "more"), ENGINE_OK);
        reads(f, "k", "more");
        books_hold(f);
    }
    assert_int_equal(stats_of(f).items, 1);
}

static void arithmetic_leaves_a_lease_alone(void **state)
{
    struct fixture *f = *state;
    struct engine_delete stale = {.mark_stale = true};
    struct engine_arith incr = {.delta = 1};
    uint64_t number;

    set(f, "k", "9");
    delete_how(f, "k", &stale);
    leases(f, true, true, false);
    assert_int_equal(arith_how(f, "k", &incr, &number), ENGINE_OK);
    leases(f, false, true, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(a_fresh_item_has_no_winner),
        FIXTURE_TEST(one_client_wins_a_stale_item),
        FIXTURE_TEST(marking_may_touch_and_choose_the_id),
        FIXTURE_TEST(the_winner_refills_and_a_loser_stays_stale),
        FIXTURE_TEST(a_missing_item_is_made_and_won),
        FIXTURE_TEST(joining_may_make_what_is_missing),
        FIXTURE_TEST(one_client_wins_what_will_expire_soon),
        FIXTURE_TEST(dropping_the_value_keeps_the_item),
        FIXTURE_TEST(arithmetic_leaves_a_lease_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
