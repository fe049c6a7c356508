/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of the vhost-user protocol, the front end's side. */
#include "net/vhost_wire.h"

#include "base/assert.h"
#include "host/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

enum { VERSION = 1, VERSION_MASK = 3, REPLY = 4, NEED_REPLY = 8 };

struct header {
    u32 request, flags, size; /* of what follows, bytes; all in the host's byte order */
};

struct ring_number {
    u32 queue, number;
};

struct ring_addresses {
    u32 queue, flags;
    u64 desc, used, avail, log;
};

struct memory_table {
    u32 count, padding;
    struct {
        u64 gpa, size, user, offset;
    } region[VHOST_REGIONS_MAX];
};

struct message {
    struct header header;
    union {
        u64 value;
        struct ring_number ring;
        struct ring_addresses addresses;
        struct memory_table memory;
    } __attribute__((packed)) payload;
} __attribute__((packed));

_Static_assert(sizeof(struct header) == 12 && sizeof(struct ring_addresses) == 40, "the wire's");
_Static_assert(offsetof(struct message, payload) == 12, "nothing in between");

static const char *request_name(u32 request)
{
    static const char *const names[] = {
        [VHOST_GET_FEATURES] = "GET_FEATURES",
        [VHOST_SET_FEATURES] = "SET_FEATURES",
        [VHOST_SET_OWNER] = "SET_OWNER",
        [VHOST_SET_MEM_TABLE] = "SET_MEM_TABLE",
        [VHOST_SET_VRING_NUM] = "SET_VRING_NUM",
        [VHOST_SET_VRING_ADDR] = "SET_VRING_ADDR",
        [VHOST_SET_VRING_BASE] = "SET_VRING_BASE",
        [VHOST_GET_VRING_BASE] = "GET_VRING_BASE",
        [VHOST_SET_VRING_KICK] = "SET_VRING_KICK",
        [VHOST_SET_VRING_CALL] = "SET_VRING_CALL",
        [VHOST_SET_VRING_ERR] = "SET_VRING_ERR",
        [VHOST_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
        [VHOST_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
        [VHOST_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
        [VHOST_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
    };

    return names[request];
}

int vhost_wire_init(struct vhost_wire *wire, int fd, struct err *err)
{
    const struct timeval patience = {.tv_sec = VHOST_PATIENCE_MS / 1000,
                                     .tv_usec = VHOST_PATIENCE_MS % 1000 * 1000};

    *wire = (struct vhost_wire){.fd = fd};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) ||
        fcntl(fd, F_SETFL, 0))
        return err_set(err, errno, "its socket cannot be set up: %s", strerror(errno));
    return 0;
}

/* fds go with the first byte. */
static int message_send(const struct vhost_wire *wire, struct message *m, const int *fds, u32 count,
                        struct err *err)
{
    size_t len = sizeof(m->header) + m->header.size;
    struct iovec part = {m, len};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(VHOST_REGIONS_MAX * sizeof(int))];
    } room = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    ASSERT(count <= VHOST_REGIONS_MAX);
    if (count) {
        struct cmsghdr *c;

        message.msg_control = room.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    }
    /* Messages are small: a socket that takes a part of one has not been read for long. */
    if (sendmsg(wire->fd, &message, MSG_NOSIGNAL) == (ssize_t)len)
        return 0;
    return err_set(err, EPIPE, "it does not take %s", request_name(m->header.request));
}

static int bytes_get(const struct vhost_wire *wire, void *bytes, size_t len, u64 deadline_ns)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = recv(wire->fd, (u8 *)bytes + done, len - done, 0);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (!n)
            return -EPIPE;
        done += (size_t)n;
        if (done < len && host_monotonic_ns() > deadline_ns)
            return -ETIMEDOUT;
    }
    return 0;
}

/* The answer to a request, whose payload has size bytes. */
static int answer_get(const struct vhost_wire *wire, u32 request, void *payload, u32 size,
                      struct err *err)
{
    u64 deadline = host_monotonic_ns() + VHOST_PATIENCE_MS * UINT64_C(1000000);
    struct header h;
    int r = bytes_get(wire, &h, sizeof(h), deadline);

    if (!r && (h.request != request || (h.flags & VERSION_MASK) != VERSION || !(h.flags & REPLY) ||
               h.size != size))
        return err_set(err, EPROTO,
                       "it answers %s with request %u, flags 0x%x and %u bytes, which is none of "
                       "the protocol's answers",
                       request_name(request), h.request, h.flags, h.size);
    if (!r)
        r = bytes_get(wire, payload, size, deadline);
    if (r == -ETIMEDOUT)
        return err_set(err, ETIMEDOUT, "it does not answer %s", request_name(request));
    if (r)
        return err_set(err, EPIPE, "it has hung up at %s", request_name(request));
    return 0;
}

/* A request that has no answer of its own: one that says whether it went well, if there are such.
 */
static int order(const struct vhost_wire *wire, struct message *m, const int *fds, u32 count,
                 struct err *err)
{
    u64 status = 0;
    int r;

    m->header.flags = VERSION | (wire->acks ? NEED_REPLY : 0);
    r = message_send(wire, m, fds, count, err);
    if (!r && wire->acks)
        r = answer_get(wire, m->header.request, &status, sizeof(status), err);
    if (!r && status)
        return err_set(err, EPROTO, "it refuses %s", request_name(m->header.request));
    return r;
}

int vhost_order(const struct vhost_wire *wire, enum vhost_request request, struct err *err)
{
    struct message m = {.header = {.request = request}};

    return order(wire, &m, NULL, 0, err);
}

int vhost_set(const struct vhost_wire *wire, enum vhost_request request, u64 value, struct err *err)
{
    struct message m = {.header = {.request = request, .size = sizeof(value)},
                        .payload.value = value};

    return order(wire, &m, NULL, 0, err);
}

int vhost_get(const struct vhost_wire *wire, enum vhost_request request, u64 *value,
              struct err *err)
{
    struct message m = {.header = {.request = request, .flags = VERSION}};
    int r = message_send(wire, &m, NULL, 0, err);

    return r ? r : answer_get(wire, request, value, sizeof(*value), err);
}

int vhost_set_ring(const struct vhost_wire *wire, enum vhost_request request, u32 queue, u32 number,
                   struct err *err)
{
    struct message m = {.header = {.request = request, .size = sizeof(struct ring_number)},
                        .payload.ring = {queue, number}};

    return order(wire, &m, NULL, 0, err);
}

int vhost_get_ring(const struct vhost_wire *wire, enum vhost_request request, u32 queue,
                   u32 *number, struct err *err)
{
    struct message m = {
        .header = {.request = request, .flags = VERSION, .size = sizeof(struct ring_number)},
        .payload.ring = {queue, 0}};
    struct ring_number answer;
    int r = message_send(wire, &m, NULL, 0, err);

    if (!r)
        r = answer_get(wire, request, &answer, sizeof(answer), err);
    if (!r && answer.queue != queue)
        r = err_set(err, EPROTO, "it answers %s of queue %u with queue %u", request_name(request),
                    queue, answer.queue);
    if (!r)
        *number = answer.number;
    return r;
}

int vhost_set_ring_addresses(const struct vhost_wire *wire, u32 queue, u64 desc, u64 used,
                             u64 avail, struct err *err)
{
    struct message m = {
        .header = {.request = VHOST_SET_VRING_ADDR, .size = sizeof(struct ring_addresses)},
        .payload.addresses = {.queue = queue, .desc = desc, .used = used, .avail = avail}};

    return order(wire, &m, NULL, 0, err);
}

int vhost_set_ring_fd(const struct vhost_wire *wire, enum vhost_request request, u32 queue, int fd,
                      struct err *err)
{
    struct message m = {.header = {.request = request, .size = sizeof(u64)},
                        .payload.value = queue};

    return order(wire, &m, &fd, 1, err);
}

int vhost_set_memory(const struct vhost_wire *wire, const struct vhost_region *region, u32 count,
                     struct err *err)
{
    struct message m = {.header = {.request = VHOST_SET_MEM_TABLE}};
    int fds[VHOST_REGIONS_MAX];

    ASSERT(count <= VHOST_REGIONS_MAX);
    m.payload.memory.count = count;
    m.header.size =
        (u32)(offsetof(struct memory_table, region) + count * sizeof(m.payload.memory.region[0]));
    for (u32 i = 0; i < count; i++) {
        m.payload.memory.region[i].gpa = region[i].gpa;
        m.payload.memory.region[i].size = region[i].size;
        m.payload.memory.region[i].user = region[i].user;
        fds[i] = region[i].fd;
    }
    return order(wire, &m, fds, count, err);
}
