#include "net/lines.h"

#include "base/check.h"

enum { LINES_CAPACITY_MIN = 512 };

void lines_init(struct lines *lines, const struct mem *mem, size_t size_max)
{
    check(size_max > 0);
    *lines = (struct lines){.mem = mem, .size_max = size_max};
}

void lines_fini(struct lines *lines)
{
    mem_free(lines->mem, lines->at);
    *lines = (struct lines){.mem = lines->mem, .size_max = lines->size_max};
}

void lines_reset(struct lines *lines)
{
    lines->size = 0;
    if (lines->capacity > LINES_KEPT_SIZE_MAX) {
        lines_fini(lines);
    }
}

static enum err lines_keep(struct lines *lines, struct slice bytes)
{
    /* One byte over the limit is let in: it may be the '\r' of the ending. */
    if (bytes.size > lines->size_max + 1 - lines->size) {
        return ERR_LIMIT;
    }
    size_t needed = lines->size + bytes.size;
    size_t capacity =
        lines->capacity == 0 ? LINES_CAPACITY_MIN : lines->capacity;

    while (capacity < needed) {
        capacity *= 2;
    }
    if (capacity != lines->capacity) {
        char *at = mem_resize(lines->mem, lines->at, capacity);

        if (at == NULL) {
            return ERR_NOMEM;
        }
        lines->at = at;
        lines->capacity = capacity;
    }
    if (bytes.size > 0) {
        memcpy(lines->at + lines->size, bytes.at, bytes.size);
    }
    lines->size = needed;
    return ERR_OK;
}

static enum err lines_hand_on(const struct lines *lines, struct slice line,
                              lines_take *take, void *context)
{
    if (line.size > 0 && line.at[line.size - 1] == '\r') {
        line.size--;
    }
    if (line.size > lines->size_max) {
        return ERR_LIMIT;
    }
    if (line.size > 0) {
        take(context, line);
    }
    return ERR_OK;
}

enum err lines_feed(struct lines *lines, struct slice bytes, lines_take *take,
                    void *context)
{
    enum err e = ERR_OK;

    while (e == ERR_OK && bytes.size > 0) {
        const char *ending = memchr(bytes.at, '\n', bytes.size);

        if (ending == NULL) {
            return lines_keep(lines, bytes);
        }
        struct slice piece = {bytes.at, (size_t)(ending - bytes.at)};

        bytes.at += piece.size + 1;
        bytes.size -= piece.size + 1;
        if (lines->size == 0) {
            e = lines_hand_on(lines, piece, take, context);
            continue;
        }
        e = lines_keep(lines, piece);
        if (e == ERR_OK) {
            e = lines_hand_on(lines, (struct slice){lines->at, lines->size},
                              take, context);
            lines_reset(lines);
        }
    }
    return e;
}
