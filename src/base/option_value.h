/* option_value.h -- one setting's value: from text, to text, into its field.
 *
 * Private to option*.c.
 */
#ifndef BASE_OPTION_VALUE_H
#define BASE_OPTION_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/option.h"

enum { OPTION_WORDS_SIZE_MAX = 96, OPTION_NAME_SIZE_MAX = 64 };

/* Words like "64m", "8m to 1t", "5s". */
struct option_words {
    char text[OPTION_WORDS_SIZE_MAX];
};

/* Whether the field is a uint64_t. */
bool option_is_number(enum option_kind kind);

/* Where in *options the setting lives. */
uint64_t *option_number(const struct option_spec *spec, void *options);

/* Reads a value of the setting's kind and writes it to its field; TEXTS gets
 * one more.  Refusals name the label (the flag or variable as the user wrote
 * it), the value and what is allowed; the field is then unchanged.
 * ERR_SYNTAX, ERR_RANGE, ERR_LIMIT (too many texts). */
enum err option_assign(const struct option_spec *spec, void *options,
                       const char *label, const char *value, struct why *why);

void option_assign_preset(const struct option_spec *spec, void *options);

/* "" for a text without a preset. */
struct option_words option_preset_words(const struct option_spec *spec);
struct option_words option_allowed_words(const struct option_spec *spec);

/* What stands for a value of this kind in --help: "SIZE", "TIME". */
const char *option_placeholder(enum option_kind kind);

/* --memory-limit. */
struct option_words option_long_flag(const struct option_spec *spec);

/* TORC_MEMORY_LIMIT. */
struct option_words option_variable(const struct option_spec *spec);

#endif
