/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch of a network: a process with a socket where VMs join. Frames come in at a port,
 * through the cable to it, to the bridge, and from there through other cables to other ports; a
 * port that is slow has a queue, and what finds no room there is lost, as frames are.
 */
#include "net/switch.h"

#include "net/backend.h"
#include "net/sandbox.h"
#include "net/vxlan.h"
#include "net/wire.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define BATCH       64        /* frames of a port between two looks at the others */
#define QUEUE_LIMIT (4 * MIB) /* of a port that is slow */
#define SECOND      UINT64_C(1000000000)
#define EMPTY_NS    (2 * SECOND)  /* without ports it ends after this */
#define FIRST_NS    (20 * SECOND) /* the first port has longer */
#define NAP_NS      (5 * SECOND)

u64 switch_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * SECOND + (u64)t.tv_nsec;
}

/* Records a frame with its checksum, which the record's readers look at. */
static void record(struct lab_switch *s, struct capture *capture, const struct net_offload *offload,
                   const u8 *bytes, size_t len)
{
    if (!capture || capture->fd < 0)
        return;
    if (offload->flags & NET_NEEDS_CSUM) {
        memcpy(s->scratch, bytes, len);
        if (!packet_checksum(s->scratch, len, offload))
            return;
        bytes = s->scratch;
    }
    capture_frame(capture, bytes, len);
}

/* False: there is no room just now. */
static bool message_send(struct switch_port *p, const struct net_offload *offload, const u8 *bytes,
                         size_t len)
{
    struct iovec part[2] = {{(void *)(uintptr_t)offload, sizeof(*offload)},
                            {(void *)(uintptr_t)bytes, len}};
    struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};

    /* Who is gone is noticed where it is read. */
    return sendmsg(p->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
           (errno != EAGAIN && errno != ENOBUFS);
}

static void port_send(struct lab_switch *s, u32 port, const struct net_offload *offload,
                      const u8 *bytes, size_t len)
{
    struct switch_port *p = &s->port[port];

    record(s, p->capture, offload, bytes, len);
    if (!net_queue_first(&p->queue) && message_send(p, offload, bytes, len))
        return;
    if (p->queue.bytes >= QUEUE_LIMIT || !net_queue_add(&p->queue, offload, bytes, len))
        s->bridge.port[port].count.dropped++;
}

static void queue_send(struct switch_port *p)
{
    const struct net_queued *first;

    while ((first = net_queue_first(&p->queue))) {
        if (!message_send(p, &first->offload, first->bytes, first->len))
            return;
        net_queue_drop(&p->queue);
    }
}

static void tunnel_send(struct lab_switch *s, const struct bridge_frame *f)
{
    memcpy(s->scratch, f->bytes, f->len);
    if (!packet_checksum(s->scratch, f->len, &f->offload) ||
        !vxlan_send(LAB_TUNNEL_FD, &s->settings.tunnel, s->scratch, f->len))
        s->bridge.port[BRIDGE_TUNNEL].count.dropped++;
}

static void deliver(void *ctx, u32 port, const struct bridge_frame *f)
{
    struct lab_switch *s = ctx;
    struct switch_port *p = &s->port[port];

    if (port == BRIDGE_SERVICE)
        service_input(&s->service, f, switch_now());
    else if (port == BRIDGE_TUNNEL)
        tunnel_send(s, f);
    else if (p->fd >= 0 && cable_matters(&p->cable[SWITCH_OUT]))
        cable_put(&p->cable[SWITCH_OUT], switch_now(), &f->offload, f->bytes, f->len);
    else if (p->fd >= 0)
        port_send(s, port, &f->offload, f->bytes, f->len);
}

static void note(void *ctx, const struct bridge_frame *f)
{
    struct lab_switch *s = ctx;

    record(s, s->capture, &f->offload, f->bytes, f->len);
}

/* What a VM says of a frame has to be true of the frame. */
static bool offload_is_sound(const struct lab_switch *s, const struct net_offload *o, size_t len)
{
    u8 kind = o->gso & (u8)~NET_GSO_ECN;

    if (o->flags & NET_NEEDS_CSUM && (u32)o->csum_start + o->csum_offset + 2 > len)
        return false;
    if (!o->gso)
        return true;
    return (kind == NET_GSO_TCP4 || kind == NET_GSO_TCP6) && o->gso_size &&
           o->flags & NET_NEEDS_CSUM && s->can & NET_CAN_TSO;
}

/* bytes has BRIDGE_TAG bytes of room before. */
static void port_input(struct lab_switch *s, u32 port, const struct net_offload *offload, u8 *bytes,
                       size_t len)
{
    struct bridge_frame f = {.bytes = bytes, .len = len, .offload = *offload};

    bridge_input(&s->bridge, port, &f, switch_now());
}

static void message_take(struct lab_switch *s, u32 port, size_t len)
{
    struct switch_port *p = &s->port[port];
    struct net_offload offload;
    u8 *bytes = s->message + sizeof(offload);

    if (len <= sizeof(offload))
        return;
    memcpy(&offload, s->message, sizeof(offload));
    len -= sizeof(offload);
    if (!offload_is_sound(s, &offload, len)) {
        s->bridge.port[port].count.refused++;
        return;
    }
    record(s, p->capture, &offload, bytes, len);
    if (cable_matters(&p->cable[SWITCH_IN]))
        cable_put(&p->cable[SWITCH_IN], switch_now(), &offload, bytes, len);
    else
        port_input(s, port, &offload, bytes, len);
}

static void port_receive(struct lab_switch *s, u32 port)
{
    for (u32 i = 0; i < BATCH && s->port[port].fd >= 0; i++) {
        ssize_t n = recv(s->port[port].fd, s->message, sizeof(s->message), MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            switch_leave(s, port);
            return;
        }
        message_take(s, port, (size_t)n);
    }
}

static void tunnel_receive(struct lab_switch *s)
{
    const struct net_offload none = {0};

    for (u32 i = 0; i < BATCH; i++) {
        ssize_t n =
            vxlan_receive(LAB_TUNNEL_FD, &s->settings.tunnel, s->message, sizeof(s->message));

        if (n == -EAGAIN || n == -EINTR)
            return;
        if (n > 0)
            port_input(s, BRIDGE_TUNNEL, &none, s->message + VXLAN_HEADER, (size_t)n);
    }
}

/* What has come to an end of a cable. */
static void cables_serve(struct lab_switch *s, u32 port)
{
    struct switch_port *p = &s->port[port];
    struct net_queued *q;
    u64 now = switch_now();

    while ((q = cable_arrived(&p->cable[SWITCH_IN], now))) {
        memcpy(s->message + BRIDGE_TAG, q->bytes, q->len);
        port_input(s, port, &q->offload, s->message + BRIDGE_TAG, q->len);
        cable_drop(&p->cable[SWITCH_IN]);
    }
    while ((q = cable_arrived(&p->cable[SWITCH_OUT], now))) {
        port_send(s, port, &q->offload, q->bytes, q->len);
        cable_drop(&p->cable[SWITCH_OUT]);
    }
}

/* Cables and a queue for what is at fd. */
static void port_open(struct lab_switch *s, u32 port, int fd)
{
    struct switch_port *p = &s->port[port];

    *p = (struct switch_port){.fd = fd};
    for (u32 i = 0; i < 2; i++)
        cable_init(&p->cable[i], &s->bridge.port[port].config.impairment,
                   switch_now() + i * 77 + port);
    net_queue_init(&p->queue);
}

int switch_join(struct lab_switch *s, int fd, const struct lab_port *config, s32 pid,
                struct capture *capture)
{
    int port = bridge_join(&s->bridge, config);

    if (port < 0)
        return port;
    port_open(s, (u32)port, fd);
    s->port[port].pid = pid;
    s->port[port].capture = capture;
    s->ports++;
    return port;
}

void switch_leave(struct lab_switch *s, u32 port)
{
    struct switch_port *p = &s->port[port];

    close(p->fd);
    p->fd = -1;
    if (p->capture) {
        capture_flush(p->capture);
        close(p->capture->fd);
        free(p->capture);
        p->capture = NULL;
    }
    for (u32 i = 0; i < 2; i++)
        cable_fini(&p->cable[i]);
    net_queue_fini(&p->queue);
    if (port < BRIDGE_VM)
        return; /* the uplink has died: addresses stay taken */
    bridge_leave(&s->bridge, port);
    service_leave(&s->service, port);
    s->ports--;
    s->empty_ns = switch_now() + EMPTY_NS;
}

struct capture *switch_capture(int fd, bool goes_on)
{
    struct capture *capture = fd < 0 ? NULL : malloc(sizeof(*capture));

    if (capture)
        capture_init(capture, fd, goes_on);
    return capture;
}

/* A user network for the way out, in a process of its own: its frames' socket is a port. */
static int uplink_start(struct lab_switch *s, struct err *err)
{
    static const u8 mac[2] = {0x52, 0x55}; /* libslirp's, then its IPv4 address */
    struct wire_request start = {.kind = WIRE_START, .settings = s->settings.uplink};
    struct bridge_port *port = &s->bridge.port[BRIDGE_UPLINK];
    struct wire_answer answer = {0};
    int data, control, theirs[3] = {-1, -1, -1};
    pid_t pid;
    int r = helper_pair(&data, &theirs[0], err);

    if (!r)
        r = helper_pair(&control, &theirs[1], err);
    if (!r)
        r = helper_start(WIRE_COMMAND, theirs, 3, &pid, err);
    if (r)
        return r;
    close(theirs[0]);
    close(theirs[1]);
    start.settings.subnet = s->settings.subnet;
    start.settings.mtu = s->settings.mtu;
    start.settings.sandbox = sandbox_mode_default(); /* as this process itself */
    if (send(control, &start, sizeof(start), MSG_NOSIGNAL) < 0 ||
        recv(control, &answer, sizeof(answer), 0) != sizeof(answer))
        return err_set(err, EPIPE, "--nat: the network process has ended at its start");
    answer.text[sizeof(answer.text) - 1] = '\0';
    if (answer.code)
        return err_set(err, EIO, "%s", answer.text);
    memcpy(port->config.mac, mac, 2);
    memcpy(port->config.mac + 2, bridge_address4(&s->bridge, SERVICE_ROUTER).bytes, 4);
    port_open(s, BRIDGE_UPLINK, data);
    return 0;
}

static int start(struct lab_switch *s, struct lab_answer *answer, struct err *err)
{
    u64 random = 0;
    int r = 0;

    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return err_set(err, errno, "no random numbers for the switch: %s", strerror(errno));
    bridge_init(&s->bridge, &s->settings);
    s->bridge.deliver = deliver;
    s->bridge.note = note;
    s->bridge.ctx = s;
    service_init(&s->service, &s->bridge, random);
    s->can = NET_CAN_CSUM;
    if (!s->settings.tunnel.remote.family)
        s->can |= NET_CAN_TSO;
    s->bridge.port[BRIDGE_TUNNEL].used = s->settings.tunnel.remote.family;
    if (s->settings.nat)
        r = uplink_start(s, err);
    return r ? r
             : net_sandbox_enter(NET_SANDBOX_SWITCH, s->settings.sandbox, answer->text,
                                 sizeof(answer->text), err);
}

/* Takes the settings and answers once it can serve. */
static bool begin(struct lab_switch *s)
{
    struct lab_answer answer = {0};
    struct err err = {""};
    ssize_t n = recv(LAB_START_FD, &s->settings, sizeof(s->settings), 0);

    if (n != sizeof(s->settings))
        return false;
    answer.code = start(s, &answer, &err);
    if (answer.code)
        snprintf(answer.text, sizeof(answer.text), "%.*s", (int)sizeof(answer.text) - 1, err.msg);
    n = send(LAB_START_FD, &answer, sizeof(answer), MSG_NOSIGNAL);
    close(LAB_START_FD);
    return n > 0 && !answer.code;
}

/* Until a cable or a clock has something to do. */
static u64 nap(const struct lab_switch *s, u64 now)
{
    u64 until = now + NAP_NS;

    for (u32 i = BRIDGE_VM; i < BRIDGE_PORTS; i++) {
        for (u32 k = 0; k < 2 && s->port[i].fd >= 0; k++) {
            u64 due = cable_due(&s->port[i].cable[k]);

            until = due < until ? due : until;
        }
    }
    if (!s->ports && s->empty_ns < until)
        until = s->empty_ns;
    return until > now ? until - now : 0;
}

static void fds_fill(struct lab_switch *s)
{
    for (u32 i = 0; i < BRIDGE_PORTS; i++) {
        const struct switch_port *p = &s->port[i];
        bool waits = p->fd >= 0 && net_queue_first(&p->queue);

        s->fds[i] = (struct pollfd){p->fd, (short)(waits ? POLLIN | POLLOUT : POLLIN), 0};
    }
    s->fds[BRIDGE_TUNNEL].fd = s->settings.tunnel.remote.family ? LAB_TUNNEL_FD : -1;
    s->fds[SWITCH_LISTEN] = (struct pollfd){LAB_LISTEN_FD, POLLIN, 0};
    for (u32 i = 0; i < SWITCH_CLIENTS; i++)
        s->fds[SWITCH_LISTEN + 1 + i] = (struct pollfd){s->client[i], POLLIN, 0};
}

static void serve_once(struct lab_switch *s)
{
    u64 ns = nap(s, switch_now());
    struct timespec wait = {(time_t)(ns / SECOND), (long)(ns % SECOND)};

    fds_fill(s);
    for (u32 i = 0; i < BRIDGE_PORTS; i++) {
        if (s->port[i].capture)
            capture_flush(s->port[i].capture);
    }
    if (s->capture)
        capture_flush(s->capture);
    if (ppoll(s->fds, SWITCH_FDS, &wait, NULL) < 0)
        return;
    for (u32 i = 0; i < BRIDGE_PORTS; i++) {
        if (s->fds[i].revents & POLLOUT)
            queue_send(&s->port[i]);
        if (s->fds[i].revents & (POLLIN | POLLHUP | POLLERR) && i != BRIDGE_TUNNEL)
            port_receive(s, i);
    }
    if (s->fds[BRIDGE_TUNNEL].revents)
        tunnel_receive(s);
    for (u32 i = BRIDGE_VM; i < BRIDGE_PORTS; i++) {
        if (s->port[i].fd >= 0)
            cables_serve(s, i);
    }
    if (s->ports)
        service_tick(&s->service, switch_now());
    switch_clients(s);
}

int lab_serve(void)
{
    struct lab_switch *s = calloc(1, sizeof(*s));
    bool good;

    if (!s)
        return 1;
    prctl(PR_SET_NAME, "cosm-switch");
    signal(SIGCHLD, SIG_IGN);
    (void)syscall(SYS_close_range, LAB_TUNNEL_FD + 1, ~0u, 0);
    for (u32 i = 0; i < BRIDGE_PORTS; i++)
        s->port[i].fd = -1;
    for (u32 i = 0; i < SWITCH_CLIENTS; i++)
        s->client[i] = -1;
    s->uid = geteuid();
    good = begin(s);
    s->empty_ns = switch_now() + FIRST_NS;
    while (good && !s->over && (s->ports || switch_now() < s->empty_ns))
        serve_once(s);
    for (u32 i = 0; i < BRIDGE_PORTS; i++) {
        if (s->port[i].fd >= 0)
            switch_leave(s, i);
    }
    if (s->capture)
        capture_flush(s->capture);
    free(s->capture);
    free(s);
    return good ? 0 : 1;
}
