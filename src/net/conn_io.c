/* What happens to a conn: readiness, its deferred task, its timer. */
#include <errno.h>

#include "net/conn_internal.h"

static uint64_t now_ms(const struct conn *conn)
{
    return loop_now_ms(conn->pool->loop);
}

static bool is_stopped(const struct conn *conn)
{
    return conn->is_paused || (conn->is_clogged && !conn->reads_when_clogged);
}

static bool may_read(const struct conn *conn)
{
    return conn->state == CONN_OPEN && !is_stopped(conn) && !conn->is_at_end &&
           !input_is_full(&conn->input, conn->want);
}

static unsigned interest_wanted(const struct conn *conn)
{
    return (may_read(conn) ? (unsigned)NET_READ : 0) |
           (conn->is_blocked || conn->state == CONN_CONNECTING
                ? (unsigned)NET_WRITE
                : 0);
}

static void interest_set(struct conn *conn, unsigned wanted)
{
    const struct net *net = conn->pool->net;

    if (conn->watch != NULL && conn->interest != wanted) {
        conn->interest = (uint8_t)wanted;
        net->watch_change(net->context, conn->watch, wanted);
    }
}

/* Input that is unwelcome is watched for until it comes: most pauses end
 * before, and then cost no system call. */
void conn_watch(struct conn *conn)
{
    unsigned wanted = interest_wanted(conn);

    if ((conn->interest & ~wanted & ~(unsigned)NET_READ) != 0 ||
        (wanted & ~(unsigned)conn->interest) != 0) {
        interest_set(conn, wanted);
    }
}

void conn_todo(struct conn *conn, unsigned what)
{
    if (conn->state != CONN_ENDED || what == CONN_DO_END) {
        conn->todo |= (uint8_t)what;
        loop_defer(conn->pool->loop, &conn->task);
    }
}

void conn_finish(struct conn *conn, enum conn_end why)
{
    const struct net *net = conn->pool->net;

    if (conn->state == CONN_ENDED) {
        return;
    }
    if (conn->state != CONN_CLOSING) {
        conn->why = (uint8_t)why;
    }
    conn->state = CONN_ENDED;
    if (conn->watch != NULL) {
        net->watch_destroy(net->context, conn->watch);
        conn->watch = NULL;
    }
    timer_clear(conn->pool->loop, &conn->timer);
    conn_todo(conn, CONN_DO_END);
}

void conn_shut(struct conn *conn, enum conn_end why)
{
    check(conn->state == CONN_OPEN);
    conn->state = CONN_CLOSING;
    conn->why = (uint8_t)why;
    if (!conn->is_calling) {
        input_clear(conn->pool, &conn->input);
    }
    conn_flush(conn);
    if (conn->state == CONN_CLOSING) {
        conn_watch(conn);
    }
}

/* The end of the first timeout that runs; UINT64_MAX: none does. */
static uint64_t deadline(const struct conn *conn, enum conn_end *why)
{
    uint64_t first = UINT64_MAX;

    if (conn->write_timeout_ms != 0 &&
        (conn->is_blocked || conn->state == CONN_CONNECTING)) {
        first = conn->blocked_ms + conn->write_timeout_ms;
        *why = conn->is_blocked ? CONN_END_UNREAD : CONN_END_ERROR;
    }
    if (conn->request_timeout_ms != 0 && conn->request_ms != 0 &&
        may_read(conn) && conn->request_ms + conn->request_timeout_ms < first) {
        first = conn->request_ms + conn->request_timeout_ms;
        *why = CONN_END_STALLED;
    }
    if (conn->idle_timeout_ms != 0 && conn->state == CONN_OPEN &&
        !conn->is_paused && !conn->is_held &&
        conn->active_ms + conn->idle_timeout_ms < first) {
        first = conn->active_ms + conn->idle_timeout_ms;
        *why = CONN_END_IDLE;
    }
    return first;
}

/* Only ever sooner: a deadline that moved away is noticed when the timer
 * fires, so bytes that come and go cost no timer. */
void conn_arm(struct conn *conn)
{
    enum conn_end why;
    uint64_t at_ms = deadline(conn, &why);

    if (at_ms < UINT64_MAX && conn->state != CONN_ENDED &&
        (!timer_is_set(&conn->timer) || at_ms < conn->timer.at_ms)) {
        timer_set(conn->pool->loop, &conn->timer, at_ms);
    }
}

void conn_timer(void *context)
{
    struct conn *conn = context;
    enum conn_end why = CONN_END_IDLE;
    uint64_t at_ms = deadline(conn, &why);

    check(conn->magic == CONN_MAGIC);
    if (at_ms <= now_ms(conn)) {
        conn_finish(conn, why);
    } else {
        conn_arm(conn);
    }
}

/* The socket took only a part.  It was writable just before, so the peer has
 * taken something lately. */
static void conn_block(struct conn *conn)
{
    conn->is_blocked = true;
    conn->blocked_ms = now_ms(conn);
    conn->active_ms = conn->blocked_ms;
    conn_arm(conn);
}

/* False: the conn has ended. */
static bool send_some(struct conn *conn)
{
    const struct net *net = conn->pool->net;
    struct iovec pieces[NET_PIECES_MAX];
    size_t total;
    int count = output_pieces(&conn->output, pieces, &total);
    ssize_t sent = net->write(net->context, conn->handle, pieces, count);

    if (sent < 0 && sent != -EAGAIN && sent != -EINTR) {
        conn_finish(conn, CONN_END_ERROR);
        return false;
    }
    if (sent > 0) {
        pool_count(&conn->pool->bytes_written, (uint64_t)sent);
        output_sent(conn->pool, &conn->output, (size_t)sent);
    }
    if (sent != (ssize_t)total && sent != -EINTR) {
        conn_block(conn);
    }
    return true;
}

/* Room again: the owner may go on producing, and the peer's silence while it
 * was not listened to is not counted against it. */
static void conn_unclog(struct conn *conn)
{
    conn->is_clogged = false;
    if (conn->request_ms != 0) {
        conn->request_ms = now_ms(conn);
    }
    conn_again(conn);
    conn_arm(conn);
}

void conn_send(struct conn *conn)
{
    while (conn->output.size > 0 && !conn->is_blocked) {
        if (!send_some(conn)) {
            return;
        }
    }
    if (conn->output.size == 0) {
        output_clear(conn->pool, &conn->output);
        if (conn->state == CONN_CLOSING) {
            conn->is_parting = !conn->is_at_end;
            conn_finish(conn, CONN_END_OURS);
            return;
        }
    }
    if (conn->is_clogged && conn->output.size <= CONN_OUTPUT_LOW) {
        conn_unclog(conn);
    }
    if (!conn->is_calling) {
        conn_watch(conn);
    }
}

/* A request runs from its first byte to its last: as long as there is input
 * that the owner could not yet use. */
static void request_clock(struct conn *conn)
{
    if (conn->request_timeout_ms == 0) {
        return;
    }
    if (input_held(&conn->input) == 0 && conn->skip == 0) {
        conn->request_ms = 0;
    } else if (conn->request_ms == 0) {
        conn->request_ms = now_ms(conn);
        conn_arm(conn);
    }
}

/* After each call of the owner: send what it left, give back what is empty,
 * see what to wait for. */
static void conn_settle(struct conn *conn)
{
    if (conn->output.size == 0) {
        output_clear(conn->pool, &conn->output);
    } else if ((conn->todo & CONN_DO_FLUSH) == 0) {
        conn_flush(conn);
    }
    if (input_held(&conn->input) == 0 || conn->state >= CONN_CLOSING) {
        input_clear(conn->pool, &conn->input);
    }
    if (conn->state != CONN_OPEN) {
        return;
    }
    request_clock(conn);
    if (conn->is_at_end && (conn->todo & CONN_DO_INPUT) == 0 &&
        !is_stopped(conn) && !conn->is_held) {
        conn_shut(conn, CONN_END_PEER);
        return;
    }
    conn_watch(conn);
}

static void conn_call(struct conn *conn,
                      void (*call)(void *owner, struct conn *conn))
{
    check(!conn->is_calling);
    conn->is_calling = true;
    call(conn->owner, conn);
    conn->is_calling = false;
    conn_settle(conn);
}

/* False: every byte was one to drop. */
static bool take(struct conn *conn, size_t size)
{
    struct conn_input *input = &conn->input;

    input->end += size;
    pool_count(&conn->pool->bytes_read, size);
    if (conn->idle_timeout_ms != 0) {
        conn->active_ms = now_ms(conn);
    }
    if (conn->skip > 0) {
        size_t dropped = size < conn->skip ? size : (size_t)conn->skip;

        /* Nothing was held before: skipping drops what is there first. */
        conn->skip -= dropped;
        input->begin += dropped;
        if (input->begin == input->end) {
            input->begin = input->end = 0;
            return false;
        }
    }
    if (input_held(input) >= conn->want) {
        conn->want = 0;
    }
    return true;
}

static void conn_receive(struct conn *conn)
{
    const struct net *net = conn->pool->net;
    struct conn_input *input = &conn->input;

    if (!may_read(conn)) {
        interest_set(conn, interest_wanted(conn));
        return;
    }
    if (!input_make_room(conn->pool, input, conn->want)) {
        conn_finish(conn, CONN_END_MEMORY);
        return;
    }
    ssize_t size = net->read(net->context, conn->handle, input->at + input->end,
                             input->size - input->end);

    if (size < 0 && size != -EAGAIN && size != -EINTR) {
        conn_finish(conn, CONN_END_ERROR);
        return;
    }
    conn->is_at_end = size == 0;
    if (size > 0 && take(conn, (size_t)size)) {
        conn->todo &= (uint8_t)~CONN_DO_INPUT;
        conn_call(conn, conn->handler->input);
    } else {
        conn_settle(conn);
    }
}

static void conn_connected(struct conn *conn)
{
    const struct net *net = conn->pool->net;

    if (net->connect_error(net->context, conn->handle) != 0) {
        conn_finish(conn, CONN_END_ERROR);
        return;
    }
    conn->state = CONN_OPEN;
    conn->active_ms = now_ms(conn);
    interest_set(conn, NET_READ);
    conn_arm(conn);
    if (conn->handler->opened != NULL) {
        conn_call(conn, conn->handler->opened);
    } else {
        conn_settle(conn);
    }
}

void conn_ready(void *context, unsigned events)
{
    struct conn *conn = context;

    check(conn->magic == CONN_MAGIC && conn->state != CONN_ENDED);
    if (conn->state == CONN_CONNECTING) {
        conn_connected(conn);
        return;
    }
    if ((events & NET_WRITE) != 0 && conn->is_blocked) {
        conn->is_blocked = false;
        conn_send(conn);
    }
    if ((events & NET_READ) != 0 && conn->state == CONN_OPEN) {
        conn_receive(conn);
    }
}

void conn_task(void *context)
{
    struct conn *conn = context;
    unsigned todo = conn->todo;

    check(conn->magic == CONN_MAGIC);
    conn->todo = 0;
    if ((todo & CONN_DO_END) != 0) {
        conn_end(conn);
        return;
    }
    /* A paused owner is called when it resumes, a clogged one when its output
     * has drained. */
    if ((todo & CONN_DO_INPUT) != 0 && conn->state == CONN_OPEN) {
        if (is_stopped(conn)) {
            conn->todo |= CONN_DO_INPUT;
        } else {
            conn_call(conn, conn->handler->input);
        }
    }
    if ((todo & CONN_DO_FLUSH) != 0) {
        conn_flush(conn);
    }
}
