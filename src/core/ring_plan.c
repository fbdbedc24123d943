/* ring_plan.c -- from members to a table of slots.
 *
 * In two steps.  First the *ideal* table, a function of the members alone: each
 * member has points on a circle, each slot goes to the first point clockwise
 * whose member is below its cap.  That table is all a first ring needs.
 *
 * A later ring is not simply the ideal table of the new members: with few slots
 * a member (82 at 200 members), one in three is at its cap, and the change of
 * one member makes slots change hands between members that stayed.  Measured
 * at 200 members with caps at 1.05, a removal moved 1.6 times the leaver's
 * share, at worst 1.8.
 * So the ring before counts: only members that came, went or changed weight
 * give or take slots, and a member that has become fuller than allowed gives
 * its surplus; a change then moves hardly more than it must.  A shard that
 * leaves and comes back finds its own slots again, because what a newcomer
 * takes is what the ideal table says.
 */
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/check.h"
#include "core/ring.h"
#include "core/ring_inside.h"

enum {
    /* Points for each unit of weight, while there are not too many in all;
     * beyond, everybody's are cut in proportion.  The caps do the balancing,
     * so this only decides how many slots they have to send on. */
    POINTS_PER_WEIGHT = 256,
    POINTS_MAX = 1 << 16,
    NOT_PLACED = UINT16_MAX,
};

struct point {
    uint64_t at;
    uint16_t member;
};

/* Indexes here count the members that own slots, in the order of their
 * names. */
struct plan {
    size_t count;
    uint64_t weight_sum;
    size_t point_count;
    struct point *points;           /* by position */
    uint32_t start[SLOT_COUNT + 1]; /* first point at or after each slot */
    uint16_t ideal[SLOT_COUNT];
    uint16_t owner[SLOT_COUNT];
    struct holder {
        uint16_t index; /* in the ring's members */
        bool changed;   /* came, or has another weight than before */
        uint32_t points;
        uint32_t cap;   /* what the ideal table and new gifts respect */
        uint32_t bound; /* what nobody may be above: 1.05 of the fair share */
        uint32_t ideal; /* slots the ideal table gives it */
        uint32_t load;
    } holders[];
};

static bool member_holds(const struct ring_member *member)
{
    return member->state == MEMBER_SERVING || member->state == MEMBER_DOWN;
}

/* percent of the fair share; never below the fair share rounded up, or there
 * would be slots that nobody may take. */
static uint32_t share(const struct plan *plan, uint32_t weight,
                      uint32_t percent)
{
    uint64_t scaled = (uint64_t)SLOT_COUNT * weight;
    uint64_t whole = (scaled + plan->weight_sum - 1) / plan->weight_sum;
    uint64_t most = scaled * percent / (100 * plan->weight_sum);

    return (uint32_t)(most > whole ? most : whole);
}

static uint32_t points_of(const struct plan *plan, uint32_t weight)
{
    uint64_t wanted = (uint64_t)POINTS_PER_WEIGHT * weight;

    if (plan->weight_sum * POINTS_PER_WEIGHT > POINTS_MAX) {
        wanted = (uint64_t)POINTS_MAX * weight / plan->weight_sum;
    }
    return wanted > 0 ? (uint32_t)wanted : 1;
}

static void holders_fill(struct plan *plan, const struct ring *ring,
                         const struct ring *before)
{
    size_t next = 0;

    for (size_t i = 0; i < ring->member_count; i++) {
        const struct ring_member *member = &ring->members[i];

        if (!member_holds(member)) {
            continue;
        }
        struct holder *holder = &plan->holders[next++];
        uint16_t old = before == NULL ? RING_NOBODY
                                      : ring_member_find(before, member->name);

        holder->index = (uint16_t)i;
        holder->changed = old == RING_NOBODY ||
                          !member_holds(&before->members[old]) ||
                          before->members[old].weight != member->weight;
        holder->points = points_of(plan, member->weight);
        holder->cap = share(plan, member->weight, 102);
        holder->bound = share(plan, member->weight, 105);
        plan->point_count += holder->points;
    }
}

static uint64_t point_hash(const char *name, uint32_t index)
{
    unsigned char bytes[RING_NAME_SIZE_MAX + 1 + 4];
    size_t size = strlen(name) + 1; /* the NUL parts name and index */

    memcpy(bytes, name, size);
    for (unsigned i = 0; i < 4; i++) {
        bytes[size++] = (unsigned char)(index >> (8 * i));
    }
    return XXH3_64bits(bytes, size);
}

static bool point_is_after(const struct point *a, const struct point *b)
{
    return a->at != b->at ? a->at > b->at : a->member > b->member;
}

/* Sorts by counting: slots cut the circle into equal pieces, so each piece
 * holds a handful of points, which are then put in order by insertion. */
static void points_sort(struct plan *plan, const struct point *loose)
{
    struct point *points = plan->points;
    uint32_t *start = plan->start;

    memset(start, 0, sizeof plan->start);
    for (size_t i = 0; i < plan->point_count; i++) {
        start[slot_of(loose[i].at) + 1]++;
    }
    for (size_t s = 0; s < SLOT_COUNT; s++) {
        start[s + 1] += start[s];
    }
    for (size_t i = 0; i < plan->point_count; i++) {
        points[start[slot_of(loose[i].at)]++] = loose[i];
    }
    /* Filling moved each start to its piece's end: the next one's start. */
    memmove(start + 1, start, SLOT_COUNT * sizeof start[0]);
    start[0] = 0;
    for (size_t i = 1; i < plan->point_count; i++) {
        struct point moving = points[i];
        size_t to = i;

        for (; to > 0 && point_is_after(&points[to - 1], &moving); to--) {
            points[to] = points[to - 1];
        }
        points[to] = moving;
    }
}

static enum err points_place(struct plan *plan, const struct mem *mem,
                             const struct ring *ring)
{
    size_t size = plan->point_count * sizeof(struct point);
    struct point *loose = mem_alloc(mem, size);
    size_t next = 0;

    plan->points = mem_alloc(mem, size);
    if (loose == NULL || plan->points == NULL) {
        mem_free(mem, loose);
        return ERR_NOMEM;
    }
    for (size_t h = 0; h < plan->count; h++) {
        const struct holder *holder = &plan->holders[h];
        const char *name = ring->members[holder->index].name;

        for (uint32_t i = 0; i < holder->points; i++) {
            loose[next++] = (struct point){point_hash(name, i), (uint16_t)h};
        }
    }
    points_sort(plan, loose);
    mem_free(mem, loose);
    return ERR_OK;
}

/* The first holder clockwise of a slot that says yes. */
static uint16_t walk(const struct plan *plan, size_t slot,
                     bool (*accepts)(const struct holder *holder))
{
    size_t at = plan->start[slot];

    for (size_t steps = 0; steps < plan->point_count; steps++, at++) {
        if (at >= plan->point_count) {
            at = 0;
        }
        if (accepts(&plan->holders[plan->points[at].member])) {
            return plan->points[at].member;
        }
    }
    return NOT_PLACED;
}

static bool ideal_has_room(const struct holder *holder)
{
    return holder->ideal < holder->cap;
}

static bool has_room(const struct holder *holder)
{
    return holder->load < holder->cap;
}

static bool is_owed(const struct holder *holder)
{
    return holder->changed && holder->load < holder->ideal;
}

static void ideal_fill(struct plan *plan)
{
    for (size_t s = 0; s < SLOT_COUNT; s++) {
        uint16_t holder = walk(plan, s, ideal_has_room);

        check(holder != NOT_PLACED); /* the caps add up to all slots */
        plan->ideal[s] = holder;
        plan->holders[holder].ideal++;
    }
}

static void give(struct plan *plan, size_t slot, uint16_t holder)
{
    if (plan->owner[slot] != NOT_PLACED) {
        plan->holders[plan->owner[slot]].load--;
    }
    plan->owner[slot] = holder;
    if (holder != NOT_PLACED) {
        plan->holders[holder].load++;
    }
}

/* Everybody keeps what they had, but one whose weight changed only what is
 * ideally its own. */
static void owners_keep(struct plan *plan, const struct ring *ring,
                        const struct ring *before)
{
    uint16_t holder_of[RING_MEMBERS_MAX];

    for (size_t i = 0; i < before->member_count; i++) {
        holder_of[i] = NOT_PLACED;
    }
    for (size_t h = 0; h < plan->count; h++) {
        const char *name = ring->members[plan->holders[h].index].name;
        uint16_t old = ring_member_find(before, name);

        if (old != RING_NOBODY) {
            holder_of[old] = (uint16_t)h;
        }
    }
    for (size_t s = 0; s < SLOT_COUNT; s++) {
        uint16_t old = before->owner[s];
        uint16_t holder = old == RING_NOBODY ? NOT_PLACED : holder_of[old];

        if (holder != NOT_PLACED &&
            (!plan->holders[holder].changed || plan->ideal[s] == holder)) {
            give(plan, s, holder);
        }
    }
}

static bool is_claimed(const struct plan *plan, size_t slot)
{
    return plan->owner[slot] != plan->ideal[slot] &&
           is_owed(&plan->holders[plan->ideal[slot]]);
}

/* Members above their bound give first what a newcomer claims, then what is
 * not ideally theirs, then anything. */
static void surplus_release(struct plan *plan)
{
    for (unsigned round = 0; round < 3; round++) {
        for (size_t s = 0; s < SLOT_COUNT; s++) {
            uint16_t owner = plan->owner[s];

            if (owner == NOT_PLACED ||
                plan->holders[owner].load <= plan->holders[owner].bound) {
                continue;
            }
            if (is_claimed(plan, s)) {
                give(plan, s, plan->ideal[s]);
            } else if (round == 2 || (round == 1 && plan->ideal[s] != owner)) {
                give(plan, s, NOT_PLACED);
            }
        }
    }
}

/* Slots without an owner go to those who are owed some, else to whoever has
 * room; then newcomers take the rest of what is ideally theirs. */
static void slots_deal(struct plan *plan)
{
    for (size_t s = 0; s < SLOT_COUNT; s++) {
        if (plan->owner[s] == NOT_PLACED && is_claimed(plan, s)) {
            give(plan, s, plan->ideal[s]);
        }
    }
    for (size_t s = 0; s < SLOT_COUNT; s++) {
        if (plan->owner[s] != NOT_PLACED) {
            continue;
        }
        uint16_t holder = walk(plan, s, is_owed);

        if (holder == NOT_PLACED) {
            holder = walk(plan, s, has_room);
        }
        check(holder != NOT_PLACED);
        give(plan, s, holder);
    }
    for (size_t s = 0; s < SLOT_COUNT; s++) {
        if (is_claimed(plan, s)) {
            give(plan, s, plan->ideal[s]);
        }
    }
}

static void plan_write(const struct plan *plan, struct ring *ring,
                       const struct ring *before)
{
    for (size_t s = 0; s < SLOT_COUNT; s++) {
        const char *now = NULL;
        const char *old = NULL;

        if (plan != NULL) {
            ring->owner[s] = plan->holders[plan->owner[s]].index;
            now = ring->members[ring->owner[s]].name;
        }
        if (before != NULL && before->owner[s] != RING_NOBODY) {
            old = before->members[before->owner[s]].name;
        }
        bool same = before != NULL && (now == NULL) == (old == NULL) &&
                    (now == NULL || strcmp(now, old) == 0);

        ring->tenure[s] = same ? before->tenure[s] : ring->epoch;
    }
}

static enum err slots_plan(const struct mem *mem, struct ring *ring,
                           const struct ring *before)
{
    struct plan *plan = mem_alloc_zeroed(
        mem, sizeof *plan + ring->member_count * sizeof plan->holders[0]);

    if (plan == NULL) {
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < ring->member_count; i++) {
        if (member_holds(&ring->members[i])) {
            plan->count++;
            plan->weight_sum += ring->members[i].weight;
        }
    }
    enum err e = ERR_OK;

    if (plan->count == 0) {
        plan_write(NULL, ring, before);
        goto done;
    }
    holders_fill(plan, ring, before);
    e = points_place(plan, mem, ring);
    if (e != ERR_OK) {
        goto done;
    }
    ideal_fill(plan);
    memset(plan->owner, 0xff, sizeof plan->owner);
    if (before != NULL) {
        owners_keep(plan, ring, before);
        surplus_release(plan);
    }
    slots_deal(plan);
    plan_write(plan, ring, before);
done:
    mem_free(mem, plan->points);
    mem_free(mem, plan);
    return e;
}

static enum err arguments_check(const char *cluster, uint32_t epoch,
                                const struct ring_member *members,
                                size_t member_count, const struct ring *before,
                                struct why *why)
{
    enum err e = ring_name_check("cluster", cluster, why);

    if (e != ERR_OK) {
        return e;
    }
    if (member_count > RING_MEMBERS_MAX) {
        return err_why(why, ERR_RANGE,
                       "the ring would have %zu members; allowed is at most %d",
                       member_count, RING_MEMBERS_MAX);
    }
    if (epoch == 0 || (before != NULL && epoch <= before->epoch)) {
        return err_why(why, ERR_STALE, "epoch is %u; allowed is above %u",
                       epoch, before == NULL ? 0 : before->epoch);
    }
    for (size_t i = 0; i < member_count && e == ERR_OK; i++) {
        e = ring_member_check(&members[i], why);
    }
    return e;
}

enum err ring_plan(const struct mem *mem, const char *cluster, uint32_t epoch,
                   const struct ring_member *members, size_t member_count,
                   const struct ring *before, struct ring **out,
                   struct why *why)
{
    enum err e =
        arguments_check(cluster, epoch, members, member_count, before, why);

    if (e != ERR_OK) {
        return e;
    }
    struct ring *ring = ring_create(mem, cluster, epoch, member_count);

    if (ring == NULL) {
        return err_why(why, ERR_NOMEM, "no memory for a ring");
    }
    if (member_count > 0) {
        memcpy(ring->members, members, member_count * sizeof members[0]);
    }
    e = ring_members_sort(ring->members, member_count, why);
    if (e == ERR_OK) {
        e = slots_plan(mem, ring, before);
        if (e != ERR_OK) {
            (void)err_why(why, e, "no memory to plan a ring");
        }
    }
    if (e != ERR_OK) {
        ring_unref(&ring);
        return e;
    }
    *out = ring;
    return ERR_OK;
}
