/* ring_sample.h -- small rings and their documents. */
#ifndef TESTS_UNIT_NODE_RING_SAMPLE_H
#define TESTS_UNIT_NODE_RING_SAMPLE_H

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "core/ring.h"

/* The ring of one epoch with so many members. */
static inline struct ring *plan(const char *cluster, uint32_t epoch,
                                size_t count)
{
    struct ring_member members[4] = {0};
    struct ring *ring = NULL;
    struct why why = {""};

    check(count <= 4);
    for (size_t i = 0; i < count; i++) {
        (void)snprintf(members[i].name, sizeof members[i].name, "shard-%zu", i);
        (void)snprintf(members[i].address, sizeof members[i].address,
                       "127.0.0.1:%zu", 7000 + i);
        members[i].weight = 1;
        members[i].state = MEMBER_SERVING;
    }
    enum err e = ring_plan(mem_system(), cluster, epoch, members, count, NULL,
                           &ring, &why);

    if (e != ERR_OK) {
        fail_msg("%s", why.text);
    }
    return ring;
}

/* The document of that ring, the caller's to mem_free. */
static inline char *document(const char *cluster, uint32_t epoch, size_t count)
{
    struct ring *ring = plan(cluster, epoch, count);
    char *json = NULL;
    size_t size = 0;

    assert_int_equal(ring_write(ring, &json, &size), ERR_OK);
    char *text = mem_alloc(mem_system(), size + 1);

    assert_non_null(text);
    memcpy(text, json, size);
    text[size] = '\0';
    mem_free(mem_system(), json);
    ring_unref(&ring);
    return text;
}

#endif
