/* request.h -- the request parser for the text and meta protocols.
 *
 * One parser for shard and router: a second one is how proxies get hurt
 * (CVE-2023-46852, -46853).  It is a pure function of the bytes: the same bytes
 * give the same answer however they were cut on the way.  It allocates nothing
 * and copies nothing but base64 keys; slices point into the input.
 *
 * A request that stores is DONE only when its data block is there whole, so the
 * caller needs no state but its buffer.
 */
#ifndef CORE_REQUEST_H
#define CORE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "core/wire.h"
#include "proto/limits.h"

enum command {
#define COMMAND(name, word, shape) COMMAND_##name,
#include "proto/commands.def"
#undef COMMAND
    COMMAND_COUNT
};

enum command_shape {
    SHAPE_KEYS,
    SHAPE_TOUCH_KEYS,
    SHAPE_STORE,
    SHAPE_CAS,
    SHAPE_DELETE,
    SHAPE_ARITH,
    SHAPE_TOUCH,
    SHAPE_META,
    SHAPE_META_STORE,
    SHAPE_META_NOOP,
    SHAPE_ADMIN,
};

enum parse {
    PARSE_DONE, /* *out is filled in */
    PARSE_MORE, /* out->needed bytes of input are needed to get further */
    PARSE_BAD,  /* answer out->error, drop out->consumed bytes and then
                 * out->skip further ones; close if out->close.  Text commands
                 * keep quiet about it if out->noreply; meta ones never do.
                 * command and key are set if key.size > 0, which is so only
                 * for TOO_LARGE: a `set` that failed removes the old value.
                 * The meta fields may be set. */
    PARSE_LOST, /* no line ending within the limit, or bytes of another
                 * protocol: answer out->error (if not NONE) and close */
};

/* A bit for each meta flag letter. */
#define META_BIT(letter) \
    (UINT64_C(1) << ((letter) >= 'a' ? (letter) - 'a' : 26 + (letter) - 'A'))

struct meta_flag {
    char letter;
    struct slice token; /* what followed the letter */
};

struct request {
    enum command command; /* COMMAND_COUNT: not known */
    enum wire_line error; /* PARSE_BAD, PARSE_LOST */
    bool noreply;         /* text; meta has the flag q */
    bool close;
    size_t consumed; /* line, data block and their endings */
    size_t needed;   /* PARSE_MORE: total size of input to wait for */
    uint64_t skip;   /* PARSE_BAD: bytes of a data block to swallow */

    struct slice line; /* the command line without its ending */
    struct slice key;  /* decoded if base64 */
    struct slice rest; /* KEYS, TOUCH_KEYS: what follows the first key, empty
                        * if it is the only one; ADMIN: what follows the
                        * command word, noreply included.  No blanks around */
    struct slice value;
    uint32_t flags;
    int64_t exptime; /* as sent: seconds, 30-day rule not yet applied */
    uint64_t number; /* delta of incr and decr, cas of cas */

    /* Meta only; a field counts only if its letter is in meta_set. */
    uint64_t meta_set;
    unsigned meta_count;
    uint64_t compare;    /* C */
    uint64_t cas_new;    /* E */
    uint64_t initial;    /* J */
    uint64_t delta;      /* D, preset 1 */
    int64_t ttl;         /* T */
    int64_t vivify_ttl;  /* N */
    int64_t recache_ttl; /* R */
    char mode;           /* M: E A P R S; I D (from + - too); 0 if not given */
    /* Those that mean something to this command, in the order sent.  A flag
     * that means nothing to it has been checked and dropped, as if it had not
     * been sent: see proto/meta.def. */
    struct meta_flag meta[META_FLAGS_MAX];
    char key_bytes[KEY_SIZE_MAX]; /* room for a decoded key */
};

/* One a connection.  value_size_max is a setting; the rest is the parser's. */
struct request_parser {
    uint64_t value_size_max;
    size_t scanned; /* bytes known to hold no line ending; 0 to begin with */
};

/* input starts at a request's first byte and is whatever has arrived of it and
 * of what follows.  After DONE or BAD the caller drops the bytes as told and
 * calls again with the rest; after MORE it calls again with the same bytes and
 * more behind them.  out is not read.
 *
 * The answer is memcached's but for what is safer: a key holds no control
 * byte, a number is digits and fits its field, a base64 key is base64, and a
 * line that was to be followed by a data block of no certain size closes. */
enum parse request_parse(struct request_parser *parser, struct slice input,
                         struct request *out);

/* Takes the next key off *rest.  False at the end.  The keys of a KEYS or
 * TOUCH_KEYS request have all been checked when it is DONE. */
bool request_next_key(struct slice *rest, struct slice *key);

/* Takes the next word off *rest (ADMIN).  False at the end. */
bool request_next_word(struct slice *rest, struct slice *word);

enum command_shape command_shape(enum command command);
struct slice command_word(enum command command);

static inline bool request_has(const struct request *r, char letter)
{
    return (r->meta_set & META_BIT(letter)) != 0;
}

#endif
