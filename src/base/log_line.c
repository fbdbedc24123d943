#include "base/log_line.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"

/* The most that is written past the limit: a cut text's end ("..." and a
 * quote) or the mark of left-out fields (,"cut":"..."), and the line's end. */
enum { LINE_RESERVE = 20, UNIT_SIZE_MAX = 8, FIELD_LEAD_SIZE_MAX = 96 };

struct line {
    char *at;
    size_t size;
    size_t limit;
    enum log_format format;
    bool full;   /* something did not fit: nothing more is added */
    bool marked; /* and the reader can see where */
};

/* All of it or nothing. */
static bool line_put(struct line *line, const char *bytes, size_t size)
{
    if (line->full || line->size + size > line->limit) {
        line->full = true;
        return false;
    }
    memcpy(line->at + line->size, bytes, size);
    line->size += size;
    return true;
}

/* From the reserve. */
static void line_force(struct line *line, const char *text)
{
    size_t size = strlen(text);

    check(line->size + size <= LOG_LINE_SIZE_MAX);
    memcpy(line->at + line->size, text, size);
    line->size += size;
}

/* The bytes that make one character at text, or 0 if they are no UTF-8: also
 * surrogates, overlong forms and what is above U+10FFFF. */
static size_t utf8_size(struct slice text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t size = at[0] < 0x80   ? 1
                  : at[0] < 0xc2 ? 0
                  : at[0] < 0xe0 ? 2
                  : at[0] < 0xf0 ? 3
                  : at[0] < 0xf5 ? 4
                                 : 0;

    if (size > text.size) {
        return 0;
    }
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool overlong =
        (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool beyond =
        (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf4 && at[1] > 0x8f);

    return overlong || beyond ? 0 : size;
}

/* Controls of both ranges, and the two separators that end a line for some. */
static bool unit_is_unsafe(const unsigned char *at, size_t size)
{
    return (size == 1 && (at[0] < 0x20 || at[0] == 0x7f)) ||
           (size == 2 && at[0] == 0xc2 && at[1] < 0xa0) ||
           (size == 3 && at[0] == 0xe2 && at[1] == 0x80 &&
            (at[2] == 0xa8 || at[2] == 0xa9));
}

static unsigned unit_code(const unsigned char *at, size_t size)
{
    return size == 1 ? at[0]
           : size == 2
               ? (at[0] & 0x1fU) << 6 | (at[1] & 0x3fU)
               : (at[0] & 0x0fU) << 12 | (at[1] & 0x3fU) << 6 | (at[2] & 0x3fU);
}

/* Writes the first character of text as it stands in a quoted string, the same
 * for both formats, and returns how many bytes of text it was. */
static size_t unit_escape(struct slice text, char out[static UNIT_SIZE_MAX],
                          size_t *out_size)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t size = utf8_size(text);
    const char *short_form = size != 1            ? NULL
                             : text.at[0] == '"'  ? "\\\""
                             : text.at[0] == '\\' ? "\\\\"
                             : text.at[0] == '\n' ? "\\n"
                             : text.at[0] == '\r' ? "\\r"
                             : text.at[0] == '\t' ? "\\t"
                                                  : NULL;
    int written = 0;

    if (size == 0) {
        written = snprintf(out, UNIT_SIZE_MAX, "\\ufffd");
    } else if (short_form != NULL) {
        written = snprintf(out, UNIT_SIZE_MAX, "%s", short_form);
    } else if (unit_is_unsafe(at, size)) {
        written = snprintf(out, UNIT_SIZE_MAX, "\\u%04x", unit_code(at, size));
    } else {
        memcpy(out, text.at, size);
        written = (int)size;
    }
    *out_size = (size_t)written;
    return size > 0 ? size : 1;
}

static void text_put_quoted(struct line *line, struct slice text)
{
    char unit[UNIT_SIZE_MAX];
    size_t unit_size;

    while (text.size > 0) {
        size_t taken = unit_escape(text, unit, &unit_size);

        if (!line_put(line, unit, unit_size)) {
            line_force(line, "...");
            line->marked = true;
            break;
        }
        text.at += taken;
        text.size -= taken;
    }
    line_force(line, "\"");
}

static bool text_is_bare(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        char byte = text.at[i];

        if (byte <= ' ' || byte > '~' || byte == '=' || byte == '"' ||
            byte == '\\') {
            return false;
        }
    }
    return text.size > 0;
}

/* `,"name":` or ` name=`, with tail after it, in one piece. */
static bool lead_put(struct line *line, const char *name, const char *tail)
{
    char lead[FIELD_LEAD_SIZE_MAX];
    const char *form = line->format == LOG_JSON ? ",\"%s\":%s" : " %s=%s";
    /* The first field of a line follows nothing. */
    size_t skip = line->size <= 1 ? 1 : 0;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int size = snprintf(lead, sizeof lead, form, name, tail);
#pragma GCC diagnostic pop

    check(size > 0 && (size_t)size < sizeof lead);
    return line_put(line, lead + skip, (size_t)size - skip);
}

static void text_put(struct line *line, const char *name, struct slice text)
{
    if (line->format == LOG_JSON || !text_is_bare(text)) {
        if (lead_put(line, name, "\"")) {
            text_put_quoted(line, text);
        }
        return;
    }
    if (!lead_put(line, name, "")) {
        return;
    }
    size_t room = line->limit - line->size;

    if (text.size > room) {
        (void)line_put(line, text.at, room);
        line_force(line, "...");
        line->full = true;
        line->marked = true;
        return;
    }
    (void)line_put(line, text.at, text.size);
}

static void field_put(struct line *line, const struct log_field *field)
{
    char number[24];

    switch (field->kind) {
    case LOG_FIELD_TEXT: text_put(line, field->name, field->text); return;
    case LOG_FIELD_U64:
        (void)snprintf(number, sizeof number, "%" PRIu64, field->number);
        break;
    case LOG_FIELD_I64:
        (void)snprintf(number, sizeof number, "%" PRId64,
                       (int64_t)field->number);
        break;
    }
    (void)lead_put(line, field->name, number);
}

static void time_put(struct line *line, int64_t wall_us)
{
    enum { US_PER_S = 1000000 };
    char words[64];
    struct tm date;
    int64_t us = wall_us % US_PER_S;
    time_t s = (time_t)(wall_us / US_PER_S);

    if (us < 0) {
        us += US_PER_S;
        s--;
    }
    check(gmtime_r(&s, &date) != NULL);
    int size =
        snprintf(words, sizeof words, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ",
                 date.tm_year + 1900, date.tm_mon + 1, date.tm_mday,
                 date.tm_hour, date.tm_min, date.tm_sec, (int)us);

    check(size > 0 && (size_t)size < sizeof words);
    text_put(line, "time", (struct slice){words, (size_t)size});
}

size_t log_line_write(char out[static LOG_LINE_SIZE_MAX],
                      enum log_format format, const struct log_record *record)
{
    static const char *const levels[LOG_LEVEL_COUNT] = {
        [LOG_ERROR] = "error",
        [LOG_WARN] = "warn",
        [LOG_INFO] = "info",
        [LOG_DEBUG] = "debug",
    };
    struct line line = {
        .at = out,
        .limit = LOG_LINE_SIZE_MAX - LINE_RESERVE,
        .format = format,
    };

    if (format == LOG_JSON) {
        line_force(&line, "{");
    }
    time_put(&line, record->wall_us);
    text_put(&line, "level", slice_of(levels[record->level]));
    text_put(&line, "role", slice_of(record->role));
    text_put(&line, "component", slice_of(record->component));
    text_put(&line, "msg", slice_of(record->event));
    for (size_t i = 0; i < record->field_count && !line.full; i++) {
        field_put(&line, &record->fields[i]);
    }
    if (line.full && !line.marked) {
        line_force(&line, format == LOG_JSON ? ",\"cut\":\"...\"" : " cut=...");
    }
    line_force(&line, format == LOG_JSON ? "}\n" : "\n");
    return line.size;
}
