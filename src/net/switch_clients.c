/* SPDX-License-Identifier: BSD-2-Clause */
/* What is asked of a switch at its socket: to join, who is there, records, impairments, the end. */
#include "net/switch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* The socket's mode keeps others out already. */
static bool is_user(const struct lab_switch *s, int fd, s32 *pid)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) || (peer.uid != s->uid && peer.uid))
        return false;
    *pid = peer.pid;
    return true;
}

static void client_accept(struct lab_switch *s)
{
    int fd = accept4(LAB_LISTEN_FD, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    u32 i = 0;

    if (fd < 0)
        return;
    while (i < SWITCH_CLIENTS && s->client[i] >= 0)
        i++;
    if (i == SWITCH_CLIENTS) { /* who has said nothing so far has had its time */
        i = (u32)fd % SWITCH_CLIENTS;
        close(s->client[i]);
    }
    s->client[i] = fd;
}

/* A request and the descriptor that came along, -1: none. False: it is no request. */
static bool request_receive(int fd, struct lab_request *request, int *passed)
{
    struct iovec part = {request, sizeof(*request)};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } room;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = room.bytes,
                             .msg_controllen = sizeof(room.bytes)};
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;

    *passed = -1;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(passed, CMSG_DATA(c), sizeof(int));
    return n == sizeof(*request);
}

static bool is_file(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int do_join(struct lab_switch *s, int fd, struct lab_request *r, int passed, s32 pid,
                   struct err *err)
{
    int room = 4 * MIB, port;
    struct capture *capture;

    r->port.vm[LAB_VM_MAX - 1] = '\0';
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    if (!r->port.vlan || r->port.vlan > LAB_VLAN_MAX)
        return err_set(err, EINVAL, "there is no VLAN %u", r->port.vlan);
    capture = switch_capture(passed, r->capture_goes_on);
    port = switch_join(s, fd, &r->port, pid, capture);
    if (port < 0)
        free(capture);
    if (port == -EEXIST)
        return err_set(err, EEXIST, "the MAC address is in use in this network; give another one");
    if (port < 0)
        return err_set(err, ENOSPC, "the network has %d ports, and all are taken", LAB_PORTS_MAX);
    return port;
}

static int do_capture(struct lab_switch *s, int passed, struct err *err)
{
    if (s->capture) {
        capture_flush(s->capture);
        if (s->capture->fd >= 0)
            close(s->capture->fd);
        free(s->capture);
        s->capture = NULL;
    }
    if (passed < 0)
        return 0;
    s->capture = switch_capture(passed, false);
    return s->capture ? 0 : err_set(err, ENOMEM, "no memory for a record");
}

static int do_impair(struct lab_switch *s, struct lab_request *r, struct err *err)
{
    u32 found = 0;

    r->port.vm[LAB_VM_MAX - 1] = '\0';
    for (u32 i = BRIDGE_VM; i < BRIDGE_PORTS; i++) {
        struct bridge_port *p = &s->bridge.port[i];

        if (!p->used || strcmp(p->config.vm, r->port.vm))
            continue;
        p->config.impairment = r->port.impairment;
        found++;
    }
    return found ? 0 : err_set(err, ENOENT, "no VM '%s' is in the network", r->port.vm);
}

static void ports_send(struct lab_switch *s, int fd)
{
    for (u32 i = BRIDGE_VM; i < BRIDGE_PORTS; i++) {
        const struct bridge_port *p = &s->bridge.port[i];
        struct lab_port_info info = {.config = p->config, .count = p->count, .pid = s->port[i].pid};

        if (!p->used)
            continue;
        for (u32 k = 0; k < BRIDGE_CLAIMS; k++) {
            if (p->claim[k].address.family)
                info.address[info.address_count++] = p->claim[k].address;
        }
        if (send(fd, &info, sizeof(info), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            return;
    }
}

/* True: the connection is a port now. */
static bool request_do(struct lab_switch *s, int fd, struct lab_request *r, int *passed, s32 pid,
                       struct lab_answer *answer)
{
    struct err err = {""};
    int rc = 0;

    if (r->magic != LAB_MAGIC)
        rc = err_set(&err, EPROTO,
                     "the network's switch is of another version of cosm; it ends "
                     "with the network's last VM");
    else if (*passed >= 0 && !is_file(*passed))
        rc = err_set(&err, EINVAL, "frames can be recorded in a regular file alone");
    else if (r->kind == LAB_JOIN)
        rc = do_join(s, fd, r, *passed, pid, &err);
    else if (r->kind == LAB_CAPTURE)
        rc = do_capture(s, *passed, &err);
    else if (r->kind == LAB_IMPAIR)
        rc = do_impair(s, r, &err);
    else if (r->kind == LAB_END)
        s->over = true;
    if (rc >= 0 && (r->kind == LAB_JOIN || r->kind == LAB_CAPTURE))
        *passed = -1; /* taken */
    answer->code = rc < 0 ? rc : 0;
    answer->can = s->can;
    answer->count = r->kind == LAB_PORTS ? s->ports : 0;
    snprintf(answer->text, sizeof(answer->text), "%.*s", (int)sizeof(answer->text) - 1, err.msg);
    return rc > 0 && r->kind == LAB_JOIN;
}

static void client_serve(struct lab_switch *s, int fd)
{
    struct lab_request r;
    struct lab_answer answer = {0};
    s32 pid = 0;
    int passed;
    bool joined = false, good = request_receive(fd, &r, &passed) && is_user(s, fd, &pid);

    if (good) {
        joined = request_do(s, fd, &r, &passed, pid, &answer);
        /* A port that does not take it is noticed when it is read. */
        if (send(fd, &answer, sizeof(answer), MSG_NOSIGNAL | MSG_DONTWAIT) > 0 && !answer.code &&
            r.kind == LAB_PORTS)
            ports_send(s, fd);
    }
    if (passed >= 0)
        close(passed);
    if (!joined)
        close(fd);
}

void switch_clients(struct lab_switch *s)
{
    for (u32 i = 0; i < SWITCH_CLIENTS; i++) {
        int fd = s->client[i];

        if (fd < 0 || !s->fds[SWITCH_LISTEN + 1 + i].revents)
            continue;
        s->client[i] = -1;
        client_serve(s, fd);
    }
    if (s->fds[SWITCH_LISTEN].revents)
        client_accept(s);
}
