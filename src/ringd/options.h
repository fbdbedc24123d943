/* options.h -- torc-ringd's settings, generated from options.def. */
#ifndef RINGD_OPTIONS_H
#define RINGD_OPTIONS_H

#include "base/option.h"

struct ringd_options {
#define OPTION(kind, name, letter, preset, min, max, help) \
    OPTION_FIELD_##kind(name);
#include "ringd/options.def"
#undef OPTION
};

const struct option_table *ringd_option_table(void);

#endif
