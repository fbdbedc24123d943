#include "ctl/demo.h"

#include <stdio.h>
#include <unistd.h>

#include "ctl/client.h"
#include "ctl/ctl.h"
#include "ctl/demo_traffic.h"
#include "ctl/ring.h"

enum { DEMO_TICK_MS = 50, DEMO_SETTLE_MS = 5000, DEMO_WIDTH = 78 };

struct demo {
    struct cluster *cluster;
    const struct env *env;
    struct ring_options ringd; /* how to ask it */
    struct demo_traffic *traffic;
    struct child *joined; /* NULL: not yet */
    uint32_t epoch_before, epoch_after;
    uint32_t slot_count;     /* of the new shard, at the end */
    bool is_settled;         /* members and routers know the last epoch */
    uint64_t shard_requests; /* what it says it has answered */
    uint64_t begun_ms, ended_ms;
    bool line_is_open;  /* the cursor stands behind a line of progress */
    struct why trouble; /* what kept the shard from joining, or "" */
};

static uint32_t epoch_now(const struct demo *demo)
{
    struct ring *ring = NULL;
    uint32_t epoch = 0;

    if (ring_fetch(demo->env, &demo->ringd, &ring, NULL, NULL) == ERR_OK) {
        epoch = ring->epoch;
        ring_unref(&ring);
    }
    return epoch;
}

static double hit_share(const struct demo_counts *counts)
{
    return counts->keys == 0
               ? 0
               : 100.0 * (double)counts->hits / (double)counts->keys;
}

static void progress_print(struct demo *demo, uint64_t elapsed_ms)
{
    bool on_terminal = isatty(STDOUT_FILENO) == 1;
    struct demo_counts counts;
    char line[160];

    demo_traffic_counts(demo->traffic, &counts);
    (void)snprintf(line, sizeof line,
                   "%3llu s  %9llu requests  %5.1f %% hits  %llu errors  "
                   "%llu wrong  epoch %u",
                   (unsigned long long)(elapsed_ms / 1000),
                   (unsigned long long)counts.requests, hit_share(&counts),
                   (unsigned long long)counts.errors,
                   (unsigned long long)counts.wrong, epoch_now(demo));
    printf("%s%-*s%s", on_terminal ? "\r" : "", on_terminal ? DEMO_WIDTH : 0,
           line, on_terminal ? "" : "\n");
    (void)fflush(stdout);
    demo->line_is_open = on_terminal;
}

static void line_end(struct demo *demo)
{
    if (demo->line_is_open) {
        putchar('\n');
    }
    demo->line_is_open = false;
}

static enum err shard_join(struct demo *demo, struct why *why)
{
    struct child *shard = NULL;
    struct ring_member member = {.weight = 1, .state = MEMBER_SERVING};
    json_t *answer = NULL;
    enum err e = cluster_shard_add(demo->cluster, &shard, why);

    if (e != ERR_OK) {
        return e;
    }
    (void)snprintf(member.name, sizeof member.name, "%s", shard->name);
    (void)snprintf(member.address, sizeof member.address, "%s", shard->address);
    (void)snprintf(member.admin, sizeof member.admin, "%s", shard->admin);
    e = ring_join(demo->env, &demo->ringd, &member, &answer, why);
    if (e != ERR_OK) {
        return e;
    }
    json_decref(answer);
    demo->joined = shard;
    line_end(demo);
    printf("       %s joins at %s\n", shard->name, shard->address);
    return ERR_OK;
}

/* Until the time is over.  False: interrupted. */
static bool traffic_watch(struct demo *demo)
{
    uint64_t length_ms = demo->cluster->options->demo_seconds;
    uint64_t next_line_ms = 1000;
    bool tried = false;

    for (;;) {
        uint64_t elapsed_ms = env_monotonic_ms(demo->env) - demo->begun_ms;

        if (!tried && elapsed_ms >= length_ms / 3) {
            tried = true;
            (void)shard_join(demo, &demo->trouble);
        }
        if (elapsed_ms >= next_line_ms) {
            progress_print(demo, elapsed_ms);
            next_line_ms = elapsed_ms - elapsed_ms % 1000 + 1000;
        }
        if (elapsed_ms >= length_ms) {
            return true;
        }
        if (!cluster_wait(demo->cluster, DEMO_TICK_MS)) {
            return false;
        }
    }
}

static void shard_look_up(struct demo *demo, const struct ring *ring)
{
    uint32_t counts[RING_MEMBERS_MAX] = {0};
    uint16_t place = ring_member_find(ring, demo->joined->name);

    ring_slot_counts(ring, counts);
    demo->slot_count = place == RING_NOBODY ? 0 : counts[place];
}

/* Did all that follow the ring acknowledge this epoch?  A ringd that does not
 * say is taken at its word. */
static bool list_has_epoch(const struct demo *demo, const char *path,
                           const char *list)
{
    json_t *document = NULL;
    bool has = true;

    if (ring_get(demo->env, &demo->ringd, path, &document, NULL) != ERR_OK) {
        return true;
    }
    const json_t *entries = json_object_get(document, list);

    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *epoch =
            json_object_get(json_array_get(entries, i), "epoch");

        has = has && (!json_is_integer(epoch) ||
                      json_integer_value(epoch) >= demo->epoch_after);
    }
    json_decref(document);
    return has;
}

/* Looks until the last epoch is everywhere, or for a bounded time. */
static void ring_settle(struct demo *demo)
{
    uint64_t deadline_ms = env_monotonic_ms(demo->env) + DEMO_SETTLE_MS;

    do {
        struct ring *ring = NULL;

        if (ring_fetch(demo->env, &demo->ringd, &ring, NULL, NULL) != ERR_OK) {
            continue;
        }
        demo->epoch_after = ring->epoch;
        if (demo->joined != NULL) {
            shard_look_up(demo, ring);
        }
        ring_unref(&ring);
        demo->is_settled = list_has_epoch(demo, "/v1/members", "members") &&
                           list_has_epoch(demo, "/v1/watchers", "watchers");
    } while (!demo->is_settled && env_monotonic_ms(demo->env) < deadline_ms &&
             cluster_wait(demo->cluster, DEMO_TICK_MS));
}

/* Adds up what the shard counts of gets and sets: it began at nothing. */
static void shard_ask(struct demo *demo)
{
    struct client *client = NULL;
    struct slice line;

    if (client_open(&client, demo->env, demo->joined->address, 2000, NULL) !=
        ERR_OK) {
        return;
    }
    enum err e = client_send(client, SLICE("stats\r\n"), NULL);

    while (e == ERR_OK && (e = client_line(client, &line, NULL)) == ERR_OK) {
        struct client_words words;
        uint64_t value;

        client_split(line, &words);
        if (words.count != 3) {
            break;
        }
        if ((slice_equal(words.at[1], SLICE("cmd_get")) ||
             slice_equal(words.at[1], SLICE("cmd_set"))) &&
            slice_read_u64(words.at[2], UINT64_MAX, &value)) {
            demo->shard_requests += value;
        }
    }
    client_close(&client);
}

static void report_print(const struct demo *demo,
                         const struct demo_counts *counts)
{
    double seconds = (double)(demo->ended_ms - demo->begun_ms) / 1000;

    printf("\n  time       %.1f s, %d connections, %d keys\n", seconds,
           DEMO_CONNECTIONS, DEMO_KEYS);
    printf("  requests   %llu (%.0f a second; %llu sets, %llu deletes)\n",
           (unsigned long long)counts->requests,
           (double)counts->requests / seconds,
           (unsigned long long)counts->stores,
           (unsigned long long)counts->deletes);
    printf("  hits       %.1f %% of %llu keys asked for\n", hit_share(counts),
           (unsigned long long)counts->keys);
    printf("  errors     %llu\n", (unsigned long long)counts->errors);
    printf("  wrong      %llu of %llu values checked\n",
           (unsigned long long)counts->wrong, (unsigned long long)counts->hits);
    printf("  epoch      %u before, %u after%s\n", demo->epoch_before,
           demo->epoch_after,
           demo->is_settled ? "" : ", not acknowledged by all");
    if (demo->joined != NULL) {
        printf("  %-9s  %u of %u slots (%.1f %%), %llu requests\n",
               demo->joined->name, demo->slot_count, SLOT_COUNT,
               100.0 * demo->slot_count / SLOT_COUNT,
               (unsigned long long)demo->shard_requests);
    }
    putchar('\n');
}

static int verdict(const struct demo *demo, const struct demo_counts *counts)
{
    const char *first = demo_traffic_trouble(demo->traffic);
    int status = CTL_OK;

    if (counts->errors > 0 || counts->wrong > 0) {
        (void)ctl_fail("demo: the first thing that went wrong: %s", first);
        status = CTL_NO;
    }
    if (counts->hits == 0) {
        (void)ctl_fail("demo: not one key was found again");
        status = CTL_NO;
    }
    if (demo->joined == NULL) {
        (void)ctl_fail("demo: no shard joined: %s", demo->trouble.text);
        return CTL_NO;
    }
    if (demo->slot_count == 0 || demo->shard_requests == 0 ||
        demo->epoch_after <= demo->epoch_before || !demo->is_settled) {
        (void)ctl_fail("demo: %s joined, but took no part or not everybody "
                       "learned of it",
                       demo->joined->name);
        status = CTL_NO;
    }
    if (demo->cluster->failed) {
        (void)ctl_fail("demo: a program ended while it was needed");
        status = CTL_NO;
    }
    return status;
}

static int demo_finish(struct demo *demo, bool whole)
{
    struct demo_counts counts;

    demo->ended_ms = env_monotonic_ms(demo->env);
    demo_traffic_stop(demo->traffic);
    demo_traffic_counts(demo->traffic, &counts);
    line_end(demo);
    if (!whole) {
        (void)ctl_fail("demo: interrupted");
        return CTL_NO;
    }
    ring_settle(demo);
    if (demo->joined != NULL) {
        shard_ask(demo);
    }
    report_print(demo, &counts);
    int status = verdict(demo, &counts);

    puts(status == CTL_OK ? "demo: all went well" : "demo: FAILED");
    return status;
}

int demo_run(struct cluster *cluster)
{
    struct demo demo = {
        .cluster = cluster,
        .env = cluster->env,
        .ringd = {.ringd = cluster->ringd_url, .timeout = 2000},
        .begun_ms = env_monotonic_ms(cluster->env),
    };

    demo.epoch_before = epoch_now(&demo);
    enum err e =
        demo_traffic_start(&demo.traffic, demo.env, cluster->router.address);

    if (e != ERR_OK) {
        return ctl_fail("demo: cannot start its threads: %s", err_text(e));
    }
    printf("demo: %llu s of traffic through %s; a shard joins after a third\n",
           (unsigned long long)(cluster->options->demo_seconds / 1000),
           cluster->router.address);
    int status = demo_finish(&demo, traffic_watch(&demo));

    demo_traffic_destroy(&demo.traffic);
    return status;
}
