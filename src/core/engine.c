#include "core/engine.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/engine_private.h"

enum {
    MEMORY_LIMIT_MIN = 8 << 20,
    PAGE_SHIFT_MIN = 15, /* 32 KiB */
    PAGE_SHIFT_MAX = 20,
    PAGES_WANTED = 1024,
    PAGES_PER_STRIPE = 256,
    INDEX_SHARE_MAX = 8, /* of the limit, one in this many bytes */
};

_Static_assert(sizeof((struct engine_options){0}.secret) == SECRET_SIZE,
               "the secret is kept whole");

/* --- creation --- */

static enum err options_check(const struct engine_options *options,
                              struct why *why)
{
    if (options->memory_limit < MEMORY_LIMIT_MIN ||
        options->memory_limit > UINT64_C(1) << 46) {
        return err_why(why, ERR_RANGE,
                       "memory_limit is %llu bytes: 8 MiB to 64 TiB allowed",
                       (unsigned long long)options->memory_limit);
    }
    if (options->value_size_max > options->memory_limit / 2 ||
        options->value_size_max > INT32_MAX) {
        return err_why(why, ERR_RANGE,
                       "value_size_max is %llu bytes: at most half of "
                       "memory_limit, and 2 GiB, allowed",
                       (unsigned long long)options->value_size_max);
    }
    if (options->thread_count < 1 ||
        options->thread_count > ENGINE_THREADS_MAX) {
        return err_why(why, ERR_RANGE, "thread_count is %u: 1 to %d allowed",
                       options->thread_count, ENGINE_THREADS_MAX);
    }
    return ERR_OK;
}

static unsigned log2_ceil(uint64_t value)
{
    return value <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(value - 1);
}

static uint8_t page_shift_for(uint64_t memory_limit)
{
    unsigned shift =
        63 - (unsigned)__builtin_clzll(memory_limit / PAGES_WANTED);

    if (shift < PAGE_SHIFT_MIN) {
        shift = PAGE_SHIFT_MIN;
    }
    return (uint8_t)(shift > PAGE_SHIFT_MAX ? PAGE_SHIFT_MAX : shift);
}

/* Where the parts of the books lie in their one block. */
struct books_plan {
    size_t pages;
    size_t directory;
    size_t page_classes;
    size_t threads;
    size_t current;
    size_t size;
};

static size_t part(size_t *at, size_t size)
{
    size_t start = (*at + CACHE_LINE - 1) & ~(size_t)(CACHE_LINE - 1);

    *at = start + size;
    return start;
}

static struct books_plan books_plan(uint64_t pages_most, unsigned threads,
                                    unsigned stripes)
{
    struct books_plan plan;
    size_t at = sizeof(struct engine);

    plan.pages = part(&at, pages_most * sizeof(struct page));
    plan.directory = part(&at, pages_most * sizeof(_Atomic uint32_t));
    plan.page_classes = part(&at, pages_most * sizeof(_Atomic uint8_t));
    plan.threads = part(&at, threads * sizeof(struct engine_thread));
    plan.current = part(&at, (size_t)stripes * ENGINE_CLASSES_MAX *
                                 sizeof(_Atomic uint32_t));
    plan.size = at;
    return plan;
}

/* The block is one cache line larger than planned, to begin at one. */
static struct engine *books_cut(void *block, const struct books_plan *plan)
{
    char *at = block;

    at += -(uintptr_t)at & (CACHE_LINE - 1);
    memset(at, 0, plan->size);
    struct engine *engine = (void *)at;

    engine->books = block;
    engine->books_size = plan->size + CACHE_LINE;
    engine->pages = (void *)(at + plan->pages);
    engine->directory = (void *)(at + plan->directory);
    engine->page_classes = (void *)(at + plan->page_classes);
    engine->threads = (void *)(at + plan->threads);
    engine->current = (void *)(at + plan->current);
    return engine;
}

static void engine_set_sizes(struct engine *engine,
                             const struct engine_options *options)
{
    uint64_t pages;

    engine->memory_limit = options->memory_limit;
    engine->value_size_max = options->value_size_max;
    engine->evict = options->evict;
    engine->page_shift = page_shift_for(options->memory_limit);
    engine->unit_shift = 3;
    while (options->memory_limit >> engine->unit_shift > UINT32_MAX) {
        engine->unit_shift++;
    }
    engine->bucket_shift = (uint8_t)(engine->page_shift - 6);
    pages = (options->memory_limit - engine->books_size - ARENA_ALIGNMENT) >>
            engine->page_shift;
    engine->page_count = (uint32_t)pages;
    engine->pool_reserve = options->evict ? 1 : 0;

    uint64_t buckets = options->memory_limit / INDEX_SHARE_MAX / CACHE_LINE;

    engine->bucket_count_max =
        (uint32_t)(buckets > UINT32_MAX / 2 ? UINT32_MAX / 2 : buckets);
}

static void threads_init(struct engine *engine, uint64_t cas_first)
{
    for (unsigned i = 0; i < engine->stripe_count * ENGINE_CLASSES_MAX; i++) {
        atomic_init(&engine->current[i], PAGE_NONE);
    }
    for (unsigned i = 0; i < engine->thread_count; i++) {
        struct engine_thread *thread = &engine->threads[i];

        thread->engine = engine;
        thread->index = i;
        thread->stripe = i % engine->stripe_count;
        thread->current =
            engine->current + (size_t)thread->stripe * ENGINE_CLASSES_MAX;
        /* The next id is one more, and must not be below cas_first. */
        thread->cas_count =
            cas_first == 0 ? 0 : (cas_first - 1) >> engine->cas_shift;
    }
}

enum err engine_create(struct engine **out,
                       const struct engine_options *options, struct why *why)
{
    enum err e = options_check(options, why);

    if (e != ERR_OK) {
        return e;
    }
    uint64_t pages_most =
        options->memory_limit >> page_shift_for(options->memory_limit);
    uint64_t stripes = 1 + (pages_most - 1) / PAGES_PER_STRIPE;

    if (stripes > options->thread_count) {
        stripes = options->thread_count;
    }
    struct books_plan plan =
        books_plan(pages_most, options->thread_count, (unsigned)stripes);
    void *books = mem_alloc(options->mem, plan.size + CACHE_LINE);

    if (books == NULL) {
        return err_why(why, ERR_NOMEM, "no memory for the engine's books");
    }
    struct engine *engine = books_cut(books, &plan);

    engine->mem = options->mem;
    engine->thread_count = options->thread_count;
    engine->stripe_count = (unsigned)stripes;
    engine->cas_shift = (uint8_t)log2_ceil(options->thread_count);
    memcpy(engine->secret, options->secret, sizeof engine->secret);
    engine_set_sizes(engine, options);

    /* Not touched before it is used, so resident only then. */
    size_t arena_size =
        ((size_t)engine->page_count << engine->page_shift) + ARENA_ALIGNMENT;

    engine->arena_block = mem_alloc(options->mem, arena_size);
    if (engine->arena_block == NULL) {
        mem_free(options->mem, books);
        return err_why(why, ERR_NOMEM, "no memory for a cache of %llu bytes",
                       (unsigned long long)options->memory_limit);
    }
    engine->arena = engine->arena_block;
    engine->arena += -(uintptr_t)engine->arena & (ARENA_ALIGNMENT - 1);
    check(pthread_mutex_init(&engine->evicting, NULL) == 0);
    atomic_init(&engine->flush_at_ms, UINT64_MAX);
    classes_plan(engine);
    pool_init(engine);
    index_init(engine);
    threads_init(engine, options->cas_first);
    engine->magic = ENGINE_MAGIC;
    *out = engine;
    return ERR_OK;
}

void engine_destroy(struct engine **engine_in)
{
    struct engine *engine = *engine_in;

    if (engine == NULL) {
        return;
    }
    check(engine->magic == ENGINE_MAGIC);
    engine->magic = MAGIC_DEAD;
#ifdef ENGINE_FENCES
    ASAN_UNPOISON_MEMORY_REGION(engine->arena, (size_t)engine->page_count
                                                   << engine->page_shift);
#endif
    pthread_mutex_destroy(&engine->evicting);
    const struct mem *mem = engine->mem;
    void *books = engine->books;

    mem_free(mem, engine->arena_block);
    mem_free(mem, books);
    *engine_in = NULL;
}

struct engine_thread *engine_thread(struct engine *engine, unsigned index)
{
    check(engine->magic == ENGINE_MAGIC);
    check(index < engine->thread_count);
    return &engine->threads[index];
}

uint64_t engine_hash(const struct engine *engine, struct slice key)
{
    return XXH3_64bits_withSecret(key.at, key.size, engine->secret,
                                  sizeof engine->secret);
}
