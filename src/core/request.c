#include "core/request.h"

#include "base/check.h"
#include "core/request_inside.h"

enum {
    LINE_SIZE_MIN = 4,
    BINARY_MAGIC = 0x80,
    TLS_HANDSHAKE = 0x16,
};

static const struct {
    struct slice word;
    enum command_shape shape;
} commands[] = {
#define COMMAND(name, text, form) \
    [COMMAND_##name] = {{(text), sizeof(text) - 1}, SHAPE_##form},
#include "proto/commands.def"
#undef COMMAND
};

enum command_shape command_shape(enum command command)
{
    check((unsigned)command < COMMAND_COUNT);
    return commands[command].shape;
}

struct slice command_word(enum command command)
{
    check((unsigned)command < COMMAND_COUNT);
    return commands[command].word;
}

/* COMMAND_COUNT: there is no such command. */
static enum command command_find(struct slice word)
{
    for (unsigned i = 0; i < COMMAND_COUNT; i++) {
        if (commands[i].word.size == word.size &&
            commands[i].word.at[0] == word.at[0] &&
            memcmp(commands[i].word.at, word.at, word.size) == 0) {
            return (enum command)i;
        }
    }
    return COMMAND_COUNT;
}

/* Nearly all requests begin with one of these words, and this is cheaper than
 * the table.  COMMAND_COUNT: ask the table. */
static enum command command_guess(const char at[static LINE_SIZE_MIN])
{
    if (memcmp(at, "get ", 4) == 0) {
        return COMMAND_GET;
    }
    if (memcmp(at, "set ", 4) == 0) {
        return COMMAND_SET;
    }
    if (at[0] != 'm' || at[2] != ' ') {
        return COMMAND_COUNT;
    }
    switch (at[1]) {
    case 'g': return COMMAND_MG;
    case 's': return COMMAND_MS;
    case 'd': return COMMAND_MD;
    case 'a': return COMMAND_MA;
    default: return COMMAND_COUNT;
    }
}

enum parse request_bad(struct request *out, enum wire_line error)
{
    out->error = error;
    out->key = (struct slice){0};
    return PARSE_BAD;
}

enum parse request_bad_close(struct request *out, enum wire_line error)
{
    out->close = true;
    return request_bad(out, error);
}

static enum parse request_lost(struct request *out, enum wire_line error)
{
    out->close = true;
    out->error = error;
    return PARSE_LOST;
}

/* Takes the last word of the line; the line is shortened by it. */
static struct slice line_last_word(struct slice *line)
{
    while (line->size > 0 && line->at[line->size - 1] == ' ') {
        line->size--;
    }
    size_t start = line->size;

    while (start > 0 && line->at[start - 1] != ' ') {
        start--;
    }
    struct slice word = {line->at + start, line->size - start};

    line->size = start;
    return word;
}

bool line_is_noreply(struct slice line)
{
    return line.size > 0 &&
           (line.at[line.size - 1] == 'y' || line.at[line.size - 1] == ' ') &&
           slice_equal(line_last_word(&line), SLICE("noreply"));
}

static enum parse admin_parse(struct request *out, struct words *words)
{
    out->rest = words_rest(words);
    return PARSE_DONE;
}

/* A browser that was led here must not have the rest of what it says obeyed,
 * whatever web page told it to say it. */
static bool line_is_http(struct slice line)
{
    struct slice last = line_last_word(&line);
    bool only_word = line_last_word(&line).size == 0;

    return !only_word && last.size >= 5 && memcmp(last.at, "HTTP/", 5) == 0;
}

/* The line begins with no command.  Blanks before a command are an error, but
 * memcached has always taken them before those that it looks for last. */
static enum parse unknown_parse(struct request *out)
{
    struct words words = {out->line.at, out->line.at + out->line.size,
                          out->line.at};
    struct slice word;
    enum command command =
        words_next(&words, &word) ? command_find(word) : COMMAND_COUNT;

    if (command == COMMAND_FLUSH_ALL || command == COMMAND_VERBOSITY) {
        out->command = command;
        return admin_parse(out, &words);
    }
    if (line_is_http(out->line)) {
        return request_lost(out, WIRE_NONE);
    }
    out->noreply = line_is_noreply(out->line);
    if (command < COMMAND_COUNT &&
        (commands[command].shape == SHAPE_STORE ||
         commands[command].shape == SHAPE_CAS ||
         commands[command].shape == SHAPE_META_STORE)) {
        return request_bad_close(out, WIRE_ERROR);
    }
    return request_bad(out, WIRE_ERROR);
}

static enum parse keys_parse(struct request *out, struct words *words)
{
    if (!words_key(words, &out->key)) {
        return request_bad(out, WIRE_BAD_FORMAT);
    }
    out->rest = words_rest(words);
    words->end = out->rest.at + out->rest.size;
    while (words->at < words->end) {
        struct slice key;

        if (!words_key(words, &key)) {
            return request_bad(out, WIRE_BAD_FORMAT);
        }
    }
    return PARSE_DONE;
}

static enum parse touch_keys_parse(struct request *out, struct words *words)
{
    struct slice exptime;

    if (!words_next(words, &exptime) || words_rest(words).size == 0) {
        return request_bad(out, WIRE_BAD_FORMAT);
    }
    if (!slice_read_i64(exptime, INT32_MIN, INT32_MAX, &out->exptime)) {
        return request_bad(out, WIRE_BAD_EXPTIME);
    }
    return keys_parse(out, words);
}

static enum parse shape_parse(const struct request_parser *parser,
                              struct slice input, struct request *out)
{
    struct words words = {out->line.at + commands[out->command].word.size,
                          out->line.at + out->line.size, out->line.at};

    switch (commands[out->command].shape) {
    case SHAPE_KEYS: return keys_parse(out, &words);
    case SHAPE_TOUCH_KEYS: return touch_keys_parse(out, &words);
    case SHAPE_STORE:
    case SHAPE_CAS: return request_parse_store(parser, input, out, &words);
    case SHAPE_DELETE: return request_parse_delete(out, &words);
    case SHAPE_ARITH: return request_parse_arith(out, &words);
    case SHAPE_TOUCH: return request_parse_touch(out, &words);
    case SHAPE_META:
    case SHAPE_META_STORE: return meta_parse(parser, input, out, &words);
    case SHAPE_META_NOOP: return PARSE_DONE;
    case SHAPE_ADMIN: return admin_parse(out, &words);
    }
    check(false);
}

static enum parse line_parse(const struct request_parser *parser,
                             struct slice input, struct request *out,
                             size_t line_size)
{
    size_t size = line_size - 1;

    if (size > 0 && input.at[size - 1] == '\r') {
        size--;
    }
    out->line = (struct slice){input.at, size};
    out->consumed = line_size;
    if (line_size < LINE_SIZE_MIN) {
        return request_bad(out, WIRE_BAD_FORMAT);
    }
    out->command = command_guess(input.at);
    if (out->command == COMMAND_COUNT) {
        const char *blank = memchr(input.at, ' ', size);
        size_t word_size = blank != NULL ? (size_t)(blank - input.at) : size;

        out->command = command_find((struct slice){input.at, word_size});
    }
    return out->command < COMMAND_COUNT ? shape_parse(parser, input, out)
                                        : unknown_parse(out);
}

/* Only a get may name so many keys that its line outgrows the common limit. */
static bool line_may_be_long(struct slice input)
{
    const char *blank = memchr(input.at, ' ', 8);

    if (blank == NULL) {
        return false;
    }
    enum command command =
        command_find((struct slice){input.at, (size_t)(blank - input.at)});

    return command < COMMAND_COUNT &&
           (commands[command].shape == SHAPE_KEYS ||
            commands[command].shape == SHAPE_TOUCH_KEYS);
}

/* Everything but the meta fields, which are only looked at through meta_set,
 * and meta[] and key_bytes, which are large. */
static void request_reset(struct request *out)
{
    out->command = COMMAND_COUNT;
    out->error = WIRE_NONE;
    out->noreply = false;
    out->close = false;
    out->consumed = 0;
    out->needed = 0;
    out->skip = 0;
    out->line = (struct slice){0};
    out->key = (struct slice){0};
    out->rest = (struct slice){0};
    out->value = (struct slice){0};
    out->flags = 0;
    out->exptime = 0;
    out->number = 0;
    out->meta_set = 0;
    out->meta_count = 0;
}

enum parse request_parse(struct request_parser *parser, struct slice input,
                         struct request *out)
{
    check(parser->scanned <= input.size);
    request_reset(out);
    if (input.size == 0) {
        out->needed = 1;
        return PARSE_MORE;
    }
    if ((unsigned char)input.at[0] == BINARY_MAGIC ||
        input.at[0] == TLS_HANDSHAKE) {
        return request_lost(out, WIRE_NONE);
    }
    const char *newline =
        memchr(input.at + parser->scanned, '\n', input.size - parser->scanned);
    size_t before = newline != NULL ? (size_t)(newline - input.at) : input.size;

    if (before >= LINE_SIZE_MAX &&
        (before >= GET_LINE_SIZE_MAX || !line_may_be_long(input))) {
        parser->scanned = 0;
        return request_lost(out, WIRE_LINE_TOO_LONG);
    }
    parser->scanned = before;
    if (newline == NULL) {
        out->needed = input.size + 1;
        return PARSE_MORE;
    }
    enum parse result = line_parse(parser, input, out, before + 1);

    if (result != PARSE_MORE) {
        parser->scanned = 0;
    }
    return result;
}

bool request_next_word(struct slice *rest, struct slice *word)
{
    struct words words = {rest->at, rest->at + rest->size, rest->at};
    bool found = words_next(&words, word);

    rest->size -= (size_t)(words.at - rest->at);
    rest->at = words.at;
    return found;
}

bool request_next_key(struct slice *rest, struct slice *key)
{
    struct words words = {rest->at, rest->at + rest->size, rest->at};
    bool found = words_key(&words, key);

    rest->size -= (size_t)(words.at - rest->at);
    rest->at = words.at;
    return found;
}
