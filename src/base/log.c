#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/env.h"
#include "base/log_line.h"
#include "base/log_queue.h"
#include "base/log_repeat.h"
#include "base/mem.h"

enum {
    LOG_MAGIC = MAGIC('L', 'o', 'g', '1'),
    /* How often a writer that cannot write looks whether it shall end, and for
     * how many such looks it goes on trying then. */
    LOG_STUCK_POLL_MS = 100,
    LOG_STUCK_POLLS_MAX = 10,
};

struct log {
    uint32_t magic;
    const struct env *env;
    struct log_options options;
    _Atomic(enum log_level) level;
    _Atomic uint64_t dropped;
    _Atomic int64_t wall_offset_us; /* from the monotonic clock to the wall's */
    _Atomic bool stopping;
    sem_t wake; /* posted after each change that the writer must see */
    pthread_t writer;
    unsigned stuck_polls;      /* the writer's own */
    uint64_t dropped_reported; /* the writer's own */
    struct log_repeats repeats;
    struct log_queue queue;
};

/* The wall clock is told in milliseconds; what is below comes from the
 * monotonic clock.  The offset follows whenever the sum leaves the wall clock's
 * millisecond, so it is never wrong by more than one. */
static int64_t log_wall_us(struct log *log)
{
    const struct env *env = log->env;
    int64_t monotonic_us = (int64_t)(env->monotonic_ns(env->context) / 1000);
    int64_t low = env_wall_ms(env) * 1000;
    int64_t now = monotonic_us + atomic_load_explicit(&log->wall_offset_us,
                                                      memory_order_relaxed);

    if (now >= low && now <= low + 999) {
        return now;
    }
    now = now < low ? low : low + 999;
    atomic_store_explicit(&log->wall_offset_us, now - monotonic_us,
                          memory_order_relaxed);
    return now;
}

static uint64_t log_second(const struct log *log)
{
    return env_monotonic_ms(log->env) / 1000;
}

static size_t log_format(struct log *log, char out[static LOG_LINE_SIZE_MAX],
                         enum log_level level, const char *component,
                         const char *event, const struct log_field *fields,
                         size_t field_count)
{
    const struct log_record record = {
        .wall_us = log_wall_us(log),
        .level = level,
        .role = log->options.role,
        .component = component,
        .event = event,
        .fields = fields,
        .field_count = field_count,
    };

    return log_line_write(out, log->options.format, &record);
}

static void log_put(struct log *log, enum log_level level,
                    const char *component, const char *event,
                    const struct log_field *fields, size_t field_count)
{
    char line[LOG_LINE_SIZE_MAX];
    size_t size =
        log_format(log, line, level, component, event, fields, field_count);

    if (!log_queue_put(&log->queue, (struct slice){line, size})) {
        (void)atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
        return;
    }
    (void)sem_post(&log->wake);
}

static void log_put_withheld(struct log *log,
                             const struct log_withheld *withheld)
{
    const struct log_field field = LOG_U64("withheld", withheld->count);

    log_put(log, withheld->level, withheld->component, withheld->event, &field,
            1);
}

void log_write(struct log *log, enum log_level level, const char *component,
               const char *event, const struct log_field *fields,
               size_t field_count)
{
    struct log_withheld before;

    if (log == NULL) {
        return;
    }
    check(log->magic == LOG_MAGIC);
    check(field_count <= LOG_FIELDS_MAX);
    if (level > log_level_get(log)) {
        return;
    }
    switch (log_repeats_ask(&log->repeats, log_second(log), level, component,
                            event, &before)) {
    case LOG_WITHHOLD: return;
    case LOG_WITHHOLD_FIRST:
        /* From now on the writer must look at the clock. */
        (void)sem_post(&log->wake);
        return;
    case LOG_ADMIT: break;
    }
    if (before.count > 0) {
        log_put_withheld(log, &before);
    }
    log_put(log, level, component, event, fields, field_count);
}

/* False: the line is lost, since the descriptor is broken or since the log is
 * to end and nobody reads. */
static bool writer_write(struct log *log, struct slice line)
{
    while (line.size > 0) {
        struct pollfd ready = {.fd = log->options.fd, .events = POLLOUT};

        /* A pipe that is ready has room for a whole line, so write() does not
         * block where nobody could stop it. */
        bool hopeless = log->stuck_polls >= LOG_STUCK_POLLS_MAX;

        if (poll(&ready, 1, hopeless ? 0 : LOG_STUCK_POLL_MS) == 0) {
            if (hopeless) {
                return false;
            }
            log->stuck_polls += atomic_load(&log->stopping);
            continue;
        }
        ssize_t written = write(log->options.fd, line.at, line.size);

        if (written < 0 && errno != EINTR && errno != EAGAIN) {
            return false;
        }
        if (written > 0) {
            line.at += written;
            line.size -= (size_t)written;
        }
    }
    return true;
}

static void writer_write_queue(struct log *log)
{
    struct slice line;

    while (log_queue_peek(&log->queue, &line)) {
        bool written = writer_write(log, line);

        log_queue_take(&log->queue);
        if (!written) {
            (void)atomic_fetch_add_explicit(&log->dropped, 1,
                                            memory_order_relaxed);
        }
    }
}

/* Not through the queue: it was full. */
static void writer_write_dropped(struct log *log)
{
    char line[LOG_LINE_SIZE_MAX];
    uint64_t dropped = log_dropped(log);
    const struct log_field field =
        LOG_U64("dropped", dropped - log->dropped_reported);

    if (dropped == log->dropped_reported) {
        return;
    }
    size_t size = log_format(log, line, LOG_WARN, "log",
                             "lines were dropped: they came faster than they "
                             "could be written",
                             &field, 1);

    if (writer_write(log, (struct slice){line, size})) {
        log->dropped_reported = dropped;
    }
}

static void writer_put_withheld(struct log *log, uint64_t second)
{
    struct log_withheld withheld;
    size_t row = 0;

    while (log_repeats_take(&log->repeats, second, &row, &withheld)) {
        log_put_withheld(log, &withheld);
    }
}

/* Sleeps until something is posted; for at most a second while a count of
 * withheld lines waits for its second to pass. */
static void writer_wait(struct log *log)
{
    struct timespec until;

    if (!log_repeats_waiting(&log->repeats)) {
        (void)sem_wait(&log->wake);
        return;
    }
    check(clock_gettime(CLOCK_MONOTONIC, &until) == 0);
    until.tv_sec++;
    (void)sem_clockwait(&log->wake, CLOCK_MONOTONIC, &until);
}

static void *writer_run(void *context)
{
    struct log *log = context;
    bool stopping = false;

    while (!stopping) {
        writer_wait(log);
        stopping = atomic_load(&log->stopping);
        if (log_repeats_waiting(&log->repeats)) {
            writer_put_withheld(log, stopping ? UINT64_MAX : log_second(log));
        }
        writer_write_queue(log);
        writer_write_dropped(log);
    }
    return NULL;
}

/* No signal is for the writer: not the program's, nor the SIGPIPE of a reader
 * that went away. */
static enum err writer_start(struct log *log)
{
    sigset_t all;
    sigset_t before;

    check(sigfillset(&all) == 0);
    check(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    int error = pthread_create(&log->writer, NULL, writer_run, log);

    check(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (error != 0) {
        return ERR_NOMEM;
    }
    (void)pthread_setname_np(log->writer, "log");
    return ERR_OK;
}

enum err log_create(struct log **out, const struct env *env,
                    const struct log_options *options)
{
    struct log *log = mem_alloc(env->mem, sizeof *log);

    if (log == NULL) {
        return ERR_NOMEM;
    }
    log->magic = LOG_MAGIC;
    log->env = env;
    log->options = *options;
    log->stuck_polls = 0;
    log->dropped_reported = 0;
    atomic_init(&log->level, options->level);
    atomic_init(&log->dropped, 0);
    atomic_init(&log->wall_offset_us, 0);
    atomic_init(&log->stopping, false);
    check(sem_init(&log->wake, 0, 0) == 0);
    log_repeats_init(&log->repeats);
    log_queue_init(&log->queue);

    enum err e = writer_start(log);

    if (e != ERR_OK) {
        (void)sem_destroy(&log->wake);
        mem_free(env->mem, log);
        return e;
    }
    *out = log;
    return ERR_OK;
}

void log_destroy(struct log **log_pointer)
{
    struct log *log = *log_pointer;

    if (log == NULL) {
        return;
    }
    check(log->magic == LOG_MAGIC);
    atomic_store(&log->stopping, true);
    (void)sem_post(&log->wake);
    check(pthread_join(log->writer, NULL) == 0);
    (void)sem_destroy(&log->wake);
    log->magic = MAGIC_DEAD;
    mem_free(log->env->mem, log);
    *log_pointer = NULL;
}

void log_level_set(struct log *log, enum log_level level)
{
    atomic_store_explicit(&log->level, level, memory_order_relaxed);
}

enum log_level log_level_get(const struct log *log)
{
    return atomic_load_explicit(&log->level, memory_order_relaxed);
}

uint64_t log_dropped(const struct log *log)
{
    return atomic_load_explicit(&log->dropped, memory_order_relaxed);
}
