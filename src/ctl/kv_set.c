/* torc set: one value, from the command line or standard input. */
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/kv.h"

enum { STDIN_SIZE_MAX = 256 << 20, STDIN_STEP = 64 << 10 };

static enum err stdin_read(const struct mem *mem, char **out, size_t *out_size,
                           struct why *why)
{
    char *value = NULL;
    size_t size = 0;

    for (;;) {
        char *larger = mem_resize(mem, value, size + STDIN_STEP);

        if (larger == NULL || size > STDIN_SIZE_MAX) {
            mem_free(mem, larger != NULL ? larger : value);
            return err_why(why, ERR_LIMIT,
                           "the value on standard input is larger than %d "
                           "bytes",
                           STDIN_SIZE_MAX);
        }
        value = larger;
        ssize_t got = read(STDIN_FILENO, value + size, STDIN_STEP);

        if (got < 0) {
            mem_free(mem, value);
            return err_why(why, ERR_IO, "cannot read standard input");
        }
        if (got == 0) {
            *out = value;
            *out_size = size;
            return ERR_OK;
        }
        size += (size_t)got;
    }
}

struct item {
    const char *key;
    uint64_t flags;
    int64_t exptime;
    struct slice value;
};

static enum err item_send(struct client *client, const struct item *item,
                          struct why *why)
{
    char line[512];
    int size = snprintf(line, sizeof line, "set %s %llu %lld %zu\r\n",
                        item->key, (unsigned long long)item->flags,
                        (long long)item->exptime, item->value.size);
    enum err e = client_send(client, (struct slice){line, (size_t)size}, why);

    if (e == ERR_OK) {
        e = client_send(client, item->value, why);
    }
    return e == ERR_OK ? client_send(client, SLICE("\r\n"), why) : e;
}

static enum err item_store(const struct env *env,
                           const struct kv_options *options,
                           const struct item *item, struct why *why)
{
    struct client *client = NULL;
    struct slice line;
    enum err e = kv_open(&client, env, options, why);

    if (e == ERR_OK) {
        e = item_send(client, item, why);
    }
    if (e == ERR_OK) {
        e = client_line(client, &line, why);
    }
    if (e == ERR_OK && !slice_equal(line, SLICE("STORED"))) {
        e = kv_unexpected(options, line, why);
    }
    client_close(&client);
    return e;
}

static enum err set_run(const struct env *env,
                        const struct kv_set_options *options, const char *key,
                        struct slice value, struct why *why)
{
    struct kv_options common = {.server = options->server,
                                .timeout = options->timeout,
                                .json = options->json};
    struct item item = {
        .key = key,
        .flags = options->flags,
        .exptime = kv_exptime(options->ttl, env_wall_ms(env) / 1000),
        .value = value,
    };

    return item_store(env, &common, &item, why);
}

int kv_set_run(const struct env *env, int argc, char **argv)
{
    struct kv_set_options options;
    struct option_texts operands = {.count = 0};
    struct ctl_arguments arguments = {
        .table = &kv_set_table,
        .options = &options,
        .operands = &operands,
        .operands_min = 2,
        .operands_max = 2,
        .operands_help = "KEY VALUE",
    };
    struct why why = {""};
    struct slice value;
    char *from_stdin = NULL;
    int status = CTL_OK;

    if (!ctl_parse(&arguments, argc, argv, &status)) {
        return status;
    }
    enum err e = kv_key_check(operands.at[0], &why);

    value = e == ERR_OK ? slice_of(operands.at[1]) : SLICE("");
    if (e == ERR_OK && slice_equal(value, SLICE("-"))) {
        e = stdin_read(env->mem, &from_stdin, &value.size, &why);
        value.at = from_stdin;
    }
    if (e == ERR_OK) {
        e = set_run(env, &options, operands.at[0], value, &why);
    }
    mem_free(env->mem, from_stdin);
    if (e != ERR_OK) {
        return ctl_fail("%s", why.text);
    }
    puts(options.json ? "{\"stored\": true}" : "stored");
    return CTL_OK;
}
