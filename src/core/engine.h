/* engine.h -- the store of one shard: keys, values, expiry, eviction.
 *
 * The engine knows no socket, no clock and no ring: time and epoch are passed
 * in with each call.  Any worker thread may operate on any key; a thread calls
 * with its own struct engine_thread.  A value is copied out before the call
 * returns, so no reference into the store ever leaves it.
 *
 * Memory: pages, index and books stay within the limit given at creation; when
 * it is reached, the coldest items go (or stores are refused, if so told).
 */
#ifndef CORE_ENGINE_H
#define CORE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/slice.h"

enum { ENGINE_THREADS_MAX = 128, ENGINE_CLASSES_MAX = 128 };

struct engine;
struct engine_thread;

struct engine_options {
    const struct mem *mem;
    uint64_t memory_limit;   /* bytes; 8 MiB or more */
    uint64_t value_size_max; /* bytes; at most half the limit */
    unsigned thread_count;   /* 1 to ENGINE_THREADS_MAX */
    bool evict;              /* false: a full store refuses (-M) */
    uint64_t cas_first;      /* CAS ids start here and only rise */
    uint8_t secret[192];     /* keys the index hash; random */
};

/* ERR_NOMEM; ERR_RANGE with *why naming the option. */
enum err engine_create(struct engine **out,
                       const struct engine_options *options, struct why *why);
void engine_destroy(struct engine **engine);

/* index < thread_count.  Each is for one thread at a time. */
struct engine_thread *engine_thread(struct engine *engine, unsigned index);

/* Times are milliseconds since 1970 on a clock that does not jump.  An
 * expires_ms of 0 is never; one that is not after now is at once. */
struct engine_now {
    uint64_t ms;
    uint32_t epoch; /* items stored now are stamped with it */
};

/* A key, ready to be looked up. */
struct engine_key {
    struct slice key; /* 1 to KEY_SIZE_MAX bytes, any bytes */
    uint64_t hash;    /* engine_hash(key) */
    uint32_t tenure;  /* items stamped with a lower epoch do not exist */
};

/* Keyed with the engine's secret: must not leave the process. */
uint64_t engine_hash(const struct engine *engine, struct slice key);

/* Bring what a look-up will touch towards the cache; for a batch, call the
 * first for all keys, then the second for all, then operate. */
void engine_prefetch_bucket(const struct engine *engine, uint64_t hash);
void engine_prefetch_item(const struct engine *engine, uint64_t hash);

enum engine_result {
    ENGINE_OK,         /* hit, stored, deleted, touched */
    ENGINE_MISS,       /* no such key */
    ENGINE_NOT_STORED, /* add of what exists, replace of what does not */
    ENGINE_EXISTS,     /* the CAS id is another */
    ENGINE_TOO_LARGE,
    ENGINE_NO_MEMORY,  /* nothing could be evicted */
    ENGINE_NOT_NUMBER, /* arithmetic on a value that is none */
    ENGINE_NO_ROOM,    /* the sink had no room for the value */
};

/* What is known of an item beside its value.  A get tells what was before it:
 * before its touch, its access, its winning.  Other operations tell what is
 * after them.  Where one is handed out, the caller may pass NULL if it does
 * not care; after a miss or a refused change it is zeroed. */
struct engine_item {
    uint64_t cas;
    uint64_t expires_ms;  /* 0: never */
    uint64_t accessed_ms; /* the access before this one, in whole seconds */
    uint32_t flags;       /* the client's */
    uint32_t value_size;
    bool fetched; /* had been read before this access */
    bool stale;   /* meta X */
    bool won;     /* meta W: the caller is the one to refill it */
    bool sent;    /* meta Z: somebody else was already told so */
    uint8_t class_id;
};

/* Where a value goes.  room() is told the item and returns where its
 * value_size bytes shall be copied, or NULL if there is no room.  It may be
 * called more than once for one operation (the item changed while it was
 * copied): only the last call counts.  It runs inside the engine: it must not
 * block, nor call the engine. */
struct engine_sink {
    char *(*room)(void *context, const struct engine_item *item);
    void *context;
};

/* How to read.  All false is memcached's plain get. */
struct engine_get {
    bool touch; /* set expires_ms */
    uint64_t expires_ms;
    bool quiet_access; /* do not count as an access (meta u) */
    bool leases;       /* meta: hand out won, mark sent */
    bool vivify;       /* on a miss, create an empty item and win it */
    uint64_t vivify_expires_ms;
    uint64_t cas_new; /* of the vivified item; 0: the engine's next */
    bool recache;     /* win if less than recache_ms are left to live */
    uint64_t recache_ms;
};

/* sink NULL: the value is not wanted.  get NULL: plain.  ENGINE_OK,
 * ENGINE_MISS (also when vivified: then item->won), ENGINE_NO_ROOM,
 * ENGINE_NO_MEMORY (vivify). */
enum engine_result
engine_get(struct engine_thread *thread, const struct engine_now *now,
           const struct engine_key *key, const struct engine_get *get,
           const struct engine_sink *sink, struct engine_item *item);

enum store_mode {
    STORE_SET,
    STORE_ADD,
    STORE_REPLACE,
    STORE_APPEND, /* keeps the item's flags and expiry */
    STORE_PREPEND,
};

struct engine_store {
    enum store_mode mode;
    struct slice value;
    uint32_t flags;
    uint64_t expires_ms;
    /* Only if the item has this CAS id, else ENGINE_EXISTS.  If there is no
     * item: ENGINE_MISS for set and replace, as without it for the others.
     * Has no say in an add. */
    bool compare;
    uint64_t cas;
    uint64_t cas_new; /* 0: the engine's next */
    /* Meta I: with compare, a CAS id below the item's stores too, but the item
     * is stale, and keeps its expiry and its winner. */
    bool invalidate;
    bool vivify; /* append and prepend create what is not there */
    uint64_t vivify_expires_ms;
};

/* A store that fails as TOO_LARGE or NO_MEMORY leaves no old value behind,
 * whatever the mode. */
enum engine_result engine_store(struct engine_thread *thread,
                                const struct engine_now *now,
                                const struct engine_key *key,
                                const struct engine_store *store,
                                struct engine_item *item);

struct engine_delete {
    bool compare;
    uint64_t cas;
    uint64_t cas_new; /* of an item that stays; 0: the engine's next */
    bool mark_stale;  /* meta I: keep it, stale, with a new CAS id */
    bool touch;       /* meta T, with mark_stale */
    uint64_t expires_ms;
    bool drop_value; /* meta x: keep it, but empty and with flags 0 */
};

enum engine_result engine_delete(struct engine_thread *thread,
                                 const struct engine_now *now,
                                 const struct engine_key *key,
                                 const struct engine_delete *how);

struct engine_arith {
    bool decrement;
    uint64_t delta;
    bool compare;
    uint64_t cas;
    uint64_t cas_new;
    bool touch;
    uint64_t expires_ms;
    bool vivify; /* a key that is not there starts at `initial` */
    uint64_t initial;
    uint64_t vivify_expires_ms;
};

/* incr wraps at 2^64, decr stops at 0; a number that got shorter keeps its
 * width, padded with blanks, as memcached does.  *number: the new value. */
enum engine_result engine_arith(struct engine_thread *thread,
                                const struct engine_now *now,
                                const struct engine_key *key,
                                const struct engine_arith *arith,
                                uint64_t *number, struct engine_item *item);

/* Looks at an item without counting as an access (meta me). */
enum engine_result engine_peek(struct engine_thread *thread,
                               const struct engine_now *now,
                               const struct engine_key *key,
                               struct engine_item *item);

/* What was stored before at_ms is gone from at_ms on.  A time that is not to
 * come means now.  Up to 64 may be pending, each of which happens; one more
 * replaces the latest. */
void engine_flush(struct engine *engine, uint64_t at_ms);

/* Work in the background: expiry and free pages in reserve.  Call it about ten
 * times a second from any one thread; returns after about budget items. */
void engine_tend(struct engine_thread *thread, const struct engine_now *now,
                 unsigned budget);

struct engine_stats {
    uint64_t items;
    uint64_t items_total; /* ever stored */
    uint64_t bytes;       /* keys, values and headers of live items */
    uint64_t memory_limit;
    uint64_t memory_used; /* pages, index and books */
    uint64_t index_bytes;
    uint64_t pages; /* for items, those that are free among them */
    uint64_t pages_free;
    uint64_t evictions;
    uint64_t evicted_unfetched;
    uint64_t expired; /* found or swept after their time, or a flush */
    uint64_t expired_unfetched;
    uint64_t reclaimed; /* expired space used for another item */
    uint64_t deleted;
    uint64_t replaced; /* overwritten items */
};

/* Exact when nobody writes meanwhile:
 * items = items_total - replaced - deleted - evictions - expired. */
void engine_stats(struct engine *engine, struct engine_stats *out);

struct engine_class {
    uint32_t chunk_size;
    uint32_t chunks_per_page;
    uint64_t pages;
    uint64_t chunks_used;
    uint64_t bytes_wanted; /* what the items need of their chunks */
    uint64_t evictions;
    uint64_t out_of_memory;
};

unsigned engine_class_count(const struct engine *engine);
void engine_class_stats(struct engine *engine, unsigned class_id,
                        struct engine_class *out);

/* Walks everything and checks that the books balance.  Only while no other
 * thread is in the engine: for tests. */
bool engine_books_balance(struct engine *engine, struct why *why);

#endif
