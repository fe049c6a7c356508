/* SPDX-License-Identifier: BSD-2-Clause */
/* Named host threads that leave signals to the main thread. */
#include "host/thread.h"

#include "base/assert.h"
#include "base/fmt.h"

#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

static void *thread_main(void *arg)
{
    struct thread *thread = arg;

    prctl(PR_SET_NAME, thread->name);
    thread->run(thread->ctx);
    return NULL;
}

/* All but those that a thread raises by its own fault, which must reach their handlers. */
static void thread_signal_mask(sigset_t *mask)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};

    sigfillset(mask);
    for (size_t i = 0; i < ARRAY_SIZE(own); i++)
        sigdelset(mask, own[i]);
}

int thread_start(struct thread *thread, const char *name, void (*run)(void *ctx), void *ctx,
                 struct err *err)
{
    sigset_t mask, old;
    int rc;

    thread->run = run;
    thread->ctx = ctx;
    fmt_print(thread->name, sizeof(thread->name), "%s", name);
    thread_signal_mask(&mask);
    pthread_sigmask(SIG_BLOCK, &mask, &old);
    rc = pthread_create(&thread->id, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc)
        return err_set(err, rc, "cannot start the host thread '%s': %s", thread->name,
                       strerror(rc));
    return 0;
}

void thread_join(struct thread *thread)
{
    int rc = pthread_join(thread->id, NULL);

    ASSERT(rc == 0);
}
