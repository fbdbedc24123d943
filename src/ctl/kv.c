#include "ctl/kv.h"

#include <stdio.h>

#include "base/mem.h"
#include "proto/limits.h"

enum err kv_key_check(const char *key, struct why *why)
{
    size_t size = strlen(key);

    if (size == 0 || size > KEY_SIZE_MAX) {
        return err_why(why, ERR_RANGE,
                       "the key \"%.40s\" has %zu bytes; allowed are 1 to %d",
                       key, size, KEY_SIZE_MAX);
    }
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)key[i] <= ' ' || key[i] == '\x7f') {
            return err_why(why, ERR_RANGE,
                           "the key \"%.40s\" has a blank or a control byte "
                           "at position %zu; neither is allowed",
                           key, i + 1);
        }
    }
    return ERR_OK;
}

enum err kv_open(struct client **out, const struct env *env,
                 const struct kv_options *options, struct why *why)
{
    struct why inner = {""};
    enum err e =
        client_open(out, env, options->server, options->timeout, &inner);

    if (e == ERR_OK) {
        return ERR_OK;
    }
    return err_why(why, e,
                   "no server at %s (%.200s). Is one running? \"torc up\" "
                   "starts a cluster, --server names another",
                   options->server, inner.text);
}

enum err kv_unexpected(const struct kv_options *options, struct slice line,
                       struct why *why)
{
    size_t shown = line.size < 200 ? line.size : 200;

    return err_why(why, ERR_REFUSED, "%s answered: %.*s", options->server,
                   (int)shown, line.at);
}

int64_t kv_exptime(uint64_t ttl_ms, int64_t now_s)
{
    const int64_t relative_s_max = 60 * 60 * 24 * 30;
    int64_t ttl_s = (int64_t)((ttl_ms + 999) / 1000);

    return ttl_s > relative_s_max ? now_s + ttl_s : ttl_s;
}

void kv_base64_write(char *out, struct slice bytes)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr"
                                  "stuvwxyz0123456789+/";

    for (size_t i = 0; i < bytes.size; i += 3) {
        size_t left = bytes.size - i;
        uint32_t group = (uint32_t)(unsigned char)bytes.at[i] << 16;

        group |= left > 1 ? (uint32_t)(unsigned char)bytes.at[i + 1] << 8 : 0;
        group |= left > 2 ? (uint32_t)(unsigned char)bytes.at[i + 2] : 0;
        *out++ = letters[group >> 18 & 63];
        *out++ = letters[group >> 12 & 63];
        *out++ = left > 1 ? letters[group >> 6 & 63] : '=';
        *out++ = left > 2 ? letters[group & 63] : '=';
    }
}

enum err kv_json_set(const struct env *env, json_t *object, const char *name,
                     struct slice bytes)
{
    json_t *text = json_stringn(bytes.at, bytes.size);
    char other_name[64];

    if (text != NULL) {
        return json_object_set_new(object, name, text) == 0 ? ERR_OK
                                                            : ERR_NOMEM;
    }
    size_t size = kv_base64_size(bytes.size);
    char *encoded = mem_alloc(env->mem, size + 1);

    if (encoded == NULL) {
        return ERR_NOMEM;
    }
    kv_base64_write(encoded, bytes);
    (void)snprintf(other_name, sizeof other_name, "%s_base64", name);
    int failed =
        json_object_set_new(object, other_name, json_stringn(encoded, size));

    mem_free(env->mem, encoded);
    return failed == 0 ? ERR_OK : ERR_NOMEM;
}
