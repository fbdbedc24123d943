#include "router/options.h"

static const struct option_spec specs[] = {
#define OPTION(kind, name, letter, preset, min, max, help)                   \
    OPTION_ROW_##kind(struct router_options, name, letter, preset, min, max, \
                      help),
#include "router/options.def"
#undef OPTION
};

static const struct option_legacy legacy[] = {
    {'U', "udp-port", true},
    {'u', "user", true},
    {'o', "extended", true},
};

static const struct option_table table = {
    .program = "torc-router",
    .synopsis =
        "Takes memcached clients, hashes each key onto the ring, and sends "
        "the\n"
        "request to the shard that owns it. Stateless: start as many as "
        "needed.\n\n"
        "  torc-router --ringd http://127.0.0.1:9160\n"
        "  torc-router --backend 127.0.0.1:11311 --backend 127.0.0.1:11312\n",
    .specs = specs,
    .spec_count = sizeof specs / sizeof specs[0],
    .legacy = legacy,
    .legacy_count = sizeof legacy / sizeof legacy[0],
};

const struct option_table *router_option_table(void)
{
    return &table;
}
