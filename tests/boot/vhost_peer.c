/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small vhost-user back end: vhost_peer SOCKET SOCKET [FAULT]. Two front ends are joined by a
 * cable: what one sends the other receives, by as many pairs of queues as they use. A fault is
 * something that a back end ought not to do; it happens on the second socket.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define QUEUES  8
#define REGIONS 8
#define FRAME   70000

struct region {
    uint64_t gpa, size, user, offset;
    uint8_t *host;
};

struct desc {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags, next;
};

struct queue {
    uint32_t size;
    volatile struct desc *desc;
    volatile uint16_t *avail;
    volatile uint8_t *used;
    uint16_t next;
    int kick, call;
    bool enabled;
    uint64_t frames;
};

struct port {
    int listener, fd, memory[REGIONS];
    struct region region[REGIONS];
    uint32_t regions;
    struct queue queue[QUEUES];
    struct port *other;
    const char *fault;
};

struct message {
    uint32_t request, flags, size;
    union {
        uint64_t value;
        struct {
            uint32_t queue, number;
        } ring;
        struct {
            uint32_t queue, flags;
            uint64_t desc, used, avail, log;
        } address;
        struct {
            uint32_t count, padding;
            struct {
                uint64_t gpa, size, user, offset;
            } region[REGIONS];
        } memory;
    } __attribute__((packed)) u;
} __attribute__((packed));

static bool has(const struct port *p, const char *fault)
{
    return p->fault && !strcmp(p->fault, fault);
}

static uint8_t *find(const struct port *p, uint64_t at, uint64_t len, bool user)
{
    for (uint32_t i = 0; i < p->regions; i++) {
        const struct region *r = &p->region[i];
        uint64_t base = user ? r->user : r->gpa;

        if (at >= base && at - base < r->size && len <= r->size - (at - base))
            return r->host + (at - base);
    }
    return NULL;
}

static void forget(struct port *p)
{
    for (uint32_t i = 0; i < p->regions; i++)
        munmap(p->region[i].host, p->region[i].size);
    p->regions = 0;
    for (int i = 0; i < QUEUES; i++) {
        if (p->queue[i].kick >= 0)
            close(p->queue[i].kick);
        if (p->queue[i].call >= 0)
            close(p->queue[i].call);
        p->queue[i] = (struct queue){.kick = -1, .call = -1};
    }
}

static void hang_up(struct port *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
    forget(p);
}

/* ---- queues ---- */

static bool is_ready(const struct queue *q)
{
    return q->enabled && q->desc && q->call >= 0;
}

static bool waits(const struct queue *q)
{
    return is_ready(q) && __atomic_load_n(&q->avail[1], __ATOMIC_ACQUIRE) != q->next;
}

/* Copies between a chain and bytes; returns how many. */
static uint32_t chain(struct port *p, struct queue *q, uint16_t head, uint8_t *bytes, uint32_t len,
                      bool in)
{
    uint32_t done = 0;

    for (uint16_t i = head;; i = q->desc[i].next) {
        uint32_t n = q->desc[i].len;
        uint8_t *at = find(p, q->desc[i].gpa, n, false);

        if (n > len - done)
            n = len - done;
        if (!at || !!(q->desc[i].flags & 2) != in) {
            fprintf(stderr, "vhost_peer: a descriptor that must not be\n");
            exit(1);
        }
        memcpy(in ? at : bytes + done, in ? bytes + done : at, n);
        done += n;
        if (!(q->desc[i].flags & 1))
            return done;
    }
}

static void give_back(struct port *p, struct queue *q, uint16_t head, uint32_t written)
{
    volatile uint32_t *entry;
    uint16_t used = *(volatile uint16_t *)(q->used + 2);
    uint64_t one = 1;

    entry = (volatile uint32_t *)(q->used + 4 + 8 * (used % q->size));
    entry[0] = has(p, "stranger") ? 0x1000 : head;
    entry[1] = written;
    __atomic_store_n((volatile uint16_t *)(q->used + 2), (uint16_t)(used + 1), __ATOMIC_RELEASE);
    q->next++;
    q->frames++;
    if (write(q->call, &one, 8) < 0)
        exit(1);
}

static uint16_t next_head(const struct queue *q)
{
    return q->avail[2 + q->next % q->size];
}

/* Frames of one queue go to the same pair of the other side, or nowhere. */
static void carry(struct port *p, int index)
{
    static uint8_t frame[FRAME];
    struct queue *q = &p->queue[index], *to = &p->other->queue[index - 1];

    while (waits(q)) {
        uint16_t head = next_head(q);
        uint32_t len = chain(p, q, head, frame, FRAME, false);

        if (!is_ready(to))
            to = &p->other->queue[0];
        if (waits(to)) {
            uint16_t room = next_head(to);

            frame[10] = 1; /* of num_buffers */
            frame[11] = 0;
            give_back(p->other, to, room, chain(p->other, to, room, frame, len, true));
        }
        give_back(p, q, head, 0);
    }
}

/* ---- the protocol ---- */

static void map_memory(struct port *p, const struct message *m, const int *fds, uint32_t count)
{
    forget(p);
    for (uint32_t i = 0; i < m->u.memory.count && i < count; i++) {
        struct region *r = &p->region[i];

        *r = (struct region){m->u.memory.region[i].gpa, m->u.memory.region[i].size,
                             m->u.memory.region[i].user, m->u.memory.region[i].offset, NULL};
        r->host = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], (off_t)r->offset);
        if (r->host == MAP_FAILED)
            exit(1);
        close(fds[i]);
        p->regions = i + 1;
    }
}

/* 0: it went well. What is to be answered beside that is in *m. */
static uint64_t obey(struct port *p, struct message *m, const int *fds, uint32_t count,
                     bool *answer)
{
    struct queue *q = &p->queue[(m->u.value & 0xff) % QUEUES];

    switch (m->request) {
    case 1: /* GET_FEATURES: VIRTIO 1, protocol features, mergeable buffers */
        m->u.value = UINT64_C(1) << 32 | UINT64_C(1) << 30 | UINT64_C(1) << 15;
        *answer = true;
        return 0;
    case 5:
        map_memory(p, m, fds, count);
        return has(p, "refuse");
    case 8:
        q->size = m->u.ring.number;
        return 0;
    case 9:
        q->desc = (void *)find(p, m->u.address.desc, 16 * q->size, true);
        q->avail = (void *)find(p, m->u.address.avail, 6 + 2 * q->size, true);
        q->used = find(p, m->u.address.used, 6 + 8 * q->size, true);
        return !q->desc || !q->avail || !q->used;
    case 10:
        q->next = (uint16_t)m->u.ring.number;
        return 0;
    case 11:
        m->u.ring.number = q->next;
        q->desc = NULL;
        *answer = true;
        return 0;
    case 12:
        q->kick = fds[0];
        return 0;
    case 13:
        q->call = fds[0];
        return 0;
    case 14:
        close(fds[0]);
        return 0;
    case 15: /* GET_PROTOCOL_FEATURES: several queues, answers to all */
        m->u.value = 1 | 8;
        *answer = true;
        return 0;
    case 17:
        m->u.value = QUEUES / 2;
        *answer = true;
        return 0;
    case 18:
        q->enabled = m->u.ring.number;
        return 0;
    default:
        return 0;
    }
}

static void reply(struct port *p, struct message *m, bool answer, uint64_t status)
{
    bool acks = m->flags & 8;

    if (!answer && !acks)
        return;
    if (!answer) {
        m->u.value = status;
    }
    m->size = 8;
    m->flags = 1 | 4;
    if (has(p, "no-end") && m->request == 11)
        return;
    if (has(p, "nonsense"))
        m->size = 1u << 31;
    if (write(p->fd, m, 20) < 0)
        hang_up(p);
}

static void serve(struct port *p)
{
    struct message m = {0};
    int fds[REGIONS];
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(fds))];
    } room;
    struct iovec part = {&m, 12};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = room.bytes,
                             .msg_controllen = sizeof(room)};
    const struct cmsghdr *c;
    uint32_t count = 0;
    bool answer = false;
    uint64_t status;

    if (recvmsg(p->fd, &message, MSG_WAITALL) != 12 || m.size > sizeof(m.u) ||
        (m.size && recv(p->fd, &m.u, m.size, MSG_WAITALL) != (ssize_t)m.size)) {
        hang_up(p);
        return;
    }
    c = CMSG_FIRSTHDR(&message);
    if (c && c->cmsg_type == SCM_RIGHTS) {
        count = (uint32_t)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), count * sizeof(int));
    }
    status = obey(p, &m, fds, count, &answer);
    reply(p, &m, answer, status);
}

static void listen_at(struct port *p, const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    unlink(path);
    umask(077);
    p->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    p->fd = -1;
    for (int i = 0; i < QUEUES; i++)
        p->queue[i].kick = p->queue[i].call = -1;
    if (p->listener < 0 || bind(p->listener, (struct sockaddr *)&sa, sizeof(sa)) ||
        listen(p->listener, 4)) {
        perror(path);
        exit(1);
    }
}

/* What is to be waited for of a port. */
static nfds_t look_at(struct port *p, struct pollfd *fds)
{
    nfds_t n = 0;

    fds[n++] = (struct pollfd){.fd = p->fd < 0 ? p->listener : p->fd, .events = POLLIN};
    for (int i = 1; i < QUEUES; i += 2)
        fds[n++] =
            (struct pollfd){.fd = is_ready(&p->queue[i]) ? p->queue[i].kick : -1, .events = POLLIN};
    return n;
}

static void act(struct port *p, const struct pollfd *fds)
{
    uint64_t count;

    if (fds[0].revents && p->fd < 0) {
        p->fd = accept(p->listener, NULL, NULL);
    } else if (fds[0].revents) {
        serve(p);
        return; /* descriptors may be others by now */
    }
    for (int i = 1, n = 1; i < QUEUES; i += 2, n++) {
        if (fds[n].revents && read(fds[n].fd, &count, 8) == 8)
            carry(p, i);
    }
}

int main(int argc, char **argv)
{
    static struct port port[2];
    struct pollfd fds[2 + QUEUES];

    if (argc < 3) {
        fprintf(stderr, "vhost_peer SOCKET SOCKET [FAULT]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    port[0].other = &port[1];
    port[1].other = &port[0];
    port[1].fault = argv[3];
    listen_at(&port[0], argv[1]);
    listen_at(&port[1], argv[2]);
    puts("ready");
    fflush(stdout);
    for (;;) {
        nfds_t n = look_at(&port[0], fds);

        if (poll(fds, n + look_at(&port[1], fds + n), -1) < 0)
            return 1;
        act(&port[0], fds);
        act(&port[1], fds + n);
    }
}
