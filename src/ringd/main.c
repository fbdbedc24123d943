/* torc-ringd: parse options, start, wait for a signal, stop. */
#include <stdio.h>

#include "base/log.h"
#include "node/process.h"
#include "ringd/ringd.h"

static int run(const struct ringd_options *options)
{
    struct env env;
    struct ringd *ringd = NULL;
    struct why why = {""};

    process_signals_block();
    if (process_begin(&env, "ringd", options->verbose, options->log_format,
                      &why) != ERR_OK) {
        fprintf(stderr, "torc-ringd: %s\n", why.text);
        return 2;
    }
    if (ringd_start(&ringd, &env, options, &why) != ERR_OK) {
        process_end(&env);
        fprintf(stderr, "torc-ringd: %s\n", why.text);
        return 1;
    }
    int number = process_signal_wait();

    LOG_NOTE(env.log, "ringd", "stopping", LOG_I64("signal", number));
    ringd_stop(&ringd);
    process_end(&env);
    return 0;
}

int main(int argc, char **argv)
{
    struct ringd_options options;
    int exit_status;

    if (!process_options(ringd_option_table(), &options, argc, argv, NULL,
                         &exit_status)) {
        return exit_status;
    }
    return run(&options);
}
