/* What every client of a cache relies on: each operation in each mode, time,
 * flushes, tenure, and values of any size. */
#include "engine_fixture.h"

static void what_was_set_can_be_read(void **state)
{
    struct fixture *f = *state;
    struct engine_store how = {.value = SLICE("value"), .flags = 99};

    assert_int_equal(get(f, "key"), ENGINE_MISS);
    assert_int_equal(f->rooms, 0);
    assert_int_equal(store_how(f, SLICE("key"), &how), ENGINE_OK);
    uint64_t cas = f->item.cas;

    assert_true(cas >= 1000);
    reads(f, "key", "value");
    assert_int_equal(f->item.flags, 99);
    assert_int_equal(f->item.cas, cas);
    assert_int_equal(f->item.value_size, 5);
    assert_int_equal(f->item.expires_ms, 0);
    assert_int_equal(get(f, "other"), ENGINE_MISS);
}

static void flags_may_come_and_go(void **state)
{
    struct fixture *f = *state;
    struct engine_store how = {.value = SLICE("v")};
    const uint32_t flags[] = {0, 5, 0, UINT32_MAX, 1, 0};

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        how.flags = flags[i];
        assert_int_equal(store_how(f, SLICE("key"), &how), ENGINE_OK);
        reads(f, "key", "v");
        assert_int_equal(f->item.flags, flags[i]);
        books_hold(f);
    }
}

static void keys_may_hold_any_bytes_and_sizes(void **state)
{
    struct fixture *f = *state;
    char key[KEY_SIZE_MAX];

    for (size_t size = 1; size <= sizeof key; size++) {
        struct engine_store how = {.value = {(const char *)&size, sizeof size}};

        bytes_make(key, size, size);
        assert_int_equal(store_how(f, (struct slice){key, size}, &how),
                         ENGINE_OK);
    }
    for (size_t size = 1; size <= sizeof key; size++) {
        bytes_make(key, size, size);
        assert_int_equal(get_how(f, (struct slice){key, size}, NULL),
                         ENGINE_OK);
        assert_memory_equal(f->value, &size, sizeof size);
    }
}

static void add_and_replace_heed_what_exists(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(store(f, STORE_REPLACE, "k", "1"), ENGINE_NOT_STORED);
    assert_int_equal(store(f, STORE_ADD, "k", "2"), ENGINE_OK);
    assert_int_equal(store(f, STORE_ADD, "k", "3"), ENGINE_NOT_STORED);
    reads(f, "k", "2");
    assert_int_equal(store(f, STORE_REPLACE, "k", "4"), ENGINE_OK);
    reads(f, "k", "4");
}

static void append_and_prepend_keep_flags_and_expiry(void **state)
{
    struct fixture *f = *state;
    uint64_t later = f->now.ms + 5000;
    struct engine_store how = {
        .value = SLICE("mid"), .flags = 3, .expires_ms = later};

    assert_int_equal(store(f, STORE_APPEND, "k", "x"), ENGINE_NOT_STORED);
    assert_int_equal(store(f, STORE_PREPEND, "k", "x"), ENGINE_NOT_STORED);
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_OK);
    uint64_t cas = f->item.cas;

    assert_int_equal(store(f, STORE_APPEND, "k", "-right"), ENGINE_OK);
    assert_true(f->item.cas > cas);
    assert_int_equal(store(f, STORE_PREPEND, "k", "left-"), ENGINE_OK);
    reads(f, "k", "left-mid-right");
    assert_int_equal(f->item.flags, 3);
    assert_int_equal(f->item.expires_ms, later);
}

static void joining_grows_a_value_through_every_class(void **state)
{
    struct fixture *f = *state;
    char piece[700];
    size_t size = 0;

    assert_int_equal(set(f, "k", ""), ENGINE_OK);
    for (unsigned i = 0; i < 300; i++) {
        struct engine_store how = {
            .mode = STORE_APPEND,
            .value = {piece, 1 + (size_t)i * 7 % sizeof piece}};

        for (size_t j = 0; j < how.value.size; j++) {
            piece[j] = (char)((size + j) % 251);
        }
        assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_OK);
        size += how.value.size;
    }
    assert_int_equal(get(f, "k"), ENGINE_OK);
    assert_int_equal(f->value_size, size);
    for (size_t j = 0; j < size; j++) {
        assert_int_equal(f->value[j], (char)(j % 251));
    }
    assert_int_equal(store(f, STORE_PREPEND, "k", "front"), ENGINE_OK);
    assert_int_equal(get(f, "k"), ENGINE_OK);
    assert_int_equal(f->value_size, size + 5);
    assert_memory_equal(f->value, "front", 5);
    assert_int_equal(f->value[5 + 260], (char)(260 % 251));
}

static void compare_stores_only_over_the_id_that_was_read(void **state)
{
    struct fixture *f = *state;
    struct engine_store how = {.value = SLICE("new"), .compare = true};

    how.cas = 5;
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_MISS);
    set(f, "k", "old");
    how.cas = f->item.cas + 1;
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_EXISTS);
    assert_int_equal(f->item.cas, 0);
    reads(f, "k", "old");
    how.cas = f->item.cas;
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_OK);
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_EXISTS);
    reads(f, "k", "new");
    how.mode = STORE_APPEND;
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_EXISTS);
    reads(f, "k", "new");
    how.cas = f->item.cas;
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_OK);
    reads(f, "k", "newnew");
}

static void a_client_may_choose_the_new_id(void **state)
{
    struct fixture *f = *state;
    struct engine_store how = {.value = SLICE("v"), .cas_new = 42};

    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_OK);
    reads(f, "k", "v");
    assert_int_equal(f->item.cas, 42);
    how.cas_new = UINT64_MAX;
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_OK);
    assert_int_equal(set(f, "k", "w"), ENGINE_OK);
    assert_true(f->item.cas >= 1000 && f->item.cas < UINT64_MAX / 2);
}

static void ids_never_repeat_and_rise_for_each_key(void **state)
{
    enum { THREADS = 3, ROUNDS = 3000 };
    static uint64_t ids[ROUNDS];
    struct engine_options options = fixture_options();
    struct fixture f;
    uint64_t last = 0;

    (void)state;
    options.thread_count = THREADS;
    fixture_open(&f, &options);
    for (unsigned i = 0; i < ROUNDS; i++) {
        f.thread = engine_thread(f.engine, i * i % THREADS);
        if (i % 10 == 9) {
            erase(&f, "k");
            last = 0;
        }
        assert_int_equal(set(&f, "k", "v"), ENGINE_OK);
        assert_true(f.item.cas > last);
        ids[i] = last = f.item.cas;
        for (unsigned j = 0; j < i; j++) {
            assert_int_not_equal(ids[j], ids[i]);
        }
    }
    fixture_close(&f);
}

static void delete_removes(void **state)
{
    struct fixture *f = *state;
    struct engine_delete how = {.compare = true};

    assert_int_equal(erase(f, "k"), ENGINE_MISS);
    set(f, "k", "v");
    how.cas = f->item.cas + 1;
    assert_int_equal(delete_how(f, "k", &how), ENGINE_EXISTS);
    how.cas = f->item.cas;
    assert_int_equal(delete_how(f, "k", &how), ENGINE_OK);
    assert_int_equal(get(f, "k"), ENGINE_MISS);
    assert_int_equal(stats_of(f).items, 0);
    assert_int_equal(stats_of(f).bytes, 0);
    assert_int_equal(stats_of(f).deleted, 1);
}

static void items_are_gone_at_their_time(void **state)
{
    struct fixture *f = *state;

    set_until(f, "k", "v", f->now.ms + 100);
    set_until(f, "at once", "v", f->now.ms);
    set_until(f, "long ago", "v", 1);
    assert_int_equal(get(f, "at once"), ENGINE_MISS);
    assert_int_equal(get(f, "long ago"), ENGINE_MISS);
    f->now.ms += 99;
    assert_int_equal(get(f, "k"), ENGINE_OK);
    f->now.ms += 1;
    assert_int_equal(get(f, "k"), ENGINE_MISS);
    assert_int_equal(stats_of(f).items, 0);
    assert_int_equal(stats_of(f).expired, 3);
    assert_int_equal(stats_of(f).expired_unfetched, 2);
}

static void every_operation_takes_an_expired_item_for_none(void **state)
{
    struct fixture *f = *state;
    struct engine_arith incr = {.delta = 1};
    struct engine_store compare = {
        .value = SLICE("x"), .compare = true, .cas = 1};
    uint64_t number;

#define EXPIRED(operation)                  \
    set_until(f, "k", "1", f->now.ms + 10); \
    compare.cas = f->item.cas;              \
    f->now.ms += 10;                        \
    assert_int_equal((operation), ENGINE_MISS);
    EXPIRED(get(f, "k"))
    EXPIRED(peek(f, "k"))
    EXPIRED(erase(f, "k"))
    EXPIRED(arith_how(f, "k", &incr, &number))
    EXPIRED(store_how(f, SLICE("k"), &compare))
#undef EXPIRED
    set_until(f, "k", "1", f->now.ms + 10);
    f->now.ms += 10;
    assert_int_equal(store(f, STORE_REPLACE, "k", "2"), ENGINE_NOT_STORED);
    set_until(f, "k", "1", f->now.ms + 10);
    f->now.ms += 10;
    assert_int_equal(store(f, STORE_ADD, "k", "2"), ENGINE_OK);
    assert_int_equal(stats_of(f).reclaimed, 1);
}

static void touch_moves_the_end(void **state)
{
    struct fixture *f = *state;
    struct engine_get touch = {.touch = true};

    set_until(f, "k", "v", f->now.ms + 10);
    touch.expires_ms = f->now.ms + 1000;
    assert_int_equal(get_how(f, SLICE("k"), &touch), ENGINE_OK);
    assert_int_equal(f->item.expires_ms, f->now.ms + 10);
    f->now.ms += 999;
    reads(f, "k", "v");
    assert_int_equal(f->item.expires_ms, f->now.ms + 1);
    touch.expires_ms = 0;
    assert_int_equal(get_how(f, SLICE("k"), &touch), ENGINE_OK);
    f->now.ms += UINT64_C(1) << 40;
    reads(f, "k", "v");
    touch.expires_ms = 1;
    assert_int_equal(get_how(f, SLICE("k"), &touch), ENGINE_OK);
    assert_int_equal(get(f, "k"), ENGINE_MISS);
}

static void an_access_tells_of_the_one_before(void **state)
{
    struct fixture *f = *state;
    struct engine_get quiet = {.quiet_access = true};
    uint64_t stored_ms = f->now.ms;

    set(f, "k", "v");
    f->now.ms += 5000;
    assert_int_equal(get_how(f, SLICE("k"), &quiet), ENGINE_OK);
    assert_false(f->item.fetched);
    assert_int_equal(peek(f, "k"), ENGINE_OK);
    assert_int_equal(get(f, "k"), ENGINE_OK);
    assert_false(f->item.fetched);
    assert_int_equal(f->item.accessed_ms, stored_ms);
    f->now.ms += 2000;
    assert_int_equal(get(f, "k"), ENGINE_OK);
    assert_true(f->item.fetched);
    assert_int_equal(f->item.accessed_ms, stored_ms + 5000);
    f->now.ms += UINT64_C(100) * 24 * 3600 * 1000;
    assert_int_equal(peek(f, "k"), ENGINE_OK);
    assert_int_equal(f->item.accessed_ms, stored_ms + 7000);
}

static void without_room_nothing_is_read_or_changed(void **state)
{
    struct fixture *f = *state;
    struct engine_get how = {
        .touch = true, .expires_ms = 1, .leases = true, .recache = true};

    set(f, "k", "v");
    f->no_room = true;
    assert_int_equal(get_how(f, SLICE("k"), &how), ENGINE_NO_ROOM);
    f->no_room = false;
    reads(f, "k", "v");
    assert_false(f->item.fetched);
    assert_int_equal(f->item.expires_ms, 0);
}

/* --- arithmetic --- */

static void counts(struct fixture *f, const char *before, bool decrement,
                   uint64_t delta, const char *after)
{
    struct engine_arith how = {.decrement = decrement, .delta = delta};
    uint64_t number = 77;
    uint64_t expected = 0;
    struct slice digits = slice_of(after);

    while (digits.size > 0 && digits.at[digits.size - 1] == ' ') {
        digits.size--;
    }
    assert_true(slice_read_u64(digits, UINT64_MAX, &expected));
    set(f, "n", before);
    uint64_t cas = f->item.cas;

    assert_int_equal(arith_how(f, "n", &how, &number), ENGINE_OK);
    assert_int_equal(number, expected);
    assert_true(f->item.cas > cas);
    reads(f, "n", after);
}

static void arithmetic_counts_as_memcached_does(void **state)
{
    struct fixture *f = *state;

    counts(f, "1", false, 1, "2");
    counts(f, "9", false, 1, "10");
    counts(f, "10", true, 1, "9 ");
    counts(f, "9 ", false, 1, "10");
    counts(f, "  9", false, 1, "10 ");
    counts(f, "5", true, 6, "0");
    counts(f, "100", true, 100, "0  ");
    counts(f, "18446744073709551615", false, 1, "0                   ");
    counts(f, "18446744073709551614", false, 1, "18446744073709551615");
    counts(f, "0", false, UINT64_MAX, "18446744073709551615");
    counts(f, "007", false, 1, "8  ");
}

static void arithmetic_wants_a_number(void **state)
{
    struct fixture *f = *state;
    struct engine_arith how = {.delta = 1};
    const char *const bad[] = {
        "", " ", "x", "1x", "-1", "+1", "1 2", "0x10", "18446744073709551616"};
    uint64_t number = 77;

    assert_int_equal(arith_how(f, "n", &how, &number), ENGINE_MISS);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        set(f, "n", bad[i]);
        assert_int_equal(arith_how(f, "n", &how, &number), ENGINE_NOT_NUMBER);
        reads(f, "n", bad[i]);
    }
    assert_int_equal(number, 77);
}

static void a_growing_number_keeps_flags_and_expiry(void **state)
{
    struct fixture *f = *state;
    struct engine_arith how = {.delta = 1};
    struct engine_store nine = {
        .value = SLICE("9"), .flags = 8, .expires_ms = f->now.ms + 500};
    uint64_t number;

    assert_int_equal(store_how(f, SLICE("n"), &nine), ENGINE_OK);
    assert_int_equal(arith_how(f, "n", &how, &number), ENGINE_OK);
    reads(f, "n", "10");
    assert_int_equal(f->item.flags, 8);
    assert_int_equal(f->item.expires_ms, f->now.ms + 500);
    how.touch = true;
    how.expires_ms = f->now.ms + 900;
    how.compare = true;
    how.cas = f->item.cas + 1;
    assert_int_equal(arith_how(f, "n", &how, &number), ENGINE_EXISTS);
    reads(f, "n", "10");
    how.cas = f->item.cas;
    assert_int_equal(arith_how(f, "n", &how, &number), ENGINE_OK);
    reads(f, "n", "11");
    assert_int_equal(f->item.expires_ms, f->now.ms + 900);
}

static void a_missing_number_may_start_somewhere(void **state)
{
    struct fixture *f = *state;
    struct engine_arith how = {.delta = 5,
                               .vivify = true,
                               .initial = 1234567,
                               .vivify_expires_ms = f->now.ms + 50};
    uint64_t number = 0;

    assert_int_equal(arith_how(f, "n", &how, &number), ENGINE_OK);
    assert_int_equal(number, 1234567);
    assert_int_equal(arith_how(f, "n", &how, &number), ENGINE_OK);
    assert_int_equal(number, 1234572);
    reads(f, "n", "1234572");
    f->now.ms += 50;
    assert_int_equal(get(f, "n"), ENGINE_MISS);
}

/* --- flushes, tenure --- */

static void a_flush_hides_what_was_before_and_nothing_after(void **state)
{
    struct fixture *f = *state;

    for (unsigned i = 0; i < 700; i++) {
        set(f, "before", "1");
        set(f, "both", "1");
        engine_flush(f->engine, f->now.ms);
        set(f, "both", "2");
        assert_int_equal(get(f, "before"), ENGINE_MISS);
        reads(f, "both", "2");
    }
    f->now.ms += 60000;
    reads(f, "both", "2");
    assert_int_equal(stats_of(f).items, 1);
}

static void a_flush_may_be_ordered_for_later(void **state)
{
    struct fixture *f = *state;
    uint64_t at_ms = f->now.ms + 1000;

    set(f, "early", "1");
    engine_flush(f->engine, at_ms + 1000);
    engine_flush(f->engine, at_ms);
    f->now.ms = at_ms - 1;
    set(f, "just before", "1");
    reads(f, "early", "1");
    f->now.ms = at_ms;
    set(f, "just then", "1");
    assert_int_equal(get(f, "early"), ENGINE_MISS);
    assert_int_equal(get(f, "just before"), ENGINE_MISS);
    reads(f, "just then", "1");
    f->now.ms = at_ms + 1000;
    assert_int_equal(get(f, "just then"), ENGINE_MISS);
    set(f, "k", "v");
    f->now.ms += 1000000;
    reads(f, "k", "v");
}

static void flushed_items_cost_nothing_after_a_sweep(void **state)
{
    struct fixture *f = *state;
    char key[16];

    for (unsigned i = 0; i < 2000; i++) {
        (void)snprintf(key, sizeof key, "k%u", i);
        set(f, key, "some value or other");
    }
    engine_flush(f->engine, f->now.ms);
    assert_int_equal(stats_of(f).items, 2000);
    engine_tend(f->thread, &f->now, 100000);
    assert_int_equal(stats_of(f).items, 0);
    assert_int_equal(stats_of(f).expired, 2000);
}

static void an_item_of_an_earlier_tenure_does_not_exist(void **state)
{
    struct fixture *f = *state;

    set(f, "k", "v7");
    set(f, "l", "v7");
    f->tenure = 8;
    f->now.epoch = 8;
    assert_int_equal(get(f, "k"), ENGINE_MISS);
    assert_int_equal(store(f, STORE_APPEND, "l", "x"), ENGINE_NOT_STORED);
    f->tenure = 7;
    assert_int_equal(get(f, "k"), ENGINE_MISS);
    set(f, "k", "v8");
    f->tenure = 8;
    reads(f, "k", "v8");
    f->now.epoch = 12;
    reads(f, "k", "v8");
}

static void what_changes_an_item_stamps_it_anew(void **state)
{
    struct fixture *f = *state;
    struct engine_arith incr = {.delta = 1};
    uint64_t number;

    set(f, "k", "v");
    set(f, "n", "1");
    f->now.epoch = 9;
    assert_int_equal(store(f, STORE_APPEND, "k", "w"), ENGINE_OK);
    assert_int_equal(arith_how(f, "n", &incr, &number), ENGINE_OK);
    f->tenure = 9;
    reads(f, "k", "vw");
    reads(f, "n", "2");
}

/* --- sizes --- */

static void a_value_of_any_size_comes_back(struct fixture *f, size_t size)
{
    struct engine_store how = {.value = {f->value, size},
                               .flags = (uint32_t)(size % 3)};
    char key[32];

    (void)snprintf(key, sizeof key, "size-%zu", size);
    bytes_make(f->value, size, size);
    assert_int_equal(store_how(f, slice_of(key), &how), ENGINE_OK);
    memset(f->value, 0, size + 1);
    assert_int_equal(get(f, key), ENGINE_OK);
    assert_int_equal(f->rooms, 1);
    assert_int_equal(f->value_size, size);
    assert_true(bytes_match(f->value, size, size));
    assert_int_equal(f->value[size], 0);
    assert_int_equal(f->item.flags, size % 3);
}

static void values_of_any_size_come_back(void **state)
{
    struct fixture *f = *state;

    for (size_t size = 0; size < 1200; size++) {
        a_value_of_any_size_comes_back(f, size);
    }
    for (size_t around = 2048; around <= 4 * MIB; around *= 2) {
        for (size_t size = around - 60; size <= around; size += 3) {
            a_value_of_any_size_comes_back(f, size);
        }
        books_hold(f);
    }
}

static void a_value_over_the_limit_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct engine_store how = {.value = {f->value, 4 * MIB + 1}};

    memset(f->value, 'x', how.value.size);
    set(f, "k", "old");
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_TOO_LARGE);
    assert_int_equal(get(f, "k"), ENGINE_MISS);
    how.value.size = 4 * MIB;
    assert_int_equal(store_how(f, SLICE("k"), &how), ENGINE_OK);
    assert_int_equal(store(f, STORE_APPEND, "k", "x"), ENGINE_TOO_LARGE);
    assert_int_equal(get(f, "k"), ENGINE_MISS);
    assert_int_equal(stats_of(f).items, 0);
}

static void prefetching_is_harmless(void **state)
{
    struct fixture *f = *state;

    set(f, "k", "v");
    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t hash = i * UINT64_C(0x123456789abcdef);

        engine_prefetch_bucket(f->engine, hash);
        engine_prefetch_item(f->engine, hash);
    }
    reads(f, "k", "v");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(what_was_set_can_be_read),
        FIXTURE_TEST(flags_may_come_and_go),
        FIXTURE_TEST(keys_may_hold_any_bytes_and_sizes),
        FIXTURE_TEST(add_and_replace_heed_what_exists),
        FIXTURE_TEST(append_and_prepend_keep_flags_and_expiry),
        FIXTURE_TEST(joining_grows_a_value_through_every_class),
        FIXTURE_TEST(compare_stores_only_over_the_id_that_was_read),
        FIXTURE_TEST(a_client_may_choose_the_new_id),
        cmocka_unit_test(ids_never_repeat_and_rise_for_each_key),
        FIXTURE_TEST(delete_removes),
        FIXTURE_TEST(items_are_gone_at_their_time),
        FIXTURE_TEST(every_operation_takes_an_expired_item_for_none),
        FIXTURE_TEST(touch_moves_the_end),
        FIXTURE_TEST(an_access_tells_of_the_one_before),
        FIXTURE_TEST(without_room_nothing_is_read_or_changed),
        FIXTURE_TEST(arithmetic_counts_as_memcached_does),
        FIXTURE_TEST(arithmetic_wants_a_number),
        FIXTURE_TEST(a_growing_number_keeps_flags_and_expiry),
        FIXTURE_TEST(a_missing_number_may_start_somewhere),
        FIXTURE_TEST(a_flush_hides_what_was_before_and_nothing_after),
        FIXTURE_TEST(a_flush_may_be_ordered_for_later),
        FIXTURE_TEST(flushed_items_cost_nothing_after_a_sweep),
        FIXTURE_TEST(an_item_of_an_earlier_tenure_does_not_exist),
        FIXTURE_TEST(what_changes_an_item_stamps_it_anew),
        FIXTURE_TEST(values_of_any_size_come_back),
        FIXTURE_TEST(a_value_over_the_limit_leaves_nothing_behind),
        FIXTURE_TEST(prefetching_is_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
