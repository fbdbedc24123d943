/* ringd.h -- the ring manager.
 *
 * One ring at a time, kept in a store.  A change of members is planned
 * (roster.h), committed (store.h) and only then told to anybody (publish.h).
 * All of it happens on the HTTP server's thread, one request at a time, so the
 * order of the requests is the order of the epochs.
 */
#ifndef RINGD_RINGD_H
#define RINGD_RINGD_H

#include "base/env.h"
#include "base/err.h"
#include "ringd/options.h"

struct ringd;

/* Reads the store, merges the members of flags and file, commits the result if
 * it is new, and serves.  env and options are borrowed for ringd's life.
 * Errors with *why: a member or the store's document is bad, the store is in
 * use or of another cluster, the address cannot be listened on. */
enum err ringd_start(struct ringd **out, const struct env *env,
                     const struct ringd_options *options, struct why *why);
/* Safe on NULL. */
void ringd_stop(struct ringd **ringd);

/* host:port really bound. */
const char *ringd_address(const struct ringd *ringd);

#endif
