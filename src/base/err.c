#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"

static const char *const err_texts[] = {
#define ERR(name, words) [ERR_##name] = (words),
#include "base/err.def"
#undef ERR
};

const char *err_text(enum err e)
{
    check((unsigned)e < ERR_COUNT);
    return err_texts[e];
}

enum err err_why(struct why *why, enum err e, const char *format, ...)
{
    /* The arguments may be the old words themselves: a refusal that gains
     * context on its way up. */
    struct why words = {""};
    va_list arguments;

    if (why != NULL) {
        va_start(arguments, format);
        (void)vsnprintf(words.text, sizeof words.text, format, arguments);
        va_end(arguments);
        *why = words;
    }
    return e;
}
