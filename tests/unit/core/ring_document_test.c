/* What crosses the wire between ringd and everybody else: what is written is
 * read back the same, and what is wrong is refused in words that help. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/ring.h"
#include "support/torture.h"

#define HEAD "\"v\":1,\"cluster\":\"c\",\"epoch\":7"
#define B    "{\"name\":\"b\",\"address\":\"h:2\"}"
#define A                                                    \
    "{\"name\":\"a\",\"address\":\"h:1\",\"admin\":\"h:9\"," \
    "\"zone\":\"z1\",\"weight\":5,\"state\":\"draining\"}"
#define GOOD                               \
    "{" HEAD ",\"members\":[" B "," A "]," \
    "\"slots\":[[0,99,0,7],[100,16382,1,3],[16383,16383,null,0]]}"
#define ALL_A "\"slots\":[[0,16383,0,1]]"

static void a_document_is_read_whatever_the_order_of_members(void **state)
{
    struct ring *ring = NULL;

    (void)state;
    assert_int_equal(ring_read(mem_system(), SLICE(GOOD), &ring, NULL), ERR_OK);
    assert_string_equal(ring->cluster, "c");
    assert_int_equal(ring->epoch, 7);
    assert_int_equal(ring->member_count, 2);
    assert_string_equal(ring->members[0].name, "a");
    assert_string_equal(ring->members[0].admin, "h:9");
    assert_string_equal(ring->members[0].zone, "z1");
    assert_int_equal(ring->members[0].weight, 5);
    assert_int_equal(ring->members[0].state, MEMBER_DRAINING);
    assert_string_equal(ring->members[1].name, "b");
    assert_string_equal(ring->members[1].admin, "");
    assert_int_equal(ring->members[1].weight, 1);
    assert_int_equal(ring->members[1].state, MEMBER_SERVING);
    assert_int_equal(ring->owner[0], 1);
    assert_int_equal(ring->owner[99], 1);
    assert_int_equal(ring->owner[100], 0);
    assert_int_equal(ring->owner[16383], RING_NOBODY);
    assert_int_equal(ring->tenure[99], 7);
    assert_int_equal(ring->tenure[100], 3);
    ring_unref(&ring);
}

static void what_is_written_is_read_back_the_same(void **state)
{
    struct ring_member members[7];
    struct ring *ring = NULL;
    struct ring *next = NULL;
    struct ring *back = NULL;
    char *text = NULL;
    size_t size = 0;

    (void)state;
    memset(members, 0, sizeof members);
    for (unsigned i = 0; i < 7; i++) {
        (void)snprintf(members[i].name, sizeof members[i].name, "s%u", i);
        (void)snprintf(members[i].address, sizeof members[i].address,
                       "unix:/run/torc/%u", i);
        members[i].weight = i + 1;
        members[i].state = (enum member_state)(i % 4);
    }
    assert_int_equal(
        ring_plan(mem_system(), "c", 1, members, 5, NULL, &ring, NULL), ERR_OK);
    assert_int_equal(ring_plan(mem_system(), "c", RING_EPOCH_MAX, members, 7,
                               ring, &next, NULL),
                     ERR_OK);
    assert_int_equal(ring_write(next, &text, &size), ERR_OK);
    assert_int_equal(strlen(text), size);
    assert_null(strchr(text, '\n'));
    assert_int_equal(
        ring_read(mem_system(), (struct slice){text, size}, &back, NULL),
        ERR_OK);
    assert_string_equal(back->cluster, next->cluster);
    assert_int_equal(back->epoch, next->epoch);
    assert_int_equal(back->member_count, 7);
    assert_memory_equal(back->members, next->members, sizeof members);
    assert_memory_equal(back->owner, next->owner, sizeof next->owner);
    assert_memory_equal(back->tenure, next->tenure, sizeof next->tenure);
    mem_free(mem_system(), text);
    ring_unref(&ring);
    ring_unref(&next);
    ring_unref(&back);
}

static void unknown_fields_are_left_alone(void **state)
{
    struct ring *ring = NULL;

    (void)state;
    assert_int_equal(
        ring_read(mem_system(),
                  SLICE("{" HEAD ",\"new\":{\"x\":[1]},\"members\":[{"
                        "\"name\":\"a\",\"address\":\"h:1\",\"rack\":7}],"
                        "\"slots\":[[0,16383,0,1,\"later\"]]}"),
                  &ring, NULL),
        ERR_OK);
    ring_unref(&ring);
}

static const struct {
    const char *json;
    enum err error;
    const char *words;
} refusals[] = {
    {"", ERR_SYNTAX, "no JSON"},
    {"{", ERR_SYNTAX, "no JSON"},
    {"[]", ERR_SYNTAX, "the document is a list; allowed is an object"},
    {"{\"v\":1,\"v\":1}", ERR_SYNTAX, "duplicate"},
    {"{\"v\":2}", ERR_RANGE, "v is 2; allowed is a number from 1 to 1"},
    {"{\"v\":1}", ERR_SYNTAX, "cluster is missing"},
    {"{\"v\":1,\"cluster\":7}", ERR_SYNTAX, "cluster is 7"},
    {"{\"v\":1,\"cluster\":\"A\"}", ERR_SYNTAX, "cluster is \"A\""},
    {"{\"v\":1,\"cluster\":\"c\",\"epoch\":0}", ERR_RANGE, "epoch is 0"},
    {"{\"v\":1,\"cluster\":\"c\",\"epoch\":-1}", ERR_RANGE, "epoch is -1"},
    {"{\"v\":1,\"cluster\":\"c\",\"epoch\":4294967296}", ERR_RANGE,
     "allowed is a number from 1 to 4294967295"},
    {"{\"v\":1,\"cluster\":\"c\",\"epoch\":\"7\"}", ERR_SYNTAX,
     "epoch is \"7\""},
    {"{" HEAD "}", ERR_SYNTAX, "members is missing"},
    {"{" HEAD ",\"members\":[" A "]}", ERR_SYNTAX, "slots is missing"},
    {"{" HEAD ",\"members\":[3]," ALL_A "}", ERR_SYNTAX, "members[0] is 3"},
    {"{" HEAD ",\"members\":[{}]," ALL_A "}", ERR_SYNTAX,
     "members[0].name is missing"},
    {"{" HEAD ",\"members\":[{\"name\":\"a\"}]," ALL_A "}", ERR_SYNTAX,
     "members[0].address is missing"},
    {"{" HEAD ",\"members\":[{\"name\":\"a\",\"address\":\"h\"}]," ALL_A "}",
     ERR_SYNTAX, "address is \"h\""},
    {"{" HEAD ",\"members\":[{\"name\":\"a\",\"address\":\"h:1\","
     "\"weight\":0}]," ALL_A "}",
     ERR_RANGE, "members[0].weight is 0; allowed is a number from 1 to 1000"},
    {"{" HEAD ",\"members\":[{\"name\":\"a\",\"address\":\"h:1\","
     "\"state\":\"gone\"}]," ALL_A "}",
     ERR_SYNTAX, "state is \"gone\"; allowed is \"joining\""},
    {"{" HEAD ",\"members\":[" A "," A "]," ALL_A "}", ERR_EXISTS, "twice"},
    {"{" HEAD ",\"members\":[" A "],\"slots\":[]}", ERR_RANGE,
     "leaves out slot 0"},
    {"{" HEAD ",\"members\":[" A "],\"slots\":[[0,16382,0,1]]}", ERR_RANGE,
     "leaves out slot 16383"},
    {"{" HEAD ",\"members\":[" A "],\"slots\":[[0,16383,0,1],[5,5,0,1]]}",
     ERR_RANGE, "slots[1] covers slot 5 again"},
    {"{" HEAD ",\"members\":[" A "],\"slots\":[[0,16384,0,1]]}", ERR_RANGE,
     "the last slot, is 16384; allowed is a number from 0 to 16383"},
    {"{" HEAD ",\"members\":[" A "],\"slots\":[[9,8,0,1]]}", ERR_RANGE,
     "the last slot, is 8"},
    {"{" HEAD ",\"members\":[" A "],\"slots\":[[0,16383,1,1]]}", ERR_RANGE,
     "the owner, is 1; allowed is a number from 0 to 0"},
    {"{" HEAD ",\"members\":[],\"slots\":[[0,16383,0,1]]}", ERR_RANGE,
     "allowed is null"},
    {"{" HEAD ",\"members\":[" A "],\"slots\":[[0,16383,0,8]]}", ERR_RANGE,
     "the tenure, is 8; allowed is a number from 0 to 7"},
    {"{" HEAD ",\"members\":[" A "],\"slots\":[[0,16383,0]]}", ERR_SYNTAX,
     "slots[0] has 3 fields"},
    {"{" HEAD ",\"members\":[" A "],\"slots\":[{}]}", ERR_SYNTAX, "slots[0]"},
    {"[[[[[[[[[]]]]]]]]]", ERR_LIMIT, "nested deeper than 8"},
};

static void refusals_name_the_field_the_value_and_what_is_allowed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct ring *ring = NULL;
        struct why why = {""};
        enum err e =
            ring_read(mem_system(), slice_of(refusals[i].json), &ring, &why);

        if (e != refusals[i].error ||
            strstr(why.text, refusals[i].words) == NULL) {
            print_error("%s: %s, \"%s\"\n", refusals[i].json, err_text(e),
                        why.text);
        }
        assert_int_equal(e, refusals[i].error);
        assert_non_null(strstr(why.text, refusals[i].words));
        assert_null(ring);
    }
}

static void brackets_in_a_text_are_not_depth(void **state)
{
    struct ring *ring = NULL;

    (void)state;
    assert_int_equal(
        ring_read(mem_system(),
                  SLICE("{" HEAD ",\"x\":\"\\\"[[[[[[[[[[[[{{{{{\","
                        "\"members\":[" A "]," ALL_A "}"),
                  &ring, NULL),
        ERR_OK);
    ring_unref(&ring);
}

static void too_large_a_document_is_not_even_looked_at(void **state)
{
    struct ring *ring = NULL;
    struct why why = {""};
    struct slice large = {"", RING_DOCUMENT_SIZE_MAX + (size_t)1};

    (void)state;
    assert_int_equal(ring_read(mem_system(), large, &ring, &why), ERR_LIMIT);
    assert_non_null(strstr(why.text, "4194305 bytes; allowed is at most"));
}

static void every_cut_of_a_document_is_refused(void **state)
{
    (void)state;
    for (size_t size = 0; size < sizeof GOOD - 1; size++) {
        struct ring *ring = NULL;

        assert_int_equal(
            ring_read(mem_system(), (struct slice){GOOD, size}, &ring, NULL),
            ERR_SYNTAX);
    }
}

static void the_last_reference_frees(void **state)
{
    struct mem_faulty counted;
    struct ring *ring = NULL;

    (void)state;
    mem_faulty_init(&counted, mem_system());
    assert_int_equal(ring_alone(&counted.mem, "solo", &ring), ERR_OK);
    struct ring *second = ring_ref(ring);

    ring_unref(&ring);
    assert_null(ring);
    assert_int_equal(counted.allocated, 1);
    assert_string_equal(second->members[0].name, "solo");
    ring_unref(&second);
    assert_int_equal(counted.allocated, 0);
    ring_unref(&second);
}

static void a_shard_alone_owns_everything(void **state)
{
    struct ring *ring = NULL;
    uint32_t count = 0;

    (void)state;
    assert_int_equal(ring_alone(mem_system(), "BAD NAME", &ring), ERR_SYNTAX);
    assert_int_equal(ring_alone(mem_system(), "solo", &ring), ERR_OK);
    ring_slot_counts(ring, &count);
    assert_int_equal(count, SLOT_COUNT);
    assert_int_equal(ring->epoch, 1);
    assert_int_equal(ring_member_find(ring, "solo"), 0);
    assert_int_equal(ring_member_find(ring, "other"), RING_NOBODY);
    ring_unref(&ring);
}

static void states_are_found_by_the_names_they_are_given(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= MEMBER_DOWN; i++) {
        enum member_state found = MEMBER_JOINING;
        const char *name = member_state_name((enum member_state)i);

        assert_true(member_state_find(slice_of(name), &found));
        assert_int_equal(found, i);
    }
    enum member_state unused;

    assert_false(member_state_find(SLICE("up"), &unused));
}

static enum err read_write_and_forget(const struct mem *mem, void *context)
{
    struct ring *ring = NULL;
    char *text = NULL;
    size_t size;
    enum err e = ring_read(mem, SLICE(GOOD), &ring, NULL);

    (void)context;
    if (e == ERR_OK) {
        e = ring_write(ring, &text, &size);
    }
    mem_free(mem, text);
    ring_unref(&ring);
    return e;
}

static void survives_any_failed_allocation(void **state)
{
    (void)state;
    assert_true(torture_allocations(read_write_and_forget, NULL) > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_is_read_whatever_the_order_of_members),
        cmocka_unit_test(what_is_written_is_read_back_the_same),
        cmocka_unit_test(unknown_fields_are_left_alone),
        cmocka_unit_test(refusals_name_the_field_the_value_and_what_is_allowed),
        cmocka_unit_test(brackets_in_a_text_are_not_depth),
        cmocka_unit_test(too_large_a_document_is_not_even_looked_at),
        cmocka_unit_test(every_cut_of_a_document_is_refused),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(a_shard_alone_owns_everything),
        cmocka_unit_test(states_are_found_by_the_names_they_are_given),
        cmocka_unit_test(survives_any_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
