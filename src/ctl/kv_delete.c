/* torc delete: one key. */
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/kv.h"

static enum err delete_run(const struct env *env,
                           const struct kv_options *options, const char *key,
                           bool *deleted, struct why *why)
{
    struct client *client = NULL;
    struct slice line;
    char command[512];
    int size = snprintf(command, sizeof command, "delete %s\r\n", key);
    enum err e = kv_open(&client, env, options, why);

    if (e == ERR_OK) {
        e = client_send(client, (struct slice){command, (size_t)size}, why);
    }
    if (e == ERR_OK) {
        e = client_line(client, &line, why);
    }
    if (e == ERR_OK) {
        *deleted = slice_equal(line, SLICE("DELETED"));
        if (!*deleted && !slice_equal(line, SLICE("NOT_FOUND"))) {
            e = kv_unexpected(options, line, why);
        }
    }
    client_close(&client);
    return e;
}

int kv_delete_run(const struct env *env, int argc, char **argv)
{
    struct kv_options options;
    struct option_texts operands = {.count = 0};
    struct ctl_arguments arguments = {
        .table = &kv_delete_table,
        .options = &options,
        .operands = &operands,
        .operands_min = 1,
        .operands_max = 1,
        .operands_help = "KEY",
    };
    struct why why = {""};
    bool deleted = false;
    int status = CTL_OK;

    if (!ctl_parse(&arguments, argc, argv, &status)) {
        return status;
    }
    if (kv_key_check(operands.at[0], &why) != ERR_OK ||
        delete_run(env, &options, operands.at[0], &deleted, &why) != ERR_OK) {
        return ctl_fail("%s", why.text);
    }
    if (options.json) {
        printf("{\"deleted\": %s}\n", deleted ? "true" : "false");
    } else if (deleted) {
        puts("deleted");
    } else {
        (void)ctl_fail("no such key: %s", operands.at[0]);
    }
    return deleted ? CTL_OK : CTL_NO;
}
