#include "router/dispatch.h"

#include <stdio.h>

#include "base/check.h"
#include "base/log.h"
#include "core/admin_line.h"
#include "core/slot.h"
#include "node/process.h"
#include "router/router_private.h"
#include "router/stats.h"

/* --- writing a request anew -------------------------------------------- */

static char *word_put(char *at, struct slice word)
{
    memcpy(at, word.at, word.size);
    return at + word.size;
}

static char *line_end_put(char *at)
{
    memcpy(at, "\r\n", 2);
    return at + 2;
}

static bool is_left_out(const struct request *request, struct slice word,
                        unsigned index)
{
    enum command_shape shape = command_shape(request->command);

    if (shape == SHAPE_META || shape == SHAPE_META_STORE) {
        unsigned first = request->command == COMMAND_MS ? 3 : 2;

        return index >= first && word.at[0] == 'q';
    }
    return request->noreply && index > 1 && slice_equal(word, SLICE("noreply"));
}

/* Every word but noreply and q, and the data block. */
static char *words_put(char *at, const struct request *request)
{
    struct slice rest = request->line;
    struct slice word;

    for (unsigned i = 0; request_next_word(&rest, &word); i++) {
        if (is_left_out(request, word, i)) {
            continue;
        }
        if (i > 0) {
            *at++ = ' ';
        }
        at = word_put(at, word);
    }
    at = line_end_put(at);
    switch (command_shape(request->command)) {
    case SHAPE_STORE:
    case SHAPE_CAS:
    case SHAPE_META_STORE: return line_end_put(word_put(at, request->value));
    default: return at;
    }
}

/* --- sending ----------------------------------------------------------- */

static bool request_is_quiet(const struct request *request)
{
    enum command_shape shape = command_shape(request->command);

    return (shape == SHAPE_META || shape == SHAPE_META_STORE) &&
           request_has(request, 'q');
}

/* Room at the upstream for a request of at most `bound` bytes; NULL: the call
 * has failed.  line: to echo from. */
static char *call_reserve(struct session *session, struct call *call,
                          struct upstream *upstream, size_t bound,
                          struct slice line)
{
    enum wire_line refusal = WIRE_NO_RING;
    char *at =
        upstream != NULL ? upstream_reserve(upstream, bound, &refusal) : NULL;

    if (at == NULL) {
        call_fail(session->worker, call, line, refusal);
    }
    return at;
}

static void call_send(struct session *session, struct call *call,
                      struct upstream *upstream, const struct request *request)
{
    size_t bound = request->line.size + 2 + request->value.size + 2;
    char *at = call_reserve(session, call, upstream, bound, request->line);

    if (at != NULL) {
        upstream_send(upstream, call, (size_t)(words_put(at, request) - at));
    }
}

/* "get key", "gats 60 key" */
static void key_send(struct session *session, struct slice key, bool last)
{
    struct worker *worker = session->worker;
    struct slice word = command_word(session->get.command);
    struct slice exptime = slice_of(session->get.exptime);
    struct call *call = session_call(session, CALL_GET);

    if (call == NULL) {
        return;
    }
    call->expect = EXPECT_VALUE;
    call->command = session->get.command;
    call->last = last;
    call->hash = key_hash(key);
    metric_add(&worker->metrics.requests, 1);
    metric_add(&worker->metrics.cmd_get, 1);
    struct upstream *upstream = worker_route(worker, call->hash);
    char *start = call_reserve(session, call, upstream,
                               word.size + exptime.size + key.size + 4, key);

    if (start == NULL) {
        return;
    }
    char *at = word_put(start, word);

    *at++ = ' ';
    if (exptime.size > 0) {
        at = word_put(at, exptime);
        *at++ = ' ';
    }
    call->key_at = (uint16_t)(at - start);
    call->key_size = (uint16_t)key.size;
    at = line_end_put(word_put(at, key));
    upstream_send(upstream, call, (size_t)(at - start));
}

/* One call a key, whatever shard it is on: the answers find their order by
 * themselves, and a shard that fails costs only its own keys.  What has to wait
 * is left in *keys. */
static void keys_send(struct session *session, struct slice *keys)
{
    struct slice rest = *keys;
    struct slice key, next;
    bool more = request_next_key(&rest, &key);

    while (more && session_may_send(session)) {
        more = request_next_key(&rest, &next);
        key_send(session, key, !more);
        key = next;
    }
    keys->size = more ? keys->size - (size_t)(key.at - keys->at) : 0;
    keys->at = more ? key.at : keys->at;
}

static size_t dispatch_get(struct session *session,
                           const struct request *request)
{
    const char *end = request->rest.size > 0
                          ? request->rest.at + request->rest.size
                          : request->key.at + request->key.size;
    struct slice keys = {request->key.at, (size_t)(end - request->key.at)};

    session->get.command = request->command;
    session->get.exptime[0] = '\0';
    if (command_shape(request->command) == SHAPE_TOUCH_KEYS) {
        int size = snprintf(session->get.exptime, sizeof session->get.exptime,
                            "%lld", (long long)request->exptime);

        check(size > 0 && (size_t)size < sizeof session->get.exptime);
    }
    keys_send(session, &keys);
    if (keys.size == 0) {
        return request->consumed;
    }
    size_t before = (size_t)(keys.at - request->line.at);

    session->get.left = keys.size;
    session->get.ending = request->consumed - before - keys.size;
    return before;
}

bool dispatch_resume(struct session *session)
{
    struct slice input = conn_input(session->conn);

    check(session->get.left + session->get.ending <= input.size);
    struct slice keys = {input.at, session->get.left};

    keys_send(session, &keys);
    size_t sent = session->get.left - keys.size;

    session->get.left = keys.size;
    conn_consume(session->conn,
                 sent + (keys.size == 0 ? session->get.ending : 0));
    conn_request_done(session->conn);
    return keys.size == 0;
}

static void dispatch_keyed(struct session *session,
                           const struct request *request, enum call_kind kind,
                           enum reply_expect expect)
{
    struct worker *worker = session->worker;
    struct call *call = session_call(session, kind);

    if (call == NULL) {
        return;
    }
    call->expect = expect;
    call->command = request->command;
    call->quiet = request->noreply || request_is_quiet(request);
    call->last = true;
    call->hash = key_hash(request->key);
    metric_add(&worker->metrics.requests, 1);
    call_send(session, call, worker_route(worker, call->hash), request);
}

void dispatch_forget(struct session *session, const struct request *request)
{
    struct worker *worker = session->worker;
    bool encoded = request->key.at == request->key_bytes;
    struct slice rest = request->line;
    struct slice key = {0};
    char line[sizeof "md  b" + KEY_SIZE_MAX];
    struct request forget = {.command = COMMAND_DELETE};

    if ((request->command != COMMAND_SET && request->command != COMMAND_MS) ||
        request->key.size == 0) {
        return;
    }
    (void)request_next_word(&rest, &key);
    (void)request_next_word(&rest, &key);
    int size = snprintf(line, sizeof line, "md %.*s%s", (int)key.size, key.at,
                        encoded ? " b" : "");
    struct call *call = session_call(session, CALL_LINE);

    check(size > 0 && (size_t)size < sizeof line);
    if (call == NULL) {
        return;
    }
    forget.line = (struct slice){line, (size_t)size};
    call->expect = EXPECT_META;
    call->command = COMMAND_MD;
    call->quiet = true;
    call->hash = key_hash(request->key);
    call_send(session, call, worker_route(worker, call->hash), &forget);
}

/* --- to every shard ---------------------------------------------------- */

static unsigned owners_count(const struct worker *worker)
{
    return worker->ring != NULL ? worker->ring->member_count : 0;
}

static void broadcast_one(struct session *session,
                          const struct request *request, enum call_kind kind,
                          unsigned member, bool last)
{
    struct worker *worker = session->worker;
    unsigned lanes = (unsigned)worker->options->shard_connections;
    struct call *call = session_call(session, kind);

    if (call == NULL) {
        return;
    }
    call->expect = kind == CALL_STATS ? EXPECT_STATS : EXPECT_LINE;
    call->command = request->command;
    call->quiet = request->noreply;
    call->last = last;
    call_send(session, call, worker->owners[member * lanes], request);
}

/* False: there is no shard to send it to. */
static bool broadcast(struct session *session, const struct request *request,
                      enum call_kind kind)
{
    unsigned count = owners_count(session->worker);

    for (unsigned i = 0; i < count; i++) {
        broadcast_one(session, request, kind, i, i + 1 == count);
    }
    return count > 0;
}

static void dispatch_flush(struct session *session,
                           const struct request *request)
{
    struct admin_line line = admin_flush_read(request);
    char words[sizeof "flush_all -2147483648"];
    struct request anew = *request;

    if (!line.valid) {
        if (!line.noreply) {
            session_answer(session, wire_line(WIRE_BAD_EXPTIME));
        }
        return;
    }
    int size =
        snprintf(words, sizeof words, "flush_all %lld", (long long)line.number);

    check(size > 0 && (size_t)size < sizeof words);
    anew.line = (struct slice){words, (size_t)size};
    anew.noreply = line.noreply;
    if (!broadcast(session, &anew, CALL_FLUSH) && !line.noreply) {
        session_answer(session, wire_line(WIRE_NO_RING));
    }
}

/* False: another one is being answered; this one has to wait for it. */
static bool dispatch_stats(struct session *session,
                           const struct request *request)
{
    if (session->stats != NULL) {
        return false;
    }
    if (!stats_merge_begin(session, request) ||
        !broadcast(session, request, CALL_STATS)) {
        stats_merge_answer(session);
    }
    return true;
}

/* --- the router's own -------------------------------------------------- */

static void dispatch_verbosity(struct session *session,
                               const struct request *request)
{
    struct admin_line line = admin_verbosity_read(request);

    if (line.valid) {
        log_level_set(session->worker->env->log,
                      line.number == 0 ? LOG_INFO : LOG_DEBUG);
    }
    if (!line.noreply) {
        session_answer(session, line.valid ? SLICE("OK\r\n")
                                           : wire_line(WIRE_BAD_FORMAT));
    }
}

static bool dispatch_local(struct session *session,
                           const struct request *request)
{
    switch (request->command) {
    case COMMAND_MN: session_answer(session, SLICE("MN\r\n")); break;
    case COMMAND_VERSION:
        session_answer(session, SLICE("VERSION " TORC_MEMCACHED_LEVEL
                                      "-torc" TORC_VERSION "\r\n"));
        break;
    case COMMAND_VERBOSITY: dispatch_verbosity(session, request); break;
    case COMMAND_FLUSH_ALL: dispatch_flush(session, request); break;
    case COMMAND_STATS: return dispatch_stats(session, request);
    default: session_answer(session, wire_line(WIRE_ERROR)); break;
    }
    return true;
}

size_t dispatch_request(struct session *session, const struct request *request)
{
    switch (command_shape(request->command)) {
    case SHAPE_KEYS:
    case SHAPE_TOUCH_KEYS: return dispatch_get(session, request);
    case SHAPE_STORE:
    case SHAPE_CAS:
        metric_add(&session->worker->metrics.cmd_set, 1);
        dispatch_keyed(session, request, CALL_LINE, EXPECT_LINE);
        break;
    case SHAPE_DELETE:
    case SHAPE_ARITH:
    case SHAPE_TOUCH:
        dispatch_keyed(session, request, CALL_LINE, EXPECT_LINE);
        break;
    case SHAPE_META:
        dispatch_keyed(session, request,
                       request->command == COMMAND_MG ||
                               request->command == COMMAND_ME
                           ? CALL_META_GET
                           : CALL_META,
                       EXPECT_META);
        break;
    case SHAPE_META_STORE:
        metric_add(&session->worker->metrics.cmd_set, 1);
        dispatch_keyed(session, request, CALL_META, EXPECT_META);
        break;
    case SHAPE_META_NOOP:
    case SHAPE_ADMIN:
        return dispatch_local(session, request) ? request->consumed : 0;
    }
    return request->consumed;
}
