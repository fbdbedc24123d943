/* fake_net.h -- a network in memory, with a clock, for one thread.
 *
 * Byte streams are delivered in pieces whose sizes and delays come from the
 * seed, writes are taken in part, ready handles are reported in any order, and
 * handle numbers are used again at once.  One seed, one run.  Any "host:port"
 * or "unix:/path" may be listened on and connected to; nothing is looked up.
 *
 * A poller that is asked to wait turns the clock forward to the next delivery
 * or the end of its timeout.  With several loops, give each turns of timeout 0
 * and turn the clock with fake_net_advance().
 */
#ifndef SUPPORT_FAKE_NET_H
#define SUPPORT_FAKE_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "net/net.h"

struct fake_net;

struct fake_net_options {
    uint64_t seed;
    size_t piece_max;      /* bytes delivered at once; 1 dribbles; 0: any */
    size_t window;         /* bytes under way in one direction; 0: 64 KiB */
    uint64_t delay_ms_max; /* of each piece and each connect */
};

/* The fake's own memory comes from mem too. */
struct fake_net *fake_net_create(const struct mem *mem,
                                 const struct fake_net_options *options);
/* Every handle, watch and poller must be gone: else a check fails. */
void fake_net_destroy(struct fake_net **fake);
/* Fills in clock, sleep, random, mem and net. */
void fake_net_env(struct fake_net *fake, const struct mem *mem,
                  struct env *env);

uint64_t fake_net_now_ms(const struct fake_net *fake);
void fake_net_advance(struct fake_net *fake, uint64_t duration_ms);
/* When the next piece is due; UINT64_MAX: nothing is under way. */
uint64_t fake_net_next_ms(const struct fake_net *fake);

/* What connects to this address are told. */
enum fake_mood {
    FAKE_LISTENS, /* as it should be */
    FAKE_REFUSES,
    FAKE_SILENT, /* no answer, ever */
};
void fake_net_mood(struct fake_net *fake, const char *text,
                   enum fake_mood mood);
/* Both ends are told that the connection was reset; bytes under way are lost.
 */
void fake_net_reset(struct fake_net *fake, int handle);
/* Nothing more reaches the handle until it is let go. */
void fake_net_hold(struct fake_net *fake, int handle, bool hold);
/* The handle will write no more; it still reads. */
void fake_net_finish(struct fake_net *fake, int handle);
/* accept answers -error as long as it is not 0. */
void fake_net_accept_error(struct fake_net *fake, int error);

size_t fake_net_handles(const struct fake_net *fake);
/* How often these were called. */
uint64_t fake_net_reads(const struct fake_net *fake);
uint64_t fake_net_writes(const struct fake_net *fake);
uint64_t fake_net_changes(const struct fake_net *fake); /* watch_change */

#endif
