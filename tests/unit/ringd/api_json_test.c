/* What the API hears and says: bodies that are wrong are refused by field,
 * value and what is allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ringd/api_json.h"

static void a_change_is_read_with_the_fields_it_gives(void **state)
{
    struct roster_change change;

    (void)state;
    assert_int_equal(
        api_change_read(SLICE("{\"name\":\"a\",\"address\":\"h:1\","
                              "\"weight\":3}"),
                        &change, NULL),
        ERR_OK);
    assert_string_equal(change.member.name, "a");
    assert_string_equal(change.member.address, "h:1");
    assert_int_equal(change.member.weight, 3);
    assert_int_equal(change.given, ROSTER_ADDRESS | ROSTER_WEIGHT);
    assert_int_equal(
        api_change_read(SLICE("{\"name\":\"a\",\"admin\":\"\",\"zone\":\"z\"}"),
                        &change, NULL),
        ERR_OK);
    assert_int_equal(change.given, ROSTER_ADMIN | ROSTER_ZONE);
}

static const struct {
    const char *body;
    enum err error;
    const char *words;
} changes[] = {
    {"", ERR_SYNTAX, "no JSON"},
    {"[1]", ERR_SYNTAX, "allowed is an object"},
    {"{\"name\":\"a\",\"name\":\"b\"}", ERR_SYNTAX, "duplicate"},
    {"{\"name\":7}", ERR_SYNTAX, "name is 7"},
    {"{\"weight\":1.5}", ERR_SYNTAX, "allowed is a number from 1 to 1000"},
    {"{\"weight\":-1}", ERR_RANGE, "weight is \"-1\""},
    {"{\"weight\":99999999999}", ERR_RANGE, "weight is \"99999999999\""},
    {"{\"wieght\":1}", ERR_UNKNOWN, "no field \"wieght\""},
    {"{\"rack\":{}}", ERR_UNKNOWN, "no field \"rack\""},
    {"{\"zone\":null}", ERR_SYNTAX, "zone is null"},
    {"{\"name\":\"a\\u0000b\"}", ERR_SYNTAX, "no JSON"},
};

static void bad_changes_are_refused_in_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct roster_change change;
        struct why why = {""};
        enum err e = api_change_read(slice_of(changes[i].body), &change, &why);

        if (e != changes[i].error ||
            strstr(why.text, changes[i].words) == NULL) {
            print_error("%s: %s, \"%s\"\n", changes[i].body, err_text(e),
                        why.text);
        }
        assert_int_equal(e, changes[i].error);
        assert_non_null(strstr(why.text, changes[i].words));
    }
}

static void a_body_over_the_limit_is_not_looked_at(void **state)
{
    struct roster_change change;
    struct why why = {""};
    struct slice large = {"", API_BODY_SIZE_MAX + (size_t)1};

    (void)state;
    assert_int_equal(api_change_read(large, &change, &why), ERR_LIMIT);
    assert_non_null(strstr(why.text, "65537 bytes; allowed are at most 65536"));
}

static void an_answer_is_read_and_what_is_new_in_it_left_alone(void **state)
{
    struct publish_answer answer;
    json_t *document = NULL;

    (void)state;
    assert_int_equal(
        api_answer_read(SLICE("{\"name\":\"a\",\"role\":\"shard\",\"epoch\":7,"
                              "\"ok\":false,\"error\":\"bad\",\"load\":[]}"),
                        &answer, &document, NULL),
        ERR_OK);
    assert_string_equal(answer.name, "a");
    assert_int_equal(answer.role, PUBLISH_SHARD);
    assert_int_equal(answer.epoch, 7);
    assert_false(answer.ok);
    assert_string_equal(answer.error, "bad");
    json_decref(document);
}

static const struct {
    const char *body;
    const char *words;
} answers[] = {
    {"{}", "name is missing"},
    {"{\"name\":\"a\",\"role\":\"king\"}", "role is \"king\"; allowed is"},
    {"{\"name\":\"a\",\"role\":\"\"}", "role is \"\""},
    {"{\"name\":\"a\",\"role\":\"shard\"}", "epoch is missing"},
    {"{\"name\":\"a\",\"role\":\"shard\",\"epoch\":4294967296}",
     "from 0 to 4294967295"},
    {"{\"name\":\"a\",\"role\":\"shard\",\"epoch\":1,\"ok\":1}",
     "ok is missing"},
};

static void bad_answers_are_refused_in_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct publish_answer answer;
        json_t *document = NULL;
        struct why why = {""};

        assert_int_not_equal(api_answer_read(slice_of(answers[i].body), &answer,
                                             &document, &why),
                             ERR_OK);
        assert_non_null(strstr(why.text, answers[i].words));
        assert_null(document);
    }
}

static void forget_line(void *context, void *connection, struct slice line)
{
    (void)context;
    (void)connection;
    (void)line;
}

static void forget_connection(void *context, void *connection)
{
    (void)context;
    (void)connection;
}

/* A publication of a ring of a and b, in which a refused. */
static struct publish *published(const struct env *env, struct ring **ring)
{
    struct roster_change two[2];
    struct publish *publish = NULL;
    struct publish_options options = {.send = forget_line,
                                      .drop = forget_connection};
    struct publish_answer no = {PUBLISH_SHARD, "a", 1, false, "say \"no\""};
    static char connection;

    assert_int_equal(roster_change_read(SLICE("a=h:1,zone=z"), &two[0], NULL),
                     ERR_OK);
    assert_int_equal(roster_change_read(SLICE("b=h:2"), &two[1], NULL), ERR_OK);
    assert_int_equal(roster_merge(env->mem, "c", NULL, two, 2, ring, NULL),
                     ERR_OK);
    assert_int_equal(publish_create(&publish, env, &options), ERR_OK);
    assert_int_equal(publish_ring(publish, *ring, true, 0), ERR_OK);
    assert_int_equal(
        publish_watch(publish, PUBLISH_SHARD, "a", 0, &connection, 0, NULL),
        ERR_OK);
    assert_int_equal(publish_ack(publish, &no, 0, NULL), ERR_OK);
    return publish;
}

static void
members_are_shown_with_their_share_and_how_far_they_are(void **state)
{
    struct env env = {.mem = mem_system()};
    struct ring *ring = NULL;
    struct publish *publish = published(&env, &ring);
    json_t *shown = api_members_show(ring, publish);
    const json_t *members = json_object_get(shown, "members");
    const char *name, *address, *zone, *state_name;
    json_int_t slots = 0, more = 0, epoch = 9;
    int connected = 0;

    (void)state;
    assert_int_equal(json_array_size(members), 2);
    assert_int_equal(json_unpack(json_array_get(members, 0),
                                 "{s:s, s:s, s:s, s:s, s:I, s:I, s:b}", "name",
                                 &name, "address", &address, "zone", &zone,
                                 "state", &state_name, "slots", &slots, "epoch",
                                 &epoch, "connected", &connected),
                     0);
    assert_string_equal(name, "a");
    assert_string_equal(address, "h:1");
    assert_string_equal(zone, "z");
    assert_string_equal(state_name, "serving");
    assert_int_equal(epoch, 0);
    assert_true(connected);
    assert_int_equal(json_unpack(json_array_get(members, 1), "{s:I, s:b}",
                                 "slots", &more, "connected", &connected),
                     0);
    assert_int_equal(slots + more, SLOT_COUNT);
    assert_false(connected);
    json_decref(shown);
    publish_destroy(&publish);
    ring_unref(&ring);
}

static void watchers_are_shown_with_what_they_refused(void **state)
{
    struct env env = {.mem = mem_system()};
    struct ring *ring = NULL;
    struct publish *publish = published(&env, &ring);
    json_t *shown = api_watchers_show(publish);
    char *text = json_dumps(shown, JSON_COMPACT);

    (void)state;
    assert_string_equal(text, "{\"watchers\":[{\"name\":\"a\",\"role\":"
                              "\"shard\",\"epoch\":0,\"connected\":true,"
                              "\"error\":\"say \\\"no\\\"\"}]}");
    free(text);
    json_decref(shown);
    publish_destroy(&publish);
    ring_unref(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_is_read_with_the_fields_it_gives),
        cmocka_unit_test(bad_changes_are_refused_in_words),
        cmocka_unit_test(a_body_over_the_limit_is_not_looked_at),
        cmocka_unit_test(an_answer_is_read_and_what_is_new_in_it_left_alone),
        cmocka_unit_test(bad_answers_are_refused_in_words),
        cmocka_unit_test(
            members_are_shown_with_their_share_and_how_far_they_are),
        cmocka_unit_test(watchers_are_shown_with_what_they_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
