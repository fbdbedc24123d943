/* torc -- the tool.  Finds the subcommand and lets it do its work. */
#include <stdio.h>
#include <string.h>

#include "ctl/ctl.h"
#include "net/net.h"
#include "node/process.h"

static const struct command {
    const char *word;
    const char *verb; /* NULL: one word is all */
    ctl_command *run;
    const char *operands;
    const char *help;
} commands[] = {
#define COMMAND(word, verb, run, operands, help) \
    {word, verb, run, operands, help},
#include "ctl/commands.def"
#undef COMMAND
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static void overview(FILE *out)
{
    fputs("torc " TORC_VERSION " - a cache of many shards that looks like one "
          "memcached\n\n",
          out);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct command *command = &commands[i];
        char words[64];

        (void)snprintf(words, sizeof words, "%s%s%s %s", command->word,
                       command->verb != NULL ? " " : "",
                       command->verb != NULL ? command->verb : "",
                       command->operands);
        fprintf(out, "  torc %-22s %s\n", words, command->help);
    }
    fputs("\nEach explains itself: torc up --help.  To begin:\n\n"
          "  torc up                     in one terminal\n"
          "  torc set greeting hello     in another\n"
          "  torc get greeting\n"
          "  torc ring explain greeting\n",
          out);
}

static const struct command *command_find(int argc, char **argv)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct command *command = &commands[i];

        if (strcmp(argv[1], command->word) == 0 &&
            (command->verb == NULL ||
             (argc > 2 && strcmp(argv[2], command->verb) == 0))) {
            return command;
        }
    }
    return NULL;
}

static int refuse(int argc, char **argv)
{
    if (strcmp(argv[1], "ring") == 0) {
        return ctl_fail("ring needs one of show, explain, add, remove%s%s",
                        argc > 2 ? ", not " : "", argc > 2 ? argv[2] : "");
    }
    return ctl_fail("\"%s\" is no subcommand; torc --help lists all", argv[1]);
}

int main(int argc, char **argv)
{
    struct env env;

    ctl_handles_open();

    if (argc < 2) {
        overview(stderr);
        return CTL_FAILED;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        overview(stdout);
        return CTL_OK;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("torc " TORC_VERSION);
        return CTL_OK;
    }
    const struct command *command = command_find(argc, argv);

    if (command == NULL) {
        return refuse(argc, argv);
    }
    int skipped = command->verb == NULL ? 1 : 2;

    env_system(&env);
    env.net = net_system();
    return command->run(&env, argc - skipped, argv + skipped);
}
