/* metric.h -- counters from one table.
 *
 * A role writes its metrics down once, in metrics.def:
 *
 *   METRIC(kind, name, help)          kind: COUNTER or GAUGE
 *
 * and from that come a struct of counters for each worker thread, the `stats`
 * lines (STAT name value) and the Prometheus text (torc_<role>_<name>, with
 * _total after a counter).
 *
 * A counter has one writer, its worker, and any number of readers, so adding
 * is a plain load and store that tear nothing: no locked instruction.
 */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

typedef _Atomic uint64_t metric_t;

static inline void metric_add(metric_t *metric, uint64_t amount)
{
    atomic_store_explicit(
        metric, atomic_load_explicit(metric, memory_order_relaxed) + amount,
        memory_order_relaxed);
}

static inline uint64_t metric_get(const metric_t *metric)
{
    return atomic_load_explicit(metric, memory_order_relaxed);
}

static inline void metric_set(metric_t *metric, uint64_t value)
{
    atomic_store_explicit(metric, value, memory_order_relaxed);
}

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

enum { METRIC_NAME_SIZE_MAX = 128 }; /* torc_<role>_<name>_total */

struct metric_spec {
    enum metric_kind kind;
    const char *name;
    const char *help;
};

/* A text that grows up to a limit; what does not fit is counted, not written,
 * and neither is anything after it.  Used for `stats` answers and HTTP pages.
 */
struct text {
    char *at;
    size_t size;
    size_t capacity;
    size_t lost;
};

/* at has room for capacity bytes; one of them is for the terminator that text
 * always has. */
void text_init(struct text *text, char *at, size_t capacity);
/* Adds all of it or, with its bytes added to lost, nothing. */
void text_add(struct text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
struct slice text_slice(const struct text *text);

/* Sums row i of every worker's struct (an array of metric_t in table order)
 * into sums[i]. */
void metric_sum(uint64_t *sums, size_t count, metric_t *const *workers,
                size_t worker_count);

/* "# HELP", "# TYPE" and the sample of each row. */
void metric_prometheus(struct text *out, const char *role,
                       const struct metric_spec *specs, const uint64_t *values,
                       size_t count);

/* One gauge or counter that is not in a table. */
void metric_prometheus_one(struct text *out, enum metric_kind kind,
                           const char *full_name, const char *help,
                           uint64_t value);

#endif
