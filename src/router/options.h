/* options.h -- torc-router's settings, generated from options.def. */
#ifndef ROUTER_OPTIONS_H
#define ROUTER_OPTIONS_H

#include "base/option.h"

struct router_options {
#define OPTION(kind, name, letter, preset, min, max, help) \
    OPTION_FIELD_##kind(name);
#include "router/options.def"
#undef OPTION
};

const struct option_table *router_option_table(void);

#endif
