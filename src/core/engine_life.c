#include "core/engine_private.h"

/* --- gone --- */

void item_count_gone(struct engine_thread *thread, struct item *item,
                     enum gone why)
{
    struct tally *tally = &thread->tally;
    bool fetched = (item_bits(item) & ITEM_FETCHED) != 0;
    struct class_tally *class =
        &thread->classes[class_of_chunk(thread->engine, item)];

    tally_add(&class->bytes, -(uint64_t)item_wanted(item));
    switch (why) {
    case GONE_DELETED: tally_inc(&tally->deleted); break;
    case GONE_REPLACED: tally_inc(&tally->replaced); break;
    case GONE_EVICTED:
        tally_inc(&tally->evictions);
        tally_inc(&class->evictions);
        tally_add(&tally->evicted_unfetched, !fetched);
        break;
    case GONE_EXPIRED:
        tally_inc(&tally->expired);
        tally_add(&tally->expired_unfetched, !fetched);
        break;
    }
}

void place_remove(struct engine_thread *thread, struct place *place,
                  enum gone why)
{
    item_count_gone(thread, place->item, why);
    place_clear(place);
    item_destroy(thread->engine, place->item);
}

bool life_over(const struct engine *engine, uint64_t life, uint64_t now_ms)
{
    uint64_t expires_ms = life_expires_ms(life);

    return (expires_ms != 0 && expires_ms <= now_ms) ||
           life_generation(life) != engine_generation(engine);
}

bool item_visible(const struct engine *engine, const struct item *item,
                  uint64_t now_ms, uint32_t tenure)
{
    return item->epoch >= tenure && !life_over(engine, item_life(item), now_ms);
}

bool pair_find_visible(struct engine_thread *thread, const struct pair *pair,
                       const struct engine_now *now,
                       const struct engine_key *key, struct place *place)
{
    if (!pair_find(thread->engine, pair, key, place)) {
        return false;
    }
    if (item_visible(thread->engine, place->item, now->ms, key->tenure)) {
        return true;
    }
    place_remove(thread, place, GONE_EXPIRED);
    thread->reclaiming = true;
    return false;
}

/* --- small changes --- */

void item_describe(const struct engine *engine, const struct item *item,
                   uint64_t now_ms, struct engine_item *out)
{
    uint32_t word = item_word(item);
    unsigned bits = word >> ITEM_BITS_SHIFT;
    uint64_t now_s = now_ms / 1000;
    /* Only the low bits are kept: right for half a year. */
    uint64_t age_s = (now_s - word) & ITEM_ACCESSED_MASK;

    out->cas = item->cas;
    out->expires_ms = item_expires_ms(item);
    out->accessed_ms = age_s <= now_s ? (now_s - age_s) * 1000 : 0;
    out->flags = item_flags(item);
    out->value_size = item->value_size;
    out->fetched = (bits & ITEM_FETCHED) != 0;
    out->stale = (bits & ITEM_STALE) != 0;
    out->won = false;
    out->sent = (bits & ITEM_SENT) != 0;
    out->class_id = class_of_chunk(engine, item);
}

void item_set_expires(struct engine *engine, struct item *item,
                      uint64_t expires_ms)
{
    uint64_t life = item_life(item);

    atomic_store_explicit(
        &item->life,
        life_make(expires_ms, life_key_size(life), life_generation(life)),
        memory_order_relaxed);
    page_note_expiry(engine, item, expires_ms);
}

void item_set_accessed(struct item *item, uint64_t now_ms, unsigned bits_on)
{
    uint32_t before = item_word(item);
    uint32_t now_s = (uint32_t)(now_ms / 1000) & ITEM_ACCESSED_MASK;
    uint32_t word = (before & ~ITEM_ACCESSED_MASK) | now_s |
                    (uint32_t)bits_on << ITEM_BITS_SHIFT;

    /* A line that does not change stays shared among the processors. */
    if (word != before) {
        item_set_word(item, word);
    }
}

void place_count_use(struct place *place)
{
    unsigned frequency = place_frequency(place);

    if (frequency < FREQUENCY_MAX) {
        place_set_frequency(place, frequency + 1);
    }
}

/* A thread's ids are unique as they end in its number, and rise as it counts
 * on from whatever id it replaces: no counter is shared.  An id that a client
 * chose near the end of the range is not followed, or the range would end. */
uint64_t cas_next(struct engine_thread *thread, uint64_t asked, uint64_t before)
{
    unsigned shift = thread->engine->cas_shift;
    uint64_t count = before >> shift;

    if (asked != 0) {
        return asked;
    }
    if (count > thread->cas_count && before < UINT64_MAX / 2) {
        thread->cas_count = count;
    }
    thread->cas_count++;
    return thread->cas_count << shift | thread->index;
}

/* --- flushes --- */

void engine_flush(struct engine *engine, uint64_t at_ms)
{
    struct flushes *flushes = &engine->flushes;
    unsigned i;

    check(engine->magic == ENGINE_MAGIC);
    spin_lock(&flushes->lock);
    if (flushes->count == FLUSHES_MAX) {
        flushes->count--;
    }
    for (i = flushes->count++; i > 0 && flushes->at_ms[i - 1] > at_ms; i--) {
        flushes->at_ms[i] = flushes->at_ms[i - 1];
    }
    flushes->at_ms[i] = at_ms;
    atomic_store_explicit(&engine->flush_at_ms, flushes->at_ms[0],
                          memory_order_release);
    spin_unlock(&flushes->lock);
}

/* An item carries the number of flushes before it, modulo 256; one of another
 * number is gone.  Before a number is used again, no item may have it. */
void flush_apply(struct engine_thread *thread, const struct engine_now *now)
{
    struct engine *engine = thread->engine;
    struct flushes *flushes = &engine->flushes;
    unsigned due = 0;
    bool purge = false;

    spin_lock(&flushes->lock);
    while (due < flushes->count && flushes->at_ms[due] <= now->ms) {
        due++;
    }
    if (due > 0) {
        flushes->count -= due;
        memmove(flushes->at_ms, flushes->at_ms + due,
                flushes->count * sizeof flushes->at_ms[0]);
        uint32_t generation =
            atomic_load_explicit(&engine->generation, memory_order_relaxed) + 1;

        atomic_store_explicit(&engine->generation, generation,
                              memory_order_relaxed);
        purge = generation - flushes->generation_oldest >= 200;
        atomic_store_explicit(&engine->flush_at_ms,
                              flushes->count > 0 ? flushes->at_ms[0]
                                                 : UINT64_MAX,
                              memory_order_release);
        if (purge) {
            flushes->generation_oldest = generation;
        }
    }
    spin_unlock(&flushes->lock);
    if (purge) {
        sweep_everything(thread, now);
    }
}
