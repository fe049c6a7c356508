/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames through a UDP socket to a switch on another host: VXLAN, RFC 7348. */
#include "net/vxlan.h"

#include "base/endian.h"
#include "host/scope.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define FLAG_VNI    0x08 /* section 5: the number is valid */
#define SOCKET_ROOM (1 * MIB)

static socklen_t address(const struct net_address *a, u8 family, u16 port,
                         struct sockaddr_storage *out)
{
    struct sockaddr_in *in4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    if (family == 6) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        memcpy(&in6->sin6_addr, a->bytes, 16);
        return sizeof(*in6);
    }
    in4->sin_family = AF_INET;
    in4->sin_port = htons(port);
    memcpy(&in4->sin_addr, a->bytes, 4);
    return sizeof(*in4);
}

int vxlan_open(const struct lab_tunnel *tunnel, int *out, struct err *err)
{
    struct sockaddr_storage sa;
    char place[NET_PLACE_MAX];
    u8 family = tunnel->remote.family;
    socklen_t len = address(&tunnel->local, family, tunnel->port, &sa);
    AUTO_FD int fd =
        socket(family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int room = SOCKET_ROOM, code;

    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    }
    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, len) < 0) {
        struct net_address local = tunnel->local;

        code = errno;
        local.family = family;
        return err_set(err, code, "--vxlan: cannot listen at UDP %s: %s; give local= or port=",
                       net_place_text(&local, tunnel->port, place), strerror(code));
    }
    *out = steal_fd(&fd);
    return 0;
}

bool vxlan_send(int fd, const struct lab_tunnel *tunnel, const u8 *bytes, size_t len)
{
    struct sockaddr_storage sa;
    u8 header[VXLAN_HEADER] = {FLAG_VNI};
    struct iovec part[2] = {{header, sizeof(header)}, {(void *)(uintptr_t)bytes, len}};
    struct msghdr message = {
        .msg_name = &sa,
        .msg_namelen = address(&tunnel->remote, tunnel->remote.family, tunnel->port, &sa),
        .msg_iov = part,
        .msg_iovlen = 2,
    };

    be32_store(header + 4, tunnel->vni << 8);
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static bool is_remote(const struct lab_tunnel *tunnel, const struct sockaddr_storage *sa)
{
    const struct net_address *remote = &tunnel->remote;

    if (remote->family == 6)
        return sa->ss_family == AF_INET6 &&
               !memcmp(&((const struct sockaddr_in6 *)sa)->sin6_addr, remote->bytes, 16);
    return sa->ss_family == AF_INET &&
           !memcmp(&((const struct sockaddr_in *)sa)->sin_addr, remote->bytes, 4);
}

bool vxlan_is_ours(const struct lab_tunnel *tunnel, const u8 *bytes, size_t len)
{
    return len > VXLAN_HEADER && bytes[0] & FLAG_VNI && be32_load(bytes + 4) >> 8 == tunnel->vni;
}

ssize_t vxlan_receive(int fd, const struct lab_tunnel *tunnel, u8 *bytes, size_t room)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);
    ssize_t n = recvfrom(fd, bytes, room, MSG_DONTWAIT, (struct sockaddr *)&sa, &len);

    if (n < 0)
        return -errno;
    if (!is_remote(tunnel, &sa) || !vxlan_is_ours(tunnel, bytes, (size_t)n))
        return 0;
    return n - VXLAN_HEADER;
}
