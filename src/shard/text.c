/* The text protocol's commands on keys. */
#include "base/check.h"
#include "shard/commands.h"

enum {
    GET_BATCH_MAX = 16,  /* keys prefetched together */
    GET_TURN_MAX = 1024, /* keys answered before others get their turn */
};

/* "VALUE " key " " flags " " size " " cas "\r\n" */
enum { VALUE_LINE_SIZE_MAX = 6 + KEY_SIZE_MAX + 3 + 3 * 20 + 2 };

struct get_answer {
    struct session *session;
    struct slice key;
    bool with_cas;
    size_t line_size;
};

static char *word_write(char *at, struct slice word)
{
    memcpy(at, word.at, word.size);
    return at + word.size;
}

static char *number_write(char *at, uint64_t number)
{
    *at++ = ' ';
    return at + decimal_write(at, number);
}

/* The sink of a get: writes the VALUE line, says where the value goes. */
static char *get_room(void *context, const struct engine_item *item)
{
    struct get_answer *answer = context;
    char *line = session_reserve(answer->session,
                                 VALUE_LINE_SIZE_MAX + item->value_size + 2);
    if (line == NULL) {
        return NULL;
    }
    char *at = word_write(line, SLICE("VALUE "));

    at = word_write(at, answer->key);
    at = number_write(at, item->flags);
    at = number_write(at, item->value_size);
    if (answer->with_cas) {
        at = number_write(at, item->cas);
    }
    at = word_write(at, SLICE("\r\n"));
    answer->line_size = (size_t)(at - line);
    return at;
}

static void get_one(struct session *session, const struct engine_key *key,
                    const struct engine_get *how, bool with_cas)
{
    struct worker *worker = session->worker;
    struct shard_metrics *metrics = &worker->metrics;
    struct engine_now now = worker_now(worker);
    struct get_answer answer = {session, key->key, with_cas, 0};
    struct engine_sink sink = {get_room, &answer};
    struct engine_item item;
    enum engine_result result =
        engine_get(worker->store, &now, key, how, &sink, &item);
    bool hit = result == ENGINE_OK;

    metric_add(&metrics->cmd_get, 1);
    metric_add(hit ? &metrics->get_hits : &metrics->get_misses, 1);
    if (how != NULL && how->touch) {
        metric_add(&metrics->cmd_touch, 1);
        metric_add(hit ? &metrics->touch_hits : &metrics->touch_misses, 1);
    }
    if (hit) {
        size_t size = answer.line_size + item.value_size;

        /* Reserved above and nothing came between: the same place. */
        char *line = session_reserve(session, size + 2);

        check(line != NULL);
        memcpy(line + size, "\r\n", 2);
        session_commit(session, size + 2);
    }
}

/* Takes up to GET_BATCH_MAX keys off *rest and starts their memory on its way.
 * A key that is not served here is a miss, for a multi-get has no place for an
 * error: its size is 0. */
static unsigned get_batch(struct session *session, struct slice *rest,
                          struct engine_key keys[GET_BATCH_MAX])
{
    const struct worker *worker = session->worker;
    unsigned count = 0;
    struct slice key;

    while (count < GET_BATCH_MAX && request_next_key(rest, &key)) {
        uint64_t hash = engine_hash(worker->engine, key);

        if (session_locate(session, key, hash, &keys[count])) {
            engine_prefetch_bucket(worker->engine, hash);
        } else {
            keys[count].key = (struct slice){key.at, 0};
        }
        count++;
    }
    for (unsigned i = 0; i < count; i++) {
        if (keys[i].key.size > 0) {
            engine_prefetch_item(worker->engine, keys[i].hash);
        }
    }
    return count;
}

static bool get_must_wait(const struct session *session, unsigned answered)
{
    return conn_is_closing(session->conn) || answered >= GET_TURN_MAX ||
           conn_output_size(session->conn) > CONN_OUTPUT_HIGH;
}

void command_get(struct session *session, enum command command,
                 uint64_t expires_ms, struct slice *keys)
{
    bool with_cas = command == COMMAND_GETS || command == COMMAND_GATS;
    bool touch = command_shape(command) == SHAPE_TOUCH_KEYS;
    struct engine_get touching = {.touch = touch, .expires_ms = expires_ms};
    struct engine_key batch[GET_BATCH_MAX];
    struct slice rest = *keys;
    unsigned answered = 0, count;

    while ((count = get_batch(session, &rest, batch)) > 0) {
        for (unsigned i = 0; i < count; i++, answered++) {
            if (get_must_wait(session, answered)) {
                keys->size -= (size_t)(batch[i].key.at - keys->at);
                keys->at = batch[i].key.at;
                return;
            }
            if (batch[i].key.size > 0) {
                get_one(session, &batch[i], touch ? &touching : NULL, with_cas);
            }
        }
    }
    keys->size = 0;
    session_answer(session, SLICE("END\r\n"));
}

/* --- storage ----------------------------------------------------------- */

static const enum store_mode store_modes[COMMAND_COUNT] = {
    [COMMAND_SET] = STORE_SET,         [COMMAND_ADD] = STORE_ADD,
    [COMMAND_REPLACE] = STORE_REPLACE, [COMMAND_APPEND] = STORE_APPEND,
    [COMMAND_PREPEND] = STORE_PREPEND, [COMMAND_CAS] = STORE_SET,
};

static void cas_count(struct shard_metrics *metrics, enum engine_result result)
{
    metric_add(&metrics->cas_hits, result == ENGINE_OK);
    metric_add(&metrics->cas_misses, result == ENGINE_MISS);
    metric_add(&metrics->cas_badval, result == ENGINE_EXISTS);
}

static struct slice store_answer(enum engine_result result)
{
    switch (result) {
    case ENGINE_OK: return SLICE("STORED\r\n");
    case ENGINE_EXISTS: return SLICE("EXISTS\r\n");
    case ENGINE_MISS: return SLICE("NOT_FOUND\r\n");
    case ENGINE_TOO_LARGE: return wire_line(WIRE_TOO_LARGE);
    case ENGINE_NO_MEMORY: return wire_line(WIRE_NO_MEMORY);
    default: return SLICE("NOT_STORED\r\n");
    }
}

void command_store(struct session *session, const struct request *request,
                   const struct engine_key *key)
{
    struct worker *worker = session->worker;
    struct shard_metrics *metrics = &worker->metrics;
    struct engine_now now = worker_now(worker);
    struct engine_store store = {
        .mode = store_modes[request->command],
        .value = request->value,
        .flags = request->flags,
        .expires_ms = worker_expires_ms(worker, request->exptime),
        .compare = request->command == COMMAND_CAS,
        .cas = request->number,
    };
    struct engine_item item;
    enum engine_result result =
        engine_store(worker->store, &now, key, &store, &item);

    metric_add(&metrics->cmd_set, 1);
    metric_add(&metrics->store_too_large, result == ENGINE_TOO_LARGE);
    metric_add(&metrics->store_no_memory, result == ENGINE_NO_MEMORY);
    if (store.compare) {
        cas_count(metrics, result);
    }
    session_reply(session, request, store_answer(result));
}

/* Of the text commands only set removes what was there; ms always does. */
void command_store_refused(struct session *session,
                           const struct request *request)
{
    struct worker *worker = session->worker;
    struct engine_now now = worker_now(worker);
    struct engine_delete how = {0};
    struct engine_key key;

    metric_add(&worker->metrics.store_too_large, 1);
    if (request->key.size == 0 ||
        (request->command != COMMAND_SET && request->command != COMMAND_MS)) {
        return;
    }
    uint64_t hash = engine_hash(worker->engine, request->key);

    if (session_locate(session, request->key, hash, &key)) {
        (void)engine_delete(worker->store, &now, &key, &how);
    }
}

/* --- delete, incr, decr, touch ----------------------------------------- */

void command_delete(struct session *session, const struct request *request,
                    const struct engine_key *key)
{
    struct worker *worker = session->worker;
    struct shard_metrics *metrics = &worker->metrics;
    struct engine_now now = worker_now(worker);
    struct engine_delete how = {0};
    bool hit = engine_delete(worker->store, &now, key, &how) == ENGINE_OK;

    metric_add(hit ? &metrics->delete_hits : &metrics->delete_misses, 1);
    session_reply(session, request,
                  hit ? SLICE("DELETED\r\n") : SLICE("NOT_FOUND\r\n"));
}

void command_arith(struct session *session, const struct request *request,
                   const struct engine_key *key)
{
    struct worker *worker = session->worker;
    struct shard_metrics *metrics = &worker->metrics;
    struct engine_now now = worker_now(worker);
    struct engine_arith arith = {
        .decrement = request->command == COMMAND_DECR,
        .delta = request->number,
    };
    struct engine_item item;
    uint64_t number = 0;
    enum engine_result result =
        engine_arith(worker->store, &now, key, &arith, &number, &item);
    bool hit = result != ENGINE_MISS;

    if (arith.decrement) {
        metric_add(hit ? &metrics->decr_hits : &metrics->decr_misses, 1);
    } else {
        metric_add(hit ? &metrics->incr_hits : &metrics->incr_misses, 1);
    }
    if (result == ENGINE_OK) {
        char line[22];
        size_t size = decimal_write(line, number);

        memcpy(line + size, "\r\n", 2);
        session_reply(session, request, (struct slice){line, size + 2});
    } else if (result == ENGINE_NOT_NUMBER) {
        session_reply(session, request, wire_line(WIRE_NOT_A_NUMBER));
    } else {
        session_reply(session, request, store_answer(result));
    }
}

void command_touch(struct session *session, const struct request *request,
                   const struct engine_key *key)
{
    struct worker *worker = session->worker;
    struct shard_metrics *metrics = &worker->metrics;
    struct engine_now now = worker_now(worker);
    struct engine_get how = {
        .touch = true,
        .expires_ms = worker_expires_ms(worker, request->exptime),
    };
    struct engine_item item;
    bool hit =
        engine_get(worker->store, &now, key, &how, NULL, &item) == ENGINE_OK;

    metric_add(&metrics->cmd_touch, 1);
    metric_add(hit ? &metrics->touch_hits : &metrics->touch_misses, 1);
    session_reply(session, request,
                  hit ? SLICE("TOUCHED\r\n") : SLICE("NOT_FOUND\r\n"));
}
