/* ring_inside.h -- what the ring's own files share; nobody else includes it. */
#ifndef CORE_RING_INSIDE_H
#define CORE_RING_INSIDE_H

#include "core/ring.h"

/* A ring with room for its members, one reference, all slots nobody's with
 * tenure 0.  NULL: no memory. */
struct ring *ring_create(const struct mem *mem, const char *cluster,
                         uint32_t epoch, size_t member_count);

/* Lower-case letters, digits, dots and dashes, 1 to RING_NAME_SIZE_MAX of them,
 * the first no dash.  `field` is for the words. */
enum err ring_name_check(const char *field, const char *name, struct why *why);

/* Orders by name; names the first duplicate: ERR_EXISTS. */
enum err ring_members_sort(struct ring_member *members, size_t count,
                           struct why *why);

#endif
