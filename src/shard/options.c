#include "shard/options.h"

static const struct option_spec specs[] = {
#define OPTION(kind, name, letter, preset, min, max, help)                  \
    OPTION_ROW_##kind(struct shard_options, name, letter, preset, min, max, \
                      help),
#include "shard/options.def"
#undef OPTION
};

static const struct option_legacy legacy[] = {
#define LEGACY(letter, name, takes_value) {letter, name, takes_value},
#include "shard/legacy.def"
#undef LEGACY
};

static const struct option_table table = {
    .program = "torc-shard",
    .synopsis =
        "One cache server. Alone it is a drop-in memcached; with --ringd it\n"
        "serves its share of a ring.\n\n"
        "  torc-shard -m 1024 -t 4\n"
        "  torc-shard --name shard-0 --ringd http://127.0.0.1:9160\n",
    .specs = specs,
    .spec_count = sizeof specs / sizeof specs[0],
    .legacy = legacy,
    .legacy_count = sizeof legacy / sizeof legacy[0],
};

const struct option_table *shard_option_table(void)
{
    return &table;
}
