/* Many threads on few keys: no value is ever torn, of another key, or older
 * than one that was read before. */
#include <pthread.h>
#include <stdatomic.h>

#include "engine_fixture.h"

enum { THREADS = 8, COUNTERS = 16 };

/* What a value says about itself; the rest of it follows from that. */
struct stamp {
    uint64_t key;
    uint64_t version;
};

struct crowd {
    struct engine *engine;
    uint64_t keys;
    size_t size_max;
    unsigned steps;
    bool flushes;
    _Atomic uint64_t hits;
    _Atomic uint64_t wrong;
    _Atomic uint64_t incremented[COUNTERS];
};

struct member {
    struct crowd *crowd;
    unsigned index;
    struct engine_thread *thread;
    struct engine_now now;
    struct rand rand;
    struct engine_item item;
    char *value;
    size_t value_size;
};

static size_t size_of_version(const struct crowd *crowd, uint64_t version)
{
    size_t most = version % 16 == 0 ? crowd->size_max : 300;

    return sizeof(struct stamp) + version * 2654435761 % most;
}

static char *member_room(void *context, const struct engine_item *item)
{
    struct member *m = context;

    m->value_size = item->value_size;
    return m->value;
}

static struct engine_key member_key(struct member *m, uint64_t *number)
{
    struct slice key = {(const char *)number, sizeof *number};

    return (struct engine_key){.key = key,
                               .hash = engine_hash(m->crowd->engine, key)};
}

static void member_set(struct member *m, uint64_t number)
{
    struct stamp stamp = {number, rand_u64(&m->rand) >> 8};
    size_t size = size_of_version(m->crowd, stamp.version);
    struct engine_key key = member_key(m, &number);
    struct engine_store how = {.value = {m->value, size},
                               .flags = (uint32_t)(stamp.version % 2)};

    if (stamp.version % 5 == 0) {
        how.expires_ms = m->now.ms + stamp.version % 50;
    }
    memcpy(m->value, &stamp, sizeof stamp);
    bytes_make(m->value + sizeof stamp, size - sizeof stamp,
               stamp.version ^ number);
    engine_store(m->thread, &m->now, &key, &how, &m->item);
}

static void member_get(struct member *m, uint64_t number)
{
    struct engine_key key = member_key(m, &number);
    struct engine_sink sink = {member_room, m};
    struct stamp stamp;

    if (engine_get(m->thread, &m->now, &key, NULL, &sink, &m->item) !=
        ENGINE_OK) {
        return;
    }
    atomic_fetch_add(&m->crowd->hits, 1);
    memcpy(&stamp, m->value, sizeof stamp);
    if (m->value_size < sizeof stamp || stamp.key != number ||
        m->value_size != size_of_version(m->crowd, stamp.version) ||
        m->item.flags != stamp.version % 2 ||
        !bytes_match(m->value + sizeof stamp, m->value_size - sizeof stamp,
                     stamp.version ^ number)) {
        atomic_fetch_add(&m->crowd->wrong, 1);
    }
}

static void member_step(struct member *m)
{
    uint64_t number = rand_below(&m->rand, m->crowd->keys);
    uint64_t dice = rand_below(&m->rand, 1000);
    struct engine_key key = member_key(m, &number);
    struct engine_delete how = {0};

    if (dice < 550) {
        member_get(m, number);
    } else if (dice < 900) {
        member_set(m, number);
    } else if (dice < 960) {
        engine_delete(m->thread, &m->now, &key, &how);
    } else if (dice < 990) {
        engine_prefetch_bucket(m->crowd->engine, key.hash);
        engine_prefetch_item(m->crowd->engine, key.hash);
        m->now.ms++;
    } else if (dice < 999) {
        engine_tend(m->thread, &m->now, 300);
    } else if (m->crowd->flushes) {
        engine_flush(m->crowd->engine, m->now.ms);
    }
}

static void *member_mix(void *context)
{
    struct member *m = context;

    for (unsigned i = 0; i < m->crowd->steps; i++) {
        member_step(m);
    }
    return NULL;
}

static void crowd_run(struct crowd *crowd, void *(*body)(void *))
{
    static struct member members[THREADS];
    pthread_t threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        struct member *m = &members[i];

        *m = (struct member){.crowd = crowd,
                             .index = i,
                             .thread = engine_thread(crowd->engine, i),
                             .now = {.ms = 1000000, .epoch = 1}};
        rand_init(&m->rand, 100 + i);
        m->value = mem_alloc(mem_system(), 2 * MIB);
        assert_non_null(m->value);
        assert_int_equal(pthread_create(&threads[i], NULL, body, m), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        mem_free(mem_system(), members[i].value);
    }
}

static void crowd_open(struct crowd *crowd, struct fixture *f, uint64_t limit)
{
    struct engine_options options = fixture_options();

    options.memory_limit = limit;
    options.thread_count = THREADS;
    fixture_open(f, &options);
    memset(crowd, 0, sizeof *crowd);
    crowd->engine = f->engine;
}

static void crowd_mix(uint64_t limit, uint64_t keys, size_t size_max,
                      unsigned steps)
{
    struct crowd crowd;
    struct fixture f;

    crowd_open(&crowd, &f, limit);
    crowd.keys = keys;
    crowd.size_max = size_max;
    crowd.steps = steps;
    crowd.flushes = keys < 100;
    crowd_run(&crowd, member_mix);
    assert_int_equal(crowd.wrong, 0);
    assert_true(crowd.hits > steps / 4);
    assert_true(stats_of(&f).memory_used <= limit);
    fixture_close(&f);
}

static void values_are_whole_on_a_few_keys(void **state)
{
    (void)state;
    crowd_mix(64 * MIB, 30, 20000, 10000);
}

static void values_are_whole_while_pages_are_evicted(void **state)
{
    (void)state;
    crowd_mix(8 * MIB, 4000, 40000, 15000);
}

static void values_are_whole_while_the_index_grows(void **state)
{
    (void)state;
    crowd_mix(32 * MIB, 100000, 400, 25000);
}

/* --- nothing is lost, nothing goes back --- */

static void *member_count(void *context)
{
    struct member *m = context;
    struct engine_arith incr = {.delta = 1, .vivify = true, .initial = 1};
    uint64_t last[COUNTERS] = {0};

    for (unsigned i = 0; i < m->crowd->steps; i++) {
        uint64_t number = rand_below(&m->rand, COUNTERS);
        struct engine_key key = member_key(m, &number);
        uint64_t after = 0;

        if (engine_arith(m->thread, &m->now, &key, &incr, &after, &m->item) !=
                ENGINE_OK ||
            after <= last[number]) {
            atomic_fetch_add(&m->crowd->wrong, 1);
        }
        last[number] = after;
        atomic_fetch_add(&m->crowd->incremented[number], 1);
    }
    return NULL;
}

static void no_increment_is_lost(void **state)
{
    struct crowd crowd;
    struct fixture f;

    (void)state;
    crowd_open(&crowd, &f, 8 * MIB);
    crowd.steps = 10000;
    crowd_run(&crowd, member_count);
    assert_int_equal(crowd.wrong, 0);
    f.now = (struct engine_now){.ms = 1000000, .epoch = 1};
    f.tenure = 0;
    for (uint64_t i = 0; i < COUNTERS; i++) {
        uint64_t number = 0;

        assert_int_equal(
            get_how(&f, (struct slice){(const char *)&i, sizeof i}, NULL),
            ENGINE_OK);
        assert_true(slice_read_u64((struct slice){f.value, f.value_size},
                                   UINT64_MAX, &number));
        assert_int_equal(number, crowd.incremented[i]);
    }
    fixture_close(&f);
}

/* Each round, all add the same key: one may. */
static void *member_add(void *context)
{
    struct member *m = context;

    for (uint64_t number = 0; number < m->crowd->steps; number++) {
        struct engine_key key = member_key(m, &number);
        struct engine_store how = {.mode = STORE_ADD, .value = SLICE("x")};

        if (engine_store(m->thread, &m->now, &key, &how, &m->item) ==
            ENGINE_OK) {
            atomic_fetch_add(&m->crowd->hits, 1);
        }
    }
    return NULL;
}

static void of_many_adds_one_succeeds(void **state)
{
    struct crowd crowd;
    struct fixture f;

    (void)state;
    crowd_open(&crowd, &f, 64 * MIB);
    crowd.steps = 20000;
    crowd_run(&crowd, member_add);
    /* Else a late thread could add again what has gone.  There is memory for
     * all of it, and the index grows before it forgets. */
    assert_int_equal(stats_of(&f).evictions, 0);
    assert_int_equal(crowd.hits, crowd.steps);
    assert_int_equal(stats_of(&f).items, crowd.steps);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_whole_on_a_few_keys),
        cmocka_unit_test(values_are_whole_while_pages_are_evicted),
        cmocka_unit_test(values_are_whole_while_the_index_grows),
        cmocka_unit_test(no_increment_is_lost),
        cmocka_unit_test(of_many_adds_one_succeeds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
