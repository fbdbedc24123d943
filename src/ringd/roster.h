/* roster.h -- from a change of members to the next ring.
 *
 * Pure: a ring and a change go in, the ring of the next epoch comes out.  A
 * change that changes nothing gives no ring, so that a restart with the same
 * flags costs no epoch.
 */
#ifndef RINGD_ROSTER_H
#define RINGD_ROSTER_H

#include "core/ring.h"

/* Which fields of a change were given; the others keep what the ring has. */
enum {
    ROSTER_ADDRESS = 1,
    ROSTER_ADMIN = 2,
    ROSTER_ZONE = 4,
    ROSTER_WEIGHT = 8,
};

struct roster_change {
    struct ring_member member;
    unsigned given;
};

/* Reads name=address[,admin=..][,zone=..][,weight=..].  ERR_SYNTAX, ERR_RANGE
 * with *why naming the part. */
enum err roster_change_read(struct slice text, struct roster_change *out,
                            struct why *why);

/* Sets one field by its name, as text.  ERR_UNKNOWN: there is no such field. */
enum err roster_change_set(struct roster_change *change, struct slice field,
                           struct slice value, struct why *why);

/* A list of changes, one a line; blank lines and what follows a # are skipped.
 * Calls add for each; its error, or one of reading, ends the list with *why
 * naming the line. */
enum err roster_lines_read(struct slice text,
                           enum err (*add)(void *context,
                                           const struct roster_change *change,
                                           struct why *why),
                           void *context, struct why *why);

/* Adds the members that are unknown and updates the others.  now NULL: there
 * is no ring yet.  *out is NULL if nothing changes and there is a ring.
 * Errors as of ring_plan, and ERR_EXISTS for an address two members have. */
enum err roster_merge(const struct mem *mem, const char *cluster,
                      const struct ring *now,
                      const struct roster_change *changes, size_t change_count,
                      struct ring **out, struct why *why);

/* ERR_UNKNOWN: no member has that name. */
enum err roster_remove(const struct mem *mem, const struct ring *now,
                       const char *name, struct ring **out, struct why *why);

#endif
