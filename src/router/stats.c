#include "router/stats.h"

#include "base/mem.h"
#include "node/report.h"
#include "router/router_private.h"

enum { STATS_ANSWER_SIZE_MAX = STATS_NAMES_MAX * 140 };

const struct metric_spec router_metric_specs[ROUTER_METRIC_COUNT] = {
#define METRIC(kind, name, help) {METRIC_##kind, #name, help},
#include "router/metrics.def"
#undef METRIC
};

struct stats_merge {
    bool general; /* `stats` without a word */
    bool reset;   /* `stats reset` was done */
    bool failed;  /* a shard did not answer */
    bool refused; /* no shard knew what was asked for */
    size_t count;
    size_t next; /* where to look first */
    struct stats_row {
        char name[STATS_NAME_SIZE_MAX];
        char text[STATS_VALUE_SIZE_MAX]; /* the first shard's, if no number */
        uint64_t sum;
        bool is_number;
    } rows[STATS_NAMES_MAX];
};

/* --- adding up --------------------------------------------------------- */

bool stats_merge_begin(struct session *session, const struct request *request)
{
    struct slice rest = request->rest;
    struct slice what;

    session->stats =
        mem_alloc_zeroed(session->worker->env->mem, sizeof *session->stats);
    if (session->stats != NULL) {
        session->stats->general = !request_next_word(&rest, &what);
    }
    return session->stats != NULL;
}

void stats_merge_free(struct session *session)
{
    mem_free(session->worker->env->mem, session->stats);
    session->stats = NULL;
}

/* About the shape of each shard, not about how much there is: adding these up
 * would say nothing. */
static bool is_shape(struct slice name)
{
    static const struct slice ends[] = {
        {"chunk_size", 10},   {"chunks_per_page", 15},
        {"maxconns", 8},      {"tcpport", 7},
        {"udpport", 7},       {"verbosity", 9},
        {"num_threads", 11},  {"reqs_per_event", 14},
        {"tcp_backlog", 11},  {"item_size_max", 13},
        {"idle_timeout", 12}, {"client_flags_size", 17},
        {"ring_epoch", 10},   {"umask", 5},
    };

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (name.size >= ends[i].size &&
            memcmp(name.at + name.size - ends[i].size, ends[i].at,
                   ends[i].size) == 0) {
            return true;
        }
    }
    return false;
}

/* Shards answer in the same order, so the row is nearly always the one behind
 * the last. */
static struct stats_row *row_find(struct stats_merge *merge, struct slice name)
{
    for (size_t i = 0; i < merge->count; i++) {
        size_t at = (merge->next + i) % merge->count;

        if (slice_equal(slice_of(merge->rows[at].name), name)) {
            merge->next = at + 1;
            return &merge->rows[at];
        }
    }
    return NULL;
}

static void row_add(struct stats_merge *merge, struct slice name,
                    struct slice value)
{
    struct stats_row *row;
    uint64_t number;

    if (name.size >= STATS_NAME_SIZE_MAX ||
        value.size >= STATS_VALUE_SIZE_MAX) {
        return;
    }
    row = row_find(merge, name);
    if (row != NULL) {
        if (row->is_number && slice_read_u64(value, UINT64_MAX, &number)) {
            row->sum += number;
        }
        return;
    }
    if (merge->count == STATS_NAMES_MAX) {
        return;
    }
    row = &merge->rows[merge->count++];
    memcpy(row->name, name.at, name.size);
    memcpy(row->text, value.at, value.size);
    row->is_number =
        !is_shape(name) && slice_read_u64(value, UINT64_MAX, &row->sum);
}

void stats_merge_add(struct stats_merge *merge, struct slice answer)
{
    struct slice rest = answer;
    bool any = false;

    if (merge == NULL) {
        return;
    }
    while (rest.size > 0) {
        const char *end = memchr(rest.at, '\n', rest.size);
        size_t size = end != NULL ? (size_t)(end - rest.at) + 1 : rest.size;
        struct slice line = {rest.at, size};
        struct slice word, name, value;

        rest.at += size;
        rest.size -= size;
        while (line.size > 0 && (line.at[line.size - 1] == '\n' ||
                                 line.at[line.size - 1] == '\r')) {
            line.size--;
        }
        merge->reset = merge->reset || slice_equal(line, SLICE("RESET"));
        any = any || merge->reset || slice_equal(line, SLICE("END"));
        if (request_next_word(&line, &word) &&
            slice_equal(word, SLICE("STAT")) &&
            request_next_word(&line, &name) &&
            request_next_word(&line, &value)) {
            row_add(merge, name, value);
        }
    }
    bool failed =
        answer.size > 12 && memcmp(answer.at, "SERVER_ERROR", 12) == 0;

    merge->failed = merge->failed || failed;
    merge->refused = merge->refused || (!any && !failed && answer.size > 0);
}

/* --- the router's own -------------------------------------------------- */

static bool is_own(struct slice name)
{
    static const char *const names[] = {
        "pid",
        "uptime",
        "time",
        "version",
        "pointer_size",
        "rusage_user",
        "rusage_system",
        "max_connections",
        "curr_connections",
        "total_connections",
        "rejected_connections",
        "read_buf_bytes",
        "bytes_read",
        "bytes_written",
        "accepting_conns",
        "threads",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_equal(slice_of(names[i]), name)) {
            return true;
        }
    }
    return false;
}

static void rows_write(const struct stats_merge *merge, bool of_a_class,
                       struct text *out)
{
    for (size_t i = 0; i < merge->count; i++) {
        const struct stats_row *row = &merge->rows[i];

        if ((strchr(row->name, ':') != NULL) != of_a_class ||
            (merge->general && is_own(slice_of(row->name)))) {
            continue;
        }
        if (row->is_number) {
            report_stat(out, row->name, row->sum);
        } else {
            text_add(out, "STAT %s %s\r\n", row->name, row->text);
        }
    }
}

static void merge_write(struct session *session, struct text *out)
{
    const struct stats_merge *merge = session->stats;

    if (merge->general) {
        const struct router *router = session->worker->router;

        report_process(out, router->env, router->started_mono_ms);
        report_crew(out, router->crew, router->options->connection_limit);
    }
    /* What is about a class comes before what is about all of them, whatever
     * the first shard had to tell. */
    rows_write(merge, true, out);
    rows_write(merge, false, out);
    text_add(out, "END\r\n");
}

void stats_merge_answer(struct session *session)
{
    const struct stats_merge *merge = session->stats;
    char *room = conn_reserve(session->conn, STATS_ANSWER_SIZE_MAX);
    struct text text;

    if (room == NULL) {
        conn_close_now(session->conn);
    } else if (merge == NULL) {
        session_answer(session, wire_line(WIRE_NO_MEMORY_WRITE));
    } else if (merge->reset) {
        (void)conn_append(session->conn, SLICE("RESET\r\n"));
    } else if (merge->count == 0 && merge->failed) {
        (void)conn_append(session->conn, wire_line(WIRE_SHARD_DOWN));
    } else if (merge->count == 0 && merge->refused) {
        (void)conn_append(session->conn, wire_line(WIRE_ERROR));
    } else {
        text_init(&text, room, STATS_ANSWER_SIZE_MAX);
        merge_write(session, &text);
        conn_commit(session->conn, text.size);
    }
    stats_merge_free(session);
}

/* --- Prometheus -------------------------------------------------------- */

void stats_prometheus(struct router *router, struct text *out)
{
    uint64_t sums[ROUTER_METRIC_COUNT];
    metric_t *rows[CREW_WORKERS_MAX];
    struct follower_state state = {0};
    size_t count = 0;

    for (size_t i = 0; i < router->options->threads; i++) {
        if (router->workers[i] != NULL) {
            rows[count++] = (metric_t *)&router->workers[i]->metrics;
        }
    }
    metric_sum(sums, ROUTER_METRIC_COUNT, rows, count);
    metric_prometheus(out, "router", router_metric_specs, sums,
                      ROUTER_METRIC_COUNT);
    report_crew_prometheus(out, router->crew, "router");
    if (router->follower != NULL) {
        follower_state(router->follower, &state);
    }
    metric_prometheus_one(out, METRIC_GAUGE, "torc_router_ring_epoch",
                          "Epoch of the ring in force; 0: none.", state.epoch);
    metric_prometheus_one(out, METRIC_GAUGE, "torc_router_ring_connected",
                          "1 while ringd is heard.", state.connected);
}
