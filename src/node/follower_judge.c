#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#include "node/follower.h"

enum {
    /* A heartbeat is {"heartbeat":4294967295}; what is longer is a document,
     * and is read once only. */
    HEARTBEAT_SIZE_MAX = 64,
};

static bool heartbeat_is(struct slice line)
{
    if (line.size > HEARTBEAT_SIZE_MAX) {
        return false;
    }
    json_t *root = json_loadb(line.at, line.size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *epoch = json_object_get(root, "heartbeat");
    bool is = json_is_integer(epoch) && json_integer_value(epoch) >= 0 &&
              json_integer_value(epoch) <= RING_EPOCH_MAX;

    json_decref(root);
    return is;
}

static bool member_same(const struct ring_member *a,
                        const struct ring_member *b)
{
    return strcmp(a->name, b->name) == 0 &&
           strcmp(a->address, b->address) == 0 &&
           strcmp(a->admin, b->admin) == 0 && strcmp(a->zone, b->zone) == 0 &&
           a->weight == b->weight && a->state == b->state;
}

/* Members are sorted by name, so equal rings have equal indexes. */
static bool ring_same(const struct ring *a, const struct ring *b)
{
    if (a->member_count != b->member_count ||
        memcmp(a->owner, b->owner, sizeof a->owner) != 0 ||
        memcmp(a->tenure, b->tenure, sizeof a->tenure) != 0) {
        return false;
    }
    for (size_t i = 0; i < a->member_count; i++) {
        if (!member_same(&a->members[i], &b->members[i])) {
            return false;
        }
    }
    return true;
}

/* ERR_OK with *newer: to be adopted, or the one that is in force. */
static enum err ring_judge(const struct ring *known, const char *cluster,
                           const struct ring *ring, bool *newer,
                           struct why *why)
{
    if (cluster == NULL && known != NULL) {
        cluster = known->cluster;
    }
    if (cluster != NULL && strcmp(cluster, ring->cluster) != 0) {
        return err_why(why, ERR_CONFLICT,
                       "cluster: this ring is of \"%s\", we belong to \"%s\"",
                       ring->cluster, cluster);
    }
    *newer = known == NULL || ring->epoch > known->epoch;
    if (*newer) {
        return ERR_OK;
    }
    if (ring->epoch < known->epoch) {
        return err_why(why, ERR_STALE,
                       "epoch: %" PRIu32 " is below %" PRIu32
                       ", which is in force",
                       ring->epoch, known->epoch);
    }
    if (!ring_same(ring, known)) {
        return err_why(why, ERR_CONFLICT,
                       "epoch: %" PRIu32 " is in force with another content",
                       ring->epoch);
    }
    return ERR_OK;
}

enum err follower_judge(const struct mem *mem, const struct ring *known,
                        const char *cluster, struct slice line,
                        struct ring **out, struct why *why)
{
    struct ring *ring = NULL;
    bool newer = false;

    if (heartbeat_is(line)) {
        *out = NULL;
        return ERR_OK;
    }
    enum err e = ring_read(mem, line, &ring, why);

    if (e == ERR_OK) {
        e = ring_judge(known, cluster, ring, &newer, why);
    }
    if (e != ERR_OK || !newer) {
        ring_unref(&ring);
    }
    if (e == ERR_OK) {
        *out = ring;
    }
    return e;
}
