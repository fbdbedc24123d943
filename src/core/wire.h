/* wire.h -- the fixed lines of the memcached protocols, from proto/errors.def.
 */
#ifndef CORE_WIRE_H
#define CORE_WIRE_H

#include "base/slice.h"

enum wire_line {
#define WIRE_LINE(name, text) WIRE_##name,
#include "proto/errors.def"
#undef WIRE_LINE
    WIRE_LINE_COUNT
};

/* With its "\r\n", ready to be sent. */
struct slice wire_line(enum wire_line line);
/* Without, for a log. */
struct slice wire_words(enum wire_line line);

#endif
