/* ringd_inside.h -- what ringd.c offers to its API (api*.c) alone.  On the HTTP
 * server's thread only. */
#ifndef RINGD_RINGD_INSIDE_H
#define RINGD_RINGD_INSIDE_H

#include "net/http.h"
#include "ringd/metrics.h"
#include "ringd/publish.h"
#include "ringd/ringd.h"
#include "ringd/roster.h"

const struct env *ringd_env(const struct ringd *ringd);
struct publish *ringd_publish(struct ringd *ringd);

/* The committed ring; borrowed until the next change. */
const struct ring *ringd_ring(const struct ringd *ringd);

/* Plans, commits and publishes.  A change that changes nothing is ERR_OK.
 * Errors of roster_merge and roster_remove: the request is at fault.
 * ERR_CONFLICT, ERR_IO: the store is. */
enum err ringd_change(struct ringd *ringd, const struct roster_change *change,
                      struct why *why);
enum err ringd_remove(struct ringd *ringd, const char *name, struct why *why);

void ringd_metrics(const struct ringd *ringd,
                   uint64_t values[static RINGD_METRIC_COUNT]);

/* The routes, whose context is a struct ringd. */
extern const struct http_route api_routes[];
extern const size_t api_route_count;

/* For publish_options: connections are what api.c gave to publish_watch. */
void api_send(void *context, void *connection, struct slice line);
void api_drop(void *context, void *connection);

#endif
