/* SPDX-License-Identifier: BSD-2-Clause */
/* SIGINT, SIGTERM and SIGHUP as events on the loop, so that a VM ends in order. */
#include "host/signals.h"

#include "host/scope.h"
#include "host/tty.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

struct signals {
    int fd;
    struct loop_fd *handler;
    void (*fn)(void *ctx, int signal);
    void *ctx;
    sigset_t mask;   /* ours */
    sigset_t before; /* the thread's mask */
    bool seen;
};

/* Who asks twice does not want to wait for an orderly end. */
static NORETURN void signals_die(struct signals *signals, int signal)
{
    tty_restore();
    sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
    raise(signal);
    pthread_sigmask(SIG_UNBLOCK, &signals->mask, NULL);
    _exit(128 + signal);
}

static void signals_ready(void *ctx, u32 ready)
{
    struct signals *signals = ctx;
    struct signalfd_siginfo info;

    (void)ready;
    if (read(signals->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (signals->seen)
        signals_die(signals, (int)info.ssi_signo);
    signals->seen = true;
    signals->fn(signals->ctx, (int)info.ssi_signo);
}

/* An ignored signal (nohup) stays ignored: blocking would make it visible. */
static void signals_choose(struct signals *signals)
{
    static const int wanted[] = {SIGINT, SIGTERM, SIGHUP};

    sigemptyset(&signals->mask);
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        struct sigaction old;

        if (sigaction(wanted[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaddset(&signals->mask, wanted[i]);
    }
}

int signals_create(struct signals **out, struct loop *loop, void (*fn)(void *ctx, int signal),
                   void *ctx, struct err *err)
{
    AUTO_FREE struct signals *signals = calloc(1, sizeof(*signals));
    AUTO_FD int fd = -1;
    int rc;

    if (!signals)
        return err_set(err, ENOMEM, "no memory for signal handling");
    signals_choose(signals);
    fd = signalfd(-1, &signals->mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
        int code = errno;
        return err_set(err, code, "cannot watch signals: %s", strerror(code));
    }
    signals->fn = fn;
    signals->ctx = ctx;
    signals->fd = fd;
    rc = loop_fd_add(loop, fd, LOOP_READ, signals_ready, signals, &signals->handler, err);
    if (rc)
        return rc;
    pthread_sigmask(SIG_BLOCK, &signals->mask, &signals->before);
    steal_fd(&fd);
    *out = steal(signals);
    return 0;
}

void signals_destroy(struct signals *signals)
{
    if (!signals)
        return;
    loop_fd_remove(signals->handler);
    close(signals->fd);
    pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
    free(signals);
}
