/* demo_value.h -- values that tell whether they are the right ones.
 *
 * A value is a function of its key and a version, to the last byte, so a value
 * that was cut, mixed up with another or made of protocol lines is found out.
 * Each key has one writer, which counts the versions up; whoever reads knows
 * from the ledger which versions may be seen.  No network, no clock.
 */
#ifndef CTL_DEMO_VALUE_H
#define CTL_DEMO_VALUE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/slice.h"

enum {
    DEMO_KEY_SIZE_MAX = 16,
    DEMO_VALUE_SIZE_MIN = 16, /* key and version, eight hex digits each */
    DEMO_VALUE_SIZE_MAX = 8 << 10,
};

/* "demo:000042"; returns the size, no terminator. */
size_t demo_key_write(char out[static DEMO_KEY_SIZE_MAX], uint32_t key);

/* The client flags that a key's values carry. */
uint32_t demo_flags(uint32_t key);

/* Most values are small, a few large; some contain what looks like an answer
 * of a server.  Returns the size. */
size_t demo_value_write(char out[static DEMO_VALUE_SIZE_MAX], uint32_t key,
                        uint32_t version);

/* False: these are not the bytes of any version of this key. */
bool demo_value_read(struct slice value, uint32_t key, uint32_t *version);

/* What was begun and what was finished, per key.  One thread writes a key's
 * entry, all may read it. */
struct demo_ledger;

enum err demo_ledger_create(const struct mem *mem, uint32_t key_count,
                            struct demo_ledger **out);
void demo_ledger_destroy(struct demo_ledger **ledger);

/* A set or delete of the key is about to be sent: the version it has. */
uint32_t demo_ledger_begin(struct demo_ledger *ledger, uint32_t key);
/* The server said that it has happened. */
void demo_ledger_finish(struct demo_ledger *ledger, uint32_t key,
                        uint32_t version);
/* To be noted before a get is sent: nothing older may be its answer. */
uint32_t demo_ledger_finished(const struct demo_ledger *ledger, uint32_t key);

enum demo_verdict {
    DEMO_RIGHT,
    DEMO_STALE,  /* older than what was finished before the get was sent */
    DEMO_UNBORN, /* newer than anything that was ever sent */
};
enum demo_verdict demo_ledger_judge(const struct demo_ledger *ledger,
                                    uint32_t key, uint32_t finished_before,
                                    uint32_t version);

#endif
