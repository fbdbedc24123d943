/* metrics.h -- torc-ringd's metrics, generated from metrics.def. */
#ifndef RINGD_METRICS_H
#define RINGD_METRICS_H

#include "base/metric.h"

enum ringd_metric {
#define METRIC(kind, name, help) RINGD_METRIC_##name,
#include "ringd/metrics.def"
#undef METRIC
    RINGD_METRIC_COUNT
};

extern const struct metric_spec ringd_metric_specs[RINGD_METRIC_COUNT];

#endif
