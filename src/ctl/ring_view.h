/* ring_view.h -- the ring as a person wants to see it.
 *
 * Puts together what ringd says in three documents (the ring, the members, the
 * watchers) and draws it.  Only the ring is needed: what the others do not say
 * is shown as unknown.  No network, no clock.
 */
#ifndef CTL_RING_VIEW_H
#define CTL_RING_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/mem.h"
#include "core/ring.h"

enum view_known { VIEW_NO, VIEW_YES, VIEW_UNKNOWN };

enum { VIEW_EPOCH_UNKNOWN = -1, VIEW_WORDS_SIZE_MAX = 256 };

struct view_member {
    char name[RING_NAME_SIZE_MAX + 1];
    char address[RING_ADDRESS_SIZE_MAX + 1];
    const char *state;
    uint32_t slot_count;
    int64_t epoch; /* acknowledged, or VIEW_EPOCH_UNKNOWN */
    enum view_known connected;
};

/* Who follows the ring without being a member: routers. */
struct view_watcher {
    char name[VIEW_WORDS_SIZE_MAX];
    char role[VIEW_WORDS_SIZE_MAX];
    char error[VIEW_WORDS_SIZE_MAX]; /* its last refusal, or "" */
    int64_t epoch;
    enum view_known connected;
};

struct ring_view {
    const struct mem *mem;
    char cluster[RING_NAME_SIZE_MAX + 1];
    uint32_t epoch;
    size_t member_count, watcher_count;
    struct view_member *members;
    struct view_watcher *watchers;
    bool has_members; /* the members document was there */
};

/* members and watchers may be NULL; fields they lack are unknown.  ERR_NOMEM.
 * ring_view_destroy gives the view back and sets *view to NULL. */
enum err ring_view_create(const struct mem *mem, const struct ring *ring,
                          const json_t *members, const json_t *watchers,
                          struct ring_view **out);
void ring_view_destroy(struct ring_view **view);

struct ring_look {
    bool utf8; /* else plain ASCII */
};

void ring_view_draw(const struct ring_view *view, const struct ring_look *look,
                    FILE *out);

#endif
