#include "shard/stats.h"

#include "base/mem.h"
#include "node/report.h"
#include "shard/commands.h"
#include "shard/shard_private.h"

enum { STATS_SIZE_MAX = 64 << 10 };

const struct metric_spec shard_metric_specs[SHARD_METRIC_COUNT] = {
#define METRIC(kind, name, help) {METRIC_##kind, #name, help},
#include "shard/metrics.def"
#undef METRIC
};

static void metrics_sum(struct shard *shard, uint64_t sums[SHARD_METRIC_COUNT])
{
    metric_t *rows[CREW_WORKERS_MAX];
    size_t count = 0;

    for (size_t i = 0; i < shard->options->threads; i++) {
        if (shard->workers[i] != NULL) {
            rows[count++] = (metric_t *)&shard->workers[i]->metrics;
        }
    }
    metric_sum(sums, SHARD_METRIC_COUNT, rows, count);
}

static void stats_engine(struct shard *shard, struct text *out)
{
    struct engine_stats stats;

    engine_stats(shard->engine, &stats);
    report_stat(out, "limit_maxbytes", stats.memory_limit);
    report_stat(out, "hash_bytes", stats.index_bytes);
    report_stat(out, "slab_global_page_pool", stats.pages_free);
    report_stat(out, "bytes", stats.bytes);
    report_stat(out, "curr_items", stats.items);
    report_stat(out, "total_items", stats.items_total);
    report_stat(out, "expired_unfetched", stats.expired_unfetched);
    report_stat(out, "evicted_unfetched", stats.evicted_unfetched);
    report_stat(out, "evictions", stats.evictions);
    report_stat(out, "reclaimed", stats.reclaimed);
}

static void stats_ring(struct shard *shard, struct text *out)
{
    struct follower_state state;

    if (shard->follower == NULL) {
        return;
    }
    follower_state(shard->follower, &state);
    report_stat(out, "ring_epoch", state.epoch);
    report_stat(out, "ring_connected", state.connected);
}

/* Counters only rise, for Prometheus; `stats` counts from the last reset. */
static void stats_reset(struct shard *shard)
{
    uint64_t sums[SHARD_METRIC_COUNT];

    metrics_sum(shard, sums);
    for (size_t i = 0; i < SHARD_METRIC_COUNT; i++) {
        metric_set(&shard->reset_at[i], sums[i]);
    }
}

static void stats_general(struct shard *shard, struct text *out)
{
    uint64_t sums[SHARD_METRIC_COUNT];

    metrics_sum(shard, sums);
    for (size_t i = 0; i < SHARD_METRIC_COUNT; i++) {
        sums[i] -= metric_get(&shard->reset_at[i]);
    }
    report_process(out, shard->env, shard->started_mono_ms);
    report_crew(out, shard->crew, shard->options->connection_limit);
    for (size_t i = 0; i < SHARD_METRIC_COUNT; i++) {
        report_stat(out, shard_metric_specs[i].name, sums[i]);
    }
    stats_engine(shard, out);
    stats_ring(shard, out);
}

static void stats_settings(struct shard *shard, struct text *out)
{
    const struct shard_options *options = shard->options;

    report_stat(out, "maxbytes", options->memory_limit);
    report_stat(out, "maxconns", options->connection_limit);
    report_stat(out, "tcpport", options->port);
    report_stat(out, "udpport", 0);
    report_stat(out, "verbosity", options->verbose);
    text_add(out, "STAT evictions %s\r\n", options->no_evict ? "off" : "on");
    text_add(out, "STAT domain_socket %s\r\n",
             options->socket != NULL ? options->socket : "NULL");
    text_add(out, "STAT umask %s\r\n", options->socket_mode);
    report_stat(out, "num_threads", options->threads);
    report_stat(out, "reqs_per_event", options->requests_per_turn);
    text_add(out, "STAT cas_enabled yes\r\n");
    report_stat(out, "tcp_backlog", options->backlog);
    text_add(out, "STAT binding_protocol ascii\r\n");
    text_add(out, "STAT auth_enabled_sasl no\r\n");
    report_stat(out, "item_size_max", options->value_size_max);
    text_add(out, "STAT flush_enabled %s\r\n",
             options->no_flush ? "no" : "yes");
    report_stat(out, "idle_timeout", options->idle_timeout / 1000);
    report_stat(out, "client_flags_size", 4);
}

static void stats_items(struct shard *shard, struct text *out)
{
    for (unsigned i = 0; i < engine_class_count(shard->engine); i++) {
        struct engine_class class;

        engine_class_stats(shard->engine, i, &class);
        if (class.chunks_used == 0 && class.evictions == 0) {
            continue;
        }
        text_add(out, "STAT items:%u:number %llu\r\n", i + 1,
                 (unsigned long long)class.chunks_used);
        text_add(out, "STAT items:%u:mem_requested %llu\r\n", i + 1,
                 (unsigned long long)class.bytes_wanted);
        text_add(out, "STAT items:%u:evicted %llu\r\n", i + 1,
                 (unsigned long long)class.evictions);
        text_add(out, "STAT items:%u:outofmemory %llu\r\n", i + 1,
                 (unsigned long long)class.out_of_memory);
    }
}

static void stats_slab(struct text *out, unsigned id,
                       const struct engine_class *class)
{
    uint64_t chunks = class->pages * class->chunks_per_page;

    text_add(out, "STAT %u:chunk_size %u\r\n", id, class->chunk_size);
    text_add(out, "STAT %u:chunks_per_page %u\r\n", id, class->chunks_per_page);
    text_add(out, "STAT %u:total_pages %llu\r\n", id,
             (unsigned long long)class->pages);
    text_add(out, "STAT %u:total_chunks %llu\r\n", id,
             (unsigned long long)chunks);
    text_add(out, "STAT %u:used_chunks %llu\r\n", id,
             (unsigned long long)class->chunks_used);
    text_add(out, "STAT %u:free_chunks %llu\r\n", id,
             (unsigned long long)(chunks > class->chunks_used
                                      ? chunks - class->chunks_used
                                      : 0));
}

static void stats_slabs(struct shard *shard, struct text *out)
{
    struct engine_stats stats;
    unsigned active = 0;

    for (unsigned i = 0; i < engine_class_count(shard->engine); i++) {
        struct engine_class class;

        engine_class_stats(shard->engine, i, &class);
        if (class.pages > 0) {
            stats_slab(out, i + 1, &class);
            active++;
        }
    }
    engine_stats(shard->engine, &stats);
    report_stat(out, "active_slabs", active);
    report_stat(out, "total_malloced", stats.memory_used);
}

bool stats_write(struct shard *shard, struct slice what, struct text *out)
{
    static const struct {
        struct slice name;
        void (*write)(struct shard *shard, struct text *out);
    } pages[] = {
        {{"", 0}, stats_general},
        {{"settings", 8}, stats_settings},
        {{"items", 5}, stats_items},
        {{"slabs", 5}, stats_slabs},
    };

    if (slice_equal(what, SLICE("reset"))) {
        stats_reset(shard);
        text_add(out, "RESET\r\n");
        return true;
    }
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        if (slice_equal(what, pages[i].name)) {
            pages[i].write(shard, out);
            text_add(out, "END\r\n");
            return true;
        }
    }
    return false;
}

void command_stats(struct session *session, const struct request *request)
{
    struct shard *shard = session->worker->shard;
    struct slice rest = request->rest;
    struct slice what = {0};
    char *room = session_reserve(session, STATS_SIZE_MAX);
    struct text text;

    if (room == NULL) {
        return;
    }
    (void)request_next_word(&rest, &what);
    text_init(&text, room, STATS_SIZE_MAX);
    if (stats_write(shard, what, &text)) {
        session_commit(session, text.size);
    } else {
        session_answer(session, wire_line(WIRE_ERROR));
    }
}

static void prometheus_engine(struct shard *shard, struct text *out)
{
    struct engine_stats stats;

    engine_stats(shard->engine, &stats);
    metric_prometheus_one(out, METRIC_GAUGE, "torc_shard_items", "Items held.",
                          stats.items);
    metric_prometheus_one(out, METRIC_GAUGE, "torc_shard_item_bytes",
                          "Bytes of items held.", stats.bytes);
    metric_prometheus_one(out, METRIC_GAUGE, "torc_shard_memory_limit_bytes",
                          "Ceiling on items and index.", stats.memory_limit);
    metric_prometheus_one(out, METRIC_GAUGE, "torc_shard_memory_used_bytes",
                          "Pages, index and books.", stats.memory_used);
    metric_prometheus_one(out, METRIC_COUNTER, "torc_shard_evictions_total",
                          "Items evicted to make room.", stats.evictions);
    metric_prometheus_one(out, METRIC_COUNTER, "torc_shard_expired_total",
                          "Items found or swept after their time.",
                          stats.expired);
}

void stats_prometheus(struct shard *shard, struct text *out)
{
    uint64_t sums[SHARD_METRIC_COUNT];
    struct follower_state state = {0};

    metrics_sum(shard, sums);
    metric_prometheus(out, "shard", shard_metric_specs, sums,
                      SHARD_METRIC_COUNT);
    report_crew_prometheus(out, shard->crew, "shard");
    prometheus_engine(shard, out);
    if (shard->follower != NULL) {
        follower_state(shard->follower, &state);
    }
    metric_prometheus_one(out, METRIC_GAUGE, "torc_shard_ring_epoch",
                          "Epoch of the ring in force; 0: none.", state.epoch);
    metric_prometheus_one(out, METRIC_GAUGE, "torc_shard_ring_connected",
                          "1 while ringd is heard.", state.connected);
}
