/* engine_private.h -- what the parts of the engine share.
 *
 * One block of memory, the arena, is cut into pages of equal size.  A page
 * holds chunks of one class, or buckets of the index, or is free.
 *
 * The index is a table of buckets of one cache line with ten slots each.  A
 * key may be in either of two buckets.  It grows by linear hashing: bucket
 * `count` is split off from one other, and then count is one more; whoever has
 * locked a bucket looks whether it is still the right one.
 *
 * Eviction takes the page that was filled longest ago, of whatever class; items
 * that were read meanwhile are copied to a younger page, the rest go.
 *
 * Locks, in the order in which they may be taken:
 *   growing -> evicting -> buckets by number -> class -> page -> pool
 * Chunks that need an eviction are taken before any bucket is locked; a third
 * bucket is only ever tried.  Growing is waited for only by a store that found
 * both its buckets full, after it has unlocked them.
 */
#ifndef CORE_ENGINE_PRIVATE_H
#define CORE_ENGINE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/mem.h"
#include "core/engine.h"
#include "core/engine_item.h"
#include "core/engine_lock.h"

enum {
    CACHE_LINE = 64,
    BUCKET_SLOTS = 10,
    FREQUENCY_MAX = 3,
    FLUSHES_MAX = 64,
    CLASS_TABLE_SIZE = 128, /* classes of chunks up to 1 KiB by look-up */
    SECRET_SIZE = 192,
    ARENA_ALIGNMENT = 4096,
};

#define PAGE_NONE  UINT32_MAX
#define CLASS_NONE UINT8_MAX

/* A slot without an item has tag 0 and location 0. */
struct bucket {
    _Alignas(CACHE_LINE) _Atomic uint32_t head; /* lock 1 | frequency 10 * 2 */
    _Atomic uint16_t tags[BUCKET_SLOTS];
    _Atomic uint32_t locations[BUCKET_SLOTS];
};

_Static_assert(sizeof(struct bucket) == CACHE_LINE, "a bucket is one line");

enum page_state {
    PAGE_FREE,
    PAGE_CURRENT,  /* chunks are taken from it */
    PAGE_PARTIAL,  /* has room, and is in its class's list of such */
    PAGE_FULL,     /* has little or no room */
    PAGE_EVICTING, /* the evicting thread has it */
    PAGE_INDEX,
};

struct page {
    _Alignas(CACHE_LINE) struct spin lock;
    /* Under the page's lock. */
    uint32_t used;       /* chunks */
    uint32_t fresh;      /* bytes from the start that were ever handed out */
    uint32_t free_first; /* location, 0: none */
    /* Under the locks of the class and of the page. */
    enum page_state state;
    uint32_t stripe; /* whose current page this is */
    /* Under the class's lock. */
    uint32_t partial_next;
    uint32_t partial_previous;
    /* Under the pool's. */
    uint32_t age_next;
    uint32_t age_previous;
    /* What a sweep need not look at. */
    _Atomic uint32_t swept_generation;
    _Atomic uint64_t expires_min_ms;
};

struct class
{
    _Alignas(CACHE_LINE) struct spin lock;
    uint32_t size;
    uint32_t per_page;
    uint32_t holes_min; /* free chunks that make a full page partial */
    uint32_t partial_first;
};

/* Free pages, and the others from the longest filled to the youngest. */
struct pool {
    _Alignas(CACHE_LINE) struct spin lock;
    uint32_t free_first; /* by age_next */
    uint32_t fresh;      /* pages from here on were never used */
    _Atomic uint32_t free_count;
    uint32_t age_first;
    uint32_t age_last;
};

/* Times of flushes to come, ascending. */
struct flushes {
    _Alignas(CACHE_LINE) struct spin lock;
    unsigned count;
    uint64_t at_ms[FLUSHES_MAX];
    /* Items of generations before this one are all gone. */
    uint32_t generation_oldest;
};

struct tally {
    _Atomic uint64_t items_total;
    _Atomic uint64_t evictions;
    _Atomic uint64_t evicted_unfetched;
    _Atomic uint64_t expired;
    _Atomic uint64_t expired_unfetched;
    _Atomic uint64_t reclaimed;
    _Atomic uint64_t deleted;
    _Atomic uint64_t replaced;
};

struct class_tally {
    _Atomic uint64_t bytes; /* modulo 2^64: one thread adds, another takes */
    _Atomic uint64_t evictions;
    _Atomic uint64_t out_of_memory;
};

struct engine_thread {
    _Alignas(CACHE_LINE) struct engine *engine;
    _Atomic uint32_t *current; /* by class: the page to take chunks from */
    uint32_t index;
    uint32_t stripe;
    uint64_t cas_count;
    uint32_t growth_wanted;
    uint32_t crowded_count; /* buckets when the try at work found its full */
    bool may_crowd_out;     /* growth was no help: a slot must be evicted */
    bool reclaiming;        /* the store at work found an expired item */
    struct tally tally;
    struct class_tally classes[ENGINE_CLASSES_MAX];
};

struct engine {
    /* Read by every operation, hardly ever written. */
    uint32_t magic;
    bool evict;
    uint8_t unit_shift; /* a location counts units of 8 bytes or more */
    uint8_t page_shift;
    uint8_t bucket_shift; /* buckets per page */
    uint8_t cas_shift;    /* below it, a CAS id holds the thread's number */
    char *arena;
    _Atomic uint32_t *directory;   /* pages of the index */
    _Atomic uint8_t *page_classes; /* by page */
    struct page *pages;
    _Atomic uint64_t flush_at_ms; /* the earliest to come */
    _Atomic uint32_t generation;  /* of flushes */
    uint32_t page_count;
    uint32_t bucket_count_max;
    uint32_t pool_reserve; /* pages only for what eviction moves */
    unsigned class_count;
    unsigned thread_count;
    unsigned stripe_count;
    uint32_t chunk_size_max;
    uint64_t value_size_max;
    uint64_t memory_limit;
    uint64_t books_size;
    const struct mem *mem;
    void *books;
    void *arena_block;
    struct engine_thread *threads;
    _Atomic uint32_t *current; /* [stripe][class] */
    uint8_t class_table[CLASS_TABLE_SIZE + 1];
    uint8_t secret[SECRET_SIZE];

    /* Written while the index grows. */
    _Alignas(CACHE_LINE) _Atomic uint32_t bucket_count;
    _Atomic uint32_t relocations;
    struct spin growing;

    struct pool pool;
    struct flushes flushes;
    _Alignas(CACHE_LINE) pthread_mutex_t evicting;
    struct spin tending;
    uint32_t sweep_page;
    uint32_t sweep_offset;
    uint32_t sweep_generation; /* when this round began */
    struct class classes[ENGINE_CLASSES_MAX];
};

#define ENGINE_MAGIC MAGIC('e', 'n', 'g', 'n')

/* --- places --- */

static inline void *engine_at(const struct engine *engine, uint32_t location)
{
    return engine->arena + ((size_t)location << engine->unit_shift);
}

static inline uint32_t engine_location(const struct engine *engine,
                                       const void *at)
{
    size_t offset = (size_t)((const char *)at - engine->arena);

    return (uint32_t)(offset >> engine->unit_shift);
}

static inline uint32_t page_of(const struct engine *engine, const void *at)
{
    size_t offset = (size_t)((const char *)at - engine->arena);

    return (uint32_t)(offset >> engine->page_shift);
}

static inline char *page_at(const struct engine *engine, uint32_t page)
{
    return engine->arena + ((size_t)page << engine->page_shift);
}

static inline uint8_t class_of_page(const struct engine *engine, uint32_t page)
{
    return atomic_load_explicit(&engine->page_classes[page],
                                memory_order_relaxed);
}

static inline uint8_t class_of_chunk(const struct engine *engine,
                                     const void *chunk)
{
    return class_of_page(engine, page_of(engine, chunk));
}

/* --- counting: one thread writes, anybody reads --- */

static inline void tally_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(
        counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
        memory_order_relaxed);
}

static inline void tally_inc(_Atomic uint64_t *counter)
{
    tally_add(counter, 1);
}

/* --- classes, pages, chunks (engine_page.c) --- */

/* Cuts the arena's pages into classes; page_shift and unit_shift are set. */
void classes_plan(struct engine *engine);
void pool_init(struct engine *engine);
uint8_t class_of_size(const struct engine *engine, size_t wanted);

/* A page for the index or a class; PAGE_NONE if only `reserve` are left. */
uint32_t page_take(struct engine *engine, uint32_t reserve);
/* Of a page in the age queue whose chunks are all free.  False: they are not,
 * or somebody else has it. */
bool page_give_if_empty(struct engine *engine, uint32_t number);
/* Takes the page away from whoever takes chunks of it, and tells what it was;
 * PAGE_FREE: nothing to take. */
enum page_state page_detach(struct engine *engine, uint32_t number);
/* Ends what page_detach began: free if empty, else the youngest. */
void page_settle(struct engine *engine, uint32_t number);

/* A chunk from the thread's current page; NULL if that is full or none. */
void *chunk_take(struct engine_thread *thread, uint8_t class_id, size_t wanted);
/* Gives the class another current page; false: there is none to give. */
bool class_refill(struct engine_thread *thread, uint8_t class_id,
                  uint32_t reserve);
void chunk_give(struct engine *engine, void *chunk);
bool class_has_partial(struct engine *engine, uint8_t class_id);

static inline uint32_t pool_free(const struct engine *engine)
{
    return atomic_load_explicit(&engine->pool.free_count, memory_order_relaxed);
}

/* A sweep of the page may find nothing before the earliest of these. */
void page_note_expiry(struct engine *engine, const void *chunk,
                      uint64_t expires_ms);

/* --- items (engine_value.c) --- */

struct item_shape {
    struct slice key;
    uint64_t hash;
    size_t value_size;
    bool flagged;
};

/* An item that nobody can find yet: key and sizes are set, the value, CAS id,
 * flags, life and word are not.  `ready_only`: only of chunks at hand, which
 * is allowed under a bucket's lock. */
struct item *item_create(struct engine_thread *thread,
                         const struct engine_now *now,
                         const struct item_shape *shape, bool ready_only);
/* Gives back its chunks. */
void item_destroy(struct engine *engine, struct item *item);
/* Gives back all chunks but the first, after the value has become empty. */
void item_drop_chain(struct engine *engine, struct item *item);

/* Walks over the bytes of a value. */
struct cursor {
    const struct engine *engine;
    char *at;
    size_t left; /* at `at` */
    uint32_t next;
};

void cursor_start(struct cursor *cursor, const struct engine *engine,
                  struct item *item);
void cursor_put(struct cursor *cursor, const char *bytes, size_t size);
void cursor_get(struct cursor *cursor, char *out, size_t size);
void cursor_copy(struct cursor *to, struct cursor *from, size_t size);

/* Bytes used in a chunk that is part of an item. */
size_t chunk_wanted(const struct engine *engine, void *chunk);

/* --- index (engine_index.c) --- */

/* One or two locked buckets: all where a key can be. */
struct pair {
    struct bucket *bucket[2];
    unsigned count;
};

struct place {
    struct bucket *bucket;
    unsigned slot;
    struct item *item;
};

void index_init(struct engine *engine);
void pair_lock(struct engine *engine, uint64_t hash, struct pair *pair);
void pair_unlock(struct pair *pair);
/* The bucket of the key's first (0) or second (1) choice, locked. */
struct bucket *bucket_lock_choice(struct engine *engine, uint64_t hash,
                                  unsigned choice);
bool bucket_find(const struct engine *engine, struct bucket *bucket,
                 const struct engine_key *key, struct place *place);
bool pair_find(const struct engine *engine, const struct pair *pair,
               const struct engine_key *key, struct place *place);
/* The item that has this chunk. */
bool pair_find_chunk(const struct engine *engine, const struct pair *pair,
                     uint64_t hash, const void *chunk, struct place *place);
/* A free slot for the key, if need be by moving or evicting another; false:
 * full, and nothing may go, or not before index_catch_up. */
bool pair_make_room(struct engine_thread *thread, struct pair *pair,
                    struct place *place);
void place_set(const struct engine *engine, struct place *place, uint64_t hash,
               struct item *item);
void place_clear(struct place *place);
unsigned place_frequency(const struct place *place);
void place_set_frequency(struct place *place, unsigned frequency);
/* With no bucket locked, at the end of whatever may have linked an item: lets
 * the index grow when many buckets are full. */
void index_tend(struct engine_thread *thread, const struct engine_now *now);
/* With no bucket locked, after each try to link an item.  True: it failed only
 * because the index was behind with its growth; try again. */
bool index_catch_up(struct engine_thread *thread, const struct engine_now *now);
uint32_t bucket_number(uint32_t hash, uint32_t count);
struct bucket *bucket_at(const struct engine *engine, uint32_t number);
uint32_t hash_choice(uint64_t hash, unsigned choice);
uint16_t hash_tag(uint64_t hash);

/* --- life and death (engine_life.c) --- */

enum gone { GONE_DELETED, GONE_REPLACED, GONE_EVICTED, GONE_EXPIRED };

/* Writes what the books say about an item that goes. */
void item_count_gone(struct engine_thread *thread, struct item *item,
                     enum gone why);
/* Unlinks, counts, and gives back its chunks. */
void place_remove(struct engine_thread *thread, struct place *place,
                  enum gone why);
bool life_over(const struct engine *engine, uint64_t life, uint64_t now_ms);
bool item_visible(const struct engine *engine, const struct item *item,
                  uint64_t now_ms, uint32_t tenure);
/* Like pair_find, but an item that is not visible is removed. */
bool pair_find_visible(struct engine_thread *thread, const struct pair *pair,
                       const struct engine_now *now,
                       const struct engine_key *key, struct place *place);
void item_describe(const struct engine *engine, const struct item *item,
                   uint64_t now_ms, struct engine_item *out);
void item_set_expires(struct engine *engine, struct item *item,
                      uint64_t expires_ms);
void item_set_accessed(struct item *item, uint64_t now_ms, unsigned bits_on);
void place_count_use(struct place *place);
/* asked: what the client wants it to be, or 0.  before: of the item that
 * changes, or 0. */
uint64_t cas_next(struct engine_thread *thread, uint64_t asked,
                  uint64_t before);
/* Lets the flushes happen whose time has come. */
void flush_apply(struct engine_thread *thread, const struct engine_now *now);

static inline void thread_enter(struct engine_thread *thread,
                                const struct engine_now *now)
{
    uint64_t flush_at_ms = atomic_load_explicit(&thread->engine->flush_at_ms,
                                                memory_order_acquire);

    if (__builtin_expect(now->ms >= flush_at_ms, 0)) {
        flush_apply(thread, now);
    }
}

static inline uint8_t engine_generation(const struct engine *engine)
{
    return (uint8_t)atomic_load_explicit(&engine->generation,
                                         memory_order_relaxed);
}

/* --- stats (engine_stats.c) --- */

/* What the threads have counted, without a look at the pages. */
void engine_tally(const struct engine *engine, struct engine_stats *out);

/* --- stores (engine_store.c) --- */

struct fill {
    uint64_t cas;
    uint64_t expires_ms;
    uint32_t flags;
    uint32_t epoch;
    unsigned bits; /* ITEM_STALE, ITEM_SENT, ITEM_FETCHED */
};

/* Makes an item live: the last that is written to it. */
void item_finish(struct engine_thread *thread, struct item *item,
                 const struct engine_now *now, const struct fill *fill);
/* Links a finished item.  old: what it replaces, or NULL.  False: no room. */
bool pair_link(struct engine_thread *thread, struct pair *pair, uint64_t hash,
               struct item *item, struct place *old);

/* --- eviction and sweeps (engine_evict.c) --- */

/* Frees a page, or room on one of the class (CLASS_NONE: a page it must be);
 * false: nothing can go. */
bool evict_page(struct engine_thread *thread, const struct engine_now *now,
                uint8_t class_id);
/* Removes every item whose life is over. */
void sweep_everything(struct engine_thread *thread,
                      const struct engine_now *now);

#endif
