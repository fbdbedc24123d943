/* torc ring add and remove, and how the rest of the tool does the same. */
#include <stdio.h>
#include <string.h>

#include "ctl/ask.h"
#include "ctl/ctl.h"
#include "ctl/ring.h"

/* Prints the epoch that ringd answered with. */
static int change_print(const struct ring_options *options, const char *name,
                        const char *done, json_t *answer)
{
    int64_t epoch = ask_number(answer, "epoch", -1);

    if (options->json) {
        ring_print_json(answer);
        return CTL_OK;
    }
    if (epoch < 0) {
        printf("%s %s\n", name, done);
    } else {
        printf("%s %s with epoch %lld\n", name, done, (long long)epoch);
    }
    json_decref(answer);
    return CTL_OK;
}

static enum err member_make(const struct ring_add_options *options,
                            const char *name, const char *address,
                            struct ring_member *out, struct why *why)
{
    struct ring_member member = {.weight = (uint32_t)options->weight,
                                 .state = MEMBER_SERVING};

    if (strlen(name) >= sizeof member.name) {
        return err_why(why, ERR_LIMIT, "the name is longer than %d bytes",
                       RING_NAME_SIZE_MAX);
    }
    if (strlen(options->zone) >= sizeof member.zone) {
        return err_why(why, ERR_LIMIT, "--zone is longer than %d bytes",
                       RING_NAME_SIZE_MAX);
    }
    if (strlen(address) >= sizeof member.address ||
        strlen(options->admin_address) >= sizeof member.admin) {
        return err_why(why, ERR_LIMIT, "an address is longer than %d bytes",
                       RING_ADDRESS_SIZE_MAX);
    }
    (void)snprintf(member.name, sizeof member.name, "%s", name);
    (void)snprintf(member.address, sizeof member.address, "%s", address);
    (void)snprintf(member.admin, sizeof member.admin, "%s",
                   options->admin_address);
    (void)snprintf(member.zone, sizeof member.zone, "%s", options->zone);
    enum err e = ring_member_check(&member, why);

    if (e == ERR_OK) {
        *out = member;
    }
    return e;
}

enum err ring_join(const struct env *env, const struct ring_options *options,
                   const struct ring_member *member, json_t **answer,
                   struct why *why)
{
    json_t *body =
        json_pack("{s:s, s:s, s:s, s:s, s:I}", "name", member->name, "address",
                  member->address, "admin", member->admin, "zone", member->zone,
                  "weight", (json_int_t)member->weight);
    char text[2048];
    size_t size =
        body == NULL ? 0 : json_dumpb(body, text, sizeof text, JSON_COMPACT);

    json_decref(body);
    if (size == 0 || size > sizeof text) {
        return err_why(why, ERR_SYNTAX,
                       "%.80s cannot be said in JSON: only UTF-8 can",
                       member->address);
    }
    struct ask ask = {.method = "POST",
                      .server = options->ringd,
                      .path = "/v1/members",
                      .body = {text, size},
                      .timeout_ms = options->timeout};

    return ask_ringd(env, &ask, answer, why);
}

int ring_add_run(const struct env *env, int argc, char **argv)
{
    struct ring_add_options options;
    struct option_texts operands = {.count = 0};
    struct ctl_arguments arguments = {
        .table = &ring_add_table,
        .options = &options,
        .operands = &operands,
        .operands_min = 2,
        .operands_max = 2,
        .operands_help = "NAME ADDRESS",
    };
    struct ring_options common;
    struct ring_member member;
    struct why why = {""};
    json_t *answer = NULL;
    int status = CTL_OK;

    if (!ctl_parse(&arguments, argc, argv, &status)) {
        return status;
    }
    common = (struct ring_options){.ringd = options.ringd,
                                   .timeout = options.timeout,
                                   .json = options.json};
    if (member_make(&options, operands.at[0], operands.at[1], &member, &why) !=
            ERR_OK ||
        ring_join(env, &common, &member, &answer, &why) != ERR_OK) {
        return ctl_fail("%s", why.text);
    }
    return change_print(&common, member.name, "joined", answer);
}

/* A name becomes part of a URL: it must not be more than a name. */
static bool name_is_plain(const char *name)
{
    size_t plain = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-");

    return plain > 0 && plain <= RING_NAME_SIZE_MAX && name[plain] == '\0' &&
           name[0] != '.';
}

enum err ring_leave(const struct env *env, const struct ring_options *options,
                    const char *name, json_t **answer, struct why *why)
{
    char path[128];

    (void)snprintf(path, sizeof path, "/v1/members/%s", name);
    struct ask ask = {.method = "DELETE",
                      .server = options->ringd,
                      .path = path,
                      .timeout_ms = options->timeout};

    return ask_ringd(env, &ask, answer, why);
}

int ring_remove_run(const struct env *env, int argc, char **argv)
{
    struct ring_options options;
    struct option_texts operands = {.count = 0};
    struct ctl_arguments arguments = {
        .table = &ring_remove_table,
        .options = &options,
        .operands = &operands,
        .operands_min = 1,
        .operands_max = 1,
        .operands_help = "NAME",
    };
    struct why why = {""};
    json_t *answer = NULL;
    int status = CTL_OK;

    if (!ctl_parse(&arguments, argc, argv, &status)) {
        return status;
    }
    if (!name_is_plain(operands.at[0])) {
        return ctl_fail("\"%.80s\" is no name of a shard: allowed are 1 to %d "
                        "of a-z 0-9 . -",
                        operands.at[0], RING_NAME_SIZE_MAX);
    }
    if (ring_leave(env, &options, operands.at[0], &answer, &why) != ERR_OK) {
        return ctl_fail("%s", why.text);
    }
    return change_print(&options, operands.at[0], "left", answer);
}
