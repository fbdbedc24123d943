#include "core/engine_private.h"

enum {
    /* Larger values are copied before a bucket is locked, not while. */
    IN_PLACE_SIZE_MAX = 4096,
};

/* --- for every operation that makes items --- */

void item_finish(struct engine_thread *thread, struct item *item,
                 const struct engine_now *now, const struct fill *fill)
{
    struct engine *engine = thread->engine;
    uint64_t life = item_life(item);
    unsigned layout = item_bits(item) & (ITEM_CHAINED | ITEM_FLAGGED);
    uint32_t now_s = (uint32_t)(now->ms / 1000) & ITEM_ACCESSED_MASK;

    item->cas = fill->cas;
    item->epoch = fill->epoch;
    item_set_flags(item, fill->flags);
    atomic_store_explicit(&item->life,
                          life_make(fill->expires_ms, life_key_size(life),
                                    engine_generation(engine)),
                          memory_order_relaxed);
    page_note_expiry(engine, item, fill->expires_ms);
    atomic_store_explicit(
        &item->word,
        (uint32_t)(layout | fill->bits | ITEM_LIVE) << ITEM_BITS_SHIFT | now_s,
        memory_order_release);
}

static void item_count_new(struct engine_thread *thread, struct item *item)
{
    tally_inc(&thread->tally.items_total);
    tally_add(&thread->classes[class_of_chunk(thread->engine, item)].bytes,
              item_wanted(item));
}

bool pair_link(struct engine_thread *thread, struct pair *pair, uint64_t hash,
               struct item *item, struct place *old)
{
    struct place place;

    if (old != NULL) {
        struct item *before = old->item;

        item_count_gone(thread, before, GONE_REPLACED);
        place_set(thread->engine, old, hash, item);
        place_count_use(old);
        item_destroy(thread->engine, before);
    } else {
        if (!pair_make_room(thread, pair, &place)) {
            return false;
        }
        place_set(thread->engine, &place, hash, item);
    }
    item_count_new(thread, item);
    return true;
}

/* --- store --- */

struct store_job {
    struct engine_thread *thread;
    const struct engine_now *now;
    const struct engine_key *key;
    const struct engine_store *store;
    struct engine_item *out;
    struct item *spare; /* made without a lock, for the next try */
    bool spare_filled;
    struct item_shape shape; /* of the item to make */
    bool need_spare;         /* the try ended for want of it */
};

static bool joins(const struct engine_store *store)
{
    return store->mode == STORE_APPEND || store->mode == STORE_PREPEND;
}

/* old: the item as it is, or NULL.  *stale: it is stored, but stale. */
static enum engine_result store_judge(const struct engine_store *store,
                                      const struct item *old, bool *stale)
{
    bool replaces = store->mode == STORE_SET || store->mode == STORE_REPLACE;

    *stale = false;
    if (old == NULL) {
        if (store->compare && replaces) {
            return ENGINE_MISS;
        }
        bool stores = store->mode == STORE_SET || store->mode == STORE_ADD ||
                      (joins(store) && store->vivify);

        return stores ? ENGINE_OK : ENGINE_NOT_STORED;
    }
    if (store->mode == STORE_ADD) {
        return ENGINE_NOT_STORED;
    }
    if (!store->compare || store->cas == old->cas) {
        return ENGINE_OK;
    }
    *stale = replaces && store->invalidate && store->cas < old->cas;
    return *stale ? ENGINE_OK : ENGINE_EXISTS;
}

static void store_fill(const struct store_job *job, const struct item *old,
                       bool stale, struct fill *fill)
{
    const struct engine_store *store = job->store;
    bool join = joins(store);

    *fill = (struct fill){
        .cas =
            cas_next(job->thread, store->cas_new, old != NULL ? old->cas : 0),
        .expires_ms = store->expires_ms,
        .flags = store->flags,
        .epoch = job->now->epoch,
    };
    if (old == NULL) {
        fill->expires_ms = join ? store->vivify_expires_ms : store->expires_ms;
        return;
    }
    if (join) {
        fill->expires_ms = item_expires_ms(old);
        fill->flags = item_flags(old);
    }
    if (stale) {
        /* As memcached does: the loser's value lives no longer than the one
         * that was marked, and whoever is to refill it still is. */
        fill->expires_ms = item_expires_ms(old);
        fill->bits = ITEM_STALE | (item_bits(old) & ITEM_SENT);
    }
}

/* The new item fits exactly where the old one lies. */
static bool fits_in_place(const struct engine *engine, const struct item *old,
                          const struct item_shape *shape)
{
    unsigned bits = item_bits(old);
    size_t wanted = item_value_offset(old) + shape->value_size;

    return wanted <= IN_PLACE_SIZE_MAX && !(bits & ITEM_CHAINED) &&
           (!shape->flagged || (bits & ITEM_FLAGGED)) &&
           wanted <= engine->chunk_size_max &&
           class_of_size(engine, wanted) == class_of_chunk(engine, old);
}

static void store_in_place(const struct store_job *job, struct place *place,
                           const struct fill *fill)
{
    struct engine *engine = job->thread->engine;
    struct slice value = job->store->value;
    struct item *item = place->item;
    char *at = item_value(item);

    item_count_gone(job->thread, item, GONE_REPLACED);
    chunk_fence(item, item_value_offset(item) + job->shape.value_size,
                engine->classes[class_of_chunk(engine, item)].size);
    if (job->store->mode == STORE_APPEND) {
        at += item->value_size;
    } else if (job->store->mode == STORE_PREPEND) {
        memmove(at + value.size, at, item->value_size);
    }
    if (value.size > 0) {
        memcpy(at, value.at, value.size);
    }
    item->value_size = (uint32_t)job->shape.value_size;
    item_finish(job->thread, item, job->now, fill);
    item_count_new(job->thread, item);
    place_count_use(place);
}

static void store_write_value(const struct store_job *job, struct item *item,
                              struct item *old)
{
    const struct engine *engine = job->thread->engine;
    struct slice value = job->store->value;
    bool join = joins(job->store) && old != NULL;
    struct cursor to;
    struct cursor from;

    cursor_start(&to, engine, item);
    if (join) {
        cursor_start(&from, engine, old);
    }
    if (join && job->store->mode == STORE_APPEND) {
        cursor_copy(&to, &from, old->value_size);
    }
    cursor_put(&to, value.at, value.size);
    if (join && job->store->mode == STORE_PREPEND) {
        cursor_copy(&to, &from, old->value_size);
    }
}

/* The spare, if it is what is wanted now, or one of the chunks at hand. */
static struct item *store_take_item(struct store_job *job, bool *filled)
{
    struct item *item = job->spare;

    *filled = false;
    if (item != NULL && item->value_size == job->shape.value_size &&
        ((item_bits(item) & ITEM_FLAGGED) != 0) == job->shape.flagged) {
        job->spare = NULL;
        *filled = job->spare_filled;
        return item;
    }
    if (job->shape.value_size > IN_PLACE_SIZE_MAX) {
        return NULL;
    }
    return item_create(job->thread, job->now, &job->shape, true);
}

/* With the pair locked; the store shall happen. */
static enum engine_result store_do(struct store_job *job, struct pair *pair,
                                   struct place *old, bool stale)
{
    struct engine_thread *thread = job->thread;
    struct item *before = old != NULL ? old->item : NULL;
    struct fill fill;
    bool filled;

    if (before != NULL && fits_in_place(thread->engine, before, &job->shape)) {
        store_fill(job, before, stale, &fill);
        store_in_place(job, old, &fill);
        item_describe(thread->engine, before, job->now->ms, job->out);
        return ENGINE_OK;
    }
    struct item *item = store_take_item(job, &filled);

    if (item == NULL) {
        job->need_spare = true;
        return ENGINE_NO_MEMORY;
    }
    if (!filled) {
        store_write_value(job, item, before);
    }
    store_fill(job, before, stale, &fill);
    item_finish(thread, item, job->now, &fill);
    if (!pair_link(thread, pair, job->key->hash, item, old)) {
        item_destroy(thread->engine, item);
        return ENGINE_NO_MEMORY;
    }
    item_describe(thread->engine, item, job->now->ms, job->out);
    return ENGINE_OK;
}

static enum engine_result store_try(struct store_job *job)
{
    struct engine_thread *thread = job->thread;
    const struct engine_store *store = job->store;
    struct place place;
    struct pair pair;
    bool stale;

    job->need_spare = false;
    pair_lock(thread->engine, job->key->hash, &pair);
    bool found = pair_find_visible(thread, &pair, job->now, job->key, &place);
    struct item *old = found ? place.item : NULL;
    bool joined = found && joins(store);

    job->shape.value_size = store->value.size + (joined ? old->value_size : 0);
    job->shape.flagged = (joined ? item_flags(old) : store->flags) != 0;
    enum engine_result result = store_judge(store, old, &stale);

    if (job->shape.value_size > thread->engine->value_size_max) {
        result = ENGINE_TOO_LARGE;
    } else if (result == ENGINE_OK) {
        result = store_do(job, &pair, found ? &place : NULL, stale);
    } else if (result == ENGINE_NOT_STORED && found) {
        place_count_use(&place);
    }
    if (found && (result == ENGINE_TOO_LARGE ||
                  (result == ENGINE_NO_MEMORY && !job->need_spare))) {
        place_remove(thread, &place, GONE_DELETED);
    }
    pair_unlock(&pair);
    return result;
}

/* What a failed store must not leave behind. */
static void store_forget(struct store_job *job)
{
    struct engine_thread *thread = job->thread;
    struct place place;
    struct pair pair;

    pair_lock(thread->engine, job->key->hash, &pair);
    if (pair_find_visible(thread, &pair, job->now, job->key, &place)) {
        place_remove(thread, &place, GONE_DELETED);
    }
    pair_unlock(&pair);
}

static void store_drop_spare(struct store_job *job)
{
    if (job->spare != NULL) {
        item_destroy(job->thread->engine, job->spare);
        job->spare = NULL;
    }
}

/* Outside of all locks: makes the item that the last try lacked. */
static bool store_make_spare(struct store_job *job)
{
    store_drop_spare(job);
    job->spare = item_create(job->thread, job->now, &job->shape, false);
    if (job->spare == NULL) {
        return false;
    }
    job->spare_filled = !joins(job->store);
    if (job->spare_filled) {
        store_write_value(job, job->spare, NULL);
    }
    return true;
}

enum engine_result engine_store(struct engine_thread *thread,
                                const struct engine_now *now,
                                const struct engine_key *key,
                                const struct engine_store *store,
                                struct engine_item *item)
{
    struct engine_item unwanted;
    struct store_job job = {
        .thread = thread,
        .now = now,
        .key = key,
        .store = store,
        .out = item != NULL ? item : &unwanted,
        .shape = {.key = key->key, .hash = key->hash},
    };
    enum engine_result result;

    check_slow(key->key.size >= 1 && key->key.size <= 255);
    thread_enter(thread, now);
    thread->reclaiming = false;
    for (;;) {
        result = store_try(&job);
        if (!job.need_spare && !index_catch_up(thread, now)) {
            break;
        }
        if (job.need_spare && !store_make_spare(&job)) {
            store_forget(&job);
            break;
        }
    }
    store_drop_spare(&job);
    if (result != ENGINE_OK) {
        memset(job.out, 0, sizeof *job.out);
    } else if (thread->reclaiming) {
        tally_inc(&thread->tally.reclaimed);
    }
    index_tend(thread, now);
    return result;
}
