/* ctl.h -- torc, the tool: what its subcommands share.
 *
 * Each subcommand is a row of commands.def and a file of its own.  It takes its
 * arguments as main would (argv[0] is "torc ring show"), says on standard error
 * what failed, where and what to do, and returns the exit status.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "base/env.h"
#include "base/err.h"
#include "base/option.h"

enum ctl_status {
    CTL_OK = 0,
    CTL_NO = 1,     /* a miss; a demonstration that found something wrong */
    CTL_FAILED = 2, /* refused arguments; nobody answered */
};

/* env: clock, random, memory and network; no log. */
typedef int ctl_command(const struct env *env, int argc, char **argv);

#define COMMAND(word, verb, run, operands, help) ctl_command run;
#include "ctl/commands.def"
#undef COMMAND

/* Prints "torc: " and the words; returns CTL_FAILED. */
int ctl_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Whoever starts torc may have closed standard input, output or error; the
 * next file or socket opened would then be taken for one of them. */
void ctl_handles_open(void);

/* Peers choose some of the words that are printed; they must not steer the
 * terminal.  Control bytes become '?'. */
void ctl_make_printable(char *words);

/* Parses options and operands (NULL: none are taken) and checks how many
 * operands there are.  False: what is due was printed, return *status. */
struct ctl_arguments {
    const struct option_table *table;
    void *options;
    struct option_texts *operands;
    size_t operands_min, operands_max;
    const char *operands_help; /* "KEY VALUE" */
};
bool ctl_parse(const struct ctl_arguments *arguments, int argc, char **argv,
               int *status);

#endif
