/* drive_options.c -- the driver's flags: --name value, each checked. */
#include "support/drive.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"

struct flag {
    const char *name;
    double min, max;
    /* One of these. */
    uint64_t *number;
    double *real;
    bool *truth; /* takes no value */
    const char **text;
};

static const char *const kind_names[DRIVE_KIND_COUNT] = {
    [DRIVE_GET] = "get", [DRIVE_GETS] = "gets", [DRIVE_SET] = "set",
    [DRIVE_ADD] = "add", [DRIVE_CAS] = "cas",   [DRIVE_DELETE] = "delete"};

/* "get=0.9,set=0.1"; what is left to 1 is get. */
static bool mix_read(struct drive_plan *plan, const char *text)
{
    while (*text != '\0') {
        const char *equals = strchr(text, '=');
        char *end = NULL;
        int kind = 0;

        if (equals == NULL) {
            return false;
        }
        struct slice name = {text, (size_t)(equals - text)};

        while (kind < DRIVE_KIND_COUNT &&
               !slice_equal(name, slice_of(kind_names[kind]))) {
            kind++;
        }
        if (kind == DRIVE_KIND_COUNT) {
            return false;
        }
        plan->share[kind] = strtod(equals + 1, &end);
        if (end == equals + 1 || plan->share[kind] < 0 ||
            plan->share[kind] > 1 || (*end != ',' && *end != '\0')) {
            return false;
        }
        text = *end == ',' ? end + 1 : end;
    }
    return true;
}

static bool flag_set(const struct flag *flag, const char *value)
{
    char *end = NULL;

    if (flag->text != NULL) {
        *flag->text = value;
        return true;
    }
    double number = strtod(value, &end);

    if (end == value || *end != '\0' || number < flag->min ||
        number > flag->max) {
        return false;
    }
    if (flag->real != NULL) {
        *flag->real = number;
    } else {
        *flag->number = (uint64_t)number;
    }
    return true;
}

static const struct flag *flag_find(const struct flag *flags, size_t count,
                                    const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(flags[i].name, word) == 0) {
            return &flags[i];
        }
    }
    return NULL;
}

/* Takes argv[i] and perhaps the next; how many, 0 if it is wrong. */
static int flag_take(const struct flag *flags, size_t count, char **argv)
{
    const struct flag *flag = flag_find(flags, count, argv[0]);

    if (flag == NULL) {
        return 0;
    }
    if (flag->truth != NULL) {
        *flag->truth = true;
        return 1;
    }
    return argv[1] != NULL && flag_set(flag, argv[1]) ? 2 : 0;
}

bool drive_options(struct drive_plan *plan, int argc, char **argv)
{
    const char *mix = "get=0.9,set=0.1";
    const struct flag flags[] = {
        {.name = "--host", .text = &plan->host},
        {.name = "--prefix", .text = &plan->prefix},
        {.name = "--mix", .text = &mix},
        {"--port", 1, 65535, .number = &plan->port},
        {"--operations", 1, 1e12, .number = &plan->operations},
        {"--seconds", 0, 1e5, .real = &plan->seconds},
        {"--rate", 0, 1e9, .real = &plan->rate},
        {"--connections", 1, DRIVE_CONNECTIONS_MAX,
         .number = &plan->connections},
        {"--depth", 1, DRIVE_DEPTH_MAX, .number = &plan->depth},
        {"--keys", 1, 1e8, .number = &plan->keys},
        {"--key-size", 1, 200, .number = &plan->key_size},
        {"--value-size", 16, DRIVE_VALUE_SIZE_MAX / 2,
         .number = &plan->value_size},
        {"--alpha", 0, 10, .real = &plan->alpha},
        {"--seed", 0, 1e12, .number = &plan->seed},
        {.name = "--fill", .truth = &plan->fill},
        {.name = "--tolerant", .truth = &plan->tolerant},
    };

    *plan = (struct drive_plan){.host = "127.0.0.1",
                                .port = 11211,
                                .prefix = "d",
                                .operations = 100000,
                                .seconds = 3600,
                                .connections = 8,
                                .depth = 32,
                                .keys = 100000,
                                .key_size = 20,
                                .value_size = 200,
                                .alpha = 0.9,
                                .seed = 1};
    for (int i = 1; i < argc;) {
        int taken = flag_take(flags, sizeof flags / sizeof flags[0], argv + i);

        if (taken == 0) {
            (void)fprintf(stderr, "drive: bad flag or value: %s\n", argv[i]);
            return false;
        }
        i += taken;
    }
    if (!mix_read(plan, mix) || plan->keys < plan->connections) {
        (void)fprintf(stderr,
                      "drive: bad --mix %s, or fewer --keys than "
                      "--connections\n",
                      mix);
        return false;
    }
    return true;
}
