/* engine_item.h -- how an item lies in memory.
 *
 * An item is one chunk of a page, or a chain of chunks when it is larger than
 * the largest class:
 *
 *   item:          cas 8 | life 8 | epoch 4 | value size 4 | word 4
 *                  | next 4, if CHAINED | flags 4, if FLAGGED | key | value
 *   continuation:  hash 8 | next 4 | size 4 | - 8 | word 4 | - 4 | value
 *   free chunk:    next free 4 | - 20 | word 4 (0)
 *
 * Everything in an item is written under the lock of its bucket.  Whoever
 * walks a page holds only the page's lock; that keeps a chunk from being freed,
 * and so lets the walker read what does not change while a chunk is live: the
 * key and where it lies.  What does change and is of interest to the walker
 * (word and life) is therefore atomic.
 */
#ifndef CORE_ENGINE_ITEM_H
#define CORE_ENGINE_ITEM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/engine.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ENGINE_FENCES 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ENGINE_FENCES 1
#endif
#ifdef ENGINE_FENCES
#include <sanitizer/asan_interface.h>
#endif

enum {
    /* Do not change while the chunk is live. */
    ITEM_LIVE = 1,         /* linked, or a continuation: a walker may look */
    ITEM_CONTINUATION = 2, /* a struct more, not a struct item */
    ITEM_CHAINED = 4,
    ITEM_FLAGGED = 8,
    /* Do. */
    ITEM_STALE = 16,
    ITEM_SENT = 32, /* somebody was told to refill it */
    ITEM_FETCHED = 64,

    ITEM_BITS_SHIFT = 24, /* below them: seconds of the last access */
};

#define ITEM_ACCESSED_MASK UINT32_C(0xffffff)
#define ITEM_EXPIRES_MAX   ((UINT64_C(1) << 48) - 1)

struct item {
    uint64_t cas;
    _Atomic uint64_t life; /* expires_ms 48 | key size 8 | generation 8 */
    uint32_t epoch;
    uint32_t value_size;
    _Atomic uint32_t word; /* accessed 24 | bits 8 */
    char rest[];
};

struct more {
    uint64_t hash; /* of the item's key: the way back to its bucket */
    uint32_t next; /* location, 0 at the end */
    uint32_t size; /* bytes of value here */
    uint64_t unused;
    _Atomic uint32_t word;
    uint32_t unused_too;
    char value[];
};

enum {
    ITEM_HEAD_SIZE = offsetof(struct item, rest),
    MORE_HEAD_SIZE = offsetof(struct more, value),
    CHUNK_SIZE_MIN = 32,
};

_Static_assert(ITEM_HEAD_SIZE == 28, "an item's head has no holes");
_Static_assert(offsetof(struct item, word) == offsetof(struct more, word),
               "a walker must find the bits before it knows what it sees");

static inline uint32_t item_word(const struct item *item)
{
    return atomic_load_explicit(&item->word, memory_order_relaxed);
}

static inline unsigned item_bits(const struct item *item)
{
    return item_word(item) >> ITEM_BITS_SHIFT;
}

static inline void item_set_word(struct item *item, uint32_t word)
{
    atomic_store_explicit(&item->word, word, memory_order_relaxed);
}

static inline void item_set_bits(struct item *item, unsigned on, unsigned off)
{
    uint32_t word = item_word(item);

    item_set_word(item, (word & ~((uint32_t)off << ITEM_BITS_SHIFT)) |
                            (uint32_t)on << ITEM_BITS_SHIFT);
}

static inline uint64_t life_make(uint64_t expires_ms, size_t key_size,
                                 uint8_t generation)
{
    uint64_t expires =
        expires_ms < ITEM_EXPIRES_MAX ? expires_ms : ITEM_EXPIRES_MAX;

    return expires | (uint64_t)key_size << 48 | (uint64_t)generation << 56;
}

static inline uint64_t life_expires_ms(uint64_t life)
{
    return life & ITEM_EXPIRES_MAX;
}

static inline size_t life_key_size(uint64_t life)
{
    return (size_t)(life >> 48 & 0xff);
}

static inline uint8_t life_generation(uint64_t life)
{
    return (uint8_t)(life >> 56);
}

static inline uint64_t item_life(const struct item *item)
{
    return atomic_load_explicit(&item->life, memory_order_relaxed);
}

static inline uint64_t item_expires_ms(const struct item *item)
{
    return life_expires_ms(item_life(item));
}

static inline size_t item_extras_size(unsigned bits)
{
    return ((bits & ITEM_CHAINED) ? 4u : 0u) +
           ((bits & ITEM_FLAGGED) ? 4u : 0u);
}

static inline struct slice item_key(const struct item *item)
{
    return (struct slice){item->rest + item_extras_size(item_bits(item)),
                          life_key_size(item_life(item))};
}

/* From the chunk's start to the value. */
static inline size_t item_value_offset(const struct item *item)
{
    return ITEM_HEAD_SIZE + item_extras_size(item_bits(item)) +
           life_key_size(item_life(item));
}

static inline char *item_value(struct item *item)
{
    return (char *)item + item_value_offset(item);
}

/* Head, key and value, wherever they lie. */
static inline size_t item_wanted(const struct item *item)
{
    return item_value_offset(item) + item->value_size;
}

static inline uint32_t item_flags(const struct item *item)
{
    unsigned bits = item_bits(item);
    uint32_t flags = 0;

    if (bits & ITEM_FLAGGED) {
        memcpy(&flags, item->rest + item_extras_size(bits) - 4, sizeof flags);
    }
    return flags;
}

static inline void item_set_flags(struct item *item, uint32_t flags)
{
    unsigned bits = item_bits(item);

    if (bits & ITEM_FLAGGED) {
        memcpy(item->rest + item_extras_size(bits) - 4, &flags, sizeof flags);
    }
}

static inline uint32_t item_next(const struct item *item)
{
    uint32_t next = 0;

    if (item_bits(item) & ITEM_CHAINED) {
        memcpy(&next, item->rest, sizeof next);
    }
    return next;
}

static inline void item_set_next(struct item *item, uint32_t next)
{
    memcpy(item->rest, &next, sizeof next);
}

/* In a build with AddressSanitizer, what lies in a chunk behind its used bytes
 * may not be touched, so that an overflow inside a page is seen. */
static inline void chunk_fence(void *chunk, size_t used, size_t size)
{
#ifdef ENGINE_FENCES
    if (used < CHUNK_SIZE_MIN) {
        used = CHUNK_SIZE_MIN;
    }
    ASAN_POISON_MEMORY_REGION(chunk, size);
    ASAN_UNPOISON_MEMORY_REGION(chunk, used);
#else
    (void)chunk;
    (void)used;
    (void)size;
#endif
}

#endif
