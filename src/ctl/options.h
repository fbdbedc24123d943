/* options.h -- the settings of each subcommand, from its .def tables. */
#ifndef CTL_OPTIONS_H
#define CTL_OPTIONS_H

#include "base/option.h"

#define OPTION(kind, name, letter, preset, min, max, help) \
    OPTION_FIELD_##kind(name);

struct up_options {
#include "ctl/up.def"
};

struct ring_options {
#include "ctl/ring.def"
};

struct ring_add_options {
#include "ctl/ring.def"
#include "ctl/ring_add.def"
};

struct kv_options {
#include "ctl/kv.def"
};

struct kv_set_options {
#include "ctl/kv.def"
#include "ctl/kv_set.def"
};

#undef OPTION

extern const struct option_table up_options_table;
extern const struct option_table ring_show_table;
extern const struct option_table ring_explain_table;
extern const struct option_table ring_add_table;
extern const struct option_table ring_remove_table;
extern const struct option_table kv_get_table;
extern const struct option_table kv_set_table;
extern const struct option_table kv_delete_table;
extern const struct option_table kv_stats_table;

#endif
