/* The audit: everything that is written down twice must agree. */
#include "core/engine_private.h"

struct audit {
    struct engine *engine;
    struct why *why;
    uint64_t items;
    uint64_t bytes;
    uint64_t chunks;
};

#define AUDIT(audit, condition, ...)                          \
    do {                                                      \
        if (!(condition)) {                                   \
            err_why((audit)->why, ERR_CONFLICT, __VA_ARGS__); \
            return false;                                     \
        }                                                     \
    } while (0)

static bool audit_chunk(struct audit *audit, const void *chunk, size_t wanted)
{
    struct engine *engine = audit->engine;
    uint32_t number = page_of(engine, chunk);

    AUDIT(audit, number < engine->page_count, "a chunk lies outside");
    const struct page *page = &engine->pages[number];
    const struct class *class = &engine->classes[class_of_chunk(engine, chunk)];
    size_t within = (size_t)((const char *)chunk - page_at(engine, number));

    AUDIT(audit, page->state != PAGE_FREE && page->state != PAGE_INDEX,
          "page %u is not for items but has one", number);
    AUDIT(audit, within % class->size == 0 && within < page->fresh,
          "page %u has a chunk at offset %zu of class size %u", number, within,
          class->size);
    AUDIT(audit, wanted <= class->size, "%zu bytes in a chunk of %u", wanted,
          class->size);
    AUDIT(audit, item_bits(chunk) & ITEM_LIVE, "a dead chunk is linked");
    audit->chunks++;
    return true;
}

static bool audit_chain(struct audit *audit, struct item *item, uint64_t hash)
{
    struct engine *engine = audit->engine;
    uint32_t next = item_next(item);
    size_t found = item->value_size;

    if (next != 0) {
        found = engine->chunk_size_max - item_value_offset(item);
    }
    while (next != 0) {
        struct more *more = engine_at(engine, next);

        if (!audit_chunk(audit, more, chunk_wanted(engine, more))) {
            return false;
        }
        AUDIT(audit, more->hash == hash, "a chunk is of another key");
        found += more->size;
        next = more->next;
    }
    AUDIT(audit, found == item->value_size,
          "the chain of a value of %u bytes has %zu", item->value_size, found);
    return true;
}

static bool audit_item(struct audit *audit, uint32_t bucket, unsigned slot,
                       uint16_t tag, uint32_t location)
{
    struct engine *engine = audit->engine;
    struct item *item = engine_at(engine, location);
    struct slice key = item_key(item);
    uint64_t hash = engine_hash(engine, key);
    uint32_t count =
        atomic_load_explicit(&engine->bucket_count, memory_order_relaxed);
    struct engine_key wanted = {.key = key, .hash = hash};
    struct place place;
    struct pair pair;

    AUDIT(audit,
          bucket_number(hash_choice(hash, 0), count) == bucket ||
              bucket_number(hash_choice(hash, 1), count) == bucket,
          "bucket %u has an item that is not its own", bucket);
    AUDIT(audit, tag == hash_tag(hash), "a tag is of another key");
    pair_lock(engine, hash, &pair);
    bool found = pair_find(engine, &pair, &wanted, &place);

    pair_unlock(&pair);
    AUDIT(audit, found && place.item == item,
          "slot %u of bucket %u has a key twice", slot, bucket);
    audit->items++;
    audit->bytes += item_wanted(item);
    return audit_chunk(audit, item, chunk_wanted(engine, item)) &&
           audit_chain(audit, item, hash);
}

static bool audit_index(struct audit *audit)
{
    struct engine *engine = audit->engine;
    uint32_t count =
        atomic_load_explicit(&engine->bucket_count, memory_order_relaxed);

    for (uint32_t i = 0; i < count; i++) {
        struct bucket *bucket = bucket_at(engine, i);
        uint32_t page = page_of(engine, bucket);

        AUDIT(audit, engine->pages[page].state == PAGE_INDEX,
              "bucket %u lies on page %u, not the index's", i, page);
        AUDIT(audit, (atomic_load(&bucket->head) & 1) == 0,
              "bucket %u is locked", i);
        for (unsigned slot = 0; slot < BUCKET_SLOTS; slot++) {
            uint16_t tag = atomic_load(&bucket->tags[slot]);
            uint32_t location = atomic_load(&bucket->locations[slot]);

            AUDIT(audit, (tag == 0) == (location == 0),
                  "slot %u of bucket %u is half empty", slot, i);
            if (tag != 0 && !audit_item(audit, i, slot, tag, location)) {
                return false;
            }
        }
    }
    return true;
}

/* A page's own books: free chunks, used chunks, and those never used. */
static bool audit_page(struct audit *audit, uint32_t number)
{
    struct engine *engine = audit->engine;
    const struct page *page = &engine->pages[number];
    const struct class *class =
        &engine->classes[atomic_load(&engine->page_classes[number])];
    uint32_t free_count = 0;
    uint32_t live_count = 0;

    for (uint32_t at = page->free_first; at != 0; free_count++) {
        AUDIT(audit, free_count < class->per_page,
              "the free list of page %u is a circle", number);
        memcpy(&at, engine_at(engine, at), sizeof at);
    }
    for (uint32_t offset = 0; offset < page->fresh; offset += class->size) {
        const void *chunk = page_at(engine, number) + offset;

        live_count += item_bits(chunk) & ITEM_LIVE;
    }
    AUDIT(audit, live_count == page->used,
          "page %u has %u chunks in use, but %u live", number, page->used,
          live_count);
    AUDIT(audit, free_count + page->used == page->fresh / class->size,
          "page %u: %u free and %u used are not %u", number, free_count,
          page->used, page->fresh / class->size);
    AUDIT(audit, page->state != PAGE_EVICTING,
          "page %u was left in the middle of an eviction", number);
    return true;
}

static bool audit_pages(struct audit *audit)
{
    struct engine *engine = audit->engine;
    uint64_t in_use = 0;
    uint64_t unused = 0;
    uint64_t chunks = 0;
    uint64_t aged = 0;

    for (uint32_t i = 0; i < engine->page_count; i++) {
        const struct page *page = &engine->pages[i];

        unused += page->state == PAGE_FREE;
        if (page->state == PAGE_FREE || page->state == PAGE_INDEX) {
            continue;
        }
        if (!audit_page(audit, i)) {
            return false;
        }
        in_use++;
        chunks += page->used;
    }
    for (uint32_t i = engine->pool.age_first; i != PAGE_NONE;
         i = engine->pages[i].age_next) {
        AUDIT(audit, aged++ < in_use, "the age queue is too long");
    }
    AUDIT(audit, aged == in_use, "%llu of %llu pages are in the age queue",
          (unsigned long long)aged, (unsigned long long)in_use);
    AUDIT(audit, unused == pool_free(engine), "%llu pages are free, not %u",
          (unsigned long long)unused, pool_free(engine));
    AUDIT(audit, chunks == audit->chunks,
          "%llu chunks are in use, but items have %llu",
          (unsigned long long)chunks, (unsigned long long)audit->chunks);
    return true;
}

static bool audit_lists(struct audit *audit)
{
    struct engine *engine = audit->engine;
    uint64_t listed = 0;
    uint64_t partial = 0;

    for (unsigned i = 0; i < engine->class_count; i++) {
        for (uint32_t at = engine->classes[i].partial_first; at != PAGE_NONE;
             at = engine->pages[at].partial_next) {
            AUDIT(audit, listed++ < engine->page_count,
                  "the partial list of class %u is a circle", i);
            AUDIT(audit, engine->pages[at].state == PAGE_PARTIAL,
                  "page %u is in a list of partial pages", at);
        }
    }
    for (uint32_t i = 0; i < engine->page_count; i++) {
        partial += engine->pages[i].state == PAGE_PARTIAL;
    }
    AUDIT(audit, listed == partial, "%llu of %llu partial pages are listed",
          (unsigned long long)listed, (unsigned long long)partial);
    return true;
}

bool engine_books_balance(struct engine *engine, struct why *why)
{
    struct audit all = {.engine = engine, .why = why};
    struct audit *audit = &all;
    struct engine_stats stats;

    if (!audit_index(audit) || !audit_pages(audit) || !audit_lists(audit)) {
        return false;
    }
    engine_stats(engine, &stats);
    AUDIT(audit, stats.items == audit->items,
          "the counters know %llu items, the index %llu",
          (unsigned long long)stats.items, (unsigned long long)audit->items);
    AUDIT(audit, stats.bytes == audit->bytes,
          "the counters know %llu bytes, the items have %llu",
          (unsigned long long)stats.bytes, (unsigned long long)audit->bytes);
    AUDIT(audit, stats.memory_used <= stats.memory_limit,
          "%llu bytes are used of %llu", (unsigned long long)stats.memory_used,
          (unsigned long long)stats.memory_limit);
    return true;
}
