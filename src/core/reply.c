#include "core/reply.h"

#include "base/check.h"
#include "core/words.h"

static bool starts_with(struct slice line, struct slice start)
{
    return line.size >= start.size &&
           memcmp(line.at, start.at, start.size) == 0;
}

/* True if the line is the word alone or the word and more after a blank. */
static bool first_word_is(struct slice line, struct slice word)
{
    return starts_with(line, word) &&
           (line.size == word.size || line.at[word.size] == ' ');
}

static enum reply_outcome broken(struct reply *out, const char *why)
{
    out->why = why;
    return REPLY_BROKEN;
}

static enum reply_outcome more(struct reply *out, size_t needed)
{
    out->needed = needed;
    return REPLY_MORE;
}

static enum reply_outcome done(struct reply *out, struct slice input,
                               enum reply_kind kind, size_t consumed)
{
    out->kind = kind;
    out->consumed = consumed;
    out->whole = (struct slice){input.at, consumed};
    return REPLY_DONE;
}

/* Takes the line at input, of which scanned bytes are known not to end it.
 * *line_size counts its ending, which must be whole: a shard that ends lines
 * otherwise would be passed on to clients that do not expect it. */
static enum reply_outcome line_take(struct slice input, size_t scanned,
                                    struct reply *out, struct slice *line,
                                    size_t *line_size)
{
    size_t window =
        input.size < REPLY_LINE_SIZE_MAX ? input.size : REPLY_LINE_SIZE_MAX;
    const char *newline =
        window > scanned ? memchr(input.at + scanned, '\n', window - scanned)
                         : NULL;

    if (newline == NULL) {
        return window == REPLY_LINE_SIZE_MAX
                   ? broken(out, "a line without an end")
                   : more(out, input.size + 1);
    }
    *line_size = (size_t)(newline - input.at) + 1;
    if (*line_size < 3 || newline[-1] != '\r') {
        return broken(out, "an empty line, or one that ends in a bare newline");
    }
    *line = (struct slice){input.at, *line_size - 2};
    return REPLY_DONE;
}

/* True if the line is an error; *kind and the epoch are then set. */
static bool line_is_error(struct reply *out, enum reply_kind *kind)
{
    struct slice moved = SLICE("SERVER_ERROR moved ");

    if (starts_with(out->line, moved)) {
        struct slice epoch = {out->line.at + moved.size,
                              out->line.size - moved.size};

        *kind = slice_read_u64(epoch, UINT64_MAX, &out->epoch) ? REPLY_MOVED
                                                               : REPLY_ERROR;
        return true;
    }
    *kind = REPLY_ERROR;
    return first_word_is(out->line, SLICE("ERROR")) ||
           first_word_is(out->line, SLICE("CLIENT_ERROR")) ||
           first_word_is(out->line, SLICE("SERVER_ERROR")) ||
           starts_with(out->line, SLICE("SERVER_ERROR:"));
}

/* Takes a field off *rest and the one blank after it. */
static bool field_take(struct slice *rest, struct slice *field)
{
    const char *blank =
        rest->size > 0 ? memchr(rest->at, ' ', rest->size) : NULL;
    size_t size = blank != NULL ? (size_t)(blank - rest->at) : rest->size;
    size_t taken = blank != NULL ? size + 1 : size;

    *field = (struct slice){rest->at, size};
    *rest = (struct slice){rest->at + taken, rest->size - taken};
    return size > 0;
}

/* The data behind the first line, and the fixed bytes that must follow it. */
static enum reply_outcome block_take(const struct reply_parser *parser,
                                     struct slice input, struct reply *out,
                                     size_t line_size, uint64_t size,
                                     struct slice tail)
{
    if (size > parser->value_size_max) {
        return broken(out, "a value larger than any we store");
    }
    size_t tail_at = line_size + (size_t)size;
    size_t total = tail_at + tail.size;
    size_t have = input.size < total ? input.size : total;

    if (have > tail_at &&
        memcmp(input.at + tail_at, tail.at, have - tail_at) != 0) {
        return broken(out, "a value that does not end where it should");
    }
    if (have < total) {
        return more(out, total);
    }
    out->value = (struct slice){input.at + line_size, (size_t)size};
    return done(out, input, REPLY_HIT, total);
}

/* VALUE <key> <flags> <bytes> [<cas>].  Flags may take 64 bits: there are
 * memcacheds built so. */
static enum reply_outcome value_parse(const struct reply_parser *parser,
                                      struct slice input, struct reply *out,
                                      size_t line_size)
{
    struct slice rest = out->line;
    struct slice word;
    struct slice key;
    uint64_t flags;
    uint64_t size;
    uint64_t cas;

    if (!field_take(&rest, &word) || !slice_equal(word, SLICE("VALUE"))) {
        return broken(out, "a line that does not answer a get");
    }
    if (!field_take(&rest, &key) || !field_take(&rest, &word) ||
        !slice_read_u64(word, UINT64_MAX, &flags) ||
        !field_take(&rest, &word) || !slice_read_u64(word, UINT64_MAX, &size)) {
        return broken(out, "a malformed VALUE line");
    }
    bool has_cas = field_take(&rest, &word);

    if ((has_cas && !slice_read_u64(word, UINT64_MAX, &cas)) || rest.size > 0 ||
        out->line.at[out->line.size - 1] == ' ') {
        return broken(out, "a malformed VALUE line");
    }
    struct words words = {key.at, key.at + key.size, key.at};

    if (!words_key(&words, &out->key)) {
        return broken(out, "a VALUE line with a key that is none");
    }
    enum reply_outcome outcome =
        block_take(parser, input, out, line_size, size, SLICE("\r\nEND\r\n"));

    if (outcome == REPLY_DONE) {
        out->block = (struct slice){input.at, line_size + (size_t)size + 2};
    }
    return outcome;
}

/* VA <bytes> <flags>*, or one of the other codes. */
static enum reply_outcome meta_reply_parse(const struct reply_parser *parser,
                                           struct slice input,
                                           struct reply *out, size_t line_size)
{
    static const char codes[][3] = {"HD", "NS", "EX", "NF", "MN", "ME"};
    struct slice rest = out->line;
    struct slice word;
    uint64_t size;

    if (!field_take(&rest, &word)) {
        return broken(out, "a line that does not answer a meta command");
    }
    if (slice_equal(word, SLICE("VA"))) {
        if (!field_take(&rest, &word) ||
            !slice_read_u64(word, UINT64_MAX, &size)) {
            return broken(out, "a malformed VA line");
        }
        return block_take(parser, input, out, line_size, size, SLICE("\r\n"));
    }
    if (slice_equal(word, SLICE("EN"))) {
        return done(out, input, REPLY_MISS, line_size);
    }
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (slice_equal(word, (struct slice){codes[i], 2})) {
            return done(out, input, REPLY_LINE, line_size);
        }
    }
    return broken(out, "a line that does not answer a meta command");
}

/* A command that is answered by one line.  What announces more than a line
 * would be taken for the answers of the requests behind this one. */
static enum reply_outcome line_reply_parse(struct slice input,
                                           struct reply *out, size_t line_size)
{
    if (first_word_is(out->line, SLICE("VALUE")) ||
        first_word_is(out->line, SLICE("VA")) ||
        first_word_is(out->line, SLICE("STAT")) ||
        first_word_is(out->line, SLICE("END"))) {
        return broken(out, "a list where a line was expected");
    }
    return done(out, input, REPLY_LINE, line_size);
}

static bool line_is_of_list(struct slice line)
{
    return first_word_is(line, SLICE("STAT")) ||
           first_word_is(line, SLICE("ITEM")) ||
           first_word_is(line, SLICE("PREFIX"));
}

/* parser->scanned is where the first line begins that has not been looked at,
 * so that a long list that trickles in is not gone through again and again. */
static enum reply_outcome stats_parse(struct reply_parser *parser,
                                      struct slice input, struct reply *out)
{
    size_t at = parser->scanned;

    for (;;) {
        struct slice here = {input.at + at, input.size - at};
        struct slice line;
        size_t line_size;
        enum reply_outcome outcome = line_take(here, 0, out, &line, &line_size);

        if (outcome == REPLY_MORE) {
            parser->scanned = at;
            return more(out, input.size + 1);
        }
        if (outcome != REPLY_DONE) {
            return outcome;
        }
        if (at == 0) {
            enum reply_kind kind;

            out->line = line;
            if (line_is_error(out, &kind)) {
                return done(out, input, kind, line_size);
            }
            if (!line_is_of_list(line) && !slice_equal(line, SLICE("END"))) {
                return line_reply_parse(input, out, line_size);
            }
        }
        at += line_size;
        if (at > STATS_REPLY_SIZE_MAX) {
            return broken(out, "a list without an end");
        }
        if (slice_equal(line, SLICE("END"))) {
            break;
        }
        if (!line_is_of_list(line)) {
            return broken(out, "a line in a list that does not belong there");
        }
    }
    const char *newline = memchr(input.at, '\n', at);

    out->line = (struct slice){input.at, (size_t)(newline - input.at) - 1};
    return done(out, input, REPLY_STATS, at);
}

static enum reply_outcome first_line_parse(struct reply_parser *parser,
                                           enum reply_expect expect,
                                           struct slice input,
                                           struct reply *out)
{
    size_t line_size;
    enum reply_kind kind;
    enum reply_outcome outcome =
        line_take(input, parser->scanned, out, &out->line, &line_size);

    if (outcome != REPLY_DONE) {
        parser->scanned = input.size;
        return outcome;
    }
    parser->scanned = line_size - 1;
    if (line_is_error(out, &kind)) {
        return done(out, input, kind, line_size);
    }
    switch (expect) {
    case EXPECT_VALUE:
        return slice_equal(out->line, SLICE("END"))
                   ? done(out, input, REPLY_MISS, line_size)
                   : value_parse(parser, input, out, line_size);
    case EXPECT_META: return meta_reply_parse(parser, input, out, line_size);
    case EXPECT_LINE: return line_reply_parse(input, out, line_size);
    case EXPECT_STATS: break;
    }
    check(false);
}

enum reply_outcome reply_parse(struct reply_parser *parser,
                               enum reply_expect expect, struct slice input,
                               struct reply *out)
{
    check(parser->scanned <= input.size);
    *out = (struct reply){0};
    if (input.size == 0) {
        return more(out, 1);
    }
    enum reply_outcome outcome =
        expect == EXPECT_STATS ? stats_parse(parser, input, out)
                               : first_line_parse(parser, expect, input, out);

    if (outcome != REPLY_MORE) {
        parser->scanned = 0;
    }
    return outcome;
}
