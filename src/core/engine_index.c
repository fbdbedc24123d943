#include "core/engine_private.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ENGINE_NO_VECTORS 1
#endif
#endif
/* The vector loads of tags race with other threads' stores when a prefetch
 * peeks without the lock; harmless there, but not to be told to TSan. */
#if defined(__SANITIZE_THREAD__) || !defined(__SSE2__)
#define ENGINE_NO_VECTORS 1
#endif
#ifndef ENGINE_NO_VECTORS
#include <emmintrin.h>
#endif

enum {
    SLOT_MASK = (1 << BUCKET_SLOTS) - 1,
    BUCKET_NEARLY_FULL = 7, /* used slots that make one wish for growth */
    GROWTH_STEP = 16,       /* wishes before the items are counted */
};

/* --- finding buckets --- */

/* Linear hashing: count buckets, of which those from count - 2^k on (2^k the
 * largest power not above count) have not been split in this round. */
uint32_t bucket_number(uint32_t hash, uint32_t count)
{
    uint32_t mask = UINT32_MAX >> __builtin_clz(count);
    uint32_t number = hash & mask;

    return number < count ? number : number & (mask >> 1);
}

struct bucket *bucket_at(const struct engine *engine, uint32_t number)
{
    uint32_t page =
        atomic_load_explicit(&engine->directory[number >> engine->bucket_shift],
                             memory_order_relaxed);
    uint32_t within = number & ((UINT32_C(1) << engine->bucket_shift) - 1);

    return (struct bucket *)(void *)page_at(engine, page) + within;
}

/* Two halves that have nothing to do with one another, and with the tag. */
uint32_t hash_choice(uint64_t hash, unsigned choice)
{
    return choice == 0 ? (uint32_t)hash
                       : (uint32_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

uint16_t hash_tag(uint64_t hash)
{
    uint16_t tag = (uint16_t)(hash >> 48);

    return tag != 0 ? tag : 1;
}

static uint32_t bucket_count(const struct engine *engine)
{
    return atomic_load_explicit(&engine->bucket_count, memory_order_acquire);
}

struct bucket *bucket_lock_choice(struct engine *engine, uint64_t hash,
                                  unsigned choice)
{
    uint32_t half = hash_choice(hash, choice);

    for (;;) {
        uint32_t number = bucket_number(half, bucket_count(engine));
        struct bucket *bucket = bucket_at(engine, number);

        bit_lock(&bucket->head);
        if (bucket_number(half, bucket_count(engine)) == number) {
            return bucket;
        }
        bit_unlock(&bucket->head);
    }
}

void pair_lock(struct engine *engine, uint64_t hash, struct pair *pair)
{
    uint32_t first = hash_choice(hash, 0);
    uint32_t second = hash_choice(hash, 1);

    for (;;) {
        uint32_t count = bucket_count(engine);
        uint32_t a = bucket_number(first, count);
        uint32_t b = bucket_number(second, count);

        pair->bucket[0] = bucket_at(engine, a);
        pair->bucket[1] = bucket_at(engine, b);
        pair->count = a == b ? 1 : 2;
        bit_lock(&pair->bucket[b < a]->head);
        if (a != b) {
            bit_lock(&pair->bucket[b > a]->head);
        }
        count = bucket_count(engine);
        if (bucket_number(first, count) == a &&
            bucket_number(second, count) == b) {
            return;
        }
        pair_unlock(pair);
    }
}

void pair_unlock(struct pair *pair)
{
    for (unsigned i = 0; i < pair->count; i++) {
        bit_unlock(&pair->bucket[i]->head);
    }
}

/* --- finding slots --- */

/* One bit per slot that has this tag. */
static unsigned bucket_match(const struct bucket *bucket, uint16_t tag)
{
#ifdef ENGINE_NO_VECTORS
    unsigned found = 0;

    for (unsigned i = 0; i < BUCKET_SLOTS; i++) {
        found |= (unsigned)(atomic_load_explicit(&bucket->tags[i],
                                                 memory_order_relaxed) == tag)
                 << i;
    }
    return found;
#else
    const void *tags = bucket->tags;
    const __m128i wanted = _mm_set1_epi16((short)tag);
    __m128i low = _mm_loadu_si128(tags);
    int two;

    memcpy(&two, (const char *)tags + sizeof low, sizeof two);
    __m128i high = _mm_cvtsi32_si128(two);
    __m128i equal = _mm_packs_epi16(_mm_cmpeq_epi16(low, wanted),
                                    _mm_cmpeq_epi16(high, wanted));

    return (unsigned)_mm_movemask_epi8(equal) & SLOT_MASK;
#endif
}

static unsigned bucket_used(const struct bucket *bucket)
{
    return BUCKET_SLOTS - (unsigned)__builtin_popcount(bucket_match(bucket, 0));
}

static uint32_t slot_location(const struct bucket *bucket, unsigned slot)
{
    return atomic_load_explicit(&bucket->locations[slot], memory_order_relaxed);
}

/* Most items are small: head, key and value are in reach of three lines. */
static void item_prefetch(const void *item)
{
    const char *at = item;

    __builtin_prefetch(at);
    __builtin_prefetch(at + CACHE_LINE);
    __builtin_prefetch(at + 2 * (size_t)CACHE_LINE);
}

bool bucket_find(const struct engine *engine, struct bucket *bucket,
                 const struct engine_key *key, struct place *place)
{
    unsigned found = bucket_match(bucket, hash_tag(key->hash));

    while (found != 0) {
        unsigned slot = (unsigned)__builtin_ctz(found);
        struct item *item = engine_at(engine, slot_location(bucket, slot));

        item_prefetch(item);
        if (slice_equal(item_key(item), key->key)) {
            *place = (struct place){bucket, slot, item};
            return true;
        }
        found &= found - 1;
    }
    return false;
}

bool pair_find(const struct engine *engine, const struct pair *pair,
               const struct engine_key *key, struct place *place)
{
    for (unsigned i = 0; i < pair->count; i++) {
        if (bucket_find(engine, pair->bucket[i], key, place)) {
            return true;
        }
    }
    return false;
}

static bool item_has_chunk(const struct engine *engine, struct item *item,
                           const void *chunk)
{
    if (chunk == item) {
        return true;
    }
    for (uint32_t next = item_next(item); next != 0;) {
        const struct more *more = engine_at(engine, next);

        if (chunk == more) {
            return true;
        }
        next = more->next;
    }
    return false;
}

bool pair_find_chunk(const struct engine *engine, const struct pair *pair,
                     uint64_t hash, const void *chunk, struct place *place)
{
    for (unsigned i = 0; i < pair->count; i++) {
        struct bucket *bucket = pair->bucket[i];
        unsigned found = bucket_match(bucket, hash_tag(hash));

        for (; found != 0; found &= found - 1) {
            unsigned slot = (unsigned)__builtin_ctz(found);
            struct item *item = engine_at(engine, slot_location(bucket, slot));

            if (item_has_chunk(engine, item, chunk)) {
                *place = (struct place){bucket, slot, item};
                return true;
            }
        }
    }
    return false;
}

/* --- changing slots --- */

unsigned place_frequency(const struct place *place)
{
    uint32_t head =
        atomic_load_explicit(&place->bucket->head, memory_order_relaxed);

    return head >> (1 + 2 * place->slot) & FREQUENCY_MAX;
}

void place_set_frequency(struct place *place, unsigned frequency)
{
    unsigned shift = 1 + 2 * place->slot;
    uint32_t head =
        atomic_load_explicit(&place->bucket->head, memory_order_relaxed);

    head &= ~((uint32_t)FREQUENCY_MAX << shift);
    head |= (uint32_t)frequency << shift;
    atomic_store_explicit(&place->bucket->head, head, memory_order_relaxed);
}

void place_set(const struct engine *engine, struct place *place, uint64_t hash,
               struct item *item)
{
    place->item = item;
    atomic_store_explicit(&place->bucket->locations[place->slot],
                          engine_location(engine, item), memory_order_relaxed);
    atomic_store_explicit(&place->bucket->tags[place->slot], hash_tag(hash),
                          memory_order_relaxed);
}

void place_clear(struct place *place)
{
    atomic_store_explicit(&place->bucket->tags[place->slot], 0,
                          memory_order_relaxed);
    atomic_store_explicit(&place->bucket->locations[place->slot], 0,
                          memory_order_relaxed);
    place_set_frequency(place, 0);
}

static bool bucket_free_slot(struct bucket *bucket, struct place *place)
{
    unsigned empty = bucket_match(bucket, 0);

    if (empty == 0) {
        return false;
    }
    *place = (struct place){bucket, (unsigned)__builtin_ctz(empty), NULL};
    return true;
}

static void place_move(const struct engine *engine, struct place *from,
                       struct place *to, uint64_t hash)
{
    place_set(engine, to, hash, from->item);
    place_set_frequency(to, place_frequency(from));
    place_clear(from);
}

/* --- full buckets --- */

/* Moves an item to its other bucket, if nobody else is busy there. */
static bool place_relocate(struct engine *engine, const struct pair *pair,
                           struct place *place)
{
    uint64_t hash = engine_hash(engine, item_key(place->item));
    uint32_t count = bucket_count(engine);
    struct bucket *a =
        bucket_at(engine, bucket_number(hash_choice(hash, 0), count));
    struct bucket *b =
        bucket_at(engine, bucket_number(hash_choice(hash, 1), count));
    struct bucket *other = a == place->bucket ? b : a;
    struct place there;

    if (other == pair->bucket[0] || other == pair->bucket[pair->count - 1] ||
        !bit_try_lock(&other->head)) {
        return false;
    }
    /* With its one bucket locked, only the other can have been split. */
    bool moved =
        bucket_count(engine) == count && bucket_free_slot(other, &there);

    if (moved) {
        /* A get that looked there before and here after has missed it. */
        atomic_fetch_add_explicit(&engine->relocations, 1,
                                  memory_order_relaxed);
        place_move(engine, place, &there, hash);
    }
    bit_unlock(&other->head);
    return moved;
}

/* The least used of the pair's items. */
static void pair_coldest(const struct engine *engine, const struct pair *pair,
                         struct place *coldest)
{
    unsigned least = FREQUENCY_MAX + 1;

    for (unsigned i = 0; i < pair->count; i++) {
        for (unsigned slot = 0; slot < BUCKET_SLOTS; slot++) {
            struct place place = {pair->bucket[i], slot, NULL};

            if (place_frequency(&place) < least) {
                least = place_frequency(&place);
                *coldest = place;
            }
        }
    }
    coldest->item =
        engine_at(engine, slot_location(coldest->bucket, coldest->slot));
}

static bool pair_relocate_any(struct engine *engine, struct pair *pair,
                              struct place *place)
{
    for (unsigned i = 0; i < pair->count; i++) {
        for (unsigned slot = 0; slot < BUCKET_SLOTS; slot++) {
            struct bucket *bucket = pair->bucket[i];

            *place = (struct place){
                bucket, slot, engine_at(engine, slot_location(bucket, slot))};
            if (place_relocate(engine, pair, place)) {
                return true;
            }
        }
    }
    return false;
}

bool pair_make_room(struct engine_thread *thread, struct pair *pair,
                    struct place *place)
{
    struct engine *engine = thread->engine;
    unsigned used[2] = {bucket_used(pair->bucket[0]), BUCKET_SLOTS};

    if (pair->count == 2) {
        used[1] = bucket_used(pair->bucket[1]);
    }
    /* Gets look into the first choice first, so it is preferred while there
     * is plenty of room. */
    bool second = used[0] > BUCKET_SLOTS / 2 && used[1] < used[0];

    if (used[second] >= BUCKET_NEARLY_FULL) {
        thread->growth_wanted++;
    }
    if (bucket_free_slot(pair->bucket[second], place)) {
        return true;
    }
    if (pair_relocate_any(engine, pair, place)) {
        return true;
    }
    if (!thread->may_crowd_out &&
        bucket_count(engine) < engine->bucket_count_max) {
        thread->crowded_count = bucket_count(engine);
        return false;
    }
    if (!engine->evict) {
        return false;
    }
    pair_coldest(engine, pair, place);
    place_remove(thread, place, GONE_EVICTED);
    return true;
}

/* --- growth --- */

void index_init(struct engine *engine)
{
    uint32_t page = page_take(engine, 0);
    uint32_t count = UINT32_C(1) << engine->bucket_shift;

    /* So that no item ever lies at location 0. */
    check(page == 0);
    engine->pages[page].state = PAGE_INDEX;
    atomic_init(&engine->directory[0], page);
    memset(page_at(engine, page), 0, (size_t)count * sizeof(struct bucket));
    atomic_init(&engine->bucket_count, count);
}

/* Where the item of a bucket that is being split belongs. */
static bool moves_to(uint64_t hash, uint32_t from, uint32_t count)
{
    uint32_t first = hash_choice(hash, 0);
    uint32_t second = hash_choice(hash, 1);
    uint32_t mine = bucket_number(first, count) == from ? first : second;

    return bucket_number(mine, count + 1) == count;
}

/* Makes bucket number `count` out of one that exists. */
static void index_split(struct engine *engine, uint32_t count)
{
    uint32_t from =
        count - (UINT32_C(1) << (31 - (unsigned)__builtin_clz(count)));
    struct bucket *old = bucket_at(engine, from);
    struct place there = {bucket_at(engine, count), 0, NULL};

    memset((void *)there.bucket, 0, sizeof *there.bucket);
    bit_lock(&old->head);
    unsigned live = ~bucket_match(old, 0) & SLOT_MASK;

    for (unsigned left = live; left != 0; left &= left - 1) {
        __builtin_prefetch(engine_at(
            engine, slot_location(old, (unsigned)__builtin_ctz(left))));
    }
    for (unsigned left = live; left != 0; left &= left - 1) {
        unsigned slot = (unsigned)__builtin_ctz(left);
        struct place here = {old, slot,
                             engine_at(engine, slot_location(old, slot))};
        uint64_t hash = engine_hash(engine, item_key(here.item));

        if (moves_to(hash, from, count)) {
            place_move(engine, &here, &there, hash);
            there.slot++;
        }
    }
    atomic_store_explicit(&engine->bucket_count, count + 1,
                          memory_order_release);
    bit_unlock(&old->head);
}

/* A page for the buckets from number `count` on. */
static bool index_extend(struct engine_thread *thread,
                         const struct engine_now *now, uint32_t count)
{
    struct engine *engine = thread->engine;

    for (;;) {
        uint32_t page = page_take(engine, engine->pool_reserve);

        if (page != PAGE_NONE) {
#ifdef ENGINE_FENCES
            ASAN_UNPOISON_MEMORY_REGION(page_at(engine, page),
                                        (size_t)1 << engine->page_shift);
#endif
            spin_lock(&engine->pages[page].lock);
            engine->pages[page].state = PAGE_INDEX;
            spin_unlock(&engine->pages[page].lock);
            atomic_store_explicit(
                &engine->directory[count >> engine->bucket_shift], page,
                memory_order_relaxed);
            return true;
        }
        if (!engine->evict || !evict_page(thread, now, CLASS_NONE)) {
            return false;
        }
    }
}

static uint64_t items_now(const struct engine *engine)
{
    struct engine_stats stats;

    engine_tally(engine, &stats);
    return stats.items;
}

/* Some steps towards the size that the items want; with `growing` locked. */
static void index_grow(struct engine_thread *thread,
                       const struct engine_now *now)
{
    struct engine *engine = thread->engine;

    thread->growth_wanted = 0;
    /* Two thirds full: at three quarters, three inserts of a million found no
     * place, and none of 10 million at 70 %. */
    uint64_t wanted = items_now(engine) * 3 / 20;
    uint32_t count = bucket_count(engine);

    for (unsigned i = 0; i < 2 * GROWTH_STEP && count < wanted &&
                         count < engine->bucket_count_max;
         i++) {
        uint32_t within = count & ((UINT32_C(1) << engine->bucket_shift) - 1);

        if (within == 0 && !index_extend(thread, now, count)) {
            break;
        }
        index_split(engine, count++);
    }
}

void index_tend(struct engine_thread *thread, const struct engine_now *now)
{
    struct engine *engine = thread->engine;

    thread->may_crowd_out = false;
    if (thread->growth_wanted < GROWTH_STEP ||
        !spin_try_lock(&engine->growing)) {
        return;
    }
    index_grow(thread, now);
    spin_unlock(&engine->growing);
}

/* Growth is the work of whichever thread gets hold of `growing`, and that one
 * may lose its processor for many milliseconds, in which the others fill the
 * last slots of an index that is only waiting to grow: a small one loses
 * thousands of items then, with most of the memory free.  So a full pair is
 * first a reason to wait for growth, or to do it.  Only when that changes
 * nothing (the index has the size that its items want, or there is no page for
 * it), may the next try crowd an item out. */
bool index_catch_up(struct engine_thread *thread, const struct engine_now *now)
{
    struct engine *engine = thread->engine;
    uint32_t crowded_count = thread->crowded_count;

    thread->crowded_count = 0;
    if (crowded_count == 0) {
        return false;
    }
    spin_lock(&engine->growing);
    if (bucket_count(engine) == crowded_count) {
        index_grow(thread, now);
    }
    thread->may_crowd_out = bucket_count(engine) == crowded_count;
    spin_unlock(&engine->growing);
    return true;
}

/* --- prefetch --- */

void engine_prefetch_bucket(const struct engine *engine, uint64_t hash)
{
    uint32_t count = bucket_count(engine);

    for (unsigned choice = 0; choice < 2; choice++) {
        __builtin_prefetch(
            bucket_at(engine, bucket_number(hash_choice(hash, choice), count)));
    }
}

void engine_prefetch_item(const struct engine *engine, uint64_t hash)
{
    uint32_t count = bucket_count(engine);

    for (unsigned choice = 0; choice < 2; choice++) {
        const struct bucket *bucket =
            bucket_at(engine, bucket_number(hash_choice(hash, choice), count));
        unsigned found = bucket_match(bucket, hash_tag(hash));

        for (; found != 0; found &= found - 1) {
            item_prefetch(engine_at(
                engine, slot_location(bucket, (unsigned)__builtin_ctz(found))));
        }
    }
}
