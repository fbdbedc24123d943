/* The classic commands on one key, and data blocks. */
#include "base/check.h"
#include "core/request_inside.h"

enum parse request_bad_skip(const struct request_parser *parser,
                            struct request *out, enum wire_line error,
                            uint64_t size)
{
    out->skip = size + 2;
    out->close = size > parser->value_size_max;
    return request_bad(out, error);
}

bool request_read_size(struct slice word, uint64_t *size)
{
    return slice_read_u64(word, BLOCK_SIZE_MAX, size);
}

enum parse request_take_block(const struct request_parser *parser,
                              struct slice input, struct request *out,
                              uint64_t size)
{
    if (size > parser->value_size_max) {
        /* The key stays: what it held before must go. */
        out->error = WIRE_TOO_LARGE;
        out->skip = size + 2;
        return PARSE_BAD;
    }
    size_t total = out->consumed + (size_t)size + 2;

    if (input.size < total) {
        out->needed = total;
        return PARSE_MORE;
    }
    out->value = (struct slice){input.at + out->consumed, (size_t)size};
    out->consumed = total;
    if (memcmp(out->value.at + size, "\r\n", 2) != 0) {
        /* Where the block really ends is anybody's guess. */
        return request_bad_close(out, WIRE_BAD_CHUNK);
    }
    return PARSE_DONE;
}

/* <key> <flags> <exptime> <bytes> [<cas>] [noreply].  Further words are
 * ignored, as memcached does, and noreply counts only at the end. */
enum parse request_parse_store(const struct request_parser *parser,
                               struct slice input, struct request *out,
                               struct words *words)
{
    struct slice flags;
    struct slice exptime;
    struct slice word;
    uint64_t size;
    uint64_t number;
    bool good = words_key(words, &out->key);

    if (!words_next(words, &flags) || !words_next(words, &exptime) ||
        !words_next(words, &word) || !request_read_size(word, &size)) {
        return request_bad_close(out, WIRE_BAD_FORMAT);
    }
    out->noreply = line_is_noreply(out->line);
    if (!good || !slice_read_u64(flags, UINT32_MAX, &number) ||
        !slice_read_i64(exptime, INT64_MIN, INT64_MAX, &out->exptime)) {
        return request_bad_skip(parser, out, WIRE_BAD_FORMAT, size);
    }
    out->flags = (uint32_t)number;
    if (command_shape(out->command) == SHAPE_CAS &&
        (!words_next(words, &word) ||
         !slice_read_u64(word, UINT64_MAX, &out->number))) {
        return request_bad_skip(parser, out, WIRE_BAD_FORMAT, size);
    }
    return request_take_block(parser, input, out, size);
}

/* <key> [anything] [noreply]: old clients send a 0 that once was a delay.  More
 * words are an error, as libmemcached's conformance suite wants it. */
enum parse request_parse_delete(struct request *out, struct words *words)
{
    bool good = words_key(words, &out->key);
    struct slice word;

    if (words_next(words, &word) && words_next(words, &word) &&
        words_next(words, &word)) {
        return request_bad(out, WIRE_BAD_FORMAT);
    }
    out->noreply = out->key.size > 0 && line_is_noreply(out->line);
    return good ? PARSE_DONE : request_bad(out, WIRE_BAD_FORMAT);
}

enum parse request_parse_arith(struct request *out, struct words *words)
{
    struct slice delta;
    bool good = words_key(words, &out->key);

    if (!words_next(words, &delta)) {
        return request_bad(out, WIRE_BAD_FORMAT);
    }
    out->noreply = line_is_noreply(out->line);
    if (!good) {
        return request_bad(out, WIRE_BAD_FORMAT);
    }
    if (!slice_read_u64(delta, UINT64_MAX, &out->number)) {
        return request_bad(out, WIRE_BAD_DELTA);
    }
    return PARSE_DONE;
}

enum parse request_parse_touch(struct request *out, struct words *words)
{
    struct slice exptime;
    bool good = words_key(words, &out->key);

    if (!words_next(words, &exptime)) {
        return request_bad(out, WIRE_BAD_FORMAT);
    }
    out->noreply = line_is_noreply(out->line);
    if (!good) {
        return request_bad(out, WIRE_BAD_FORMAT);
    }
    if (!slice_read_i64(exptime, INT32_MIN, INT32_MAX, &out->exptime)) {
        return request_bad(out, WIRE_BAD_EXPTIME);
    }
    return PARSE_DONE;
}
