/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A VM's end of a network's switch. Who finds nobody at the socket starts the switch, under a lock
 * whose file is there as long as the network is: so one that was removed is not started again.
 */
#include "net/lab.h"

#include "base/fmt.h"
#include "host/helper.h"
#include "host/scope.h"
#include "net/lab_wire.h"
#include "net/vxlan.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define ANSWER_MS  15000 /* a busy machine is slow to load a library */
#define TRIES      3     /* a switch may end between two looks */
#define SECOND     UINT64_C(1000000000)
#define DELAY_MOST 16 /* s */

struct lab {
    struct link link;
    struct loop *loop;
    const struct log *log;
    struct lab_place place;
    struct lab_port port;
    struct timer_port again;
    int capture;
    struct attendant *attendant; /* which joins anew; NULL: we do */
    u32 maker;
    pid_t child; /* the switch, if this VM started it */
    u32 delay_s;
    bool told;
};

static void address(struct sockaddr_un *sa, int dir, const char *name)
{
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    fmt_print(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/net-%s.sock", dir, name);
}

static int open_runtime(const struct lab_place *place, struct err *err)
{
    int fd = open(place->runtime, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd >= 0 ? fd
                   : err_set(err, errno, "cannot open the folder '%.256s': %s", place->runtime,
                             strerror(errno));
}

/* Nobody serves there: -ENOTCONN. */
static int find_switch(int dir, const char *name, struct err *err)
{
    AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    struct sockaddr_un sa;

    address(&sa, dir, name);
    if (fd >= 0 && !connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
        return steal_fd(&fd);
    if (errno == ENOENT || errno == ECONNREFUSED)
        return err_set(err, ENOTCONN, "the network '%s' has no VM that runs", name);
    return err_set(err, errno, "cannot reach the switch of '%s': %s", name, strerror(errno));
}

static int listen_at(int dir, const char *name, struct err *err)
{
    AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_un sa;
    char file[LAB_NAME_MAX + 16];

    address(&sa, dir, name);
    fmt_print(file, sizeof(file), "net-%s.sock", name);
    unlinkat(dir, file, 0);
    /* The socket's own mode is what bind gives its name, so it is never open to others. */
    if (fd < 0 || fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
        fchmodat(dir, file, 0600, 0) < 0 || listen(fd, 64) < 0)
        return err_set(err, errno, "cannot make the socket of the network '%s': %s", name,
                       strerror(errno));
    return steal_fd(&fd);
}

/* -ENOENT unless it may be made: the network was removed. */
static int lock_network(int dir, const char *name, bool make, struct err *err)
{
    char file[LAB_NAME_MAX + 16];
    int fd;

    fmt_print(file, sizeof(file), "net-%s.lock", name);
    fd = openat(dir, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
    if (fd < 0)
        return err_set(err, errno, "the network '%s' is gone: %s", name, strerror(errno));
    while (flock(fd, LOCK_EX) < 0 && errno == EINTR)
        ;
    return fd;
}

static bool answer_get(int fd, struct lab_answer *answer)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (poll(&p, 1, ANSWER_MS) != 1 || recv(fd, answer, sizeof(*answer), 0) != sizeof(*answer))
        return false;
    answer->text[sizeof(answer->text) - 1] = '\0';
    return true;
}

static int answer_check(const struct lab_answer *answer, const struct log *log, struct err *err)
{
    if (answer->code)
        return err_set(err, answer->code < 0 ? -answer->code : EIO, "%s", answer->text);
    if (*answer->text)
        log_print(log, LOG_WARN, "net", "%s", answer->text);
    return 0;
}

/* Under the network's lock. */
static int start_switch(int dir, const struct lab_settings *settings, const struct log *log,
                        pid_t *pid, struct err *err)
{
    AUTO_FD int listening = -1, ours = -1, theirs = -1, tunnel = -1;
    struct lab_answer answer;
    int r = settings->tunnel.remote.family ? vxlan_open(&settings->tunnel, &tunnel, err) : 0;

    if (r)
        return r;
    listening = listen_at(dir, settings->name, err);
    if (listening < 0)
        return listening;
    r = helper_pair(&ours, &theirs, err);
    if (!r)
        r = helper_start(LAB_COMMAND, (int[]){listening, theirs, tunnel}, 3, pid, err);
    if (r)
        return r;
    close(steal_fd(&theirs)); /* else its end would not be seen */
    if (send(ours, settings, sizeof(*settings), MSG_NOSIGNAL) < 0 || !answer_get(ours, &answer))
        return err_set(err, EPIPE, "the switch of the network '%s' does not start", settings->name);
    return answer_check(&answer, log, err);
}

/* A connection to the switch, which may have to be started. */
static int reach(struct lab *lab, bool first, struct err *err)
{
    const struct lab_settings *settings = &lab->place.settings;
    AUTO_FD int dir = open_runtime(&lab->place, err), lock = -1;
    int fd, r;

    if (dir < 0)
        return dir;
    lock = lock_network(dir, settings->name, first, err);
    if (lock < 0)
        return lock;
    fd = find_switch(dir, settings->name, err);
    if (fd != -ENOTCONN)
        return fd;
    r = start_switch(dir, settings, lab->log, &lab->child, err);
    return r ? r : find_switch(dir, settings->name, err);
}

/* A request, perhaps with a descriptor, and its answer. -EPIPE: the switch was just ending. */
static int request(int fd, const struct lab_request *request, int passed, struct lab_answer *answer,
                   struct err *err)
{
    struct iovec part = {(void *)(uintptr_t)request, sizeof(*request)};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } room = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    struct cmsghdr *c;

    if (passed >= 0) {
        message.msg_control = room.bytes;
        message.msg_controllen = sizeof(room.bytes);
        c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &passed, sizeof(int));
    }
    if (sendmsg(fd, &message, MSG_NOSIGNAL) < 0 || !answer_get(fd, answer))
        return err_set(err, EPIPE, "the network's switch does not answer");
    return answer_check(answer, NULL, err);
}

/* The descriptor of a port of the switch. */
static int join(struct lab *lab, bool first, u32 *can, struct err *err)
{
    struct lab_request r = {
        .magic = LAB_MAGIC, .kind = LAB_JOIN, .port = lab->port, .capture_goes_on = !first};
    struct lab_answer answer;
    int room = 4 * MIB, rc = 0;

    for (u32 i = 0; i < TRIES; i++) {
        AUTO_FD int fd = reach(lab, first, err);

        if (fd < 0)
            return fd;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
        rc = request(fd, &r, lab->capture, &answer, err);
        if (!rc) {
            *can = answer.can;
            return steal_fd(&fd);
        }
        if (rc != -EPIPE)
            return rc;
    }
    return rc;
}

static void retry(struct lab *lab)
{
    timer_arm(&lab->again, loop_now(lab->loop) + lab->delay_s * SECOND);
    lab->delay_s = lab->delay_s < DELAY_MOST ? lab->delay_s * 2 : DELAY_MOST;
}

static void on_again(void *ctx, u32 arg)
{
    struct lab *lab = ctx;
    struct err err;
    u32 can;
    int fd;

    if (lab->child > 0 && waitpid(lab->child, NULL, WNOHANG))
        lab->child = 0;
    fd = lab->attendant ? attendant_make(lab->attendant, lab->maker, &can, &err)
                        : join(lab, false, &can, &err);
    if (fd >= 0 && link_plug(&lab->link, fd, &err) == 0) {
        return; /* the next time it takes longer */
    }
    log_print(lab->log, fd == -ENOENT ? LOG_ERROR : LOG_DEBUG, "net", "%s", err.msg);
    if (fd != -ENOENT)
        retry(lab);
}

static int make_again(void *ctx, u32 *can, struct err *err)
{
    return join(ctx, false, can, err);
}

int lab_attend(struct lab *lab, struct attendant *attendant, struct err *err)
{
    int maker = attendant_add_maker(attendant, make_again, lab, lab->capture, err);

    if (maker < 0)
        return maker;
    lab->attendant = attendant;
    lab->maker = (u32)maker;
    return 0;
}

static void on_lost(void *ctx)
{
    struct lab *lab = ctx;

    /* Told once, as a switch that dies may do so again. */
    log_print(lab->log, lab->told ? LOG_DEBUG : LOG_ERROR, "net",
              "the switch of the network '%s' has ended; another one is started",
              lab->place.settings.name);
    lab->told = true;
    retry(lab);
}

int lab_create(struct lab **out, struct loop *loop, const struct log *log,
               const struct lab_place *place, const struct lab_port *port, int capture,
               struct err *err)
{
    struct lab *lab = calloc(1, sizeof(*lab));
    u32 can = 0;
    int r;

    if (!lab)
        return err_set(err, ENOMEM, "no host memory for the network");
    lab->loop = loop;
    lab->log = log;
    lab->place = *place;
    lab->port = *port;
    lab->capture = capture < 0 ? -1 : fcntl(capture, F_DUPFD_CLOEXEC, 0);
    lab->delay_s = 1;
    lab->again = loop_timer(loop, on_again, lab, 0);
    lab->link.fd = -1;
    r = join(lab, true, &can, err);
    if (r >= 0) {
        link_init(&lab->link, loop,
                  &(struct link_config){
                      .can = can, .mtu = place->settings.mtu, .lost = on_lost, .ctx = lab});
        r = link_plug(&lab->link, r, err);
    }
    if (r < 0) {
        lab_close(lab);
        lab_destroy(lab);
        return r;
    }
    *out = lab;
    return 0;
}

void lab_close(struct lab *lab)
{
    if (!lab)
        return;
    timer_arm(&lab->again, CLOCK_NEVER);
    link_close(&lab->link);
    if (lab->capture >= 0)
        close(lab->capture);
    lab->capture = -1;
}

void lab_destroy(struct lab *lab)
{
    free(lab);
}

struct link *lab_link(struct lab *lab)
{
    return &lab->link;
}

/* Connects to a switch that runs. */
static int ask(const struct lab_place *place, const struct lab_request *r, int passed, int *fd,
               struct lab_answer *answer, struct err *err)
{
    AUTO_FD int dir = open_runtime(place, err);
    int rc;

    if (dir < 0)
        return dir;
    *fd = find_switch(dir, place->settings.name, err);
    rc = *fd < 0 ? *fd : request(*fd, r, passed, answer, err);
    /* It ends just now. */
    return rc == -EPIPE ? -ENOTCONN : rc;
}

int lab_ask_ports(const struct lab_place *place, struct lab_port_info *info, u32 *count,
                  struct err *err)
{
    struct lab_request r = {.magic = LAB_MAGIC, .kind = LAB_PORTS};
    struct lab_answer answer = {0};
    AUTO_FD int fd = -1;
    int rc = ask(place, &r, -1, &fd, &answer, err);

    for (*count = 0; !rc && *count < answer.count && *count < LAB_PORTS_MAX; ++*count) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        if (poll(&p, 1, ANSWER_MS) != 1 ||
            recv(fd, &info[*count], sizeof(*info), 0) != sizeof(*info))
            rc = err_set(err, EPIPE, "the network's switch does not answer");
    }
    return rc;
}

int lab_ask_capture(const struct lab_place *place, int passed, struct err *err)
{
    struct lab_request r = {.magic = LAB_MAGIC, .kind = LAB_CAPTURE};
    struct lab_answer answer;
    AUTO_FD int fd = -1;

    return ask(place, &r, passed, &fd, &answer, err);
}

int lab_ask_impair(const struct lab_place *place, const char *vm,
                   const struct net_impairment *impairment, struct err *err)
{
    struct lab_request r = {.magic = LAB_MAGIC, .kind = LAB_IMPAIR, .port.impairment = *impairment};
    struct lab_answer answer;
    AUTO_FD int fd = -1;

    fmt_print(r.port.vm, sizeof(r.port.vm), "%s", vm);
    return ask(place, &r, -1, &fd, &answer, err);
}

int lab_ask_end(const struct lab_place *place, struct err *err)
{
    struct lab_request r = {.magic = LAB_MAGIC, .kind = LAB_END};
    struct lab_answer answer;
    AUTO_FD int fd = -1;

    return ask(place, &r, -1, &fd, &answer, err);
}
