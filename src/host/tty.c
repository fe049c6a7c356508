/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The raw terminal of a guest's console.
 *
 * States: OFF (nothing of ours), RAW (our settings), ASIDE (we stopped, or run in the background:
 * the first settings hold, ours come back with SIGCONT in the foreground). The state moves on the
 * main thread, except that a dying thread may move it to OFF.
 */
#include "host/tty.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { TTY_OFF, TTY_RAW, TTY_ASIDE };

/* Signals that end a process: the terminal goes back first. */
static const int fatal[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV,
                            SIGBUS, SIGFPE,  SIGILL, SIGXCPU, SIGXFSZ};

/* The process has one terminal and its handlers get no argument: state by necessity. */
static struct {
    _Atomic int state;
    int fd;
    bool has_handlers;
    struct termios first, raw;
    struct sigaction old[ARRAY_SIZE(fatal)];
    struct sigaction old_stop;
    const char *enter, *leave; /* NULL: nothing */
} tty;

/*
 * With SIGTTOU blocked a background process may set the terminal too. Not TCSADRAIN: output that
 * Ctrl-S holds up would hold up a dying process.
 */
static void tty_set(const struct termios *settings)
{
    sigset_t ttou, old;

    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &ttou, &old);
    while (tcsetattr(tty.fd, TCSANOW, settings) < 0 && errno == EINTR)
        ;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* What cannot be written to a terminal that is gone is not missed. */
static void tty_say(const char *text)
{
    if (text && write(tty.fd, text, strlen(text)) < 0)
        return;
}

static void tty_set_first(void)
{
    tty_say(tty.leave);
    tty_set(&tty.first);
}

void tty_restore(void)
{
    int saved = errno;

    if (atomic_exchange(&tty.state, TTY_OFF) == TTY_RAW)
        tty_set_first();
    errno = saved;
}

bool tty_is_raw(void)
{
    return atomic_load_explicit(&tty.state, memory_order_relaxed) == TTY_RAW;
}

/* A terminal that is not the controlling one has no foreground: it is ours to set. */
static bool tty_is_foreground(void)
{
    pid_t group = tcgetpgrp(tty.fd);

    return group < 0 || group == getpgrp();
}

static void tty_enter(void)
{
    int aside = TTY_ASIDE;

    if (tty_is_foreground() && atomic_compare_exchange_strong(&tty.state, &aside, TTY_RAW)) {
        tty_set(&tty.raw);
        tty_say(tty.enter);
    }
}

static void tty_on_fatal(int signal, siginfo_t *info, void *context)
{
    (void)context;
    tty_restore();
    for (u32 i = 0; i < ARRAY_SIZE(fatal); i++) {
        if (fatal[i] == signal)
            sigaction(signal, &tty.old[i], NULL);
    }
    /* A fault happens again on return, with its full story; what was sent must be sent again. */
    if (info->si_code <= 0 || signal == SIGXCPU || signal == SIGXFSZ)
        raise(signal);
}

static void tty_handle_stop(struct sigaction *old);

static void tty_on_stop(int signal)
{
    int saved = errno, raw = TTY_RAW;
    sigset_t stop, mask;

    if (atomic_compare_exchange_strong(&tty.state, &raw, TTY_ASIDE))
        tty_set_first();
    sigaction(SIGTSTP, &tty.old_stop, NULL);
    raise(signal);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    pthread_sigmask(SIG_UNBLOCK, &stop, &mask); /* the process stops here, and goes on here */
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    tty_handle_stop(NULL);
    tty_enter();
    errno = saved;
}

static void tty_on_continue(int signal)
{
    int saved = errno, raw = TTY_RAW;

    (void)signal;
    /* After SIGSTOP nobody could tidy up, and the shell set the terminal its own way. */
    if (tty_is_foreground())
        atomic_compare_exchange_strong(&tty.state, &raw, TTY_ASIDE);
    tty_enter();
    errno = saved;
}

static void tty_handle_stop(struct sigaction *old)
{
    struct sigaction action = {.sa_handler = tty_on_stop, .sa_flags = SA_RESTART};

    sigaction(SIGTSTP, &action, old);
}

static void tty_install_handlers(void)
{
    struct sigaction action = {.sa_sigaction = tty_on_fatal, .sa_flags = SA_SIGINFO | SA_RESTART};
    struct sigaction go = {.sa_handler = tty_on_continue, .sa_flags = SA_RESTART};

    if (tty.has_handlers)
        return;
    tty.has_handlers = true;
    for (u32 i = 0; i < ARRAY_SIZE(fatal); i++) {
        sigaction(fatal[i], NULL, &tty.old[i]);
        /* nohup and the like: who ignores it goes on. */
        if (tty.old[i].sa_handler != SIG_IGN)
            sigaction(fatal[i], &action, NULL);
    }
    sigaction(SIGTSTP, NULL, &tty.old_stop);
    if (tty.old_stop.sa_handler != SIG_IGN)
        tty_handle_stop(NULL);
    sigaction(SIGCONT, &go, NULL);
    atexit(tty_restore);
}

int tty_make_raw(int fd, struct err *err)
{
    return tty_make_screen(fd, NULL, NULL, err);
}

int tty_make_screen(int fd, const char *enter, const char *leave, struct err *err)
{
    tty_restore();
    tty.enter = enter;
    tty.leave = leave;
    if (tcgetattr(fd, &tty.first) < 0) {
        int code = errno;
        return err_set(err, code, "cannot read the terminal's settings: %s", strerror(code));
    }
    tty.fd = fd;
    tty.raw = tty.first;
    cfmakeraw(&tty.raw);
    tty.raw.c_cc[VMIN] = 1;
    tty.raw.c_cc[VTIME] = 0;
    atomic_store(&tty.state, TTY_ASIDE);
    tty_install_handlers();
    tty_enter();
    return 0;
}
