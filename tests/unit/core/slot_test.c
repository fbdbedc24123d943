/* The slot of a key is part of the protocol: proto/vectors/slots.json is what
 * other languages check themselves against, so it must be true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "core/slot.h"

static json_t *vectors_load(void)
{
    json_error_t error;
    json_t *root = json_load_file(getenv("TORC_SLOT_VECTORS"), 0, &error);

    if (root == NULL) {
        print_error("%s: %s\n", error.source, error.text);
    }
    assert_non_null(root);
    return root;
}

static size_t key_read(const json_t *vector, char *out)
{
    const char *hex = json_string_value(json_object_get(vector, "key_hex"));
    size_t size = strlen(hex) / 2;

    assert_in_range(size, 1, KEY_SIZE_MAX);
    for (size_t i = 0; i < size; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        out[i] = (char)strtoul(digits, NULL, 16);
    }
    return size;
}

static void every_vector_has_the_hash_and_slot_it_says(void **state)
{
    json_t *root = vectors_load();
    const json_t *vectors = json_object_get(root, "vectors");

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(root, "slots")),
                     SLOT_COUNT);
    assert_true(json_array_size(vectors) >= 20);
    for (size_t i = 0; i < json_array_size(vectors); i++) {
        const json_t *vector = json_array_get(vectors, i);
        const json_t *plain = json_object_get(vector, "key");
        char bytes[KEY_SIZE_MAX];
        struct slice key = {bytes, key_read(vector, bytes)};
        char hash[17];

        if (plain != NULL) {
            assert_true(slice_equal(key, slice_of(json_string_value(plain))));
        }
        (void)snprintf(hash, sizeof hash, "%016llx",
                       (unsigned long long)key_hash(key));
        assert_string_equal(hash,
                            json_string_value(json_object_get(vector, "hash")));
        assert_int_equal(key_slot(key),
                         json_integer_value(json_object_get(vector, "slot")));
    }
    json_decref(root);
}

static void slots_are_the_top_bits_of_the_hash(void **state)
{
    (void)state;
    assert_int_equal(slot_of(0), 0);
    assert_int_equal(slot_of((UINT64_C(1) << 50) - 1), 0);
    assert_int_equal(slot_of(UINT64_C(1) << 50), 1);
    assert_int_equal(slot_of(UINT64_MAX), SLOT_COUNT - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_has_the_hash_and_slot_it_says),
        cmocka_unit_test(slots_are_the_top_bits_of_the_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
