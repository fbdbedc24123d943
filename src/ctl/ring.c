#include "ctl/ring.h"

#include <stdio.h>

#include "ctl/ask.h"

enum err ring_get(const struct env *env, const struct ring_options *options,
                  const char *path, json_t **out, struct why *why)
{
    struct ask ask = {.method = "GET",
                      .server = options->ringd,
                      .path = path,
                      .timeout_ms = options->timeout};

    return ask_ringd(env, &ask, out, why);
}

static enum err document_read(const struct mem *mem, const json_t *document,
                              struct ring **out, struct why *why)
{
    size_t size = json_dumpb(document, NULL, 0, JSON_COMPACT);
    char *text = mem_alloc(mem, size + 1);

    if (text == NULL) {
        return ERR_NOMEM;
    }
    size = json_dumpb(document, text, size, JSON_COMPACT);

    enum err e = ring_read(mem, (struct slice){text, size}, out, why);

    mem_free(mem, text);
    return e;
}

enum err ring_fetch(const struct env *env, const struct ring_options *options,
                    struct ring **out, json_t **document, struct why *why)
{
    struct why inner = {""};
    json_t *got = NULL;
    enum err e = ring_get(env, options, "/v1/ring", &got, why);

    if (e != ERR_OK) {
        return e;
    }
    e = document_read(env->mem, got, out, &inner);
    if (e != ERR_OK) {
        json_decref(got);
        return err_why(why, e, "the ring document of %s is not valid: %s",
                       options->ringd,
                       inner.text[0] != '\0' ? inner.text : err_text(e));
    }
    if (document != NULL) {
        *document = got;
    } else {
        json_decref(got);
    }
    return ERR_OK;
}

void ring_print_json(json_t *document)
{
    (void)json_dumpf(document, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    fputc('\n', stdout);
    json_decref(document);
}
