#include "router/session.h"

#include "base/check.h"
#include "base/mem.h"
#include "router/dispatch.h"
#include "router/router_private.h"
#include "router/stats.h"

enum { HELD_SIZE_MIN = 4 << 10 };

/* --- may it go on? ----------------------------------------------------- */

bool session_may_send(const struct session *session)
{
    const struct worker *worker = session->worker;
    size_t owed = conn_output_size(session->conn) + session->held.size +
                  session->inflight * session->answer_size;

    if (session->ending || conn_is_closing(session->conn)) {
        return false;
    }
    if (session->inflight == 0) {
        return true;
    }
    return session->inflight < worker->options->client_inflight &&
           owed < SESSION_ANSWERS_MAX && session->parked == 0 &&
           worker->window_bytes < WORKER_WINDOW_HIGH &&
           session->generation == worker->generation;
}

void session_wake(struct session *session)
{
    if (session->ending && session->inflight == 0) {
        conn_close(session->conn);
        return;
    }
    if (conn_input(session->conn).size > 0 && session_may_send(session)) {
        conn_again(session->conn);
    }
    if (session->worker->draining) {
        session_drain(session);
    }
}

void session_drain(struct session *session)
{
    if (session->inflight == 0 && conn_input(session->conn).size == 0) {
        conn_close(session->conn);
    }
}

/* --- answers in the order asked ---------------------------------------- */

static void session_emit(struct session *session, const struct call *call,
                         struct slice answer)
{
    if (call->kind == CALL_FLUSH) {
        session->broadcast_failed |= !slice_equal(answer, SLICE("OK\r\n"));
        if (!call->last || call->quiet) {
            answer.size = 0;
        } else {
            answer = session->broadcast_failed ? wire_line(WIRE_SHARD_DOWN)
                                               : SLICE("OK\r\n");
        }
        session->broadcast_failed = session->broadcast_failed && !call->last;
    } else if (call->kind == CALL_STATS) {
        stats_merge_add(session->stats, answer);
        if (call->last) {
            stats_merge_answer(session);
        }
        return;
    }
    if (answer.size > 0 && !conn_append(session->conn, answer)) {
        conn_close_now(session->conn);
    }
}

static bool held_keep(struct session *session, struct call *call,
                      struct slice answer)
{
    const struct mem *mem = session->worker->env->mem;
    size_t size = session->held.size + answer.size;
    size_t capacity = session->held.capacity;

    if (size > capacity) {
        capacity = capacity == 0 ? HELD_SIZE_MIN : capacity;
        while (capacity < size) {
            capacity *= 2;
        }
        char *at = mem_resize(mem, session->held.at, capacity);

        if (at == NULL) {
            call->done = true; /* ends with the session */
            return false;
        }
        session->held.at = at;
        session->held.capacity = capacity;
    }
    if (answer.size > 0) {
        memcpy(session->held.at + session->held.size, answer.at, answer.size);
    }
    call->held_at = session->held.size;
    call->held_size = answer.size;
    call->done = true;
    session->held.size = size;
    session->held.count++;
    return true;
}

static void held_release(struct session *session)
{
    session->held.size = 0;
    if (session->held.capacity > HELD_SIZE_MIN) {
        mem_free(session->worker->env->mem, session->held.at);
        session->held.at = NULL;
        session->held.capacity = 0;
    }
}

/* The next answer will be about as large as the largest of late. */
static void answer_size_learn(struct session *session, size_t size)
{
    size_t expected = session->answer_size;

    session->answer_size = size > expected ? size : expected - expected / 16;
}

static void head_pop(struct session *session)
{
    struct call *call = session->head;

    session->head = call->session_next;
    if (session->head == NULL) {
        session->tail = &session->head;
    }
    session->inflight--;
    worker_call_free(session->worker, call);
}

void session_finish(struct session *session, struct call *call,
                    struct slice answer)
{
    answer_size_learn(session, answer.size);
    if (call != session->head) {
        if (!held_keep(session, call, answer)) {
            conn_close_now(session->conn);
        }
        return;
    }
    session_emit(session, call, answer);
    head_pop(session);
    while (session->head != NULL && session->head->done) {
        struct slice held = {session->held.at + session->head->held_at,
                             session->head->held_size};

        session_emit(session, session->head, held);
        head_pop(session);
        if (--session->held.count == 0) {
            session->held.size = 0;
        }
    }
    if (session->inflight == 0) {
        conn_hold(session->conn, false);
        held_release(session);
    }
    conn_flush_later(session->conn);
    session_wake(session);
}

struct call *session_call(struct session *session, enum call_kind kind)
{
    struct worker *worker = session->worker;
    struct call *call = worker_call_new(worker);

    if (call == NULL) {
        conn_close(session->conn);
        return NULL;
    }
    if (session->inflight == 0) {
        session->generation = worker->generation;
        conn_hold(session->conn, true);
    }
    call->session = session;
    call->kind = kind;
    *session->tail = call;
    session->tail = &call->session_next;
    session->inflight++;
    return call;
}

void session_answer(struct session *session, struct slice answer)
{
    if (session->head == NULL) {
        if (!conn_append(session->conn, answer)) {
            conn_close_now(session->conn);
        }
        return;
    }
    struct call *call = session_call(session, CALL_LOCAL);

    if (call != NULL && !held_keep(session, call, answer)) {
        conn_close_now(session->conn);
    }
}

/* --- the connection's events ------------------------------------------- */

static void session_end_when_answered(struct session *session)
{
    session->ending = true;
    if (session->inflight == 0) {
        conn_close(session->conn);
    }
}

/* A value too large for us: the shard must still forget the old one. */
static void session_refuse(struct session *session,
                           const struct request *request)
{
    metric_add(&session->worker->metrics.bad_requests, 1);
    if (request->error == WIRE_TOO_LARGE) {
        dispatch_forget(session, request);
    }
    if (request->error != WIRE_NONE && !request->noreply) {
        session_answer(session, wire_line(request->error));
    }
    conn_consume(session->conn, request->consumed);
    conn_skip(session->conn, request->skip);
    conn_request_done(session->conn);
    if (request->close) {
        session_end_when_answered(session);
    }
}

/* False: the request has to wait, whole or in part. */
static bool session_dispatch(struct session *session,
                             const struct request *request)
{
    size_t done = dispatch_request(session, request);

    conn_consume(session->conn, done);
    if (done == 0) {
        session->parser.scanned = 0;
        return false;
    }
    conn_request_done(session->conn);
    return session->get.left == 0;
}

/* False: nothing more to do with this input now. */
static bool session_take(struct session *session)
{
    struct request *request = &session->worker->request;
    struct slice input = conn_input(session->conn);

    if (session->get.left > 0) {
        return dispatch_resume(session);
    }
    switch (request_parse(&session->parser, input, request)) {
    case PARSE_DONE:
        if (request->command == COMMAND_QUIT) {
            session_end_when_answered(session);
            return false;
        }
        return session_dispatch(session, request);
    case PARSE_BAD: session_refuse(session, request); return true;
    case PARSE_LOST:
        metric_add(&session->worker->metrics.bad_requests, 1);
        if (request->error != WIRE_NONE) {
            session_answer(session, wire_line(request->error));
        }
        session_end_when_answered(session);
        return false;
    case PARSE_MORE: break;
    }
    if (request->needed > input.size &&
        conn_want(session->conn, request->needed) != ERR_OK) {
        session_answer(session, wire_line(WIRE_NO_MEMORY_READ));
        session_end_when_answered(session);
    }
    return false;
}

static void session_input(void *owner, struct conn *conn)
{
    struct session *session = owner;
    uint64_t budget = session->worker->options->requests_per_turn;

    while (budget > 0 && conn_input(conn).size > 0 &&
           session_may_send(session) && session_take(session)) {
        budget--;
    }
    if (budget == 0 && conn_input(conn).size > 0) {
        metric_add(&session->worker->metrics.conn_yields, 1);
        if (session_may_send(session)) {
            conn_again(conn);
        }
    }
    if (session->worker->draining) {
        session_drain(session);
    }
}

/* Calls that a shard has yet to answer go on without us; those that wait for
 * nothing but their turn end here. */
static void calls_orphan(struct session *session)
{
    struct call *call = session->head;

    while (call != NULL) {
        struct call *next = call->session_next;

        call->session = NULL;
        if (call->done) {
            worker_call_free(session->worker, call);
        }
        call = next;
    }
}

static void session_ended(void *owner, struct conn *conn, enum conn_end why)
{
    struct session *session = owner;
    struct worker *worker = session->worker;
    struct router_metrics *metrics = &worker->metrics;

    (void)conn;
    metric_add(&metrics->idle_kicks, why == CONN_END_IDLE);
    metric_add(&metrics->stalled_kicks, why == CONN_END_STALLED);
    metric_add(&metrics->unread_kicks, why == CONN_END_UNREAD);
    calls_orphan(session);
    crew_connection_ended(worker->router->crew, worker->index);
    stats_merge_free(session);
    mem_free(worker->env->mem, session->held.at);
    mem_free(worker->env->mem, session);
}

static const struct conn_handler session_handler = {
    .input = session_input,
    .ended = session_ended,
};

void session_open(struct worker *worker, int handle)
{
    const struct router_options *options = worker->options;
    const struct env *env = worker->env;
    struct session *session = mem_alloc_zeroed(env->mem, sizeof *session);
    struct conn_options conn_options = {
        .handler = &session_handler,
        .owner = session,
        .idle_timeout_ms = options->idle_timeout,
        .request_timeout_ms = options->request_timeout,
        .write_timeout_ms = options->write_timeout,
        .output_limit = options->client_output_limit,
    };

    if (session == NULL) {
        env->net->close(env->net->context, handle);
        crew_connection_ended(worker->router->crew, worker->index);
        return;
    }
    session->worker = worker;
    session->tail = &session->head;
    session->answer_size = SESSION_ANSWER_SIZE_FIRST;
    session->parser.value_size_max = options->value_size_max;
    if (conn_create(&session->conn, worker->pool, handle, &conn_options) !=
        ERR_OK) {
        crew_connection_ended(worker->router->crew, worker->index);
        mem_free(env->mem, session);
    }
}
