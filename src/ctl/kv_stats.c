/* torc stats: the counters of a server. */
#include <stdio.h>

#include "ctl/ctl.h"
#include "ctl/kv.h"

/* Calls are made for one name and value at a time. */
struct stats {
    const struct env *env;
    const struct kv_options *options;
    json_t *object; /* NULL: print */
};

static enum err stat_take(const struct stats *stats, struct slice rest)
{
    const char *space = memchr(rest.at, ' ', rest.size);
    size_t name_size = space == NULL ? rest.size : (size_t)(space - rest.at);
    struct slice value = {space == NULL ? rest.at + rest.size : space + 1,
                          space == NULL ? 0 : rest.size - name_size - 1};
    char name[256];

    if (name_size >= sizeof name) {
        name_size = sizeof name - 1;
    }
    memcpy(name, rest.at, name_size);
    name[name_size] = '\0';
    ctl_make_printable(name);
    if (stats->object != NULL) {
        return kv_json_set(stats->env, stats->object, name, value);
    }
    printf("%-32s %.*s\n", name, (int)value.size, value.at);
    return ERR_OK;
}

static enum err stats_read(struct client *client, const struct stats *stats,
                           struct why *why)
{
    for (;;) {
        struct slice line;
        enum err e = client_line(client, &line, why);

        if (e != ERR_OK) {
            return e;
        }
        /* "stats reset" answers RESET and nothing more. */
        if (slice_equal(line, SLICE("END")) ||
            slice_equal(line, SLICE("RESET"))) {
            return ERR_OK;
        }
        if (line.size <= 5 || memcmp(line.at, "STAT ", 5) != 0) {
            return kv_unexpected(stats->options, line, why);
        }
        e = stat_take(stats, (struct slice){line.at + 5, line.size - 5});
        if (e != ERR_OK) {
            return err_why(why, e, "%s", err_text(e));
        }
    }
}

static enum err stats_run(const struct stats *stats, const char *group,
                          struct why *why)
{
    struct client *client = NULL;
    char command[512];
    int size = snprintf(command, sizeof command, "stats%s%s\r\n",
                        group[0] != '\0' ? " " : "", group);
    enum err e = kv_open(&client, stats->env, stats->options, why);

    if (e == ERR_OK) {
        e = client_send(client, (struct slice){command, (size_t)size}, why);
    }
    if (e == ERR_OK) {
        e = stats_read(client, stats, why);
    }
    client_close(&client);
    return e;
}

int kv_stats_run(const struct env *env, int argc, char **argv)
{
    struct kv_options options;
    struct option_texts operands = {.count = 0};
    struct ctl_arguments arguments = {
        .table = &kv_stats_table,
        .options = &options,
        .operands = &operands,
        .operands_max = 1,
        .operands_help = "[GROUP]",
    };
    struct stats stats = {.env = env, .options = &options};
    struct why why = {""};
    int status = CTL_OK;

    if (!ctl_parse(&arguments, argc, argv, &status)) {
        return status;
    }
    const char *group = operands.count > 0 ? operands.at[0] : "";

    if (group[0] != '\0' && kv_key_check(group, &why) != ERR_OK) {
        return ctl_fail("\"%.40s\" is no group of counters", group);
    }
    stats.object = options.json ? json_object() : NULL;
    if (stats_run(&stats, group, &why) != ERR_OK) {
        status = ctl_fail("%s", why.text);
    } else if (options.json) {
        (void)json_dumpf(stats.object, stdout,
                         JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        fputc('\n', stdout);
    }
    json_decref(stats.object);
    return status;
}
