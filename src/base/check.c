#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *condition, const char *file, int line)
{
    /* Unbuffered and without the log: whatever broke may hold its locks. */
    (void)dprintf(2, "check failed: %s (%s:%d)\n", condition, file, line);
    abort();
}
