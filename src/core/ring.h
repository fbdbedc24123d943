/* ring.h -- who owns which slot, in one epoch.
 *
 * A ring is an immutable snapshot.  ringd plans it (ring_plan), commits it to
 * its store and pushes it as a JSON document; shards and routers read it
 * (ring_read) and obey the table: they compute nothing.  A new epoch is a new
 * ring; the old one goes when its last reference does.
 *
 * tenure of a slot: the epoch in which it last changed owner or was fenced.
 * An item stored in an epoch below its slot's tenure is a leftover of an
 * earlier owner and must never be seen.
 */
#ifndef CORE_RING_H
#define CORE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/slice.h"
#include "core/slot.h"
#include "proto/limits.h"

#define RING_EPOCH_MAX UINT32_MAX
#define RING_NOBODY    UINT16_MAX /* owns the slots of a ring without members */

enum member_state {
    MEMBER_JOINING, /* known, owns nothing yet */
    MEMBER_SERVING,
    MEMBER_DRAINING, /* owns nothing any more, still reachable */
    MEMBER_DOWN,     /* keeps its slots for a grace time: they miss */
};

struct ring_member {
    char name[RING_NAME_SIZE_MAX + 1];       /* its identity; [a-z0-9.-] */
    char address[RING_ADDRESS_SIZE_MAX + 1]; /* host:port or unix:/path */
    char admin[RING_ADDRESS_SIZE_MAX + 1];   /* its HTTP address, or "" */
    char zone[RING_NAME_SIZE_MAX + 1];       /* or "" */
    uint32_t weight;                         /* 1 to RING_WEIGHT_MAX */
    enum member_state state;
};

struct ring {
    const struct mem *mem;
    atomic_uint references;
    char cluster[RING_NAME_SIZE_MAX + 1];
    uint32_t epoch;
    uint16_t member_count;
    struct ring_member *members; /* sorted by name */
    uint16_t owner[SLOT_COUNT];  /* index into members */
    uint32_t tenure[SLOT_COUNT];
};

/* Plans the ring of `epoch` for these members (borrowed; their order does not
 * matter).  before may be NULL: the first ring, which depends on the members
 * alone.  Else slots stay where they were, but for those that members who
 * came, went or changed weight take or leave, and for what keeps everybody at
 * or below 1.05 of the fair share (rounded up to a whole slot).  A slot that
 * keeps its owner (by name) keeps its tenure; one that changes gets tenure =
 * epoch.  SERVING and DOWN members own slots, the others none.
 * ERR_RANGE, ERR_EXISTS, ERR_SYNTAX with *why: a member or its count is bad.
 * ERR_STALE: epoch is not above before's. */
enum err ring_plan(const struct mem *mem, const char *cluster, uint32_t epoch,
                   const struct ring_member *members, size_t member_count,
                   const struct ring *before, struct ring **out,
                   struct why *why);

/* Checks one member as ring_plan would: names the field and what is allowed. */
enum err ring_member_check(const struct ring_member *member, struct why *why);

/* Reads and checks a ring document.  Fields it does not know are left alone.
 * ERR_LIMIT: larger or deeper than allowed.  ERR_SYNTAX, ERR_RANGE, ERR_EXISTS:
 * *why names the field, the value and what is allowed. */
enum err ring_read(const struct mem *mem, struct slice json, struct ring **out,
                   struct why *why);

/* The document as one line of JSON, without a line ending; *out is the
 * caller's to mem_free. */
enum err ring_write(const struct ring *ring, char **out, size_t *size);

struct ring *ring_ref(struct ring *ring);
/* Safe on NULL; sets *ring to NULL. */
void ring_unref(struct ring **ring);

/* RING_NOBODY if there is none of that name. */
uint16_t ring_member_find(const struct ring *ring, const char *name);

/* How many slots each member owns; counts has member_count entries. */
void ring_slot_counts(const struct ring *ring, uint32_t *counts);

/* A ring of one member that owns everything, epoch 1: a shard that stands
 * alone. */
enum err ring_alone(const struct mem *mem, const char *name, struct ring **out);

const char *member_state_name(enum member_state state);
bool member_state_find(struct slice name, enum member_state *out);

#endif
