/* What must survive: the document, whole, and only the newest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proto/limits.h"
#include "ringd/store_file.h"

struct place {
    char folder[64];
    char path[96];
    char next[128];
    char lock[128];
    struct mem_faulty mem;
};

static int place_make(void **state)
{
    static struct place place;

    memset(&place, 0, sizeof place);
    mem_faulty_init(&place.mem, mem_system());
    (void)snprintf(place.folder, sizeof place.folder, "/tmp/torc-store-XXXXXX");
    assert_non_null(mkdtemp(place.folder));
    (void)snprintf(place.path, sizeof place.path, "%s/ring.json", place.folder);
    (void)snprintf(place.next, sizeof place.next, "%s.next", place.path);
    (void)snprintf(place.lock, sizeof place.lock, "%s.lock", place.path);
    *state = &place;
    return 0;
}

static int place_clear(void **state)
{
    struct place *place = *state;

    (void)unlink(place->path);
    (void)rmdir(place->next);
    (void)unlink(place->next);
    (void)unlink(place->lock);
    assert_int_equal(rmdir(place->folder), 0);
    assert_int_equal(place->mem.allocated, 0);
    return 0;
}

static struct store opened(struct place *place)
{
    struct store store;
    struct why why = {""};

    assert_int_equal(
        store_file_open(&place->mem.mem, place->path, &store, &why), ERR_OK);
    return store;
}

static enum err swap(struct store *store, const char *words,
                     struct store_version *version, struct why *why)
{
    return store->compare_and_swap(store->context, slice_of(words), version,
                                   why);
}

static void assert_holds(struct place *place, struct store *store,
                         const char *words)
{
    struct store_version version;
    char *text = NULL;
    size_t size = 0;

    assert_int_equal(store->get(store->context, &text, &size, &version, NULL),
                     ERR_OK);
    assert_int_equal(size, strlen(words));
    assert_memory_equal(text, words, size);
    mem_free(&place->mem.mem, text);
}

static void an_empty_store_says_so_and_takes_a_first_document(void **state)
{
    struct place *place = *state;
    struct store store = opened(place);
    struct store_version version;
    char *text = NULL;
    size_t size = 0;

    assert_int_equal(store.get(store.context, &text, &size, &version, NULL),
                     ERR_UNKNOWN);
    assert_int_equal(swap(&store, "one", &version, NULL), ERR_OK);
    assert_holds(place, &store, "one");
    store.close(store.context);
}

static void a_document_is_there_after_reopening(void **state)
{
    struct place *place = *state;
    struct store store = opened(place);
    struct store_version version = {""};

    assert_int_equal(swap(&store, "one", &version, NULL), ERR_OK);
    assert_int_equal(swap(&store, "two, longer", &version, NULL), ERR_OK);
    assert_int_equal(swap(&store, "3", &version, NULL), ERR_OK);
    store.close(store.context);
    store = opened(place);
    assert_holds(place, &store, "3");
    assert_int_equal(access(place->next, F_OK), -1);
    store.close(store.context);
}

static void a_swap_on_an_older_version_is_a_conflict(void **state)
{
    struct place *place = *state;
    struct store store = opened(place);
    struct store_version none = {""};
    struct store_version version = none;
    struct why why = {""};

    assert_int_equal(swap(&store, "one", &version, NULL), ERR_OK);
    struct store_version one = version;

    assert_int_equal(swap(&store, "two", &version, NULL), ERR_OK);
    assert_int_equal(swap(&store, "bad", &one, &why), ERR_CONFLICT);
    assert_non_null(strstr(why.text, place->path));
    assert_int_equal(swap(&store, "bad", &none, NULL), ERR_CONFLICT);
    assert_holds(place, &store, "two");
    store.close(store.context);
}

static void a_file_that_an_editor_changed_is_a_conflict(void **state)
{
    struct place *place = *state;
    struct store store = opened(place);
    struct store_version version = {""};

    assert_int_equal(swap(&store, "one", &version, NULL), ERR_OK);
    FILE *file = fopen(place->path, "w");

    assert_non_null(file);
    assert_int_equal(fputs("onf", file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(swap(&store, "two", &version, NULL), ERR_CONFLICT);
    assert_holds(place, &store, "onf");
    store.close(store.context);
}

static void a_second_manager_is_kept_away(void **state)
{
    struct place *place = *state;
    struct store store = opened(place);
    struct store second;
    struct why why = {""};

    assert_int_equal(
        store_file_open(&place->mem.mem, place->path, &second, &why),
        ERR_CONFLICT);
    assert_non_null(strstr(why.text, "in use by another torc-ringd"));
    store.close(store.context);
    second = opened(place);
    second.close(second.context);
}

static void what_a_crash_left_beside_is_overwritten(void **state)
{
    struct place *place = *state;
    struct store store = opened(place);
    struct store_version version = {""};
    FILE *file = fopen(place->next, "w");

    assert_non_null(file);
    assert_int_equal(fputs("half of something that was long", file) >= 0, 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(swap(&store, "one", &version, NULL), ERR_OK);
    assert_holds(place, &store, "one");
    store.close(store.context);
}

static void a_swap_that_fails_leaves_the_old_document(void **state)
{
    struct place *place = *state;
    struct store store = opened(place);
    struct store_version version = {""};
    struct why why = {""};

    assert_int_equal(swap(&store, "one", &version, NULL), ERR_OK);
    assert_int_equal(mkdir(place->next, 0700), 0);
    assert_int_equal(swap(&store, "two", &version, &why), ERR_IO);
    assert_non_null(strstr(why.text, "cannot create"));
    assert_holds(place, &store, "one");
    assert_int_equal(rmdir(place->next), 0);
    assert_int_equal(swap(&store, "two", &version, NULL), ERR_OK);
    store.close(store.context);
}

static void what_is_no_document_is_refused_in_words(void **state)
{
    struct place *place = *state;
    struct store store = opened(place);
    struct store_version version;
    struct why why = {""};
    char *text = NULL;
    size_t size;

    assert_int_equal(mkdir(place->path, 0700), 0);
    assert_int_equal(store.get(store.context, &text, &size, &version, &why),
                     ERR_IO);
    assert_non_null(strstr(why.text, "not a regular file"));
    assert_int_equal(rmdir(place->path), 0);
    FILE *file = fopen(place->path, "w");

    assert_non_null(file);
    assert_int_equal(ftruncate(fileno(file), RING_DOCUMENT_SIZE_MAX + 1), 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(store.get(store.context, &text, &size, &version, &why),
                     ERR_LIMIT);
    assert_non_null(strstr(why.text, "4194305 bytes; allowed are at most"));
    store.close(store.context);
}

static void a_path_that_cannot_be_is_refused(void **state)
{
    struct place *place = *state;
    struct store store;
    struct why why = {""};

    assert_int_equal(store_file_open(&place->mem.mem, "", &store, &why),
                     ERR_SYNTAX);
    assert_int_equal(store_file_open(&place->mem.mem, "/tmp/", &store, &why),
                     ERR_SYNTAX);
    assert_int_equal(
        store_file_open(&place->mem.mem, "/nowhere/at/all", &store, &why),
        ERR_IO);
    assert_non_null(strstr(why.text, "/nowhere/at/all.lock"));
}

static void survives_any_failed_allocation(void **state)
{
    struct place *place = *state;
    struct store store;
    struct store_version version = {""};
    char *text = NULL;
    size_t size;

    place->mem.fail_in = 0;
    assert_int_equal(
        store_file_open(&place->mem.mem, place->path, &store, NULL), ERR_NOMEM);
    place->mem.fail_in = -1;
    store = opened(place);
    assert_int_equal(swap(&store, "one", &version, NULL), ERR_OK);
    place->mem.fail_in = 0;
    assert_int_equal(swap(&store, "two", &version, NULL), ERR_NOMEM);
    place->mem.fail_in = 0;
    assert_int_equal(store.get(store.context, &text, &size, &version, NULL),
                     ERR_NOMEM);
    place->mem.fail_in = -1;
    assert_holds(place, &store, "one");
    store.close(store.context);
}

#define IN_PLACE(name) \
    cmocka_unit_test_setup_teardown(name, place_make, place_clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_PLACE(an_empty_store_says_so_and_takes_a_first_document),
        IN_PLACE(a_document_is_there_after_reopening),
        IN_PLACE(a_swap_on_an_older_version_is_a_conflict),
        IN_PLACE(a_file_that_an_editor_changed_is_a_conflict),
        IN_PLACE(a_second_manager_is_kept_away),
        IN_PLACE(what_a_crash_left_beside_is_overwritten),
        IN_PLACE(a_swap_that_fails_leaves_the_old_document),
        IN_PLACE(what_is_no_document_is_refused_in_words),
        IN_PLACE(a_path_that_cannot_be_is_refused),
        IN_PLACE(survives_any_failed_allocation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
