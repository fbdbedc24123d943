#include "core/slot.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t key_hash(struct slice key)
{
    return XXH3_64bits(key.at, key.size);
}
