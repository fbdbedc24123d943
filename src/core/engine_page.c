#include "core/engine_private.h"

/* --- classes --- */

static size_t round_down(size_t size, size_t unit)
{
    return size / unit * unit;
}

/* Each class is about 7 % larger than the one before (an eighth where pages
 * are few, and half-filled ones would weigh more than the rounding), and as
 * large as its number of chunks per page allows. */
void classes_plan(struct engine *engine)
{
    size_t page_size = (size_t)1 << engine->page_shift;
    size_t unit = (size_t)1 << engine->unit_shift;
    size_t part = engine->page_count >= 960 ? 14 : 8;
    size_t size = CHUNK_SIZE_MIN;

    if (size < unit) {
        size = unit;
    }
    engine->class_count = 0;
    for (;;) {
        size_t per_page = page_size / size;
        struct class *class = &engine->classes[engine->class_count++];

        check(engine->class_count <= ENGINE_CLASSES_MAX);
        size = round_down(page_size / per_page, unit);
        class->size = (uint32_t)size;
        class->per_page = (uint32_t)per_page;
        class->holes_min =
            engine->evict && per_page >= 8 ? (uint32_t)(per_page / 4) : 1;
        class->partial_first = PAGE_NONE;
        if (per_page <= 4) {
            break;
        }
        size_t next = round_down(size + size / part, unit);

        size = next > size ? next : size + unit;
        if (page_size / size < 4) {
            size = round_down(page_size / 4, unit);
        }
    }
    engine->chunk_size_max = (uint32_t)size;

    unsigned class_id = 0;

    for (size_t i = 0; i <= CLASS_TABLE_SIZE; i++) {
        while (engine->classes[class_id].size < i * 8) {
            class_id++;
        }
        engine->class_table[i] = (uint8_t)class_id;
    }
}

uint8_t class_of_size(const struct engine *engine, size_t wanted)
{
    if (wanted <= (size_t)CLASS_TABLE_SIZE * 8) {
        return engine->class_table[(wanted + 7) / 8];
    }
    unsigned low = 0;
    unsigned high = engine->class_count - 1;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (engine->classes[middle].size < wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return (uint8_t)low;
}

/* --- the pool --- */

void pool_init(struct engine *engine)
{
    engine->pool.free_first = PAGE_NONE;
    engine->pool.age_first = PAGE_NONE;
    engine->pool.age_last = PAGE_NONE;
    atomic_init(&engine->pool.free_count, engine->page_count);
    for (uint32_t i = 0; i < engine->page_count; i++) {
        engine->pages[i].state = PAGE_FREE;
    }
}

static void age_append(struct engine *engine, uint32_t number)
{
    struct pool *pool = &engine->pool;
    struct page *page = &engine->pages[number];

    page->age_next = PAGE_NONE;
    page->age_previous = pool->age_last;
    if (pool->age_last == PAGE_NONE) {
        pool->age_first = number;
    } else {
        engine->pages[pool->age_last].age_next = number;
    }
    pool->age_last = number;
}

static void age_unlink(struct engine *engine, uint32_t number)
{
    struct pool *pool = &engine->pool;
    const struct page *page = &engine->pages[number];

    if (page->age_previous == PAGE_NONE) {
        pool->age_first = page->age_next;
    } else {
        engine->pages[page->age_previous].age_next = page->age_next;
    }
    if (page->age_next == PAGE_NONE) {
        pool->age_last = page->age_previous;
    } else {
        engine->pages[page->age_next].age_previous = page->age_previous;
    }
}

static void age_renew(struct engine *engine, uint32_t number)
{
    spin_lock(&engine->pool.lock);
    age_unlink(engine, number);
    age_append(engine, number);
    spin_unlock(&engine->pool.lock);
}

uint32_t page_take(struct engine *engine, uint32_t reserve)
{
    struct pool *pool = &engine->pool;
    uint32_t number = PAGE_NONE;

    spin_lock(&pool->lock);
    uint32_t count = pool_free(engine);

    if (count > reserve) {
        number = pool->free_first;
        if (number != PAGE_NONE) {
            pool->free_first = engine->pages[number].age_next;
        } else {
            number = pool->fresh++;
        }
        atomic_store_explicit(&pool->free_count, count - 1,
                              memory_order_relaxed);
    }
    spin_unlock(&pool->lock);
    return number;
}

/* Its state says already that it is free. */
static void page_give(struct engine *engine, uint32_t number)
{
    struct pool *pool = &engine->pool;

    spin_lock(&pool->lock);
    age_unlink(engine, number);
    engine->pages[number].age_next = pool->free_first;
    pool->free_first = number;
    atomic_store_explicit(&pool->free_count, pool_free(engine) + 1,
                          memory_order_relaxed);
    spin_unlock(&pool->lock);
}

/* --- pages of a class; the functions here want the class locked --- */

static void partial_push(struct engine *engine, struct class *class,
                         uint32_t number)
{
    struct page *page = &engine->pages[number];

    page->partial_previous = PAGE_NONE;
    page->partial_next = class->partial_first;
    if (class->partial_first != PAGE_NONE) {
        engine->pages[class->partial_first].partial_previous = number;
    }
    class->partial_first = number;
}

static void partial_unlink(struct engine *engine, struct class *class,
                           uint32_t number)
{
    const struct page *page = &engine->pages[number];

    if (page->partial_previous == PAGE_NONE) {
        class->partial_first = page->partial_next;
    } else {
        engine->pages[page->partial_previous].partial_next = page->partial_next;
    }
    if (page->partial_next != PAGE_NONE) {
        engine->pages[page->partial_next].partial_previous =
            page->partial_previous;
    }
}

static _Atomic uint32_t *current_of(const struct engine *engine,
                                    uint32_t stripe, uint8_t class_id)
{
    return &engine->current[(size_t)stripe * ENGINE_CLASSES_MAX + class_id];
}

/* Locks the class and the page, if the page is still what it was when the
 * caller saw it: that class's, and in use for chunks. */
static struct class *page_lock_as(struct engine *engine, uint32_t number,
                                  uint8_t class_id)
{
    struct class *class = &engine->classes[class_id];
    struct page *page = &engine->pages[number];

    spin_lock(&class->lock);
    spin_lock(&page->lock);
    bool same = class_of_page(engine, number) == class_id &&
                (page->state == PAGE_CURRENT || page->state == PAGE_PARTIAL ||
                 page->state == PAGE_FULL);

    if (!same) {
        spin_unlock(&page->lock);
        spin_unlock(&class->lock);
        return NULL;
    }
    return class;
}

static void page_move(struct engine *engine, uint32_t number,
                      enum page_state state)
{
    struct page *page = &engine->pages[number];
    uint8_t class_id = class_of_page(engine, number);
    struct class *class = &engine->classes[class_id];

    if (page->state == PAGE_CURRENT) {
        atomic_store_explicit(current_of(engine, page->stripe, class_id),
                              PAGE_NONE, memory_order_relaxed);
    } else if (page->state == PAGE_PARTIAL) {
        partial_unlink(engine, class, number);
    }
    page->state = state;
    if (state == PAGE_PARTIAL) {
        partial_push(engine, class, number);
    }
}

enum page_state page_detach(struct engine *engine, uint32_t number)
{
    struct class *class =
        page_lock_as(engine, number, class_of_page(engine, number));

    if (class == NULL) {
        return PAGE_FREE;
    }
    enum page_state before = engine->pages[number].state;

    page_move(engine, number, PAGE_EVICTING);
    spin_unlock(&engine->pages[number].lock);
    spin_unlock(&class->lock);
    return before;
}

static bool has_holes(const struct class *class, const struct page *page)
{
    return class->per_page - page->used >= class->holes_min;
}

void page_settle(struct engine *engine, uint32_t number)
{
    struct page *page = &engine->pages[number];
    struct class *class = &engine->classes[class_of_page(engine, number)];

    spin_lock(&class->lock);
    spin_lock(&page->lock);
    check(page->state == PAGE_EVICTING);
    bool empty = page->used == 0;

    if (!empty) {
        /* As long as it is ours: afterwards anybody may free it. */
        age_renew(engine, number);
    }
    page_move(engine, number,
              empty                    ? PAGE_FREE
              : has_holes(class, page) ? PAGE_PARTIAL
                                       : PAGE_FULL);
    spin_unlock(&page->lock);
    spin_unlock(&class->lock);
    if (empty) {
        page_give(engine, number);
    }
}

bool page_give_if_empty(struct engine *engine, uint32_t number)
{
    uint8_t class_id = class_of_page(engine, number);
    struct class *class = page_lock_as(engine, number, class_id);

    if (class == NULL) {
        return false;
    }
    bool empty = engine->pages[number].used == 0;

    if (empty) {
        page_move(engine, number, PAGE_FREE);
    }
    spin_unlock(&engine->pages[number].lock);
    spin_unlock(&class->lock);
    if (empty) {
        page_give(engine, number);
    }
    return empty;
}

/* After a chunk was given back to a full page, or the last one to any. */
static void page_reconsider(struct engine *engine, uint32_t number,
                            uint8_t class_id)
{
    struct class *class = page_lock_as(engine, number, class_id);

    if (class == NULL) {
        return;
    }
    struct page *page = &engine->pages[number];
    bool empty = page->used == 0 && page->state != PAGE_CURRENT;

    if (empty) {
        page_move(engine, number, PAGE_FREE);
    } else if (page->state == PAGE_FULL && has_holes(class, page)) {
        page_move(engine, number, PAGE_PARTIAL);
    }
    spin_unlock(&page->lock);
    spin_unlock(&class->lock);
    if (empty) {
        page_give(engine, number);
    }
}

/* A page from the pool, not yet in any list. */
static void page_open(struct engine *engine, uint32_t number, uint8_t class_id)
{
    struct page *page = &engine->pages[number];

    spin_lock(&page->lock);
    page->used = 0;
    page->fresh = 0;
    page->free_first = 0;
    atomic_store_explicit(&engine->page_classes[number], class_id,
                          memory_order_relaxed);
    atomic_store_explicit(&page->expires_min_ms, UINT64_MAX,
                          memory_order_relaxed);
    spin_unlock(&page->lock);
#ifdef ENGINE_FENCES
    ASAN_POISON_MEMORY_REGION(page_at(engine, number),
                              (size_t)1 << engine->page_shift);
#endif
}

/* With the class locked.  What was current until now is full, or as good as. */
static void page_make_current(struct engine_thread *thread, uint8_t class_id,
                              uint32_t number)
{
    struct engine *engine = thread->engine;
    struct page *page = &engine->pages[number];

    spin_lock(&page->lock);
    page_move(engine, number, PAGE_CURRENT);
    page->stripe = thread->stripe;
    spin_unlock(&page->lock);
    atomic_store_explicit(&thread->current[class_id], number,
                          memory_order_relaxed);
}

/* With the class locked: retires a current page that is full; true if there is
 * one that is not. */
static bool current_has_room(struct engine_thread *thread, uint8_t class_id)
{
    struct engine *engine = thread->engine;
    const struct class *class = &engine->classes[class_id];
    uint32_t number =
        atomic_load_explicit(&thread->current[class_id], memory_order_relaxed);

    if (number == PAGE_NONE) {
        return false;
    }
    struct page *page = &engine->pages[number];

    spin_lock(&page->lock);
    bool room = page->used < class->per_page;

    if (!room) {
        /* Its age counts from now: it may have been long in filling, and its
         * last items shall not go with its first. */
        page_move(engine, number, PAGE_FULL);
        age_renew(engine, number);
    }
    spin_unlock(&page->lock);
    return room;
}

bool class_refill(struct engine_thread *thread, uint8_t class_id,
                  uint32_t reserve)
{
    struct engine *engine = thread->engine;
    struct class *class = &engine->classes[class_id];

    spin_lock(&class->lock);
    bool done = current_has_room(thread, class_id);

    if (!done && class->partial_first != PAGE_NONE) {
        page_make_current(thread, class_id, class->partial_first);
        done = true;
    }
    spin_unlock(&class->lock);
    if (done) {
        return true;
    }
    uint32_t number = page_take(engine, reserve);

    if (number == PAGE_NONE) {
        return false;
    }
    page_open(engine, number, class_id);
    spin_lock(&class->lock);
    if (current_has_room(thread, class_id)) {
        /* A thread of the same stripe was faster: one page to spare. */
        spin_lock(&engine->pages[number].lock);
        page_move(engine, number, PAGE_PARTIAL);
        spin_unlock(&engine->pages[number].lock);
    } else {
        page_make_current(thread, class_id, number);
    }
    spin_lock(&engine->pool.lock);
    age_append(engine, number);
    spin_unlock(&engine->pool.lock);
    spin_unlock(&class->lock);
    return true;
}

bool class_has_partial(struct engine *engine, uint8_t class_id)
{
    struct class *class = &engine->classes[class_id];

    spin_lock(&class->lock);
    bool has = class->partial_first != PAGE_NONE;

    spin_unlock(&class->lock);
    return has;
}

/* --- chunks --- */

/* With the page locked and known to have room. */
static void *page_cut(struct engine *engine, uint32_t number,
                      const struct class *class, size_t wanted)
{
    struct page *page = &engine->pages[number];
    struct item *chunk;

    if (page->free_first != 0) {
        chunk = engine_at(engine, page->free_first);
        memcpy(&page->free_first, chunk, sizeof page->free_first);
    } else {
        chunk = (void *)(page_at(engine, number) + page->fresh);
        page->fresh += class->size;
    }
    page->used++;
    chunk_fence(chunk, wanted, class->size);
    item_set_word(chunk, 0);
    return chunk;
}

void *chunk_take(struct engine_thread *thread, uint8_t class_id, size_t wanted)
{
    struct engine *engine = thread->engine;
    const struct class *class = &engine->classes[class_id];
    uint32_t number =
        atomic_load_explicit(&thread->current[class_id], memory_order_relaxed);
    void *chunk = NULL;

    check_slow(wanted <= class->size);
    if (number == PAGE_NONE) {
        return NULL;
    }
    struct page *page = &engine->pages[number];

    spin_lock(&page->lock);
    /* It may have been taken away since. */
    if (page->state == PAGE_CURRENT && page->stripe == thread->stripe &&
        class_of_page(engine, number) == class_id &&
        page->used < class->per_page) {
        chunk = page_cut(engine, number, class, wanted);
    }
    spin_unlock(&page->lock);
    return chunk;
}

void chunk_give(struct engine *engine, void *chunk)
{
    uint32_t number = page_of(engine, chunk);
    uint8_t class_id = class_of_chunk(engine, chunk);
    struct page *page = &engine->pages[number];
    const struct class *class = &engine->classes[class_id];

    spin_lock(&page->lock);
    check(page->used > 0);
    item_set_word(chunk, 0);
    memcpy(chunk, &page->free_first, sizeof page->free_first);
    page->free_first = engine_location(engine, chunk);
    page->used--;
    chunk_fence(chunk, CHUNK_SIZE_MIN, class->size);
    bool reconsider = (page->state == PAGE_FULL && has_holes(class, page)) ||
                      (page->state == PAGE_PARTIAL && page->used == 0);

    spin_unlock(&page->lock);
    if (reconsider) {
        page_reconsider(engine, number, class_id);
    }
}

void page_note_expiry(struct engine *engine, const void *chunk,
                      uint64_t expires_ms)
{
    _Atomic uint64_t *least =
        &engine->pages[page_of(engine, chunk)].expires_min_ms;
    uint64_t before = atomic_load_explicit(least, memory_order_relaxed);

    if (expires_ms == 0) {
        return;
    }
    while (expires_ms < before &&
           !atomic_compare_exchange_weak_explicit(least, &before, expires_ms,
                                                  memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}
