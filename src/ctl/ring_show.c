/* torc ring show: asks ringd for the three documents of the picture. */
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/ring.h"
#include "ctl/ring_view.h"

/* What belongs to one picture. */
struct scene {
    struct ring *ring;
    json_t *document, *members, *watchers;
};

static enum err scene_fetch(const struct env *env,
                            const struct ring_options *options,
                            struct scene *scene, struct why *why)
{
    enum err e = ring_fetch(env, options, &scene->ring, &scene->document, why);

    if (e != ERR_OK) {
        return e;
    }
    /* A ringd that does not know these is shown as far as it goes. */
    if (ring_get(env, options, "/v1/members", &scene->members, NULL) !=
        ERR_OK) {
        scene->members = NULL;
    }
    if (ring_get(env, options, "/v1/watchers", &scene->watchers, NULL) !=
        ERR_OK) {
        scene->watchers = NULL;
    }
    return ERR_OK;
}

static void scene_drop(struct scene *scene)
{
    ring_unref(&scene->ring);
    json_decref(scene->document);
    json_decref(scene->members);
    json_decref(scene->watchers);
}

static bool terminal_is_utf8(void)
{
    (void)setlocale(LC_CTYPE, "");
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

static int picture_print(const struct env *env, const struct scene *scene)
{
    struct ring_look look = {.utf8 = terminal_is_utf8()};
    struct ring_view *view = NULL;
    enum err e = ring_view_create(env->mem, scene->ring, scene->members,
                                  scene->watchers, &view);

    if (e != ERR_OK) {
        return ctl_fail("ring show: %s", err_text(e));
    }
    ring_view_draw(view, &look, stdout);
    ring_view_destroy(&view);
    return CTL_OK;
}

/* The lists without their wrapping: {"ring": .., "members": [..], ..}. */
static void documents_print(const struct scene *scene)
{
    ring_print_json(
        json_pack("{s:O, s:O?, s:O?}", "ring", scene->document, "members",
                  json_object_get(scene->members, "members"), "watchers",
                  json_object_get(scene->watchers, "watchers")));
}

int ring_show_run(const struct env *env, int argc, char **argv)
{
    struct ring_options options;
    struct ctl_arguments arguments = {.table = &ring_show_table,
                                      .options = &options};
    struct scene scene = {NULL};
    struct why why = {""};
    int status = CTL_OK;

    if (!ctl_parse(&arguments, argc, argv, &status)) {
        return status;
    }
    if (scene_fetch(env, &options, &scene, &why) != ERR_OK) {
        return ctl_fail("%s", why.text);
    }
    if (options.json) {
        documents_print(&scene);
    } else {
        status = picture_print(env, &scene);
    }
    scene_drop(&scene);
    return status;
}
