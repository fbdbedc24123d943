/* engine_fixture.h -- an engine, a clock that is turned by hand, and the
 * operations in short. */
#ifndef TESTS_ENGINE_FIXTURE_H
#define TESTS_ENGINE_FIXTURE_H

/* cmocka wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rand.h"
#include "core/engine.h"
#include "proto/limits.h"

#define MIB               (UINT64_C(1) << 20)
#define FIXTURE_VALUE_MAX (5 * MIB)

struct fixture {
    struct engine *engine;
    struct engine_thread *thread;
    struct engine_now now;
    uint32_t tenure;
    struct engine_item item; /* of the last operation */
    char *value;             /* what the last get read */
    size_t value_size;
    unsigned rooms; /* how often the sink was asked */
    bool no_room;
};

static inline struct engine_options fixture_options(void)
{
    struct engine_options options = {
        .mem = mem_system(),
        .memory_limit = 16 * MIB,
        .value_size_max = 4 * MIB,
        .thread_count = 1,
        .evict = true,
        .cas_first = 1000,
    };
    struct rand rand;

    rand_init(&rand, 5);
    for (size_t i = 0; i < sizeof options.secret; i++) {
        options.secret[i] = (uint8_t)rand_u64(&rand);
    }
    return options;
}

static inline void fixture_open(struct fixture *f,
                                const struct engine_options *options)
{
    struct why why = {""};

    memset(f, 0, sizeof *f);
    assert_int_equal(engine_create(&f->engine, options, &why), ERR_OK);
    f->thread = engine_thread(f->engine, 0);
    f->now = (struct engine_now){.ms = UINT64_C(1800000000000), .epoch = 7};
    f->tenure = 7;
    f->value = mem_alloc(mem_system(), FIXTURE_VALUE_MAX);
    assert_non_null(f->value);
}

static inline void books_hold(struct fixture *f)
{
    struct why why = {""};

    if (!engine_books_balance(f->engine, &why)) {
        fail_msg("%s", why.text);
    }
}

static inline void fixture_close(struct fixture *f)
{
    books_hold(f);
    mem_free(mem_system(), f->value);
    engine_destroy(&f->engine);
    assert_null(f->engine);
}

static inline int fixture_setup(void **state)
{
    struct engine_options options = fixture_options();
    struct fixture *f = mem_alloc(mem_system(), sizeof *f);

    assert_non_null(f);
    fixture_open(f, &options);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    fixture_close(*state);
    mem_free(mem_system(), *state);
    return 0;
}

static inline struct engine_key key_of(const struct fixture *f,
                                       struct slice key)
{
    return (struct engine_key){
        .key = key,
        .hash = engine_hash(f->engine, key),
        .tenure = f->tenure,
    };
}

static inline char *fixture_room(void *context, const struct engine_item *item)
{
    struct fixture *f = context;

    f->rooms++;
    f->value_size = item->value_size;
    assert_true(item->value_size <= FIXTURE_VALUE_MAX);
    return f->no_room ? NULL : f->value;
}

static inline enum engine_result get_how(struct fixture *f, struct slice key,
                                         const struct engine_get *how)
{
    struct engine_key k = key_of(f, key);
    struct engine_sink sink = {fixture_room, f};

    f->rooms = 0;
    f->value_size = 0;
    return engine_get(f->thread, &f->now, &k, how, &sink, &f->item);
}

static inline enum engine_result get(struct fixture *f, const char *key)
{
    return get_how(f, slice_of(key), NULL);
}

static inline enum engine_result peek(struct fixture *f, const char *key)
{
    struct engine_key k = key_of(f, slice_of(key));

    return engine_peek(f->thread, &f->now, &k, &f->item);
}

static inline enum engine_result store_how(struct fixture *f, struct slice key,
                                           const struct engine_store *how)
{
    struct engine_key k = key_of(f, key);

    return engine_store(f->thread, &f->now, &k, how, &f->item);
}

static inline enum engine_result store(struct fixture *f, enum store_mode mode,
                                       const char *key, const char *value)
{
    struct engine_store how = {.mode = mode, .value = slice_of(value)};

    return store_how(f, slice_of(key), &how);
}

static inline enum engine_result set(struct fixture *f, const char *key,
                                     const char *value)
{
    return store(f, STORE_SET, key, value);
}

static inline enum engine_result set_until(struct fixture *f, const char *key,
                                           const char *value,
                                           uint64_t expires_ms)
{
    struct engine_store how = {.value = slice_of(value),
                               .expires_ms = expires_ms};

    return store_how(f, slice_of(key), &how);
}

static inline enum engine_result delete_how(struct fixture *f, const char *key,
                                            const struct engine_delete *how)
{
    struct engine_key k = key_of(f, slice_of(key));

    return engine_delete(f->thread, &f->now, &k, how);
}

static inline enum engine_result erase(struct fixture *f, const char *key)
{
    struct engine_delete how = {0};

    return delete_how(f, key, &how);
}

static inline enum engine_result arith_how(struct fixture *f, const char *key,
                                           const struct engine_arith *how,
                                           uint64_t *number)
{
    struct engine_key k = key_of(f, slice_of(key));

    return engine_arith(f->thread, &f->now, &k, how, number, &f->item);
}

static inline void reads(struct fixture *f, const char *key, const char *value)
{
    assert_int_equal(get(f, key), ENGINE_OK);
    assert_int_equal(f->value_size, strlen(value));
    assert_memory_equal(f->value, value, strlen(value));
}

static inline struct engine_stats stats_of(struct fixture *f)
{
    struct engine_stats stats;

    engine_stats(f->engine, &stats);
    return stats;
}

/* Bytes that tell their own place and seed, in words for the sake of speed. */
static inline uint64_t word_at(size_t i, uint64_t seed)
{
    return (seed + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline void bytes_make(char *out, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = word_at(i, seed);

        memcpy(out + i, &word, size - i < 8 ? size - i : 8);
    }
}

static inline bool bytes_match(const char *bytes, size_t size, uint64_t seed)
{
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = word_at(i, seed);

        if (memcmp(bytes + i, &word, size - i < 8 ? size - i : 8) != 0) {
            return false;
        }
    }
    return true;
}

#define FIXTURE_TEST(name) \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
