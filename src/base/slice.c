#include "base/slice.h"

#include "base/check.h"

bool slice_read_u64(struct slice word, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (word.size == 0) {
        return false;
    }
    for (size_t i = 0; i < word.size; i++) {
        unsigned digit = (unsigned char)word.at[i] - (unsigned)'0';

        if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    if (value > max) {
        return false;
    }
    *out = value;
    return true;
}

bool slice_read_i64(struct slice word, int64_t min, int64_t max, int64_t *out)
{
    bool negative = word.size > 0 && word.at[0] == '-';
    uint64_t magnitude;

    if (negative) {
        word.at++;
        word.size--;
    }
    /* There is one more below zero than above. */
    if (!slice_read_u64(word, (uint64_t)INT64_MAX + negative, &magnitude)) {
        return false;
    }
    int64_t value = (int64_t)(negative ? 0 - magnitude : magnitude);

    if (value < min || value > max) {
        return false;
    }
    *out = value;
    return true;
}

size_t decimal_write(char out[static 20], uint64_t value)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[sizeof digits - ++count] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(out, digits + sizeof digits - count, count);
    return count;
}
