/* What get and set hand to the server and to scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ctl/kv.h"

static void keys_that_the_protocol_cannot_say_are_refused(void **state)
{
    char longest[252];
    struct why why;

    (void)state;
    memset(longest, 'k', sizeof longest);
    longest[250] = '\0';
    assert_int_equal(kv_key_check("user:42", &why), ERR_OK);
    assert_int_equal(kv_key_check("\xc3\xa9t\xc3\xa9", &why), ERR_OK);
    assert_int_equal(kv_key_check(longest, &why), ERR_OK);
    longest[250] = 'k';
    longest[251] = '\0';
    assert_int_equal(kv_key_check(longest, &why), ERR_RANGE);
    assert_non_null(strstr(why.text, "251"));
    assert_non_null(strstr(why.text, "1 to 250"));
    assert_int_equal(kv_key_check("", &why), ERR_RANGE);
    assert_int_equal(kv_key_check("a b", &why), ERR_RANGE);
    assert_non_null(strstr(why.text, "position 2"));
    assert_int_equal(kv_key_check("a\r\nflush_all", &why), ERR_RANGE);
    assert_int_equal(kv_key_check("a\x7f", &why), ERR_RANGE);
}

static void a_long_ttl_becomes_a_time_of_day(void **state)
{
    const uint64_t day_ms = UINT64_C(86400000);
    const int64_t now_s = 1700000000;

    (void)state;
    assert_int_equal(kv_exptime(0, now_s), 0);
    assert_int_equal(kv_exptime(1, now_s), 1);
    assert_int_equal(kv_exptime(1000, now_s), 1);
    assert_int_equal(kv_exptime(1001, now_s), 2);
    assert_int_equal(kv_exptime(30 * day_ms, now_s), 2592000);
    assert_int_equal(kv_exptime(30 * day_ms + 1, now_s), now_s + 2592001);
}

static void base64_is_what_other_programs_read(void **state)
{
    static const struct {
        struct slice bytes;
        const char *text;
    } cases[] = {
        {{"", 0}, ""},
        {{"f", 1}, "Zg=="},
        {{"fo", 2}, "Zm8="},
        {{"foo", 3}, "Zm9v"},
        {{"foob", 4}, "Zm9vYg=="},
        {{"fooba", 5}, "Zm9vYmE="},
        {{"foobar", 6}, "Zm9vYmFy"},
        {{"\xff\xfe\x00\x3f", 4}, "//4APw=="},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[16] = "";

        kv_base64_write(out, cases[i].bytes);
        assert_string_equal(out, cases[i].text);
        assert_int_equal(kv_base64_size(cases[i].bytes.size),
                         strlen(cases[i].text));
    }
}

static void bytes_that_are_no_text_are_base64_in_json(void **state)
{
    struct env env;
    json_t *object = json_object();

    (void)state;
    env_system(&env);
    assert_int_equal(kv_json_set(&env, object, "value", SLICE("h\xc3\xa9")),
                     ERR_OK);
    assert_string_equal(json_string_value(json_object_get(object, "value")),
                        "h\xc3\xa9");
    assert_int_equal(kv_json_set(&env, object, "other", SLICE("\xff\xfe")),
                     ERR_OK);
    assert_null(json_object_get(object, "other"));
    assert_string_equal(
        json_string_value(json_object_get(object, "other_base64")), "//4=");
    json_decref(object);
}

static void an_unexpected_answer_is_quoted_and_cut(void **state)
{
    struct kv_options options = {.server = "127.0.0.1:1"};
    char line[4096];
    struct why why;

    (void)state;
    assert_int_equal(
        kv_unexpected(&options, SLICE("SERVER_ERROR no ring yet"), &why),
        ERR_REFUSED);
    assert_string_equal(why.text,
                        "127.0.0.1:1 answered: SERVER_ERROR no ring yet");
    memset(line, 'x', sizeof line);
    (void)kv_unexpected(&options, (struct slice){line, sizeof line}, &why);
    assert_true(strlen(why.text) < 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_the_protocol_cannot_say_are_refused),
        cmocka_unit_test(a_long_ttl_becomes_a_time_of_day),
        cmocka_unit_test(base64_is_what_other_programs_read),
        cmocka_unit_test(bytes_that_are_no_text_are_base64_in_json),
        cmocka_unit_test(an_unexpected_answer_is_quoted_and_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
