/* From words to members, and from members to the next ring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ringd/roster.h"
#include "support/torture.h"

static struct roster_change change(const char *text)
{
    struct roster_change out;
    struct why why = {""};
    enum err e = roster_change_read(slice_of(text), &out, &why);

    if (e != ERR_OK) {
        print_error("%s\n", why.text);
    }
    assert_int_equal(e, ERR_OK);
    return out;
}

/* NULL: nothing changed. */
static struct ring *merge(const struct ring *now, const char *text)
{
    struct roster_change one = change(text);
    struct ring *next = NULL;

    assert_int_equal(roster_merge(mem_system(), "c", now, &one, 1, &next, NULL),
                     ERR_OK);
    return next;
}

static void a_member_is_read_from_words(void **state)
{
    struct roster_change full =
        change("s-0=h:1,weight=7,zone=z1,admin=[::1]:9150");
    struct roster_change bare = change("s-1=unix:/run/s-1.sock");

    (void)state;
    assert_string_equal(full.member.name, "s-0");
    assert_string_equal(full.member.address, "h:1");
    assert_string_equal(full.member.admin, "[::1]:9150");
    assert_string_equal(full.member.zone, "z1");
    assert_int_equal(full.member.weight, 7);
    assert_int_equal(full.given, ROSTER_ADDRESS | ROSTER_ADMIN | ROSTER_ZONE |
                                     ROSTER_WEIGHT);
    assert_string_equal(bare.member.address, "unix:/run/s-1.sock");
    assert_int_equal(bare.member.weight, 1);
    assert_int_equal(bare.given, ROSTER_ADDRESS);
}

static const struct {
    const char *text;
    enum err error;
    const char *words;
} refusals[] = {
    {"", ERR_SYNTAX, "no address"},
    {"a", ERR_SYNTAX, "\"a\" has no address; allowed is name=address["},
    {"a=", ERR_SYNTAX, "no address"},
    {"=h:1", ERR_SYNTAX, "name is \"\""},
    {"A=h:1", ERR_SYNTAX, "name is \"A\""},
    {"a=h", ERR_SYNTAX, "address is \"h\""},
    {"a=h:1,weight=0", ERR_RANGE, "weight is \"0\"; allowed is a number"},
    {"a=h:1,weight=1001", ERR_RANGE, "weight is \"1001\""},
    {"a=h:1,weight=", ERR_RANGE, "weight is \"\""},
    {"a=h:1,weight=x", ERR_RANGE, "weight is \"x\""},
    {"a=h:1,wieght=1", ERR_UNKNOWN, "no field \"wieght\"; allowed are name"},
    {"a=h:1,zone=a b", ERR_SYNTAX, "zone is \"a b\""},
    {"a=h:1,admin=h", ERR_SYNTAX, "admin is \"h\""},
    {"a0123456789012345678901234567890123456789012345678901234567890123=h:1",
     ERR_SYNTAX, "at most 63 bytes"},
};

static void bad_words_are_refused_by_field_and_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct roster_change out;
        struct why why = {""};
        enum err e = roster_change_read(slice_of(refusals[i].text), &out, &why);

        if (e != refusals[i].error ||
            strstr(why.text, refusals[i].words) == NULL) {
            print_error("%s: %s, \"%s\"\n", refusals[i].text, err_text(e),
                        why.text);
        }
        assert_int_equal(e, refusals[i].error);
        assert_non_null(strstr(why.text, refusals[i].words));
    }
}

static enum err names_add(void *context, const struct roster_change *one,
                          struct why *why)
{
    char *names = context;

    if (strcmp(one->member.name, "bad") == 0) {
        return err_why(why, ERR_RANGE, "no more");
    }
    names[strlen(names)] = one->member.name[0];
    return ERR_OK;
}

static void a_file_has_one_member_a_line(void **state)
{
    char names[64] = "";
    struct why why = {""};

    (void)state;
    assert_int_equal(
        roster_lines_read(SLICE("# all\n\na=h:1\r\n  b=h:2,weight=3 # two\n"
                                "\t\nc=h:3"),
                          names_add, names, &why),
        ERR_OK);
    assert_string_equal(names, "abc");
    assert_int_equal(
        roster_lines_read(SLICE("a=h:1\n\nb=h\n"), names_add, names, &why),
        ERR_SYNTAX);
    assert_non_null(strstr(why.text, "line 3: member b: address is \"h\""));
    assert_int_equal(
        roster_lines_read(SLICE("bad=h:1\n"), names_add, names, &why),
        ERR_RANGE);
    assert_string_equal(why.text, "line 1: no more");
}

static void the_first_ring_has_epoch_1_even_without_members(void **state)
{
    struct ring *empty = NULL;

    (void)state;
    assert_int_equal(
        roster_merge(mem_system(), "c", NULL, NULL, 0, &empty, NULL), ERR_OK);
    assert_int_equal(empty->epoch, 1);
    assert_int_equal(empty->member_count, 0);
    assert_int_equal(empty->owner[0], RING_NOBODY);
    struct ring *one = merge(empty, "a=h:1");

    assert_int_equal(one->epoch, 2);
    assert_int_equal(one->owner[0], 0);
    ring_unref(&empty);
    ring_unref(&one);
}

static void what_changes_nothing_costs_no_epoch(void **state)
{
    struct ring *ring = merge(NULL, "a=h:1,weight=3,zone=z");

    (void)state;
    assert_null(merge(ring, "a=h:1"));
    assert_null(merge(ring, "a=h:1,weight=3,zone=z,admin="));
    ring_unref(&ring);
}

static void a_new_address_is_a_new_epoch_without_moves(void **state)
{
    struct ring *first = merge(NULL, "a=h:1,weight=3,zone=z");
    struct ring *two = merge(first, "b=h:2");
    struct ring *moved = merge(two, "a=h:9");

    (void)state;
    assert_int_equal(moved->epoch, 3);
    assert_string_equal(moved->members[0].address, "h:9");
    assert_int_equal(moved->members[0].weight, 3);
    assert_string_equal(moved->members[0].zone, "z");
    assert_memory_equal(moved->owner, two->owner, sizeof two->owner);
    assert_memory_equal(moved->tenure, two->tenure, sizeof two->tenure);
    ring_unref(&first);
    ring_unref(&two);
    ring_unref(&moved);
}

static void two_members_cannot_have_one_address(void **state)
{
    struct ring *ring = merge(NULL, "a=h:1");
    struct roster_change twin = change("b=h:1");
    struct ring *next = NULL;
    struct why why = {""};

    (void)state;
    assert_int_equal(
        roster_merge(mem_system(), "c", ring, &twin, 1, &next, &why),
        ERR_EXISTS);
    assert_non_null(strstr(why.text, "member b: address is \"h:1\""));
    assert_null(next);
    /* But two may change places in one go. */
    struct ring *two = merge(ring, "b=h:2");
    struct roster_change swap[] = {change("a=h:2"), change("b=h:1")};

    assert_int_equal(roster_merge(mem_system(), "c", two, swap, 2, &next, NULL),
                     ERR_OK);
    ring_unref(&ring);
    ring_unref(&two);
    ring_unref(&next);
}

static void even_the_last_member_can_be_removed(void **state)
{
    struct ring *one = merge(NULL, "a=h:1");
    struct ring *none = NULL;
    struct ring *unused = NULL;
    struct why why = {""};

    (void)state;
    assert_int_equal(roster_remove(mem_system(), one, "b", &unused, &why),
                     ERR_UNKNOWN);
    assert_non_null(strstr(why.text, "\"b\""));
    assert_int_equal(roster_remove(mem_system(), one, "a", &none, NULL),
                     ERR_OK);
    assert_int_equal(none->epoch, 2);
    assert_int_equal(none->member_count, 0);
    assert_int_equal(none->owner[5], RING_NOBODY);
    ring_unref(&one);
    ring_unref(&none);
}

static void the_last_epoch_of_all_is_the_last(void **state)
{
    struct ring *ring = merge(NULL, "a=h:1");
    struct roster_change more = change("b=h:2");
    struct ring *next = NULL;
    struct why why = {""};

    (void)state;
    ring->epoch = RING_EPOCH_MAX;
    assert_int_equal(
        roster_merge(mem_system(), "c", ring, &more, 1, &next, &why),
        ERR_STALE);
    ring_unref(&ring);
}

static enum err merge_and_remove(const struct mem *mem, void *context)
{
    struct ring *first = NULL;
    struct ring *second = NULL;
    enum err e = roster_merge(mem, "c", NULL, context, 2, &first, NULL);

    if (e == ERR_OK) {
        e = roster_remove(mem, first, "a", &second, NULL);
    }
    ring_unref(&first);
    ring_unref(&second);
    return e;
}

static void survives_any_failed_allocation(void **state)
{
    struct roster_change two[] = {change("a=h:1"), change("b=h:2")};

    (void)state;
    assert_true(torture_allocations(merge_and_remove, two) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_is_read_from_words),
        cmocka_unit_test(bad_words_are_refused_by_field_and_value),
        cmocka_unit_test(a_file_has_one_member_a_line),
        cmocka_unit_test(the_first_ring_has_epoch_1_even_without_members),
        cmocka_unit_test(what_changes_nothing_costs_no_epoch),
        cmocka_unit_test(a_new_address_is_a_new_epoch_without_moves),
        cmocka_unit_test(two_members_cannot_have_one_address),
        cmocka_unit_test(even_the_last_member_can_be_removed),
        cmocka_unit_test(the_last_epoch_of_all_is_the_last),
        cmocka_unit_test(survives_any_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
