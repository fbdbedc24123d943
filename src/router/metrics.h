/* metrics.h -- what each worker of a router counts, from metrics.def. */
#ifndef ROUTER_METRICS_H
#define ROUTER_METRICS_H

#include "base/metric.h"

struct router_metrics {
#define METRIC(kind, name, help) metric_t name;
#include "router/metrics.def"
#undef METRIC
};

enum { ROUTER_METRIC_COUNT = sizeof(struct router_metrics) / sizeof(metric_t) };

extern const struct metric_spec router_metric_specs[ROUTER_METRIC_COUNT];

#endif
