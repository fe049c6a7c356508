/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM's end of a network process. When that dies the guest's cable is pulled, another one is
 * started, and the cable plugged again; if it dies often, after a longer and longer time.
 */
#include "net/process.h"

#include "host/scope.h"
#include "net/keeper.h"
#include "net/link.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#define END_MS     1000 /* until a process that was told to end is killed */
#define SECOND     UINT64_C(1000000000)
#define DELAY_MOST 64 /* s */

struct net_process {
    struct link link;
    struct loop *loop;
    const struct log *log;
    struct timer_port restart;
    struct net_settings settings; /* with the forwards of now */
    int capture;
    struct net_spawned spawned; /* its data is the link's */
    struct keeper keeper;
    u32 delay_s;  /* before the next start */
    u64 begun_ns; /* host_monotonic_ns */
};

static int request(struct net_process *p, const struct wire_request *request, struct err *err)
{
    return net_ask(p->spawned.control, request, NULL, err);
}

/* Starts the process and plugs its link in. */
static int begin(struct net_process *p, bool again, struct err *err)
{
    char warning[sizeof(((struct wire_answer *)NULL)->text)] = "";
    int r = p->keeper.socket >= 0
                ? keeper_spawn(&p->keeper, &p->settings, &p->spawned, err)
                : net_spawn(&p->spawned, &p->settings, p->capture, again, warning, err);

    if (*warning)
        log_print(p->log, again ? LOG_DEBUG : LOG_WARN, "net", "%s", warning);
    if (r)
        return r;
    p->begun_ns = host_monotonic_ns();
    return link_plug(&p->link, steal_fd(&p->spawned.data), err);
}

int net_process_keep(struct net_process *p, struct err *err)
{
    return keeper_start(&p->keeper, &p->settings, p->capture, err);
}

static void restart_later(struct net_process *p)
{
    timer_arm(&p->restart, loop_now(p->loop) + p->delay_s * SECOND);
    p->delay_s = p->delay_s < DELAY_MOST ? p->delay_s * 2 : DELAY_MOST;
}

static void restart(void *ctx, u32 arg)
{
    struct net_process *p = ctx;
    struct err err;

    if (!begin(p, true, &err))
        return;
    (void)net_spawned_end(&p->spawned, 0);
    log_print(p->log, LOG_DEBUG, "net", "%s", err.msg);
    restart_later(p);
}

/* Told once: how often it dies the guest may decide. */
static void lost(void *ctx)
{
    struct net_process *p = ctx;
    bool first = p->delay_s == 0;
    int status = net_spawned_end(&p->spawned, 0);

    if (!first && host_monotonic_ns() - p->begun_ns > DELAY_MOST * SECOND)
        p->delay_s = 1;
    log_print(p->log, first ? LOG_ERROR : LOG_DEBUG, "net",
              "the network process has ended (%s %d); another one is started",
              WIFSIGNALED(status) ? "signal" : "status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (first)
        p->delay_s = 1;
    restart_later(p);
}

int net_process_create(struct net_process **out, struct loop *loop, const struct log *log,
                       const struct net_settings *settings, int capture, struct err *err)
{
    struct net_process *p = calloc(1, sizeof(*p));
    int r;

    if (!p)
        return err_set(err, ENOMEM, "no host memory for the network");
    p->loop = loop;
    p->log = log;
    p->settings = *settings;
    net_spawned_init(&p->spawned);
    p->keeper = (struct keeper){-1, -1, -1};
    p->capture = capture < 0 ? -1 : fcntl(capture, F_DUPFD_CLOEXEC, 0);
    p->restart = loop_timer(loop, restart, p, 0);
    link_init(&p->link, loop,
              &(struct link_config){.can = NET_CAN_CSUM | NET_CAN_TSO,
                                    .mtu = settings->mtu ? settings->mtu : NET_MTU_DEFAULT,
                                    .lost = lost,
                                    .ctx = p});
    r = begin(p, false, err);
    if (r) {
        net_process_close(p);
        net_process_destroy(p);
        return r;
    }
    *out = p;
    return 0;
}

void net_process_close(struct net_process *p)
{
    if (!p)
        return;
    timer_arm(&p->restart, CLOCK_NEVER);
    link_close(&p->link);
    (void)net_spawned_end(&p->spawned, END_MS);
    keeper_stop(&p->keeper);
    if (p->capture >= 0)
        close(p->capture);
    p->capture = -1;
}

void net_process_destroy(struct net_process *p)
{
    free(p);
}

struct link *net_process_link(struct net_process *p)
{
    return &p->link;
}

const struct net_settings *net_process_settings(const struct net_process *p)
{
    return &p->settings;
}

int net_process_forward(struct net_process *p, const struct net_forward *forward, struct err *err)
{
    struct wire_request r = {.kind = WIRE_FORWARD, .forward = *forward};
    int code = request(p, &r, err);

    if (!code && p->settings.forward_count < NET_FORWARDS_MAX)
        p->settings.forward[p->settings.forward_count++] = *forward;
    return code;
}

int net_process_unforward(struct net_process *p, const struct net_forward *forward, struct err *err)
{
    struct wire_request r = {.kind = WIRE_UNFORWARD, .forward = *forward};
    int code = request(p, &r, err);

    if (!code)
        (void)net_settings_drop_forward(&p->settings, forward);
    return code;
}
