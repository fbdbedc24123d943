/* shard.h -- one cache server.
 *
 * A shard is an engine (core/engine.h), worker threads that serve it to
 * connections (worker.h, session.h), and beside the data path a follower of
 * the ring and an HTTP page for people and probes.  Without --ringd it owns
 * every slot: a drop-in memcached.
 */
#ifndef SHARD_SHARD_H
#define SHARD_SHARD_H

#include "base/env.h"
#include "base/err.h"
#include "shard/options.h"

struct shard;

/* Listens and serves when it returns.  env and options are borrowed for the
 * shard's life.  ERR_IO, ERR_RANGE, ERR_NOMEM with *why. */
enum err shard_start(struct shard **out, const struct env *env,
                     const struct shard_options *options, struct why *why);

/* Stops listening, lets open requests finish (options->drain_timeout), frees
 * everything. */
void shard_stop(struct shard **shard);

/* The address of the admin page, or "". */
const char *shard_admin_address(const struct shard *shard);

#endif
