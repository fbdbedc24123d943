/* drive_key.c -- keys, values, popularity and latency of the driver. */
#include "support/drive.h"

#include <math.h>
#include <stdio.h>

#include "base/check.h"

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

size_t drive_key(const struct drive_plan *plan, uint64_t key,
                 char out[static DRIVE_KEY_SIZE_MAX])
{
    char text[DRIVE_KEY_SIZE_MAX];
    int digits = (int)plan->key_size - (int)strlen(plan->prefix);
    int size = snprintf(text, sizeof text, "%s%0*llu", plan->prefix,
                        digits > 1 ? digits : 1, (unsigned long long)key);

    check(size > 0 && (size_t)size < sizeof text);
    memcpy(out, text, (size_t)size);
    return (size_t)size;
}

size_t drive_value(const struct drive_plan *plan, uint64_t key,
                   uint32_t version, char *out)
{
    uint64_t seed = mix(key * UINT64_C(0x9e3779b97f4a7c15) + version);
    size_t size = plan->value_size / 2 + seed % (plan->value_size + 1);
    char header[DRIVE_HEADER_SIZE + 1];

    (void)snprintf(header, sizeof header, "%08x%08x", (unsigned)key, version);
    memcpy(out, header, DRIVE_HEADER_SIZE);
    size = size > DRIVE_HEADER_SIZE ? size : DRIVE_HEADER_SIZE;
    for (size_t at = DRIVE_HEADER_SIZE; at < size; at += sizeof seed) {
        size_t room = size - at;

        seed = mix(seed + UINT64_C(0x9e3779b97f4a7c15));
        memcpy(out + at, &seed, room < sizeof seed ? room : sizeof seed);
    }
    return size;
}

static bool hex_read(const char *at, uint32_t *out)
{
    uint32_t value = 0;

    for (int i = 0; i < 8; i++) {
        char c = at[i];

        if ((c < '0' || c > '9') && (c < 'a' || c > 'f')) {
            return false;
        }
        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *out = value;
    return true;
}

bool drive_value_read(struct slice value, uint64_t *key, uint32_t *version)
{
    uint32_t low;

    if (value.size < DRIVE_HEADER_SIZE || !hex_read(value.at, &low) ||
        !hex_read(value.at + 8, version)) {
        return false;
    }
    *key = low;
    return true;
}

bool drive_zipf_init(struct drive_zipf *zipf, const struct mem *mem,
                     size_t count, double alpha)
{
    double sum = 0;

    check(count > 0);
    *zipf =
        (struct drive_zipf){mem, mem_alloc(mem, count * sizeof(double)), count};
    if (zipf->sums == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        sum += 1 / pow((double)i + 1, alpha);
        zipf->sums[i] = sum;
    }
    return true;
}

void drive_zipf_fini(struct drive_zipf *zipf)
{
    mem_free(zipf->mem, zipf->sums);
    zipf->sums = NULL;
}

size_t drive_zipf_draw(const struct drive_zipf *zipf, struct rand *rand)
{
    double wanted = rand_unit(rand) * zipf->sums[zipf->count - 1];
    size_t low = 0;
    size_t high = zipf->count - 1;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (zipf->sums[middle] <= wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Eight buckets for each power of two of nanoseconds. */
static size_t bucket_of(uint64_t duration_ns)
{
    unsigned power = 63 - (unsigned)__builtin_clzll(duration_ns | 8);
    size_t part = duration_ns >> (power - 3) & 7;

    return (power - 3) * 8 + part;
}

static double bucket_ms(size_t bucket)
{
    return ldexp((double)(8 + bucket % 8 + 1), (int)(bucket / 8)) / 1e6;
}

void drive_latency_add(struct drive_books *books, uint64_t duration_ns)
{
    books->latency[bucket_of(duration_ns)]++;
    if (duration_ns > books->latency_max_ns) {
        books->latency_max_ns = duration_ns;
    }
}

double drive_latency_ms(const struct drive_books *books, double share)
{
    uint64_t total = 0;
    uint64_t seen = 0;

    for (size_t i = 0; i < DRIVE_BUCKETS; i++) {
        total += books->latency[i];
    }
    for (size_t i = 0; i < DRIVE_BUCKETS; i++) {
        seen += books->latency[i];
        if (seen > 0 && (double)seen >= share * (double)total) {
            return bucket_ms(i);
        }
    }
    return 0;
}
