#include "ringd/api_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err object_read(struct slice body, json_t **out, struct why *why)
{
    json_error_t error;

    if (body.size > API_BODY_SIZE_MAX) {
        return err_why(why, ERR_LIMIT,
                       "the body has %zu bytes; allowed are at most %d",
                       body.size, API_BODY_SIZE_MAX);
    }
    json_t *root = json_loadb(body.size == 0 ? "" : body.at, body.size,
                              JSON_REJECT_DUPLICATES, &error);

    if (root == NULL) {
        return err_why(why, ERR_SYNTAX,
                       "the body is no JSON at byte %d: %.160s; allowed is an "
                       "object",
                       error.position, error.text);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return err_why(why, ERR_SYNTAX,
                       "the body is no object; allowed is an object");
    }
    *out = root;
    return ERR_OK;
}

/* The field is known, but its value is of a kind it cannot have. */
static enum err field_refuse(const char *name, const json_t *value,
                             struct why *why)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    bool is_weight = strcmp(name, "weight") == 0;

    (void)err_why(why, ERR_SYNTAX, "%s is %.80s; allowed is %s", name,
                  text != NULL ? text : "no text",
                  is_weight ? "a number from 1 to 1000" : "a text");
    free(text); /* jansson's */
    return ERR_SYNTAX;
}

static enum err field_set(struct roster_change *change, const char *name,
                          const json_t *value, struct why *why)
{
    char digits[24];

    if (json_is_string(value)) {
        return roster_change_set(
            change, slice_of(name),
            (struct slice){json_string_value(value), json_string_length(value)},
            why);
    }
    if (json_is_integer(value) && strcmp(name, "weight") == 0) {
        (void)snprintf(digits, sizeof digits, "%lld",
                       (long long)json_integer_value(value));
        return roster_change_set(change, slice_of(name), slice_of(digits), why);
    }
    /* Whether there is such a field at all is said first. */
    enum err e = roster_change_set(change, slice_of(name), SLICE("1"), why);

    return e != ERR_OK ? e : field_refuse(name, value, why);
}

enum err api_change_read(struct slice body, struct roster_change *out,
                         struct why *why)
{
    struct roster_change change = {
        .member = {.weight = 1, .state = MEMBER_SERVING},
    };
    json_t *root = NULL;
    const char *name;
    json_t *value;
    enum err e = object_read(body, &root, why);

    if (e != ERR_OK) {
        return e;
    }
    json_object_foreach(root, name, value)
    {
        e = field_set(&change, name, value, why);
        if (e != ERR_OK) {
            break;
        }
    }
    json_decref(root);
    if (e == ERR_OK) {
        *out = change;
    }
    return e;
}

static enum err answer_fill(const json_t *root, struct publish_answer *out,
                            struct why *why)
{
    const json_t *name = json_object_get(root, "name");
    const json_t *role = json_object_get(root, "role");
    const json_t *epoch = json_object_get(root, "epoch");
    const json_t *ok = json_object_get(root, "ok");
    const json_t *error = json_object_get(root, "error");

    if (!json_is_string(name)) {
        return err_why(why, ERR_SYNTAX,
                       "name is missing or no text; allowed "
                       "is the name given to the watch");
    }
    if (!json_is_string(role) ||
        !publish_role_find(json_string_value(role), &out->role) ||
        out->role == PUBLISH_PLAIN) {
        return err_why(why, ERR_SYNTAX,
                       "role is \"%.80s\"; allowed is \"shard\" or \"router\"",
                       json_is_string(role) ? json_string_value(role) : "");
    }
    if (!json_is_integer(epoch) || json_integer_value(epoch) < 0 ||
        json_integer_value(epoch) > RING_EPOCH_MAX) {
        return err_why(why, ERR_RANGE,
                       "epoch is missing or out of range; allowed is a number "
                       "from 0 to %u",
                       RING_EPOCH_MAX);
    }
    if (!json_is_boolean(ok)) {
        return err_why(why, ERR_SYNTAX,
                       "ok is missing or neither; allowed is true or false");
    }
    out->name = json_string_value(name);
    out->epoch = (uint32_t)json_integer_value(epoch);
    out->ok = json_is_true(ok);
    out->error = json_is_string(error) ? json_string_value(error) : "";
    return ERR_OK;
}

enum err api_answer_read(struct slice body, struct publish_answer *out,
                         json_t **document, struct why *why)
{
    json_t *root = NULL;
    enum err e = object_read(body, &root, why);

    if (e != ERR_OK) {
        return e;
    }
    e = answer_fill(root, out, why);
    if (e != ERR_OK) {
        json_decref(root);
        return e;
    }
    *document = root;
    return ERR_OK;
}

static json_t *member_show(const struct ring_member *member,
                           uint32_t slot_count, const struct publish *publish)
{
    struct publish_peer peer = {.connected = false};

    (void)publish_find(publish, PUBLISH_SHARD, member->name, &peer);
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:I, s:b}", "name", member->name,
        "address", member->address, "admin", member->admin, "zone",
        member->zone, "weight", (json_int_t)member->weight, "state",
        member_state_name(member->state), "slots", (json_int_t)slot_count,
        "epoch", (json_int_t)peer.epoch, "connected", (int)peer.connected);
}

json_t *api_members_show(const struct ring *ring, const struct publish *publish)
{
    uint32_t counts[RING_MEMBERS_MAX];
    json_t *list = json_array();

    ring_slot_counts(ring, counts);
    for (size_t i = 0; i < ring->member_count; i++) {
        if (json_array_append_new(list, member_show(&ring->members[i],
                                                    counts[i], publish)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:I, s:o}", "epoch", (json_int_t)ring->epoch, "members",
                     list);
}

static void watcher_add(void *context, const struct publish_peer *peer)
{
    json_t *list = context;

    /* One that there is no memory for, or whose refusal is no text, is left
     * out: the list is for looking at. */
    (void)json_array_append_new(
        list, json_pack("{s:s, s:s, s:I, s:b, s:s}", "name", peer->name, "role",
                        publish_role_name(peer->role), "epoch",
                        (json_int_t)peer->epoch, "connected",
                        (int)peer->connected, "error", peer->error));
}

json_t *api_watchers_show(const struct publish *publish)
{
    json_t *list = json_array();

    if (list != NULL) {
        publish_each(publish, watcher_add, list);
    }
    return json_pack("{s:o}", "watchers", list);
}
