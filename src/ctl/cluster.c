#include "ctl/cluster.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/mem.h"
#include "ctl/ask.h"
#include "ctl/ctl.h"
#include "ctl/port.h"
#include "ctl/ring.h"
#include "node/process.h"

enum {
    /* Where each is looked for first; the next free one is as good. */
    PORT_SHARD = 11311,
    PORT_ADMIN_ROUTER = 9150,
    PORT_ADMIN_SHARD = 9151,
    READY_POLL_MS = 20,
};

struct child *cluster_child(struct cluster *cluster, size_t index)
{
    if (index == 0) {
        return &cluster->ringd;
    }
    if (index <= cluster->shard_count) {
        return &cluster->shards[index - 1];
    }
    return index == cluster->shard_count + 1 ? &cluster->router : NULL;
}

static enum err folder_make(struct cluster *cluster, struct why *why)
{
    const char *temporary = getenv("TMPDIR");
    const char *given = cluster->options->dir;
    int size;

    if (given != NULL) {
        size = snprintf(cluster->folder, sizeof cluster->folder, "%s", given);
    } else {
        size =
            snprintf(cluster->folder, sizeof cluster->folder, "%s/torc-XXXXXX",
                     temporary != NULL ? temporary : "/tmp");
    }
    if (size < 0 || (size_t)size >= sizeof cluster->folder) {
        return err_why(why, ERR_LIMIT, "--dir: the path is too long");
    }
    if (given != NULL) {
        if (mkdir(given, 0700) != 0 && errno != EEXIST) {
            return err_why(why, ERR_IO, "--dir: cannot make %s: %s", given,
                           strerror(errno));
        }
        return ERR_OK;
    }
    if (mkdtemp(cluster->folder) == NULL) {
        return err_why(why, ERR_IO,
                       "cannot make the folder %s: %s; --dir "
                       "names another",
                       cluster->folder, strerror(errno));
    }
    cluster->folder_is_ours = true;
    return ERR_OK;
}

static void child_name(struct cluster *cluster, struct child *child,
                       const char *role, const char *name)
{
    child->role = role;
    (void)snprintf(child->name, sizeof child->name, "%s", name);
    (void)snprintf(child->log_path, sizeof child->log_path, "%s/%s.log",
                   cluster->folder, name);
}

static void address_write(char out[static CHILD_ADDRESS_MAX], uint16_t port)
{
    (void)snprintf(out, CHILD_ADDRESS_MAX, "127.0.0.1:%u", port);
}

/* A port that people know by its flag has to be free. */
static enum err port_named(struct port_holds *holds, const char *flag,
                           uint64_t port, char out[static CHILD_ADDRESS_MAX],
                           struct why *why)
{
    uint16_t held = port_hold(holds, (uint16_t)port);

    if (held == 0) {
        return err_why(why, ERR_EXISTS,
                       "port %llu of 127.0.0.1 is in use (%s): stop what "
                       "listens there, or give %s another, or 0 for any",
                       (unsigned long long)port, flag, flag);
    }
    address_write(out, held);
    return ERR_OK;
}

/* Any other is taken where one is free. */
static enum err port_near(struct port_holds *holds, uint16_t preferred,
                          char out[static CHILD_ADDRESS_MAX], struct why *why)
{
    uint16_t held = port_hold(holds, preferred);

    if (held == 0) {
        held = port_hold(holds, 0);
    }
    if (held == 0) {
        return err_why(why, ERR_LIMIT, "127.0.0.1 has no free port left");
    }
    address_write(out, held);
    return ERR_OK;
}

static enum err shard_place(struct cluster *cluster, struct port_holds *holds,
                            struct why *why)
{
    check(cluster->shard_count < CLUSTER_SHARDS_MAX);
    size_t index = cluster->shard_count;
    struct child *shard = &cluster->shards[index];
    char name[CHILD_WORDS_MAX];

    (void)snprintf(name, sizeof name, "shard-%zu", index);
    child_name(cluster, shard, "shard", name);
    enum err e =
        port_near(holds, (uint16_t)(PORT_SHARD + index), shard->address, why);

    if (e == ERR_OK) {
        e = port_near(holds, (uint16_t)(PORT_ADMIN_SHARD + index), shard->admin,
                      why);
    }
    if (e == ERR_OK) {
        cluster->shard_count++;
    }
    return e;
}

static enum err all_place(struct cluster *cluster, struct port_holds *holds,
                          struct why *why)
{
    const struct up_options *options = cluster->options;
    struct child *ringd = &cluster->ringd;
    struct child *router = &cluster->router;

    child_name(cluster, ringd, "ringd", "ringd");
    child_name(cluster, router, "router", "router-0");
    enum err e =
        port_named(holds, "--port", options->port, router->address, why);

    if (e == ERR_OK) {
        e = port_named(holds, "--ringd-port", options->ringd_port,
                       ringd->address, why);
    }
    if (e == ERR_OK) {
        e = port_near(holds, PORT_ADMIN_ROUTER, router->admin, why);
    }
    for (uint64_t i = 0; e == ERR_OK && i < options->shards; i++) {
        e = shard_place(cluster, holds, why);
    }
    memcpy(ringd->admin, ringd->address, sizeof ringd->admin);
    (void)snprintf(cluster->ringd_url, sizeof cluster->ringd_url, "http://%s",
                   ringd->address);
    return e;
}

static enum err programs_find(struct cluster *cluster, struct why *why)
{
    enum err e = child_program_find("ringd", cluster->ringd_program, why);

    if (e == ERR_OK) {
        e = child_program_find("shard", cluster->shard_program, why);
    }
    if (e == ERR_OK) {
        e = child_program_find("router", cluster->router_program, why);
    }
    return e;
}

static void signals_fill(sigset_t *signals)
{
    (void)sigemptyset(signals);
    (void)sigaddset(signals, SIGINT);
    (void)sigaddset(signals, SIGTERM);
    (void)sigaddset(signals, SIGHUP);
    (void)sigaddset(signals, SIGCHLD);
}

enum err cluster_prepare(struct cluster *cluster, const struct env *env,
                         const struct up_options *options, struct why *why)
{
    struct port_holds holds = {.count = 0};
    sigset_t signals;

    memset(cluster, 0, sizeof *cluster);
    cluster->env = env;
    cluster->options = options;
    process_signals_block();
    signals_fill(&signals);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);

    enum err e = programs_find(cluster, why);

    if (e == ERR_OK) {
        e = folder_make(cluster, why);
    }
    if (e == ERR_OK) {
        e = all_place(cluster, &holds, why);
    }
    port_holds_release(&holds);
    return e;
}

/* Arguments for a child; what they point to outlives the call that uses it. */
struct arguments {
    char *at[CHILD_ARGUMENTS_MAX + 1];
    size_t count;
};

static void argument_add(struct arguments *arguments, const char *word)
{
    check(arguments->count < CHILD_ARGUMENTS_MAX);
    arguments->at[arguments->count++] = (char *)(uintptr_t)word;
    arguments->at[arguments->count] = NULL;
}

static void arguments_add(struct arguments *arguments, const char *const *words)
{
    for (; *words != NULL; words++) {
        argument_add(arguments, *words);
    }
}

static void verbosity_add(struct arguments *arguments, uint64_t verbose)
{
    while (verbose-- > 0) {
        argument_add(arguments, "-v");
    }
}

static enum err ringd_start(struct cluster *cluster, struct why *why)
{
    char store[PATH_MAX];
    char members[CLUSTER_SHARDS_MAX][4 * CHILD_WORDS_MAX];
    struct arguments arguments = {.count = 0};

    (void)snprintf(store, sizeof store, "%s/ring.json", cluster->folder);
    const char *const words[] = {
        "torc-ringd", "--listen", cluster->ringd.address,
        "--store",    store,      "--cluster",
        "up",         NULL};

    arguments_add(&arguments, words);
    for (size_t i = 0; i < cluster->shard_count; i++) {
        const struct child *shard = &cluster->shards[i];

        (void)snprintf(members[i], sizeof members[i], "%s=%s,admin=%s",
                       shard->name, shard->address, shard->admin);
        argument_add(&arguments, "--member");
        argument_add(&arguments, members[i]);
    }
    verbosity_add(&arguments, cluster->options->verbose);
    return child_start(&cluster->ringd, cluster->ringd_program, arguments.at,
                       why);
}

/* The port of "127.0.0.1:port". */
static const char *port_of(const struct child *child)
{
    return strchr(child->address, ':') + 1;
}

static enum err shard_start(struct cluster *cluster, struct child *shard,
                            struct why *why)
{
    char mebibytes[24];
    struct arguments arguments = {.count = 0};

    (void)snprintf(mebibytes, sizeof mebibytes, "%llu",
                   (unsigned long long)(cluster->options->memory / MIB));
    const char *const words[] = {"torc-shard",
                                 "--name",
                                 shard->name,
                                 "-l",
                                 "127.0.0.1",
                                 "-p",
                                 port_of(shard),
                                 "-m",
                                 mebibytes,
                                 "-t",
                                 "1",
                                 "--admin",
                                 shard->admin,
                                 "--ringd",
                                 cluster->ringd_url,
                                 NULL};

    arguments_add(&arguments, words);
    verbosity_add(&arguments, cluster->options->verbose);
    return child_start(shard, cluster->shard_program, arguments.at, why);
}

static enum err router_start(struct cluster *cluster, struct why *why)
{
    const struct child *router = &cluster->router;
    struct arguments arguments = {.count = 0};
    const char *const words[] = {"torc-router",
                                 "--name",
                                 router->name,
                                 "-l",
                                 "127.0.0.1",
                                 "-p",
                                 port_of(router),
                                 "-t",
                                 "1",
                                 "--admin",
                                 router->admin,
                                 "--ringd",
                                 cluster->ringd_url,
                                 NULL};

    arguments_add(&arguments, words);
    verbosity_add(&arguments, cluster->options->verbose);
    return child_start(&cluster->router, cluster->router_program, arguments.at,
                       why);
}

/* Says so, unless it was asked to. */
static void ended_note(struct cluster *cluster, struct child *child)
{
    char words[96];

    if (cluster->stopping && child_ended_well(child)) {
        return;
    }
    cluster->failed = true;
    child_end_words(child, words, sizeof words);
    (void)fflush(stdout);
    fprintf(stderr, "\ntorc: %s (pid %d) %s%s\n", child->name, (int)child->pid,
            words,
            cluster->serving && !cluster->stopping ? "; the others go on" : "");
    child_log_tail(child, stderr);
    (void)fflush(stderr);
}

static void children_reap(struct cluster *cluster)
{
    struct child *child;

    for (size_t i = 0; (child = cluster_child(cluster, i)) != NULL; i++) {
        if (child_reap(child)) {
            ended_note(cluster, child);
        }
    }
}

bool cluster_wait(struct cluster *cluster, uint64_t timeout_ms)
{
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ms / 1000),
                               .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    sigset_t signals;

    signals_fill(&signals);
    int number = sigtimedwait(&signals, NULL, &timeout);

    if (number > 0 && number != SIGCHLD) {
        cluster->interrupted = true;
    }
    /* Several ends may be one signal. */
    children_reap(cluster);
    return !cluster->interrupted;
}

static enum err ready_wait(struct cluster *cluster, const struct child *child,
                           const char *path, struct why *why)
{
    uint64_t deadline_ms = env_monotonic_ms(cluster->env) + CLUSTER_READY_MS;
    struct why last = {"no answer"};
    struct ask ask = {.method = "GET",
                      .server = child->admin,
                      .path = path,
                      .timeout_ms = 1000};

    for (;;) {
        char *answer = NULL;
        size_t size = 0;

        if (!cluster_wait(cluster, READY_POLL_MS)) {
            return err_why(why, ERR_REFUSED, "interrupted");
        }
        if (!child->running) {
            return err_why(why, ERR_CLOSED, "%s did not start", child->name);
        }
        enum err e = ask_text(cluster->env, &ask, &answer, &size, &last);

        mem_free(cluster->env->mem, answer);
        if (e == ERR_OK) {
            return ERR_OK;
        }
        if (env_monotonic_ms(cluster->env) > deadline_ms) {
            child_log_tail(child, stderr);
            return err_why(why, ERR_TIMEOUT,
                           "%s is not ready after %d s (http://%s%s: %.200s)",
                           child->name, CLUSTER_READY_MS / 1000, child->admin,
                           path, last.text);
        }
    }
}

/* Would a run of torc up have given a shard this name? */
static bool name_is_ours(const char *name)
{
    size_t digits;

    if (strncmp(name, "shard-", 6) != 0) {
        return false;
    }
    digits = strspn(name + 6, "0123456789");
    return digits > 0 && name[6 + digits] == '\0';
}

static bool is_started(const struct cluster *cluster, const char *name)
{
    for (size_t i = 0; i < cluster->shard_count; i++) {
        if (strcmp(cluster->shards[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* A folder that is used again may hold the ring of a run with more shards;
 * their slots would have nobody to serve them.  What somebody added by hand
 * under another name stays. */
static enum err ring_prune(struct cluster *cluster, struct why *why)
{
    struct ring_options options = {.ringd = cluster->ringd_url,
                                   .timeout = CLUSTER_READY_MS};
    struct ring *ring = NULL;
    enum err e = ring_fetch(cluster->env, &options, &ring, NULL, why);

    for (size_t i = 0; e == ERR_OK && i < ring->member_count; i++) {
        const char *name = ring->members[i].name;
        json_t *answer = NULL;

        if (!name_is_ours(name) || is_started(cluster, name)) {
            continue;
        }
        printf("  %s of an earlier run leaves the ring; more --shards would "
               "keep it\n",
               name);
        e = ring_leave(cluster->env, &options, name, &answer, why);
        json_decref(answer);
    }
    ring_unref(&ring);
    return e;
}

enum err cluster_start(struct cluster *cluster, struct why *why)
{
    enum err e = ringd_start(cluster, why);

    if (e == ERR_OK) {
        e = ready_wait(cluster, &cluster->ringd, "/readyz", why);
    }
    if (e == ERR_OK) {
        e = ring_prune(cluster, why);
    }
    for (size_t i = 0; e == ERR_OK && i < cluster->shard_count; i++) {
        e = shard_start(cluster, &cluster->shards[i], why);
    }
    for (size_t i = 0; e == ERR_OK && i < cluster->shard_count; i++) {
        e = ready_wait(cluster, &cluster->shards[i], "/readyz", why);
    }
    if (e == ERR_OK) {
        e = router_start(cluster, why);
    }
    if (e == ERR_OK) {
        e = ready_wait(cluster, &cluster->router, "/readyz", why);
    }
    cluster->serving = e == ERR_OK;
    return e;
}

enum err cluster_shard_add(struct cluster *cluster, struct child **out,
                           struct why *why)
{
    struct port_holds holds = {.count = 0};
    enum err e = shard_place(cluster, &holds, why);

    port_holds_release(&holds);
    if (e != ERR_OK) {
        return e;
    }
    struct child *shard = &cluster->shards[cluster->shard_count - 1];

    e = shard_start(cluster, shard, why);
    /* It cannot be ready before it is a member. */
    if (e == ERR_OK) {
        e = ready_wait(cluster, shard, "/livez", why);
    }
    if (e == ERR_OK) {
        *out = shard;
    }
    return e;
}
