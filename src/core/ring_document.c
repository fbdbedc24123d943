/* ring_document.c -- the ring as JSON, both ways.
 *
 * {"v":1,"cluster":"c","epoch":7,
 *  "members":[{"name","address","admin","zone","weight","state"}],
 *  "slots":[[first,last,owner,tenure],...]}     owner: index or null
 *
 * proto/ring.schema.json says the same to other programs.
 */
#include <string.h>

#include <jansson.h>

#include "core/ring.h"
#include "core/ring_inside.h"

enum { DOCUMENT_VERSION = 1, RUN_FIELDS = 4, VALUE_WORDS_SIZE = 96 };

/* jansson's own limit of depth is in the thousands and recursive; this looks
 * before it is asked. */
static bool depth_is_good(struct slice json)
{
    size_t depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < json.size; i++) {
        char c = json.at[i];

        if (quoted) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                quoted = false;
            }
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == '{') {
            if (++depth > RING_DOCUMENT_DEPTH_MAX) {
                return false;
            }
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return true;
}

/* A value as a person would like to see it in a refusal: short. */
static const char *value_words(const json_t *value, char out[VALUE_WORDS_SIZE])
{
    size_t size = 0;

    if (value == NULL) {
        return "missing";
    }
    if (json_is_object(value) || json_is_array(value)) {
        return json_is_object(value) ? "an object" : "a list";
    }
    size = json_dumpb(value, out, VALUE_WORDS_SIZE - 1, JSON_ENCODE_ANY);
    if (size < VALUE_WORDS_SIZE) {
        out[size] = '\0';
        return out;
    }
    return "too long";
}

static enum err number_read(const json_t *object, const char *where,
                            const char *field, uint64_t min, uint64_t max,
                            uint64_t *out, struct why *why)
{
    const json_t *value = json_object_get(object, field);
    char words[VALUE_WORDS_SIZE];

    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) < min ||
        (uint64_t)json_integer_value(value) > max) {
        return err_why(why, json_is_integer(value) ? ERR_RANGE : ERR_SYNTAX,
                       "%s%s is %s; allowed is a number from %llu to %llu",
                       where, field, value_words(value, words),
                       (unsigned long long)min, (unsigned long long)max);
    }
    *out = (uint64_t)json_integer_value(value);
    return ERR_OK;
}

/* Copies a text into out.  A missing one is "" unless it is required. */
static enum err text_read(const json_t *object, const char *where,
                          const char *field, bool required, char *out,
                          size_t out_size, struct why *why)
{
    const json_t *value = json_object_get(object, field);
    char words[VALUE_WORDS_SIZE];

    if (value == NULL && !required) {
        out[0] = '\0';
        return ERR_OK;
    }
    if (!json_is_string(value) || json_string_length(value) >= out_size) {
        return err_why(why, ERR_SYNTAX,
                       "%s%s is %s; allowed is a text of at most %zu bytes",
                       where, field, value_words(value, words), out_size - 1);
    }
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return ERR_OK;
}

static enum err state_read(const json_t *object, const char *where,
                           enum member_state *out, struct why *why)
{
    const json_t *value = json_object_get(object, "state");
    char words[VALUE_WORDS_SIZE];

    if (value == NULL) {
        *out = MEMBER_SERVING;
        return ERR_OK;
    }
    if (!json_is_string(value) ||
        !member_state_find(slice_of(json_string_value(value)), out)) {
        return err_why(why, ERR_SYNTAX,
                       "%sstate is %s; allowed is \"joining\", \"serving\", "
                       "\"draining\" or \"down\"",
                       where, value_words(value, words));
    }
    return ERR_OK;
}

static enum err member_read(const json_t *object, size_t index,
                            struct ring_member *out, struct why *why)
{
    struct why where;
    char words[VALUE_WORDS_SIZE];
    uint64_t weight = 1;

    (void)err_why(&where, ERR_OK, "members[%zu].", index);
    if (!json_is_object(object)) {
        return err_why(why, ERR_SYNTAX,
                       "members[%zu] is %s; allowed is an object", index,
                       value_words(object, words));
    }
    enum err e = text_read(object, where.text, "name", true, out->name,
                           sizeof out->name, why);

    if (e == ERR_OK) {
        e = text_read(object, where.text, "address", true, out->address,
                      sizeof out->address, why);
    }
    if (e == ERR_OK) {
        e = text_read(object, where.text, "admin", false, out->admin,
                      sizeof out->admin, why);
    }
    if (e == ERR_OK) {
        e = text_read(object, where.text, "zone", false, out->zone,
                      sizeof out->zone, why);
    }
    if (e == ERR_OK && json_object_get(object, "weight") != NULL) {
        e = number_read(object, where.text, "weight", 1, RING_WEIGHT_MAX,
                        &weight, why);
    }
    if (e == ERR_OK) {
        e = state_read(object, where.text, &out->state, why);
    }
    out->weight = (uint32_t)weight;
    return e == ERR_OK ? ring_member_check(out, why) : e;
}

struct run {
    uint64_t first, last, tenure;
    uint16_t owner; /* as in the document */
};

static enum err run_number(const json_t *run, size_t index, const char *what,
                           size_t at, uint64_t min, uint64_t max, uint64_t *out,
                           struct why *why)
{
    const json_t *value = json_array_get(run, at);
    char words[VALUE_WORDS_SIZE];

    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) < min ||
        (uint64_t)json_integer_value(value) > max) {
        return err_why(why, json_is_integer(value) ? ERR_RANGE : ERR_SYNTAX,
                       "slots[%zu][%zu], the %s, is %s; allowed is a number "
                       "from %llu to %llu",
                       index, at, what, value_words(value, words),
                       (unsigned long long)min, (unsigned long long)max);
    }
    *out = (uint64_t)json_integer_value(value);
    return ERR_OK;
}

static enum err run_read(const json_t *json, size_t index,
                         const struct ring *ring, struct run *out,
                         struct why *why)
{
    uint64_t owner = RING_NOBODY;

    if (json_array_size(json) < RUN_FIELDS) {
        return err_why(why, ERR_SYNTAX,
                       "slots[%zu] has %zu fields; allowed is "
                       "[first, last, owner, tenure]",
                       index, json_array_size(json));
    }
    enum err e = run_number(json, index, "first slot", 0, 0, SLOT_COUNT - 1,
                            &out->first, why);

    if (e == ERR_OK) {
        e = run_number(json, index, "last slot", 1, out->first, SLOT_COUNT - 1,
                       &out->last, why);
    }
    if (e == ERR_OK && !json_is_null(json_array_get(json, 2))) {
        if (ring->member_count == 0) {
            return err_why(why, ERR_RANGE,
                           "slots[%zu][2], the owner, is set; allowed is null "
                           "in a ring without members",
                           index);
        }
        e = run_number(json, index, "owner", 2, 0,
                       (uint64_t)ring->member_count - 1, &owner, why);
    }
    if (e == ERR_OK) {
        e = run_number(json, index, "tenure", 3, 0, ring->epoch, &out->tenure,
                       why);
    }
    out->owner = (uint16_t)owner;
    return e;
}

static enum err run_apply(struct ring *ring, size_t index,
                          const struct run *run, const uint16_t *sorted,
                          bool *covered, struct why *why)
{
    for (uint64_t s = run->first; s <= run->last; s++) {
        if (covered[s]) {
            return err_why(why, ERR_RANGE,
                           "slots[%zu] covers slot %llu again; allowed is each "
                           "slot once",
                           index, (unsigned long long)s);
        }
        covered[s] = true;
        ring->owner[s] =
            run->owner == RING_NOBODY ? RING_NOBODY : sorted[run->owner];
        ring->tenure[s] = (uint32_t)run->tenure;
    }
    return ERR_OK;
}

static enum err slots_read(const json_t *slots, struct ring *ring,
                           const uint16_t *sorted, struct why *why)
{
    bool covered[SLOT_COUNT] = {false};

    for (size_t i = 0; i < json_array_size(slots); i++) {
        struct run run;
        enum err e = run_read(json_array_get(slots, i), i, ring, &run, why);

        if (e == ERR_OK) {
            e = run_apply(ring, i, &run, sorted, covered, why);
        }
        if (e != ERR_OK) {
            return e;
        }
    }
    for (size_t s = 0; s < SLOT_COUNT; s++) {
        if (!covered[s]) {
            return err_why(why, ERR_RANGE,
                           "slots leaves out slot %zu; allowed is each of 0 to "
                           "%d once",
                           s, SLOT_COUNT - 1);
        }
    }
    return ERR_OK;
}

/* Owners are indexes into the list as the document has it; ours is sorted. */
static enum err members_read(const json_t *list, struct ring *ring,
                             uint16_t *sorted, struct why *why)
{
    for (size_t i = 0; i < ring->member_count; i++) {
        enum err e =
            member_read(json_array_get(list, i), i, &ring->members[i], why);

        if (e != ERR_OK) {
            return e;
        }
    }
    enum err e = ring_members_sort(ring->members, ring->member_count, why);

    for (size_t i = 0; i < ring->member_count && e == ERR_OK; i++) {
        const json_t *name = json_object_get(json_array_get(list, i), "name");

        sorted[i] = ring_member_find(ring, json_string_value(name));
    }
    return e;
}

static enum err lists_check(const json_t *root, struct why *why)
{
    const json_t *members = json_object_get(root, "members");
    const json_t *slots = json_object_get(root, "slots");
    char words[VALUE_WORDS_SIZE];

    if (!json_is_array(members)) {
        return err_why(why, ERR_SYNTAX, "members is %s; allowed is a list",
                       value_words(members, words));
    }
    if (json_array_size(members) > RING_MEMBERS_MAX) {
        return err_why(why, ERR_RANGE,
                       "members has %zu entries; allowed is at most %d",
                       json_array_size(members), RING_MEMBERS_MAX);
    }
    if (!json_is_array(slots)) {
        return err_why(why, ERR_SYNTAX, "slots is %s; allowed is a list",
                       value_words(slots, words));
    }
    return ERR_OK;
}

static enum err head_read(const json_t *root, char *cluster, uint64_t *epoch,
                          struct why *why)
{
    uint64_t version;
    char words[VALUE_WORDS_SIZE];

    if (!json_is_object(root)) {
        return err_why(why, ERR_SYNTAX,
                       "the document is %s; allowed is an object",
                       value_words(root, words));
    }
    enum err e = number_read(root, "", "v", DOCUMENT_VERSION, DOCUMENT_VERSION,
                             &version, why);

    if (e == ERR_OK) {
        e = text_read(root, "", "cluster", true, cluster,
                      RING_NAME_SIZE_MAX + 1, why);
    }
    if (e == ERR_OK) {
        e = ring_name_check("cluster", cluster, why);
    }
    if (e == ERR_OK) {
        e = number_read(root, "", "epoch", 1, RING_EPOCH_MAX, epoch, why);
    }
    return e == ERR_OK ? lists_check(root, why) : e;
}

static enum err root_read(const struct mem *mem, const json_t *root,
                          struct ring **out, struct why *why)
{
    char cluster[RING_NAME_SIZE_MAX + 1];
    uint16_t sorted[RING_MEMBERS_MAX];
    uint64_t epoch;
    enum err e = head_read(root, cluster, &epoch, why);

    if (e != ERR_OK) {
        return e;
    }
    const json_t *members = json_object_get(root, "members");
    struct ring *ring =
        ring_create(mem, cluster, (uint32_t)epoch, json_array_size(members));

    if (ring == NULL) {
        return err_why(why, ERR_NOMEM, "no memory for a ring");
    }
    e = members_read(members, ring, sorted, why);
    if (e == ERR_OK) {
        e = slots_read(json_object_get(root, "slots"), ring, sorted, why);
    }
    if (e != ERR_OK) {
        ring_unref(&ring);
        return e;
    }
    *out = ring;
    return ERR_OK;
}

enum err ring_read(const struct mem *mem, struct slice json, struct ring **out,
                   struct why *why)
{
    json_error_t error;

    if (json.size > RING_DOCUMENT_SIZE_MAX) {
        return err_why(why, ERR_LIMIT,
                       "the document has %zu bytes; allowed is at most %d",
                       json.size, RING_DOCUMENT_SIZE_MAX);
    }
    if (!depth_is_good(json)) {
        return err_why(why, ERR_LIMIT,
                       "the document is nested deeper than %d levels, which "
                       "is the most allowed",
                       RING_DOCUMENT_DEPTH_MAX);
    }
    json_t *root =
        json_loadb(json.at, json.size, JSON_REJECT_DUPLICATES, &error);

    if (root == NULL) {
        return err_why(why,
                       json_error_code(&error) == json_error_out_of_memory
                           ? ERR_NOMEM
                           : ERR_SYNTAX,
                       "the document is no JSON at byte %d: %s", error.position,
                       error.text);
    }
    enum err e = root_read(mem, root, out, why);

    json_decref(root);
    return e;
}

static json_t *members_json(const struct ring *ring)
{
    json_t *list = json_array();

    for (size_t i = 0; i < ring->member_count; i++) {
        const struct ring_member *m = &ring->members[i];
        json_t *member = json_pack(
            "{s:s, s:s, s:s, s:s, s:I, s:s}", "name", m->name, "address",
            m->address, "admin", m->admin, "zone", m->zone, "weight",
            (json_int_t)m->weight, "state", member_state_name(m->state));

        if (json_array_append_new(list, member) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *slots_json(const struct ring *ring)
{
    json_t *list = json_array();
    size_t last;

    for (size_t first = 0; first < SLOT_COUNT; first = last + 1) {
        uint16_t owner = ring->owner[first];
        uint32_t tenure = ring->tenure[first];

        for (last = first; last + 1 < SLOT_COUNT; last++) {
            if (ring->owner[last + 1] != owner ||
                ring->tenure[last + 1] != tenure) {
                break;
            }
        }
        json_t *run =
            json_pack("[I, I, o, I]", (json_int_t)first, (json_int_t)last,
                      owner == RING_NOBODY ? json_null() : json_integer(owner),
                      (json_int_t)tenure);

        if (json_array_append_new(list, run) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

enum err ring_write(const struct ring *ring, char **out, size_t *size)
{
    json_t *root =
        json_pack("{s:i, s:s, s:I, s:o, s:o}", "v", DOCUMENT_VERSION, "cluster",
                  ring->cluster, "epoch", (json_int_t)ring->epoch, "members",
                  members_json(ring), "slots", slots_json(ring));
    enum err e = ERR_NOMEM;

    if (root == NULL) {
        return e;
    }
    size_t needed = json_dumpb(root, NULL, 0, JSON_COMPACT);
    char *text = needed == 0 ? NULL : mem_alloc(ring->mem, needed + 1);

    if (text != NULL) {
        (void)json_dumpb(root, text, needed, JSON_COMPACT);
        text[needed] = '\0';
        *out = text;
        *size = needed;
        e = ERR_OK;
    }
    json_decref(root);
    return e;
}
