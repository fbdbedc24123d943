/* slot.h -- from a key to its slot: the part of the ring that everybody must
 * agree on for ever.  slot = XXH3_64bits(key) >> 50, seed 0, 16384 slots.
 * proto/vectors/slots.json has the test vectors.
 */
#ifndef CORE_SLOT_H
#define CORE_SLOT_H

#include <stdint.h>

#include "base/slice.h"
#include "proto/limits.h"

uint64_t key_hash(struct slice key);

static inline uint16_t slot_of(uint64_t hash)
{
    return (uint16_t)(hash >> 50);
}

static inline uint16_t key_slot(struct slice key)
{
    return slot_of(key_hash(key));
}

#endif
