/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting a network process, and asking it. */
#include "net/launch.h"

#include "base/fmt.h"
#include "host/scope.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define ANSWER_MS 10000 /* a busy machine is slow to load a library */

void net_spawned_init(struct net_spawned *s)
{
    *s = (struct net_spawned){-1, -1, -1, -1};
}

int net_ask(int control, const struct wire_request *request, char *warning, struct err *err)
{
    struct pollfd fd = {.fd = control, .events = POLLIN};
    struct wire_answer answer;

    if (control < 0 || send(control, request, sizeof(*request), MSG_NOSIGNAL) < 0)
        return err_set(err, EPIPE, "the network process has ended");
    if (poll(&fd, 1, ANSWER_MS) != 1)
        return err_set(err, ETIMEDOUT, "the network process does not answer");
    if (recv(control, &answer, sizeof(answer), 0) != sizeof(answer))
        return err_set(err, EPIPE, "the network process has ended at its start");
    answer.text[sizeof(answer.text) - 1] = '\0';
    if (answer.code)
        return err_set(err, answer.code < 0 ? -answer.code : EINVAL, "%s", answer.text);
    if (warning)
        memcpy(warning, answer.text, sizeof(answer.text));
    return 0;
}

int net_spawn(struct net_spawned *s, const struct net_settings *settings, int capture, bool again,
              char *warning, struct err *err)
{
    struct wire_request start = {.kind = WIRE_START,
                                 .settings = *settings,
                                 .capture = capture >= 0,
                                 .capture_goes_on = again};
    AUTO_FD int data = -1, control = -1;
    int r;

    net_spawned_init(s);
    r = helper_pair(&s->data, &data, err);
    if (!r)
        r = helper_pair(&s->control, &control, err);
    if (!r)
        r = helper_start(WIRE_COMMAND, (int[]){data, control, capture}, 3, &s->pid, err);
    if (!r) {
        s->pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
        /* Else its end would not be seen. */
        close(steal_fd(&data));
        close(steal_fd(&control));
        r = net_ask(s->control, &start, warning, err);
    }
    if (r)
        (void)net_spawned_end(s, 0);
    return r;
}

int net_spawned_end(struct net_spawned *s, int ms)
{
    struct pollfd fd = {.fd = s->pidfd, .events = POLLIN};
    int status = 0;

    scope_close(&s->data);
    scope_close(&s->control);
    if (s->pidfd >= 0 && poll(&fd, 1, ms) <= 0)
        (void)syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
    if (s->pid > 0)
        waitpid(s->pid, &status, 0);
    scope_close(&s->pidfd);
    net_spawned_init(s);
    return status;
}
