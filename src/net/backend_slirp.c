/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The user-mode network itself: libslirp, loaded when it is needed, so that a VM's own process
 * never has it. ADR 0023 says why it, and why in a process of its own.
 */
#include "net/backend.h"

#include "net/policy.h"

#include <errno.h>

#ifdef HAVE_SLIRP
#include "base/endian.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Router advertisements are all that libslirp has timers for. */
#define TIMERS_MAX 4

/* As Debian and others call it; the interface has been the same since 4.6. */
#define LIBRARY "libslirp.so.0"

struct timer {
    SlirpTimerCb fire;
    void *ctx;
    s64 at_ms; /* -1: not set */
    bool used;
};

struct library {
    void *handle;
    __typeof__(slirp_new) *create;
    __typeof__(slirp_cleanup) *cleanup;
    __typeof__(slirp_input) *input;
    __typeof__(slirp_pollfds_fill) *poll_fill;
    __typeof__(slirp_pollfds_poll) *poll_done;
    __typeof__(slirp_add_hostxfwd) *forward;
    __typeof__(slirp_remove_hostxfwd) *unforward;
};

struct backend {
    struct library lib;
    Slirp *slirp;
    backend_deliver_fn deliver;
    void *ctx;
    struct timer timer[TIMERS_MAX];
    struct pollfd *fds; /* during fill and done */
    u32 count, room;
};

static int library_open(struct library *lib, struct err *err)
{
    struct {
        const char *name;
        void *slot;
    } const symbols[] = {
        {"slirp_new", &lib->create},
        {"slirp_cleanup", &lib->cleanup},
        {"slirp_input", &lib->input},
        {"slirp_pollfds_fill", &lib->poll_fill},
        {"slirp_pollfds_poll", &lib->poll_done},
        {"slirp_add_hostxfwd", &lib->forward},
        {"slirp_remove_hostxfwd", &lib->unforward},
    };

    lib->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!lib->handle)
        return err_set(err, ENOENT,
                       "user networking needs " LIBRARY " (Debian: apt-get install libslirp0): %s",
                       dlerror());
    for (u32 i = 0; i < ARRAY_SIZE(symbols); i++) {
        void *symbol = dlsym(lib->handle, symbols[i].name);

        if (!symbol)
            return err_set(err, ENOENT, LIBRARY " has no %s; it is older than 4.6",
                           symbols[i].name);
        memcpy(symbols[i].slot, &symbol, sizeof(symbol));
    }
    return 0;
}

static s64 now_ns(void *ctx)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static ssize_t on_frame(const void *bytes, size_t len, void *ctx)
{
    struct backend *b = ctx;

    b->deliver(b->ctx, bytes, len);
    return (ssize_t)len;
}

static void on_guest_error(const char *text, void *ctx)
{
}

static void *on_timer_new(SlirpTimerCb fire, void *timer_ctx, void *ctx)
{
    struct backend *b = ctx;

    for (u32 i = 0; i < TIMERS_MAX; i++) {
        if (!b->timer[i].used) {
            b->timer[i] = (struct timer){fire, timer_ctx, -1, true};
            return &b->timer[i];
        }
    }
    return NULL;
}

static void on_timer_free(void *timer, void *ctx)
{
    if (timer)
        *(struct timer *)timer = (struct timer){0};
}

static void on_timer_mod(void *timer, s64 at_ms, void *ctx)
{
    if (timer)
        ((struct timer *)timer)->at_ms = at_ms;
}

static void on_poll_fd(int fd, void *ctx)
{
}

static void on_notify(void *ctx)
{
}

static const SlirpCb callbacks = {
    .send_packet = on_frame,
    .guest_error = on_guest_error,
    .clock_get_ns = now_ns,
    .timer_new = on_timer_new,
    .timer_free = on_timer_free,
    .timer_mod = on_timer_mod,
    .register_poll_fd = on_poll_fd,
    .unregister_poll_fd = on_poll_fd,
    .notify = on_notify,
};

static Slirp *slirp_create(struct backend *b, const struct net_settings *settings)
{
    struct net_subnet subnet = net_settings_subnet(settings);
    u16 mtu = settings->mtu ? settings->mtu : NET_MTU_DEFAULT;
    SlirpConfig c = {
        .version = 3,
        .in_enabled = true,
        .vnetwork.s_addr = htonl(subnet.base4),
        .vnetmask.s_addr = htonl(~UINT32_C(0) << (32 - subnet.bits4)),
        .vhost.s_addr = htonl(subnet.base4 + 2),
        .vnameserver.s_addr = htonl(subnet.base4 + 3),
        .vdhcp_start.s_addr = htonl(subnet.base4 + POLICY_GUEST),
        .in6_enabled = true,
        .vprefix_len = 64,
        .vhostname = "cosm",
        .if_mtu = mtu,
        .if_mru = mtu,
    };

    memcpy(&c.vprefix_addr6, subnet.prefix6, 8);
    memcpy(&c.vhost6, subnet.prefix6, 8);
    memcpy(&c.vnameserver6, subnet.prefix6, 8);
    c.vhost6.s6_addr[15] = 2;
    c.vnameserver6.s6_addr[15] = 3;
    return b->lib.create(&c, &callbacks, b);
}

int backend_create(struct backend **out, const struct net_settings *settings,
                   backend_deliver_fn deliver, void *ctx, struct err *err)
{
    struct backend *b = calloc(1, sizeof(*b));
    int r;

    if (!b)
        return err_set(err, ENOMEM, "no host memory for the network");
    b->deliver = deliver;
    b->ctx = ctx;
    r = library_open(&b->lib, err);
    if (!r) {
        b->slirp = slirp_create(b, settings);
        if (!b->slirp)
            r = err_set(err, EINVAL, "libslirp refuses its configuration");
    }
    for (u32 i = 0; !r && i < settings->forward_count; i++)
        r = backend_forward(b, &settings->forward[i], err);
    if (r) {
        backend_destroy(b);
        return r;
    }
    *out = b;
    return 0;
}

void backend_destroy(struct backend *b)
{
    if (!b)
        return;
    if (b->slirp)
        b->lib.cleanup(b->slirp);
    free(b); /* the library stays: GLib cannot be unloaded */
}

void backend_input(struct backend *b, const u8 *bytes, size_t len)
{
    b->lib.input(b->slirp, bytes, (int)len);
}

static socklen_t address_make(const struct net_address *address, u16 port,
                              struct sockaddr_storage *out)
{
    struct sockaddr_in *in4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

    memset(out, 0, sizeof(*out));
    if (address->family == 6) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        memcpy(&in6->sin6_addr, address->bytes, 16);
        return sizeof(*in6);
    }
    in4->sin_family = AF_INET;
    in4->sin_port = htons(port);
    memcpy(&in4->sin_addr, address->bytes, 4);
    return sizeof(*in4);
}

static const char *forward_name(const struct net_forward *f, char name[NET_PLACE_MAX + 8])
{
    char place[NET_PLACE_MAX];

    snprintf(name, NET_PLACE_MAX + 8, "%s/%s", net_place_text(&f->host, f->host_port, place),
             f->udp ? "udp" : "tcp");
    return name;
}

int backend_forward(struct backend *b, const struct net_forward *f, struct err *err)
{
    struct sockaddr_storage host, guest;
    struct net_address address = f->guest;
    int flags = f->udp ? SLIRP_HOSTFWD_UDP : 0;
    socklen_t host_len, guest_len;
    char name[NET_PLACE_MAX + 8];

    if (f->host.family == 6)
        flags |= SLIRP_HOSTFWD_V6ONLY;
    if (!address.family)
        address.family = 4; /* 0.0.0.0: whom DHCP gave the first address */
    host_len = address_make(&f->host, f->host_port, &host);
    guest_len = address_make(&address, f->guest_port, &guest);
    errno = EINVAL;
    if (b->lib.forward(b->slirp, (struct sockaddr *)&host, host_len, (struct sockaddr *)&guest,
                       guest_len, flags) < 0) {
        int code = errno ? errno : EINVAL;

        return err_set(err, code, "-p: cannot listen at %s: %s", forward_name(f, name),
                       strerror(code));
    }
    return 0;
}

int backend_unforward(struct backend *b, const struct net_forward *f, struct err *err)
{
    struct sockaddr_storage host;
    socklen_t len = address_make(&f->host, f->host_port, &host);
    char name[NET_PLACE_MAX + 8];

    if (b->lib.unforward(b->slirp, (struct sockaddr *)&host, len, f->udp ? SLIRP_HOSTFWD_UDP : 0))
        return err_set(err, ENOENT, "no port is forwarded at %s", forward_name(f, name));
    return 0;
}

static int poll_add(int fd, int events, void *ctx)
{
    struct backend *b = ctx;

    if (b->count == b->room)
        return -1;
    b->fds[b->count] = (struct pollfd){
        .fd = fd,
        .events = (short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
                          (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
                          (events & SLIRP_POLL_PRI ? POLLPRI : 0)),
    };
    return (int)b->count++;
}

static int poll_result(int index, void *ctx)
{
    struct backend *b = ctx;
    short r;

    if (index < 0 || (u32)index >= b->count)
        return 0;
    r = b->fds[index].revents;
    return (r & POLLIN ? SLIRP_POLL_IN : 0) | (r & POLLOUT ? SLIRP_POLL_OUT : 0) |
           (r & POLLPRI ? SLIRP_POLL_PRI : 0) | (r & POLLERR ? SLIRP_POLL_ERR : 0) |
           (r & POLLHUP ? SLIRP_POLL_HUP : 0);
}

u32 backend_poll_fill(struct backend *b, struct pollfd *fds, u32 first, u32 room, u32 *timeout_ms)
{
    s64 now = now_ns(NULL) / 1000000;

    b->fds = fds;
    b->count = first;
    b->room = room;
    b->lib.poll_fill(b->slirp, timeout_ms, poll_add, b);
    for (u32 i = 0; i < TIMERS_MAX; i++) {
        const struct timer *t = &b->timer[i];
        s64 left = t->at_ms - now;

        if (!t->used || t->at_ms < 0)
            continue;
        if (left < *timeout_ms)
            *timeout_ms = left > 0 ? (u32)left : 0;
    }
    return b->count;
}

void backend_poll_done(struct backend *b, struct pollfd *fds)
{
    s64 now = now_ns(NULL) / 1000000;

    b->fds = fds;
    b->lib.poll_done(b->slirp, 0, poll_result, b);
    for (u32 i = 0; i < TIMERS_MAX; i++) {
        struct timer *t = &b->timer[i];

        if (t->used && t->at_ms >= 0 && t->at_ms <= now) {
            t->at_ms = -1;
            t->fire(t->ctx);
        }
    }
}

#else

int backend_create(struct backend **out, const struct net_settings *settings,
                   backend_deliver_fn deliver, void *ctx, struct err *err)
{
    return err_set(err, ENOTSUP,
                   "this cosm was built without user networking; build it with libslirp-dev there");
}

void backend_destroy(struct backend *b)
{
}

void backend_input(struct backend *b, const u8 *bytes, size_t len)
{
}

int backend_forward(struct backend *b, const struct net_forward *f, struct err *err)
{
    return err_set(err, ENOTSUP, "there is no user networking");
}

int backend_unforward(struct backend *b, const struct net_forward *f, struct err *err)
{
    return err_set(err, ENOTSUP, "there is no user networking");
}

u32 backend_poll_fill(struct backend *b, struct pollfd *fds, u32 first, u32 room, u32 *timeout_ms)
{
    return first;
}

void backend_poll_done(struct backend *b, struct pollfd *fds)
{
}

#endif
