/* report.h -- what shard and router alike tell about themselves: the process,
 * its connections.
 */
#ifndef NODE_REPORT_H
#define NODE_REPORT_H

#include <stdint.h>

#include "base/env.h"
#include "base/metric.h"
#include "net/crew.h"

/* "STAT name value" */
void report_stat(struct text *out, const char *name, uint64_t value);

/* pid uptime time version pointer_size rusage_user rusage_system, as in
 * memcached's `stats`. */
void report_process(struct text *out, const struct env *env,
                    uint64_t started_mono_ms);

/* The lines about connections and threads. */
void report_crew(struct text *out, const struct crew *crew,
                 uint64_t connection_limit);

/* The same for Prometheus, as torc_<role>_... */
void report_crew_prometheus(struct text *out, const struct crew *crew,
                            const char *role);

#endif
