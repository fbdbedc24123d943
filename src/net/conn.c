#include "net/conn.h"

#include <string.h>

#include "base/mem.h"
#include "net/conn_internal.h"

/* With its watch, an idle connection is to cost half a KiB at most. */
_Static_assert(sizeof(struct conn) <= 320, "an idle conn stays small");

static uint32_t timeout_fit(uint64_t timeout_ms)
{
    return timeout_ms < UINT32_MAX ? (uint32_t)timeout_ms : UINT32_MAX;
}

static struct conn *conn_alloc(struct conn_pool *pool,
                               const struct conn_options *options)
{
    struct conn *conn = mem_alloc_zeroed(pool->mem, sizeof *conn);

    if (conn == NULL) {
        return NULL;
    }
    conn->magic = CONN_MAGIC;
    conn->handle = -1;
    conn->pool = pool;
    conn->handler = options->handler;
    conn->owner = options->owner;
    conn->output_limit =
        options->output_limit != 0 ? options->output_limit : SIZE_MAX;
    conn->idle_timeout_ms = timeout_fit(options->idle_timeout_ms);
    conn->request_timeout_ms = timeout_fit(options->request_timeout_ms);
    conn->write_timeout_ms = timeout_fit(options->write_timeout_ms);
    conn->reads_when_clogged = options->reads_when_clogged;
    conn->active_ms = loop_now_ms(pool->loop);
    conn->blocked_ms = conn->active_ms;
    conn->timer.run = conn_timer;
    conn->timer.context = conn;
    conn->task.run = conn_task;
    conn->task.context = conn;
    return conn;
}

static void conn_link(struct conn *conn)
{
    struct conn_pool *pool = conn->pool;

    conn->next = pool->conns;
    if (conn->next != NULL) {
        conn->next->slot = &conn->next;
    }
    conn->slot = &pool->conns;
    pool->conns = conn;
    pool->conn_count++;
}

static void conn_unlink(struct conn *conn)
{
    *conn->slot = conn->next;
    if (conn->next != NULL) {
        conn->next->slot = conn->slot;
    }
    conn->pool->conn_count--;
}

static bool conn_start(struct conn *conn, enum conn_state state,
                       unsigned interest)
{
    const struct net *net = conn->pool->net;

    conn->state = (uint8_t)state;
    conn->interest = (uint8_t)interest;
    conn->watch = net->watch_create(net->context, loop_poller(conn->pool->loop),
                                    conn->handle, interest, conn_ready, conn);
    if (conn->watch == NULL) {
        return false;
    }
    conn_link(conn);
    conn_arm(conn);
    return true;
}

enum err conn_create(struct conn **out, struct conn_pool *pool, int handle,
                     const struct conn_options *options)
{
    const struct net *net = pool->net;
    struct conn *conn = NULL;

    check(pool->magic == POOL_MAGIC);
    if (!pool->is_ending) {
        conn = conn_alloc(pool, options);
    }
    if (conn == NULL) {
        goto fail_alloc;
    }
    conn->handle = handle;
    if (!conn_start(conn, CONN_OPEN, NET_READ)) {
        goto fail_start;
    }
    *out = conn;
    return ERR_OK;

fail_start:
    mem_free(pool->mem, conn);
fail_alloc:
    net->close(net->context, handle);
    return pool->is_ending ? ERR_CLOSED : ERR_NOMEM;
}

enum err conn_open(struct conn **out, struct conn_pool *pool,
                   const struct net_address *address,
                   const struct conn_options *options)
{
    const struct net *net = pool->net;

    check(pool->magic == POOL_MAGIC);
    if (pool->is_ending) {
        return ERR_CLOSED;
    }
    struct conn *conn = conn_alloc(pool, options);

    if (conn == NULL) {
        return ERR_NOMEM;
    }
    conn->handle = net->connect(net->context, address);
    if (conn->handle < 0) {
        /* Refused on the spot: told in the way of all other endings. */
        conn_link(conn);
        conn_finish(conn, CONN_END_ERROR);
    } else if (!conn_start(conn, CONN_CONNECTING, NET_WRITE)) {
        net->close(net->context, conn->handle);
        mem_free(pool->mem, conn);
        return ERR_NOMEM;
    }
    *out = conn;
    return ERR_OK;
}

void conn_end(struct conn *conn)
{
    struct conn_pool *pool = conn->pool;

    check(conn->magic == CONN_MAGIC && conn->state == CONN_ENDED);
    conn->handler->ended(conn->owner, conn, (enum conn_end)conn->why);
    loop_cancel(pool->loop, &conn->task);
    check(!timer_is_set(&conn->timer) && conn->watch == NULL);
    input_clear(pool, &conn->input);
    output_clear(pool, &conn->output);
    conn_unlink(conn);
    if (conn->handle >= 0 && conn->is_parting) {
        conn_linger(pool, conn->handle);
    } else if (conn->handle >= 0) {
        pool->net->close(pool->net->context, conn->handle);
    }
    conn->magic = MAGIC_DEAD;
    mem_free(pool->mem, conn);
}

void *conn_owner(const struct conn *conn)
{
    return conn->owner;
}

int conn_handle(const struct conn *conn)
{
    return conn->handle;
}

struct slice conn_input(const struct conn *conn)
{
    if (conn->input.at == NULL) {
        return (struct slice){"", 0};
    }
    return (struct slice){conn->input.at + conn->input.begin,
                          input_held(&conn->input)};
}

/* The block stays until the handler returns: the owner may still look at what
 * it has consumed. */
void conn_consume(struct conn *conn, size_t size)
{
    struct conn_input *input = &conn->input;

    check(conn->magic == CONN_MAGIC && size <= input_held(input));
    input->begin += size;
    if (input->begin == input->end) {
        input->begin = input->end = 0;
        if (!conn->is_calling) {
            input_clear(conn->pool, input);
        }
    }
    if (!conn->is_calling) {
        conn_watch(conn);
    }
}

enum err conn_want(struct conn *conn, size_t total)
{
    check(conn->magic == CONN_MAGIC);
    if (total > conn->input.size && total > CONN_BLOCK_SIZE &&
        !pool_has_room(conn->pool, total - conn->input.size)) {
        return ERR_NOMEM;
    }
    conn->want = total;
    return ERR_OK;
}

void conn_request_done(struct conn *conn)
{
    conn->request_ms = 0;
    conn->want = 0;
}

void conn_skip(struct conn *conn, uint64_t size)
{
    size_t held = input_held(&conn->input);
    size_t now = size < held ? (size_t)size : held;

    conn->skip += size - now;
    conn->want = 0;
    conn_consume(conn, now);
}

char *conn_reserve(struct conn *conn, size_t size)
{
    check(conn->magic == CONN_MAGIC);
    if (conn->state >= CONN_CLOSING || size > conn->output_limit ||
        conn->output.size > conn->output_limit - size) {
        return NULL;
    }
    return output_reserve(conn->pool, &conn->output, size);
}

void conn_commit(struct conn *conn, size_t size)
{
    output_commit(&conn->output, size);
    if (conn->output.size > CONN_OUTPUT_HIGH) {
        conn->is_clogged = true;
    }
}

bool conn_append(struct conn *conn, struct slice bytes)
{
    char *at = conn_reserve(conn, bytes.size);

    if (at == NULL) {
        return false;
    }
    memcpy(at, bytes.at, bytes.size);
    conn_commit(conn, bytes.size);
    return true;
}

size_t conn_output_size(const struct conn *conn)
{
    return conn->output.size;
}

void conn_output_cut(struct conn *conn, size_t size)
{
    check(conn->magic == CONN_MAGIC);
    output_cut(conn->pool, &conn->output, size);
    /* Above the low mark a flush will tell the owner to go on. */
    if (size <= CONN_OUTPUT_LOW) {
        conn->is_clogged = false;
    }
}

void conn_flush(struct conn *conn)
{
    check(conn->magic == CONN_MAGIC);
    conn->todo &= (uint8_t)~CONN_DO_FLUSH;
    /* Blocked: writable will come, and asking before costs a system call. */
    if (!conn->is_blocked &&
        (conn->state == CONN_OPEN || conn->state == CONN_CLOSING)) {
        conn_send(conn);
    }
}

void conn_flush_later(struct conn *conn)
{
    check(conn->magic == CONN_MAGIC);
    conn_todo(conn, CONN_DO_FLUSH);
}

bool conn_is_clogged(const struct conn *conn)
{
    return conn->is_clogged;
}

void conn_again(struct conn *conn)
{
    check(conn->magic == CONN_MAGIC);
    conn_todo(conn, CONN_DO_INPUT);
}

void conn_pause(struct conn *conn)
{
    check(conn->magic == CONN_MAGIC);
    conn->is_paused = true;
}

void conn_resume(struct conn *conn)
{
    check(conn->magic == CONN_MAGIC);
    if (!conn->is_paused) {
        return;
    }
    conn->is_paused = false;
    /* The time in between was ours, not the peer's. */
    conn->active_ms = loop_now_ms(conn->pool->loop);
    if (conn->request_ms != 0) {
        conn->request_ms = conn->active_ms;
    }
    if (input_held(&conn->input) > 0 || conn->is_at_end ||
        (conn->todo & CONN_DO_INPUT) != 0) {
        conn_again(conn);
    }
    if (!conn->is_calling) {
        conn_watch(conn);
    }
    conn_arm(conn);
}

void conn_hold(struct conn *conn, bool hold)
{
    check(conn->magic == CONN_MAGIC);
    if (conn->is_held && !hold) {
        conn->is_held = false;
        conn->active_ms = loop_now_ms(conn->pool->loop);
        conn_arm(conn);
        if (conn->is_at_end) {
            conn_again(conn);
        }
    }
    conn->is_held = hold;
}

void conn_close(struct conn *conn)
{
    check(conn->magic == CONN_MAGIC);
    if (conn->state == CONN_OPEN) {
        conn_shut(conn, CONN_END_OURS);
    } else if (conn->state == CONN_CONNECTING) {
        conn_finish(conn, CONN_END_OURS);
    }
}

void conn_close_now(struct conn *conn)
{
    check(conn->magic == CONN_MAGIC);
    output_clear(conn->pool, &conn->output);
    conn_finish(conn, CONN_END_OURS);
}

static void hear_nothing(void *owner, struct conn *conn)
{
    (void)owner;
    (void)conn;
}

static void hear_no_end(void *owner, struct conn *conn, enum conn_end why)
{
    (void)owner;
    (void)conn;
    (void)why;
}

void conn_abandon(struct conn *conn)
{
    static const struct conn_handler deaf = {
        .input = hear_nothing,
        .ended = hear_no_end,
    };

    conn->handler = &deaf;
    conn->owner = NULL;
    conn_close_now(conn);
}

bool conn_is_closing(const struct conn *conn)
{
    return conn->state >= CONN_CLOSING;
}
