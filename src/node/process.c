#include "node/process.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "net/net.h"

enum { EXIT_GOOD = 0, EXIT_USAGE = 2 };

bool process_options(const struct option_table *table, void *options, int argc,
                     char *const *argv, struct option_texts *operands,
                     int *exit_status)
{
    struct why why = {""};
    struct why notice = {""};

    *exit_status = EXIT_GOOD;
    switch (option_parse(table, options, argc, argv, operands, &why, &notice)) {
    case OPTION_PARSED:
        if (notice.text[0] != '\0') {
            (void)fprintf(stderr, "%s: %s\n", table->program, notice.text);
        }
        return true;
    case OPTION_HELP: option_help(table, stdout); return false;
    case OPTION_VERSION:
        (void)printf("%s " TORC_VERSION " (memcached " TORC_MEMCACHED_LEVEL
                     " protocol)\n",
                     table->program);
        return false;
    case OPTION_REFUSED: break;
    }
    (void)fprintf(stderr, "%s: %s\ntry %s --help\n", table->program, why.text,
                  table->program);
    *exit_status = EXIT_USAGE;
    return false;
}

static enum err log_format_find(const char *name, enum log_format *out,
                                struct why *why)
{
    if (strcmp(name, "logfmt") == 0) {
        *out = LOG_LOGFMT;
    } else if (strcmp(name, "json") == 0) {
        *out = LOG_JSON;
    } else {
        return err_why(why, ERR_UNKNOWN,
                       "log-format: \"%s\" is unknown; want logfmt or json",
                       name);
    }
    return ERR_OK;
}

enum err process_begin(struct env *env, const char *role, uint64_t verbosity,
                       const char *log_format, struct why *why)
{
    struct log_options options = {
        .level = verbosity == 0 ? LOG_INFO : LOG_DEBUG,
        .fd = STDERR_FILENO,
        .role = role,
    };
    enum err e = log_format_find(log_format, &options.format, why);

    if (e != ERR_OK) {
        return e;
    }
    env_system(env);
    env->net = net_system();
    env->log = NULL;
    e = log_create(&env->log, env, &options);
    return e == ERR_OK ? e : err_why(why, e, "the log: %s", err_text(e));
}

void process_end(struct env *env)
{
    if (env->log != NULL) {
        log_destroy(&env->log);
    }
}

/* What a program is told from outside; nothing else is ever waited for. */
static void signals_of_ours(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGUSR1);
    (void)sigaddset(set, SIGHUP);
}

void process_signals_block(void)
{
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;

    signals_of_ours(&set);
    check(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    check(sigaction(SIGPIPE, &ignore, NULL) == 0);
}

int process_signal_wait(void)
{
    sigset_t set;
    int number = 0;

    signals_of_ours(&set);
    check(sigwait(&set, &number) == 0);
    return number;
}
