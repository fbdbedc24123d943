#include "base/rand.h"

#include "base/check.h"

static uint64_t rotate_left(uint64_t value, unsigned count)
{
    return value << count | value >> (64 - count);
}

/* splitmix64: spreads a seed of few bits over the whole state, which must not
 * be all zero. */
static uint64_t seed_next(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void rand_init(struct rand *rand, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        rand->state[i] = seed_next(&seed);
    }
}

uint64_t rand_u64(struct rand *rand)
{
    uint64_t *s = rand->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

__extension__ typedef unsigned __int128 wide;

/* The high half of a 64 x 64 bit product is nearly uniform below bound; the
 * few draws that would favour some results show in the low half and are drawn
 * again (Lemire, 2019). */
uint64_t rand_below(struct rand *rand, uint64_t bound)
{
    check(bound > 0);
    uint64_t unfair = -bound % bound;
    wide product;

    do {
        product = (wide)rand_u64(rand) * bound;
    } while ((uint64_t)product < unfair);
    return (uint64_t)(product >> 64);
}

double rand_unit(struct rand *rand)
{
    return (double)(rand_u64(rand) >> 11) * 0x1.0p-53;
}
