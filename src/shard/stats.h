/* stats.h -- what a shard tells about itself, to `stats` and to Prometheus. */
#ifndef SHARD_STATS_H
#define SHARD_STATS_H

#include "base/metric.h"
#include "base/slice.h"

struct shard;

/* `stats [what]`: STAT lines with END, or RESET.  False: no such statistics. */
bool stats_write(struct shard *shard, struct slice what, struct text *out);

/* The page of /metrics. */
void stats_prometheus(struct shard *shard, struct text *out);

#endif
