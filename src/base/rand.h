/* rand.h -- a small seeded generator for everything that needs no secrecy:
 * jitter, sampling, tests.  xoshiro256** seeded by splitmix64 (Blackman and
 * Vigna, 2018).  One seed, one sequence, on every machine.
 */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stdint.h>

struct rand {
    uint64_t state[4];
};

void rand_init(struct rand *rand, uint64_t seed);
uint64_t rand_u64(struct rand *rand);
/* Uniform in [0, bound); bound > 0. */
uint64_t rand_below(struct rand *rand, uint64_t bound);
/* Uniform in [0, 1). */
double rand_unit(struct rand *rand);

#endif
