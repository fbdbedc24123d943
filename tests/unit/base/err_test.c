/* Every error has words of its own, and a refusal's words always fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void every_error_has_words_of_its_own(void **state)
{
    (void)state;
    for (int e = 0; e < ERR_COUNT; e++) {
        assert_true(strlen(err_text((enum err)e)) > 0);
        for (int other = 0; other < e; other++) {
            assert_string_not_equal(err_text((enum err)e),
                                    err_text((enum err)other));
        }
    }
}

static void a_refusal_is_one_statement(void **state)
{
    struct why why = {"before"};

    (void)state;
    assert_int_equal(
        err_why(&why, ERR_RANGE, "port: %d is above %d", 70000, 65535),
        ERR_RANGE);
    assert_string_equal(why.text, "port: 70000 is above 65535");
    assert_int_equal(err_why(NULL, ERR_IO, "nobody reads this"), ERR_IO);
}

static void long_words_are_cut_and_terminated(void **state)
{
    struct why why;
    char long_words[2 * WHY_SIZE_MAX];

    (void)state;
    memset(long_words, 'a', sizeof long_words - 1);
    long_words[sizeof long_words - 1] = '\0';
    (void)err_why(&why, ERR_SYNTAX, "%s", long_words);
    assert_int_equal(strlen(why.text), WHY_SIZE_MAX - 1);
}

static void a_refusal_may_gain_context_on_its_way_up(void **state)
{
    struct why why = {"line 3 is malformed"};

    (void)state;
    (void)err_why(&why, ERR_SYNTAX, "members.txt: %s", why.text);
    assert_string_equal(why.text, "members.txt: line 3 is malformed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_words_of_its_own),
        cmocka_unit_test(a_refusal_is_one_statement),
        cmocka_unit_test(long_words_are_cut_and_terminated),
        cmocka_unit_test(a_refusal_may_gain_context_on_its_way_up),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
