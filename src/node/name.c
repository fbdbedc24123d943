#include "node/name.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/ring.h"

/* The rules are the ring's; only the name is looked at. */
static enum err name_check(const char *name, const char *flag, struct why *why)
{
    struct ring_member member = {.address = "127.0.0.1:1", .weight = 1};
    struct why inner = {0};

    if (strlen(name) > RING_NAME_SIZE_MAX) {
        return err_why(why, ERR_RANGE, "%s %.80s...: longer than %d bytes",
                       flag, name, RING_NAME_SIZE_MAX);
    }
    memcpy(member.name, name, strlen(name) + 1);
    enum err e = ring_member_check(&member, &inner);

    return e == ERR_OK ? e : err_why(why, e, "%s: %.300s", flag, inner.text);
}

enum err node_name(char out[RING_NAME_SIZE_MAX + 1], const char *given,
                   bool must_fit, struct why *why)
{
    struct utsname host;
    enum err e = ERR_OK;

    if (given != NULL) {
        e = name_check(given, "--name", why);
    } else {
        (void)uname(&host);
        given = host.nodename;
        if (must_fit) {
            e = name_check(given, "the host's name (give --name)", why);
        }
    }
    if (e == ERR_OK) {
        (void)snprintf(out, RING_NAME_SIZE_MAX + 1, "%.*s", RING_NAME_SIZE_MAX,
                       given);
    }
    return e;
}
