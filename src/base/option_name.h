/* option_name.h -- finding the row a flag means, and the nearest to one that
 * means none.
 *
 * Private to option*.c.
 */
#ifndef BASE_OPTION_NAME_H
#define BASE_OPTION_NAME_H

#include "base/option.h"
#include "base/option_value.h"
#include "base/slice.h"

/* NULL: none.  '_' and '-' are the same in names. */
const struct option_spec *option_find(const struct option_table *table,
                                      struct slice name);
const struct option_spec *option_find_letter(const struct option_table *table,
                                             char letter);
const struct option_legacy *option_find_legacy(const struct option_table *table,
                                               struct slice name);
const struct option_legacy *
option_find_legacy_letter(const struct option_table *table, char letter);

/* The long flag that was probably meant, or "" if none is near. */
struct option_words option_nearest(const struct option_table *table,
                                   struct slice name);

#endif
