#include "ringd/roster.h"

#include <string.h>

enum { ROSTER_LINE_SIZE_MAX = 1024 };

static enum err text_set(char *out, size_t out_size, const char *field,
                         struct slice value, struct why *why)
{
    if (value.size >= out_size || memchr(value.at, '\0', value.size) != NULL) {
        return err_why(why, ERR_SYNTAX,
                       "%s is \"%.*s\"; allowed are at most %zu bytes, none of "
                       "them zero",
                       field, (int)(value.size < 80 ? value.size : 80),
                       value.at, out_size - 1);
    }
    memcpy(out, value.at, value.size);
    out[value.size] = '\0';
    return ERR_OK;
}

static enum err weight_set(struct roster_change *change, struct slice value,
                           struct why *why)
{
    uint64_t weight;

    if (!slice_read_u64(value, RING_WEIGHT_MAX, &weight) || weight == 0) {
        return err_why(why, ERR_RANGE,
                       "weight is \"%.*s\"; allowed is a number from 1 to %d",
                       (int)(value.size < 80 ? value.size : 80), value.at,
                       RING_WEIGHT_MAX);
    }
    change->member.weight = (uint32_t)weight;
    change->given |= ROSTER_WEIGHT;
    return ERR_OK;
}

enum err roster_change_set(struct roster_change *change, struct slice field,
                           struct slice value, struct why *why)
{
    struct ring_member *member = &change->member;

    if (slice_equal(field, SLICE("name"))) {
        return text_set(member->name, sizeof member->name, "name", value, why);
    }
    if (slice_equal(field, SLICE("address"))) {
        change->given |= ROSTER_ADDRESS;
        return text_set(member->address, sizeof member->address, "address",
                        value, why);
    }
    if (slice_equal(field, SLICE("admin"))) {
        change->given |= ROSTER_ADMIN;
        return text_set(member->admin, sizeof member->admin, "admin", value,
                        why);
    }
    if (slice_equal(field, SLICE("zone"))) {
        change->given |= ROSTER_ZONE;
        return text_set(member->zone, sizeof member->zone, "zone", value, why);
    }
    if (slice_equal(field, SLICE("weight"))) {
        return weight_set(change, value, why);
    }
    return err_why(why, ERR_UNKNOWN,
                   "there is no field \"%.*s\"; allowed are name, address, "
                   "admin, zone and weight",
                   (int)(field.size < 80 ? field.size : 80), field.at);
}

/* Cuts *rest at the first occurrence of c; what was before it is returned. */
static struct slice cut(struct slice *rest, char c)
{
    const char *at = rest->size == 0 ? NULL : memchr(rest->at, c, rest->size);
    struct slice head = *rest;

    if (at == NULL) {
        rest->at += rest->size;
        rest->size = 0;
        return head;
    }
    head.size = (size_t)(at - rest->at);
    rest->at += head.size + 1;
    rest->size -= head.size + 1;
    return head;
}

static struct roster_change change_blank(void)
{
    return (struct roster_change){
        .member = {.weight = 1, .state = MEMBER_SERVING},
    };
}

enum err roster_change_read(struct slice text, struct roster_change *out,
                            struct why *why)
{
    struct roster_change change = change_blank();
    struct slice rest = text;
    struct slice first = cut(&rest, ',');
    struct slice name = cut(&first, '=');
    enum err e = roster_change_set(&change, SLICE("name"), name, why);

    if (e == ERR_OK && first.size == 0) {
        e = err_why(why, ERR_SYNTAX,
                    "member \"%.*s\" has no address; allowed is "
                    "name=address[,admin=..][,zone=..][,weight=..]",
                    (int)(text.size < 80 ? text.size : 80), text.at);
    }
    if (e == ERR_OK) {
        e = roster_change_set(&change, SLICE("address"), first, why);
    }
    while (e == ERR_OK && rest.size > 0) {
        struct slice value = cut(&rest, ',');
        struct slice field = cut(&value, '=');

        e = roster_change_set(&change, field, value, why);
    }
    if (e == ERR_OK) {
        e = ring_member_check(&change.member, why);
    }
    if (e == ERR_OK) {
        *out = change;
    }
    return e;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct slice trimmed(struct slice text)
{
    while (text.size > 0 && is_blank(text.at[0])) {
        text.at++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.at[text.size - 1])) {
        text.size--;
    }
    return text;
}

enum err roster_lines_read(struct slice text,
                           enum err (*add)(void *context,
                                           const struct roster_change *change,
                                           struct why *why),
                           void *context, struct why *why)
{
    struct why inner = {""};

    for (size_t number = 1; text.size > 0; number++) {
        struct slice line = cut(&text, '\n');
        struct slice words = trimmed(cut(&line, '#'));
        struct roster_change change;
        enum err e = ERR_OK;

        if (words.size > ROSTER_LINE_SIZE_MAX) {
            e = err_why(&inner, ERR_LIMIT,
                        "%zu bytes long; allowed are at most %d", words.size,
                        ROSTER_LINE_SIZE_MAX);
        } else if (words.size > 0) {
            e = roster_change_read(words, &change, &inner);
            if (e == ERR_OK) {
                e = add(context, &change, &inner);
            }
        }
        if (e != ERR_OK) {
            return err_why(why, e, "line %zu: %.400s", number, inner.text);
        }
    }
    return ERR_OK;
}

static struct ring_member *member_find(struct ring_member *members,
                                       size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(members[i].name, name) == 0) {
            return &members[i];
        }
    }
    return NULL;
}

/* Whether something became different. */
static bool member_update(struct ring_member *member,
                          const struct roster_change *change)
{
    const struct ring_member *wanted = &change->member;
    struct ring_member before = *member;

    if (change->given & ROSTER_ADDRESS) {
        memcpy(member->address, wanted->address, sizeof member->address);
    }
    if (change->given & ROSTER_ADMIN) {
        memcpy(member->admin, wanted->admin, sizeof member->admin);
    }
    if (change->given & ROSTER_ZONE) {
        memcpy(member->zone, wanted->zone, sizeof member->zone);
    }
    if (change->given & ROSTER_WEIGHT) {
        member->weight = wanted->weight;
    }
    return strcmp(before.address, member->address) != 0 ||
           strcmp(before.admin, member->admin) != 0 ||
           strcmp(before.zone, member->zone) != 0 ||
           before.weight != member->weight;
}

/* Two names for one server would each be given slots that the other is asked
 * for. */
static enum err addresses_check(const struct ring_member *members, size_t count,
                                struct why *why)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (strcmp(members[i].address, members[j].address) == 0) {
                return err_why(why, ERR_EXISTS,
                               "member %s: address is \"%.80s\"; allowed is "
                               "one that no other member has, and %s has it",
                               members[i].name, members[i].address,
                               members[j].name);
            }
        }
    }
    return ERR_OK;
}

static enum err change_apply(struct ring_member *members, size_t *count,
                             const struct roster_change *change, bool *changed,
                             struct why *why)
{
    struct ring_member *known =
        member_find(members, *count, change->member.name);

    if (known != NULL) {
        *changed = member_update(known, change) || *changed;
        return ring_member_check(known, why);
    }
    if (*count == RING_MEMBERS_MAX) {
        return err_why(why, ERR_RANGE,
                       "member %s would be number %d; allowed are at most %d",
                       change->member.name, RING_MEMBERS_MAX + 1,
                       RING_MEMBERS_MAX);
    }
    enum err e = ring_member_check(&change->member, why);

    if (e == ERR_OK) {
        members[(*count)++] = change->member;
        *changed = true;
    }
    return e;
}

enum err roster_merge(const struct mem *mem, const char *cluster,
                      const struct ring *now,
                      const struct roster_change *changes, size_t change_count,
                      struct ring **out, struct why *why)
{
    struct ring_member *members =
        mem_alloc(mem, RING_MEMBERS_MAX * sizeof members[0]);
    size_t count = now == NULL ? 0 : now->member_count;
    bool changed = now == NULL;
    enum err e = ERR_OK;
    struct ring *next = NULL;

    if (members == NULL) {
        return err_why(why, ERR_NOMEM, "no memory for the members");
    }
    if (count > 0) {
        memcpy(members, now->members, count * sizeof members[0]);
    }
    for (size_t i = 0; i < change_count && e == ERR_OK; i++) {
        e = change_apply(members, &count, &changes[i], &changed, why);
    }
    if (e == ERR_OK && changed) {
        e = addresses_check(members, count, why);
    }
    if (e == ERR_OK && changed) {
        e = ring_plan(mem, cluster, now == NULL ? 1 : now->epoch + 1, members,
                      count, now, &next, why);
    }
    mem_free(mem, members);
    if (e == ERR_OK) {
        *out = next;
    }
    return e;
}

enum err roster_remove(const struct mem *mem, const struct ring *now,
                       const char *name, struct ring **out, struct why *why)
{
    uint16_t gone = ring_member_find(now, name);

    if (gone == RING_NOBODY) {
        return err_why(why, ERR_UNKNOWN, "there is no member \"%.80s\"", name);
    }
    struct ring_member *members =
        mem_alloc(mem, now->member_count * sizeof members[0]);

    if (members == NULL) {
        return err_why(why, ERR_NOMEM, "no memory for the members");
    }
    size_t count = 0;

    for (size_t i = 0; i < now->member_count; i++) {
        if (i != gone) {
            members[count++] = now->members[i];
        }
    }
    enum err e = ring_plan(mem, now->cluster, now->epoch + 1, members, count,
                           now, out, why);

    mem_free(mem, members);
    return e;
}
