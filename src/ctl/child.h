/* child.h -- a program that torc has started: its log, its end.
 *
 * A child writes to a log file, reads from /dev/null, has a process group of
 * its own (so that a Ctrl-C in the terminal reaches torc alone, which then
 * stops its children in the right order) and dies with torc.
 */
#ifndef CTL_CHILD_H
#define CTL_CHILD_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/err.h"

enum {
    CHILD_WORDS_MAX = 64,
    CHILD_ADDRESS_MAX = 32, /* 127.0.0.1:65535 */
    CHILD_ARGUMENTS_MAX = 160,
};

struct child {
    const char *role;           /* "shard" */
    char name[CHILD_WORDS_MAX]; /* "shard-0" */
    char address[CHILD_ADDRESS_MAX];
    char admin[CHILD_ADDRESS_MAX]; /* its HTTP address */
    char log_path[PATH_MAX];
    pid_t pid; /* 0: not started */
    bool running;
    int wait_status; /* once it ran and runs no more */
};

/* Where torc-<role> is: beside the running program, in ../<role>/ of it (as
 * the build lays it out), or on the PATH.  ERR_UNKNOWN with *why. */
enum err child_program_find(const char *role, char out[static PATH_MAX],
                            struct why *why);

/* argv ends with NULL.  Call from the thread that lives longest: when it ends,
 * so do its children.  ERR_IO with *why. */
enum err child_start(struct child *child, const char *program,
                     char *const *argv, struct why *why);

/* True once, when it has ended. */
bool child_reap(struct child *child);

/* "was killed by signal 9 (Killed)", "exited with status 1" */
void child_end_words(const struct child *child, char *out, size_t size);
/* It ended by itself with status 0, or by SIGTERM before it could care. */
bool child_ended_well(const struct child *child);

/* The last lines of its log, indented. */
void child_log_tail(const struct child *child, FILE *out);

#endif
