/* torc-shard: parse options, start, wait for a signal, stop. */
#include <stdio.h>

#include "base/log.h"
#include "node/process.h"
#include "shard/shard.h"

static int run(const struct shard_options *options)
{
    struct env env;
    struct shard *shard = NULL;
    struct why why = {0};

    process_signals_block();
    if (process_begin(&env, "shard", options->verbose, options->log_format,
                      &why) != ERR_OK) {
        fprintf(stderr, "torc-shard: %s\n", why.text);
        return 2;
    }
    if (shard_start(&shard, &env, options, &why) != ERR_OK) {
        process_end(&env);
        fprintf(stderr, "torc-shard: %s\n", why.text);
        return 1;
    }
    int number = process_signal_wait();

    LOG_NOTE(env.log, "shard", "stopping", LOG_I64("signal", number));
    shard_stop(&shard);
    process_end(&env);
    return 0;
}

int main(int argc, char **argv)
{
    struct shard_options options;
    int exit_status;

    if (!process_options(shard_option_table(), &options, argc, argv, NULL,
                         &exit_status)) {
        return exit_status;
    }
    return run(&options);
}
