/* Deletes and arithmetic. */
#include "core/engine_private.h"

enum { DIGITS_MAX = 20 };

/* --- delete --- */

static void item_drop_value(struct engine_thread *thread, struct item *item)
{
    struct engine *engine = thread->engine;
    uint8_t class_id = class_of_chunk(engine, item);

    tally_add(&thread->classes[class_id].bytes, -(uint64_t)item->value_size);
    item_drop_chain(engine, item);
    item_set_flags(item, 0);
    item->value_size = 0;
    chunk_fence(item, item_wanted(item), engine->classes[class_id].size);
}

static void place_mark(struct engine_thread *thread,
                       const struct engine_now *now, struct place *place,
                       const struct engine_delete *how)
{
    struct item *item = place->item;

    if (how->drop_value) {
        item_drop_value(thread, item);
    }
    if (how->mark_stale) {
        item_set_bits(item, ITEM_STALE, ITEM_SENT);
    }
    if (how->touch) {
        item_set_expires(thread->engine, item, how->expires_ms);
    }
    item->cas = cas_next(thread, how->cas_new, item->cas);
    item->epoch = now->epoch;
}

enum engine_result engine_delete(struct engine_thread *thread,
                                 const struct engine_now *now,
                                 const struct engine_key *key,
                                 const struct engine_delete *how)
{
    enum engine_result result = ENGINE_OK;
    struct place place;
    struct pair pair;

    thread_enter(thread, now);
    pair_lock(thread->engine, key->hash, &pair);
    if (!pair_find_visible(thread, &pair, now, key, &place)) {
        result = ENGINE_MISS;
    } else if (how->compare && how->cas != place.item->cas) {
        result = ENGINE_EXISTS;
    } else if (how->mark_stale || how->drop_value) {
        place_mark(thread, now, &place, how);
    } else {
        place_remove(thread, &place, GONE_DELETED);
    }
    pair_unlock(&pair);
    return result;
}

/* --- arithmetic --- */

static uint64_t arith_result(const struct engine_arith *arith, uint64_t before)
{
    if (!arith->decrement) {
        return before + arith->delta;
    }
    return arith->delta < before ? before - arith->delta : 0;
}

/* Digits with blanks around them: decrements leave some behind. */
static bool item_read_number(struct item *item, uint64_t *out)
{
    struct slice text = {item_value(item), item->value_size};

    if (item_bits(item) & ITEM_CHAINED) {
        return false;
    }
    while (text.size > 0 && text.at[text.size - 1] == ' ') {
        text.size--;
    }
    while (text.size > 0 && text.at[0] == ' ') {
        text.at++;
        text.size--;
    }
    return slice_read_u64(text, UINT64_MAX, out);
}

struct arith_job {
    struct engine_thread *thread;
    const struct engine_now *now;
    const struct engine_key *key;
    const struct engine_arith *arith;
    struct item *spare;
    bool need_spare;
    char digits[DIGITS_MAX];
    struct item_shape shape;
};

/* Keeps the width. */
static void arith_in_place(const struct arith_job *job, struct item *item)
{
    size_t size = job->shape.value_size;

    memcpy(item_value(item), job->digits, size);
    memset(item_value(item) + size, ' ', item->value_size - size);
    item->cas = cas_next(job->thread, job->arith->cas_new, item->cas);
    item->epoch = job->now->epoch;
    item_set_accessed(item, job->now->ms, 0);
    if (job->arith->touch) {
        item_set_expires(job->thread->engine, item, job->arith->expires_ms);
    }
}

static enum engine_result arith_link(struct arith_job *job, struct pair *pair,
                                     struct place *old)
{
    const struct engine_arith *arith = job->arith;
    struct item *item = job->spare;
    struct fill fill = {.epoch = job->now->epoch};

    if (item == NULL || item->value_size != job->shape.value_size ||
        ((item_bits(item) & ITEM_FLAGGED) != 0) != job->shape.flagged) {
        job->need_spare = true;
        return ENGINE_NO_MEMORY;
    }
    memcpy(item_value(item), job->digits, job->shape.value_size);
    fill.cas =
        cas_next(job->thread, arith->cas_new, old != NULL ? old->item->cas : 0);
    if (old == NULL) {
        fill.expires_ms = arith->vivify_expires_ms;
    } else {
        fill.expires_ms =
            arith->touch ? arith->expires_ms : item_expires_ms(old->item);
        fill.flags = item_flags(old->item);
        fill.bits =
            item_bits(old->item) & (ITEM_STALE | ITEM_SENT | ITEM_FETCHED);
    }
    item_finish(job->thread, item, job->now, &fill);
    if (!pair_link(job->thread, pair, job->key->hash, item, old)) {
        return ENGINE_NO_MEMORY;
    }
    job->spare = NULL;
    return ENGINE_OK;
}

static enum engine_result arith_do(struct arith_job *job, struct pair *pair,
                                   struct place *place, bool found,
                                   uint64_t *number)
{
    const struct engine_arith *arith = job->arith;

    if (!found) {
        if (!arith->vivify) {
            return ENGINE_MISS;
        }
        *number = arith->initial;
    } else {
        if (arith->compare && arith->cas != place->item->cas) {
            return ENGINE_EXISTS;
        }
        if (!item_read_number(place->item, number)) {
            return ENGINE_NOT_NUMBER;
        }
        *number = arith_result(arith, *number);
    }
    job->shape.value_size = decimal_write(job->digits, *number);
    job->shape.flagged = found && item_flags(place->item) != 0;
    if (found && job->shape.value_size <= place->item->value_size) {
        arith_in_place(job, place->item);
        place_count_use(place);
        return ENGINE_OK;
    }
    return arith_link(job, pair, found ? place : NULL);
}

static enum engine_result arith_try(struct arith_job *job, uint64_t *number,
                                    struct engine_item *out)
{
    struct engine_thread *thread = job->thread;
    struct place place;
    struct pair pair;

    job->need_spare = false;
    pair_lock(thread->engine, job->key->hash, &pair);
    bool found = pair_find_visible(thread, &pair, job->now, job->key, &place);
    enum engine_result result = arith_do(job, &pair, &place, found, number);

    if (result == ENGINE_OK &&
        pair_find(thread->engine, &pair, job->key, &place)) {
        item_describe(thread->engine, place.item, job->now->ms, out);
    }
    pair_unlock(&pair);
    return result;
}

enum engine_result engine_arith(struct engine_thread *thread,
                                const struct engine_now *now,
                                const struct engine_key *key,
                                const struct engine_arith *arith,
                                uint64_t *number, struct engine_item *item)
{
    struct engine *engine = thread->engine;
    struct engine_item unwanted;
    struct arith_job job = {
        .thread = thread,
        .now = now,
        .key = key,
        .arith = arith,
        .shape = {.key = key->key, .hash = key->hash},
    };
    enum engine_result result;
    uint64_t value = 0;

    if (item == NULL) {
        item = &unwanted;
    }
    memset(item, 0, sizeof *item);
    thread_enter(thread, now);
    for (;;) {
        result = arith_try(&job, &value, item);
        if (job.spare != NULL) {
            item_destroy(engine, job.spare);
            job.spare = NULL;
        }
        if (!job.need_spare && !index_catch_up(thread, now)) {
            break;
        }
        job.spare = item_create(thread, now, &job.shape, false);
        if (job.spare == NULL) {
            break;
        }
    }
    if (result == ENGINE_OK) {
        *number = value;
    }
    index_tend(thread, now);
    return result;
}
