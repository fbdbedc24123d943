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
#include <stddef.h>

#include "core/request.h"

struct session;

/* Returns how many bytes of the request are done with: all of it; less for a
 * long get line that has to go on later (session->get says how); none for one
 * that must be tried again when an answer has come. */
size_t dispatch_request(struct session *session, const struct request *request);

/* Goes on with a get line that had to stop, and consumes what is done with.
 * False: it has to stop again. */
bool dispatch_resume(struct session *session);

/* A storage request whose value is larger than allowed: the old value must not
 * survive a failed set. */
void dispatch_forget(struct session *session, const struct request *request);

#endif
