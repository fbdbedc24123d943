/* router.h -- the stateless front of the ring.
 *
 * A router takes memcached clients on worker threads that share nothing, and
 * sends each request to the shard that owns its key (worker.h, session.h,
 * upstream.h).  Beside the data path it follows the ring and has an HTTP page.
 * With --backend the ring is fixed and needs no manager.
 */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include "base/env.h"
#include "base/err.h"
#include "router/options.h"

struct router;

/* Listens and serves when it returns.  env and options are borrowed for the
 * router's life.  ERR_IO, ERR_RANGE, ERR_NOMEM with *why. */
enum err router_start(struct router **out, const struct env *env,
                      const struct router_options *options, struct why *why);

/* Stops listening, lets open requests finish (options->drain_timeout), frees
 * everything. */
void router_stop(struct router **router);

#endif
