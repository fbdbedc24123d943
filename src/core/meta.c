/* The meta commands: <cm> <key> [<bytes>] <flag>*.
 *
 * The order of the checks is memcached's, so that a line with several faults
 * gets the answer that memcached gives.
 */
#include <assert.h>

#include "base/check.h"
#include "core/request_inside.h"

enum {
    ON_NONE = 0,
    ON_MG = 1,
    ON_MS = 2,
    ON_MD = 4,
    ON_MA = 8,
    ON_ALL = ON_MG | ON_MS | ON_MD | ON_MA,
};

enum token {
    TOKEN_NONE,
    TOKEN_U64,
    TOKEN_U32,
    TOKEN_I32,
    TOKEN_OPAQUE,
    TOKEN_MODE,
};

struct flag_rule {
    bool known;
    uint8_t token;
    uint8_t refusal;
    uint8_t commands;
};

static_assert(WIRE_LINE_COUNT <= UINT8_MAX, "a refusal fits a byte");
static_assert(META_WORDS_MAX - 2 == META_FLAGS_MAX, "all but command and key");

static const struct flag_rule rules[128] = {
#define META_FLAG(letter, kind, line, where, help) \
    [letter] = {true, TOKEN_##kind, WIRE_##line, (where)},
#include "proto/meta.def"
#undef META_FLAG
};

static uint8_t command_bit(enum command command)
{
    switch (command) {
    case COMMAND_MG: return ON_MG;
    case COMMAND_MS: return ON_MS;
    case COMMAND_MD: return ON_MD;
    case COMMAND_MA: return ON_MA;
    default: return ON_NONE;
    }
}

/* Fills meta[] with whatever is there.  BAD_FORMAT: a word begins with no
 * letter; FLAGS_TOO_LONG: too many words, room for which is left to begin
 * with. */
static enum wire_line flags_split(struct request *out, struct words *words,
                                  unsigned room)
{
    enum wire_line error = WIRE_NONE;
    struct slice word;

    while (words_next(words, &word)) {
        char letter = word.at[0];

        if (!(letter >= 'A' && letter <= 'z') &&
            !(letter >= '0' && letter <= '9')) {
            return WIRE_BAD_FORMAT;
        }
        if (out->meta_count == room) {
            error = WIRE_FLAGS_TOO_LONG;
            continue;
        }
        out->meta[out->meta_count++] =
            (struct meta_flag){letter, {word.at + 1, word.size - 1}};
    }
    return error;
}

static uint64_t *field_u64(struct request *out, char letter)
{
    switch (letter) {
    case 'C': return &out->compare;
    case 'D': return &out->delta;
    case 'E': return &out->cas_new;
    case 'J': return &out->initial;
    default: check(false);
    }
}

static int64_t *field_seconds(struct request *out, char letter)
{
    switch (letter) {
    case 'N': return &out->vivify_ttl;
    case 'R': return &out->recache_ttl;
    case 'T': return &out->ttl;
    default: check(false);
    }
}

static bool token_read(struct request *out, const struct meta_flag *flag,
                       enum token token)
{
    uint64_t number;

    switch (token) {
    case TOKEN_U64:
        return slice_read_u64(flag->token, UINT64_MAX,
                              field_u64(out, flag->letter));
    case TOKEN_I32:
        return slice_read_i64(flag->token, INT32_MIN, INT32_MAX,
                              field_seconds(out, flag->letter));
    case TOKEN_U32:
        if (!slice_read_u64(flag->token, UINT32_MAX, &number)) {
            return false;
        }
        out->flags = (uint32_t)number;
        return true;
    case TOKEN_MODE:
        out->mode = '\0';
        if (flag->token.size > 0) {
            out->mode = flag->token.at[0];
        }
        return true;
    case TOKEN_NONE:
    case TOKEN_OPAQUE: return true;
    }
    check(false);
}

static bool key_decode(struct request *out)
{
    size_t size = meta_key_decode(out->key, out->key_bytes);

    if (size == 0) {
        return false;
    }
    out->key = (struct slice){out->key_bytes, size};
    return true;
}

/* Checks the flags in meta[] and keeps those that mean something here.  An
 * unknown or repeated one ends it; a bad token does not, and of several the
 * last gives the answer. */
static enum wire_line flags_read(struct request *out)
{
    uint8_t command = command_bit(out->command);
    enum wire_line refusal = WIRE_BAD_FORMAT;
    bool refused = false;
    uint64_t seen = 0;
    unsigned kept = 0;

    for (unsigned i = 0; i < out->meta_count; i++) {
        struct meta_flag flag = out->meta[i];
        const struct flag_rule *rule = &rules[(unsigned char)flag.letter];

        if (!rule->known) {
            return WIRE_BAD_FLAG;
        }
        uint64_t bit = META_BIT(flag.letter);

        if ((seen & bit) != 0) {
            return WIRE_DUPLICATE_FLAG;
        }
        seen |= bit;
        if (!(flag.letter == 'b' ? key_decode(out)
                                 : token_read(out, &flag, rule->token))) {
            refused = true;
            refusal = rule->refusal != WIRE_NONE ? rule->refusal : refusal;
        }
        if ((rule->commands & command) != 0) {
            out->meta_set |= bit;
            out->meta[kept++] = flag;
        }
    }
    out->meta_count = kept;
    return refused ? refusal : WIRE_NONE;
}

static enum wire_line mode_check(struct request *out)
{
    if (!request_has(out, 'M')) {
        out->mode = '\0';
        return WIRE_NONE;
    }
    if (out->command == COMMAND_MS) {
        return out->mode != '\0' && strchr("EAPRS", out->mode) != NULL
                   ? WIRE_NONE
                   : WIRE_BAD_SET_MODE;
    }
    switch (out->mode) {
    case 'I':
    case '+': out->mode = 'I'; return WIRE_NONE;
    case 'D':
    case '-': out->mode = 'D'; return WIRE_NONE;
    default: return WIRE_BAD_ARITH_MODE;
    }
}

static enum wire_line opaque_check(const struct request *out)
{
    for (unsigned i = 0; request_has(out, 'O') && i < out->meta_count; i++) {
        if (out->meta[i].letter == 'O' &&
            out->meta[i].token.size + 1 > OPAQUE_SIZE_MAX) {
            return WIRE_OPAQUE_TOO_LONG;
        }
    }
    return WIRE_NONE;
}

/* All there is to check but the opaque token. */
static enum wire_line flags_check(struct request *out, bool key_is_good,
                                  enum wire_line split)
{
    enum wire_line error = split;

    if (error == WIRE_BAD_FORMAT) {
        return error;
    }
    if (!key_is_good) {
        error = WIRE_BAD_FORMAT;
    }
    if (error == WIRE_NONE) {
        error = flags_read(out);
    }
    if (error != WIRE_NONE) {
        return out->command == COMMAND_MA ? WIRE_BAD_ARITH_FLAG : error;
    }
    return mode_check(out);
}

/* me <key> [b].  Other words are ignored. */
static enum parse debug_parse(struct request *out, bool key_is_good,
                              enum wire_line split)
{
    bool encoded = out->meta_count > 0 && out->meta[0].letter == 'b' &&
                   out->meta[0].token.size == 0;

    if (split == WIRE_BAD_FORMAT || !key_is_good ||
        (encoded && !key_decode(out))) {
        return request_bad(out, WIRE_BAD_FORMAT);
    }
    out->meta_count = encoded;
    out->meta_set = encoded ? META_BIT('b') : 0;
    return PARSE_DONE;
}

static enum parse store_parse(const struct request_parser *parser,
                              struct slice input, struct request *out,
                              struct words *words)
{
    bool key_is_good = words_key(words, &out->key);
    struct slice word;
    uint64_t size;

    if (!words_next(words, &word) || !request_read_size(word, &size)) {
        return request_bad_close(out, WIRE_BAD_FORMAT);
    }
    enum wire_line error = flags_check(
        out, key_is_good, flags_split(out, words, META_FLAGS_MAX - 1));

    /* memcached looks at the opaque token only when it has room for the
     * value. */
    if (error == WIRE_NONE && size <= parser->value_size_max) {
        error = opaque_check(out);
    }
    return error != WIRE_NONE ? request_bad_skip(parser, out, error, size)
                              : request_take_block(parser, input, out, size);
}

enum parse meta_parse(const struct request_parser *parser, struct slice input,
                      struct request *out, struct words *words)
{
    out->delta = 1;
    out->mode = '\0';
    if (out->command == COMMAND_MS) {
        return store_parse(parser, input, out, words);
    }
    bool key_is_good = words_key(words, &out->key);

    if (out->key.size == 0) {
        return request_bad(out, WIRE_BAD_FORMAT);
    }
    enum wire_line split = flags_split(out, words, META_FLAGS_MAX);

    if (out->command == COMMAND_ME) {
        return debug_parse(out, key_is_good, split);
    }
    enum wire_line error = flags_check(out, key_is_good, split);

    if (error == WIRE_NONE) {
        error = opaque_check(out);
    }
    return error == WIRE_NONE ? PARSE_DONE : request_bad(out, error);
}
