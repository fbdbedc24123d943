#include "ctl/ring_view.h"

#include <string.h>

#include "ctl/ask.h"
#include "ctl/ctl.h"

static void words_copy(char *out, size_t size, const char *words)
{
    (void)snprintf(out, size, "%s", words);
    ctl_make_printable(out);
}

static enum view_known known(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_boolean(value)) {
        return VIEW_UNKNOWN;
    }
    return json_is_true(value) ? VIEW_YES : VIEW_NO;
}

/* The element of document[list] with this name, or NULL. */
static const json_t *entry_find(const json_t *document, const char *list,
                                const char *name)
{
    const json_t *entries = json_object_get(document, list);

    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);

        if (strcmp(ask_words(entry, "name", ""), name) == 0) {
            return entry;
        }
    }
    return NULL;
}

static void member_fill(struct view_member *out,
                        const struct ring_member *member, uint32_t slot_count,
                        const json_t *members)
{
    const json_t *entry = entry_find(members, "members", member->name);

    words_copy(out->name, sizeof out->name, member->name);
    words_copy(out->address, sizeof out->address, member->address);
    out->state = member_state_name(member->state);
    out->slot_count = slot_count;
    out->epoch = ask_number(entry, "epoch", VIEW_EPOCH_UNKNOWN);
    out->connected = known(entry, "connected");
}

static void watcher_fill(struct view_watcher *out, const json_t *entry)
{
    words_copy(out->name, sizeof out->name, ask_words(entry, "name", "?"));
    words_copy(out->role, sizeof out->role, ask_words(entry, "role", "?"));
    words_copy(out->error, sizeof out->error, ask_words(entry, "error", ""));
    out->epoch = ask_number(entry, "epoch", VIEW_EPOCH_UNKNOWN);
    out->connected = known(entry, "connected");
}

/* A shard that is a member is drawn once, as a member. */
static void watchers_fill(struct ring_view *view, const struct ring *ring,
                          const json_t *entries)
{
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        bool is_member = ring_member_find(ring, ask_words(entry, "name", "")) !=
                             RING_NOBODY &&
                         strcmp(ask_words(entry, "role", ""), "router") != 0;

        if (!is_member) {
            watcher_fill(&view->watchers[view->watcher_count], entry);
            view->watcher_count++;
        }
    }
}

static enum err view_allocate(struct ring_view *view, size_t member_count,
                              size_t watcher_count)
{
    /* One more than there are: no array is ever of size 0. */
    view->members = mem_alloc_zeroed(view->mem, (member_count + 1) *
                                                    sizeof view->members[0]);
    view->watchers = mem_alloc_zeroed(view->mem, (watcher_count + 1) *
                                                     sizeof view->watchers[0]);
    return view->members != NULL && view->watchers != NULL ? ERR_OK : ERR_NOMEM;
}

enum err ring_view_create(const struct mem *mem, const struct ring *ring,
                          const json_t *members, const json_t *watchers,
                          struct ring_view **out)
{
    uint32_t counts[RING_MEMBERS_MAX] = {0};
    const json_t *entries = json_object_get(watchers, "watchers");
    struct ring_view *view = mem_alloc_zeroed(mem, sizeof *view);

    if (view == NULL) {
        return ERR_NOMEM;
    }
    view->mem = mem;
    if (view_allocate(view, ring->member_count, json_array_size(entries)) !=
        ERR_OK) {
        ring_view_destroy(&view);
        return ERR_NOMEM;
    }
    words_copy(view->cluster, sizeof view->cluster, ring->cluster);
    view->epoch = ring->epoch;
    view->has_members = json_object_get(members, "members") != NULL;
    ring_slot_counts(ring, counts);
    for (size_t i = 0; i < ring->member_count; i++) {
        member_fill(&view->members[i], &ring->members[i], counts[i], members);
    }
    view->member_count = ring->member_count;
    watchers_fill(view, ring, entries);
    *out = view;
    return ERR_OK;
}

void ring_view_destroy(struct ring_view **view)
{
    if (*view == NULL) {
        return;
    }
    mem_free((*view)->mem, (*view)->members);
    mem_free((*view)->mem, (*view)->watchers);
    mem_free((*view)->mem, *view);
    *view = NULL;
}
