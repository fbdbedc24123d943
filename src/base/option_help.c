#include <stdio.h>
#include <string.h>

#include "base/option.h"
#include "base/option_value.h"
#include "base/slice.h"

enum { HELP_COLUMNS = 80, HELP_INDENT = 8 };

/* Words flow from column to column; a new line starts indented. */
struct flow {
    FILE *out;
    int column; /* 0: nothing on this line yet */
};

static void flow_words(struct flow *flow, const char *text)
{
    while (*text != '\0') {
        int size = (int)strcspn(text, " ");

        if (flow->column > 0 && flow->column + 1 + size >= HELP_COLUMNS) {
            (void)fputc('\n', flow->out);
            flow->column = 0;
        }
        if (flow->column == 0) {
            flow->column = fprintf(flow->out, "%*s", HELP_INDENT, "");
        } else {
            flow->column += fprintf(flow->out, " ");
        }
        flow->column += fprintf(flow->out, "%.*s", size, text);
        text += size;
        text += strspn(text, " ");
    }
}

static void flow_end(struct flow *flow)
{
    if (flow->column > 0) {
        (void)fputc('\n', flow->out);
    }
    flow->column = 0;
}

/* "[preset 5s; 1s to 1h; TORC_REQUEST_TIMEOUT]" */
static void bounds_flow(struct flow *flow, const struct option_spec *spec)
{
    struct option_words preset = option_preset_words(spec);
    struct option_words allowed = {""};
    char bounds[4 * OPTION_WORDS_SIZE_MAX];

    if (option_is_number(spec->kind) && spec->kind != OPTION_FLAG) {
        allowed = option_allowed_words(spec);
    } else if (spec->kind == OPTION_TEXTS) {
        allowed = (struct option_words){"repeatable"};
    }
    (void)snprintf(bounds, sizeof bounds, "[%s%s%s%s; %s]",
                   preset.text[0] != '\0' ? "preset " : "no preset",
                   preset.text, allowed.text[0] != '\0' ? "; " : "",
                   allowed.text, option_variable(spec).text);
    flow_words(flow, bounds);
}

static void option_help_row(const struct option_spec *spec, FILE *out)
{
    struct flow flow = {.out = out};
    bool takes_value = spec->kind != OPTION_FLAG && spec->kind != OPTION_COUNT;

    if (spec->letter != 0) {
        (void)fprintf(out, "  -%c, ", spec->letter);
    } else {
        (void)fputs("      ", out);
    }
    (void)fprintf(out, "%s%s%s\n", option_long_flag(spec).text,
                  takes_value ? " " : "",
                  takes_value ? option_placeholder(spec->kind) : "");
    flow_words(&flow, spec->help);
    flow_end(&flow);
    bounds_flow(&flow, spec);
    flow_end(&flow);
}

static void legacy_help(const struct option_table *table, FILE *out)
{
    struct flow flow = {.out = out};

    (void)fputs("\nAccepted for memcached's sake, without effect:\n", out);
    for (size_t i = 0; i < table->legacy_count; i++) {
        const struct option_legacy *legacy = &table->legacy[i];

        if (legacy->letter != 0) {
            flow_words(&flow, (char[]){'-', legacy->letter, '\0'});
        }
        if (legacy->name != NULL) {
            char flag[OPTION_WORDS_SIZE_MAX];

            (void)snprintf(flag, sizeof flag, "--%s", legacy->name);
            flow_words(&flow, flag);
        }
    }
    flow_end(&flow);
}

void option_help(const struct option_table *table, FILE *out)
{
    (void)fprintf(out, "%s\n\nOptions:\n", table->synopsis);
    for (size_t i = 0; i < table->spec_count; i++) {
        option_help_row(&table->specs[i], out);
    }
    (void)fputs("  -h, --help\n        This text.\n"
                "  -V, --version\n        The version.\n",
                out);
    if (table->legacy_count > 0) {
        legacy_help(table, out);
    }
}
