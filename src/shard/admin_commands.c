/* The commands without a key: flush_all version verbosity quit ring mn. */
#include "base/check.h"
#include "base/log.h"
#include "core/admin_line.h"
#include "node/process.h"
#include "shard/commands.h"
#include "shard/shard_private.h"

static void admin_flush(struct session *session, const struct request *request)
{
    struct worker *worker = session->worker;
    struct admin_line line = admin_flush_read(request);
    struct slice answer = SLICE("OK\r\n");

    metric_add(&worker->metrics.cmd_flush, 1);
    if (worker->options->no_flush) {
        answer = wire_line(WIRE_FLUSH_DISABLED);
    } else if (!line.valid) {
        answer = wire_line(WIRE_BAD_EXPTIME);
    } else {
        engine_flush(worker->engine,
                     line.number > 0 ? worker_expires_ms(worker, line.number)
                                     : worker_now(worker).ms);
    }
    if (!line.noreply) {
        session_answer(session, answer);
    }
}

static void admin_verbosity(struct session *session,
                            const struct request *request)
{
    struct admin_line line = admin_verbosity_read(request);

    if (line.valid) {
        log_level_set(session->worker->shard->env->log,
                      line.number == 0 ? LOG_INFO : LOG_DEBUG);
    }
    if (!line.noreply) {
        session_answer(session, line.valid ? SLICE("OK\r\n")
                                           : wire_line(WIRE_BAD_FORMAT));
    }
}

/* ring <epoch>: a router says which ring it routes by.  We say which we know;
 * a router that is behind learns it from that. */
static void admin_ring(struct session *session, const struct request *request)
{
    struct slice rest = request->rest;
    struct slice word;
    uint64_t epoch;
    char line[32] = "RING ";
    size_t size = sizeof "RING " - 1;

    if (!request_next_word(&rest, &word) ||
        !slice_read_u64(word, RING_EPOCH_MAX, &epoch)) {
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
