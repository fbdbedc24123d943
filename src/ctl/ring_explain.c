/* torc ring explain: from a key to the shard that owns it. */
#include <inttypes.h>
#include <stdio.h>

#include "core/slot.h"
#include "ctl/ctl.h"
#include "ctl/ring.h"

struct trail {
    const char *key;
    uint64_t hash;
    uint16_t slot;
    uint32_t tenure;
    const struct ring_member *owner; /* NULL: the ring is empty */
};

static void trail_follow(struct trail *trail, const struct ring *ring,
                         const char *key)
{
    uint64_t hash = key_hash(slice_of(key));
    uint16_t slot = slot_of(hash);
    uint16_t owner = ring->owner[slot];

    *trail = (struct trail){
        .key = key,
        .hash = hash,
        .slot = slot,
        .tenure = ring->tenure[slot],
        .owner = owner == RING_NOBODY ? NULL : &ring->members[owner],
    };
}

static void trail_print(const struct trail *trail, const struct ring *ring)
{
    printf("key      %s\n", trail->key);
    printf("hash     0x%016" PRIx64 "   XXH3 of the key\n", trail->hash);
    printf("slot     %-18u   its first 14 bits\n", trail->slot);
    if (trail->owner == NULL) {
        printf("owner    nobody: the ring of epoch %u has no members\n",
               ring->epoch);
        return;
    }
    printf("tenure   %-18u   the epoch since which the owner has it\n",
           trail->tenure);
    printf("owner    %-18s   %s, in epoch %u\n", trail->owner->name,
           member_state_name(trail->owner->state), ring->epoch);
    printf("address  %s\n", trail->owner->address);
}

static void trail_print_json(const struct trail *trail, const struct ring *ring)
{
    char hash[17];

    /* As text: 64 bits do not survive every JSON reader's numbers. */
    (void)snprintf(hash, sizeof hash, "%016" PRIx64, trail->hash);
    ring_print_json(json_pack(
        "{s:s?, s:s, s:i, s:I, s:I, s:s?, s:s?, s:s?}", "key", trail->key,
        "hash", hash, "slot", (int)trail->slot, "epoch",
        (json_int_t)ring->epoch, "tenure", (json_int_t)trail->tenure, "owner",
        trail->owner != NULL ? trail->owner->name : NULL, "state",
        trail->owner != NULL ? member_state_name(trail->owner->state) : NULL,
        "address", trail->owner != NULL ? trail->owner->address : NULL));
}

int ring_explain_run(const struct env *env, int argc, char **argv)
{
    struct ring_options options;
    struct option_texts operands = {.count = 0};
    struct ctl_arguments arguments = {
        .table = &ring_explain_table,
        .options = &options,
        .operands = &operands,
        .operands_min = 1,
        .operands_max = 1,
        .operands_help = "KEY",
    };
    struct why why = {""};
    struct ring *ring = NULL;
    struct trail trail;
    int status = CTL_OK;

    if (!ctl_parse(&arguments, argc, argv, &status)) {
        return status;
    }
    if (ring_fetch(env, &options, &ring, NULL, &why) != ERR_OK) {
        return ctl_fail("%s", why.text);
    }
    trail_follow(&trail, ring, operands.at[0]);
    if (options.json) {
        trail_print_json(&trail, ring);
    } else {
        trail_print(&trail, ring);
    }
    ring_unref(&ring);
    return CTL_OK;
}
