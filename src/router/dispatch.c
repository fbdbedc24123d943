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

/* What the request is written to: where, and where in it the key is. */
struct draft {
    char *start, *at;
    uint16_t key_at;
};

typedef void draft_write(struct draft *draft, const struct request *request,
                         struct slice key);

/* "get key", "gats 60 key" */
static void draft_get(struct draft *draft, const struct request *request,
                      struct slice key)
{
    struct slice rest = request->line;
    struct slice word;

    (void)request_next_word(&rest, &word);
    draft->at = word_put(draft->at, word);
    *draft->at++ = ' ';
    if (command_shape(request->command) == SHAPE_TOUCH_KEYS) {
        (void)request_next_word(&rest, &word);
        draft->at = word_put(draft->at, word);
        *draft->at++ = ' ';
    }
    draft->key_at = (uint16_t)(draft->at - draft->start);
    draft->at = line_end_put(word_put(draft->at, key));
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
static void draft_words(struct draft *draft, const struct request *request,
                        struct slice key)
{
    struct slice rest = request->line;
    struct slice word;

    (void)key;
    for (unsigned i = 0; request_next_word(&rest, &word); i++) {
        if (is_left_out(request, word, i)) {
            continue;
        }
        if (i > 0) {
            *draft->at++ = ' ';
        }
        draft->at = word_put(draft->at, word);
    }
    draft->at = line_end_put(draft->at);
    switch (command_shape(request->command)) {
    case SHAPE_STORE:
    case SHAPE_CAS:
    case SHAPE_META_STORE:
        draft->at = line_end_put(word_put(draft->at, request->value));
        break;
    default: break;
    }
}

/* --- sending ----------------------------------------------------------- */

static bool request_is_quiet(const struct request *request)
{
    enum command_shape shape = command_shape(request->command);

    return (shape == SHAPE_META || shape == SHAPE_META_STORE) &&
           request_has(request, 'q');
}

static void call_send(struct session *session, struct call *call,
                      struct upstream *upstream, draft_write *write,
                      const struct request *request, struct slice key)
{
    size_t bound = request->line.size + 2 + request->value.size + 2;
    enum wire_line refusal = WIRE_NO_RING;
    char *at =
        upstream != NULL ? upstream_reserve(upstream, bound, &refusal) : NULL;

    if (at == NULL) {
        call_fail(session->worker, call, request->line, refusal);
        return;
    }
    struct draft draft = {.start = at, .at = at};

    write(&draft, request, key);
    call->key_at = draft.key_at;
    call->key_size = (uint16_t)key.size;
    upstream_send(upstream, call, (size_t)(draft.at - at));
}

static void key_send(struct session *session, const struct request *request,
                     struct slice key, bool last)
{
    struct worker *worker = session->worker;
    struct call *call = session_call(session, CALL_GET);

    if (call == NULL) {
        return;
    }
    call->expect = EXPECT_VALUE;
    call->command = request->command;
    call->last = last;
    call->hash = key_hash(key);
    metric_add(&worker->metrics.requests, 1);
    metric_add(&worker->metrics.cmd_get, 1);
    call_send(session, call, worker_route(worker, call->hash), draft_get,
              request, key);
}

/* One call a key, whatever shard it is on: the answers find their order by
 * themselves, and a shard that fails costs only its own keys. */
static bool dispatch_get(struct session *session, const struct request *request)
{
    const struct router_options *options = session->worker->options;
    struct slice rest = request->rest;
    struct slice key = request->key;
    const char *end = rest.at + rest.size;
    bool more = true;

    if (session->get_offset > 0) {
        rest.at = request->line.at + session->get_offset;
        rest.size = (size_t)(end - rest.at);
        more = request_next_key(&rest, &key);
    }
    while (more && !conn_is_closing(session->conn)) {
        struct slice next = {0};

        if (session->inflight >= options->client_inflight &&
            session->inflight > 0) {
            session->get_offset = (size_t)(key.at - request->line.at);
            return false;
        }
        more = request_next_key(&rest, &next);
        key_send(session, request, key, !more);
        key = next;
    }
    session->get_offset = 0;
    return true;
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
    call_send(session, call, worker_route(worker, call->hash), draft_words,
              request, request->key);
}

void dispatch_forget(struct session *session, const struct request *request)
{
    struct worker *worker = session->worker;
    bool forgets =
        request->command == COMMAND_SET || request->command == COMMAND_MS;
    struct request delete = {.command = COMMAND_DELETE, .noreply = true};
    char line[sizeof "delete " + KEY_SIZE_MAX] = "delete ";

    /* A key with bytes that the text protocol has no place for cannot be
     * named here; it was base64, and its shard refuses the value anyway. */
    if (!forgets || request->key.size == 0 ||
        request->key.at == request->key_bytes) {
        return;
    }
    memcpy(line + 7, request->key.at, request->key.size);
    delete.line = (struct slice){line, 7 + request->key.size};
    delete.key = (struct slice){line + 7, request->key.size};

    struct call *call = session_call(session, CALL_LINE);

    if (call == NULL) {
        return;
    }
    call->expect = EXPECT_LINE;
    call->command = COMMAND_DELETE;
    call->quiet = true;
    call->hash = key_hash(delete.key);
    call_send(session, call, worker_route(worker, call->hash), draft_words,
              &delete, delete.key);
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
    call_send(session, call, worker->owners[member * lanes], draft_words,
              request, request->key);
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

static void dispatch_stats(struct session *session,
                           const struct request *request)
{
    if (session->stats != NULL) {
        /* Two at once on one connection: the second waits for its turn like
         * everything else, but may not share the first one's sums. */
        session_answer(session, wire_line(WIRE_SHARD_BUSY));
        return;
    }
    if (!stats_merge_begin(session, request) ||
        !broadcast(session, request, CALL_STATS)) {
        stats_merge_answer(session);
    }
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

static void dispatch_local(struct session *session,
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
    case COMMAND_STATS: dispatch_stats(session, request); break;
    default: session_answer(session, wire_line(WIRE_ERROR)); break;
    }
}

bool dispatch_request(struct session *session, const struct request *request)
{
    switch (command_shape(request->command)) {
    case SHAPE_KEYS:
    case SHAPE_TOUCH_KEYS: return dispatch_get(session, request);
    case SHAPE_STORE:
    case SHAPE_CAS:
        metric_add(&session->worker->metrics.cmd_set, 1);
        dispatch_keyed(session, request, CALL_LINE, EXPECT_LINE);
        return true;
    case SHAPE_DELETE:
    case SHAPE_ARITH:
    case SHAPE_TOUCH:
        dispatch_keyed(session, request, CALL_LINE, EXPECT_LINE);
        return true;
    case SHAPE_META:
        dispatch_keyed(session, request,
                       request->command == COMMAND_MG ||
                               request->command == COMMAND_ME
                           ? CALL_META_GET
                           : CALL_META,
                       EXPECT_META);
        return true;
    case SHAPE_META_STORE:
        metric_add(&session->worker->metrics.cmd_set, 1);
        dispatch_keyed(session, request, CALL_META, EXPECT_META);
        return true;
    case SHAPE_META_NOOP:
    case SHAPE_ADMIN: break;
    }
    dispatch_local(session, request);
    return true;
}
