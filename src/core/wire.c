#include "core/wire.h"

#include "base/check.h"

static const struct slice wire_lines[] = {
#define WIRE_LINE(name, text) \
    [WIRE_##name] = {text "\r\n", sizeof(text "\r\n") - 1},
#include "proto/errors.def"
#undef WIRE_LINE
};

struct slice wire_line(enum wire_line line)
{
    check((unsigned)line < WIRE_LINE_COUNT);
    return wire_lines[line];
}

struct slice wire_words(enum wire_line line)
{
    struct slice words = wire_line(line);

    words.size -= 2;
    return words;
}
