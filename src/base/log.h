/* log.h -- one line per event, for people (logfmt) or machines (JSON).
 *
 * Any thread may log; nobody ever waits: lines go to a bounded queue that a
 * writer thread empties to standard error, and a line that finds the queue full
 * is dropped and counted.  Repeats of the same event are rate-limited: beyond
 * LOG_BURST_MAX lines a second of one event, one line says how many were
 * withheld.
 *
 *   LOG_WARNING(log, "upstream", "shard is down", LOG_TEXT("shard", name),
 *               LOG_U64("retry_ms", delay));
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_LEVEL_COUNT };
enum log_format { LOG_LOGFMT, LOG_JSON };

enum {
    LOG_LINE_SIZE_MAX = 1024, /* a longer one is cut, marked "..." */
    LOG_QUEUE_LINES_MAX = 1024,
    LOG_BURST_MAX = 20,
    LOG_FIELDS_MAX = 12,
};

struct env;
struct log;

struct log_field {
    const char *name;
    enum { LOG_FIELD_TEXT, LOG_FIELD_U64, LOG_FIELD_I64 } kind;
    struct slice text;
    uint64_t number;
};

#define LOG_TEXT(n, v)   \
    ((struct log_field){ \
        .name = (n), .kind = LOG_FIELD_TEXT, .text = slice_of(v)})
#define LOG_SLICE(n, v) \
    ((struct log_field){.name = (n), .kind = LOG_FIELD_TEXT, .text = (v)})
#define LOG_U64(n, v)    \
    ((struct log_field){ \
        .name = (n), .kind = LOG_FIELD_U64, .number = (uint64_t)(v)})
#define LOG_I64(n, v)    \
    ((struct log_field){ \
        .name = (n), .kind = LOG_FIELD_I64, .number = (uint64_t)(int64_t)(v)})

struct log_options {
    enum log_level level; /* less important lines are not written */
    enum log_format format;
    int fd;           /* usually 2; only borrowed */
    const char *role; /* "shard", "router": in each line */
};

/* Starts the writer thread.  env is borrowed for the log's life. */
enum err log_create(struct log **out, const struct env *env,
                    const struct log_options *options);

/* Writes what is queued, stops the thread, sets *log to NULL. */
void log_destroy(struct log **log);

/* From any thread, at any time. */
void log_level_set(struct log *log, enum log_level level);
enum log_level log_level_get(const struct log *log);

/* Lines dropped because the queue was full. */
uint64_t log_dropped(const struct log *log);

/* component and event must be string literals: repeats are told apart by their
 * addresses.  log may be NULL: then nothing happens. */
void log_write(struct log *log, enum log_level level, const char *component,
               const char *event, const struct log_field *fields,
               size_t field_count);

/* The terminating NULL-named field lets an event have no fields at all. */
#define LOG_AT(log, level, component, event, ...)                    \
    do {                                                             \
        const struct log_field log_fields_[] = {                     \
            __VA_ARGS__ __VA_OPT__(, ){.name = NULL}};               \
        log_write((log), (level), (component), (event), log_fields_, \
                  sizeof log_fields_ / sizeof log_fields_[0] - 1);   \
    } while (0)

#define LOG_ERR(log, component, event, ...) \
    LOG_AT(log, LOG_ERROR, component, event __VA_OPT__(, ) __VA_ARGS__)
#define LOG_WARNING(log, component, event, ...) \
    LOG_AT(log, LOG_WARN, component, event __VA_OPT__(, ) __VA_ARGS__)
#define LOG_NOTE(log, component, event, ...) \
    LOG_AT(log, LOG_INFO, component, event __VA_OPT__(, ) __VA_ARGS__)
#define LOG_TRACE(log, component, event, ...) \
    LOG_AT(log, LOG_DEBUG, component, event __VA_OPT__(, ) __VA_ARGS__)

#endif
