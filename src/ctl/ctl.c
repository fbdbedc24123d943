#include "ctl/ctl.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "node/process.h"

void ctl_handles_open(void)
{
    int handle;

    do {
        handle = open("/dev/null", O_RDWR);
    } while (handle >= 0 && handle <= STDERR_FILENO);
    if (handle >= 0) {
        (void)close(handle);
    }
}

void ctl_make_printable(char *words)
{
    for (char *at = words; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ' || *at == '\x7f') {
            *at = '?';
        }
    }
}

int ctl_fail(const char *format, ...)
{
    char words[2048];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    ctl_make_printable(words);
    (void)fflush(stdout);
    fprintf(stderr, "torc: %s\n", words);
    return CTL_FAILED;
}

bool ctl_parse(const struct ctl_arguments *arguments, int argc, char **argv,
               int *status)
{
    const char *program = arguments->table->program;

    if (!process_options(arguments->table, arguments->options, argc, argv,
                         arguments->operands, status)) {
        return false;
    }
    size_t count = arguments->operands != NULL ? arguments->operands->count : 0;

    if (count >= arguments->operands_min && count <= arguments->operands_max) {
        return true;
    }
    *status = ctl_fail("usage: %s %s; %zu given, %s --help explains", program,
                       arguments->operands_help, count, program);
    return false;
}
