/* The limit is the limit, whatever is stored; and what is read is what was
 * stored last, or nothing. */
#include "engine_fixture.h"
#include "support/torture.h"

static void within_limit(struct fixture *f)
{
    struct engine_stats stats = stats_of(f);

    assert_true(stats.memory_used <= stats.memory_limit);
    assert_true(stats.bytes <= stats.memory_used);
    assert_int_equal(stats.items, stats.items_total - stats.replaced -
                                      stats.deleted - stats.evictions -
                                      stats.expired);
}

static void fixture_small(struct fixture *f, bool evict)
{
    struct engine_options options = fixture_options();

    options.memory_limit = 8 * MIB;
    options.evict = evict;
    fixture_open(f, &options);
}

static void key_write(char key[static 24], uint64_t number)
{
    (void)snprintf(key, 24, "key-%llu", (unsigned long long)number);
}

static enum engine_result set_bytes(struct fixture *f, uint64_t number,
                                    size_t size)
{
    struct engine_store how = {.value = {f->value, size}};
    char key[24];

    key_write(key, number);
    bytes_make(f->value, size, number);
    return store_how(f, slice_of(key), &how);
}

/* Hit: the value must be the one that set_bytes wrote. */
static bool still_there(struct fixture *f, uint64_t number, size_t size)
{
    char key[24];

    key_write(key, number);
    if (get(f, key) != ENGINE_OK) {
        return false;
    }
    assert_int_equal(f->value_size, size);
    assert_true(bytes_match(f->value, size, number));
    return true;
}

/* --- a model --- */

enum { MODEL_KEYS = 600 };

struct model_item {
    bool there;
    uint64_t seed;
    size_t size;
    uint64_t expires_ms;
    uint32_t flags;
    uint64_t cas;
};

struct model {
    struct fixture f;
    struct rand rand;
    size_t size_max;
    bool may_forget;
    uint64_t hits;
    struct model_item items[MODEL_KEYS];
};

static size_t model_size(struct model *m)
{
    /* Mostly small, now and then of any size. */
    size_t most = rand_below(&m->rand, 20) == 0 ? m->size_max : 400;

    return rand_below(&m->rand, most + 1);
}

static void model_set(struct model *m, struct model_item *item,
                      struct slice key, enum store_mode mode)
{
    struct engine_store how = {
        .mode = mode,
        .flags = (uint32_t)rand_below(&m->rand, 3),
        .value.size = model_size(m),
        .value.at = m->f.value,
    };
    uint64_t seed = rand_u64(&m->rand);

    if (rand_below(&m->rand, 3) == 0) {
        how.expires_ms = m->f.now.ms + 1 + rand_below(&m->rand, 3000);
    }
    bytes_make(m->f.value, how.value.size, seed);
    enum engine_result result = store_how(&m->f, key, &how);

    if (!m->may_forget) {
        bool stores = mode == STORE_SET || (mode == STORE_ADD) != item->there;

        assert_int_equal(result, stores ? ENGINE_OK : ENGINE_NOT_STORED);
    }
    if (result == ENGINE_OK) {
        *item = (struct model_item){true,           seed,      how.value.size,
                                    how.expires_ms, how.flags, m->f.item.cas};
    } else if (mode == STORE_ADD) {
        assert_true(item->there);
    } else {
        assert_int_equal(result, ENGINE_NOT_STORED);
        item->there = false;
    }
}

static void model_get(struct model *m, struct model_item *item,
                      struct slice key)
{
    enum engine_result result = get_how(&m->f, key, NULL);

    if (result == ENGINE_MISS) {
        assert_true(m->may_forget || !item->there);
        item->there = false;
        return;
    }
    assert_int_equal(result, ENGINE_OK);
    assert_true(item->there);
    assert_int_equal(m->f.value_size, item->size);
    assert_true(bytes_match(m->f.value, item->size, item->seed));
    assert_int_equal(m->f.item.flags, item->flags);
    assert_int_equal(m->f.item.expires_ms, item->expires_ms);
    assert_int_equal(m->f.item.cas, item->cas);
    m->hits++;
}

static void model_delete(struct model *m, struct model_item *item,
                         const char *key)
{
    enum engine_result result = erase(&m->f, key);

    assert_true(result == ENGINE_MISS || (result == ENGINE_OK && item->there));
    assert_true(m->may_forget || item->there == (result == ENGINE_OK));
    item->there = false;
}

static void model_flush(struct model *m)
{
    engine_flush(m->f.engine, m->f.now.ms);
    for (unsigned i = 0; i < MODEL_KEYS; i++) {
        m->items[i].there = false;
    }
}

static void model_step(struct model *m)
{
    uint64_t number = rand_below(&m->rand, MODEL_KEYS);
    struct model_item *item = &m->items[number];
    uint64_t dice = rand_below(&m->rand, 1000);
    char key[24];

    key_write(key, number);
    if (item->expires_ms != 0 && item->expires_ms <= m->f.now.ms) {
        item->there = false;
    }
    if (dice < 400) {
        model_get(m, item, slice_of(key));
    } else if (dice < 700) {
        model_set(m, item, slice_of(key), STORE_SET);
    } else if (dice < 800) {
        model_set(m, item, slice_of(key), STORE_ADD);
    } else if (dice < 850) {
        model_set(m, item, slice_of(key), STORE_REPLACE);
    } else if (dice < 950) {
        model_delete(m, item, key);
    } else if (dice < 990) {
        m->f.now.ms += rand_below(&m->rand, 20);
    } else if (dice < 999) {
        engine_tend(m->f.thread, &m->f.now, 500);
    } else if (rand_below(&m->rand, 10) == 0) {
        model_flush(m);
    }
}

static void model_run(uint64_t limit, size_t size_max, bool may_forget,
                      unsigned steps)
{
    static struct model m;
    struct engine_options options = fixture_options();

    memset(&m, 0, sizeof m);
    options.memory_limit = limit;
    fixture_open(&m.f, &options);
    rand_init(&m.rand, limit + size_max);
    m.size_max = size_max;
    m.may_forget = may_forget;
    for (unsigned i = 0; i < steps; i++) {
        model_step(&m);
        within_limit(&m.f);
        if (i % (steps / 50) == 0) {
            books_hold(&m.f);
        }
    }
    assert_true(m.hits > steps / 20);
    assert_int_equal(stats_of(&m.f).evictions > 0, may_forget);
    fixture_close(&m.f);
}

static void nothing_is_forgotten_while_there_is_room(void **state)
{
    (void)state;
    model_run(64 * MIB, 20000, false, 60000);
}

static void what_is_kept_under_pressure_is_right(void **state)
{
    (void)state;
    model_run(8 * MIB, 400000, true, 30000);
}

/* --- filling up --- */

static void a_full_cache_evicts_and_stays_within_its_limit(void **state)
{
    struct fixture f;
    uint64_t kept = 0;
    enum { ITEMS = 90000 };

    (void)state;
    fixture_small(&f, true);
    for (uint64_t i = 0; i < ITEMS; i++) {
        assert_int_equal(set_bytes(&f, i, 50 + i % 100), ENGINE_OK);
        assert_true(still_there(&f, i, 50 + i % 100));
        within_limit(&f);
    }
    books_hold(&f);
    for (uint64_t i = 0; i < ITEMS; i++) {
        kept += still_there(&f, i, 50 + i % 100);
    }
    assert_int_equal(kept, stats_of(&f).items);
    assert_int_equal(stats_of(&f).evictions, ITEMS - kept);
    /* Mean 140 bytes with head and key: nine tenths of the room hold items. */
    assert_true(stats_of(&f).bytes > 8 * MIB / 10 * 8);
    fixture_close(&f);
}

static void what_is_read_again_and_again_stays(void **state)
{
    struct fixture f;
    uint64_t lost = 0;
    enum { HOT = 300 };

    (void)state;
    fixture_small(&f, true);
    for (uint64_t i = 0; i < HOT; i++) {
        set_bytes(&f, i, 100);
    }
    for (uint64_t i = 0; i < 130000; i++) {
        set_bytes(&f, HOT + i, 100);
        if (i % 20 == 0) {
            uint64_t hot = i / 20 % HOT;

            if (!still_there(&f, hot, 100)) {
                lost++;
                set_bytes(&f, hot, 100);
            }
        }
    }
    assert_int_equal(lost, 0);
    fixture_close(&f);
}

static void any_size_can_follow_any_other(void **state)
{
    const size_t sizes[] = {100, 10240, MIB, 100, 4 * MIB, 0, 100};
    struct fixture f;
    uint64_t number = 0;

    (void)state;
    fixture_small(&f, true);
    for (size_t phase = 0; phase < sizeof sizes / sizeof sizes[0]; phase++) {
        size_t size = sizes[phase];
        uint64_t count = 24 * MIB / (size + 200) + 2;
        uint64_t first = number;
        uint64_t kept = 0;

        for (; number < first + count; number++) {
            assert_int_equal(set_bytes(&f, number, size), ENGINE_OK);
            if (number % 16 == 0 || size > 1000) {
                within_limit(&f);
            }
        }
        books_hold(&f);
        for (uint64_t i = first; i < number; i++) {
            kept += still_there(&f, i, size);
        }
        /* A cache-full of the new size has taken over. */
        assert_true(kept >= 1);
        assert_true(kept * (size + 60) > 8 * MIB / 2 ||
                    (size == 4 * MIB && kept == 1));
    }
    fixture_close(&f);
}

static void without_eviction_a_full_cache_refuses(void **state)
{
    struct fixture f;
    uint64_t stored = 0;
    char key[24];

    (void)state;
    fixture_small(&f, false);
    while (set_bytes(&f, stored, 200) == ENGINE_OK) {
        stored++;
        within_limit(&f);
    }
    assert_true(stored * 200 > 8 * MIB / 10 * 7);
    assert_int_equal(set_bytes(&f, stored + 1, 200), ENGINE_NO_MEMORY);
    for (uint64_t i = 0; i < stored; i++) {
        assert_true(still_there(&f, i, 200));
    }
    assert_int_equal(stats_of(&f).evictions, 0);
    books_hold(&f);

    /* The old value goes with the store that failed. */
    assert_int_equal(set_bytes(&f, 3, 100000), ENGINE_NO_MEMORY);
    assert_false(still_there(&f, 3, 200));
    for (uint64_t i = 4; i < 100; i++) {
        key_write(key, i);
        assert_int_equal(erase(&f, key), ENGINE_OK);
    }
    assert_int_equal(set_bytes(&f, stored + 1, 200), ENGINE_OK);
    fixture_close(&f);
}

static void tending_removes_what_expired(void **state)
{
    struct fixture f;
    char key[24];

    (void)state;
    fixture_small(&f, true);
    for (uint64_t i = 0; i < 10000; i++) {
        struct engine_store how = {
            .value = {f.value, i % 500 == 0 ? 20000 : 100},
            .expires_ms = i % 2 == 0 ? f.now.ms + 1000 : 0};

        key_write(key, i);
        memset(f.value, 'x', how.value.size);
        assert_int_equal(store_how(&f, slice_of(key), &how), ENGINE_OK);
    }
    uint64_t used = stats_of(&f).memory_used;

    engine_tend(f.thread, &f.now, 100000);
    assert_int_equal(stats_of(&f).items, 10000);
    f.now.ms += 1000;
    for (unsigned i = 0; i < 200; i++) {
        engine_tend(f.thread, &f.now, 200);
    }
    assert_int_equal(stats_of(&f).items, 5000);
    assert_int_equal(stats_of(&f).expired, 5000);
    books_hold(&f);
    engine_flush(f.engine, f.now.ms);
    engine_tend(f.thread, &f.now, 100000);
    engine_tend(f.thread, &f.now, 100000);
    assert_int_equal(stats_of(&f).items, 0);
    assert_true(stats_of(&f).memory_used < used / 3);
    fixture_close(&f);
}

static void tending_keeps_pages_free(void **state)
{
    struct fixture f;

    (void)state;
    fixture_small(&f, true);
    for (uint64_t i = 0; i < 100000; i++) {
        set_bytes(&f, i, 60);
        if (i % 50 == 0) {
            engine_tend(f.thread, &f.now, 200);
            engine_tend(f.thread, &f.now, 200);
            assert_true(stats_of(&f).pages_free >= 2);
        }
    }
    fixture_close(&f);
}

static void class_counts_add_up(void **state)
{
    struct fixture f;
    struct engine_class class;
    uint64_t pages = 0;
    uint64_t bytes = 0;
    uint64_t evictions = 0;

    (void)state;
    fixture_small(&f, true);
    for (uint64_t i = 0; i < 20000; i++) {
        set_bytes(&f, i, i * i % 5000);
    }
    for (unsigned i = 0; i < engine_class_count(f.engine); i++) {
        uint32_t smaller = i > 0 ? class.chunk_size : 0;

        engine_class_stats(f.engine, i, &class);
        assert_true(class.chunk_size > smaller);
        assert_true(class.chunks_used <= class.pages * class.chunks_per_page);
        pages += class.pages;
        bytes += class.bytes_wanted;
        evictions += class.evictions;
    }
    struct engine_stats stats = stats_of(&f);

    assert_int_equal(pages + stats.pages_free, stats.pages);
    assert_int_equal(bytes, stats.bytes);
    assert_int_equal(evictions, stats.evictions);
    fixture_close(&f);
}

/* --- creation --- */

static enum err create_then_destroy(const struct mem *mem, void *context)
{
    struct engine_options options = fixture_options();
    struct engine *engine = NULL;

    (void)context;
    options.mem = mem;
    enum err e = engine_create(&engine, &options, NULL);

    engine_destroy(&engine);
    return e;
}

static void creation_survives_any_failed_allocation(void **state)
{
    (void)state;
    assert_true(torture_allocations(create_then_destroy, NULL) > 0);
}

static void refuses(struct engine_options options, const char *name)
{
    struct engine *engine = NULL;
    struct why why = {""};

    assert_int_equal(engine_create(&engine, &options, &why), ERR_RANGE);
    assert_non_null(strstr(why.text, name));
    assert_null(engine);
}

static void bad_options_are_named(void **state)
{
    struct engine_options options = fixture_options();

    (void)state;
    options.memory_limit = 8 * MIB - 1;
    refuses(options, "memory_limit");
    options = fixture_options();
    options.value_size_max = options.memory_limit / 2 + 1;
    refuses(options, "value_size_max");
    options = fixture_options();
    options.thread_count = 0;
    refuses(options, "thread_count");
    options.thread_count = ENGINE_THREADS_MAX + 1;
    refuses(options, "thread_count");
}

static void the_smallest_cache_serves_the_most_threads(void **state)
{
    struct engine_options options = fixture_options();
    struct fixture f;

    (void)state;
    options.memory_limit = 8 * MIB;
    options.thread_count = ENGINE_THREADS_MAX;
    fixture_open(&f, &options);
    for (uint64_t i = 0; i < 30000; i++) {
        f.thread = engine_thread(f.engine, i % ENGINE_THREADS_MAX);
        assert_int_equal(set_bytes(&f, i, i % 1000), ENGINE_OK);
        if (i % 32 == 0) {
            within_limit(&f);
        }
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_forgotten_while_there_is_room),
        cmocka_unit_test(what_is_kept_under_pressure_is_right),
        cmocka_unit_test(a_full_cache_evicts_and_stays_within_its_limit),
        cmocka_unit_test(what_is_read_again_and_again_stays),
        cmocka_unit_test(any_size_can_follow_any_other),
        cmocka_unit_test(without_eviction_a_full_cache_refuses),
        cmocka_unit_test(tending_removes_what_expired),
        cmocka_unit_test(tending_keeps_pages_free),
        cmocka_unit_test(class_counts_add_up),
        cmocka_unit_test(creation_survives_any_failed_allocation),
        cmocka_unit_test(bad_options_are_named),
        cmocka_unit_test(the_smallest_cache_serves_the_most_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
