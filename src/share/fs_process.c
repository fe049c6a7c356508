/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM's end of the process of a shared folder.
 *
 * Requests and replies lie in memory that both processes have; the socket only says which slot is
 * whose. There are no more messages than slots, so the socket always has room for them.
 */
#include "share/fs_process.h"

#include "host/helper.h"
#include "host/scope.h"
#include "share/fs_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#define ANSWER_MS 10000 /* a busy machine is slow to start a process */
#define END_MS    1000  /* until it is killed */
#define NOT_THERE (-ENOTCONN)

/* Of a request's header and a reply's (struct fuse_in_header, fuse_out_header). */
enum { UNIQUE_AT = 8, REPLY = 16 };

struct fs_process {
    struct fs port;
    struct fs_device device;
    struct loop *loop;
    const struct log *log;
    struct loop_fd *handler;
    int socket;
    pid_t pid;
    u8 *slots;
    atomic_bool flying[FS_SLOTS];
    u32 room[FS_SLOTS];
    atomic_bool dead;
};

static u8 *slot_at(void *ctx, u32 slot)
{
    struct fs_process *p = ctx;

    return p->slots + (size_t)slot * FS_ROOM;
}

/* Whoever takes the slot back answers, once. */
static bool slot_take(struct fs_process *p, u32 slot)
{
    /* Acquire: pairs with submit. */
    return atomic_exchange_explicit(&p->flying[slot], false, memory_order_acq_rel);
}

/* The process is gone: the guest's calls fail. */
static void slot_fail(struct fs_process *p, u32 slot)
{
    u8 *m = slot_at(p, slot), unique[8];
    s32 error = NOT_THERE;
    u32 len = REPLY;

    if (!slot_take(p, slot))
        return;
    memcpy(unique, m + UNIQUE_AT, sizeof(unique));
    memcpy(m, &len, sizeof(len));
    memcpy(m + 4, &error, sizeof(error));
    memcpy(m + 8, unique, sizeof(unique));
    if (p->device.done)
        p->device.done(p->device.ctx, slot, p->room[slot] < REPLY ? 0 : REPLY);
}

/* It ends when its socket is closed; one that does not is killed, where that is allowed. */
static void reap(pid_t pid, int *status)
{
    const struct timespec nap = {0, 2000000};

    for (u32 ms = 0; ms < END_MS; ms += 2) {
        if (waitpid(pid, status, WNOHANG))
            return;
        nanosleep(&nap, NULL);
    }
    if (!kill(pid, SIGKILL))
        waitpid(pid, status, 0);
}

static void died(struct fs_process *p)
{
    int status = 0;

    if (atomic_exchange_explicit(&p->dead, true, memory_order_acq_rel))
        return;
    loop_fd_watch(p->handler, 0);
    shutdown(p->socket, SHUT_RDWR);
    reap(p->pid, &status);
    p->pid = -1;
    log_print(p->log, LOG_ERROR, "share",
              "the process of a shared folder has ended (%s %d); the guest can use it no more",
              WIFSIGNALED(status) ? "signal" : "status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    for (u32 i = 0; i < FS_SLOTS; i++)
        slot_fail(p, i);
}

static void on_socket(void *ctx, u32 events)
{
    struct fs_process *p = ctx;
    struct fs_wire m;

    (void)events;
    for (u32 i = 0; i < FS_SLOTS; i++) {
        ssize_t n = recv(p->socket, &m, sizeof(m), MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n != sizeof(m) || m.slot >= FS_SLOTS) {
            died(p);
            return;
        }
        if (slot_take(p, m.slot))
            p->device.done(p->device.ctx, m.slot,
                           m.len < p->room[m.slot] ? m.len : p->room[m.slot]);
    }
}

static void process_submit(void *ctx, u32 slot, u32 len, u32 room)
{
    struct fs_process *p = ctx;
    struct fs_wire m = {slot, len, room};

    p->room[slot] = room;
    atomic_store_explicit(&p->flying[slot], true, memory_order_release);
    if (atomic_load_explicit(&p->dead, memory_order_acquire) ||
        send(p->socket, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(m))
        slot_fail(p, slot);
}

static void process_attach(void *ctx, const struct fs_device *device)
{
    ((struct fs_process *)ctx)->device = *device;
}

/* Memory of FS_SLOTS slots for both, zeroed. */
static int make_slots(struct fs_process *p, int *fd, struct err *err)
{
    const size_t size = (size_t)FS_SLOTS * FS_ROOM;
    void *at = MAP_FAILED;

    *fd = memfd_create("cosm-share", MFD_CLOEXEC);
    if (*fd >= 0 && !ftruncate(*fd, (off_t)size))
        at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (at == MAP_FAILED)
        return err_set(err, errno, "no host memory for a shared folder: %s", strerror(errno));
    p->slots = at;
    return 0;
}

static int greet(struct fs_process *p, const struct fs_process_config *c, struct err *err)
{
    const struct fs_wire_start start = {
        .readonly = c->readonly, .uid = c->uid, .gid = c->gid, .sandbox = c->sandbox};
    struct pollfd fd = {.fd = p->socket, .events = POLLIN};
    struct fs_wire_answer answer;

    if (send(p->socket, &start, sizeof(start), MSG_NOSIGNAL) != sizeof(start))
        return err_set(err, EPIPE, "the process of a shared folder has ended");
    if (poll(&fd, 1, ANSWER_MS) != 1)
        return err_set(err, ETIMEDOUT, "the process of a shared folder does not answer");
    if (recv(p->socket, &answer, sizeof(answer), 0) != sizeof(answer))
        return err_set(err, EPIPE, "the process of a shared folder has ended at its start");
    answer.text[sizeof(answer.text) - 1] = '\0';
    if (answer.code)
        return err_set(err, answer.code < 0 ? -answer.code : EINVAL, "%s", answer.text);
    if (*answer.text)
        log_print(p->log, LOG_WARN, "share", "%s", answer.text);
    return 0;
}

static int begin(struct fs_process *p, const struct fs_process_config *c, struct err *err)
{
    AUTO_FD int root = open(c->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    AUTO_FD int theirs = -1, memory = -1;
    int r;

    if (root < 0)
        return err_set(err, errno, "cannot share '%s': %s", c->folder, strerror(errno));
    r = make_slots(p, &memory, err);
    if (!r)
        r = helper_pair(&p->socket, &theirs, err);
    if (!r)
        r = helper_start(FS_WIRE_COMMAND, (const int[]){theirs, memory, root}, 3, &p->pid, err);
    if (r)
        return r;
    close(steal_fd(&theirs)); /* else its end would not be seen */
    r = greet(p, c, err);
    return r ? r : loop_fd_add(p->loop, p->socket, LOOP_READ, on_socket, p, &p->handler, err);
}

int fs_process_create(struct fs_process **out, struct loop *loop, const struct log *log,
                      const struct fs_process_config *config, struct err *err)
{
    struct fs_process *p = calloc(1, sizeof(*p));
    int r;

    if (!p)
        return err_set(err, ENOMEM, "no host memory for a shared folder");
    p->loop = loop;
    p->log = log;
    p->pid = p->socket = -1;
    p->port = (struct fs){process_attach, slot_at, process_submit, p};
    r = begin(p, config, err);
    if (r) {
        fs_process_close(p);
        fs_process_destroy(p);
        return r;
    }
    *out = p;
    return 0;
}

const struct fs *fs_process_port(struct fs_process *p)
{
    return &p->port;
}

void fs_process_close(struct fs_process *p)
{
    int status;

    if (!p)
        return;
    loop_fd_remove(p->handler);
    p->handler = NULL;
    atomic_store_explicit(&p->dead, true, memory_order_release);
    p->device = (struct fs_device){0};
    if (p->socket >= 0)
        close(p->socket);
    p->socket = -1;
    if (p->pid > 0)
        reap(p->pid, &status);
    p->pid = -1;
}

void fs_process_destroy(struct fs_process *p)
{
    if (p && p->slots)
        munmap(p->slots, (size_t)FS_SLOTS * FS_ROOM);
    free(p);
}
