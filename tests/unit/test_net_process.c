/* SPDX-License-Identifier: BSD-2-Clause */
/* The network process from the VM's end: frames both ways, ports, its death. This program is both.
 */
#include "net/process.h"
#include "net/serve.h"
#include "net/wire.h"

#include "base/endian.h"
#include "tests/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_NS UINT64_C(20000000000)

struct rig {
    struct host_clock clock;
    struct loop *loop;
    struct timer_port timer;
    struct net_process *process;
    const struct net *net;
    struct net_settings settings;
    struct err err;
    struct log log;
    u32 lines, refuse, received, announced;
    bool down, late;
    u8 frame[2048];
    size_t len;
};

static void on_line(void *ctx, enum log_level level, const char *subsystem, const char *text)
{
    ((struct rig *)ctx)->lines++;
}

static bool on_frame(void *ctx, const struct net_frame *frame)
{
    struct rig *r = ctx;

    if (r->refuse) {
        r->refuse--;
        r->net->room(r->net->ctx); /* there is room before the refusal is known */
        return false;
    }
    r->received++;
    r->len = frame->len < sizeof(r->frame) ? frame->len : sizeof(r->frame);
    memcpy(r->frame, frame->bytes, r->len);
    loop_stop(r->loop);
    return true;
}

static void on_ready(void *ctx)
{
}

static void on_link(void *ctx, bool up)
{
    struct rig *r = ctx;

    r->down = !up;
    loop_stop(r->loop);
}

static void on_announce(void *ctx)
{
    struct rig *r = ctx;

    r->announced++;
    loop_stop(r->loop);
}

static void on_late(void *ctx, u32 arg)
{
    struct rig *r = ctx;

    r->late = true;
    loop_stop(r->loop);
}

/* False: there is no library here, which is no failure of ours. */
static bool rig_open_with(struct rig *r, const char *deny)
{
    struct net_device device = {
        .receive = on_frame, .ready = on_ready, .link = on_link, .announce = on_announce, .ctx = r};
    int rc;

    memset(r, 0, sizeof(*r));
    r->log = (struct log){on_line, r, LOG_ERROR};
    r->settings.sandbox = sandbox_mode_default(); /* none in a build with a sanitizer */
    host_clock_init(&r->clock);
    CHECK_EQ(loop_create(&r->loop, &r->clock, &r->err), 0);
    r->timer = loop_timer(r->loop, on_late, r, 0);
    if (deny)
        CHECK_EQ(net_settings_rule(&r->settings, false, deny, &r->err), 0);
    rc = net_process_create(&r->process, r->loop, &r->log, &r->settings, -1, &r->err);
    if (rc) {
        printf("# %s\n", r->err.msg);
        CHECK(strstr(r->err.msg, "user networking"));
        loop_destroy(r->loop);
        return false;
    }
    r->net = &net_process_link(r->process)->net;
    r->net->attach(r->net->ctx, &device);
    timer_arm(&r->timer, host_monotonic_ns() + PATIENCE_NS);
    return true;
}

static bool rig_open(struct rig *r)
{
    return rig_open_with(r, NULL);
}

static void rig_close(struct rig *r)
{
    CHECK(!r->late);
    net_process_close(r->process);
    loop_destroy(r->loop);
    net_process_destroy(r->process);
}

/* Asks who has 10.0.2.2. */
static void arp_send(struct rig *r)
{
    static const u8 request[28] = {0,  1, 8, 0,  6, 4, 0, 1, 0x52, 0x54, 0,  0, 0, 1,
                                   10, 0, 2, 15, 0, 0, 0, 0, 0,    0,    10, 0, 2, 2};
    u8 frame[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0, 0, 1, 8, 6};
    struct net_frame f = {frame, sizeof(frame), {0}};

    memcpy(frame + 14, request, sizeof(request));
    CHECK(r->net->send(r->net->ctx, &f));
}

/* Runs the loop until an ARP answer is here. */
static void arp_await(struct rig *r)
{
    do {
        loop_run(r->loop);
    } while (!r->late && !r->down && !(be16_load(r->frame + 12) == 0x0806 && r->frame[21] == 2));
    CHECK_EQ(be32_load(r->frame + 28), 0x0a000202);
}

TEST(frames_go_both_ways)
{
    static struct rig r;

    if (!rig_open(&r))
        return;
    arp_send(&r);
    arp_await(&r);
    r.refuse = 3;
    memset(r.frame, 0, sizeof(r.frame));
    arp_send(&r);
    arp_await(&r);
    CHECK_EQ(r.refuse, 0);
    rig_close(&r);
}

TEST(broken_frames_do_no_harm)
{
    static struct rig r;
    static u8 bytes[NET_FRAME_MAX];
    u32 random = 1;

    /* Nothing may leave this machine. */
    if (!rig_open_with(&r, "all"))
        return;
    for (u32 i = 0; i < 3000; i++) {
        struct net_frame f = {bytes, 0, {0}};

        for (u32 k = 0; k < 80; k++)
            bytes[k] = (u8)((random = random * 1664525 + 1013904223) >> 24);
        bytes[12] = i & 1 ? 0x08 : 0x86;
        bytes[13] = i & 1 ? 0 : 0xdd;
        bytes[14] = i & 1 ? 0x45 : 0x60;
        bytes[i & 1 ? 23 : 20] = (u8[]){1, 6, 17, 58}[i / 2 % 4];
        bytes[30] = 192; /* somewhere where nobody is: 192.0.2.0/24, 2001:db8::/32 */
        bytes[31] = 0;
        bytes[32] = 2;
        memcpy(bytes + 38, i & 1 ? bytes + 38 : (const u8[]){0x20, 1, 0x0d, 0xb8}, 4);
        f.len = 1 + (random >> 8) % (i % 50 ? 120 : sizeof(bytes));
        f.offload.flags = i % 3 == 0;
        f.offload.csum_start = (u16)(random >> 3);
        (void)!r.net->send(r.net->ctx, &f);
    }
    while (!r.late && !r.received) {
        arp_send(&r);
        loop_run(r.loop);
    }
    CHECK(!r.down);
    rig_close(&r);
}

static struct sockaddr_in free_port(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK_EQ(bind(fd, (struct sockaddr *)&in, len), 0);
    CHECK_EQ(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    close(fd);
    return in;
}

static bool connects(const struct sockaddr_in *in)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool good = !connect(fd, (const struct sockaddr *)in, sizeof(*in));

    close(fd);
    return good;
}

TEST(ports_come_and_go)
{
    static struct rig r;
    struct sockaddr_in in = free_port();
    struct net_forward forward = {
        .host = {4, {127, 0, 0, 1}}, .host_port = ntohs(in.sin_port), .guest_port = 80};

    if (!rig_open(&r))
        return;
    for (u32 i = 0; i < 3; i++) {
        CHECK(!connects(&in));
        CHECK_EQ(net_process_forward(r.process, &forward, &r.err), 0);
        CHECK(net_process_forward(r.process, &forward, &r.err) < 0);
        CHECK(strstr(r.err.msg, "cannot listen"));
        CHECK(connects(&in));
        CHECK_EQ(net_process_unforward(r.process, &forward, &r.err), 0);
        CHECK_EQ(net_process_unforward(r.process, &forward, &r.err), -ENOENT);
    }
    forward.udp = true;
    CHECK_EQ(net_process_forward(r.process, &forward, &r.err), 0);
    CHECK_EQ(net_process_unforward(r.process, &forward, &r.err), 0);
    rig_close(&r);
}

/* The only child that we have. */
static int child(void)
{
    char path[64];
    int pid = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
    f = fopen(path, "r");
    if (f && fscanf(f, "%d", &pid) != 1)
        pid = 0;
    if (f)
        fclose(f);
    return pid;
}

TEST(death_pulls_the_cable_for_a_while)
{
    static struct rig r;
    int pid;

    if (!rig_open(&r))
        return;
    pid = child();
    CHECK(pid > 0);
    if (pid > 0 && !kill(pid, SIGKILL)) {
        while (!r.late && !r.down)
            loop_run(r.loop);
        CHECK_EQ(r.lines, 1);
        arp_send(&r); /* into nothing */
        CHECK(net_process_forward(r.process, &(struct net_forward){0}, &r.err) < 0);
        while (!r.late && r.down)
            loop_run(r.loop);
        arp_send(&r);
        arp_await(&r);
        CHECK_EQ(r.lines, 1);
        while (!r.late && r.announced < 3)
            loop_run(r.loop);
    }
    rig_close(&r);
    CHECK_EQ(child(), 0);
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], WIRE_COMMAND))
        return net_serve();
    return test_main();
}
