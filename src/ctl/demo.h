/* demo.h -- `torc up --demo`: traffic through the router, a shard joining
 * meanwhile, and a report. */
#ifndef CTL_DEMO_H
#define CTL_DEMO_H

#include "ctl/cluster.h"

/* Returns CTL_OK only if no request failed, no value was wrong, and the shard
 * joined and answered requests; else CTL_NO, and says why. */
int demo_run(struct cluster *cluster);

#endif
