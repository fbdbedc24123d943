#include "ctl/demo_value.h"

#include <stdio.h>

#include "base/check.h"
#include "base/rand.h"

enum { LARGE_ONE_IN = 64, SMALL_SIZE_SPREAD = 600, BAIT_ONE_IN = 8 };

size_t demo_key_write(char out[static DEMO_KEY_SIZE_MAX], uint32_t key)
{
    char text[DEMO_KEY_SIZE_MAX + 1];
    int size = snprintf(text, sizeof text, "demo:%06u", key);

    check(size > 0 && size <= DEMO_KEY_SIZE_MAX);
    memcpy(out, text, (size_t)size);
    return (size_t)size;
}

uint32_t demo_flags(uint32_t key)
{
    return key * UINT32_C(2654435761); /* all 32 bits, far apart */
}

size_t demo_value_write(char out[static DEMO_VALUE_SIZE_MAX], uint32_t key,
                        uint32_t version)
{
    static const char bait[] =
        "\r\nEND\r\nVALUE demo:000000 0 5\r\nEN\r\nMN\r\n";
    char head[DEMO_VALUE_SIZE_MIN + 1];
    struct rand rand;

    rand_init(&rand, (uint64_t)key << 32 | version);
    uint64_t spread =
        rand_below(&rand, LARGE_ONE_IN) == 0
            ? (uint64_t)(DEMO_VALUE_SIZE_MAX - DEMO_VALUE_SIZE_MIN + 1)
            : (uint64_t)SMALL_SIZE_SPREAD;
    size_t size = DEMO_VALUE_SIZE_MIN + (size_t)rand_below(&rand, spread);
    bool has_bait = rand_below(&rand, BAIT_ONE_IN) == 0;
    size_t at = DEMO_VALUE_SIZE_MIN;

    (void)snprintf(head, sizeof head, "%08x%08x", key, version);
    memcpy(out, head, DEMO_VALUE_SIZE_MIN);
    if (has_bait && size - at >= sizeof bait - 1) {
        memcpy(out + at, bait, sizeof bait - 1);
        at += sizeof bait - 1;
    }
    while (at < size) {
        uint64_t word = rand_u64(&rand);
        size_t part = size - at < sizeof word ? size - at : sizeof word;

        memcpy(out + at, &word, part);
        at += part;
    }
    return size;
}

static bool hex_read(const char *at, uint32_t *out)
{
    uint32_t value = 0;

    for (int i = 0; i < 8; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = at[i] == '\0' ? NULL : strchr(digits, at[i]);

        if (digit == NULL) {
            return false;
        }
        value = value << 4 | (uint32_t)(digit - digits);
    }
    *out = value;
    return true;
}

bool demo_value_read(struct slice value, uint32_t key, uint32_t *version)
{
    char expected[DEMO_VALUE_SIZE_MAX];
    uint32_t said_key, said_version;

    if (value.size < DEMO_VALUE_SIZE_MIN || !hex_read(value.at, &said_key) ||
        !hex_read(value.at + 8, &said_version) || said_key != key) {
        return false;
    }
    size_t size = demo_value_write(expected, key, said_version);

    if (!slice_equal(value, (struct slice){expected, size})) {
        return false;
    }
    *version = said_version;
    return true;
}

struct demo_ledger {
    const struct mem *mem;
    uint32_t key_count;
    struct {
        _Atomic uint32_t begun, finished;
    } keys[];
};

enum err demo_ledger_create(const struct mem *mem, uint32_t key_count,
                            struct demo_ledger **out)
{
    struct demo_ledger *ledger = mem_alloc_zeroed(
        mem, sizeof *ledger + key_count * sizeof ledger->keys[0]);

    if (ledger == NULL) {
        return ERR_NOMEM;
    }
    ledger->mem = mem;
    ledger->key_count = key_count;
    *out = ledger;
    return ERR_OK;
}

void demo_ledger_destroy(struct demo_ledger **ledger)
{
    if (*ledger != NULL) {
        mem_free((*ledger)->mem, *ledger);
        *ledger = NULL;
    }
}

uint32_t demo_ledger_begin(struct demo_ledger *ledger, uint32_t key)
{
    check(key < ledger->key_count);
    return atomic_fetch_add(&ledger->keys[key].begun, 1) + 1;
}

void demo_ledger_finish(struct demo_ledger *ledger, uint32_t key,
                        uint32_t version)
{
    check(key < ledger->key_count);
    check(version > atomic_load(&ledger->keys[key].finished));
    atomic_store(&ledger->keys[key].finished, version);
}

uint32_t demo_ledger_finished(const struct demo_ledger *ledger, uint32_t key)
{
    check(key < ledger->key_count);
    return atomic_load(&ledger->keys[key].finished);
}

enum demo_verdict demo_ledger_judge(const struct demo_ledger *ledger,
                                    uint32_t key, uint32_t finished_before,
                                    uint32_t version)
{
    check(key < ledger->key_count);
    if (version < finished_before) {
        return DEMO_STALE;
    }
    if (version > atomic_load(&ledger->keys[key].begun)) {
        return DEMO_UNBORN;
    }
    return DEMO_RIGHT;
}
