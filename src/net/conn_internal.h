/* conn_internal.h -- what the files of conn share. */
#ifndef NET_CONN_INTERNAL_H
#define NET_CONN_INTERNAL_H

#include <stdatomic.h>

#include "base/check.h"
#include "net/conn.h"
#include "net/conn_buffer.h"

#define POOL_MAGIC MAGIC('p', 'o', 'o', 'l')
#define CONN_MAGIC MAGIC('c', 'o', 'n', 'n')

enum {
    /* Blocks kept for the next who needs one: as many as the connections of
     * one turn usually hold at once. */
    POOL_IDLE_BLOCKS_MAX = 64,
};

struct pool_block {
    struct pool_block *next;
};

/* The counters have one writer, the loop's thread; others may read them. */
struct conn_pool {
    uint32_t magic;
    bool is_ending;
    struct loop *loop;
    const struct mem *mem;
    const struct net *net;
    size_t limit;
    struct pool_block *idle_blocks;
    size_t idle_block_count;
    struct conn *conns;
    size_t conn_count;
    struct linger *lingers; /* closed by us, not yet by the peer */
    size_t linger_count;
    _Atomic uint64_t bytes_read, bytes_written, buffer_bytes;
};

/* Memory that counts against the limit; NULL: over it, or there is none.
 * CONN_BLOCK_SIZE is the size to ask for. */
void *pool_take(struct conn_pool *pool, size_t size);
void pool_give(struct conn_pool *pool, void *block, size_t size);
bool pool_has_room(const struct conn_pool *pool, size_t size);

static inline void pool_count(_Atomic uint64_t *counter, uint64_t more)
{
    /* One writer: a plain addition, without the price of an atomic one. */
    uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);

    atomic_store_explicit(counter, before + more, memory_order_relaxed);
}

/* CONNECTING -> OPEN -> CLOSING -> ENDED, and from each straight to ENDED. */
enum conn_state {
    CONN_CONNECTING, /* opened by us; not yet writable */
    CONN_OPEN,
    CONN_CLOSING, /* takes no input; ends when the output has left */
    CONN_ENDED,   /* deaf and mute; handler->ended comes in its task */
};

/* What the task of a conn has to do. */
enum { CONN_DO_INPUT = 1, CONN_DO_FLUSH = 2, CONN_DO_END = 4 };

struct conn {
    uint32_t magic;
    int handle;
    struct conn_pool *pool;
    struct net_watch *watch; /* NULL: ended */
    const struct conn_handler *handler;
    void *owner;
    struct conn *next, **slot; /* in the pool's list */

    struct conn_input input;
    struct conn_output output;
    size_t want;   /* conn_want, until so much is there */
    uint64_t skip; /* bytes to drop yet */
    size_t output_limit;

    uint8_t state, why, todo, interest;
    bool is_calling; /* the handler is on the stack */
    bool is_paused, is_held, is_clogged;
    bool reads_when_clogged;
    bool is_blocked; /* the socket takes no more; writable will tell */
    bool is_at_end;  /* of the stream */
    bool is_parting; /* closed by us, everything sent */

    uint32_t idle_timeout_ms, request_timeout_ms, write_timeout_ms; /* 0 */
    uint64_t active_ms;  /* when bytes last moved */
    uint64_t request_ms; /* when the incomplete request began; 0: none */
    uint64_t blocked_ms; /* when output last moved */
    struct timer timer;
    struct task task;
};

/* conn_io.c */
void conn_ready(void *context, unsigned events); /* a net_ready */
void conn_task(void *context);                   /* a task's run */
void conn_timer(void *context);                  /* a timer's run */
void conn_todo(struct conn *conn, unsigned what);
/* Watches for what this conn waits for now. */
void conn_watch(struct conn *conn);
/* The timer fires when the first of the conn's timeouts is over, or before. */
void conn_arm(struct conn *conn);
void conn_send(struct conn *conn);
/* CLOSING, for this reason. */
void conn_shut(struct conn *conn, enum conn_end why);
/* ENDED, for this reason unless it is CLOSING for another. */
void conn_finish(struct conn *conn, enum conn_end why);

/* conn_linger.c: takes the handle of a conn whose last answer has been sent,
 * and closes it when the peer has had the time to read it. */
void conn_linger(struct conn_pool *pool, int handle);
void conn_lingers_end(struct conn_pool *pool);

/* conn.c: tells the owner and destroys. */
void conn_end(struct conn *conn);

#endif
