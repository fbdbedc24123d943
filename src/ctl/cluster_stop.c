/* The end of a cluster. */
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/cluster.h"
#include "ctl/ctl.h"

enum { STOP_POLL_MS = 100 };

static void signal_each(struct child *const *group, size_t count, int number)
{
    for (size_t i = 0; i < count; i++) {
        if (group[i]->running) {
            (void)kill(group[i]->pid, number);
        }
    }
}

static bool any_runs(struct child *const *group, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (group[i]->running) {
            return true;
        }
    }
    return false;
}

/* A second interrupt cuts the waiting short. */
static void group_stop(struct cluster *cluster, struct child *const *group,
                       size_t count)
{
    uint64_t deadline_ms = env_monotonic_ms(cluster->env) + CLUSTER_STOP_MS;

    cluster->interrupted = false;
    signal_each(group, count, SIGTERM);
    while (any_runs(group, count)) {
        bool go_on = cluster_wait(cluster, STOP_POLL_MS);

        if (go_on && env_monotonic_ms(cluster->env) < deadline_ms) {
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            if (group[i]->running) {
                (void)ctl_fail("%s (pid %d) does not stop: killing it",
                               group[i]->name, (int)group[i]->pid);
            }
        }
        signal_each(group, count, SIGKILL);
        deadline_ms = UINT64_MAX;
    }
}

static bool folder_keeps(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* The folder was made for this run; children put nothing but files there. */
static void folder_remove(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;

    if (folder == NULL) {
        return;
    }
    while ((entry = readdir(folder)) != NULL) {
        if (!folder_keeps(entry->d_name)) {
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    (void)closedir(folder);
    (void)rmdir(path);
}

static size_t started_count(struct cluster *cluster)
{
    const struct child *child;
    size_t count = 0;

    for (size_t i = 0; (child = cluster_child(cluster, i)) != NULL; i++) {
        count += child->pid > 0;
    }
    return count;
}

void cluster_stop(struct cluster *cluster)
{
    struct child *router = &cluster->router;
    struct child *ringd = &cluster->ringd;
    struct child *shards[CLUSTER_SHARDS_MAX];
    size_t started = started_count(cluster);

    for (size_t i = 0; i < cluster->shard_count; i++) {
        shards[i] = &cluster->shards[i];
    }
    cluster->stopping = true;
    group_stop(cluster, &router, 1);
    group_stop(cluster, shards, cluster->shard_count);
    group_stop(cluster, &ringd, 1);
    if (started > 0) {
        printf("stopped %zu programs%s\n", started,
               cluster->failed ? "; not all went well" : "");
    }
    if (cluster->folder_is_ours && (!cluster->failed || started == 0)) {
        folder_remove(cluster->folder);
    } else if (cluster->folder[0] != '\0' && started > 0) {
        printf("logs and the ring are in %s\n", cluster->folder);
    }
}
