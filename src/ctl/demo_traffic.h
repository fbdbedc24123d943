/* demo_traffic.h -- clients that read through the cache and check every value.
 *
 * Some threads, one connection each, send batches of pipelined text and meta
 * commands for keys that a few of are asked for often.  A key that was missed
 * is stored by the thread that owns it, as an application would after asking
 * its database.  A miss is never an error; an older or broken value always is.
 */
#ifndef CTL_DEMO_TRAFFIC_H
#define CTL_DEMO_TRAFFIC_H

#include "base/env.h"
#include "base/err.h"

enum {
    DEMO_CONNECTIONS = 4,
    DEMO_KEYS = 20000, /* a multiple of DEMO_CONNECTIONS */
    DEMO_TIMEOUT_MS = 5000,
};

struct demo_traffic;

#define DEMO_COUNTERS(COUNTER) \
    COUNTER(requests)          \
    COUNTER(keys)              \
    COUNTER(hits)              \
    COUNTER(stores)            \
    COUNTER(deletes)           \
    COUNTER(errors)            \
    COUNTER(wrong)

struct demo_counts {
#define COUNTER(name) uint64_t name;
    DEMO_COUNTERS(COUNTER)
#undef COUNTER
};

/* env and address ("host:port" of a router) are borrowed. */
enum err demo_traffic_start(struct demo_traffic **out, const struct env *env,
                            const char *address);
/* From the starting thread, at any time. */
void demo_traffic_counts(const struct demo_traffic *traffic,
                         struct demo_counts *out);
/* Ends the threads after the batches under way.  The counts stay. */
void demo_traffic_stop(struct demo_traffic *traffic);
/* After the stop: the first thing that went wrong, or "". */
const char *demo_traffic_trouble(const struct demo_traffic *traffic);
void demo_traffic_destroy(struct demo_traffic **traffic);

#endif
