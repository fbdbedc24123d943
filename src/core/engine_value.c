#include "core/engine_private.h"

/* A chunk by any means: from the current page, a new page, or an eviction. */
static void *chunk_get(struct engine_thread *thread,
                       const struct engine_now *now, uint8_t class_id,
                       size_t wanted, bool ready_only)
{
    struct engine *engine = thread->engine;

    for (;;) {
        void *chunk = chunk_take(thread, class_id, wanted);

        if (chunk != NULL || ready_only) {
            return chunk;
        }
        if (!class_refill(thread, class_id, engine->pool_reserve) &&
            (!engine->evict || !evict_page(thread, now, class_id))) {
            tally_inc(&thread->classes[class_id].out_of_memory);
            return NULL;
        }
    }
}

static void item_set_up(struct item *item, const struct item_shape *shape,
                        unsigned bits)
{
    item->value_size = (uint32_t)shape->value_size;
    item_set_word(item, (uint32_t)bits << ITEM_BITS_SHIFT);
    atomic_store_explicit(&item->life, life_make(0, shape->key.size, 0),
                          memory_order_relaxed);
    memcpy(item->rest + item_extras_size(bits), shape->key.at, shape->key.size);
}

static void chain_destroy(struct engine *engine, uint32_t next)
{
    while (next != 0) {
        struct more *more = engine_at(engine, next);

        next = more->next;
        chunk_give(engine, more);
    }
}

/* The rest of a value that its first chunk cannot hold; the location of the
 * first of these chunks, 0: no memory. */
static uint32_t chain_create(struct engine_thread *thread,
                             const struct engine_now *now, uint64_t hash,
                             size_t left)
{
    struct engine *engine = thread->engine;
    size_t most = engine->chunk_size_max - MORE_HEAD_SIZE;
    uint32_t first = 0;

    /* From the end, so that each knows the next. */
    size_t size = left % most == 0 ? most : left % most;

    while (left > 0) {
        struct more *more =
            chunk_get(thread, now, class_of_size(engine, MORE_HEAD_SIZE + size),
                      MORE_HEAD_SIZE + size, false);

        if (more == NULL) {
            chain_destroy(engine, first);
            return 0;
        }
        more->hash = hash;
        more->next = first;
        more->size = (uint32_t)size;
        atomic_store_explicit(&more->word,
                              (uint32_t)(ITEM_LIVE | ITEM_CONTINUATION)
                                  << ITEM_BITS_SHIFT,
                              memory_order_release);
        first = engine_location(engine, more);
        left -= size;
        size = most;
    }
    return first;
}

static struct item *item_create_chained(struct engine_thread *thread,
                                        const struct engine_now *now,
                                        const struct item_shape *shape)
{
    struct engine *engine = thread->engine;
    unsigned bits = ITEM_CHAINED | (shape->flagged ? ITEM_FLAGGED : 0u);
    size_t head = ITEM_HEAD_SIZE + item_extras_size(bits) + shape->key.size;
    size_t here = engine->chunk_size_max - head;
    struct item *item =
        chunk_get(thread, now, class_of_size(engine, engine->chunk_size_max),
                  engine->chunk_size_max, false);

    if (item == NULL) {
        return NULL;
    }
    uint32_t next = 0;

    /* An item that just misses the largest class by its link fits now. */
    if (shape->value_size > here) {
        next = chain_create(thread, now, shape->hash, shape->value_size - here);
        if (next == 0) {
            chunk_give(engine, item);
            return NULL;
        }
    }
    item_set_up(item, shape, bits);
    item_set_next(item, next);
    return item;
}

struct item *item_create(struct engine_thread *thread,
                         const struct engine_now *now,
                         const struct item_shape *shape, bool ready_only)
{
    struct engine *engine = thread->engine;
    unsigned bits = shape->flagged ? ITEM_FLAGGED : 0;
    size_t wanted = ITEM_HEAD_SIZE + item_extras_size(bits) + shape->key.size +
                    shape->value_size;

    if (wanted > engine->chunk_size_max) {
        return ready_only ? NULL : item_create_chained(thread, now, shape);
    }
    struct item *item = chunk_get(thread, now, class_of_size(engine, wanted),
                                  wanted, ready_only);

    if (item != NULL) {
        item_set_up(item, shape, bits);
    }
    return item;
}

void item_destroy(struct engine *engine, struct item *item)
{
    chain_destroy(engine, item_next(item));
    chunk_give(engine, item);
}

void item_drop_chain(struct engine *engine, struct item *item)
{
    uint32_t next = item_next(item);

    if (next != 0) {
        item_set_next(item, 0);
        chain_destroy(engine, next);
    }
}

size_t chunk_wanted(const struct engine *engine, void *chunk)
{
    const struct item *item = chunk;
    const struct more *more = chunk;
    unsigned bits = item_bits(item);

    if (bits & ITEM_CONTINUATION) {
        return MORE_HEAD_SIZE + more->size;
    }
    return bits & ITEM_CHAINED ? engine->chunk_size_max : item_wanted(item);
}

void cursor_start(struct cursor *cursor, const struct engine *engine,
                  struct item *item)
{
    size_t offset = item_value_offset(item);

    cursor->engine = engine;
    cursor->at = (char *)item + offset;
    cursor->left = item->value_size;
    cursor->next = item_next(item);
    if (cursor->next != 0) {
        cursor->left = engine->chunk_size_max - offset;
    }
}

/* How many of size bytes lie in one piece from here. */
static size_t cursor_piece(struct cursor *cursor, size_t size)
{
    while (cursor->left == 0) {
        check(cursor->next != 0);
        struct more *more = engine_at(cursor->engine, cursor->next);

        cursor->at = more->value;
        cursor->left = more->size;
        cursor->next = more->next;
    }
    return size < cursor->left ? size : cursor->left;
}

static void cursor_skip(struct cursor *cursor, size_t size)
{
    cursor->at += size;
    cursor->left -= size;
}

void cursor_put(struct cursor *cursor, const char *bytes, size_t size)
{
    while (size > 0) {
        size_t piece = cursor_piece(cursor, size);

        memcpy(cursor->at, bytes, piece);
        cursor_skip(cursor, piece);
        bytes += piece;
        size -= piece;
    }
}

void cursor_get(struct cursor *cursor, char *out, size_t size)
{
    while (size > 0) {
        size_t piece = cursor_piece(cursor, size);

        memcpy(out, cursor->at, piece);
        cursor_skip(cursor, piece);
        out += piece;
        size -= piece;
    }
}

void cursor_copy(struct cursor *to, struct cursor *from, size_t size)
{
    while (size > 0) {
        size_t piece = cursor_piece(to, cursor_piece(from, size));

        memcpy(to->at, from->at, piece);
        cursor_skip(to, piece);
        cursor_skip(from, piece);
        size -= piece;
    }
}
