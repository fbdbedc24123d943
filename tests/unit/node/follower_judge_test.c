/* What a shard or router makes of each line of the ring manager. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/follower.h"
#include "support/torture.h"
#include "unit/node/ring_sample.h"

static void a_line_is_judged_by_what_is_in_force(void **state)
{
    enum { NOTHING, NEW };
    static const struct {
        const char *cluster; /* ours, as configured */
        uint32_t known;      /* epoch in force; 0: none */
        const char *its_cluster;
        uint32_t epoch;
        size_t members;
        enum err expected;
        int outcome;
        const char *words;
    } cases[] = {
        {NULL, 0, "a", 1, 2, ERR_OK, NEW, ""},
        {"a", 0, "a", 1, 2, ERR_OK, NEW, ""},
        {"b", 0, "a", 1, 2, ERR_CONFLICT, NOTHING, "cluster: "},
        {NULL, 5, "a", 6, 2, ERR_OK, NEW, ""},
        {NULL, 5, "a", 900, 3, ERR_OK, NEW, ""},
        {NULL, 5, "a", 5, 2, ERR_OK, NOTHING, ""},
        {NULL, 5, "a", 5, 3, ERR_CONFLICT, NOTHING, "epoch: 5 "},
        {NULL, 5, "a", 4, 2, ERR_STALE, NOTHING, "epoch: 4 is below 5"},
        {NULL, 5, "a", 1, 3, ERR_STALE, NOTHING, "epoch: 1 is below 5"},
        {NULL, 5, "b", 6, 2, ERR_CONFLICT, NOTHING, "\"b\""},
        {"a", 5, "b", 5, 2, ERR_CONFLICT, NOTHING, "\"b\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ring *known =
            cases[i].known == 0 ? NULL : plan("a", cases[i].known, 2);
        char *line =
            document(cases[i].its_cluster, cases[i].epoch, cases[i].members);
        struct ring *out = NULL;
        struct why why = {""};
        enum err e = follower_judge(mem_system(), known, cases[i].cluster,
                                    slice_of(line), &out, &why);

        assert_int_equal(e, cases[i].expected);
        assert_int_equal(out != NULL, cases[i].outcome == NEW);
        assert_non_null(strstr(why.text, cases[i].words));
        if (out != NULL) {
            assert_int_equal(out->epoch, cases[i].epoch);
        }
        ring_unref(&out);
        ring_unref(&known);
        mem_free(mem_system(), line);
    }
}

static void the_same_epoch_is_the_same_only_to_the_last_field(void **state)
{
    static const char *const fields[] = {"address", "admin", "zone",  "weight",
                                         "state",   "owner", "tenure"};
    char *line = document("a", 5, 2);

    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct ring *known = plan("a", 5, 2);
        struct ring *out = NULL;
        struct ring_member *member = &known->members[1];

        switch (i) {
        case 0: member->address[0] = '9'; break;
        case 1: member->admin[0] = 'x'; break;
        case 2: member->zone[0] = 'z'; break;
        case 3: member->weight++; break;
        case 4: member->state = MEMBER_DOWN; break;
        case 5: known->owner[SLOT_COUNT - 1] ^= 1; break;
        default: known->tenure[SLOT_COUNT - 1]--; break;
        }
        enum err e = follower_judge(mem_system(), known, NULL, slice_of(line),
                                    &out, NULL);

        if (e != ERR_CONFLICT) {
            fail_msg("another %s was taken for the same ring", fields[i]);
        }
        assert_null(out);
        ring_unref(&known);
    }
    mem_free(mem_system(), line);
}

static void what_is_no_document_is_refused_or_a_heartbeat(void **state)
{
    static const struct {
        const char *line;
        bool good;
    } cases[] = {
        {"{\"heartbeat\":0}", true},
        {"{\"heartbeat\":4294967295}", true},
        {"{ \"heartbeat\" : 7 , \"more\": 1 }", true},
        {"{\"heartbeat\":4294967296}", false},
        {"{\"heartbeat\":-1}", false},
        {"{\"heartbeat\":\"7\"}", false},
        {"{\"heartbeat\":7", false},
        {"[{\"heartbeat\":7}]", false},
        {"heartbeat", false},
        {"{}", false},
        {"null", false},
        {"\xff\xfe", false},
        {"{\"epoch\":9}", false},
        {"GET /v1/ring HTTP/1.1", false},
    };
    struct ring *known = plan("a", 5, 2);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ring *out = NULL;
        struct why why = {""};
        enum err e = follower_judge(mem_system(), known, NULL,
                                    slice_of(cases[i].line), &out, &why);

        assert_null(out);
        assert_int_equal(e == ERR_OK, cases[i].good);
        assert_int_equal(why.text[0] == '\0', cases[i].good);
    }
    ring_unref(&known);
}

static enum err judge_once(const struct mem *mem, void *context)
{
    struct ring *out = NULL;
    enum err e = follower_judge(mem, NULL, NULL, slice_of(context), &out, NULL);

    ring_unref(&out);
    return e;
}

static void a_judge_without_memory_leaks_nothing(void **state)
{
    char *line = document("a", 5, 2);

    (void)state;
    assert_true(torture_allocations(judge_once, line) > 0);
    mem_free(mem_system(), line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_judged_by_what_is_in_force),
        cmocka_unit_test(the_same_epoch_is_the_same_only_to_the_last_field),
        cmocka_unit_test(what_is_no_document_is_refused_or_a_heartbeat),
        cmocka_unit_test(a_judge_without_memory_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
