/* thread.h -- what each helper thread does first. */
#ifndef NET_THREAD_H
#define NET_THREAD_H

#include <pthread.h>
#include <signal.h>

/* Signals are the main thread's, and a broken pipe is an error code here.
 * Faults stay as they are: blocked, they would kill without a report. */
static inline void thread_signals_block(void)
{
    sigset_t set;

    (void)sigfillset(&set);
    (void)sigdelset(&set, SIGSEGV);
    (void)sigdelset(&set, SIGBUS);
    (void)sigdelset(&set, SIGILL);
    (void)sigdelset(&set, SIGFPE);
    (void)sigdelset(&set, SIGTRAP);
    (void)sigdelset(&set, SIGABRT);
    (void)pthread_sigmask(SIG_SETMASK, &set, NULL);
}

#endif
