/* option.h -- settings from one table.
 *
 * A role writes its settings down once, in options.def:
 *
 *   OPTION(kind, name, letter, preset, min, max, help)
 *
 * and from that come the struct, the parser of flags and environment, --help
 * and the limit tests.  `name` memory_limit is --memory-limit and
 * TORC_MEMORY_LIMIT; letter 'm' is also -m; letter 0 means no short flag.
 * Flags win over the environment, which wins over the preset.
 *
 * kind          field             on the command line
 * UINT          uint64_t          decimal
 * SIZE          uint64_t bytes    1048576, 1m, 16k, 2g
 * MEBIBYTES     uint64_t bytes    a bare number counts MiB (memcached's -m);
 *                                 preset, min, max are whole KiB
 * DURATION      uint64_t ms       200ms, 5s, 2m; a bare number counts seconds
 * FLAG          uint64_t 0/1      --name, --name=no; -x
 * TEXT          const char *      any; preset NULL or "..."; min, max ignored
 * TEXTS         struct option_texts   repeatable; min, max ignored
 * COUNT         uint64_t          -v -v or -vv: each adds one, up to max; the
 *                                 long form sets
 *
 * In the environment a FLAG is yes or no, TEXTS is one text (nothing is split),
 * and an empty variable is no variable.
 *
 * Long options take "--name value" and "--name=value"; short ones "-m 64",
 * "-m64"; FLAG and COUNT letters may be bundled.  After "--" all is operands.
 * -h and --help, -V and --version are there without a row.
 *
 * What memcached knows and torc does not need is in a second table, of
 * LEGACY(letter, long_name_or_NULL, takes_value): accepted and ignored, with
 * one notice.
 */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

#define KIB          (UINT64_C(1) << 10)
#define MIB          (UINT64_C(1) << 20)
#define GIB          (UINT64_C(1) << 30)
#define TIB          (UINT64_C(1) << 40)
#define MILLISECONDS UINT64_C(1)
#define SECONDS      (1000 * MILLISECONDS)
#define MINUTES      (60 * SECONDS)
#define HOURS        (60 * MINUTES)

enum { OPTION_TEXTS_MAX = 64 };

struct option_texts {
    const char *at[OPTION_TEXTS_MAX];
    size_t count;
};

enum option_kind {
    OPTION_UINT,
    OPTION_SIZE,
    OPTION_MEBIBYTES,
    OPTION_DURATION,
    OPTION_FLAG,
    OPTION_TEXT,
    OPTION_TEXTS,
    OPTION_COUNT,
};

#define OPTION_FIELD_UINT(name)      uint64_t name
#define OPTION_FIELD_SIZE(name)      uint64_t name
#define OPTION_FIELD_MEBIBYTES(name) uint64_t name
#define OPTION_FIELD_DURATION(name)  uint64_t name
#define OPTION_FIELD_FLAG(name)      uint64_t name
#define OPTION_FIELD_TEXT(name)      const char *name
#define OPTION_FIELD_TEXTS(name)     struct option_texts name
#define OPTION_FIELD_COUNT(name)     uint64_t name

/* One row, made from the .def by OPTION_ROW_<kind>(owner, ...). */
struct option_spec {
    enum option_kind kind;
    const char *name; /* as in the struct: memory_limit */
    char letter;
    size_t offset;
    uint64_t preset, min, max;
    const char *preset_text;
    const char *help;
};

#define OPTION_ROW_NUMBER(k, owner, n, l, p, lo, hi, h)                       \
    {                                                                         \
        .kind = (k), .name = #n, .letter = (l), .offset = offsetof(owner, n), \
        .preset = (p), .min = (lo), .max = (hi), .help = (h)                  \
    }
#define OPTION_ROW_WORDS(k, owner, n, l, p, h)                                \
    {                                                                         \
        .kind = (k), .name = #n, .letter = (l), .offset = offsetof(owner, n), \
        .preset_text = (p), .help = (h)                                       \
    }
#define OPTION_ROW_UINT(o, n, l, p, lo, hi, h) \
    OPTION_ROW_NUMBER(OPTION_UINT, o, n, l, p, lo, hi, h)
#define OPTION_ROW_SIZE(o, n, l, p, lo, hi, h) \
    OPTION_ROW_NUMBER(OPTION_SIZE, o, n, l, p, lo, hi, h)
#define OPTION_ROW_MEBIBYTES(o, n, l, p, lo, hi, h) \
    OPTION_ROW_NUMBER(OPTION_MEBIBYTES, o, n, l, p, lo, hi, h)
#define OPTION_ROW_DURATION(o, n, l, p, lo, hi, h) \
    OPTION_ROW_NUMBER(OPTION_DURATION, o, n, l, p, lo, hi, h)
#define OPTION_ROW_FLAG(o, n, l, p, lo, hi, h) \
    OPTION_ROW_NUMBER(OPTION_FLAG, o, n, l, p, lo, hi, h)
#define OPTION_ROW_COUNT(o, n, l, p, lo, hi, h) \
    OPTION_ROW_NUMBER(OPTION_COUNT, o, n, l, p, lo, hi, h)
#define OPTION_ROW_TEXT(o, n, l, p, lo, hi, h) \
    OPTION_ROW_WORDS(OPTION_TEXT, o, n, l, p, h)
#define OPTION_ROW_TEXTS(o, n, l, p, lo, hi, h) \
    OPTION_ROW_WORDS(OPTION_TEXTS, o, n, l, p, h)

struct option_legacy {
    char letter;
    const char *name; /* long form with dashes, or NULL */
    bool takes_value;
};

struct option_table {
    const char *program;  /* "torc-shard" */
    const char *synopsis; /* what it is and an example or two, for --help */
    const struct option_spec *specs;
    size_t spec_count;
    const struct option_legacy *legacy;
    size_t legacy_count;
};

enum option_outcome {
    OPTION_PARSED,
    OPTION_HELP,    /* -h or --help was given: print and exit 0 */
    OPTION_VERSION, /* -V or --version */
    OPTION_REFUSED, /* *why says which flag, which value, what is allowed */
};

/* Fills *options (a struct made from the same .def) from presets, environment
 * and flags.  Operands (words that are no flag) are refused unless operands is
 * given; they are then collected.  Values point into argv and environ.  What
 * was accepted but means nothing here is named in *notice ("" if nothing). */
enum option_outcome option_parse(const struct option_table *table,
                                 void *options, int argc, char *const *argv,
                                 struct option_texts *operands, struct why *why,
                                 struct why *notice);

/* Sets one option by its name with underscores or dashes, checked like a flag.
 * ERR_UNKNOWN, ERR_SYNTAX, ERR_RANGE; *options is then unchanged. */
enum err option_set(const struct option_table *table, void *options,
                    const char *name, const char *value, struct why *why);

void option_presets(const struct option_table *table, void *options);

/* The text of --help, at most 80 columns wide. */
void option_help(const struct option_table *table, FILE *out);

#endif
