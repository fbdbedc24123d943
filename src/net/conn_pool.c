#include "net/conn_internal.h"

#include "base/mem.h"

enum err conn_pool_create(struct conn_pool **out, struct loop *loop,
                          size_t limit)
{
    const struct env *env = loop_env(loop);
    struct conn_pool *pool = mem_alloc_zeroed(env->mem, sizeof *pool);

    if (pool == NULL) {
        return ERR_NOMEM;
    }
    pool->magic = POOL_MAGIC;
    pool->loop = loop;
    pool->mem = env->mem;
    pool->net = env->net;
    pool->limit = limit;
    *out = pool;
    return ERR_OK;
}

void conn_pool_destroy(struct conn_pool **out)
{
    struct conn_pool *pool = *out;

    if (pool == NULL) {
        return;
    }
    check(pool->magic == POOL_MAGIC);
    pool->is_ending = true;
    while (pool->conns != NULL) {
        conn_close_now(pool->conns);
        conn_end(pool->conns);
    }
    conn_lingers_end(pool);
    check(pool->conn_count == 0 && pool->linger_count == 0);
    check(pool->buffer_bytes == 0);
    while (pool->idle_blocks != NULL) {
        struct pool_block *block = pool->idle_blocks;

        pool->idle_blocks = block->next;
        mem_free(pool->mem, block);
    }
    pool->magic = MAGIC_DEAD;
    mem_free(pool->mem, pool);
    *out = NULL;
}

void conn_pool_books(const struct conn_pool *pool, struct conn_books *out)
{
    out->bytes_read =
        atomic_load_explicit(&pool->bytes_read, memory_order_relaxed);
    out->bytes_written =
        atomic_load_explicit(&pool->bytes_written, memory_order_relaxed);
    out->buffer_bytes =
        atomic_load_explicit(&pool->buffer_bytes, memory_order_relaxed);
}

size_t conn_pool_count(const struct conn_pool *pool)
{
    return pool->conn_count;
}

/* Nobody is destroyed meanwhile: closing only marks, and ends later. */
void conn_pool_each(struct conn_pool *pool,
                    void (*visit)(void *context, struct conn *conn),
                    void *context)
{
    check(pool->magic == POOL_MAGIC);
    for (struct conn *conn = pool->conns; conn != NULL;) {
        struct conn *next = conn->next;

        visit(context, conn);
        conn = next;
    }
}

bool pool_has_room(const struct conn_pool *pool, size_t size)
{
    uint64_t held =
        atomic_load_explicit(&pool->buffer_bytes, memory_order_relaxed);

    return held <= pool->limit && size <= pool->limit - held;
}

void *pool_take(struct conn_pool *pool, size_t size)
{
    void *memory = NULL;

    if (!pool_has_room(pool, size)) {
        return NULL;
    }
    if (size == CONN_BLOCK_SIZE && pool->idle_blocks != NULL) {
        memory = pool->idle_blocks;
        pool->idle_blocks = pool->idle_blocks->next;
        pool->idle_block_count--;
    } else {
        memory = mem_alloc(pool->mem, size);
    }
    if (memory != NULL) {
        pool_count(&pool->buffer_bytes, size);
    }
    return memory;
}

void pool_give(struct conn_pool *pool, void *memory, size_t size)
{
    check(atomic_load_explicit(&pool->buffer_bytes, memory_order_relaxed) >=
          size);
    pool_count(&pool->buffer_bytes, -(uint64_t)size);
    if (size == CONN_BLOCK_SIZE &&
        pool->idle_block_count < POOL_IDLE_BLOCKS_MAX) {
        struct pool_block *block = memory;

        block->next = pool->idle_blocks;
        pool->idle_blocks = block;
        pool->idle_block_count++;
    } else {
        mem_free(pool->mem, memory);
    }
}
