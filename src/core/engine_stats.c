#include "core/engine_private.h"

static uint64_t counted(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void engine_tally(const struct engine *engine, struct engine_stats *out)
{
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < engine->thread_count; i++) {
        const struct tally *tally = &engine->threads[i].tally;

        out->items_total += counted(&tally->items_total);
        out->evictions += counted(&tally->evictions);
        out->evicted_unfetched += counted(&tally->evicted_unfetched);
        out->expired += counted(&tally->expired);
        out->expired_unfetched += counted(&tally->expired_unfetched);
        out->reclaimed += counted(&tally->reclaimed);
        out->deleted += counted(&tally->deleted);
        out->replaced += counted(&tally->replaced);
    }
    uint64_t gone =
        out->evictions + out->expired + out->deleted + out->replaced;

    /* Counters of other threads may be read in an unlucky order. */
    out->items = out->items_total > gone ? out->items_total - gone : 0;
}

static uint64_t index_pages(const struct engine *engine)
{
    uint32_t count =
        atomic_load_explicit(&engine->bucket_count, memory_order_relaxed);

    return ((uint64_t)count + (UINT64_C(1) << engine->bucket_shift) - 1) >>
           engine->bucket_shift;
}

void engine_stats(struct engine *engine, struct engine_stats *out)
{
    check(engine->magic == ENGINE_MAGIC);
    engine_tally(engine, out);
    uint64_t bytes = 0;

    for (unsigned i = 0; i < engine->thread_count; i++) {
        for (unsigned class_id = 0; class_id < engine->class_count;
             class_id++) {
            bytes += counted(&engine->threads[i].classes[class_id].bytes);
        }
    }
    uint64_t in_index = index_pages(engine);

    out->bytes = (int64_t)bytes > 0 ? bytes : 0;
    out->memory_limit = engine->memory_limit;
    out->pages_free = pool_free(engine);
    out->pages = engine->page_count - in_index;
    out->memory_used =
        engine->books_size + ARENA_ALIGNMENT +
        ((engine->page_count - out->pages_free) << engine->page_shift);
    out->index_bytes = in_index << engine->page_shift;
}

unsigned engine_class_count(const struct engine *engine)
{
    return engine->class_count;
}

void engine_class_stats(struct engine *engine, unsigned class_id,
                        struct engine_class *out)
{
    check(engine->magic == ENGINE_MAGIC);
    check(class_id < engine->class_count);
    memset(out, 0, sizeof *out);
    out->chunk_size = engine->classes[class_id].size;
    out->chunks_per_page = engine->classes[class_id].per_page;
    for (uint32_t i = 0; i < engine->page_count; i++) {
        struct page *page = &engine->pages[i];

        if (class_of_page(engine, i) != class_id) {
            continue;
        }
        spin_lock(&page->lock);
        if (page->state != PAGE_FREE && page->state != PAGE_INDEX) {
            out->pages++;
            out->chunks_used += page->used;
        }
        spin_unlock(&page->lock);
    }
    for (unsigned i = 0; i < engine->thread_count; i++) {
        const struct class_tally *tally = &engine->threads[i].classes[class_id];

        out->bytes_wanted += counted(&tally->bytes);
        out->evictions += counted(&tally->evictions);
        out->out_of_memory += counted(&tally->out_of_memory);
    }
    if ((int64_t)out->bytes_wanted < 0) {
        out->bytes_wanted = 0;
    }
}
