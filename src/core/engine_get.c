/* Reads.  A get locks one bucket at a time: the first choice has most of the
 * keys. */
#include "core/engine_private.h"

static const struct engine_get plain_get;

/* Whether the caller is the one to refill the item. */
static bool lease_won(const struct engine_get *get,
                      const struct engine_item *item, uint64_t now_ms)
{
    if (item->sent) {
        return false;
    }
    if (get->leases && item->stale) {
        return true;
    }
    return get->recache && item->expires_ms != 0 &&
           item->expires_ms - now_ms < get->recache_ms;
}

static bool value_deliver(const struct engine *engine, struct item *item,
                          const struct engine_sink *sink,
                          const struct engine_item *described)
{
    char *out = sink->room(sink->context, described);
    struct cursor cursor;

    if (out == NULL) {
        return false;
    }
    if (__builtin_expect((item_bits(item) & ITEM_CHAINED) == 0, 1)) {
        memcpy(out, item_value(item), item->value_size);
        return true;
    }
    cursor_start(&cursor, engine, item);
    cursor_get(&cursor, out, item->value_size);
    return true;
}

static enum engine_result place_read(struct engine *engine, struct place *place,
                                     uint64_t now_ms,
                                     const struct engine_get *get,
                                     const struct engine_sink *sink,
                                     struct engine_item *described)
{
    struct item *item = place->item;

    item_describe(engine, item, now_ms, described);
    described->won = lease_won(get, described, now_ms);
    /* A client that was not told must not have changed anything. */
    if (sink != NULL && !value_deliver(engine, item, sink, described)) {
        return ENGINE_NO_ROOM;
    }
    if (!get->quiet_access) {
        item_set_accessed(item, now_ms, ITEM_FETCHED);
        place_count_use(place);
    }
    if (described->won) {
        item_set_bits(item, ITEM_SENT, 0);
    }
    if (get->touch) {
        item_set_expires(engine, item, get->expires_ms);
    }
    return ENGINE_OK;
}

/* In one of the key's two buckets. */
static enum engine_result
get_from(struct engine_thread *thread, const struct engine_now *now,
         const struct engine_key *key, unsigned choice,
         const struct engine_get *get, const struct engine_sink *sink,
         struct engine_item *described)
{
    struct engine *engine = thread->engine;
    struct bucket *bucket = bucket_lock_choice(engine, key->hash, choice);
    enum engine_result result = ENGINE_MISS;
    struct place place;

    if (bucket_find(engine, bucket, key, &place)) {
        if (item_visible(engine, place.item, now->ms, key->tenure)) {
            result = place_read(engine, &place, now->ms, get, sink, described);
        } else {
            place_remove(thread, &place, GONE_EXPIRED);
        }
    }
    bit_unlock(&bucket->head);
    return result;
}

static enum engine_result
get_existing(struct engine_thread *thread, const struct engine_now *now,
             const struct engine_key *key, const struct engine_get *get,
             const struct engine_sink *sink, struct engine_item *described)
{
    const _Atomic uint32_t *relocations = &thread->engine->relocations;
    uint32_t before;
    uint32_t after = atomic_load_explicit(relocations, memory_order_relaxed);

    engine_prefetch_bucket(thread->engine, key->hash);
    do {
        before = after;
        for (unsigned choice = 0; choice < 2; choice++) {
            enum engine_result result =
                get_from(thread, now, key, choice, get, sink, described);

            if (result != ENGINE_MISS) {
                return result;
            }
        }
        after = atomic_load_explicit(relocations, memory_order_relaxed);
    } while (before != after);
    return ENGINE_MISS;
}

/* With the pair locked and the key not there. */
static enum engine_result
vivify(struct engine_thread *thread, struct pair *pair,
       const struct engine_now *now, const struct engine_key *key,
       const struct engine_get *get, struct item *item, struct engine_item *out)
{
    const struct fill fill = {
        .cas = cas_next(thread, get->cas_new, 0),
        .expires_ms = get->vivify_expires_ms,
        .epoch = now->epoch,
        .bits = ITEM_SENT,
    };

    item_finish(thread, item, now, &fill);
    if (!pair_link(thread, pair, key->hash, item, NULL)) {
        return ENGINE_NO_MEMORY;
    }
    item_describe(thread->engine, item, now->ms, out);
    out->sent = false;
    out->won = true;
    return ENGINE_MISS;
}

static enum engine_result
get_or_vivify(struct engine_thread *thread, const struct engine_now *now,
              const struct engine_key *key, const struct engine_get *get,
              const struct engine_sink *sink, struct engine_item *out)
{
    struct engine *engine = thread->engine;
    const struct item_shape shape = {.key = key->key, .hash = key->hash};
    struct item *item = item_create(thread, now, &shape, false);
    enum engine_result result;
    struct place place;
    struct pair pair;
    bool found;

    if (item == NULL) {
        return ENGINE_NO_MEMORY;
    }
    do {
        pair_lock(engine, key->hash, &pair);
        found = pair_find_visible(thread, &pair, now, key, &place);
        if (found) {
            result = place_read(engine, &place, now->ms, get, sink, out);
        } else {
            result = vivify(thread, &pair, now, key, get, item, out);
        }
        pair_unlock(&pair);
    } while (index_catch_up(thread, now));
    if (found || result == ENGINE_NO_MEMORY) {
        item_destroy(engine, item);
    }
    index_tend(thread, now);
    return result;
}

enum engine_result
engine_get(struct engine_thread *thread, const struct engine_now *now,
           const struct engine_key *key, const struct engine_get *get,
           const struct engine_sink *sink, struct engine_item *item)
{
    struct engine_item unwanted;

    if (get == NULL) {
        get = &plain_get;
    }
    if (item == NULL) {
        item = &unwanted;
    }
    thread_enter(thread, now);
    enum engine_result result = get_existing(thread, now, key, get, sink, item);

    if (result == ENGINE_MISS) {
        memset(item, 0, sizeof *item);
        if (get->vivify) {
            result = get_or_vivify(thread, now, key, get, sink, item);
        }
    }
    return result;
}

enum engine_result engine_peek(struct engine_thread *thread,
                               const struct engine_now *now,
                               const struct engine_key *key,
                               struct engine_item *item)
{
    static const struct engine_get quiet = {.quiet_access = true};

    return engine_get(thread, now, key, &quiet, NULL, item);
}
