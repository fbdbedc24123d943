/* dispatch.h -- from a parsed request to calls on upstreams, or to an answer
 * of the router's own.
 *
 * Requests are written anew from their words, never passed on raw: what a shard
 * sees has been understood here.  noreply and q are left out, so that every
 * request has exactly one answer; the router hides what was not wanted.
 */
#ifndef ROUTER_DISPATCH_H
#define ROUTER_DISPATCH_H

#include <stdbool.h>

#include "core/request.h"

struct session;

/* False: it is a long get line that must go on later (session->get_offset says
 * where); call again with the same request. */
bool dispatch_request(struct session *session, const struct request *request);

/* A storage request whose value is larger than allowed: the old value must not
 * survive a failed set. */
void dispatch_forget(struct session *session, const struct request *request);

#endif
