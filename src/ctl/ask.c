#include "ctl/ask.h"

#include <stdio.h>

#include "base/mem.h"
#include "net/fetch.h"
#include "proto/limits.h"

enum { ASK_URL_SIZE_MAX = 2048 };

static enum err url_write(const struct ask *ask, char *out, size_t size,
                          struct why *why)
{
    bool has_scheme = strstr(ask->server, "://") != NULL;
    size_t server_size = strlen(ask->server);

    while (server_size > 0 && ask->server[server_size - 1] == '/') {
        server_size--;
    }
    int written = snprintf(out, size, "%s%.*s%s", has_scheme ? "" : "http://",
                           (int)server_size, ask->server, ask->path);

    if (written < 0 || (size_t)written >= size) {
        return err_why(why, ERR_LIMIT, "the address \"%.80s...\" is too long",
                       ask->server);
    }
    return ERR_OK;
}

/* ringd says {"error": "..."}; anybody else may say anything. */
static enum err refusal(const struct ask *ask, int status, struct slice answer,
                        struct why *why)
{
    json_t *document = json_loadb(answer.at, answer.size, 0, NULL);
    const char *words = ask_words(document, "error", "no reason given");
    enum err e = err_why(why, status == 404 ? ERR_UNKNOWN : ERR_REFUSED,
                         "%s refused %s %s: %.300s (HTTP %d)", ask->server,
                         ask->method, ask->path, words, status);

    json_decref(document);
    return e;
}

enum err ask_text(const struct env *env, const struct ask *ask, char **answer,
                  size_t *size, struct why *why)
{
    char url[ASK_URL_SIZE_MAX];
    char *got = NULL;
    size_t got_size = 0;
    int status = 0;
    enum err e = url_write(ask, url, sizeof url, why);

    if (e != ERR_OK) {
        return e;
    }
    struct fetch_once what = {
        .method = ask->method,
        .url = url,
        .body = ask->body,
        .timeout_ms = ask->timeout_ms,
        .answer_size_max = RING_DOCUMENT_SIZE_MAX,
    };

    e = fetch_once(env, &what, &status, &got, &got_size, why);
    if (e != ERR_OK) {
        return e;
    }
    if (status >= 400) {
        e = refusal(ask, status, (struct slice){got, got_size}, why);
        mem_free(env->mem, got);
        return e;
    }
    *answer = got;
    *size = got_size;
    return ERR_OK;
}

enum err ask_ringd(const struct env *env, const struct ask *ask, json_t **out,
                   struct why *why)
{
    struct why inner = {""};
    char *answer = NULL;
    size_t size = 0;
    enum err e = ask_text(env, ask, &answer, &size, &inner);

    if (e == ERR_IO || e == ERR_TIMEOUT) {
        return err_why(why, e,
                       "no answer from ringd at %s (%.200s). Is it running? "
                       "\"torc up\" starts a whole cluster, --ringd names "
                       "another ringd",
                       ask->server, inner.text);
    }
    if (e != ERR_OK) {
        return err_why(why, e, "%s", inner.text);
    }
    json_error_t trouble;
    json_t *document = json_loadb(answer, size, JSON_DECODE_ANY, &trouble);

    mem_free(env->mem, answer);
    if (document == NULL) {
        return err_why(why, ERR_SYNTAX,
                       "what answers %s at %s does not speak JSON (%s): is it "
                       "a ringd?",
                       ask->path, ask->server, trouble.text);
    }
    *out = document;
    return ERR_OK;
}

const char *ask_words(const json_t *object, const char *name,
                      const char *absent)
{
    const char *words = json_string_value(json_object_get(object, name));

    return words != NULL ? words : absent;
}

int64_t ask_number(const json_t *object, const char *name, int64_t absent)
{
    const json_t *number = json_object_get(object, name);

    return json_is_integer(number) ? json_integer_value(number) : absent;
}
