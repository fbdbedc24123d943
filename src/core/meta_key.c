/* Keys that a client sends in base64, because they hold blanks or other bytes
 * that a command line cannot. */
#include "core/request_inside.h"

enum { NOT_A_DIGIT = 64 };

static unsigned digit_of(char byte)
{
    if (byte >= 'A' && byte <= 'Z') {
        return (unsigned)(byte - 'A');
    }
    if (byte >= 'a' && byte <= 'z') {
        return (unsigned)(byte - 'a') + 26;
    }
    if (byte >= '0' && byte <= '9') {
        return (unsigned)(byte - '0') + 52;
    }
    switch (byte) {
    case '+': return 62;
    case '/': return 63;
    default: return NOT_A_DIGIT;
    }
}

/* Appends a digit to bits.  False: it is none. */
static bool digit_take(char byte, uint32_t *bits)
{
    unsigned digit = digit_of(byte);

    *bits = *bits << 6 | (digit & 63);
    return digit != NOT_A_DIGIT;
}

size_t meta_key_decode(struct slice text, char out[static KEY_SIZE_MAX])
{
    if (text.size == 0 || text.size % 4 != 0 || text.size > KEY_SIZE_MAX) {
        return 0;
    }
    size_t padding = 0;

    while (padding < 2 && text.at[text.size - 1 - padding] == '=') {
        padding++;
    }
    size_t digits = text.size - padding;
    size_t size = 0;
    uint32_t bits = 0;

    for (size_t i = 0; i < digits; i++) {
        if (!digit_take(text.at[i], &bits)) {
            return 0;
        }
        if (i % 4 != 0) {
            /* The 2nd, 3rd and 4th digit each complete a byte and leave 4, 2
             * and 0 bits over. */
            out[size++] = (char)(bits >> (6 - 2 * (i % 4)));
        }
    }
    /* One byte for one key: spare bits that are not 0 would let two texts
     * name the same key. */
    uint32_t spare = (UINT32_C(1) << (2 * padding)) - 1;

    return (bits & spare) == 0 ? size : 0;
}
