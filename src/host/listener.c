/* SPDX-License-Identifier: BSD-2-Clause */
/* A local socket in a checked folder, served on a loop; nobody but its user gets in. */
#include "host/listener.h"

#include "base/fmt.h"
#include "host/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

struct listener {
    int dir, fd;
    int spare; /* given up for a moment when descriptors are short, to turn a connection away */
    char name[128];
    struct loop_fd *handler;
    void (*accepted)(void *ctx, int fd);
    void *ctx;
};

/* By way of /proc, as a path of any length may lead to the folder. */
static void address(struct sockaddr_un *sa, int dir, const char *name)
{
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    fmt_print(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/%s", dir, name);
}

/* The folder keeps others out already; this holds even if somebody opens it. */
static bool is_user(int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static void turn_away(struct listener *l)
{
    int fd;

    if (l->spare >= 0)
        close(l->spare);
    fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    l->spare = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
}

static void on_ready(void *ctx, u32 ready)
{
    struct listener *l = ctx;
    int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)ready;
    if (fd >= 0 && is_user(fd))
        l->accepted(l->ctx, fd);
    else if (fd >= 0)
        close(fd);
    else if (errno == EMFILE || errno == ENFILE)
        turn_away(l);
}

static int listener_bind(struct listener *l)
{
    struct sockaddr_un sa;

    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (l->fd < 0)
        return -errno;
    address(&sa, l->dir, l->name);
    unlinkat(l->dir, l->name, 0);
    /* The socket's own mode is what bind gives its name, so it is never open to others. */
    if (fchmod(l->fd, 0600) < 0 || bind(l->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
        fchmodat(l->dir, l->name, 0600, 0) < 0 || listen(l->fd, SOMAXCONN) < 0)
        return -errno;
    return 0;
}

int listener_create(struct listener **out, struct loop *loop, int dir, const char *name,
                    void (*accepted)(void *ctx, int fd), void *ctx, struct err *err)
{
    struct listener *l = calloc(1, sizeof(*l));
    int r;

    if (!l)
        return err_set(err, ENOMEM, "no memory for a control socket");
    *l = (struct listener){.fd = -1, .spare = -1, .accepted = accepted, .ctx = ctx};
    fmt_print(l->name, sizeof(l->name), "%s", name);
    l->dir = dir;
    r = listener_bind(l);
    l->spare = fcntl(l->fd, F_DUPFD_CLOEXEC, 0);
    if (r)
        r = err_set(err, -r, "cannot make the socket '%s': %s", name, strerror(-r));
    else
        r = loop_fd_add(loop, l->fd, LOOP_READ, on_ready, l, &l->handler, err);
    if (r) {
        listener_destroy(l);
        return r;
    }
    *out = l;
    return 0;
}

void listener_destroy(struct listener *l)
{
    if (!l)
        return;
    loop_fd_remove(l->handler);
    if (l->fd >= 0)
        unlinkat(l->dir, l->name, 0);
    if (l->fd >= 0)
        close(l->fd);
    if (l->spare >= 0)
        close(l->spare);
    free(l);
}

int listener_connect(int dir, const char *name, bool blocks)
{
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (blocks ? 0 : SOCK_NONBLOCK), 0);
    struct sockaddr_un sa;

    address(&sa, dir, name);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        return -errno;
    return steal_fd(&fd);
}
