/* The meta protocol's commands on keys. */
#include "base/check.h"
#include "shard/commands.h"

/* Code, size, every flag that can be echoed, line ending. */
enum { META_LINE_SIZE_MAX = 1024 };

/* What a meta answer's flags are made from. */
struct meta_answer {
    struct session *session;
    const struct request *request;
    const struct engine_item *item; /* NULL: a miss; only O and k are echoed */
    uint64_t now_ms;
    char changed_by;         /* T or N: the flag that set the expiry; or 0 */
    bool changed;            /* flags_put has come past it */
    uint64_t expires_now_ms; /* for a t behind it; item has what was before */
    size_t line_size;
};

static char *text_put(char *at, struct slice text)
{
    memcpy(at, text.at, text.size);
    return at + text.size;
}

static char *flag_put_number(char *at, char letter, uint64_t number)
{
    *at++ = ' ';
    *at++ = letter;
    return at + decimal_write(at, number);
}

/* The key as it was sent: base64 stays base64. */
static struct slice key_sent(const struct request *request)
{
    struct slice rest = request->line;
    struct slice word = {0};

    (void)request_next_word(&rest, &word);
    (void)request_next_word(&rest, &word);
    return word;
}

static char *flag_put_key(char *at, const struct request *request)
{
    at = text_put(at, SLICE(" k"));
    at = text_put(at, key_sent(request));
    return request_has(request, 'b') ? text_put(at, SLICE(" b")) : at;
}

static char *flag_put_ttl(char *at, const struct meta_answer *answer)
{
    uint64_t expires_ms =
        answer->changed ? answer->expires_now_ms : answer->item->expires_ms;

    if (expires_ms == 0) {
        return text_put(at, SLICE(" t-1"));
    }
    uint64_t left_ms =
        expires_ms > answer->now_ms ? expires_ms - answer->now_ms : 0;

    /* Rounded up: an item just stored for ten seconds says ten. */
    return flag_put_number(at, 't', (left_ms + 999) / 1000);
}

static char *flag_put_item(char *at, char letter,
                           const struct meta_answer *answer)
{
    const struct engine_item *item = answer->item;

    switch (letter) {
    case 'c': return flag_put_number(at, 'c', item->cas);
    case 'f': return flag_put_number(at, 'f', item->flags);
    case 'h': return flag_put_number(at, 'h', item->fetched);
    case 'l':
        return flag_put_number(at, 'l',
                               (answer->now_ms - item->accessed_ms) / 1000);
    case 's': return flag_put_number(at, 's', item->value_size);
    case 't': return flag_put_ttl(at, answer);
    default: return at;
    }
}

/* The flags of an answer, in the order they were asked for. */
static char *flags_put(char *at, struct meta_answer *answer)
{
    const struct request *request = answer->request;
    const struct engine_item *item = answer->item;

    answer->changed = false;
    for (unsigned i = 0; i < request->meta_count; i++) {
        const struct meta_flag *flag = &request->meta[i];

        if (flag->letter == 'O') {
            at = text_put(at, SLICE(" O"));
            at = text_put(at, flag->token);
        } else if (flag->letter == 'k') {
            at = flag_put_key(at, request);
        } else if (flag->letter == answer->changed_by) {
            answer->changed = true;
        } else if (item != NULL) {
            at = flag_put_item(at, flag->letter, answer);
        }
    }
    if (item != NULL) {
        at = item->sent ? text_put(at, SLICE(" Z")) : at;
        at = item->stale ? text_put(at, SLICE(" X")) : at;
        at = item->won ? text_put(at, SLICE(" W")) : at;
    }
    return text_put(at, SLICE("\r\n"));
}

/* code, flags, no value */
static void meta_answer_line(struct meta_answer *answer, struct slice code)
{
    char *line = session_reserve(answer->session, META_LINE_SIZE_MAX);

    if (line != NULL) {
        char *at = flags_put(text_put(line, code), answer);

        session_commit(answer->session, (size_t)(at - line));
    }
}

static uint64_t expires_of(const struct session *session, int64_t ttl)
{
    return worker_expires_ms(session->worker, ttl);
}

/* --- mg ---------------------------------------------------------------- */

static char *mg_room(void *context, const struct engine_item *item)
{
    struct meta_answer *answer = context;
    char *line = session_reserve(answer->session,
                                 META_LINE_SIZE_MAX + item->value_size + 2);
    if (line == NULL) {
        return NULL;
    }
    char *at = text_put(line, SLICE("VA "));

    answer->item = item;
    at += decimal_write(at, item->value_size);
    at = flags_put(at, answer);
    answer->line_size = (size_t)(at - line);
    return at;
}

static void mg_commit_value(struct meta_answer *answer,
                            const struct engine_item *item)
{
    size_t size = answer->line_size + item->value_size;
    char *line = session_reserve(answer->session, size + 2);

    check(line != NULL);
    memcpy(line + size, "\r\n", 2);
    session_commit(answer->session, size + 2);
}

static void mg_count(struct shard_metrics *metrics,
                     const struct request *request, bool hit)
{
    metric_add(&metrics->cmd_get, 1);
    metric_add(hit ? &metrics->get_hits : &metrics->get_misses, 1);
    if (request_has(request, 'T')) {
        metric_add(&metrics->cmd_touch, 1);
        metric_add(hit ? &metrics->touch_hits : &metrics->touch_misses, 1);
    }
}

static struct engine_get mg_how(const struct session *session,
                                const struct request *request)
{
    return (struct engine_get){
        .touch = request_has(request, 'T'),
        .expires_ms = expires_of(session, request->ttl),
        .quiet_access = request_has(request, 'u'),
        .leases = true,
        .vivify = request_has(request, 'N'),
        .vivify_expires_ms = expires_of(session, request->vivify_ttl),
        .cas_new = request_has(request, 'E') ? request->cas_new : 0,
        .recache = request_has(request, 'R'),
        .recache_ms = request->recache_ttl > 0
                          ? (uint64_t)request->recache_ttl * 1000
                          : 0,
    };
}

/* C: an item that has this CAS id is known to the client; its value is not
 * wanted. */
static bool mg_wants_value(struct session *session,
                           const struct request *request,
                           const struct engine_key *key)
{
    struct engine_now now = worker_now(session->worker);
    struct engine_item item;

    if (!request_has(request, 'v')) {
        return false;
    }
    return !request_has(request, 'C') ||
           engine_peek(session->worker->store, &now, key, &item) != ENGINE_OK ||
           item.cas != request->compare;
}

void command_mg(struct session *session, const struct request *request,
                const struct engine_key *key)
{
    struct worker *worker = session->worker;
    struct engine_now now = worker_now(worker);
    struct engine_get how = mg_how(session, request);
    struct meta_answer answer = {.session = session,
                                 .request = request,
                                 .now_ms = now.ms,
                                 .changed_by = how.touch ? 'T' : 0,
                                 .expires_now_ms = how.expires_ms};
    struct engine_sink sink = {mg_room, &answer};
    bool with_value = mg_wants_value(session, request, key);
    struct engine_item item = {0};
    enum engine_result result = engine_get(worker->store, &now, key, &how,
                                           with_value ? &sink : NULL, &item);
    bool hit = result == ENGINE_OK;

    metric_add(&worker->metrics.cmd_meta, 1);
    mg_count(&worker->metrics, request, hit);
    if (result == ENGINE_NO_MEMORY) {
        session_answer(session, wire_line(WIRE_NO_MEMORY));
        return;
    }
    if (!hit && !item.won) {
        if (result == ENGINE_MISS && !request_has(request, 'q')) {
            answer.item = NULL;
            meta_answer_line(&answer, SLICE("EN"));
        }
        return;
    }
    answer.item = &item;
    if (!hit) { /* vivified: without N it would have lived for ever */
        answer.changed_by = 'N';
        item.expires_ms = 0;
        answer.expires_now_ms = how.vivify_expires_ms;
    }
    if (!with_value) {
        meta_answer_line(&answer, SLICE("HD"));
        return;
    }
    if (!hit) {
        /* Vivified: the item is there, and empty. */
        answer.line_size = 0;
        (void)mg_room(&answer, &item);
    }
    if (!conn_is_closing(session->conn)) {
        mg_commit_value(&answer, &item);
    }
}

/* --- ms ---------------------------------------------------------------- */

static enum store_mode ms_mode(char mode)
{
    switch (mode) {
    case 'E': return STORE_ADD;
    case 'A': return STORE_APPEND;
    case 'P': return STORE_PREPEND;
    case 'R': return STORE_REPLACE;
    default: return STORE_SET;
    }
}

static struct slice meta_code(enum engine_result result)
{
    switch (result) {
    case ENGINE_OK: return SLICE("HD");
    case ENGINE_EXISTS: return SLICE("EX");
    case ENGINE_MISS: return SLICE("NF");
    default: return SLICE("NS");
    }
}

/* True if the result is one for an error line, which is then answered. */
static bool meta_failed(struct session *session, enum engine_result result)
{
    struct shard_metrics *metrics = &session->worker->metrics;

    if (result == ENGINE_TOO_LARGE) {
        metric_add(&metrics->store_too_large, 1);
        session_answer(session, wire_line(WIRE_TOO_LARGE));
        return true;
    }
    if (result == ENGINE_NO_MEMORY) {
        metric_add(&metrics->store_no_memory, 1);
        session_answer(session, wire_line(WIRE_NO_MEMORY));
        return true;
    }
    if (result == ENGINE_NOT_NUMBER) {
        session_answer(session, wire_line(WIRE_NOT_A_NUMBER));
        return true;
    }
    return false;
}

void command_ms(struct session *session, const struct request *request,
                const struct engine_key *key)
{
    struct worker *worker = session->worker;
    struct engine_now now = worker_now(worker);
    struct engine_store store = {
        .mode = ms_mode(request->mode),
        .value = request->value,
        .flags = request_has(request, 'F') ? request->flags : 0,
        .expires_ms =
            request_has(request, 'T') ? expires_of(session, request->ttl) : 0,
        .compare = request_has(request, 'C'),
        .cas = request->compare,
        .cas_new = request_has(request, 'E') ? request->cas_new : 0,
        .invalidate = request_has(request, 'I'),
        .vivify = request_has(request, 'N'),
        .vivify_expires_ms = expires_of(session, request->vivify_ttl),
    };
    struct engine_item item = {0};
    struct meta_answer answer = {
        .session = session, .request = request, .now_ms = now.ms};
    enum engine_result result =
        engine_store(worker->store, &now, key, &store, &item);

    metric_add(&worker->metrics.cmd_meta, 1);
    metric_add(&worker->metrics.cmd_set, 1);
    if (meta_failed(session, result)) {
        return;
    }
    if (result != ENGINE_OK) {
        item = (struct engine_item){0};
    } else if (request_has(request, 'q')) {
        return;
    }
    /* The stale mark is the reader's business, not the writer's. */
    item.stale = item.won = item.sent = false;
    answer.item = &item;
    meta_answer_line(&answer, meta_code(result));
}

/* --- md ---------------------------------------------------------------- */

void command_md(struct session *session, const struct request *request,
                const struct engine_key *key)
{
    struct worker *worker = session->worker;
    struct shard_metrics *metrics = &worker->metrics;
    struct engine_now now = worker_now(worker);
    struct engine_delete how = {
        .compare = request_has(request, 'C'),
        .cas = request->compare,
        .cas_new = request_has(request, 'E') ? request->cas_new : 0,
        .mark_stale = request_has(request, 'I'),
        .touch = request_has(request, 'T'),
        .expires_ms = expires_of(session, request->ttl),
        .drop_value = request_has(request, 'x'),
    };
    struct meta_answer answer = {.session = session, .request = request};
    enum engine_result result = engine_delete(worker->store, &now, key, &how);

    metric_add(&metrics->cmd_meta, 1);
    metric_add(&metrics->delete_hits, result == ENGINE_OK);
    metric_add(&metrics->delete_misses, result == ENGINE_MISS);
    if (result == ENGINE_OK && request_has(request, 'q')) {
        return;
    }
    meta_answer_line(&answer, meta_code(result));
}

/* --- ma ---------------------------------------------------------------- */

static void ma_count(struct shard_metrics *metrics, bool decrement, bool hit)
{
    if (decrement) {
        metric_add(hit ? &metrics->decr_hits : &metrics->decr_misses, 1);
    } else {
        metric_add(hit ? &metrics->incr_hits : &metrics->incr_misses, 1);
    }
}

static void ma_answer_value(struct meta_answer *answer, uint64_t number)
{
    char digits[20];
    size_t size = decimal_write(digits, number);
    char *line = session_reserve(answer->session, META_LINE_SIZE_MAX + 22);

    if (line == NULL) {
        return;
    }
    char *at = text_put(line, SLICE("VA "));

    at += decimal_write(at, size);
    at = flags_put(at, answer);
    at = text_put(at, (struct slice){digits, size});
    at = text_put(at, SLICE("\r\n"));
    session_commit(answer->session, (size_t)(at - line));
}

void command_ma(struct session *session, const struct request *request,
                const struct engine_key *key)
{
    struct worker *worker = session->worker;
    struct engine_now now = worker_now(worker);
    struct engine_arith arith = {
        .decrement = request->mode == 'D',
        .delta = request->delta,
        .compare = request_has(request, 'C'),
        .cas = request->compare,
        .cas_new = request_has(request, 'E') ? request->cas_new : 0,
        .touch = request_has(request, 'T'),
        .expires_ms = expires_of(session, request->ttl),
        .vivify = request_has(request, 'N'),
        .initial = request_has(request, 'J') ? request->initial : 0,
        .vivify_expires_ms = expires_of(session, request->vivify_ttl),
    };
    struct engine_item item = {0};
    struct meta_answer answer = {
        .session = session, .request = request, .now_ms = now.ms};
    uint64_t number = 0;
    enum engine_result result =
        engine_arith(worker->store, &now, key, &arith, &number, &item);

    metric_add(&worker->metrics.cmd_meta, 1);
    ma_count(&worker->metrics, arith.decrement, result == ENGINE_OK);
    if (meta_failed(session, result)) {
        return;
    }
    item.stale = item.won = item.sent = false;
    if (result != ENGINE_OK) {
        meta_answer_line(&answer, meta_code(result));
        return;
    }
    answer.item = &item;
    if (request_has(request, 'q')) {
        return;
    }
    if (request_has(request, 'v')) {
        ma_answer_value(&answer, number);
    } else {
        meta_answer_line(&answer, SLICE("HD"));
    }
}

/* --- me ---------------------------------------------------------------- */

static char *pair_put(char *at, struct slice name, uint64_t number)
{
    at = text_put(at, name);
    return at + decimal_write(at, number);
}

static char *me_expiry_put(char *at, const struct engine_item *item,
                           uint64_t now_ms)
{
    if (item->expires_ms == 0) {
        return text_put(at, SLICE(" exp=-1"));
    }
    uint64_t left_ms =
        item->expires_ms > now_ms ? item->expires_ms - now_ms : 0;

    return pair_put(at, SLICE(" exp="), (left_ms + 999) / 1000);
}

void command_me(struct session *session, const struct request *request,
                const struct engine_key *key)
{
    struct worker *worker = session->worker;
    struct engine_now now = worker_now(worker);
    struct engine_item item;

    metric_add(&worker->metrics.cmd_meta, 1);
    if (engine_peek(worker->store, &now, key, &item) != ENGINE_OK) {
        session_answer(session, SLICE("EN\r\n"));
        return;
    }
    char *line = session_reserve(session, META_LINE_SIZE_MAX);

    if (line == NULL) {
        return;
    }
    char *at = text_put(line, SLICE("ME "));

    at = text_put(at, key_sent(request));
    at = me_expiry_put(at, &item, now.ms);
    at = pair_put(at, SLICE(" la="), (now.ms - item.accessed_ms) / 1000);
    at = pair_put(at, SLICE(" cas="), item.cas);
    at = text_put(at, item.fetched ? SLICE(" fetch=yes") : SLICE(" fetch=no"));
    at = pair_put(at, SLICE(" cls="), item.class_id);
    at = pair_put(at, SLICE(" size="), item.value_size + key->key.size);
    at = text_put(at, SLICE("\r\n"));
    session_commit(session, (size_t)(at - line));
}
