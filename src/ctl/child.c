#include "ctl/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/ctl.h"

enum { TAIL_LINES_MAX = 12, TAIL_BYTES_MAX = 4096 };

static bool path_make(char out[static PATH_MAX], const char *folder,
                      size_t folder_size, const char *middle, const char *role)
{
    int size = snprintf(out, PATH_MAX, "%.*s%storc-%s", (int)folder_size,
                        folder, middle, role);

    return size > 0 && size < PATH_MAX && access(out, X_OK) == 0;
}

static bool beside_find(const char *role, char out[static PATH_MAX])
{
    char self[PATH_MAX];
    char middle[64];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);

    if (size <= 0) {
        return false;
    }
    self[size] = '\0';
    size_t folder_size = (size_t)(strrchr(self, '/') - self);

    (void)snprintf(middle, sizeof middle, "/../%s/", role);
    return path_make(out, self, folder_size, "/", role) ||
           path_make(out, self, folder_size, middle, role);
}

enum err child_program_find(const char *role, char out[static PATH_MAX],
                            struct why *why)
{
    const char *path = getenv("PATH");

    if (beside_find(role, out)) {
        return ERR_OK;
    }
    while (path != NULL && *path != '\0') {
        size_t size = strcspn(path, ":");

        if (size > 0 && path_make(out, path, size, "/", role)) {
            return ERR_OK;
        }
        path += size + (path[size] == ':');
    }
    return err_why(why, ERR_UNKNOWN,
                   "torc-%s is not beside torc, not in ../%s and not on the "
                   "PATH; is the build complete?",
                   role, role);
}

/* Between fork and exec, where only async-signal-safe calls may be made: other
 * threads may have held any lock. */
_Noreturn static void child_become(const char *program, char *const *argv,
                                   int log_handle, int null_handle,
                                   pid_t parent)
{
    static const char sorry[] = "torc: this program could not be executed\n";
    struct sigaction preset = {.sa_handler = SIG_DFL};
    sigset_t none;

    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) {
        _exit(127);
    }
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)sigaction(SIGPIPE, &preset, NULL);
    (void)dup2(null_handle, STDIN_FILENO);
    (void)dup2(log_handle, STDOUT_FILENO);
    (void)dup2(log_handle, STDERR_FILENO);
    (void)execv(program, argv);
    (void)!write(STDERR_FILENO, sorry, sizeof sorry - 1);
    _exit(127);
}

enum err child_start(struct child *child, const char *program,
                     char *const *argv, struct why *why)
{
    pid_t self = getpid();
    int null_handle = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int log_handle =
        open(child->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (null_handle < 0 || log_handle < 0) {
        int reason = errno;

        if (null_handle >= 0) {
            (void)close(null_handle);
        }
        return err_why(why, ERR_IO, "cannot write the log %s: %s",
                       child->log_path, strerror(reason));
    }
    pid_t pid = fork();

    if (pid == 0) {
        child_become(program, argv, log_handle, null_handle, self);
    }
    int reason = errno;

    (void)close(null_handle);
    (void)close(log_handle);
    if (pid < 0) {
        return err_why(why, ERR_IO, "cannot start %s: %s", program,
                       strerror(reason));
    }
    child->pid = pid;
    child->running = true;
    return ERR_OK;
}

bool child_reap(struct child *child)
{
    if (!child->running ||
        waitpid(child->pid, &child->wait_status, WNOHANG) != child->pid) {
        return false;
    }
    child->running = false;
    return true;
}

void child_end_words(const struct child *child, char *out, size_t size)
{
    int status = child->wait_status;

    if (WIFSIGNALED(status)) {
        (void)snprintf(out, size, "was killed by signal %d (%s)",
                       WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        (void)snprintf(out, size, "exited with status %d", WEXITSTATUS(status));
    }
}

bool child_ended_well(const struct child *child)
{
    int status = child->wait_status;

    return WIFSIGNALED(status) ? WTERMSIG(status) == SIGTERM
                               : WEXITSTATUS(status) == 0;
}

static size_t tail_read(const char *path, char *out, size_t size)
{
    int handle = open(path, O_RDONLY | O_CLOEXEC);

    if (handle < 0) {
        return 0;
    }
    off_t end = lseek(handle, 0, SEEK_END);
    off_t from = end > (off_t)size ? end - (off_t)size : 0;
    ssize_t got = pread(handle, out, size, from);

    (void)close(handle);
    return got > 0 ? (size_t)got : 0;
}

void child_log_tail(const struct child *child, FILE *out)
{
    char text[TAIL_BYTES_MAX + 1];
    size_t size = tail_read(child->log_path, text, TAIL_BYTES_MAX);
    size_t begin = size;
    size_t lines = 0;

    if (size > 0 && text[size - 1] == '\n') {
        begin = --size;
    }
    text[size] = '\0';
    while (begin > 0 && (text[begin - 1] != '\n' || ++lines < TAIL_LINES_MAX)) {
        begin--;
    }
    if (size == 0) {
        fprintf(out, "  (%s is empty)\n", child->log_path);
        return;
    }
    fprintf(out, "  the end of %s:\n", child->log_path);
    for (char *line = text + begin; line != NULL;) {
        char *next = strchr(line, '\n');

        if (next != NULL) {
            *next++ = '\0';
        }
        ctl_make_printable(line);
        fprintf(out, "    %s\n", line);
        line = next;
    }
}
