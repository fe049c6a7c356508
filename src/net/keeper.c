/* SPDX-License-Identifier: BSD-2-Clause */
/* Who starts a network process anew for a VM that has given up starting processes. */
#include "net/keeper.h"

#include "base/fmt.h"
#include "host/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ANSWER_MS 15000 /* longer than a network process may take */

enum { KEEPER_FD = HELPER_FD, CAPTURE_FD };
enum { DATA, CONTROL, PIDFD, FDS };

struct keeper_answer {
    s32 code; /* 0: the descriptors come with it; else -errno */
    char text[256];
};

/* ---- the VM's end ---- */

int keeper_start(struct keeper *k, const struct net_settings *settings, int capture,
                 struct err *err)
{
    AUTO_FD int theirs = -1;
    int r;

    *k = (struct keeper){-1, -1, -1};
    r = helper_pair(&k->socket, &theirs, err);
    if (!r)
        r = helper_start(KEEPER_COMMAND, (int[]){theirs, capture}, 2, &k->pid, err);
    if (r)
        return r;
    k->pidfd = (int)syscall(SYS_pidfd_open, k->pid, 0);
    if (send(k->socket, settings, sizeof(*settings), MSG_NOSIGNAL) < 0)
        return err_set(err, errno, "the network's keeper has ended: %s", strerror(errno));
    return 0;
}

/* The descriptors of a message, FDS or none. */
static bool take_fds(struct msghdr *message, int fd[FDS])
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(message);

    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
        c->cmsg_len != CMSG_LEN(FDS * sizeof(int)))
        return false;
    memcpy(fd, CMSG_DATA(c), FDS * sizeof(int));
    return true;
}

int keeper_spawn(const struct keeper *k, const struct net_settings *settings,
                 struct net_spawned *spawned, struct err *err)
{
    struct pollfd ready = {.fd = k->socket, .events = POLLIN};
    struct keeper_answer answer;
    char control[CMSG_SPACE(FDS * sizeof(int))] = {0};
    struct iovec io = {&answer, sizeof(answer)};
    struct msghdr message = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    int fd[FDS];

    net_spawned_init(spawned);
    if (send(k->socket, settings, sizeof(*settings), MSG_NOSIGNAL) < 0 ||
        poll(&ready, 1, ANSWER_MS) != 1 ||
        recvmsg(k->socket, &message, MSG_CMSG_CLOEXEC) != sizeof(answer))
        return err_set(err, EPIPE, "the network's keeper has ended");
    answer.text[sizeof(answer.text) - 1] = '\0';
    if (answer.code || !take_fds(&message, fd))
        return err_set(err, answer.code ? -answer.code : EPROTO, "%s", answer.text);
    spawned->data = fd[DATA];
    spawned->control = fd[CONTROL];
    spawned->pidfd = fd[PIDFD];
    return 0;
}

void keeper_stop(struct keeper *k)
{
    if (k->socket < 0)
        return;
    close(k->socket);
    if (k->pidfd >= 0) {
        (void)syscall(SYS_pidfd_send_signal, k->pidfd, SIGKILL, NULL, 0);
        close(k->pidfd);
    }
    if (k->pid > 0)
        waitpid(k->pid, NULL, 0);
    *k = (struct keeper){-1, -1, -1};
}

/* ---- the keeper ---- */

static bool answer_send(const struct keeper_answer *answer, const struct net_spawned *s)
{
    const int fd[FDS] = {s->data, s->control, s->pidfd};
    char control[CMSG_SPACE(sizeof(fd))] = {0};
    struct iovec io = {(void *)(uintptr_t)answer, sizeof(*answer)};
    struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1};
    struct cmsghdr *c;

    if (!answer->code) {
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(c), fd, sizeof(fd));
    }
    return sendmsg(KEEPER_FD, &message, MSG_NOSIGNAL) >= 0;
}

static bool serve_once(struct net_settings *settings, const struct net_settings *asked)
{
    int capture = fcntl(CAPTURE_FD, F_GETFD) < 0 ? -1 : CAPTURE_FD;
    struct keeper_answer answer = {0};
    struct net_spawned spawned;
    struct err err = {""};
    bool good;

    settings->forward_count =
        asked->forward_count < NET_FORWARDS_MAX ? asked->forward_count : NET_FORWARDS_MAX;
    memcpy(settings->forward, asked->forward, sizeof(settings->forward));
    answer.code = net_spawn(&spawned, settings, capture, true, NULL, &err);
    fmt_print(answer.text, sizeof(answer.text), "%s", err.msg);
    good = answer_send(&answer, &spawned);
    /* It is the VM's from now on: it ends when nobody has its sockets. */
    scope_close(&spawned.data);
    scope_close(&spawned.control);
    scope_close(&spawned.pidfd);
    return good;
}

int keeper_serve(void)
{
    struct net_settings settings, asked;

    prctl(PR_SET_NAME, "cosm-net-keeper");
    (void)syscall(SYS_close_range, CAPTURE_FD + 1, ~0u, 0);
    signal(SIGCHLD, SIG_IGN); /* what it starts is not waited for */
    if (recv(KEEPER_FD, &settings, sizeof(settings), 0) != sizeof(settings))
        return 1;
    while (recv(KEEPER_FD, &asked, sizeof(asked), 0) == sizeof(asked)) {
        if (!serve_once(&settings, &asked))
            break;
    }
    return 0;
}
