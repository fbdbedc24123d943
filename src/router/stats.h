/* stats.h -- what a router tells about itself and its shards.
 *
 * `stats` through the router looks like one big memcached: what the shards
 * count is added up, what is about a process is the router's own.
 */
#ifndef ROUTER_STATS_H
#define ROUTER_STATS_H

#include <stdbool.h>

#include "base/metric.h"
#include "base/slice.h"
#include "core/request.h"

struct router;
struct session;
struct stats_merge;

enum {
    /* Of all shards together; more are left out.  `stats slabs` has six for
     * each of 128 classes. */
    STATS_NAMES_MAX = 1024,
    STATS_NAME_SIZE_MAX = 64,
    STATS_VALUE_SIZE_MAX = 64,
};

/* Starts adding up for session->stats.  False: no memory. */
bool stats_merge_begin(struct session *session, const struct request *request);
/* One shard's answer; anything but STAT lines is left out. */
void stats_merge_add(struct stats_merge *merge, struct slice answer);
/* Answers the client and ends it.  With session->stats NULL: an error. */
void stats_merge_answer(struct session *session);
/* Safe if there is none. */
void stats_merge_free(struct session *session);

/* The page of /metrics. */
void stats_prometheus(struct router *router, struct text *out);

#endif
