/* Walks over pages: eviction when memory is short, sweeps for what is over. */
#include "core/engine_private.h"

enum {
    WALK_BATCH = 16,
    /* Pages that may be left half full in one eviction, as most of what they
     * hold is in use: a bound to the work of the store that waits. */
    PASSES_MAX = 8,
    PAGES_SPARE = 2, /* that tending keeps free beside the reserve */
    EVICTIONS_PER_TEND = 2,
};

/* Some live chunks of a page, and the way to the buckets of their items. */
struct batch {
    unsigned count;
    struct {
        void *chunk;
        uint64_t hash;
    } found[WALK_BATCH];
};

static bool page_in_use(const struct page *page)
{
    return page->state != PAGE_FREE && page->state != PAGE_INDEX;
}

static uint64_t chunk_hash(const struct engine *engine, void *chunk)
{
    const struct item *item = chunk;
    const struct more *more = chunk;

    return item_bits(item) & ITEM_CONTINUATION
               ? more->hash
               : engine_hash(engine, item_key(item));
}

/* Takes up to a batch of chunks from *offset on, and moves that; false at the
 * page's end.  over: only items whose life is. */
static bool page_gather(struct engine *engine, uint32_t number,
                        uint32_t *offset, const struct engine_now *over,
                        struct batch *batch)
{
    struct page *page = &engine->pages[number];
    uint32_t examined = 0;

    batch->count = 0;
    spin_lock(&page->lock);
    uint32_t size = engine->classes[class_of_page(engine, number)].size;
    uint32_t end = page_in_use(page) ? page->fresh : 0;

    /* Between two batches, a sweep's page may have got another class. */
    *offset = (*offset + size - 1) / size * size;
    for (; *offset < end && examined < WALK_BATCH; *offset += size) {
        void *chunk = page_at(engine, number) + *offset;
        const struct item *item = chunk;
        unsigned bits =
            atomic_load_explicit(&item->word, memory_order_acquire) >>
            ITEM_BITS_SHIFT;

        examined++;
        if (!(bits & ITEM_LIVE)) {
            continue;
        }
        if (over != NULL && ((bits & ITEM_CONTINUATION) ||
                             !life_over(engine, item_life(item), over->ms))) {
            if (!(bits & ITEM_CONTINUATION)) {
                page_note_expiry(engine, chunk, item_expires_ms(item));
            }
            continue;
        }
        batch->found[batch->count].chunk = chunk;
        batch->found[batch->count++].hash = chunk_hash(engine, chunk);
    }
    bool more = *offset < end;

    spin_unlock(&page->lock);
    for (unsigned i = 0; i < batch->count; i++) {
        engine_prefetch_bucket(engine, batch->found[i].hash);
    }
    return more;
}

/* --- sweeps --- */

static void chunk_sweep(struct engine_thread *thread,
                        const struct engine_now *now, void *chunk,
                        uint64_t hash)
{
    struct engine *engine = thread->engine;
    struct place place;
    struct pair pair;

    pair_lock(engine, hash, &pair);
    if (pair_find_chunk(engine, &pair, hash, chunk, &place) &&
        life_over(engine, item_life(place.item), now->ms)) {
        place_remove(thread, &place, GONE_EXPIRED);
    }
    pair_unlock(&pair);
}

static bool page_sweep_some(struct engine_thread *thread,
                            const struct engine_now *now, uint32_t number,
                            uint32_t *offset)
{
    struct batch batch;
    bool more = page_gather(thread->engine, number, offset, now, &batch);

    for (unsigned i = 0; i < batch.count; i++) {
        chunk_sweep(thread, now, batch.found[i].chunk, batch.found[i].hash);
    }
    return more;
}

/* Whether anything on the page can be over. */
static bool page_wants_sweep(struct engine *engine, uint32_t number,
                             const struct engine_now *now)
{
    struct page *page = &engine->pages[number];
    uint32_t generation =
        atomic_load_explicit(&engine->generation, memory_order_relaxed);

    if (atomic_load_explicit(&page->expires_min_ms, memory_order_relaxed) >
            now->ms &&
        atomic_load_explicit(&page->swept_generation, memory_order_relaxed) ==
            generation) {
        return false;
    }
    /* What the sweep meets and leaves is noted again. */
    atomic_store_explicit(&page->expires_min_ms, UINT64_MAX,
                          memory_order_relaxed);
    atomic_store_explicit(&page->swept_generation, generation,
                          memory_order_relaxed);
    return true;
}

void sweep_everything(struct engine_thread *thread,
                      const struct engine_now *now)
{
    struct engine *engine = thread->engine;

    for (uint32_t number = 0; number < engine->page_count; number++) {
        uint32_t offset = 0;

        while (page_sweep_some(thread, now, number, &offset)) {
        }
    }
}

/* --- eviction --- */

struct eviction {
    struct engine_thread *thread;
    const struct engine_now *now;
    uint8_t class_id;
    uint32_t keep_most; /* chunks that may still be copied */
    bool may_pass;      /* what is in use beyond that may stay where it is */
    bool passed;
};

/* Copies a chunk of an item, locked, to a younger page. */
static bool chunk_move(struct engine_thread *thread, struct place *place,
                       uint64_t hash, struct item *chunk, uint8_t class_id)
{
    struct engine *engine = thread->engine;
    size_t wanted = chunk_wanted(engine, chunk);
    struct item *copy = chunk_take(thread, class_id, wanted);

    if (copy == NULL) {
        return false;
    }
    const size_t word = offsetof(struct item, word);
    const size_t behind = word + sizeof chunk->word;

    memcpy((void *)copy, chunk, word);
    memcpy((char *)copy + behind, (const char *)chunk + behind,
           wanted - behind);
    uint32_t location = engine_location(engine, copy);

    if (chunk == place->item) {
        page_note_expiry(engine, copy, item_expires_ms(chunk));
        place_set(engine, place, hash, copy);
        place_set_frequency(place, place_frequency(place) - 1);
    } else if (item_next(place->item) == engine_location(engine, chunk)) {
        item_set_next(place->item, location);
    } else {
        struct more *before = engine_at(engine, item_next(place->item));

        while (before->next != engine_location(engine, chunk)) {
            before = engine_at(engine, before->next);
        }
        before->next = location;
    }
    atomic_store_explicit(&copy->word, item_word(chunk), memory_order_release);
    chunk_give(engine, chunk);
    return true;
}

/* Enough was copied: the item gets another round where it is, unless that has
 * been granted too often. */
static bool chunk_pass(struct eviction *eviction, struct place *place,
                       const void *chunk)
{
    if (!eviction->may_pass) {
        return false;
    }
    if (chunk == place->item) {
        place_set_frequency(place, place_frequency(place) - 1);
    }
    eviction->passed = true;
    return true;
}

static bool chunk_keep(struct eviction *eviction, struct pair *pair,
                       struct place *place, uint64_t hash, void *chunk)
{
    struct engine_thread *thread = eviction->thread;
    struct engine *engine = thread->engine;

    if (place_frequency(place) == 0) {
        return false;
    }
    if (eviction->keep_most == 0) {
        return chunk_pass(eviction, place, chunk);
    }
    if (!chunk_move(thread, place, hash, chunk, eviction->class_id)) {
        /* A page is not to be had with buckets locked. */
        pair_unlock(pair);
        bool refilled = class_refill(thread, eviction->class_id, 0);

        pair_lock(engine, hash, pair);
        if (!pair_find_chunk(engine, pair, hash, chunk, place)) {
            return true;
        }
        if (!refilled || place_frequency(place) == 0 ||
            !chunk_move(thread, place, hash, chunk, eviction->class_id)) {
            return false;
        }
    }
    eviction->keep_most--;
    return true;
}

static void chunk_evict(struct eviction *eviction, void *chunk, uint64_t hash)
{
    struct engine_thread *thread = eviction->thread;
    struct engine *engine = thread->engine;
    struct place place;
    struct pair pair;

    pair_lock(engine, hash, &pair);
    if (pair_find_chunk(engine, &pair, hash, chunk, &place)) {
        if (life_over(engine, item_life(place.item), eviction->now->ms)) {
            place_remove(thread, &place, GONE_EXPIRED);
        } else if (!chunk_keep(eviction, &pair, &place, hash, chunk)) {
            place_remove(thread, &place, GONE_EVICTED);
        }
    }
    pair_unlock(&pair);
}

/* Frees the page, unless a store at work still has a chunk on it, or its items
 * are passed over; that is counted in *passes. */
static void page_evict(struct engine_thread *thread,
                       const struct engine_now *now, uint32_t number,
                       unsigned *passes)
{
    struct engine *engine = thread->engine;

    enum page_state before = page_detach(engine, number);

    if (before == PAGE_FREE) {
        return;
    }
    if (before == PAGE_CURRENT) {
        /* Filled so slowly that it is old already, though its last items are
         * young: it begins to age now. */
        page_settle(engine, number);
        return;
    }
    uint8_t class_id = class_of_page(engine, number);
    struct eviction eviction = {
        .thread = thread,
        .now = now,
        .class_id = class_id,
        .keep_most = engine->classes[class_id].per_page / 2,
        .may_pass = *passes < PASSES_MAX,
    };
    struct batch batch;
    uint32_t offset = 0;
    bool more;

    do {
        more = page_gather(engine, number, &offset, NULL, &batch);
        for (unsigned i = 0; i < batch.count; i++) {
            chunk_evict(&eviction, batch.found[i].chunk, batch.found[i].hash);
        }
    } while (more);
    *passes += eviction.passed;
    page_settle(engine, number);
}

static uint32_t oldest_page(struct engine *engine)
{
    spin_lock(&engine->pool.lock);
    uint32_t number = engine->pool.age_first;

    spin_unlock(&engine->pool.lock);
    return number;
}

/* The reserve counts too: without it, the next eviction could copy nothing. */
static bool has_room(struct engine *engine, uint8_t class_id)
{
    uint32_t count = pool_free(engine);

    return count > engine->pool_reserve ||
           (count == engine->pool_reserve && class_id != CLASS_NONE &&
            class_has_partial(engine, class_id));
}

bool evict_page(struct engine_thread *thread, const struct engine_now *now,
                uint8_t class_id)
{
    struct engine *engine = thread->engine;
    unsigned passes = 0;

    pthread_mutex_lock(&engine->evicting);
    bool freed = has_room(engine, class_id);

    /* Twice round: survivors of the first are fewer in the second. */
    for (uint32_t i = 0; !freed && i < 2 * engine->page_count; i++) {
        uint32_t number = oldest_page(engine);

        if (number == PAGE_NONE) {
            break;
        }
        page_evict(thread, now, number, &passes);
        freed = has_room(engine, class_id);
    }
    pthread_mutex_unlock(&engine->evicting);
    return freed;
}

/* --- in the background --- */

static void tend_reserve(struct engine_thread *thread,
                         const struct engine_now *now)
{
    struct engine *engine = thread->engine;
    unsigned passes = 0;
    unsigned done = 0;

    while (engine->evict && done < EVICTIONS_PER_TEND &&
           pool_free(engine) < engine->pool_reserve + PAGES_SPARE) {
        pthread_mutex_lock(&engine->evicting);
        uint32_t number = oldest_page(engine);

        if (number != PAGE_NONE) {
            page_evict(thread, now, number, &passes);
        }
        pthread_mutex_unlock(&engine->evicting);
        done++;
    }
}

/* Goes on where the last call ended.  Returns what is left of the budget. */
static unsigned sweep_page(struct engine_thread *thread,
                           const struct engine_now *now, unsigned budget)
{
    struct engine *engine = thread->engine;
    uint32_t number = engine->sweep_page;
    bool more = true;

    if (engine->sweep_offset > 0 || page_wants_sweep(engine, number, now)) {
        while (more && budget > 0) {
            more = page_sweep_some(thread, now, number, &engine->sweep_offset);
            budget -= budget < WALK_BATCH ? budget : WALK_BATCH;
        }
        if (more) {
            return 0;
        }
    }
    (void)page_give_if_empty(engine, number);
    engine->sweep_offset = 0;
    engine->sweep_page = number + 1;
    return budget > 0 ? budget - 1 : 0;
}

/* Another round begins: what the last one was there to remove is gone. */
static void sweep_restart(struct engine *engine)
{
    struct flushes *flushes = &engine->flushes;
    uint32_t swept = engine->sweep_generation;

    engine->sweep_page = 0;
    spin_lock(&flushes->lock);
    /* One less: a store may have begun just before the flush. */
    if (swept > flushes->generation_oldest + 1) {
        flushes->generation_oldest = swept - 1;
    }
    spin_unlock(&flushes->lock);
    engine->sweep_generation =
        atomic_load_explicit(&engine->generation, memory_order_relaxed);
}

void engine_tend(struct engine_thread *thread, const struct engine_now *now,
                 unsigned budget)
{
    struct engine *engine = thread->engine;

    thread_enter(thread, now);
    tend_reserve(thread, now);
    if (!spin_try_lock(&engine->tending)) {
        return;
    }
    for (uint32_t i = 0; i < engine->page_count && budget > 0; i++) {
        if (engine->sweep_page >= engine->page_count) {
            sweep_restart(engine);
        }
        budget = sweep_page(thread, now, budget);
    }
    spin_unlock(&engine->tending);
}
