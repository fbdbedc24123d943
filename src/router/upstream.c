#include "router/upstream.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "router/worker.h"

enum {
    WINDOW_SIZE_MIN = 16 << 10,
    WINDOW_SIZE_KEPT = 256 << 10, /* a larger one goes when it is empty */
    FLUSH_SIZE_MAX = 256 << 10,   /* handed to the connection at once */
    ANNOUNCE_SIZE_MAX = 32,
};

static void upstream_connect(struct upstream *upstream);

/* --- the window -------------------------------------------------------- */

static bool window_grow(struct upstream *upstream, size_t size)
{
    const struct mem *mem = upstream->worker->env->mem;
    size_t used = upstream->window.end - upstream->window.begin;
    size_t capacity = upstream->window.capacity;

    if (capacity == 0) {
        capacity = WINDOW_SIZE_MIN;
    }
    while (capacity < used + size) {
        capacity *= 2;
    }
    char *at = mem_alloc(mem, capacity);

    if (at == NULL) {
        return false;
    }
    if (used > 0) {
        memcpy(at, upstream->window.at + upstream->window.begin, used);
    }
    mem_free(mem, upstream->window.at);
    upstream->window.at = at;
    upstream->window.capacity = capacity;
    upstream->window.sent -= upstream->window.begin;
    upstream->window.begin = 0;
    upstream->window.end = used;
    return true;
}

/* Room at the end of the window.  It moves what is unanswered to the front only
 * when that is at most half of it, so that each byte is moved O(1) times. */
static char *window_reserve(struct upstream *upstream, size_t size)
{
    size_t used = upstream->window.end - upstream->window.begin;

    if (upstream->window.capacity - upstream->window.end >= size) {
        return upstream->window.at + upstream->window.end;
    }
    if (used <= upstream->window.begin &&
        upstream->window.capacity - used >= size) {
        memcpy(upstream->window.at,
               upstream->window.at + upstream->window.begin, used);
        upstream->window.sent -= upstream->window.begin;
        upstream->window.begin = 0;
        upstream->window.end = used;
        return upstream->window.at + used;
    }
    if (!window_grow(upstream, size)) {
        return NULL;
    }
    return upstream->window.at + upstream->window.end;
}

static void window_clear(struct upstream *upstream)
{
    upstream->window.begin = upstream->window.sent = upstream->window.end = 0;
    if (upstream->window.capacity > WINDOW_SIZE_KEPT) {
        mem_free(upstream->worker->env->mem, upstream->window.at);
        upstream->window.at = NULL;
        upstream->window.capacity = 0;
    }
}

/* --- the queue --------------------------------------------------------- */

static void queue_push(struct upstream *upstream, struct call *call)
{
    struct worker *worker = upstream->worker;

    call->upstream_next = NULL;
    *upstream->tail = call;
    upstream->tail = &call->upstream_next;
    upstream->count++;
    worker->window_bytes += call->size;
    metric_add(&worker->metrics.shard_inflight, 1);
    if (!timer_is_set(&upstream->deadline)) {
        timer_set(worker->loop, &upstream->deadline, call->deadline_ms);
    }
}

static struct call *queue_pop(struct upstream *upstream)
{
    struct call *call = upstream->head;

    upstream->head = call->upstream_next;
    if (upstream->head == NULL) {
        upstream->tail = &upstream->head;
    }
    upstream->count--;
    upstream->worker->window_bytes -= call->size;
    metric_add(&upstream->worker->metrics.shard_inflight, (uint64_t)-1);
    return call;
}

/* Everything on its way has failed. */
static void queue_fail(struct upstream *upstream, enum wire_line line)
{
    size_t at = upstream->window.begin;

    while (upstream->head != NULL) {
        struct call *call = queue_pop(upstream);
        struct slice request = {upstream->window.at + at, call->size};

        at += call->size;
        call_fail(upstream->worker, call, request, line);
    }
    timer_clear(upstream->worker->loop, &upstream->deadline);
    window_clear(upstream);
}

/* --- losing it and trying again ---------------------------------------- */

static uint64_t jittered(struct worker *worker, uint64_t pause_ms)
{
    worker->jitter =
        worker->jitter * 6364136223846793005u + 1442695040888963407u;
    return pause_ms / 2 + (worker->jitter >> 33) % (pause_ms / 2 + 1);
}

static void upstream_lost(struct upstream *upstream, enum wire_line line)
{
    struct worker *worker = upstream->worker;
    const struct router_options *options = worker->options;

    if (upstream->state != UPSTREAM_LOST) {
        LOG_WARNING(worker->env->log, "upstream", "shard lost",
                    LOG_TEXT("shard", upstream->name),
                    LOG_TEXT("address", upstream->address),
                    LOG_SLICE("reason", wire_words(line)),
                    LOG_U64("failed", upstream->count));
    }
    metric_add(&worker->metrics.shard_failures, 1);
    upstream->state = UPSTREAM_LOST;
    upstream->open = false;
    queue_fail(upstream, line);
    if (!upstream->wanted) {
        worker_sweep_later(worker);
        return;
    }
    if (upstream->pause_ms == 0) {
        upstream->pause_ms = options->retry_min;
    }
    timer_set(worker->loop, &upstream->retry,
              loop_now_ms(worker->loop) + jittered(worker, upstream->pause_ms));
    upstream->pause_ms = upstream->pause_ms * 2 < options->retry_max
                             ? upstream->pause_ms * 2
                             : options->retry_max;
}

/* Gives the connection up: what it still brings is not listened to. */
static void upstream_drop(struct upstream *upstream, enum wire_line line)
{
    struct conn *conn = upstream->conn;

    upstream->conn = NULL;
    if (conn != NULL) {
        conn_abandon(conn);
    }
    upstream_lost(upstream, line);
}

static void upstream_ended(void *owner, struct conn *conn, enum conn_end why)
{
    struct upstream *upstream = owner;

    (void)conn;
    upstream->conn = NULL;
    if (why == CONN_END_PEER && upstream->state == UPSTREAM_UP &&
        upstream->count == 0 && upstream->served && upstream->wanted) {
        /* Closed while idle: nobody has noticed, and nobody need. */
        upstream->state = UPSTREAM_NEW;
        upstream->open = false;
        window_clear(upstream);
        upstream_connect(upstream);
        return;
    }
    upstream_lost(upstream, WIRE_SHARD_DOWN);
}

static void upstream_deadline(void *context)
{
    struct upstream *upstream = context;
    struct worker *worker = upstream->worker;

    if (upstream->head == NULL) {
        return;
    }
    if (upstream->head->deadline_ms > loop_now_ms(worker->loop)) {
        timer_set(worker->loop, &upstream->deadline,
                  upstream->head->deadline_ms);
        return;
    }
    metric_add(&worker->metrics.shard_timeouts, 1);
    upstream_drop(upstream, WIRE_SHARD_TIMEOUT);
}

/* --- sending ----------------------------------------------------------- */

static void upstream_flush(void *context)
{
    struct upstream *upstream = context;
    size_t size = upstream->window.end - upstream->window.sent;

    if (!upstream->open || upstream->conn == NULL || size == 0 ||
        conn_is_clogged(upstream->conn)) {
        return;
    }
    /* The rest follows when the connection has room again. */
    size = size < FLUSH_SIZE_MAX ? size : FLUSH_SIZE_MAX;
    struct slice unsent = {upstream->window.at + upstream->window.sent, size};

    if (!conn_append(upstream->conn, unsent)) {
        upstream_drop(upstream, WIRE_SHARD_BUSY);
        return;
    }
    upstream->window.sent += size;
    conn_flush(upstream->conn);
}

static void window_commit(struct upstream *upstream, struct call *call,
                          size_t size)
{
    call->size = (uint32_t)size;
    call->deadline_ms = loop_now_ms(upstream->worker->loop) +
                        upstream->worker->options->shard_timeout;
    upstream->window.end += size;
    queue_push(upstream, call);
    loop_defer(upstream->worker->loop, &upstream->flush);
}

char *upstream_reserve(struct upstream *upstream, size_t size,
                       enum wire_line *refusal)
{
    char *at = NULL;

    if (upstream->state == UPSTREAM_LOST) {
        *refusal = WIRE_SHARD_DOWN;
        return NULL;
    }
    if (upstream->count < upstream->worker->options->shard_queue) {
        at = window_reserve(upstream, size);
    }
    if (at == NULL) {
        *refusal = WIRE_SHARD_BUSY;
    }
    return at;
}

void upstream_send(struct upstream *upstream, struct call *call, size_t size)
{
    window_commit(upstream, call, size);
}

void upstream_announce(struct upstream *upstream)
{
    struct worker *worker = upstream->worker;
    uint32_t epoch = worker->ring != NULL ? worker->ring->epoch : 0;

    if (upstream->conn == NULL || upstream->plain ||
        upstream->announced == epoch) {
        return;
    }
    struct call *call = worker_call_new(worker);
    char *at =
        call != NULL ? window_reserve(upstream, ANNOUNCE_SIZE_MAX) : NULL;

    if (at == NULL) {
        worker_call_free(worker, call);
        upstream_drop(upstream, WIRE_SHARD_BUSY);
        return;
    }
    memcpy(at, "ring ", 5);
    size_t size = 5 + decimal_write(at + 5, epoch);

    memcpy(at + size, "\r\n", 2);
    call->kind = CALL_ANNOUNCE;
    call->expect = EXPECT_LINE;
    call->command = COMMAND_RING;
    upstream->announced = epoch;
    window_commit(upstream, call, size + 2);
}

/* --- answers ----------------------------------------------------------- */

/* False: what answered our first line is an error that no memcached gives to a
 * command it does not know. */
static bool upstream_is_up(struct upstream *upstream, const struct reply *reply)
{
    bool error = reply->kind == REPLY_ERROR;

    if (error && !slice_equal(reply->line, SLICE("ERROR"))) {
        return false;
    }
    upstream->plain = error;
    if (upstream->state == UPSTREAM_UP) {
        return true;
    }
    upstream->state = UPSTREAM_UP;
    metric_add(&upstream->worker->metrics.shard_connects, 1);
    LOG_NOTE(upstream->worker->env->log, "upstream", "shard up",
             LOG_TEXT("shard", upstream->name),
             LOG_TEXT("address", upstream->address),
             LOG_TEXT("kind", upstream->plain ? "memcached" : "torc"));
    return true;
}

static bool call_is_keyed(const struct call *call)
{
    return call->kind != CALL_FLUSH && call->kind != CALL_STATS;
}

/* The n-th answer must be about the n-th key: else the stream is out of step,
 * and whatever follows would be somebody else's value. */
static bool reply_is_for(const struct call *call, struct slice request,
                         const struct reply *reply)
{
    struct slice key = {request.at + call->key_at, call->key_size};

    return call->kind != CALL_GET || reply->kind != REPLY_HIT ||
           slice_equal(key, reply->key);
}

static bool upstream_reply(struct upstream *upstream, const struct reply *reply)
{
    struct worker *worker = upstream->worker;
    struct slice request = {upstream->window.at + upstream->window.begin,
                            upstream->head->size};

    if (upstream->window.begin + request.size > upstream->window.sent ||
        !reply_is_for(upstream->head, request, reply)) {
        return false;
    }
    if (upstream->head->kind == CALL_ANNOUNCE &&
        !upstream_is_up(upstream, reply)) {
        return false;
    }
    struct call *call = queue_pop(upstream);

    if (call->kind == CALL_ANNOUNCE) {
        worker_call_free(worker, call);
    } else if (reply->kind == REPLY_MOVED && call_is_keyed(call)) {
        /* Until we announce again it gives everything back. */
        upstream->announced = 0;
        worker_park(worker, call, request);
    } else {
        upstream->served = true;
        upstream->pause_ms = 0;
        call_answer(worker, call, reply);
    }
    upstream->window.begin += request.size;
    if (upstream->head == NULL) {
        window_clear(upstream);
        if (!upstream->wanted) {
            worker_sweep_later(worker);
        }
    }
    return true;
}

static void upstream_broken(struct upstream *upstream, const char *why)
{
    LOG_WARNING(upstream->worker->env->log, "upstream",
                "shard sent a malformed answer",
                LOG_TEXT("shard", upstream->name), LOG_TEXT("why", why));
    metric_add(&upstream->worker->metrics.shard_broken, 1);
    upstream_drop(upstream, WIRE_SHARD_BROKEN);
}

static void upstream_input(void *owner, struct conn *conn)
{
    struct upstream *upstream = owner;
    struct reply reply;

    upstream_flush(upstream); /* if it was clogged, it has room again */
    while (upstream->conn != NULL) {
        struct slice input = conn_input(conn);

        if (input.size == 0) {
            return;
        }
        if (upstream->head == NULL) {
            upstream_broken(upstream, "an answer nobody asked for");
            return;
        }
        switch (reply_parse(&upstream->parser, upstream->head->expect, input,
                            &reply)) {
        case REPLY_DONE: break;
        case REPLY_MORE:
            if (reply.needed > input.size &&
                conn_want(conn, reply.needed) != ERR_OK) {
                upstream_drop(upstream, WIRE_SHARD_BUSY);
            }
            return;
        case REPLY_BROKEN: upstream_broken(upstream, reply.why); return;
        }
        if (!upstream_reply(upstream, &reply)) {
            upstream_broken(upstream, "not the answer to what was asked");
            return;
        }
        conn_consume(conn, reply.consumed);
    }
}

/* --- connecting -------------------------------------------------------- */

static void upstream_opened(void *owner, struct conn *conn)
{
    struct upstream *upstream = owner;

    (void)conn;
    upstream->open = true;
    upstream_flush(upstream);
}

static const struct conn_handler upstream_handler = {
    .input = upstream_input,
    .ended = upstream_ended,
    .opened = upstream_opened,
};

static void upstream_connect(struct upstream *upstream)
{
    struct worker *worker = upstream->worker;
    struct conn_options options = {
        .handler = &upstream_handler,
        .owner = upstream,
        .reads_when_clogged = true,
    };

    check(upstream->conn == NULL && upstream->head == NULL);
    upstream->parser = (struct reply_parser){
        .value_size_max = worker->options->value_size_max};
    upstream->announced = UINT32_MAX;
    upstream->plain = false;
    upstream->served = false;
    if (conn_open(&upstream->conn, worker->shard_pool, &upstream->where,
                  &options) != ERR_OK) {
        upstream->conn = NULL;
        upstream_lost(upstream, WIRE_SHARD_DOWN);
        return;
    }
    upstream_announce(upstream);
}

static void upstream_retry(void *context)
{
    upstream_connect(context);
}

enum err upstream_create(struct upstream **out, struct worker *worker,
                         const struct ring_member *member,
                         const struct net_address *where, unsigned lane)
{
    const struct env *env = worker->env;
    struct upstream *upstream = mem_alloc_zeroed(env->mem, sizeof *upstream);

    if (upstream == NULL) {
        return ERR_NOMEM;
    }
    upstream->where = *where;
    upstream->wanted = true;
    upstream->worker = worker;
    upstream->lane = lane;
    memcpy(upstream->name, member->name, sizeof upstream->name);
    memcpy(upstream->address, member->address, sizeof upstream->address);
    upstream->tail = &upstream->head;
    upstream->retry =
        (struct timer){.run = upstream_retry, .context = upstream};
    upstream->deadline =
        (struct timer){.run = upstream_deadline, .context = upstream};
    upstream->flush = (struct task){.run = upstream_flush, .context = upstream};
    upstream_connect(upstream);
    *out = upstream;
    return ERR_OK;
}

void upstream_destroy(struct upstream **out)
{
    struct upstream *upstream = *out;
    struct worker *worker = upstream->worker;

    *out = NULL;
    if (upstream->conn != NULL) {
        conn_abandon(upstream->conn);
        upstream->conn = NULL;
    }
    queue_fail(upstream, WIRE_SHARD_DOWN);
    timer_clear(worker->loop, &upstream->retry);
    timer_clear(worker->loop, &upstream->deadline);
    loop_cancel(worker->loop, &upstream->flush);
    mem_free(worker->env->mem, upstream->window.at);
    mem_free(worker->env->mem, upstream);
}
