/* The commands without a key: flush_all version verbosity quit ring mn. */
#include "base/check.h"
#include "base/log.h"
#include "node/process.h"
#include "shard/commands.h"
#include "shard/shard_private.h"

enum { ADMIN_WORDS_MAX = 4 };

static size_t words_of(const struct request *request,
                       struct slice words[ADMIN_WORDS_MAX])
{
    struct slice rest = request->rest;
    size_t count = 0;

    while (count < ADMIN_WORDS_MAX && request_next_word(&rest, &words[count])) {
        count++;
    }
    return count;
}

/* flush_all [delay] [noreply].  A negative delay means now. */
static void admin_flush(struct session *session, const struct request *request)
{
    struct worker *worker = session->worker;
    struct slice words[ADMIN_WORDS_MAX] = {0};
    size_t count = words_of(request, words);
    struct request answered = *request;
    int64_t delay_s = 0;

    answered.noreply =
        count > 0 && slice_equal(words[count - 1], SLICE("noreply"));
    count -= answered.noreply;
    metric_add(&worker->metrics.cmd_flush, 1);
    if (worker->options->no_flush) {
        session_reply(session, &answered, wire_line(WIRE_FLUSH_DISABLED));
        return;
    }
    if (count > 0 &&
        !slice_read_i64(words[0], INT32_MIN, INT32_MAX, &delay_s)) {
        session_reply(session, &answered, wire_line(WIRE_BAD_EXPTIME));
        return;
    }
    uint64_t now_ms = worker_now(worker).ms;
    uint64_t at_ms = delay_s > 0 ? worker_expires_ms(worker, delay_s) : now_ms;

    engine_flush(worker->engine, at_ms);
    session_reply(session, &answered, SLICE("OK\r\n"));
}

/* verbosity <level> [noreply] */
static void admin_verbosity(struct session *session,
                            const struct request *request)
{
    struct slice words[ADMIN_WORDS_MAX] = {0};
    size_t count = words_of(request, words);
    uint64_t level = 0;

    if (count == 0) {
        session_answer(session, wire_line(WIRE_ERROR));
        return;
    }
    if (!slice_read_u64(words[0], UINT32_MAX, &level)) {
        session_answer(session, wire_line(WIRE_BAD_FORMAT));
        return;
    }
    log_level_set(session->worker->shard->env->log,
                  level == 0 ? LOG_INFO : LOG_DEBUG);
    if (!slice_equal(words[count - 1], SLICE("noreply"))) {
        session_answer(session, SLICE("OK\r\n"));
    }
}

/* ring <epoch>: a router says which ring it routes by.  We say which we know;
 * a router that is behind learns it from that. */
static void admin_ring(struct session *session, const struct request *request)
{
    struct slice words[ADMIN_WORDS_MAX] = {0};
    size_t count = words_of(request, words);
    uint64_t epoch;
    char line[32] = "RING ";
    size_t size = sizeof "RING " - 1;

    if (count != 1 || !slice_read_u64(words[0], RING_EPOCH_MAX, &epoch)) {
        session_answer(session, wire_line(WIRE_BAD_FORMAT));
        return;
    }
    session->announced = true;
    session->behind = false;
    session->epoch = (uint32_t)epoch;
    size += decimal_write(line + size, worker_epoch(session->worker));
    line[size++] = '\r';
    line[size++] = '\n';
    session_answer(session, (struct slice){line, size});
}

void command_admin(struct session *session, const struct request *request)
{
    switch (request->command) {
    case COMMAND_MN: session_answer(session, SLICE("MN\r\n")); break;
    case COMMAND_VERSION:
        session_answer(session, SLICE("VERSION " TORC_MEMCACHED_LEVEL
                                      "-torc" TORC_VERSION "\r\n"));
        break;
    case COMMAND_FLUSH_ALL: admin_flush(session, request); break;
    case COMMAND_VERBOSITY: admin_verbosity(session, request); break;
    case COMMAND_QUIT: conn_close(session->conn); break;
    case COMMAND_STATS: command_stats(session, request); break;
    case COMMAND_RING: admin_ring(session, request); break;
    default: session_answer(session, wire_line(WIRE_ERROR)); break;
    }
}
