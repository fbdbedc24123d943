/* limits.h -- every size a peer can choose, with the most we accept.
 *
 * Names and numbers only.  What a setting can change is marked; the rest is
 * part of the protocol.
 */
#ifndef PROTO_LIMITS_H
#define PROTO_LIMITS_H

#include <stdint.h>

enum {
    /* The memcached protocols. */
    KEY_SIZE_MAX = 250,
    LINE_SIZE_MAX = 2048,            /* a command line, with its ending */
    GET_LINE_SIZE_MAX = 16 << 20,    /* the same for get, gets, gat, gats */
    VALUE_SIZE_MAX_PRESET = 1 << 20, /* --value-size-max, -I */
    BLOCK_SIZE_MAX = INT32_MAX - 2,  /* a larger size is no size at all */
    META_WORDS_MAX = 20,             /* of a meta command, with its key */
    META_FLAGS_MAX = 18,             /* so many of them may be flags */
    OPAQUE_SIZE_MAX = 32,            /* with the letter O */
    NUMBER_DIGITS_MAX = 20,          /* of a value that incr and decr change */

    /* What a shard answers. */
    REPLY_LINE_SIZE_MAX = 2048, /* with its ending */
    STATS_REPLY_SIZE_MAX = 4 << 20,

    /* The ring. */
    SLOT_COUNT = 16384,
    RING_MEMBERS_MAX = 1024,
    RING_NAME_SIZE_MAX = 63, /* a DNS label: a pod's name */
    RING_ADDRESS_SIZE_MAX = 255,
    RING_WEIGHT_MAX = 1000,
    RING_DOCUMENT_SIZE_MAX = 4 << 20,
    RING_DOCUMENT_DEPTH_MAX = 8,
};

#endif
