#include "shard/session.h"

#include "base/check.h"
#include "base/mem.h"
#include "shard/commands.h"
#include "shard/shard_private.h"

/* --- output ------------------------------------------------------------ */

char *session_reserve(struct session *session, size_t size)
{
    char *at = conn_reserve(session->conn, size);

    if (at == NULL) {
        conn_close(session->conn);
    }
    return at;
}

void session_commit(struct session *session, size_t size)
{
    conn_commit(session->conn, size);
}

void session_answer(struct session *session, struct slice bytes)
{
    if (!conn_append(session->conn, bytes)) {
        conn_close(session->conn);
    }
}

void session_reply(struct session *session, const struct request *request,
                   struct slice bytes)
{
    if (!request->noreply) {
        session_answer(session, bytes);
    }
}

/* --- ownership --------------------------------------------------------- */

void session_answer_moved(struct session *session)
{
    char line[48] = "SERVER_ERROR moved ";
    size_t size = sizeof "SERVER_ERROR moved " - 1;

    metric_add(&session->worker->metrics.moved, 1);
    size += decimal_write(line + size, worker_epoch(session->worker));
    line[size++] = '\r';
    line[size++] = '\n';
    session_answer(session, (struct slice){line, size});
}

/* DESIGN rule: owner, own epoch not behind the router's, tenure not above it.
 */
static bool session_owns(struct session *session, uint16_t slot)
{
    const struct worker *worker = session->worker;
    const struct ring *ring = worker->ring;

    if (ring == NULL || ring->owner[slot] != worker->self ||
        worker->self == RING_NOBODY || session->behind) {
        return false;
    }
    if (!session->announced) {
        return true;
    }
    if (ring->epoch < session->epoch) {
        session->behind = true;
        return false;
    }
    return ring->tenure[slot] <= session->epoch;
}

bool session_locate(struct session *session, struct slice key, uint64_t hash,
                    struct engine_key *out)
{
    const struct worker *worker = session->worker;

    *out = (struct engine_key){.key = key, .hash = hash};
    if (worker->alone) {
        return true;
    }
    uint16_t slot = key_slot(key);

    if (!session_owns(session, slot)) {
        return false;
    }
    out->tenure = worker->ring->tenure[slot];
    return true;
}

/* --- one batch --------------------------------------------------------- */

static bool shape_has_key(enum command_shape shape)
{
    return shape != SHAPE_ADMIN && shape != SHAPE_META_NOOP;
}

/* Parses what is there into worker->batch and starts the memory on its way.
 * Returns the number of whole requests; *outcome is that of the parse after
 * them, whose request is in batch[count]. */
static unsigned batch_parse(struct session *session, struct slice input,
                            unsigned limit, enum parse *outcome)
{
    struct worker *worker = session->worker;
    unsigned count = 0;

    *outcome = PARSE_DONE;
    while (count < limit) {
        struct request *request = &worker->batch[count];

        *outcome = request_parse(&session->parser, input, request);
        if (*outcome != PARSE_DONE) {
            break;
        }
        if (shape_has_key(command_shape(request->command))) {
            uint64_t hash = engine_hash(worker->engine, request->key);

            worker->keys[count].hash = hash;
            engine_prefetch_bucket(worker->engine, hash);
        }
        input.at += request->consumed;
        input.size -= request->consumed;
        count++;
        if (input.size == 0) {
            break;
        }
    }
    return count;
}

typedef void command_run(struct session *session, const struct request *request,
                         const struct engine_key *key);

static command_run *const command_runs[COMMAND_COUNT] = {
    [COMMAND_SET] = command_store,     [COMMAND_ADD] = command_store,
    [COMMAND_REPLACE] = command_store, [COMMAND_APPEND] = command_store,
    [COMMAND_PREPEND] = command_store, [COMMAND_CAS] = command_store,
    [COMMAND_DELETE] = command_delete, [COMMAND_INCR] = command_arith,
    [COMMAND_DECR] = command_arith,    [COMMAND_TOUCH] = command_touch,
    [COMMAND_MG] = command_mg,         [COMMAND_MS] = command_ms,
    [COMMAND_MD] = command_md,         [COMMAND_MA] = command_ma,
    [COMMAND_ME] = command_me,
};

/* Keeps what is left of a get line for when it goes on.  Returns how much of
 * the request is done with. */
static size_t get_keep(struct session *session, const struct request *request,
                       uint64_t expires_ms, struct slice left)
{
    size_t before = (size_t)(left.at - request->line.at);

    session->get.command = request->command;
    session->get.expires_ms = expires_ms;
    session->get.left = left.size;
    session->get.ending = request->consumed - before - left.size;
    return before;
}

static size_t get_run(struct session *session, const struct request *request)
{
    bool touch = command_shape(request->command) == SHAPE_TOUCH_KEYS;
    uint64_t expires_ms =
        touch ? worker_expires_ms(session->worker, request->exptime) : 0;
    const char *end = request->rest.size > 0
                          ? request->rest.at + request->rest.size
                          : request->key.at + request->key.size;
    struct slice keys = {request->key.at, (size_t)(end - request->key.at)};

    command_get(session, request->command, expires_ms, &keys);
    return keys.size == 0 ? request->consumed
                          : get_keep(session, request, expires_ms, keys);
}

/* Goes on with a get line that had to stop.  False: it has to stop again. */
static bool get_resume(struct session *session)
{
    struct slice input = conn_input(session->conn);

    check(session->get.left + session->get.ending <= input.size);
    struct slice keys = {input.at, session->get.left};

    command_get(session, session->get.command, session->get.expires_ms, &keys);
    size_t answered = session->get.left - keys.size;

    session->get.left = keys.size;
    conn_consume(session->conn,
                 answered + (keys.size == 0 ? session->get.ending : 0));
    conn_request_done(session->conn);
    return keys.size == 0;
}

/* Returns how much of the request is done with: all, but for a get that must go
 * on later. */
static size_t request_run(struct session *session,
                          const struct request *request, struct engine_key *key)
{
    if (!shape_has_key(command_shape(request->command))) {
        command_admin(session, request);
    } else if (!session_locate(session, request->key, key->hash, key)) {
        session_answer_moved(session);
    } else if (command_runs[request->command] == NULL) {
        return get_run(session, request);
    } else {
        command_runs[request->command](session, request, key);
    }
    return request->consumed;
}

/* Returns how many of the batch were answered whole. */
static unsigned batch_run(struct session *session, unsigned count)
{
    struct worker *worker = session->worker;
    size_t consumed = 0;
    unsigned done = 0;

    for (unsigned i = 0; count > 1 && i < count; i++) {
        if (shape_has_key(command_shape(worker->batch[i].command))) {
            engine_prefetch_item(worker->engine, worker->keys[i].hash);
        }
    }
    while (done < count && session->get.left == 0 &&
           !conn_is_closing(session->conn) &&
           conn_output_size(session->conn) <= CONN_OUTPUT_HIGH) {
        consumed +=
            request_run(session, &worker->batch[done], &worker->keys[done]);
        done += session->get.left == 0;
    }
    conn_consume(session->conn, consumed);
    if (consumed > 0) {
        conn_request_done(session->conn);
    }
    return done;
}

/* --- what is no request ------------------------------------------------ */

static void session_refuse(struct session *session,
                           const struct request *request)
{
    metric_add(&session->worker->metrics.bad_requests, 1);
    if (request->error == WIRE_TOO_LARGE) {
        command_store_refused(session, request);
    }
    if (request->error != WIRE_NONE) {
        session_reply(session, request, wire_line(request->error));
    }
    conn_consume(session->conn, request->consumed);
    conn_skip(session->conn, request->skip);
    conn_request_done(session->conn);
    if (request->close) {
        conn_close(session->conn);
    }
}

static void session_lost(struct session *session, const struct request *request)
{
    metric_add(&session->worker->metrics.bad_requests, 1);
    if (request->error != WIRE_NONE) {
        session_answer(session, wire_line(request->error));
    }
    conn_close(session->conn);
}

/* False: nothing more to do with this input now. */
static bool session_odd(struct session *session, enum parse outcome,
                        const struct request *request)
{
    switch (outcome) {
    case PARSE_DONE: return true;
    case PARSE_BAD:
        session_refuse(session, request);
        return !conn_is_closing(session->conn);
    case PARSE_LOST: session_lost(session, request); return false;
    case PARSE_MORE: break;
    }
    if (request->needed > conn_input(session->conn).size &&
        conn_want(session->conn, request->needed) != ERR_OK) {
        session_answer(session, wire_line(WIRE_NO_MEMORY_READ));
        conn_close(session->conn);
    }
    return false;
}

/* --- the connection's events ------------------------------------------- */

/* One batch; *budget goes down by what was done.  False: no more for now. */
static bool session_batch(struct session *session, unsigned *budget)
{
    struct slice input = conn_input(session->conn);
    unsigned limit = *budget < WORKER_BATCH_MAX ? *budget : WORKER_BATCH_MAX;
    enum parse outcome;

    if (input.size == 0) {
        return false;
    }
    unsigned count = batch_parse(session, input, limit, &outcome);

    if (batch_run(session, count) < count) {
        session->parser.scanned = 0;
        return false;
    }
    *budget -= count;
    if (count < limit && outcome != PARSE_DONE) {
        *budget -= 1;
        return session_odd(session, outcome, &session->worker->batch[count]);
    }
    return true;
}

static void session_input(void *owner, struct conn *conn)
{
    struct session *session = owner;
    unsigned budget = (unsigned)session->worker->options->requests_per_turn;

    if (session->get.left == 0 || get_resume(session)) {
        while (budget > 0 && session_batch(session, &budget)) {
        }
    }
    if ((budget == 0 || session->get.left > 0) && conn_input(conn).size > 0) {
        metric_add(&session->worker->metrics.conn_yields, 1);
        conn_again(conn);
    }
    if (session->worker->draining) {
        session_drain(session);
    }
}

static void session_ended(void *owner, struct conn *conn, enum conn_end why)
{
    struct session *session = owner;
    struct worker *worker = session->worker;
    struct shard_metrics *metrics = &worker->metrics;

    (void)conn;
    metric_add(&metrics->idle_kicks, why == CONN_END_IDLE);
    metric_add(&metrics->stalled_kicks, why == CONN_END_STALLED);
    metric_add(&metrics->unread_kicks, why == CONN_END_UNREAD);
    crew_connection_ended(worker->shard->crew, worker->index);
    mem_free(worker->shard->env->mem, session);
}

static const struct conn_handler session_handler = {
    .input = session_input,
    .ended = session_ended,
};

void session_drain(struct session *session)
{
    if (conn_input(session->conn).size == 0) {
        conn_close(session->conn);
    }
}

void session_open(struct worker *worker, int handle)
{
    const struct shard_options *options = worker->options;
    const struct env *env = worker->shard->env;
    struct session *session = mem_alloc_zeroed(env->mem, sizeof *session);
    struct conn_options conn_options = {
        .handler = &session_handler,
        .owner = session,
        .idle_timeout_ms = options->idle_timeout,
        .request_timeout_ms = options->request_timeout,
        .write_timeout_ms = options->write_timeout,
        .output_limit = options->value_size_max + (CONN_OUTPUT_HIGH * 2),
    };

    if (session == NULL) {
        env->net->close(env->net->context, handle);
        crew_connection_ended(worker->shard->crew, worker->index);
        return;
    }
    session->worker = worker;
    session->parser.value_size_max = options->value_size_max;
    if (conn_create(&session->conn, worker->pool, handle, &conn_options) !=
        ERR_OK) {
        crew_connection_ended(worker->shard->crew, worker->index);
        mem_free(env->mem, session);
    }
}
