#include "base/option.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/option_name.h"
#include "base/option_value.h"
#include "base/slice.h"

enum { OPTION_SPECS_MAX = 128 };

/* Where the walk over argv is. */
struct parse {
    const struct option_table *table;
    void *options;
    int argc;
    char *const *argv;
    int next; /* the argument after the current one */
    struct option_texts *operands;
    bool given[OPTION_SPECS_MAX]; /* by a flag, not only by a variable */
    struct why *why;
    struct why *notice;
};

/* A table that contradicts itself is a bug that the first start must show. */
static void table_check(const struct option_table *table)
{
    check(table->spec_count <= OPTION_SPECS_MAX);
    for (size_t i = 0; i < table->spec_count; i++) {
        const struct option_spec *spec = &table->specs[i];

        check(strlen(spec->name) <= OPTION_NAME_SIZE_MAX);
        check(option_find(table, slice_of(spec->name)) == spec);
        check(spec->letter == 0 ||
              option_find_letter(table, spec->letter) == spec);
        check(option_find_legacy_letter(table, spec->letter) == NULL);
        /* These two are every program's. */
        check(spec->letter != 'h' && spec->letter != 'V');
        if (option_is_number(spec->kind)) {
            check(spec->min <= spec->preset && spec->preset <= spec->max);
        }
    }
}

void option_presets(const struct option_table *table, void *options)
{
    table_check(table);
    for (size_t i = 0; i < table->spec_count; i++) {
        option_assign_preset(&table->specs[i], options);
    }
}

enum err option_set(const struct option_table *table, void *options,
                    const char *name, const char *value, struct why *why)
{
    const struct option_spec *spec = option_find(table, slice_of(name));

    if (spec == NULL) {
        struct option_words near = option_nearest(table, slice_of(name));

        return err_why(why, ERR_UNKNOWN, "no option \"%.128s\"%s%s", name,
                       near.text[0] != '\0' ? "; did you mean " : "",
                       near.text);
    }
    return option_assign(spec, options, option_long_flag(spec).text, value,
                         why);
}

static enum option_outcome refuse(struct parse *parse, const char *flag,
                                  struct slice name)
{
    struct option_words near = option_nearest(parse->table, name);

    (void)err_why(parse->why, ERR_UNKNOWN,
                  "unknown flag \"%.128s\"%s%s; --help lists all", flag,
                  near.text[0] != '\0' ? "; did you mean " : "", near.text);
    return OPTION_REFUSED;
}

/* Kubernetes gives every container TORC_PORT=tcp://... when a Service is called
 * torc: no setting of ours, and no reason to refuse to start. */
static bool is_service_link(const struct option_spec *spec, const char *value)
{
    return spec->kind == OPTION_UINT && strncmp(value, "tcp://", 6) == 0;
}

static enum option_outcome environment_parse(const struct option_table *table,
                                             void *options, struct why *why)
{
    for (size_t i = 0; i < table->spec_count; i++) {
        const struct option_spec *spec = &table->specs[i];
        struct option_words variable = option_variable(spec);
        const char *value = getenv(variable.text);

        if (value == NULL || value[0] == '\0' || is_service_link(spec, value)) {
            continue;
        }
        if (spec->kind == OPTION_TEXTS) {
            /* The variable stands in for the preset, not beside it. */
            struct option_spec bare = *spec;

            bare.preset_text = NULL;
            option_assign_preset(&bare, options);
        }
        if (option_assign(spec, options, variable.text, value, why) != ERR_OK) {
            return OPTION_REFUSED;
        }
    }
    return OPTION_PARSED;
}

/* The first flag for a setting sets aside what the environment or the preset
 * said, where flags otherwise add up. */
static void flag_begin(struct parse *parse, const struct option_spec *spec)
{
    size_t index = (size_t)(spec - parse->table->specs);

    if (parse->given[index]) {
        return;
    }
    parse->given[index] = true;
    if (spec->kind == OPTION_TEXTS) {
        struct option_spec bare = *spec;

        bare.preset_text = NULL;
        option_assign_preset(&bare, parse->options);
    } else if (spec->kind == OPTION_COUNT) {
        option_assign_preset(spec, parse->options);
    }
}

static enum option_outcome flag_assign(struct parse *parse,
                                       const struct option_spec *spec,
                                       const char *label, const char *value)
{
    flag_begin(parse, spec);
    return option_assign(spec, parse->options, label, value, parse->why) ==
                   ERR_OK
               ? OPTION_PARSED
               : OPTION_REFUSED;
}

/* The next word, or NULL if there is none. */
static const char *word_take(struct parse *parse)
{
    return parse->next < parse->argc ? parse->argv[parse->next++] : NULL;
}

static enum option_outcome value_take(struct parse *parse,
                                      const struct option_spec *spec,
                                      const char *label)
{
    const char *value = word_take(parse);

    if (value == NULL) {
        (void)err_why(parse->why, ERR_SYNTAX, "%s needs a value; allowed: %s",
                      label, option_allowed_words(spec).text);
        return OPTION_REFUSED;
    }
    return flag_assign(parse, spec, label, value);
}

/* Names one more flag in the notice; what does not fit is left out, since the
 * notice is a courtesy. */
static void notice_add(struct parse *parse, const char *flag, size_t size)
{
    if (parse->notice == NULL) {
        return;
    }
    char *text = parse->notice->text;
    size_t used = strlen(text);
    const char *lead = used == 0 ? "accepted, without effect here: " : ", ";

    if (used + strlen(lead) + size < sizeof parse->notice->text) {
        (void)snprintf(text + used, sizeof parse->notice->text - used, "%s%.*s",
                       lead, (int)size, flag);
    }
}

static enum option_outcome legacy_value_take(struct parse *parse,
                                             const char *label, size_t size)
{
    if (word_take(parse) == NULL) {
        (void)err_why(parse->why, ERR_SYNTAX, "%.*s needs a value", (int)size,
                      label);
        return OPTION_REFUSED;
    }
    return OPTION_PARSED;
}

static enum option_outcome long_legacy(struct parse *parse, const char *flag,
                                       struct slice name, const char *value)
{
    const struct option_legacy *legacy = option_find_legacy(parse->table, name);

    if (legacy == NULL) {
        return refuse(parse, flag, name);
    }
    notice_add(parse, flag, name.size + 2);
    if (legacy->takes_value && value == NULL) {
        return legacy_value_take(parse, flag, name.size + 2);
    }
    return OPTION_PARSED;
}

static enum option_outcome long_parse(struct parse *parse, const char *flag)
{
    const char *equals = strchr(flag, '=');
    const char *value = equals != NULL ? equals + 1 : NULL;
    struct slice name = {
        flag + 2,
        equals != NULL ? (size_t)(equals - flag) - 2 : strlen(flag + 2),
    };
    const struct option_spec *spec = option_find(parse->table, name);

    if (spec == NULL && slice_equal(name, SLICE("help"))) {
        return OPTION_HELP;
    }
    if (spec == NULL && slice_equal(name, SLICE("version"))) {
        return OPTION_VERSION;
    }
    if (spec == NULL) {
        return long_legacy(parse, flag, name, value);
    }
    struct option_words label = option_long_flag(spec);

    if (value != NULL) {
        return flag_assign(parse, spec, label.text, value);
    }
    if (spec->kind == OPTION_FLAG) {
        return flag_assign(parse, spec, label.text, "yes");
    }
    return value_take(parse, spec, label.text);
}

static void count_up(struct parse *parse, const struct option_spec *spec)
{
    flag_begin(parse, spec);
    uint64_t *count = option_number(spec, parse->options);

    *count += *count < spec->max;
}

/* A letter of no setting.  *rest is set to "" when its value used it up. */
static enum option_outcome letter_other(struct parse *parse, const char *label,
                                        const char **rest)
{
    char letter = label[1];
    const struct option_legacy *legacy =
        option_find_legacy_letter(parse->table, letter);

    if (legacy == NULL) {
        return letter == 'h'   ? OPTION_HELP
               : letter == 'V' ? OPTION_VERSION
                               : refuse(parse, label, SLICE(""));
    }
    notice_add(parse, label, 2);
    if (!legacy->takes_value) {
        return OPTION_PARSED;
    }
    if (**rest == '\0') {
        return legacy_value_take(parse, label, 2);
    }
    *rest = "";
    return OPTION_PARSED;
}

/* "-v", "-vv", "-m64", "-vm 64": letters without a value, then at most one
 * with, which takes what is left of the word or else the next word. */
static enum option_outcome letters_parse(struct parse *parse, const char *rest)
{
    enum option_outcome outcome = OPTION_PARSED;

    while (*rest != '\0' && outcome == OPTION_PARSED) {
        const char label[] = {'-', *rest++, '\0'};
        const struct option_spec *spec =
            option_find_letter(parse->table, label[1]);

        if (spec == NULL) {
            outcome = letter_other(parse, label, &rest);
        } else if (spec->kind == OPTION_COUNT) {
            count_up(parse, spec);
        } else if (spec->kind == OPTION_FLAG) {
            outcome = flag_assign(parse, spec, label, "yes");
        } else if (*rest != '\0') {
            return flag_assign(parse, spec, label, rest);
        } else {
            return value_take(parse, spec, label);
        }
    }
    return outcome;
}

static enum option_outcome operand_add(struct parse *parse, const char *operand)
{
    struct option_texts *operands = parse->operands;

    if (operands == NULL) {
        (void)err_why(parse->why, ERR_SYNTAX,
                      "\"%.128s\" is no flag; --help lists all", operand);
        return OPTION_REFUSED;
    }
    if (operands->count == OPTION_TEXTS_MAX) {
        (void)err_why(parse->why, ERR_LIMIT,
                      "\"%.128s\" is one too many; allowed: %d", operand,
                      OPTION_TEXTS_MAX);
        return OPTION_REFUSED;
    }
    operands->at[operands->count++] = operand;
    return OPTION_PARSED;
}

static enum option_outcome argument_parse(struct parse *parse, char *argument)
{
    if (strcmp(argument, "--") == 0) {
        enum option_outcome outcome = OPTION_PARSED;

        while (outcome == OPTION_PARSED && parse->next < parse->argc) {
            outcome = operand_add(parse, parse->argv[parse->next++]);
        }
        return outcome;
    }
    if (strncmp(argument, "--", 2) == 0) {
        return long_parse(parse, argument);
    }
    if (argument[0] == '-' && argument[1] != '\0') {
        return letters_parse(parse, argument + 1);
    }
    return operand_add(parse, argument);
}

enum option_outcome option_parse(const struct option_table *table,
                                 void *options, int argc, char *const *argv,
                                 struct option_texts *operands, struct why *why,
                                 struct why *notice)
{
    struct parse parse = {
        .table = table,
        .options = options,
        .argc = argc,
        .argv = argv,
        .next = 1,
        .operands = operands,
        .why = why,
        .notice = notice,
    };

    if (notice != NULL) {
        notice->text[0] = '\0';
    }
    if (operands != NULL) {
        operands->count = 0;
    }
    option_presets(table, options);
    /* A bad variable must not keep --help from being read, so its refusal
     * waits until the flags are through. */
    struct why variable_why = {""};
    enum option_outcome environment =
        environment_parse(table, options, &variable_why);

    while (parse.next < argc) {
        enum option_outcome outcome =
            argument_parse(&parse, argv[parse.next++]);

        if (outcome != OPTION_PARSED) {
            return outcome;
        }
    }
    if (environment != OPTION_PARSED && why != NULL) {
        *why = variable_why;
    }
    return environment;
}
