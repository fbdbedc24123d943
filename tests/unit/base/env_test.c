/* The system's clocks go forward, its random bytes differ, its rest is as long
 * as asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/env.h"
#include "base/mem.h"

static void every_function_of_the_world_is_there(void **state)
{
    struct env env;

    (void)state;
    memset(&env, 0xa5, sizeof env);
    env_system(&env);
    assert_non_null(env.monotonic_ns);
    assert_non_null(env.wall_ms);
    assert_non_null(env.sleep_ms);
    assert_non_null(env.random);
    assert_ptr_equal(env.mem, mem_system());
    assert_null(env.net);
    assert_null(env.log);
}

static void a_rest_is_at_least_as_long_as_asked(void **state)
{
    struct env env;

    (void)state;
    env_system(&env);
    uint64_t before = env.monotonic_ns(env.context);

    env_sleep_ms(&env, 20);
    assert_true(env.monotonic_ns(env.context) - before >= 20000000);
}

static void the_wall_clock_shows_this_century(void **state)
{
    struct env env;

    (void)state;
    env_system(&env);
    /* 2020 to 2100. */
    assert_true(env_wall_ms(&env) > INT64_C(1577836800000));
    assert_true(env_wall_ms(&env) < INT64_C(4102444800000));
}

static void random_bytes_fill_all_of_the_room_and_no_more(void **state)
{
    unsigned char bytes[3][1026];
    struct env env;

    (void)state;
    env_system(&env);
    memset(bytes, 0xa5, sizeof bytes);
    env_random(&env, bytes[0] + 1, 1024);
    env_random(&env, bytes[1] + 1, 1024);
    assert_int_equal(bytes[0][0], 0xa5);
    assert_int_equal(bytes[0][1025], 0xa5);
    assert_memory_not_equal(bytes[0] + 1, bytes[1] + 1, 1024);
    assert_memory_not_equal(bytes[0] + 1025 - 16, bytes[2], 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_of_the_world_is_there),
        cmocka_unit_test(a_rest_is_at_least_as_long_as_asked),
        cmocka_unit_test(the_wall_clock_shows_this_century),
        cmocka_unit_test(random_bytes_fill_all_of_the_room_and_no_more),
    };
    return cmocka_run_group_tests_name("env", tests, NULL, NULL);
}
