/* metrics.h -- what each worker of a shard counts, from metrics.def. */
#ifndef SHARD_METRICS_H
#define SHARD_METRICS_H

#include "base/metric.h"

struct shard_metrics {
#define METRIC(kind, name, help) metric_t name;
#include "shard/metrics.def"
#undef METRIC
};

enum { SHARD_METRIC_COUNT = sizeof(struct shard_metrics) / sizeof(metric_t) };

extern const struct metric_spec shard_metric_specs[SHARD_METRIC_COUNT];

#endif
