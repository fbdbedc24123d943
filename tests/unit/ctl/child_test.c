/* What `torc up` relies on: a child's end is noticed once and told in words,
 * its log is shown by its end, and a port in use is not given out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/child.h"
#include "ctl/port.h"

enum { SHOWN_MAX = 8192 };

static struct child child_of(const char *script)
{
    struct child child = {.role = "shard"};
    char shell[] = "/bin/sh";
    char dash_c[] = "-c";
    char words[256];
    char *argv[] = {shell, dash_c, words, NULL};
    struct why why = {""};

    (void)snprintf(words, sizeof words, "%s", script);
    (void)snprintf(child.log_path, sizeof child.log_path,
                   "/tmp/torc-child-test-XXXXXX");
    int handle = mkstemp(child.log_path);

    assert_true(handle >= 0);
    (void)close(handle);
    assert_int_equal(child_start(&child, shell, argv, &why), ERR_OK);
    assert_true(child.running);
    return child;
}

/* It has ended within a bounded time, and that is told. */
static void ends(struct child *child)
{
    const struct timespec millisecond = {.tv_nsec = 1000000};
    bool ended = false;

    for (int i = 0; i < 5000 && !(ended = child_reap(child)); i++) {
        (void)nanosleep(&millisecond, NULL);
    }
    assert_true(ended);
}

static void tail_of(const struct child *child, char out[static SHOWN_MAX])
{
    FILE *memory = fmemopen(out, SHOWN_MAX, "w");

    assert_non_null(memory);
    child_log_tail(child, memory);
    (void)fclose(memory);
}

static void an_exit_is_told_with_its_status(void **state)
{
    struct child child = child_of("exit 3");
    char words[96];

    (void)state;
    ends(&child);
    assert_false(child_reap(&child));
    assert_false(child.running);
    child_end_words(&child, words, sizeof words);
    assert_string_equal(words, "exited with status 3");
    assert_false(child_ended_well(&child));
    (void)unlink(child.log_path);
}

static void a_killing_is_told_with_its_signal(void **state)
{
    struct child child = child_of("kill -9 $$");
    char words[96];

    (void)state;
    ends(&child);
    child_end_words(&child, words, sizeof words);
    assert_string_equal(words, "was killed by signal 9 (Killed)");
    assert_false(child_ended_well(&child));
    (void)unlink(child.log_path);
}

static void a_good_end_is_one(void **state)
{
    struct child child = child_of("exit 0");

    (void)state;
    ends(&child);
    assert_true(child_ended_well(&child));
    (void)unlink(child.log_path);
}

static void the_last_lines_of_the_log_are_shown(void **state)
{
    struct child child = child_of(
        "i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo line-$i; done >&2");
    char shown[SHOWN_MAX] = "";

    (void)state;
    ends(&child);
    tail_of(&child, shown);
    assert_null(strstr(shown, "line-18\n"));
    assert_non_null(strstr(shown, "    line-19\n"));
    assert_non_null(strstr(shown, "    line-30\n"));
    (void)unlink(child.log_path);
}

static void a_log_cannot_steer_the_terminal(void **state)
{
    struct child child = child_of("printf '\\033[2Jhello\\n'");
    char shown[SHOWN_MAX] = "";

    (void)state;
    ends(&child);
    tail_of(&child, shown);
    assert_null(strchr(shown, '\033'));
    assert_non_null(strstr(shown, "?[2Jhello"));
    (void)unlink(child.log_path);
}

static void an_empty_log_is_said_to_be_empty(void **state)
{
    struct child child = child_of("exit 0");
    char shown[SHOWN_MAX] = "";

    (void)state;
    ends(&child);
    tail_of(&child, shown);
    assert_non_null(strstr(shown, "is empty"));
    (void)unlink(child.log_path);
}

static void a_child_reads_nothing_and_leads_its_own_group(void **state)
{
    struct child child = child_of("read x; echo \"got=$x\"; "
                                  "cut -d ' ' -f 5 /proc/$$/stat");
    char shown[SHOWN_MAX] = "";
    char pid[32];

    (void)state;
    ends(&child);
    tail_of(&child, shown);
    (void)snprintf(pid, sizeof pid, "    %d\n", (int)child.pid);
    assert_non_null(strstr(shown, "got=\n"));
    assert_non_null(strstr(shown, pid));
    (void)unlink(child.log_path);
}

static void a_program_that_is_nowhere_is_named(void **state)
{
    char path[PATH_MAX];
    struct why why = {""};

    (void)state;
    assert_int_equal(child_program_find("nonesuch", path, &why), ERR_UNKNOWN);
    assert_non_null(strstr(why.text, "torc-nonesuch"));
}

static void a_port_in_use_is_not_given_out(void **state)
{
    struct port_holds mine = {.count = 0};
    struct port_holds other = {.count = 0};
    uint16_t port = port_hold(&mine, 0);

    (void)state;
    assert_int_not_equal(port, 0);
    assert_int_equal(port_hold(&other, port), 0);
    assert_int_equal(port_hold(&mine, port), 0);
    port_holds_release(&mine);
    assert_int_equal(port_hold(&other, port), port);
    port_holds_release(&other);
}

static void free_ports_differ_while_they_are_held(void **state)
{
    struct port_holds holds = {.count = 0};
    uint16_t first = port_hold(&holds, 0);
    uint16_t second = port_hold(&holds, 0);

    (void)state;
    assert_int_not_equal(first, 0);
    assert_int_not_equal(second, 0);
    assert_int_not_equal(first, second);
    port_holds_release(&holds);
    assert_int_equal(holds.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exit_is_told_with_its_status),
        cmocka_unit_test(a_killing_is_told_with_its_signal),
        cmocka_unit_test(a_good_end_is_one),
        cmocka_unit_test(the_last_lines_of_the_log_are_shown),
        cmocka_unit_test(a_log_cannot_steer_the_terminal),
        cmocka_unit_test(an_empty_log_is_said_to_be_empty),
        cmocka_unit_test(a_child_reads_nothing_and_leads_its_own_group),
        cmocka_unit_test(a_program_that_is_nowhere_is_named),
        cmocka_unit_test(a_port_in_use_is_not_given_out),
        cmocka_unit_test(free_ports_differ_while_they_are_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
