/* admin.h -- the HTTP page of shards and routers: /metrics for Prometheus,
 * /livez and /readyz for Kubernetes, /ring for people.
 */
#ifndef NODE_ADMIN_H
#define NODE_ADMIN_H

#include <stdbool.h>

#include "base/env.h"
#include "base/err.h"
#include "base/metric.h"
#include "core/ring.h"

struct admin;

/* Called on the page's own thread. */
struct admin_options {
    const char *address; /* "" turns the page off */
    void *context;
    /* False, with words: not ready to serve. */
    bool (*ready)(void *context, struct why *why);
    void (*metrics)(void *context, struct text *out);
    /* A reference to the ring in force, or NULL. */
    struct ring *(*ring)(void *context);
};

/* *out stays NULL if the page is turned off.  ERR_IO with *why. */
enum err admin_start(struct admin **out, const struct env *env,
                     const struct admin_options *options, struct why *why);
/* Safe on NULL. */
void admin_stop(struct admin **admin);
/* host:port really bound; "" if turned off (admin NULL). */
const char *admin_address(const struct admin *admin);

#endif
