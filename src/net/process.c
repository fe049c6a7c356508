/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VM's end of a network process. When that dies the guest's cable is pulled, another one is
 * started, and the cable plugged again; if it dies often, after a longer and longer time.
 */
#include "net/process.h"

#include "host/scope.h"
#include "net/child.h"
#include "net/link.h"
#include "net/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define ANSWER_MS  10000 /* for an answer; a busy machine is slow to load a library */
#define SECOND     UINT64_C(1000000000)
#define DELAY_MOST 64 /* s */

struct net_process {
    struct link link;
    struct loop *loop;
    const struct log *log;
    struct timer_port restart;
    struct net_settings settings; /* with the forwards of now */
    int control, capture;
    pid_t pid;
    u32 delay_s;  /* before the next start */
    u64 begun_ns; /* host_monotonic_ns */
};

static int request(struct net_process *p, const struct wire_request *request, struct err *err)
{
    struct pollfd fd = {.fd = p->control, .events = POLLIN};
    struct wire_answer answer;

    if (p->control < 0 || send(p->control, request, sizeof(*request), MSG_NOSIGNAL) < 0)
        return err_set(err, EPIPE, "the network process has ended");
    if (poll(&fd, 1, ANSWER_MS) != 1)
        return err_set(err, ETIMEDOUT, "the network process does not answer");
    if (recv(p->control, &answer, sizeof(answer), 0) != sizeof(answer))
        return err_set(err, EPIPE, "the network process has ended at its start");
    answer.text[sizeof(answer.text) - 1] = '\0';
    if (answer.code)
        return err_set(err, answer.code < 0 ? -answer.code : EINVAL, "%s", answer.text);
    if (*answer.text)
        log_print(p->log, LOG_WARN, "net", "%s", answer.text);
    return 0;
}

/* Starts the process; *data gets our end of the frames' socket. */
static int begin(struct net_process *p, bool again, int *data, struct err *err)
{
    struct wire_request start = {.kind = WIRE_START,
                                 .settings = p->settings,
                                 .capture = p->capture >= 0,
                                 .capture_goes_on = again};
    AUTO_FD int theirs = -1, control = -1;
    int r = child_pair(data, &theirs, err);

    if (!r)
        r = child_pair(&p->control, &control, err);
    if (!r)
        r = child_start(WIRE_COMMAND, (int[]){theirs, control, p->capture}, 3, &p->pid, err);
    if (r)
        return r;
    /* Else its end would not be seen. */
    close(steal_fd(&theirs));
    close(steal_fd(&control));
    p->begun_ns = host_monotonic_ns();
    return request(p, &start, err);
}

/* What is left of the process goes. */
static int end(struct net_process *p)
{
    int status = 0;

    if (p->control >= 0)
        close(p->control);
    p->control = -1;
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        waitpid(p->pid, &status, 0);
    }
    p->pid = -1;
    return status;
}

static void restart_later(struct net_process *p)
{
    timer_arm(&p->restart, loop_now(p->loop) + p->delay_s * SECOND);
    p->delay_s = p->delay_s < DELAY_MOST ? p->delay_s * 2 : DELAY_MOST;
}

static void restart(void *ctx, u32 arg)
{
    struct net_process *p = ctx;
    AUTO_FD int data = -1;
    struct err err;
    int r = begin(p, true, &data, &err);

    if (!r)
        r = link_plug(&p->link, steal_fd(&data), &err);
    if (!r)
        return;
    end(p);
    log_print(p->log, LOG_DEBUG, "net", "%s", err.msg);
    restart_later(p);
}

/* Told once: how often it dies the guest may decide. */
static void lost(void *ctx)
{
    struct net_process *p = ctx;
    bool first = p->delay_s == 0;
    int status = end(p);

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
    AUTO_FD int data = -1;
    int r;

    if (!p)
        return err_set(err, ENOMEM, "no host memory for the network");
    p->loop = loop;
    p->log = log;
    p->settings = *settings;
    p->pid = p->control = -1;
    p->capture = capture < 0 ? -1 : fcntl(capture, F_DUPFD_CLOEXEC, 0);
    p->restart = loop_timer(loop, restart, p, 0);
    link_init(&p->link, loop,
              &(struct link_config){.can = NET_CAN_CSUM | NET_CAN_TSO,
                                    .mtu = settings->mtu ? settings->mtu : NET_MTU_DEFAULT,
                                    .lost = lost,
                                    .ctx = p});
    r = begin(p, false, &data, err);
    if (!r)
        r = link_plug(&p->link, steal_fd(&data), err);
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
    if (p->control >= 0)
        close(p->control);
    p->control = -1;
    if (p->pid > 0)
        child_reap(p->pid);
    p->pid = -1;
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
