#include "base/option_value.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/slice.h"

struct unit {
    const char *suffix;
    uint64_t factor;
};

/* Largest first: writing takes the first that divides the value. */
static const struct unit size_units[] = {
    {"t", TIB}, {"g", GIB}, {"m", MIB}, {"k", KIB}, {"", 1},
};
/* A bare number means something else here, so bytes cannot be said. */
static const struct unit mebibyte_units[] = {
    {"t", TIB},
    {"g", GIB},
    {"m", MIB},
    {"k", KIB},
};
static const struct unit duration_units[] = {
    {"h", HOURS},
    {"m", MINUTES},
    {"s", SECONDS},
    {"ms", MILLISECONDS},
};
static const struct unit plain_units[] = {{"", 1}};

static const struct {
    const char *placeholder;
    const char *what; /* "... is not <what>" */
    const struct unit *units;
    size_t unit_count;
    uint64_t bare; /* what a number without a unit counts */
} kinds[] = {
#define UNITS(units) (units), sizeof(units) / sizeof((units)[0])
    [OPTION_UINT] = {"NUMBER", "a whole number", UNITS(plain_units), 1},
    [OPTION_SIZE] = {"SIZE", "a size, like 512k, 64m or 2g", UNITS(size_units),
                     1},
    [OPTION_MEBIBYTES] = {"MEGABYTES",
                          "a size, like 64 (megabytes), 512k or 2g",
                          UNITS(mebibyte_units), MIB},
    [OPTION_DURATION] = {"TIME", "a time, like 200ms, 5s or 2m",
                         UNITS(duration_units), SECONDS},
    [OPTION_FLAG] = {"yes|no", "yes or no", UNITS(plain_units), 1},
    [OPTION_COUNT] = {"NUMBER", "a whole number", UNITS(plain_units), 1},
    [OPTION_TEXT] = {"TEXT", "a text", NULL, 0, 0},
    [OPTION_TEXTS] = {"TEXT", "a text", NULL, 0, 0},
#undef UNITS
};

bool option_is_number(enum option_kind kind)
{
    return kind != OPTION_TEXT && kind != OPTION_TEXTS;
}

static void *field_of(const struct option_spec *spec, void *options)
{
    return (char *)options + spec->offset;
}

uint64_t *option_number(const struct option_spec *spec, void *options)
{
    check(option_is_number(spec->kind));
    return field_of(spec, options);
}

/* What the unit counts, or 0 if the kind has no such unit. */
static uint64_t unit_factor(enum option_kind kind, struct slice suffix)
{
    if (suffix.size == 0) {
        return kinds[kind].bare;
    }
    for (size_t i = 0; i < kinds[kind].unit_count; i++) {
        const struct unit *unit = &kinds[kind].units[i];

        if (suffix.size == strlen(unit->suffix) &&
            strncasecmp(suffix.at, unit->suffix, suffix.size) == 0) {
            return unit->factor;
        }
    }
    return 0;
}

static bool flag_read(const char *text, uint64_t *out)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {
        {"yes", true}, {"no", false},  {"true", true}, {"false", false},
        {"on", true},  {"off", false}, {"1", true},    {"0", false},
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

/* ERR_RANGE: it is a number, but no field could hold it. */
static enum err number_read(enum option_kind kind, const char *text,
                            uint64_t *out)
{
    size_t digits = strspn(text, "0123456789");
    uint64_t factor = unit_factor(kind, slice_of(text + digits));
    uint64_t value;

    if (kind == OPTION_FLAG) {
        return flag_read(text, out) ? ERR_OK : ERR_SYNTAX;
    }
    if (digits == 0 || factor == 0) {
        return ERR_SYNTAX;
    }
    if (!slice_read_u64((struct slice){text, digits}, UINT64_MAX, &value) ||
        __builtin_mul_overflow(value, factor, &value)) {
        return ERR_RANGE;
    }
    *out = value;
    return ERR_OK;
}

static struct option_words number_words(enum option_kind kind, uint64_t value)
{
    struct option_words words;
    size_t i = 0;

    if (kind == OPTION_FLAG) {
        (void)snprintf(words.text, sizeof words.text, "%s",
                       value != 0 ? "yes" : "no");
        return words;
    }
    while (i + 1 < kinds[kind].unit_count &&
           value % kinds[kind].units[i].factor != 0) {
        i++;
    }
    (void)snprintf(words.text, sizeof words.text, "%" PRIu64 "%s",
                   value / kinds[kind].units[i].factor,
                   value > 0 ? kinds[kind].units[i].suffix : "");
    return words;
}

struct option_words option_preset_words(const struct option_spec *spec)
{
    struct option_words words = {""};

    if (option_is_number(spec->kind)) {
        return number_words(spec->kind, spec->preset);
    }
    if (spec->preset_text != NULL) {
        (void)snprintf(words.text, sizeof words.text, "%s", spec->preset_text);
    }
    return words;
}

struct option_words option_allowed_words(const struct option_spec *spec)
{
    struct option_words words;

    if (!option_is_number(spec->kind) || spec->kind == OPTION_FLAG) {
        (void)snprintf(words.text, sizeof words.text, "%s",
                       kinds[spec->kind].what);
        return words;
    }
    struct option_words low = number_words(spec->kind, spec->min);
    struct option_words high = number_words(spec->kind, spec->max);

    (void)snprintf(words.text, sizeof words.text, "%.32s to %.32s", low.text,
                   high.text);
    return words;
}

static enum err text_append(const struct option_spec *spec, void *options,
                            const char *label, const char *value,
                            struct why *why)
{
    struct option_texts *texts = field_of(spec, options);

    if (texts->count == OPTION_TEXTS_MAX) {
        return err_why(why, ERR_LIMIT,
                       "%s: \"%s\" is one too many; allowed: %d", label, value,
                       OPTION_TEXTS_MAX);
    }
    texts->at[texts->count++] = value;
    return ERR_OK;
}

enum err option_assign(const struct option_spec *spec, void *options,
                       const char *label, const char *value, struct why *why)
{
    uint64_t number;

    if (spec->kind == OPTION_TEXTS) {
        return text_append(spec, options, label, value, why);
    }
    if (spec->kind == OPTION_TEXT) {
        *(const char **)field_of(spec, options) = value;
        return ERR_OK;
    }
    enum err e = number_read(spec->kind, value, &number);

    if (e == ERR_SYNTAX && spec->kind == OPTION_FLAG) {
        return err_why(why, e, "%s: \"%.128s\" is not yes or no", label, value);
    }
    if (e == ERR_SYNTAX) {
        return err_why(why, e, "%s: \"%.128s\" is not %s; allowed: %s", label,
                       value, kinds[spec->kind].what,
                       option_allowed_words(spec).text);
    }
    if (e != ERR_OK || number < spec->min || number > spec->max) {
        return err_why(why, ERR_RANGE,
                       "%s: \"%.128s\" is out of range; allowed: %s", label,
                       value, option_allowed_words(spec).text);
    }
    *option_number(spec, options) = number;
    return ERR_OK;
}

void option_assign_preset(const struct option_spec *spec, void *options)
{
    if (spec->kind == OPTION_TEXTS) {
        struct option_texts *texts = field_of(spec, options);

        *texts = (struct option_texts){.count = spec->preset_text != NULL};
        texts->at[0] = spec->preset_text;
    } else if (spec->kind == OPTION_TEXT) {
        *(const char **)field_of(spec, options) = spec->preset_text;
    } else {
        *option_number(spec, options) = spec->preset;
    }
}

const char *option_placeholder(enum option_kind kind)
{
    return kinds[kind].placeholder;
}

static struct option_words name_words(const char *prefix, const char *name,
                                      int (*convert)(int))
{
    struct option_words words;
    int size = snprintf(words.text, sizeof words.text, "%s%s", prefix, name);

    check(size > 0 && (size_t)size < sizeof words.text);
    for (char *at = words.text + strlen(prefix); *at != '\0'; at++) {
        *at = (char)convert((unsigned char)*at);
    }
    return words;
}

static int dashed(int byte)
{
    return byte == '_' ? '-' : byte;
}

struct option_words option_long_flag(const struct option_spec *spec)
{
    return name_words("--", spec->name, dashed);
}

struct option_words option_variable(const struct option_spec *spec)
{
    return name_words("TORC_", spec->name, toupper);
}
