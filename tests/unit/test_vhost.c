/* SPDX-License-Identifier: BSD-2-Clause */
/* A network device's queues at a vhost-user back end that comes, lies, breaks and goes. */
#include "net/vhost.h"
#include "net/vhost_ring.h"
#include "net/vhost_wire.h"

#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BASE        UINT64_C(0x80000000)
#define RAM_SIZE    (64 * KIB)
#define PATIENCE_NS UINT64_C(20000000000)
#define FEATURES    (BIT(32) | BIT(15) | VHOST_F_PROTOCOL)
#define PROTOCOL    (VHOST_PROTOCOL_MQ | VHOST_PROTOCOL_REPLY_ACK)

/* ---- the back end, on a thread of its own ---- */

enum lie { NO_LIE, OTHER_REQUEST, OTHER_SIZE, OTHER_QUEUE, REFUSAL, HANG_UP, ONE_MORE };

struct peer {
    char path[64];
    int listener, fd, end; /* end: an eventfd */
    pthread_t thread;
    enum lie lie;
    u32 at; /* the request that it answers by the lie */
    u64 features, protocol, pairs;
    /* What it was given; read by the test once a request that comes later was answered. */
    _Atomic u32 requests, enabled;
    u64 accepted;
    u32 memory_fds;
    u8 *rings;
    int kick[4], call[4], error;
};

struct message {
    u32 request, flags, size;
    union {
        u64 value;
        u32 word[2];
        u64 quad[9];
        u8 bytes[256];
    } __attribute__((packed)) u;
} __attribute__((packed));

static void peer_forget(struct peer *p)
{
    for (u32 i = 0; i < ARRAY_SIZE(p->call); i++) {
        if (p->kick[i] >= 0)
            close(p->kick[i]);
        if (p->call[i] >= 0)
            close(p->call[i]);
        p->kick[i] = p->call[i] = -1;
    }
    if (p->error >= 0)
        close(p->error);
    p->error = -1;
    if (p->rings)
        munmap(p->rings, 4 * VHOST_RING_BYTES);
    p->rings = NULL;
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

static void keep(int *place, int fd)
{
    if (*place >= 0)
        close(*place);
    *place = fd;
}

/* True: it has an answer of its own, in *m. */
static bool peer_obey(struct peer *p, struct message *m, const int *fd, u32 count)
{
    u32 queue = m->u.word[0] % ARRAY_SIZE(p->call);

    switch (m->request) {
    case VHOST_GET_FEATURES:
        m->u.value = p->features;
        return true;
    case VHOST_SET_FEATURES:
        p->accepted = m->u.value;
        return false;
    case VHOST_GET_PROTOCOL_FEATURES:
        m->u.value = p->protocol;
        return true;
    case VHOST_GET_QUEUE_NUM:
        m->u.value = p->pairs;
        return true;
    case VHOST_GET_VRING_BASE:
        m->u.word[1] = 0;
        return true;
    case VHOST_SET_MEM_TABLE:
        p->memory_fds = count;
        p->rings =
            mmap(NULL, 4 * VHOST_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd[count - 1], 0);
        for (u32 i = 0; i < count; i++)
            close(fd[i]);
        return false;
    case VHOST_SET_VRING_KICK:
        keep(&p->kick[queue], fd[0]);
        return false;
    case VHOST_SET_VRING_CALL:
        keep(&p->call[queue], fd[0]);
        return false;
    case VHOST_SET_VRING_ERR:
        keep(&p->error, fd[0]);
        return false;
    case VHOST_SET_VRING_ENABLE:
        atomic_fetch_add(&p->enabled, m->u.word[1]);
        return false;
    default:
        return false;
    }
}

static bool peer_answer(const struct peer *p, struct message *m, bool own)
{
    enum lie lie = m->request == p->at ? p->lie : NO_LIE;

    if (!own) {
        if (!(m->flags & 8))
            return true;
        m->u.value = lie == REFUSAL;
    }
    m->flags = 1 | 4;
    m->size = lie == OTHER_SIZE ? 16 : 8;
    if (lie == OTHER_REQUEST)
        m->request++;
    if (lie == OTHER_QUEUE)
        m->u.word[0]++;
    if (lie == HANG_UP || send(p->fd, m, 20, MSG_NOSIGNAL) != 20)
        return false;
    return lie != ONE_MORE || send(p->fd, m, 20, MSG_NOSIGNAL) == 20;
}

static bool peer_serve(struct peer *p)
{
    struct message m = {0};
    int fd[8];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(fd))];
    } room;
    struct iovec part = {&m, 12};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = room.bytes,
                             .msg_controllen = sizeof(room)};
    const struct cmsghdr *c;
    u32 count = 0;
    bool good;

    if (recvmsg(p->fd, &message, MSG_WAITALL | MSG_CMSG_CLOEXEC) != 12 || m.size > sizeof(m.u) ||
        (m.size && recv(p->fd, &m.u, m.size, MSG_WAITALL) != (ssize_t)m.size))
        return false;
    c = CMSG_FIRSTHDR(&message);
    if (c && c->cmsg_type == SCM_RIGHTS) {
        count = (u32)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fd, CMSG_DATA(c), count * sizeof(int));
    }
    good = peer_answer(p, &m, peer_obey(p, &m, fd, count));
    atomic_fetch_add(&p->requests, 1);
    return good;
}

static void *peer_run(void *arg)
{
    struct peer *p = arg;

    for (;;) {
        struct pollfd look[2] = {{p->end, POLLIN, 0}, {p->fd < 0 ? p->listener : p->fd, POLLIN, 0}};

        if (poll(look, 2, -1) < 0 || look[0].revents)
            break;
        if (p->fd < 0)
            p->fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);
        else if (!peer_serve(p))
            peer_forget(p);
    }
    peer_forget(p);
    return NULL;
}

static void peer_begin(struct peer *p, const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    *p = (struct peer){.fd = -1, .features = FEATURES, .protocol = PROTOCOL, .pairs = 2};
    p->error = -1;
    for (u32 i = 0; i < ARRAY_SIZE(p->call); i++)
        p->kick[i] = p->call[i] = -1;
    snprintf(p->path, sizeof(p->path), "%s", path);
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    unlink(path);
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(!bind(p->listener, (struct sockaddr *)&sa, sizeof(sa)) && !listen(p->listener, 4));
    p->end = eventfd(0, EFD_CLOEXEC);
}

static void peer_go(struct peer *p)
{
    CHECK(!pthread_create(&p->thread, NULL, peer_run, p));
}

static void peer_end(struct peer *p)
{
    CHECK_EQ(write(p->end, &(u64){1}, 8), 8);
    pthread_join(p->thread, NULL);
    close(p->end);
    close(p->listener);
    unlink(p->path);
}

/* Gives a buffer back as the back end that it is. */
static void peer_use(const struct peer *p, u32 queue, u32 head, u32 written, u16 step)
{
    u8 *used = p->rings + (size_t)queue * VHOST_RING_BYTES + VHOST_RING_USED;
    u16 index = le16_load(used + 2);

    le32_store(used + 4 + 8 * (index % VHOST_RING_ENTRIES), head);
    le32_store(used + 8 + 8 * (index % VHOST_RING_ENTRIES), written);
    le16_store(used + 2, (u16)(index + step));
    CHECK_EQ(write(p->call[queue], &(u64){1}, 8), 8);
}

/* ---- the device's end ---- */

struct rig {
    struct host_clock clock;
    struct loop *loop;
    struct timer_port timer;
    struct gmem gmem;
    int memory_fd;
    struct vhost *vhost;
    const struct virtq_server *server;
    struct err err;
    struct log log;
    char said[256];
    bool late, up;
    u32 returned, announced;
    struct virtq_returned last;
    u32 last_queue;
};

static void on_line(void *ctx, enum log_level level, const char *subsystem, const char *text)
{
    struct rig *r = ctx;

    if (level == LOG_ERROR)
        snprintf(r->said, sizeof(r->said), "%s", text);
}

static void on_late(void *ctx, u32 arg)
{
    struct rig *r = ctx;

    r->late = true;
    loop_stop(r->loop);
}

static void on_returned(void *ctx, u32 queue, const struct virtq_returned *list, u32 count)
{
    struct rig *r = ctx;

    r->returned += count;
    r->last = list[count - 1];
    r->last_queue = queue;
    loop_stop(r->loop);
}

static void on_link(void *ctx, bool up)
{
    struct rig *r = ctx;

    r->up = up;
    loop_stop(r->loop);
}

static void on_announce(void *ctx)
{
    struct rig *r = ctx;

    r->announced++;
    loop_stop(r->loop);
}

static const char *path(void)
{
    static char text[64];

    if (!*text)
        snprintf(text, sizeof(text), "/tmp/cosm-vhost-%d", (int)getpid());
    return text;
}

static int rig_open(struct rig *r, u32 queues)
{
    struct vhost_config config = {.path = path(), .queues = queues};
    int rc;

    memset(r, 0, sizeof(*r));
    r->log = (struct log){on_line, r, LOG_ERROR};
    r->up = true;
    host_clock_init(&r->clock);
    CHECK_EQ(loop_create(&r->loop, &r->clock, &r->err), 0);
    r->timer = loop_timer(r->loop, on_late, r, 0);
    r->memory_fd = memfd_create("ram", MFD_CLOEXEC);
    CHECK(!ftruncate(r->memory_fd, RAM_SIZE));
    r->gmem.count = 1;
    r->gmem.region[0] = (struct gmem_region){.base = BASE, .size = RAM_SIZE};
    config.loop = r->loop;
    config.log = &r->log;
    config.gmem = &r->gmem;
    config.memory_fd = r->memory_fd;
    rc = vhost_create(&r->vhost, &config, &r->err);
    if (!rc) {
        r->server = vhost_server(r->vhost);
        r->server->attach(r->server->ctx,
                          &(struct virtq_client){on_returned, on_link, on_announce, r});
    }
    timer_arm(&r->timer, loop_now(r->loop) + PATIENCE_NS);
    return rc;
}

static void rig_close(struct rig *r)
{
    CHECK(!r->late);
    vhost_close(r->vhost);
    loop_destroy(r->loop);
    vhost_destroy(r->vhost);
    close(r->memory_fd);
}

static void rig_start(struct rig *r, u32 queues)
{
    r->server->start(r->server->ctx, BIT(32) | BIT(15), queues);
}

static enum virtq_put rig_put(struct rig *r, u32 queue, gpa_t gpa, u32 len, u64 cookie)
{
    const struct virtq_seg seg = {gpa, len};

    return r->server->put(r->server->ctx, queue,
                          &(struct virtq_buffers){&seg, 1, queue % 2 ? 1 : 0, cookie});
}

static void await_link(struct rig *r, bool up)
{
    while (!r->late && r->up != up)
        loop_run(r->loop);
}

static u32 open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    u32 n = 0;

    if (!folder)
        return 0;
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

/* ---- tests ---- */

TEST(who_is_of_no_use_is_told_at_once)
{
    static const struct {
        enum lie lie;
        u32 at;
        u64 features, protocol, pairs;
        const char *says;
    } cases[] = {
        {NO_LIE, 0, BIT(15), 0, 0, "does not know VIRTIO 1"},
        {NO_LIE, 0, BIT(32), 0, 0, "give queues=1"},
        {NO_LIE, 0, FEATURES, PROTOCOL, 1, "give queues=1"},
        {NO_LIE, 0, FEATURES, PROTOCOL, 0, "serves no queues"},
        {NO_LIE, 0, FEATURES, VHOST_PROTOCOL_REPLY_ACK, 2, "give queues=1"},
        {OTHER_REQUEST, VHOST_GET_FEATURES, FEATURES, PROTOCOL, 2, "none of the protocol's"},
        {OTHER_SIZE, VHOST_GET_PROTOCOL_FEATURES, FEATURES, PROTOCOL, 2, "and 16 bytes"},
        {OTHER_SIZE, VHOST_GET_QUEUE_NUM, FEATURES, PROTOCOL, 2, "and 16 bytes"},
        {HANG_UP, VHOST_GET_FEATURES, FEATURES, PROTOCOL, 2, "hung up at GET_FEATURES"},
        {HANG_UP, VHOST_SET_OWNER, FEATURES, PROTOCOL, 2, "hung up at SET_OWNER"},
        {REFUSAL, VHOST_SET_OWNER, FEATURES, PROTOCOL, 2, "refuses SET_OWNER"},
    };
    u32 before = open_files();

    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        struct peer p;
        static struct rig r;

        peer_begin(&p, path());
        p.lie = cases[i].lie;
        p.at = cases[i].at;
        p.features = cases[i].features;
        p.protocol = cases[i].protocol;
        p.pairs = cases[i].pairs;
        peer_go(&p);
        CHECK(rig_open(&r, 4) < 0);
        if (!strstr(r.err.msg, cases[i].says) || !strstr(r.err.msg, path())) {
            printf("# case %u says: %s\n", i, r.err.msg);
            CHECK(false);
        }
        r.vhost = NULL;
        rig_close(&r);
        peer_end(&p);
        CHECK_EQ(open_files(), before);
    }
}

TEST(queues_are_handed_over_and_buffers_come_back)
{
    static struct rig r;
    u32 before = open_files();
    struct peer p;
    u64 kicks;

    peer_begin(&p, path());
    peer_go(&p);
    CHECK_EQ(rig_open(&r, 4), 0);
    CHECK_EQ(r.server->features & (BIT(32) | BIT(15)), BIT(32) | BIT(15));
    CHECK_EQ(rig_put(&r, 0, BASE, 100, 1), VIRTQ_PUT_AWAY); /* not started */
    rig_start(&r, 3);
    CHECK_EQ(p.accepted, FEATURES);
    CHECK_EQ(p.memory_fds, 2);
    CHECK_EQ(p.enabled, 2);
    CHECK(p.call[0] >= 0 && p.kick[1] >= 0 && p.call[2] < 0 && p.error >= 0);
    CHECK_EQ(rig_put(&r, 0, BASE + RAM_SIZE - 99, 100, 1), VIRTQ_PUT_BAD);
    CHECK_EQ(rig_put(&r, 2, BASE, 100, 1), VIRTQ_PUT_AWAY); /* the driver has not set it up */
    CHECK_EQ(rig_put(&r, 0, BASE, 100, 0x1234567890), VIRTQ_PUT_OK);
    CHECK_EQ(read(p.kick[0], &kicks, 8), 8);
    r.server->kick(r.server->ctx, 0);
    CHECK_EQ(read(p.kick[0], &kicks, 8), 8);
    peer_use(&p, 0, 0, 60, 1);
    while (!r.late && !r.returned)
        loop_run(r.loop);
    CHECK(r.last_queue == 0 && r.last.cookie == 0x1234567890 && r.last.written == 60);
    r.server->stop(r.server->ctx);
    CHECK_EQ(rig_put(&r, 0, BASE, 100, 1), VIRTQ_PUT_AWAY);
    rig_close(&r);
    peer_end(&p);
    CHECK_EQ(open_files(), before);
}

/* Another process serves, which gets what was out. */
static void served_again(struct rig *r, u32 out)
{
    struct peer p;

    peer_begin(&p, path());
    peer_go(&p);
    await_link(r, true);
    CHECK(vhost_is_up(r->vhost));
    rig_start(r, 3); /* if it was stopped */
    CHECK_EQ(rig_put(r, 0, BASE, 100, 10), VIRTQ_PUT_OK);
    CHECK_EQ(le16_load(p.rings + VHOST_RING_AVAIL + 2), out + 1);
    while (!r->late && !r->announced)
        loop_run(r->loop);
    rig_close(r);
    peer_end(&p);
}

/* The link goes down and says why. */
static void await_end(struct rig *r, struct peer *p, const char *says)
{
    await_link(r, false);
    if (!strstr(r->said, says)) {
        printf("# it says: %s\n", r->said);
        CHECK(false);
    }
    CHECK(!vhost_is_up(r->vhost));
    CHECK_EQ(rig_put(r, 1, BASE, 100, 9), VIRTQ_PUT_AWAY);
    peer_end(p);
}

static void lies(enum lie lie, u32 at, const char *says)
{
    static struct rig r;
    struct peer p;

    peer_begin(&p, path());
    p.lie = lie;
    p.at = at;
    peer_go(&p);
    CHECK_EQ(rig_open(&r, 2), 0);
    rig_start(&r, 3);
    await_end(&r, &p, says);
    rig_close(&r);
}

static void breaks(void (*act)(struct rig *, struct peer *), const char *says, bool again)
{
    static struct rig r;
    struct peer p;

    peer_begin(&p, path());
    peer_go(&p);
    CHECK_EQ(rig_open(&r, 2), 0);
    rig_start(&r, 3);
    CHECK_EQ(rig_put(&r, 0, BASE, 100, 7), VIRTQ_PUT_OK);
    CHECK_EQ(rig_put(&r, 1, BASE + 4096, 100, 8), VIRTQ_PUT_OK);
    act(&r, &p);
    await_end(&r, &p, says);
    CHECK(r.returned == 1 && r.last_queue == 1 && r.last.cookie == 8);
    if (again)
        served_again(&r, 1);
    else
        rig_close(&r);
}

static void uses_what_it_has_not(struct rig *r, struct peer *p)
{
    peer_use(p, 0, 5, 60, 1);
}

static void writes_too_much(struct rig *r, struct peer *p)
{
    peer_use(p, 0, 0, 101, 1);
}

static void jumps(struct rig *r, struct peer *p)
{
    peer_use(p, 0, 0, 60, 5000);
}

static void reports_an_error(struct rig *r, struct peer *p)
{
    CHECK_EQ(write(p->error, &(u64){1}, 8), 8);
}

static void goes(struct rig *r, struct peer *p)
{
    shutdown(p->fd, SHUT_RDWR);
}

static void talks(struct rig *r, struct peer *p)
{
    CHECK_EQ(send(p->fd, "", 1, MSG_NOSIGNAL), 1);
}

TEST(what_breaks_while_it_runs_is_a_pulled_cable)
{
    breaks(uses_what_it_has_not, "what it does not have", false);
    breaks(writes_too_much, "more than there was room for", false);
    breaks(jumps, "used index jumps", true);
    breaks(reports_an_error, "a queue is broken", false);
    breaks(talks, "was not asked for", false);
    breaks(goes, "it has hung up", true);
}

TEST(lies_while_it_starts_are_a_pulled_cable)
{
    static const u32 at[] = {VHOST_SET_FEATURES,   VHOST_SET_MEM_TABLE,  VHOST_SET_VRING_NUM,
                             VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR, VHOST_SET_VRING_ERR,
                             VHOST_SET_VRING_CALL, VHOST_SET_VRING_KICK, VHOST_SET_VRING_ENABLE};

    for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
        lies(REFUSAL, at[i], "it refuses SET_");
        lies(HANG_UP, at[i], "hung up at SET_");
        lies(i % 2 ? OTHER_REQUEST : OTHER_SIZE, at[i], "none of the protocol's");
    }
    lies(ONE_MORE, VHOST_SET_VRING_ENABLE, "was not asked for");
}

TEST(who_does_not_let_go_is_let_go)
{
    static const struct {
        enum lie lie;
        const char *says;
    } cases[] = {{OTHER_QUEUE, "of queue 0 with queue 1"},
                 {HANG_UP, "hung up at GET_VRING_BASE"},
                 {OTHER_SIZE, "none of the protocol's"}};

    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        static struct rig r;
        struct peer p;

        peer_begin(&p, path());
        p.lie = cases[i].lie;
        p.at = VHOST_GET_VRING_BASE;
        peer_go(&p);
        CHECK_EQ(rig_open(&r, 2), 0);
        rig_start(&r, 3);
        CHECK_EQ(rig_put(&r, 1, BASE, 100, 8), VIRTQ_PUT_OK);
        r.server->stop(r.server->ctx);
        await_end(&r, &p, cases[i].says);
        CHECK_EQ(r.returned, 0); /* what was put before a stop does not come back */
        if (i)
            rig_close(&r);
        else
            served_again(&r, 0);
    }
}

TEST_MAIN()
