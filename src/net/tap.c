/* SPDX-License-Identifier: BSD-2-Clause */
/* A tap interface of the host as a back end: frames go into the host's own network. */
#include "net/tap.h"

#include "host/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define DEVICE   "/dev/net/tun"
#define MTU_MOST 65521 /* of Ethernet interfaces; what is more does not fit a frame */

/* Of several queues each has a descriptor: what the guest sends by a pair leaves by its queue, and
 * the host answers there. */
struct tap {
    struct net net; /* of all of them */
    struct link link[TAP_QUEUES_MAX];
    u32 queues;
    const struct log *log;
    char ifname[IFNAMSIZ];
    bool lost;
};

static int refused(const struct tap_settings *s, int code, struct err *err)
{
    const char *name = *s->ifname ? s->ifname : "a tap interface";

    if (code == EPERM)
        return err_set(err, code,
                       "%s cannot be opened: that needs CAP_NET_ADMIN, or an interface made for "
                       "you: 'ip tuntap add dev %s mode tap user %u' as root",
                       name, *s->ifname ? s->ifname : "tap0", geteuid());
    if (code == EINVAL && s->queues > 1)
        return err_set(err, code,
                       "%s is no tap interface with several queues; make it by 'ip tuntap add dev "
                       "%s mode tap multi_queue', or leave out queues=",
                       name, name);
    if (code == EBUSY)
        return err_set(err, code, "%s is in use by another program", name);
    if (code == EINVAL)
        return err_set(err, code, "%s is no tap interface; give another ifname=", name);
    return err_set(err, code, "%s cannot be opened: %s", name, strerror(code));
}

/* A queue of the interface, with offload headers as net/link.h has them. */
static int interface_open(const struct tap_settings *s, char ifname[IFNAMSIZ], struct err *err)
{
    AUTO_FD int fd = open(DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int header = sizeof(struct net_offload);
    unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

    if (fd < 0)
        return err_set(err, errno, "cannot open " DEVICE ": %s; 'modprobe tun' as root may help",
                       strerror(errno));
    memcpy(r.ifr_name, *ifname ? ifname : s->ifname, IFNAMSIZ);
    if (s->queues > 1)
        r.ifr_flags |= IFF_MULTI_QUEUE;
    if (ioctl(fd, TUNSETIFF, &r) < 0) {
        bool again = errno == EINVAL && s->queues <= 1;

        r.ifr_flags |= IFF_MULTI_QUEUE; /* if it was made with several queues */
        if (!again || ioctl(fd, TUNSETIFF, &r) < 0)
            return refused(s, errno, err);
    }
    if (ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 || ioctl(fd, TUNSETOFFLOAD, offloads) < 0)
        return err_set(err, errno, "%s does not offer offloads: %s", r.ifr_name, strerror(errno));
    memcpy(ifname, r.ifr_name, IFNAMSIZ);
    return steal_fd(&fd);
}

static int bridge_join_interface(int sock, const char *bridge, const char *ifname, struct err *err)
{
    struct ifreq r = {.ifr_ifindex = (int)if_nametoindex(ifname)};

    memcpy(r.ifr_name, bridge, IFNAMSIZ);
    if (ioctl(sock, SIOCBRADDIF, &r) == 0)
        return 0;
    if (errno == EBUSY) /* it is in one already */
        return 0;
    if (errno == EPERM)
        return err_set(err, EPERM,
                       "%s cannot join the bridge %s: that needs CAP_NET_ADMIN; 'ip link set %s "
                       "master %s' as root does it beforehand, then give ifname=%s alone",
                       ifname, bridge, ifname, bridge, ifname);
    if (errno == ENODEV || errno == EOPNOTSUPP || errno == EINVAL)
        return err_set(err, ENODEV, "there is no bridge %s; 'ip link add %s type bridge' makes one",
                       bridge, bridge);
    return err_set(err, errno, "%s cannot join the bridge %s: %s", ifname, bridge, strerror(errno));
}

static int interface_up(int sock, const char *ifname, struct err *err)
{
    struct ifreq r = {.ifr_flags = 0};

    memcpy(r.ifr_name, ifname, IFNAMSIZ);
    if (ioctl(sock, SIOCGIFFLAGS, &r) == 0) {
        if (r.ifr_flags & IFF_UP)
            return 0;
        r.ifr_flags |= IFF_UP;
        if (ioctl(sock, SIOCSIFFLAGS, &r) == 0)
            return 0;
    }
    return err_set(err, errno, "%s cannot be brought up: %s; 'ip link set %s up' as root does it",
                   ifname, strerror(errno), ifname);
}

static int script_run(const char *script, char *ifname, struct err *err)
{
    char *const argv[] = {(char *)(uintptr_t)script, ifname, NULL};
    pid_t pid;
    int status = 0, r = posix_spawn(&pid, script, NULL, NULL, argv, environ);

    if (r)
        return err_set(err, r, "cannot run the script '%.256s': %s", script, strerror(r));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && !WEXITSTATUS(status))
        return 0;
    return err_set(err, EIO, "the script '%.256s %s' failed (%s %d)", script, ifname,
                   WIFSIGNALED(status) ? "signal" : "status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* What a script is there for it does; else a bridge, and bringing the interface up. */
static int furnish(const struct tap_settings *s, char *ifname, u16 *mtu, struct err *err)
{
    AUTO_FD int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq r = {.ifr_mtu = 0};
    int code = 0;

    if (sock < 0)
        return err_set(err, errno, "no socket: %s", strerror(errno));
    if (*s->script)
        code = script_run(s->script, ifname, err);
    if (!code && *s->bridge)
        code = bridge_join_interface(sock, s->bridge, ifname, err);
    if (!code && !*s->script)
        code = interface_up(sock, ifname, err);
    memcpy(r.ifr_name, ifname, IFNAMSIZ);
    if (!ioctl(sock, SIOCGIFMTU, &r) && r.ifr_mtu >= 68 && r.ifr_mtu <= MTU_MOST)
        *mtu = (u16)r.ifr_mtu;
    return code;
}

static void on_lost(void *ctx)
{
    struct tap *tap = ctx;

    log_print(tap->log, tap->lost ? LOG_DEBUG : LOG_ERROR, "net",
              "the interface %s is gone; the link is down", tap->ifname);
    tap->lost = true;
}

static bool tap_send(void *ctx, const struct net_frame *frame)
{
    struct tap *tap = ctx;
    const struct net *net = &tap->link[frame->pair % tap->queues].net;

    return net->send(net->ctx, frame);
}

static void tap_attach(void *ctx, const struct net_device *device)
{
    struct tap *tap = ctx;

    for (u32 i = 0; i < tap->queues; i++)
        tap->link[i].net.attach(tap->link[i].net.ctx, device);
}

static void tap_room(void *ctx)
{
    struct tap *tap = ctx;

    for (u32 i = 0; i < tap->queues; i++)
        tap->link[i].net.room(tap->link[i].net.ctx);
}

/* The queues behind the first, which made the interface. */
static int plug_all(struct tap *tap, struct loop *loop, const struct tap_settings *settings,
                    int first, u16 mtu, struct err *err)
{
    const struct link_config config = {
        .can = NET_CAN_CSUM | NET_CAN_TSO, .mtu = mtu, .lost = on_lost, .ctx = tap};
    int r = 0;

    for (u32 i = 0; i < tap->queues && !r; i++) {
        int fd = i ? interface_open(settings, tap->ifname, err) : first;

        if (fd < 0)
            return fd;
        link_init(&tap->link[i], loop, &config);
        r = link_plug(&tap->link[i], fd, err);
    }
    return r;
}

int tap_create(struct tap **out, struct loop *loop, const struct log *log,
               const struct tap_settings *settings, struct err *err)
{
    struct tap *tap = calloc(1, sizeof(*tap));
    AUTO_FD int fd = -1;
    u16 mtu = 0;
    int r = 0;

    if (!tap)
        return err_set(err, ENOMEM, "no host memory for the network");
    tap->log = log;
    tap->queues = settings->queues ? settings->queues : 1;
    for (u32 i = 0; i < TAP_QUEUES_MAX; i++)
        tap->link[i].fd = -1;
    fd = interface_open(settings, tap->ifname, err);
    r = fd < 0 ? fd : furnish(settings, tap->ifname, &mtu, err);
    if (!r)
        r = plug_all(tap, loop, settings, steal_fd(&fd), mtu, err);
    if (r) {
        tap_close(tap);
        tap_destroy(tap);
        return r;
    }
    tap->net = (struct net){tap_send, tap_attach,           tap_room,
                            tap,      tap->link[0].net.can, tap->link[0].net.mtu};
    *out = tap;
    return 0;
}

void tap_close(struct tap *tap)
{
    for (u32 i = 0; tap && i < tap->queues; i++)
        link_close(&tap->link[i]);
}

void tap_destroy(struct tap *tap)
{
    free(tap);
}

struct link *tap_link(struct tap *tap)
{
    return &tap->link[0];
}

const struct net *tap_net(const struct tap *tap)
{
    return &tap->net;
}

u64 tap_dropped(const struct tap *tap)
{
    u64 dropped = 0;

    for (u32 i = 0; i < tap->queues; i++)
        dropped += atomic_load_explicit(&tap->link[i].dropped, memory_order_relaxed);
    return dropped;
}

const char *tap_ifname(const struct tap *tap)
{
    return tap->ifname;
}
