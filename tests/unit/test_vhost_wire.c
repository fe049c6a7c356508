/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages to a vhost-user back end: what is sent, and which answers are believed. */
#include "net/vhost_wire.h"

#include "host/clock.h"
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

enum { REPLY = 1 | 4, NEED_REPLY = 8 };

/* Both ends: what is to be answered is written before the question comes. */
struct pair {
    struct vhost_wire wire;
    int peer;
    struct err err;
};

struct sent {
    u32 request, flags, size;
    u8 payload[256];
    u32 fd_count;
    int fd[8];
};

static void patience(int fd, u32 ms)
{
    const struct timeval time = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

    CHECK(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)));
    CHECK(!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time)));
}

static void open_pair(struct pair *p, bool acks)
{
    int fd[2];

    memset(p, 0, sizeof(*p));
    CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
    CHECK_EQ(vhost_wire_init(&p->wire, fd[0], &p->err), 0);
    p->wire.acks = acks;
    p->peer = fd[1];
    patience(p->peer, 1000);
}

static void close_pair(struct pair *p)
{
    close(p->wire.fd);
    if (p->peer >= 0)
        close(p->peer);
}

static void answer(struct pair *p, u32 request, u32 flags, u32 size, u64 value)
{
    u8 bytes[20];

    memcpy(bytes, (const u32[]){request, flags, size}, 12);
    memcpy(bytes + 12, &value, 8);
    CHECK_EQ(write(p->peer, bytes, sizeof(bytes)), sizeof(bytes));
}

/* The next message at the peer's end; false: there is none. */
static bool take(struct pair *p, struct sent *sent)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(sent->fd))];
    } room;
    struct iovec part = {sent, 12};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = room.bytes,
                             .msg_controllen = sizeof(room)};
    const struct cmsghdr *c;

    memset(sent, 0, sizeof(*sent));
    if (recvmsg(p->peer, &message, MSG_WAITALL | MSG_CMSG_CLOEXEC) != 12)
        return false;
    c = CMSG_FIRSTHDR(&message);
    if (c && c->cmsg_type == SCM_RIGHTS) {
        sent->fd_count = (u32)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(sent->fd, CMSG_DATA(c), sent->fd_count * sizeof(int));
    }
    return sent->size <= sizeof(sent->payload) &&
           (!sent->size ||
            recv(p->peer, sent->payload, sent->size, MSG_WAITALL) == (ssize_t)sent->size);
}

static u64 word(const struct sent *sent, u32 at, u32 size)
{
    u64 value = 0;

    memcpy(&value, sent->payload + at, size);
    return value;
}

static bool same_file(int a, int b)
{
    struct stat x, y;

    return !fstat(a, &x) && !fstat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
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

TEST(answers_come_in_whatever_pieces)
{
    struct pair p;
    u64 value = 0;
    u32 number = 0;

    open_pair(&p, true);
    answer(&p, VHOST_GET_FEATURES, REPLY, 8, 0x123456789);
    CHECK_EQ(vhost_get(&p.wire, VHOST_GET_FEATURES, &value, &p.err), 0);
    CHECK_EQ(value, 0x123456789);
    answer(&p, VHOST_GET_VRING_BASE, REPLY | NEED_REPLY, 8, (u64)77 << 32 | 3);
    CHECK_EQ(vhost_get_ring(&p.wire, VHOST_GET_VRING_BASE, 3, &number, &p.err), 0);
    CHECK_EQ(number, 77);
    answer(&p, VHOST_SET_OWNER, REPLY, 8, 0);
    CHECK_EQ(vhost_order(&p.wire, VHOST_SET_OWNER, &p.err), 0);
    close_pair(&p);
    /* Who has no such answers is not waited for. */
    open_pair(&p, false);
    CHECK_EQ(vhost_order(&p.wire, VHOST_SET_OWNER, &p.err), 0);
    close_pair(&p);
}

TEST(answers_that_are_none_are_told)
{
    static const struct {
        u32 request, flags, size;
    } lies[] = {
        {VHOST_GET_PROTOCOL_FEATURES, REPLY, 8},
        {0, REPLY, 8},
        {UINT32_MAX, REPLY, 8},
        {VHOST_GET_FEATURES, 1, 8},
        {VHOST_GET_FEATURES, 4, 8},
        {VHOST_GET_FEATURES, 2 | 4, 8},
        {VHOST_GET_FEATURES, REPLY, 0},
        {VHOST_GET_FEATURES, REPLY, 7},
        {VHOST_GET_FEATURES, REPLY, 9},
        {VHOST_GET_FEATURES, REPLY, 1u << 31},
        {VHOST_GET_FEATURES, REPLY, UINT32_MAX},
    };
    struct pair p;
    u64 value = 5;
    u32 number = 5;

    for (u32 i = 0; i < ARRAY_SIZE(lies); i++) {
        open_pair(&p, true);
        answer(&p, lies[i].request, lies[i].flags, lies[i].size, 1);
        CHECK_EQ(vhost_get(&p.wire, VHOST_GET_FEATURES, &value, &p.err), -EPROTO);
        CHECK(strstr(p.err.msg, "answers GET_FEATURES") && strstr(p.err.msg, "none of"));
        CHECK_EQ(value, 5);
        close_pair(&p);
    }
    open_pair(&p, true);
    answer(&p, VHOST_GET_VRING_BASE, REPLY, 8, (u64)77 << 32 | 2);
    CHECK_EQ(vhost_get_ring(&p.wire, VHOST_GET_VRING_BASE, 3, &number, &p.err), -EPROTO);
    CHECK_STR(p.err.msg, "it answers GET_VRING_BASE of queue 3 with queue 2");
    CHECK_EQ(number, 5);
    answer(&p, VHOST_SET_FEATURES, REPLY, 8, 1);
    CHECK_EQ(vhost_set(&p.wire, VHOST_SET_FEATURES, 0, &p.err), -EPROTO);
    CHECK_STR(p.err.msg, "it refuses SET_FEATURES");
    close_pair(&p);
}

TEST(who_hangs_up_or_says_nothing_is_not_waited_for)
{
    struct pair p;
    u64 value;

    for (u32 part = 0; part < 20; part++) {
        u8 bytes[20] = {VHOST_GET_FEATURES, 0, 0, 0, REPLY, 0, 0, 0, 8};

        open_pair(&p, true);
        CHECK_EQ(write(p.peer, bytes, part), part);
        shutdown(p.peer, SHUT_WR);
        CHECK_EQ(vhost_get(&p.wire, VHOST_GET_FEATURES, &value, &p.err), -EPIPE);
        CHECK_STR(p.err.msg, "it has hung up at GET_FEATURES");
        close_pair(&p);
    }
    open_pair(&p, true);
    close(p.peer);
    p.peer = -1;
    CHECK_EQ(vhost_get(&p.wire, VHOST_GET_FEATURES, &value, &p.err), -EPIPE);
    CHECK_STR(p.err.msg, "it does not take GET_FEATURES");
    close_pair(&p);
    open_pair(&p, true);
    patience(p.wire.fd, 50);
    CHECK_EQ(vhost_get(&p.wire, VHOST_GET_FEATURES, &value, &p.err), -ETIMEDOUT);
    CHECK_STR(p.err.msg, "it does not answer GET_FEATURES");
    close_pair(&p);
}

TEST(who_reads_nothing_is_not_waited_for)
{
    struct pair p;
    u32 n = 0;

    open_pair(&p, false);
    patience(p.wire.fd, 50);
    while (n < 1000000 && !vhost_set(&p.wire, VHOST_SET_FEATURES, 0, &p.err))
        n++;
    CHECK(n > 10 && n < 1000000);
    CHECK_STR(p.err.msg, "it does not take SET_FEATURES");
    close_pair(&p);
}

/* An answer, a byte each half second: each wait is short, all of them together are not. */
static void *trickle(void *arg)
{
    static const u8 bytes[20] = {VHOST_GET_FEATURES, 0, 0, 0, REPLY, 0, 0, 0, 8};
    const struct pair *p = arg;

    for (u32 i = 0; i < sizeof(bytes) && send(p->peer, &bytes[i], 1, MSG_NOSIGNAL) == 1; i++)
        usleep(500000);
    return NULL;
}

TEST(who_answers_by_drops_is_not_waited_for)
{
    u64 begin = host_monotonic_ns(), value;
    struct pair p;
    pthread_t thread;

    open_pair(&p, true);
    CHECK(!pthread_create(&thread, NULL, trickle, &p));
    CHECK_EQ(vhost_get(&p.wire, VHOST_GET_FEATURES, &value, &p.err), -ETIMEDOUT);
    CHECK(host_monotonic_ns() - begin >= VHOST_PATIENCE_MS * UINT64_C(1000000));
    close(p.wire.fd);
    pthread_join(thread, NULL);
    close(p.peer);
}

TEST(descriptors_that_come_unasked_are_not_kept)
{
    char control[CMSG_SPACE(3 * sizeof(int))] = {0};
    u32 bytes[5] = {VHOST_GET_FEATURES, REPLY, 8, 1, 0};
    struct iovec part = {bytes, sizeof(bytes)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    struct pair p;
    u64 value;
    u32 before;

    open_pair(&p, true);
    before = open_files();
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(3 * sizeof(int));
    memcpy(CMSG_DATA(c), (const int[]){p.peer, p.peer, 0}, 3 * sizeof(int));
    CHECK_EQ(sendmsg(p.peer, &message, 0), sizeof(bytes));
    CHECK_EQ(vhost_get(&p.wire, VHOST_GET_FEATURES, &value, &p.err), 0);
    CHECK_EQ(open_files(), before);
    close_pair(&p);
}

TEST(messages_are_as_the_protocol_has_them)
{
    struct vhost_region region[2] = {{0x80000000, 4096, 0x1000, 0}, {0x90000000, 8192, 0x5000, 0}};
    struct pair p;
    struct sent sent;

    open_pair(&p, false);
    region[0].fd = p.peer;
    region[1].fd = p.wire.fd;
    CHECK_EQ(vhost_set(&p.wire, VHOST_SET_FEATURES, 0x5555aaaa1234, &p.err), 0);
    CHECK(take(&p, &sent));
    CHECK(sent.request == VHOST_SET_FEATURES && sent.flags == 1 && sent.size == 8);
    CHECK_EQ(word(&sent, 0, 8), 0x5555aaaa1234);
    CHECK_EQ(vhost_set_memory(&p.wire, region, 2, &p.err), 0);
    CHECK(take(&p, &sent));
    CHECK(sent.request == VHOST_SET_MEM_TABLE && sent.size == 8 + 2 * 32);
    CHECK_EQ(word(&sent, 0, 8), 2);
    CHECK(word(&sent, 8, 8) == 0x80000000 && word(&sent, 16, 8) == 4096);
    CHECK(word(&sent, 24, 8) == 0x1000 && word(&sent, 32, 8) == 0);
    CHECK(word(&sent, 40, 8) == 0x90000000 && word(&sent, 56, 8) == 0x5000);
    CHECK_EQ(sent.fd_count, 2);
    CHECK(same_file(sent.fd[0], p.peer) && same_file(sent.fd[1], p.wire.fd));
    close(sent.fd[0]);
    close(sent.fd[1]);
    CHECK_EQ(vhost_set_ring_addresses(&p.wire, 5, 1, 2, 3, &p.err), 0);
    CHECK(take(&p, &sent));
    CHECK(sent.request == VHOST_SET_VRING_ADDR && sent.size == 40 && word(&sent, 0, 8) == 5);
    CHECK(word(&sent, 8, 8) == 1 && word(&sent, 16, 8) == 2 && word(&sent, 24, 8) == 3);
    close_pair(&p);
    /* With answers each says that it wants one. */
    open_pair(&p, true);
    answer(&p, VHOST_SET_VRING_KICK, REPLY, 8, 0);
    CHECK_EQ(vhost_set_ring_fd(&p.wire, VHOST_SET_VRING_KICK, 7, p.peer, &p.err), 0);
    CHECK(take(&p, &sent));
    CHECK(sent.flags == (1 | NEED_REPLY) && sent.size == 8 && word(&sent, 0, 8) == 7);
    CHECK_EQ(sent.fd_count, 1);
    CHECK(same_file(sent.fd[0], p.peer));
    close(sent.fd[0]);
    close_pair(&p);
}

TEST_MAIN()
