/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The network process. Here alone the guest's frames are looked into: checksums done, the rules
 * applied, then all goes to the user-mode network. What comes from there goes to the VM's process,
 * through a queue when that is slow; with a long queue the network's sockets wait. Between the
 * guest and all this lie the two directions of a cable, and at the guest's end of it frames are
 * recorded.
 */
#include "net/serve.h"

#include "net/backend.h"
#include "net/cable.h"
#include "net/capture.h"
#include "net/policy.h"
#include "net/queue.h"
#include "net/sandbox.h"
#include "net/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FDS_MAX     4096
#define BATCH       64         /* frames of the guest between two looks at the other sockets */
#define QUEUE_FULL  (4 * MIB)  /* from here on the network's sockets wait */
#define QUEUE_LIMIT (16 * MIB) /* and here frames are dropped */

enum { OUT, IN }; /* of the guest, into it */

enum { FD_DATA, FD_CONTROL, FD_OWN };

struct server {
    struct net_settings settings;
    struct backend *backend;
    struct policy policy;
    struct cable cable[2];
    struct capture capture;
    struct net_queue queue; /* to the guest */
    bool over;
    struct pollfd fds[FDS_MAX];
    u8 message[WIRE_MESSAGE_MAX];
    struct wire_request request;
};

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
}

/* False: the VM has no room just now. */
static bool message_send(struct server *s, const struct net_offload *offload, const u8 *bytes,
                         size_t len)
{
    struct iovec part[2] = {{(void *)(uintptr_t)offload, sizeof(*offload)},
                            {(void *)(uintptr_t)bytes, len}};
    struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};

    if (sendmsg(WIRE_DATA_FD, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return true;
    if (would_block())
        return false;
    s->over = s->over || errno != EMSGSIZE;
    return true;
}

static void queue_send(struct server *s)
{
    const struct net_queued *first;

    while ((first = net_queue_first(&s->queue))) {
        if (!message_send(s, &first->offload, first->bytes, first->len))
            return;
        net_queue_drop(&s->queue);
    }
}

static u64 now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * UINT64_C(1000000000) + (u64)t.tv_nsec;
}

/* What the network made is sound: the guest need not sum it up again. */
static const struct net_offload sound = {.flags = NET_DATA_VALID};

static void guest_send(struct server *s, const u8 *bytes, size_t len)
{
    capture_frame(&s->capture, bytes, len);
    if (!net_queue_first(&s->queue) && message_send(s, &sound, bytes, len))
        return;
    if (s->queue.bytes < QUEUE_LIMIT)
        (void)net_queue_add(&s->queue, &sound, bytes, len);
}

static void deliver(void *ctx, const u8 *bytes, size_t len)
{
    struct server *s = ctx;

    if (!len || len > NET_FRAME_MAX)
        return;
    policy_note(&s->policy, bytes, len);
    if (cable_matters(&s->cable[IN]))
        cable_put(&s->cable[IN], now_ns(), &sound, bytes, len);
    else
        guest_send(s, bytes, len);
}

static void frame_take(struct server *s, const u8 *bytes, size_t len)
{
    u8 answer[PACKET_ANSWER_MAX];
    struct packet packet;

    switch (policy_judge(&s->policy, &packet, bytes, len)) {
    case VERDICT_PASS:
        backend_input(s->backend, bytes, len);
        break;
    case VERDICT_REFUSE:
        len = packet_refuse(&packet, answer);
        if (len)
            deliver(s, answer, len);
        break;
    case VERDICT_DROP:
        break;
    }
}

static void message_take(struct server *s, size_t len)
{
    u8 *bytes = s->message + sizeof(struct net_offload);
    struct net_offload offload;

    if (len <= sizeof(offload))
        return;
    memcpy(&offload, s->message, sizeof(offload));
    len -= sizeof(offload);
    if (!packet_checksum(bytes, len, &offload))
        return;
    capture_frame(&s->capture, bytes, len);
    if (cable_matters(&s->cable[OUT]))
        cable_put(&s->cable[OUT], now_ns(), &offload, bytes, len);
    else
        frame_take(s, bytes, len);
}

static void frames_receive(struct server *s)
{
    for (u32 i = 0; i < BATCH; i++) {
        ssize_t n = recv(WIRE_DATA_FD, s->message, sizeof(s->message), MSG_DONTWAIT);

        if (n == 0 || (n < 0 && !would_block() && errno != EINTR))
            s->over = true;
        if (n <= 0)
            return;
        message_take(s, (size_t)n);
    }
}

/* What has come to an end of the cable. */
static void cables_serve(struct server *s)
{
    const struct net_queued *q;
    u64 now = now_ns();

    while ((q = cable_arrived(&s->cable[OUT], now))) {
        frame_take(s, q->bytes, q->len);
        cable_drop(&s->cable[OUT]);
    }
    while ((q = cable_arrived(&s->cable[IN], now))) {
        guest_send(s, q->bytes, q->len);
        cable_drop(&s->cable[IN]);
    }
}

static int forward_remove(struct server *s, const struct net_forward *forward, struct err *err)
{
    int r = backend_unforward(s->backend, forward, err);

    if (!r)
        (void)net_settings_drop_forward(&s->settings, forward);
    return r;
}

static int forward_add(struct server *s, const struct net_forward *forward, struct err *err)
{
    int r;

    if (s->settings.forward_count == NET_FORWARDS_MAX)
        return err_set(err, ENOSPC, "%d ports are forwarded already", NET_FORWARDS_MAX);
    r = backend_forward(s->backend, forward, err);
    if (!r)
        s->settings.forward[s->settings.forward_count++] = *forward;
    return r;
}

static int start(struct server *s, const struct wire_request *request, char *warning, size_t room,
                 struct err *err)
{
    int r;

    s->settings = request->settings;
    policy_init(&s->policy, &s->settings);
    capture_init(&s->capture, request->capture ? WIRE_CAPTURE_FD : -1, request->capture_goes_on);
    for (u32 i = 0; i < 2; i++)
        cable_init(&s->cable[i], &s->settings.impairment, now_ns() + i * 77);
    r = backend_create(&s->backend, &s->settings, deliver, s, err);
    return r ? r : net_sandbox_enter(NET_SANDBOX_USER, s->settings.sandbox, warning, room, err);
}

static int request_do(struct server *s, const struct wire_request *request, char *warning,
                      size_t room, struct err *err)
{
    if (request->kind == WIRE_START && !s->backend)
        return start(s, request, warning, room, err);
    if (s->backend && request->kind == WIRE_FORWARD)
        return forward_add(s, &request->forward, err);
    if (s->backend && request->kind == WIRE_UNFORWARD)
        return forward_remove(s, &request->forward, err);
    return err_set(err, EINVAL, "the network process got a request that it does not know");
}

/* One request; flags of recv. */
static void request_serve(struct server *s, int flags)
{
    struct wire_request *request = &s->request;
    struct wire_answer answer = {0};
    struct err err = {""};
    ssize_t n = recv(WIRE_CONTROL_FD, request, sizeof(*request), flags);

    if (n < 0 && (would_block() || errno == EINTR))
        return;
    if (n != sizeof(*request)) {
        s->over = true;
        return;
    }
    answer.code = request_do(s, request, answer.text, sizeof(answer.text), &err);
    if (answer.code)
        snprintf(answer.text, sizeof(answer.text), "%.*s", (int)sizeof(answer.text) - 1, err.msg);
    if (send(WIRE_CONTROL_FD, &answer, sizeof(answer), MSG_NOSIGNAL) < 0)
        s->over = true;
}

/* Until the network or a cable has something to do. */
static struct timespec nap(const struct server *s, u32 timeout_ms)
{
    u64 ns = timeout_ms * UINT64_C(1000000), now = now_ns();

    for (u32 i = 0; i < 2; i++) {
        u64 due = cable_due(&s->cable[i]);

        if (due <= now)
            ns = 0;
        else if (due - now < ns)
            ns = due - now;
    }
    return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
}

static void serve_once(struct server *s)
{
    struct timespec wait;
    bool patient = s->queue.bytes >= QUEUE_FULL;
    u32 timeout = UINT32_MAX, count = FD_OWN;
    short data = net_queue_first(&s->queue) ? POLLIN | POLLOUT : POLLIN;

    s->fds[FD_DATA] = (struct pollfd){.fd = WIRE_DATA_FD, .events = data};
    s->fds[FD_CONTROL] = (struct pollfd){.fd = WIRE_CONTROL_FD, .events = POLLIN};
    if (!patient)
        count = backend_poll_fill(s->backend, s->fds, FD_OWN, FDS_MAX, &timeout);
    capture_flush(&s->capture);
    wait = nap(s, timeout);
    if (ppoll(s->fds, count, &wait, NULL) < 0)
        return;
    if (s->fds[FD_DATA].revents & POLLOUT)
        queue_send(s);
    /* First what was polled: frames may close sockets, whose numbers are then used again. */
    if (!patient)
        backend_poll_done(s->backend, s->fds);
    if (s->fds[FD_DATA].revents & (POLLIN | POLLHUP | POLLERR))
        frames_receive(s);
    cables_serve(s);
    if (s->fds[FD_CONTROL].revents)
        request_serve(s, MSG_DONTWAIT);
}

int net_serve(void)
{
    struct server *s = calloc(1, sizeof(*s));

    if (!s)
        return 1;
    prctl(PR_SET_NAME, "cosm-net");
    (void)syscall(SYS_close_range, WIRE_CAPTURE_FD + 1, ~0u, 0);
    net_queue_init(&s->queue);
    request_serve(s, 0);
    while (!s->over && s->backend)
        serve_once(s);
    capture_flush(&s->capture);
    backend_destroy(s->backend);
    for (u32 i = 0; s->backend && i < 2; i++)
        cable_fini(&s->cable[i]);
    net_queue_fini(&s->queue);
    free(s);
    return 0;
}
