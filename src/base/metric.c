#include "base/metric.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"

void text_init(struct text *text, char *at, size_t capacity)
{
    *text = (struct text){.at = at, .capacity = capacity};
    if (capacity > 0) {
        at[0] = '\0';
    }
}

void text_add(struct text *text, const char *format, ...)
{
    /* After a loss nothing more is added, though it might fit: a page that
     * ends early is honest, one with a hole is not. */
    size_t room = text->lost > 0 ? 0 : text->capacity - text->size;
    va_list arguments;

    va_start(arguments, format);
    int size = vsnprintf(room > 0 ? text->at + text->size : NULL, room, format,
                         arguments);
    va_end(arguments);
    check(size >= 0);
    if ((size_t)size < room) {
        text->size += (size_t)size;
        return;
    }
    text->lost += (size_t)size;
    if (room > 0) {
        text->at[text->size] = '\0';
    }
}

struct slice text_slice(const struct text *text)
{
    return (struct slice){text->at, text->size};
}

void metric_sum(uint64_t *sums, size_t count, metric_t *const *workers,
                size_t worker_count)
{
    for (size_t i = 0; i < count; i++) {
        sums[i] = 0;
        for (size_t worker = 0; worker < worker_count; worker++) {
            sums[i] += metric_get(&workers[worker][i]);
        }
    }
}

/* A help text may hold anything but must stay on its line. */
static void help_add(struct text *out, const char *full_name, const char *help)
{
    text_add(out, "# HELP %s ", full_name);
    for (; *help != '\0'; help++) {
        switch (*help) {
        case '\\': text_add(out, "\\\\"); break;
        case '\n': text_add(out, "\\n"); break;
        default: text_add(out, "%c", *help); break;
        }
    }
    text_add(out, "\n");
}

void metric_prometheus_one(struct text *out, enum metric_kind kind,
                           const char *full_name, const char *help,
                           uint64_t value)
{
    help_add(out, full_name, help);
    text_add(out, "# TYPE %s %s\n%s %" PRIu64 "\n", full_name,
             kind == METRIC_COUNTER ? "counter" : "gauge", full_name, value);
}

void metric_prometheus(struct text *out, const char *role,
                       const struct metric_spec *specs, const uint64_t *values,
                       size_t count)
{
    char full_name[METRIC_NAME_SIZE_MAX];

    for (size_t i = 0; i < count; i++) {
        int size = snprintf(full_name, sizeof full_name, "torc_%s_%s%s", role,
                            specs[i].name,
                            specs[i].kind == METRIC_COUNTER ? "_total" : "");

        check(size > 0 && (size_t)size < sizeof full_name);
        metric_prometheus_one(out, specs[i].kind, full_name, specs[i].help,
                              values[i]);
    }
}
