/* SPDX-License-Identifier: BSD-2-Clause */
/* A process that does for a confined one what needs the folder in which its sockets lie. */
#include "host/attendant.h"

#include "base/fmt.h"
#include "host/listener.h"
#include "host/scope.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ANSWER_MS 15000 /* a switch or a process may have to be started */

enum { DIAL = ATTENDANT_MAKERS_MAX, END }; /* makers of a kind; END: the sockets are to go */

struct ask {
    u32 maker, number;
};

/* With status 0 a descriptor comes along. */
struct reply {
    s32 status;
    u32 value;
    char text[192];
};

int attendant_add(struct attendant *a, int dir, const char *name, bool dial, struct err *err)
{
    if (a->count == ATTENDANT_SOCKETS_MAX || strlen(name) >= ATTENDANT_NAME_MAX)
        return err_set(err, E2BIG, "too many sockets, or '%s' is too long a name", name);
    a->socket[a->count].dir = dir;
    a->socket[a->count].dial = dial;
    fmt_print(a->socket[a->count++].name, ATTENDANT_NAME_MAX, "%s", name);
    return 0;
}

int attendant_add_maker(struct attendant *a, int (*make)(void *ctx, u32 *value, struct err *err),
                        void *ctx, int needs, struct err *err)
{
    if (a->makers == ATTENDANT_MAKERS_MAX)
        return err_set(err, E2BIG, "too many connections for one VM");
    a->maker[a->makers].make = make;
    a->maker[a->makers].ctx = ctx;
    a->maker[a->makers].needs = needs;
    return (int)a->makers++;
}

/* ---- the process ---- */

static bool is_needed(const struct attendant *a, int fd)
{
    bool needed = fd == a->fd;

    for (u32 i = 0; i < a->count; i++)
        needed |= fd == a->socket[i].dir;
    for (u32 i = 0; i < a->makers; i++)
        needed |= fd == a->maker[i].needs;
    return needed;
}

/* A fork has all that the VM has, its lock among it, which tells others that it lives. */
static void close_others(const struct attendant *a)
{
    DIR *fds = opendir("/proc/self/fd");
    const struct dirent *entry;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    while (fds && (entry = readdir(fds))) {
        int fd = atoi(entry->d_name);

        if (*entry->d_name != '.' && fd != dirfd(fds) && fd != null && fd > 2 && !is_needed(a, fd))
            close(fd);
    }
    if (fds)
        closedir(fds);
    for (int fd = 0; fd <= 2 && null >= 0; fd++)
        dup2(null, fd);
}

static int dial(const struct attendant *a, u32 number)
{
    char name[ATTENDANT_NAME_MAX + 16];
    int fd = -ENOENT;

    for (u32 i = 0; i < a->count && fd < 0; i++) {
        if (!a->socket[i].dial)
            continue;
        fmt_print(name, sizeof(name), "%s_%u", a->socket[i].name, number);
        fd = listener_connect(a->socket[i].dir, name, false);
    }
    return fd;
}

static bool reply_send(int socket, const struct reply *reply, int fd)
{
    char control[CMSG_SPACE(sizeof(fd))] = {0};
    struct iovec io = {(void *)(uintptr_t)reply, sizeof(*reply)};
    struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1};
    struct cmsghdr *c;

    if (fd >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof(control);
        c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL) >= 0;
}

static bool serve(const struct attendant *a, const struct ask *ask)
{
    struct reply reply = {0};
    struct err err = {""};
    int fd = -EINVAL;
    bool good;

    if (ask->maker < a->makers)
        fd = a->maker[ask->maker].make(a->maker[ask->maker].ctx, &reply.value, &err);
    else if (ask->maker == DIAL)
        fd = dial(a, ask->number);
    reply.status = fd < 0 ? fd : 0;
    fmt_print(reply.text, sizeof(reply.text), "%s", err.msg);
    good = reply_send(a->fd, &reply, fd);
    if (fd >= 0)
        close(fd);
    return good;
}

static NORETURN void attend(const struct attendant *a)
{
    struct ask ask = {0};
    bool good = true;

    prctl(PR_SET_NAME, "cosm-attendant");
    signal(SIGPIPE, SIG_IGN);
    setsid(); /* the terminal's signals are for the VM */
    close_others(a);
    signal(SIGCHLD, SIG_IGN); /* what it starts is not waited for */
    while (good && recv(a->fd, &ask, sizeof(ask), 0) == sizeof(ask) && ask.maker != END)
        good = serve(a, &ask);
    /* If the VM was killed its name may be another's by now, and so may the sockets. */
    for (u32 i = 0; i < a->count && ask.maker == END; i++)
        (void)unlinkat(a->socket[i].dir, a->socket[i].name, 0);
    _exit(0);
}

/* ---- the confined process ---- */

int attendant_start(struct attendant *a, struct err *err)
{
    int fd[2];

    if (!a->count && !a->makers)
        return 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd))
        return err_set(err, errno, "no socket for a process: %s", strerror(errno));
    a->pid = fork();
    if (a->pid < 0) {
        int code = errno;
        close(fd[0]);
        close(fd[1]);
        a->pid = 0;
        return err_set(err, code, "cannot start a process: %s", strerror(code));
    }
    a->fd = fd[a->pid ? 0 : 1];
    close(fd[a->pid ? 1 : 0]);
    if (!a->pid)
        attend(a);
    return 0;
}

static int request_locked(struct attendant *a, const struct ask *ask, struct reply *reply)
{
    struct pollfd ready = {.fd = a->fd, .events = POLLIN};
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec io = {reply, sizeof(*reply)};
    struct msghdr message = {
        .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    const struct cmsghdr *c;
    int fd;

    *reply = (struct reply){.text = "the attendant has ended"};
    if (!a->pid || send(a->fd, ask, sizeof(*ask), MSG_NOSIGNAL) < 0 ||
        poll(&ready, 1, ANSWER_MS) != 1 ||
        recvmsg(a->fd, &message, MSG_CMSG_CLOEXEC) != sizeof(*reply))
        return -EPIPE;
    reply->text[sizeof(reply->text) - 1] = '\0';
    c = CMSG_FIRSTHDR(&message);
    if (reply->status || !c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(fd)))
        return reply->status ? reply->status : -EPROTO;
    memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

static int request(struct attendant *a, const struct ask *ask, struct reply *reply)
{
    int fd;

    lock_acquire(&a->lock);
    fd = request_locked(a, ask, reply);
    lock_release(&a->lock);
    return fd;
}

int attendant_dial(struct attendant *a, u32 number)
{
    const struct ask ask = {DIAL, number};
    struct reply reply;

    return request(a, &ask, &reply);
}

int attendant_make(struct attendant *a, u32 maker, u32 *value, struct err *err)
{
    const struct ask ask = {.maker = maker};
    struct reply reply;
    int fd = request(a, &ask, &reply);

    *value = reply.value;
    return fd < 0 ? err_set(err, -fd, "%s", reply.text) : fd;
}

void attendant_stop(struct attendant *a)
{
    const struct ask ask = {.maker = END};

    if (!a->pid)
        return;
    (void)send(a->fd, &ask, sizeof(ask), MSG_NOSIGNAL);
    close(a->fd);
    waitpid(a->pid, NULL, 0);
    a->pid = 0;
}
