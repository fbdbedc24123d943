/* log_line.h -- one event as one line of logfmt or JSON.
 *
 * Pure.  Whatever bytes a field holds, the line is one line of valid UTF-8
 * (a byte that is no UTF-8 becomes U+FFFD), is valid JSON where JSON is asked
 * for, and moves no terminal's cursor.  Private to log.c.
 */
#ifndef BASE_LOG_LINE_H
#define BASE_LOG_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"

struct log_record {
    int64_t wall_us; /* since 1970 */
    enum log_level level;
    const char *role;
    const char *component;
    const char *event;
    const struct log_field *fields;
    size_t field_count;
};

/* Returns the line's size with its newline.  A text that does not fit ends in
 * "..."; where not even a field's beginning fits, cut="..." tells that there
 * were more. */
size_t log_line_write(char out[static LOG_LINE_SIZE_MAX],
                      enum log_format format, const struct log_record *record);

#endif
