#include "ringd/options.h"

static const struct option_spec specs[] = {
#define OPTION(kind, name, letter, preset, min, max, help)                  \
    OPTION_ROW_##kind(struct ringd_options, name, letter, preset, min, max, \
                      help),
#include "ringd/options.def"
#undef OPTION
};

static const struct option_table table = {
    .program = "torc-ringd",
    .synopsis =
        "The ring manager: decides which shard owns which slot, keeps each\n"
        "decision as a numbered epoch, and pushes it to shards and routers.\n\n"
        "  torc-ringd --member shard-0=10.0.0.1:11211\n"
        "  torc-ringd --listen 0.0.0.0:9160 --members-file members.txt\n"
        "  curl -N 'http://127.0.0.1:9160/v1/ring?watch=1'\n",
    .specs = specs,
    .spec_count = sizeof specs / sizeof specs[0],
};

const struct option_table *ringd_option_table(void)
{
    return &table;
}
