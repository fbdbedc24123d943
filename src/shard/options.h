/* options.h -- torc-shard's settings, generated from options.def. */
#ifndef SHARD_OPTIONS_H
#define SHARD_OPTIONS_H

#include "base/option.h"

struct shard_options {
#define OPTION(kind, name, letter, preset, min, max, help) \
    OPTION_FIELD_##kind(name);
#include "shard/options.def"
#undef OPTION
};

const struct option_table *shard_option_table(void);

#endif
