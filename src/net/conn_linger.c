/* The end of a connection that we close: our last answer must arrive.
 *
 * Closing a socket that still has unread input makes the kernel send a reset,
 * and a reset makes the peer throw away what it has not read yet: the very
 * line that says what was wrong.  So we only stop writing, drop what still
 * comes, and close when the peer has closed too, or has had its time.
 */
#include <errno.h>

#include "base/mem.h"
#include "net/conn_internal.h"

enum {
    LINGER_MS = 1000,
    LINGER_SIZE_MAX = 8 << 20, /* dropped; then it is closed all the same */
    LINGER_COUNT_MAX = 1024,   /* a pool's; one more is closed at once */
    LINGER_READ_SIZE = 16 << 10,
};

struct linger {
    struct conn_pool *pool;
    struct net_watch *watch;
    int handle;
    size_t dropped;
    struct timer timer;
    struct linger *next, **slot;
};

static void linger_end(struct linger *linger)
{
    struct conn_pool *pool = linger->pool;

    *linger->slot = linger->next;
    if (linger->next != NULL) {
        linger->next->slot = linger->slot;
    }
    pool->linger_count--;
    timer_clear(pool->loop, &linger->timer);
    pool->net->watch_destroy(pool->net->context, linger->watch);
    pool->net->close(pool->net->context, linger->handle);
    mem_free(pool->mem, linger);
}

static void linger_timer(void *context)
{
    linger_end(context);
}

static void linger_ready(void *context, unsigned events)
{
    struct linger *linger = context;
    const struct net *net = linger->pool->net;
    char dropped[LINGER_READ_SIZE];
    ssize_t size =
        net->read(net->context, linger->handle, dropped, sizeof dropped);

    (void)events;
    if (size == -EAGAIN || size == -EINTR) {
        return;
    }
    linger->dropped += size > 0 ? (size_t)size : 0;
    if (size <= 0 || linger->dropped > LINGER_SIZE_MAX) {
        linger_end(linger);
    }
}

static void linger_link(struct conn_pool *pool, struct linger *linger)
{
    linger->next = pool->lingers;
    if (linger->next != NULL) {
        linger->next->slot = &linger->next;
    }
    linger->slot = &pool->lingers;
    pool->lingers = linger;
    pool->linger_count++;
}

void conn_linger(struct conn_pool *pool, int handle)
{
    const struct net *net = pool->net;
    struct linger *linger = NULL;

    if (!pool->is_ending && pool->linger_count < LINGER_COUNT_MAX) {
        linger = mem_alloc_zeroed(pool->mem, sizeof *linger);
    }
    if (linger == NULL) {
        net->close(net->context, handle);
        return;
    }
    *linger = (struct linger){
        .pool = pool,
        .handle = handle,
        .timer = {.run = linger_timer, .context = linger},
    };
    linger->watch = net->watch_create(net->context, loop_poller(pool->loop),
                                      handle, NET_READ, linger_ready, linger);
    if (linger->watch == NULL) {
        net->close(net->context, handle);
        mem_free(pool->mem, linger);
        return;
    }
    net->finish(net->context, handle);
    linger_link(pool, linger);
    timer_set(pool->loop, &linger->timer, loop_now_ms(pool->loop) + LINGER_MS);
}

void conn_lingers_end(struct conn_pool *pool)
{
    while (pool->lingers != NULL) {
        linger_end(pool->lingers);
    }
}
