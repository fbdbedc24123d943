/* The picture of a ring view. */
#include <string.h>

#include "ctl/ring_view.h"

enum {
    BAR_CELLS = 24,
    BAR_EIGHTHS = 8 * BAR_CELLS, /* what block characters can tell apart */
};

struct columns {
    int name, address;
};

/* What a full bar stands for, in slots: four fair shares, so that a fair share
 * is a quarter of a bar in a ring of any size; more if somebody owns more, and
 * never more than there is. */
static uint32_t bar_scale(const struct ring_view *view)
{
    uint32_t scale = SLOT_COUNT;

    if (view->member_count > 4) {
        scale = (uint32_t)(4 * SLOT_COUNT / view->member_count);
    }
    for (size_t i = 0; i < view->member_count; i++) {
        if (view->members[i].slot_count > scale) {
            scale = view->members[i].slot_count;
        }
    }
    return scale;
}

/* Always BAR_CELLS wide. */
static void bar_draw(uint32_t slot_count, uint32_t scale,
                     const struct ring_look *look, FILE *out)
{
    static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    uint32_t eighths = (uint32_t)((uint64_t)slot_count * BAR_EIGHTHS / scale);
    uint32_t full = eighths / 8;
    uint32_t part = eighths % 8;

    if (!look->utf8) {
        full += part >= 4;
        part = 0;
    }
    for (uint32_t i = 0; i < full; i++) {
        fputs(look->utf8 ? "█" : "#", out);
    }
    fputs(parts[part], out);
    for (uint32_t i = full + (part != 0); i < BAR_CELLS; i++) {
        fputc(' ', out);
    }
}

static const char *known_words(enum view_known known)
{
    static const char *const words[] = {
        [VIEW_NO] = "no", [VIEW_YES] = "yes", [VIEW_UNKNOWN] = "-"};

    return words[known];
}

static void epoch_draw(int64_t epoch, int width, FILE *out)
{
    if (epoch < 0) {
        fprintf(out, "%*s", width, "-");
    } else {
        fprintf(out, "%*lld", width, (long long)epoch);
    }
}

static struct columns columns_measure(const struct ring_view *view)
{
    struct columns columns = {.name = 4, .address = 7};

    for (size_t i = 0; i < view->member_count; i++) {
        int name = (int)strlen(view->members[i].name);
        int address = (int)strlen(view->members[i].address);

        columns.name = name > columns.name ? name : columns.name;
        columns.address = address > columns.address ? address : columns.address;
    }
    return columns;
}

static void members_draw(const struct ring_view *view,
                         const struct ring_look *look, FILE *out)
{
    struct columns columns = columns_measure(view);
    uint32_t scale = bar_scale(view);

    fprintf(out, "  %-*s  %-*s  %-8s  %-*s  %5s  %5s  %5s  %s\n", columns.name,
            "name", columns.address, "address", "state", BAR_CELLS, "share",
            "slots", "%", "acked", "connected");
    for (size_t i = 0; i < view->member_count; i++) {
        const struct view_member *member = &view->members[i];

        fprintf(out, "  %-*s  %-*s  %-8s  ", columns.name, member->name,
                columns.address, member->address, member->state);
        bar_draw(member->slot_count, scale, look, out);
        fprintf(out, "  %5u  %5.1f  ", member->slot_count,
                100.0 * member->slot_count / SLOT_COUNT);
        epoch_draw(member->epoch, 5, out);
        fprintf(out, "  %s\n", known_words(member->connected));
    }
}

static void watchers_draw(const struct ring_view *view, FILE *out)
{
    int width = 7;

    if (view->watcher_count == 0) {
        return;
    }
    for (size_t i = 0; i < view->watcher_count; i++) {
        int size = (int)strlen(view->watchers[i].name);

        width = size > width ? size : width;
    }
    fprintf(out, "\n  %-*s  %-8s  %5s  %s\n", width, "watcher", "role", "acked",
            "connected");
    for (size_t i = 0; i < view->watcher_count; i++) {
        const struct view_watcher *watcher = &view->watchers[i];

        fprintf(out, "  %-*s  %-8s  ", width, watcher->name, watcher->role);
        epoch_draw(watcher->epoch, 5, out);
        fprintf(out, "  %s%s%s\n", known_words(watcher->connected),
                watcher->error[0] != '\0' ? "  refused: " : "", watcher->error);
    }
}

static void behind_draw(const char *name, int64_t epoch, size_t *count,
                        FILE *out)
{
    fprintf(out, "%s%s", *count == 0 ? "waiting for " : ", ", name);
    if (epoch < 0) {
        fputs(" (unknown)", out);
    } else {
        fprintf(out, " (at %lld)", (long long)epoch);
    }
    ++*count;
}

/* Who is connected has it or is late; who is not will get it on return. */
static void acknowledged_draw(const struct ring_view *view, FILE *out)
{
    size_t behind = 0;

    for (size_t i = 0; i < view->member_count; i++) {
        const struct view_member *member = &view->members[i];

        if (member->epoch < (int64_t)view->epoch) {
            behind_draw(member->name, member->epoch, &behind, out);
        }
    }
    for (size_t i = 0; i < view->watcher_count; i++) {
        const struct view_watcher *watcher = &view->watchers[i];

        if (watcher->connected != VIEW_NO &&
            watcher->epoch < (int64_t)view->epoch) {
            behind_draw(watcher->name, watcher->epoch, &behind, out);
        }
    }
    if (behind > 0) {
        fprintf(out, " to acknowledge epoch %u\n", view->epoch);
    } else {
        fprintf(out, "everyone has acknowledged epoch %u\n", view->epoch);
    }
}

void ring_view_draw(const struct ring_view *view, const struct ring_look *look,
                    FILE *out)
{
    fprintf(out, "ring \"%s\", epoch %u, %u slots, %zu member%s\n\n",
            view->cluster, view->epoch, SLOT_COUNT, view->member_count,
            view->member_count == 1 ? "" : "s");
    if (view->member_count == 0) {
        fputs("  nobody yet: torc ring add NAME ADDRESS\n", out);
        return;
    }
    members_draw(view, look, out);
    watchers_draw(view, out);
    fputc('\n', out);
    if (view->has_members) {
        acknowledged_draw(view, out);
    } else {
        fputs("this ringd does not say who has acknowledged\n", out);
    }
}
