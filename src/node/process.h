/* process.h -- what every torc program does around its role: signals, the
 * version, the log, the wait for the end.
 */
#ifndef NODE_PROCESS_H
#define NODE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/env.h"
#include "base/err.h"
#include "base/log.h"
#include "base/option.h"

#define TORC_VERSION         "0.1.0"
#define TORC_MEMCACHED_LEVEL "1.6.45"

/* Parses the options; on --help, --version or a refusal prints what is due and
 * returns false with *exit_status set. */
bool process_options(const struct option_table *table, void *options, int argc,
                     char *const *argv, struct option_texts *operands,
                     int *exit_status);

/* Fills env (clock, random, memory, net) and starts the log on standard error.
 * verbosity 0 tells of starts, stops and troubles, 1 and above of everything;
 * format "logfmt" or "json", else ERR_UNKNOWN. */
enum err process_begin(struct env *env, const char *role, uint64_t verbosity,
                       const char *log_format, struct why *why);
/* Writes what is left of the log. */
void process_end(struct env *env);

/* Blocks SIGINT, SIGTERM, SIGUSR1, SIGHUP in this and all later threads, and
 * ignores SIGPIPE.  Call before the first thread. */
void process_signals_block(void);
/* Waits for one of them; returns its number. */
int process_signal_wait(void);

#endif
