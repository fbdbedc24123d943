/* torc get: the values of keys, for people or as JSON. */
#include <stdio.h>

#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/kv.h"

/* A reading of several keys that is under way. */
struct reading {
    const struct env *env;
    const struct kv_options *options;
    const struct option_texts *keys;
    struct client *client;
    bool found[OPTION_TEXTS_MAX];
    size_t found_count;
    json_t *hits; /* NULL: print as they come */
};

struct hit {
    struct slice key, value;
    uint64_t flags, size, cas;
};

static enum err reading_ask(struct reading *reading, struct why *why)
{
    enum err e = client_send(reading->client, SLICE("gets"), why);

    for (size_t i = 0; e == ERR_OK && i < reading->keys->count; i++) {
        e = client_send(reading->client, SLICE(" "), why);
        if (e == ERR_OK) {
            e = client_send(reading->client, slice_of(reading->keys->at[i]),
                            why);
        }
    }
    return e == ERR_OK ? client_send(reading->client, SLICE("\r\n"), why) : e;
}

/* "VALUE key flags size cas", as far as the line goes. */
static bool hit_read(struct slice line, struct hit *hit)
{
    struct client_words words;

    client_split(line, &words);
    if (words.count < 5 || !slice_equal(words.at[0], SLICE("VALUE"))) {
        return false;
    }
    hit->key = words.at[1];
    return slice_read_u64(words.at[2], UINT32_MAX, &hit->flags) &&
           slice_read_u64(words.at[3], CLIENT_BLOCK_SIZE_MAX, &hit->size) &&
           slice_read_u64(words.at[4], UINT64_MAX, &hit->cas);
}

static enum err hit_describe(const struct reading *reading,
                             const struct hit *hit, json_t *object)
{
    char cas[24];
    enum err e = kv_json_set(reading->env, object, "key", hit->key);

    /* As text: 64 bits do not survive every JSON reader's numbers. */
    (void)snprintf(cas, sizeof cas, "%llu", (unsigned long long)hit->cas);
    if (e != ERR_OK ||
        json_object_set_new(object, "flags",
                            json_integer((json_int_t)hit->flags)) != 0 ||
        json_object_set_new(object, "cas", json_string(cas)) != 0 ||
        json_object_set_new(object, "size",
                            json_integer((json_int_t)hit->size)) != 0) {
        return ERR_NOMEM;
    }
    return kv_json_set(reading->env, object, "value", hit->value);
}

static enum err hit_add_json(const struct reading *reading,
                             const struct hit *hit)
{
    json_t *object = json_object();
    enum err e = hit_describe(reading, hit, object);

    if (e != ERR_OK) {
        json_decref(object);
        return e;
    }
    return json_array_append_new(reading->hits, object) == 0 ? ERR_OK
                                                             : ERR_NOMEM;
}

static void hit_print(const struct reading *reading, const struct hit *hit)
{
    if (reading->keys->count > 1) {
        (void)fwrite(hit->key.at, 1, hit->key.size, stdout);
        fputc('\t', stdout);
    }
    (void)fwrite(hit->value.at, 1, hit->value.size, stdout);
    fputc('\n', stdout);
}

static enum err hit_take(struct reading *reading, struct slice line,
                         struct why *why)
{
    char key_bytes[256];
    struct hit hit;

    if (!hit_read(line, &hit) || hit.key.size > sizeof key_bytes) {
        return kv_unexpected(reading->options, line, why);
    }
    /* The line is gone once the block is read. */
    memcpy(key_bytes, hit.key.at, hit.key.size);
    hit.key.at = key_bytes;
    enum err e = client_block(reading->client, hit.size, &hit.value, why);

    if (e != ERR_OK) {
        return e;
    }
    for (size_t i = 0; i < reading->keys->count; i++) {
        if (slice_equal(slice_of(reading->keys->at[i]), hit.key)) {
            reading->found_count += !reading->found[i];
            reading->found[i] = true;
        }
    }
    if (reading->hits != NULL) {
        return hit_add_json(reading, &hit);
    }
    hit_print(reading, &hit);
    return ERR_OK;
}

static enum err reading_run(struct reading *reading, struct why *why)
{
    enum err e = reading_ask(reading, why);

    while (e == ERR_OK) {
        struct slice line;

        e = client_line(reading->client, &line, why);
        if (e == ERR_OK && slice_equal(line, SLICE("END"))) {
            return ERR_OK;
        }
        if (e == ERR_OK) {
            e = hit_take(reading, line, why);
        }
    }
    return e;
}

static void reading_report(struct reading *reading)
{
    json_t *misses = json_array();

    for (size_t i = 0; i < reading->keys->count; i++) {
        const char *key = reading->keys->at[i];

        if (reading->found[i]) {
            continue;
        }
        (void)json_array_append_new(misses, json_string(key));
        if (reading->hits == NULL) {
            (void)ctl_fail("no such key: %s", key);
        }
    }
    if (reading->hits != NULL) {
        json_t *both =
            json_pack("{s:O, s:O}", "hits", reading->hits, "misses", misses);

        (void)json_dumpf(both, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        fputc('\n', stdout);
        json_decref(both);
    }
    json_decref(misses);
}

static int reading_finish(struct reading *reading)
{
    struct why why = {""};
    enum err e =
        kv_open(&reading->client, reading->env, reading->options, &why);

    if (e == ERR_OK) {
        e = reading_run(reading, &why);
    }
    client_close(&reading->client);
    if (e != ERR_OK) {
        return ctl_fail("%s", why.text[0] != '\0' ? why.text : err_text(e));
    }
    reading_report(reading);
    return reading->found_count == reading->keys->count ? CTL_OK : CTL_NO;
}

int kv_get_run(const struct env *env, int argc, char **argv)
{
    struct kv_options options;
    struct option_texts keys = {.count = 0};
    struct ctl_arguments arguments = {
        .table = &kv_get_table,
        .options = &options,
        .operands = &keys,
        .operands_min = 1,
        .operands_max = OPTION_TEXTS_MAX,
        .operands_help = "KEY...",
    };
    struct reading reading = {.env = env, .options = &options, .keys = &keys};
    struct why why = {""};
    int status = CTL_OK;

    if (!ctl_parse(&arguments, argc, argv, &status)) {
        return status;
    }
    for (size_t i = 0; i < keys.count; i++) {
        if (kv_key_check(keys.at[i], &why) != ERR_OK) {
            return ctl_fail("%s", why.text);
        }
    }
    reading.hits = options.json ? json_array() : NULL;
    status = reading_finish(&reading);
    json_decref(reading.hits);
    return status;
}
