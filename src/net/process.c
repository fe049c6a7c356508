/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM's end of a network process: a back end for a network device.
 *
 * Frames go out from whichever thread the device sends on; they come in on the loop's thread. When
 * the socket is full the device waits until the loop sees room; when the device is full the loop
 * leaves the socket alone until the device has buffers. Nothing here looks into a frame.
 */
#include "net/process.h"

#include "host/scope.h"
#include "net/wire.h"
#include "port/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#define ANSWER_MS   10000 /* for an answer; a busy machine is slow to load a library */
#define END_MS      1000  /* until a process that was told to end is killed */
#define SOCKET_ROOM (4 * MIB)
#define BATCH       64 /* frames between two looks of the loop at other things */

struct net_process {
    struct net net;
    struct loop *loop;
    const struct log *log;
    struct loop_fd *handler;
    struct net_device device;
    int data, control;
    pid_t pid;
    struct lock lock; /* of what follows, and of what the handler watches for */
    bool dead;
    bool full;    /* the device waits for room in the socket */
    bool holding; /* message is a frame that the device had no room for */
    bool posted;
    size_t len;
    u8 message[WIRE_MESSAGE_MAX];
};

static void watch_locked(struct net_process *p)
{
    u32 events = (p->holding ? 0 : LOOP_READ) | (p->full ? LOOP_WRITE : 0);

    loop_fd_watch(p->handler, p->dead ? 0 : events);
}

/* The process is gone: once, and the guest sees its cable pulled. */
static void died(struct net_process *p)
{
    int status = 0;
    bool first;

    lock_acquire(&p->lock);
    first = !p->dead;
    p->dead = true;
    watch_locked(p);
    lock_release(&p->lock);
    if (!first)
        return;
    kill(p->pid, SIGKILL);
    waitpid(p->pid, &status, 0);
    p->pid = -1;
    log_print(p->log, LOG_ERROR, "net", "the network process has ended (%s %d); the link is down",
              WIFSIGNALED(status) ? "signal" : "status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (p->device.link)
        p->device.link(p->device.ctx, false);
}

static bool process_send(void *ctx, const struct net_frame *frame)
{
    struct net_process *p = ctx;
    struct net_offload offload = frame->offload;
    struct iovec part[2] = {{&offload, sizeof(offload)},
                            {(void *)(uintptr_t)frame->bytes, frame->len}};
    struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};

    if (sendmsg(p->data, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return true;
    if (errno != EAGAIN && errno != ENOBUFS)
        return true; /* it is dead, which the loop will notice, or the frame cannot be sent */
    lock_acquire(&p->lock);
    p->full = !p->dead;
    watch_locked(p);
    lock_release(&p->lock);
    return false;
}

static bool frame_deliver(struct net_process *p)
{
    struct net_frame frame;

    if (p->len <= sizeof(frame.offload) || !p->device.receive)
        return true;
    memcpy(&frame.offload, p->message, sizeof(frame.offload));
    frame.bytes = p->message + sizeof(frame.offload);
    frame.len = p->len - sizeof(frame.offload);
    return p->device.receive(p->device.ctx, &frame);
}

/* On the loop's thread, as all that touches message. */
static void frames_receive(struct net_process *p)
{
    for (u32 i = 0; i < BATCH; i++) {
        ssize_t n = recv(p->data, p->message, sizeof(p->message), MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            died(p);
            return;
        }
        p->len = (size_t)n;
        lock_acquire(&p->lock);
        p->holding = true; /* so that room is noticed that comes before the refusal is */
        lock_release(&p->lock);
        if (!frame_deliver(p)) {
            lock_acquire(&p->lock);
            watch_locked(p);
            lock_release(&p->lock);
            return;
        }
        lock_acquire(&p->lock);
        p->holding = false;
        lock_release(&p->lock);
    }
}

static void on_socket(void *ctx, u32 events)
{
    struct net_process *p = ctx;
    bool was_full = false;

    if (events & LOOP_WRITE) {
        lock_acquire(&p->lock);
        was_full = p->full;
        p->full = false;
        watch_locked(p);
        lock_release(&p->lock);
    }
    if (was_full && p->device.ready)
        p->device.ready(p->device.ctx);
    if (events & (LOOP_READ | LOOP_HANGUP))
        frames_receive(p);
}

/* The device has buffers again. */
static void on_room(void *ctx)
{
    struct net_process *p = ctx;
    bool held;

    lock_acquire(&p->lock);
    p->posted = false;
    held = p->holding && !p->dead;
    lock_release(&p->lock);
    if (!held || !frame_deliver(p))
        return;
    lock_acquire(&p->lock);
    p->holding = false;
    watch_locked(p);
    lock_release(&p->lock);
}

static void process_room(void *ctx)
{
    struct net_process *p = ctx;
    bool post;

    lock_acquire(&p->lock);
    post = p->holding && !p->posted && !p->dead;
    p->posted |= post;
    lock_release(&p->lock);
    if (post)
        loop_post(p->loop, on_room, p);
}

static void process_attach(void *ctx, const struct net_device *device)
{
    struct net_process *p = ctx;

    p->device = *device;
}

/* A pair of which ours is not inherited; theirs lies above all that the process begins with. */
static int pair_create(int *ours, int *theirs, struct err *err)
{
    int room = SOCKET_ROOM, fd[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd))
        return err_set(err, errno, "no socket for the network process: %s", strerror(errno));
    *ours = fd[0];
    *theirs = fcntl(fd[1], F_DUPFD_CLOEXEC, 64);
    if (*theirs < 0)
        *theirs = fd[1];
    else
        close(fd[1]);
    for (u32 i = 0; i < 2; i++)
        (void)setsockopt(i ? *theirs : *ours, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    return 0;
}

static int process_spawn(struct net_process *p, int data, int control, int capture, struct err *err)
{
    char program[] = "cosm", command[] = WIRE_COMMAND;
    char *const argv[] = {program, command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    int r;

    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    /* What a library prints there a guest could make it print without end. */
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, data, WIRE_DATA_FD);
    posix_spawn_file_actions_adddup2(&actions, control, WIRE_CONTROL_FD);
    if (capture >= 0)
        posix_spawn_file_actions_adddup2(&actions, capture, WIRE_CAPTURE_FD);
    else
        posix_spawn_file_actions_addclose(&actions, WIRE_CAPTURE_FD);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    /* A session of its own: the terminal's signals are for the VM, which ends it in order. */
    posix_spawnattr_setflags(
        &attr, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID));
    r = posix_spawn(&p->pid, "/proc/self/exe", &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    if (!r)
        return 0;
    p->pid = -1;
    return err_set(err, r, "cannot start the network process: %s", strerror(r));
}

static int request(struct net_process *p, const struct wire_request *request, struct err *err)
{
    struct pollfd fd = {.fd = p->control, .events = POLLIN};
    struct wire_answer answer;

    if (p->dead || send(p->control, request, sizeof(*request), MSG_NOSIGNAL) < 0)
        return err_set(err, EPIPE, "the network process has ended");
    if (poll(&fd, 1, ANSWER_MS) != 1)
        return err_set(err, ETIMEDOUT, "the network process does not answer");
    if (recv(p->control, &answer, sizeof(answer), 0) != sizeof(answer))
        return err_set(err, EPIPE, "the network process has ended at its start");
    answer.text[sizeof(answer.text) - 1] = '\0';
    if (answer.code)
        return err_set(err, answer.code < 0 ? -answer.code : EINVAL, "%s", answer.text);
    if (*answer.text)
        log_print(p->log, LOG_WARN, "net", "%s", answer.text);
    return 0;
}

static int begin(struct net_process *p, const struct net_settings *settings, int capture,
                 struct err *err)
{
    struct wire_request start = {
        .kind = WIRE_START, .settings = *settings, .capture = capture >= 0};
    AUTO_FD int data = -1, control = -1, record = -1;
    int r = pair_create(&p->data, &data, err);

    if (!r)
        r = pair_create(&p->control, &control, err);
    if (!r && capture >= 0) { /* out of the way of the numbers that the process begins with */
        record = fcntl(capture, F_DUPFD_CLOEXEC, 64);
        r = record < 0 ? err_set(err, errno, "no descriptor for the record: %s", strerror(errno))
                       : 0;
    }
    if (!r)
        r = process_spawn(p, data, control, record, err);
    if (r)
        return r;
    /* Else its end would not be seen. */
    close(steal_fd(&data));
    close(steal_fd(&control));
    r = request(p, &start, err);
    return r ? r : loop_fd_add(p->loop, p->data, LOOP_READ, on_socket, p, &p->handler, err);
}

int net_process_create(struct net_process **out, struct loop *loop, const struct log *log,
                       const struct net_settings *settings, int capture, struct err *err)
{
    struct net_process *p = calloc(1, sizeof(*p));
    int r;

    if (!p)
        return err_set(err, ENOMEM, "no host memory for the network");
    p->loop = loop;
    p->log = log;
    p->pid = p->data = p->control = -1;
    p->net = (struct net){.send = process_send,
                          .attach = process_attach,
                          .room = process_room,
                          .ctx = p,
                          .can = NET_CAN_CSUM | NET_CAN_TSO,
                          .mtu = settings->mtu ? settings->mtu : NET_MTU_DEFAULT};
    r = begin(p, settings, capture, err);
    if (r) {
        net_process_close(p);
        net_process_destroy(p);
        return r;
    }
    *out = p;
    return 0;
}

static void reap(pid_t pid)
{
    const struct timespec nap = {0, 2000000};

    for (u32 ms = 0; ms < END_MS; ms += 2) {
        if (waitpid(pid, NULL, WNOHANG))
            return;
        nanosleep(&nap, NULL);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

void net_process_close(struct net_process *p)
{
    if (!p)
        return;
    loop_fd_remove(p->handler);
    p->handler = NULL;
    p->dead = true;
    p->device = (struct net_device){0};
    if (p->data >= 0)
        close(p->data);
    if (p->control >= 0)
        close(p->control);
    p->data = p->control = -1;
    if (p->pid > 0)
        reap(p->pid);
    p->pid = -1;
}

void net_process_destroy(struct net_process *p)
{
    free(p);
}

const struct net *net_process_net(struct net_process *p)
{
    return &p->net;
}

int net_process_forward(struct net_process *p, const struct net_forward *forward, struct err *err)
{
    struct wire_request r = {.kind = WIRE_FORWARD, .forward = *forward};

    return request(p, &r, err);
}

int net_process_unforward(struct net_process *p, const struct net_forward *forward, struct err *err)
{
    struct wire_request r = {.kind = WIRE_UNFORWARD, .forward = *forward};

    return request(p, &r, err);
}
