#include "core/ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "core/ring_inside.h"

static const char *const state_names[] = {
    [MEMBER_JOINING] = "joining",
    [MEMBER_SERVING] = "serving",
    [MEMBER_DRAINING] = "draining",
    [MEMBER_DOWN] = "down",
};

enum { STATE_COUNT = sizeof state_names / sizeof state_names[0] };

const char *member_state_name(enum member_state state)
{
    check((unsigned)state < STATE_COUNT);
    return state_names[state];
}

bool member_state_find(struct slice name, enum member_state *out)
{
    for (unsigned i = 0; i < STATE_COUNT; i++) {
        if (slice_equal(name, slice_of(state_names[i]))) {
            *out = (enum member_state)i;
            return true;
        }
    }
    return false;
}

struct ring *ring_create(const struct mem *mem, const char *cluster,
                         uint32_t epoch, size_t member_count)
{
    size_t members_size = member_count * sizeof(struct ring_member);
    struct ring *ring = mem_alloc_zeroed(mem, sizeof *ring + members_size);

    check(member_count <= RING_MEMBERS_MAX);
    check(strlen(cluster) <= RING_NAME_SIZE_MAX);
    if (ring == NULL) {
        return NULL;
    }
    ring->mem = mem;
    atomic_init(&ring->references, 1);
    memcpy(ring->cluster, cluster, strlen(cluster) + 1);
    ring->epoch = epoch;
    ring->member_count = (uint16_t)member_count;
    /* One block for both: a ring comes and goes as a whole. */
    ring->members = (struct ring_member *)(ring + 1);
    for (size_t s = 0; s < SLOT_COUNT; s++) {
        ring->owner[s] = RING_NOBODY;
    }
    return ring;
}

struct ring *ring_ref(struct ring *ring)
{
    unsigned before =
        atomic_fetch_add_explicit(&ring->references, 1, memory_order_relaxed);

    check(before > 0);
    return ring;
}

void ring_unref(struct ring **ring)
{
    struct ring *gone = *ring;

    *ring = NULL;
    if (gone == NULL) {
        return;
    }
    /* Release, so that all reading is done before the last one frees; acquire,
     * so that the last one sees that it is. */
    unsigned before =
        atomic_fetch_sub_explicit(&gone->references, 1, memory_order_acq_rel);

    check(before > 0);
    if (before == 1) {
        mem_free(gone->mem, gone);
    }
}

uint16_t ring_member_find(const struct ring *ring, const char *name)
{
    size_t low = 0;
    size_t high = ring->member_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(ring->members[middle].name, name);

        if (order == 0) {
            return (uint16_t)middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return RING_NOBODY;
}

void ring_slot_counts(const struct ring *ring, uint32_t *counts)
{
    for (size_t i = 0; i < ring->member_count; i++) {
        counts[i] = 0;
    }
    for (size_t s = 0; s < SLOT_COUNT; s++) {
        if (ring->owner[s] != RING_NOBODY) {
            counts[ring->owner[s]]++;
        }
    }
}

enum err ring_alone(const struct mem *mem, const char *name, struct ring **out)
{
    enum err e = ring_name_check("name", name, NULL);

    if (e != ERR_OK) {
        return e;
    }
    struct ring *ring = ring_create(mem, "alone", 1, 1);

    if (ring == NULL) {
        return ERR_NOMEM;
    }
    memcpy(ring->members[0].name, name, strlen(name) + 1);
    ring->members[0].weight = 1;
    ring->members[0].state = MEMBER_SERVING;
    for (size_t s = 0; s < SLOT_COUNT; s++) {
        ring->owner[s] = 0;
        ring->tenure[s] = 1;
    }
    *out = ring;
    return ERR_OK;
}

enum err ring_name_check(const char *field, const char *name, struct why *why)
{
    size_t size = strnlen(name, RING_NAME_SIZE_MAX + 1);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-");

    if (size == 0 || size > RING_NAME_SIZE_MAX || good != size ||
        name[0] == '-') {
        return err_why(why, ERR_SYNTAX,
                       "%s is \"%.80s\"; allowed are 1 to %d of a-z, 0-9, "
                       "'.' and '-', not beginning with '-'",
                       field, name, RING_NAME_SIZE_MAX);
    }
    return ERR_OK;
}

/* Whether a text is host:port with a port of 1 to 65535, or unix:/path.  What
 * the host means only the resolver knows. */
static bool address_is_good(const char *address)
{
    size_t size = strnlen(address, RING_ADDRESS_SIZE_MAX + 1);
    const char *colon = strrchr(address, ':');
    uint64_t port;

    if (size > RING_ADDRESS_SIZE_MAX || colon == NULL) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (address[i] <= ' ' || address[i] > '~' || address[i] == '"' ||
            address[i] == '\\') {
            return false;
        }
    }
    if (strncmp(address, "unix:/", 6) == 0) {
        return size > 6;
    }
    return colon > address &&
           slice_read_u64(slice_of(colon + 1), 65535, &port) && port > 0;
}

static enum err address_check(const struct ring_member *member,
                              const char *field, const char *address,
                              struct why *why)
{
    if (address_is_good(address)) {
        return ERR_OK;
    }
    return err_why(why, ERR_SYNTAX,
                   "member %s: %s is \"%.80s\"; allowed is host:port with a "
                   "port of 1 to 65535, or unix:/path, of at most %d bytes",
                   member->name, field, address, RING_ADDRESS_SIZE_MAX);
}

enum err ring_member_check(const struct ring_member *member, struct why *why)
{
    enum err e = ring_name_check("member name", member->name, why);

    if (e == ERR_OK) {
        e = address_check(member, "address", member->address, why);
    }
    if (e == ERR_OK && member->admin[0] != '\0') {
        e = address_check(member, "admin", member->admin, why);
    }
    if (e == ERR_OK && member->zone[0] != '\0') {
        e = ring_name_check("member zone", member->zone, why);
    }
    if (e != ERR_OK) {
        return e;
    }
    if (member->weight < 1 || member->weight > RING_WEIGHT_MAX) {
        return err_why(why, ERR_RANGE,
                       "member %s: weight is %u; allowed is 1 to %d",
                       member->name, member->weight, RING_WEIGHT_MAX);
    }
    return ERR_OK;
}

static int member_compare(const void *a, const void *b)
{
    const struct ring_member *left = a;
    const struct ring_member *right = b;

    return strcmp(left->name, right->name);
}

enum err ring_members_sort(struct ring_member *members, size_t count,
                           struct why *why)
{
    if (count == 0) {
        return ERR_OK;
    }
    qsort(members, count, sizeof members[0], member_compare);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(members[i - 1].name, members[i].name) == 0) {
            return err_why(why, ERR_EXISTS,
                           "member name \"%s\" is given twice; allowed is "
                           "each name once",
                           members[i].name);
        }
    }
    return ERR_OK;
}
