/* torc-router: parse options, start, wait for a signal, stop. */
#include <stdio.h>

#include "base/log.h"
#include "node/process.h"
#include "router/router.h"

static int run(const struct router_options *options)
{
    struct env env;
    struct router *router = NULL;
    struct why why = {0};

    process_signals_block();
    if (process_begin(&env, "router", options->verbose, options->log_format,
                      &why) != ERR_OK) {
        fprintf(stderr, "torc-router: %s\n", why.text);
        return 2;
    }
    if (router_start(&router, &env, options, &why) != ERR_OK) {
        process_end(&env);
        fprintf(stderr, "torc-router: %s\n", why.text);
        return 1;
    }
    int number = process_signal_wait();

    LOG_NOTE(env.log, "router", "stopping", LOG_I64("signal", number));
    router_stop(&router);
    process_end(&env);
    return 0;
}

int main(int argc, char **argv)
{
    struct router_options options;
    int exit_status;

    if (!process_options(router_option_table(), &options, argc, argv, NULL,
                         &exit_status)) {
        return exit_status;
    }
    return run(&options);
}
