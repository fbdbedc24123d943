/* torc up: starts a cluster, says what runs where, serves or demonstrates,
 * stops it. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/cluster.h"
#include "ctl/ctl.h"
#include "ctl/demo.h"
#include "node/process.h"

enum { UP_WAIT_MS = 1000 };

static void child_print(const struct child *child)
{
    printf("  %-7s  %-9s  %-16s  %-16s  %7d  %s\n", child->role, child->name,
           child->address, child->admin, (int)child->pid, child->log_path);
}

static void table_print(struct cluster *cluster)
{
    const struct child *child;

    printf("  %-7s  %-9s  %-16s  %-16s  %7s  %s\n", "role", "name", "address",
           "http", "pid", "log");
    for (size_t i = 0; (child = cluster_child(cluster, i)) != NULL; i++) {
        child_print(child);
    }
}

/* How to call this program again from where the user is. */
static void self_name(char out[static PATH_MAX])
{
    char here[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", out, PATH_MAX - 1);

    if (size <= 0) {
        (void)snprintf(out, PATH_MAX, "torc");
        return;
    }
    out[size] = '\0';
    if (getcwd(here, sizeof here) == NULL) {
        return;
    }
    size_t prefix = strlen(here);

    if (strncmp(out, here, prefix) == 0 && out[prefix] == '/') {
        memmove(out, out + prefix + 1, (size_t)size - prefix);
    }
}

static void hints_print(const struct cluster *cluster)
{
    const struct up_options *options = cluster->options;
    char self[PATH_MAX];
    char server[2 * CHILD_WORDS_MAX] = "";
    char ringd[2 * CHILD_WORDS_MAX] = "";

    self_name(self);
    if (options->port != 11211) {
        (void)snprintf(server, sizeof server, " --server %s",
                       cluster->router.address);
    }
    if (options->ringd_port != 9160) {
        (void)snprintf(ringd, sizeof ringd, " --ringd %s", cluster->ringd_url);
    }
    printf("\nmemcached clients connect to %s.  Try:\n\n",
           cluster->router.address);
    printf("  %s set%s greeting hello && %s get%s greeting\n", self, server,
           self, server);
    printf("  %s ring show%s\n", self, ringd);
    printf("  curl %s/v1/ring\n\n", cluster->ringd_url);
}

static int serve(struct cluster *cluster)
{
    table_print(cluster);
    if (cluster->options->demo) {
        putchar('\n');
        return demo_run(cluster);
    }
    hints_print(cluster);
    puts("Ctrl-C stops all of it.");
    while (cluster_wait(cluster, UP_WAIT_MS)) {
    }
    puts("\nstopping");
    return CTL_OK;
}

int up_run(const struct env *env, int argc, char **argv)
{
    struct up_options options;
    struct ctl_arguments arguments = {.table = &up_options_table,
                                      .options = &options};
    struct cluster cluster;
    struct why why = {""};
    int status = CTL_OK;

    if (!ctl_parse(&arguments, argc, argv, &status)) {
        return status;
    }
    /* Whoever watches through a pipe wants each line when it is there. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    enum err e = cluster_prepare(&cluster, env, &options, &why);

    if (e == ERR_OK) {
        printf("torc %s: starting a ringd, %llu shard%s and a router\n\n",
               TORC_VERSION, (unsigned long long)options.shards,
               options.shards == 1 ? "" : "s");
        e = cluster_start(&cluster, &why);
    }
    if (e == ERR_OK) {
        status = serve(&cluster);
    } else {
        cluster.failed = cluster.failed || !cluster.interrupted;
        status = ctl_fail("%s", why.text);
    }
    cluster_stop(&cluster);
    return status == CTL_OK && cluster.failed ? CTL_NO : status;
}
