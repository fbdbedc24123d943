#include "base/option_name.h"

#include <stdio.h>

static char dashed(char byte)
{
    return (char)(byte == '_' ? '-' : byte);
}

static bool name_equal(const char *known, struct slice name)
{
    size_t size = strlen(known);

    if (size != name.size) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (dashed(known[i]) != dashed(name.at[i])) {
            return false;
        }
    }
    return true;
}

const struct option_spec *option_find(const struct option_table *table,
                                      struct slice name)
{
    for (size_t i = 0; i < table->spec_count; i++) {
        if (name_equal(table->specs[i].name, name)) {
            return &table->specs[i];
        }
    }
    return NULL;
}

const struct option_spec *option_find_letter(const struct option_table *table,
                                             char letter)
{
    for (size_t i = 0; i < table->spec_count; i++) {
        if (letter != 0 && table->specs[i].letter == letter) {
            return &table->specs[i];
        }
    }
    return NULL;
}

const struct option_legacy *option_find_legacy(const struct option_table *table,
                                               struct slice name)
{
    for (size_t i = 0; i < table->legacy_count; i++) {
        const struct option_legacy *legacy = &table->legacy[i];

        if (legacy->name != NULL && name_equal(legacy->name, name)) {
            return legacy;
        }
    }
    return NULL;
}

const struct option_legacy *
option_find_legacy_letter(const struct option_table *table, char letter)
{
    for (size_t i = 0; i < table->legacy_count; i++) {
        if (letter != 0 && table->legacy[i].letter == letter) {
            return &table->legacy[i];
        }
    }
    return NULL;
}

static size_t least(size_t a, size_t b, size_t c)
{
    size_t lesser = a < b ? a : b;

    return lesser < c ? lesser : c;
}

/* How many letters must be changed, added or left out to make one name of the
 * other; both are at most OPTION_NAME_SIZE_MAX long. */
static size_t name_distance(struct slice a, struct slice b)
{
    size_t row[OPTION_NAME_SIZE_MAX + 1];

    for (size_t column = 0; column <= b.size; column++) {
        row[column] = column;
    }
    for (size_t i = 0; i < a.size; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t k = 0; k < b.size; k++) {
            bool differ = dashed(a.at[i]) != dashed(b.at[k]);
            size_t above = row[k + 1];

            row[k + 1] = least(row[k] + 1, above + 1, diagonal + differ);
            diagonal = above;
        }
    }
    return row[b.size];
}

struct option_words option_nearest(const struct option_table *table,
                                   struct slice name)
{
    struct option_words words = {""};
    /* More than every third letter wrong is another word, not a slip. */
    size_t best = name.size / 3 + 1;

    if (name.size > OPTION_NAME_SIZE_MAX) {
        return words;
    }
    for (size_t i = 0; i < table->spec_count; i++) {
        const struct option_spec *spec = &table->specs[i];
        size_t distance = name_distance(name, slice_of(spec->name));

        if (distance <= best) {
            /* Of equally near ones the first in the table. */
            best = distance - (distance > 0);
            words = option_long_flag(spec);
        }
    }
    return words;
}
