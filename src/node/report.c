#include "node/report.h"

#include <sys/resource.h>
#include <unistd.h>

#include "node/process.h"

void report_stat(struct text *out, const char *name, uint64_t value)
{
    text_add(out, "STAT %s %llu\r\n", name, (unsigned long long)value);
}

void report_process(struct text *out, const struct env *env,
                    uint64_t started_mono_ms)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    report_stat(out, "pid", (uint64_t)getpid());
    report_stat(out, "uptime",
                (env_monotonic_ms(env) - started_mono_ms) / 1000);
    report_stat(out, "time", (uint64_t)env_wall_ms(env) / 1000);
    text_add(out, "STAT version %s-torc%s\r\n", TORC_MEMCACHED_LEVEL,
             TORC_VERSION);
    report_stat(out, "pointer_size", 8 * sizeof(void *));
    text_add(out, "STAT rusage_user %ld.%06ld\r\n", usage.ru_utime.tv_sec,
             usage.ru_utime.tv_usec);
    text_add(out, "STAT rusage_system %ld.%06ld\r\n", usage.ru_stime.tv_sec,
             usage.ru_stime.tv_usec);
}

void report_crew(struct text *out, const struct crew *crew,
                 uint64_t connection_limit)
{
    struct crew_books books;

    crew_books(crew, &books);
    report_stat(out, "max_connections", connection_limit);
    report_stat(out, "curr_connections", books.connections);
    report_stat(out, "total_connections", books.connections_total);
    report_stat(out, "rejected_connections", books.connections_rejected);
    report_stat(out, "read_buf_bytes", books.buffer_bytes);
    report_stat(out, "bytes_read", books.bytes_read);
    report_stat(out, "bytes_written", books.bytes_written);
    report_stat(out, "accepting_conns", 1);
    report_stat(out, "threads", crew_worker_count(crew));
}

void report_crew_prometheus(struct text *out, const struct crew *crew,
                            const char *role)
{
    static const struct metric_spec specs[] = {
        {METRIC_GAUGE, "connections", "Client connections open."},
        {METRIC_COUNTER, "connections", "Client connections accepted."},
        {METRIC_COUNTER, "connections_rejected",
         "Client connections refused at the limit."},
        {METRIC_COUNTER, "accept_errors",
         "Connections that could not be accepted."},
        {METRIC_COUNTER, "read_bytes", "Bytes received from clients."},
        {METRIC_COUNTER, "written_bytes", "Bytes sent to clients."},
        {METRIC_GAUGE, "buffer_bytes", "Held by connection buffers."},
    };
    struct crew_books books;

    crew_books(crew, &books);
    const uint64_t values[] = {
        books.connections,          books.connections_total,
        books.connections_rejected, books.accept_errors,
        books.bytes_read,           books.bytes_written,
        books.buffer_bytes,
    };

    _Static_assert(sizeof values / sizeof values[0] ==
                       sizeof specs / sizeof specs[0],
                   "a value for each");
    metric_prometheus(out, role, specs, values, sizeof specs / sizeof specs[0]);
}
