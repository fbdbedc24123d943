#include "ctl/options.h"

#include "proto/limits.h"

#define OPTION(kind, name, letter, preset, min, max, help) \
    OPTION_ROW_##kind(OWNER, name, letter, preset, min, max, help),

#define OWNER struct up_options
static const struct option_spec up_specs[] = {
#include "ctl/up.def"
};
#undef OWNER

#define OWNER struct ring_options
static const struct option_spec ring_specs[] = {
#include "ctl/ring.def"
};
#undef OWNER

#define OWNER struct ring_add_options
static const struct option_spec ring_add_specs[] = {
#include "ctl/ring.def"
#include "ctl/ring_add.def"
};
#undef OWNER

#define OWNER struct kv_options
static const struct option_spec kv_specs[] = {
#include "ctl/kv.def"
};
#undef OWNER

#define OWNER struct kv_set_options
static const struct option_spec kv_set_specs[] = {
#include "ctl/kv.def"
#include "ctl/kv_set.def"
};
#undef OWNER

#undef OPTION

#define TABLE(object, of, called, words)            \
    const struct option_table object = {            \
        .program = (called),                        \
        .synopsis = (words),                        \
        .specs = (of),                              \
        .spec_count = sizeof(of) / sizeof((of)[0]), \
    }

TABLE(up_options_table, up_specs, "torc up",
      "Starts a whole cluster on 127.0.0.1: one ringd, some shards, one\n"
      "router. Shows what runs where, serves until Ctrl-C, stops all of it.\n\n"
      "  torc up                         three shards, clients at :11211\n"
      "  torc up --shards 5 -m 256       more, and more memory for each\n"
      "  torc up --port 0 --ringd-port 0 beside another cluster\n"
      "  torc up --dir ~/torc            keep the ring and the logs there\n"
      "  torc up --demo                  drive traffic, add a shard, report");

TABLE(ring_show_table, ring_specs, "torc ring show",
      "Draws the ring: who owns what share, in which state, and who has\n"
      "acknowledged the epoch in force.\n\n"
      "  torc ring show\n"
      "  torc ring show --ringd http://10.0.0.7:9160\n"
      "  torc ring show --json | jq .ring.epoch");

TABLE(ring_explain_table, ring_specs, "torc ring explain",
      "Follows a key to its hash, its slot, the shard that owns it and that\n"
      "shard's address.\n\n"
      "  torc ring explain user:42");

TABLE(ring_add_table, ring_add_specs, "torc ring add",
      "Lets a shard join the ring. It should be running already, with the\n"
      "same --name.\n\n"
      "  torc ring add shard-3 127.0.0.1:11314\n"
      "  torc ring add shard-4 10.0.0.9:11211 --weight 2 --zone b");

TABLE(ring_remove_table, ring_specs, "torc ring remove",
      "Lets a shard leave the ring; its slots go to the others.\n\n"
      "  torc ring remove shard-3");

TABLE(kv_get_table, kv_specs, "torc get",
      "Prints the value of a key; of several keys, each after its key and a\n"
      "tab. Exits 0 if all were there, 1 if one was not.\n\n"
      "  torc get greeting\n"
      "  torc get --json user:1 user:2\n"
      "  torc get --server 10.0.0.7:11211 greeting");

TABLE(kv_set_table, kv_set_specs, "torc set",
      "Stores a value; the value - is read from standard input.\n\n"
      "  torc set greeting hello\n"
      "  torc set --ttl 5m session:9 '{\"user\":42}'\n"
      "  torc set page:home - < index.html\n"
      "  torc set -- number -5           a value that begins with a dash");

TABLE(kv_delete_table, kv_specs, "torc delete",
      "Deletes a key. Exits 0 if it was there, 1 if it was not.\n\n"
      "  torc delete greeting");

TABLE(kv_stats_table, kv_specs, "torc stats",
      "Prints a server's counters, or one group of them.\n\n"
      "  torc stats\n"
      "  torc stats items\n"
      "  torc stats --server 127.0.0.1:11311");

#undef TABLE
