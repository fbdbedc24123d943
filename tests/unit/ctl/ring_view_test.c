/* The picture of the ring, from documents as ringd gives them and from
 * documents that lack this and that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/ring_view.h"
#include "support/torture.h"

#define THREE_RUNS "[[0,8191,0,1],[8192,12287,1,4],[12288,16383,2,5]]"
static const char three[] =
    "{\"v\":1,\"cluster\":\"up\",\"epoch\":5,\"members\":["
    "{\"name\":\"a\",\"address\":\"10.0.0.1:11211\",\"admin\":\"\","
    "\"zone\":\"\",\"weight\":2,\"state\":\"serving\"},"
    "{\"name\":\"b\",\"address\":\"10.0.0.2:11211\",\"admin\":\"\","
    "\"zone\":\"\",\"weight\":1,\"state\":\"serving\"},"
    "{\"name\":\"c\",\"address\":\"10.0.0.3:11211\",\"admin\":\"\","
    "\"zone\":\"\",\"weight\":1,\"state\":\"down\"}],"
    "\"slots\":" THREE_RUNS "}";

static const char all_know[] =
    "{\"members\":[{\"name\":\"a\",\"epoch\":5,\"connected\":true},"
    "{\"name\":\"b\",\"epoch\":5,\"connected\":true},"
    "{\"name\":\"c\",\"epoch\":5,\"connected\":false}]}";

static struct ring *ring_of(const char *json)
{
    struct ring *ring = NULL;
    struct why why = {""};
    enum err e = ring_read(mem_system(), slice_of(json), &ring, &why);

    if (e != ERR_OK) {
        fail_msg("%s", why.text);
    }
    return ring;
}

static json_t *json_of(const char *text)
{
    return text == NULL ? NULL : json_loads(text, 0, NULL);
}

enum { PICTURE_MAX = 16384 };

static void picture(char out[static PICTURE_MAX], const char *ring_json,
                    const char *members_json, const char *watchers_json,
                    bool utf8)
{
    struct ring *ring = ring_of(ring_json);
    json_t *members = json_of(members_json);
    json_t *watchers = json_of(watchers_json);
    struct ring_view *view = NULL;
    struct ring_look look = {.utf8 = utf8};
    FILE *memory = fmemopen(out, PICTURE_MAX, "w");

    assert_int_equal(
        ring_view_create(mem_system(), ring, members, watchers, &view), ERR_OK);
    ring_view_draw(view, &look, memory);
    (void)fclose(memory);
    ring_view_destroy(&view);
    assert_null(view);
    json_decref(members);
    json_decref(watchers);
    ring_unref(&ring);
}

static void shares_states_and_epochs_are_drawn(void **state)
{
    char text[PICTURE_MAX] = "";

    (void)state;
    picture(text, three, all_know,
            "{\"watchers\":[{\"name\":\"router-0\",\"role\":\"router\","
            "\"epoch\":5,\"connected\":true}]}",
            false);
    assert_string_equal(
        text, "ring \"up\", epoch 5, 16384 slots, 3 members\n"
              "\n"
              "  name  address         state     share                     "
              "slots      %  acked  connected\n"
              "  a     10.0.0.1:11211  serving   ############               "
              "8192   50.0      5  yes\n"
              "  b     10.0.0.2:11211  serving   ######                     "
              "4096   25.0      5  yes\n"
              "  c     10.0.0.3:11211  down      ######                     "
              "4096   25.0      5  no\n"
              "\n"
              "  watcher   role      acked  connected\n"
              "  router-0  router        5  yes\n"
              "\n"
              "everyone has acknowledged epoch 5\n");
}

static void utf8_bars_tell_eighths_of_a_cell(void **state)
{
    char text[PICTURE_MAX] = "";

    (void)state;
    picture(text,
            "{\"v\":1,\"cluster\":\"up\",\"epoch\":1,\"members\":["
            "{\"name\":\"a\",\"address\":\"h:1\",\"weight\":1,"
            "\"state\":\"serving\"},{\"name\":\"b\",\"address\":\"h:2\","
            "\"weight\":1,\"state\":\"serving\"}],"
            "\"slots\":[[0,340,0,1],[341,16383,1,1]]}",
            NULL, NULL, true);
    /* 341 of 16384 slots are 3.996 eighths of 24 cells. */
    assert_non_null(strstr(text, "serving   \u258d                        "));
    assert_non_null(strstr(text, "\u2588\u2588\u2588"));
    assert_null(strchr(text, '#'));
}

static void who_is_late_is_named_with_the_epoch_it_is_at(void **state)
{
    char text[PICTURE_MAX] = "";

    (void)state;
    picture(text, three,
            "{\"members\":[{\"name\":\"a\",\"epoch\":5,\"connected\":true},"
            "{\"name\":\"b\",\"epoch\":4,\"connected\":true},"
            "{\"name\":\"c\"}]}",
            "{\"watchers\":[{\"name\":\"r1\",\"role\":\"router\","
            "\"epoch\":3,\"connected\":true,\"error\":\"other cluster\"},"
            "{\"name\":\"r2\",\"role\":\"router\",\"epoch\":2,"
            "\"connected\":false}]}",
            false);
    assert_non_null(strstr(text, "waiting for b (at 4), c (unknown), r1 (at 3) "
                                 "to acknowledge epoch 5\n"));
    assert_non_null(strstr(text, "refused: other cluster"));
    assert_null(strstr(text, "everyone"));
}

static void without_the_other_documents_the_ring_is_drawn_alone(void **state)
{
    char text[PICTURE_MAX] = "";

    (void)state;
    picture(text, three, NULL, NULL, false);
    assert_non_null(strstr(text, "8192   50.0      -  -\n"));
    assert_non_null(strstr(text, "does not say who has acknowledged"));
    assert_null(strstr(text, "watcher "));
}

static void fields_of_a_wrong_type_are_unknown(void **state)
{
    char text[PICTURE_MAX] = "";

    (void)state;
    picture(text, three,
            "{\"members\":[{\"name\":\"a\",\"epoch\":\"5\","
            "\"connected\":\"yes\"},{\"name\":7},\"b\",null]}",
            "{\"watchers\":[17,{\"name\":[]}]}", false);
    assert_non_null(strstr(text, "8192   50.0      -  -\n"));
}

static void a_shard_that_is_a_member_is_drawn_once(void **state)
{
    char text[PICTURE_MAX] = "";
    const char *first;

    (void)state;
    picture(text, three, all_know,
            "{\"watchers\":[{\"name\":\"a\",\"role\":\"shard\",\"epoch\":5,"
            "\"connected\":true},{\"name\":\"late\",\"role\":\"shard\","
            "\"epoch\":5,\"connected\":true}]}",
            false);
    first = strstr(text, "\n  a ");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\n  a "));
    assert_non_null(strstr(text, "\n  late "));
}

static void words_of_others_cannot_steer_the_terminal(void **state)
{
    char text[PICTURE_MAX] = "";

    (void)state;
    picture(text, three, all_know,
            "{\"watchers\":[{\"name\":\"r\\u001b[2J\",\"role\":\"router\","
            "\"epoch\":5,\"error\":\"a\\nb\"}]}",
            false);
    assert_null(strchr(text, '\x1b'));
    assert_non_null(strstr(text, "r?[2J"));
    assert_non_null(strstr(text, "a?b"));
}

static void an_empty_ring_says_what_to_do(void **state)
{
    char text[PICTURE_MAX] = "";

    (void)state;
    picture(text,
            "{\"v\":1,\"cluster\":\"up\",\"epoch\":1,\"members\":[],"
            "\"slots\":[[0,16383,null,1]]}",
            NULL, NULL, false);
    assert_non_null(strstr(text, "0 members"));
    assert_non_null(strstr(text, "torc ring add"));
}

static enum err create_then_destroy(const struct mem *mem, void *context)
{
    struct ring_view *view = NULL;
    enum err e = ring_view_create(mem, context, NULL, NULL, &view);

    ring_view_destroy(&view);
    return e;
}

static void survives_any_failed_allocation(void **state)
{
    struct ring *ring = ring_of(three);

    (void)state;
    assert_true(torture_allocations(create_then_destroy, ring) >= 3);
    ring_unref(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_states_and_epochs_are_drawn),
        cmocka_unit_test(utf8_bars_tell_eighths_of_a_cell),
        cmocka_unit_test(who_is_late_is_named_with_the_epoch_it_is_at),
        cmocka_unit_test(without_the_other_documents_the_ring_is_drawn_alone),
        cmocka_unit_test(fields_of_a_wrong_type_are_unknown),
        cmocka_unit_test(a_shard_that_is_a_member_is_drawn_once),
        cmocka_unit_test(words_of_others_cannot_steer_the_terminal),
        cmocka_unit_test(an_empty_ring_says_what_to_do),
        cmocka_unit_test(survives_any_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
