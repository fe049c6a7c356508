/* SPDX-License-Identifier: BSD-2-Clause */
/* Other programs, run to their end. */
#include "host/child.h"

#include "base/fmt.h"
#include "host/scope.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define COMPLAINT_MAX 320
#define STATUS_FD     3

/* What a running program says: lines for the caller, the end of its complaints for the sentence. */
struct talk {
    const struct child *child;
    char line[CHILD_LINE_MAX];
    size_t len;
    char complaint[COMPLAINT_MAX];
    size_t complaints;
    bool cancelled;
};

static int make_pipe(int pipe_fd[2], struct err *err)
{
    if (pipe2(pipe_fd, O_CLOEXEC) < 0)
        return err_set(err, errno, "cannot make a pipe: %s", strerror(errno));
    return 0;
}

/* The descriptors of a new process, and where it says why it could not begin. */
struct ends {
    int in, out, complaints, failed; /* in: -1 for nothing */
};

/* In the new process: nothing here may return. */
static void become(const struct child *c, const struct ends *e)
{
    int null = open("/dev/null", O_RDWR), out = e->out;
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    for (char *const *word = c->env; word && *word; word++)
        putenv(*word);
    if (null >= 0 && (!c->folder || chdir(c->folder) == 0) &&
        dup2(e->in >= 0 ? e->in : null, STDIN_FILENO) >= 0 &&
        dup2(e->complaints, STDERR_FILENO) >= 0 &&
        dup2(c->status ? (c->out ? c->out : null) : out, STDOUT_FILENO) >= 0 &&
        (!c->status || (out == STATUS_FD ? fcntl(out, F_SETFD, 0) : dup2(out, STATUS_FD)) >= 0))
        execvp(c->argv[0], c->argv);
    null = errno;
    if (write(e->failed, &null, sizeof(null)) < 0)
        null = 0; /* nobody is there to hear it */
    _exit(127);
}

static void end_line(struct talk *t)
{
    t->line[t->len] = '\0';
    if (t->len && t->child->line && !t->cancelled)
        t->cancelled = !t->child->line(t->child->ctx, t->line);
    t->len = 0;
}

static void hear(struct talk *t, const char *bytes, size_t n)
{
    if (t->child->bytes) {
        t->cancelled = t->cancelled || !t->child->bytes(t->child->ctx, (const u8 *)bytes, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n' || bytes[i] == '\r')
            end_line(t);
        else if (t->len + 1 < sizeof(t->line))
            t->line[t->len++] = bytes[i];
    }
}

/* What it complains of first and last, on one line. */
static void hear_complaint(struct talk *t, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = bytes[i] == '\n' ? ' ' : bytes[i];

        if ((u8)c < ' ' || (c == ' ' && t->complaints && t->complaint[t->complaints - 1] == ' '))
            continue;
        if (t->complaints + 1 == sizeof(t->complaint)) {
            const size_t kept = sizeof(t->complaint) / 2, lost = sizeof(t->complaint) / 4;

            memmove(t->complaint + kept, t->complaint + kept + lost, t->complaints - kept - lost);
            memcpy(t->complaint + kept, "...", 3);
            t->complaints -= lost;
        }
        t->complaint[t->complaints++] = c;
    }
    t->complaint[t->complaints] = '\0';
}

/* Reads both until they end. */
static void listen_to(struct talk *t, pid_t pid, int out, int complaints)
{
    struct pollfd fd[2] = {{.fd = out, .events = POLLIN}, {.fd = complaints, .events = POLLIN}};
    char bytes[64 * KIB];

    while (fd[0].fd >= 0 || fd[1].fd >= 0) {
        if (poll(fd, 2, -1) < 0)
            continue;
        for (u32 i = 0; i < 2; i++) {
            ssize_t n = fd[i].revents ? read(fd[i].fd, bytes, sizeof(bytes)) : -1;

            if (n > 0 && i == 0)
                hear(t, bytes, (size_t)n);
            else if (n > 0)
                hear_complaint(t, bytes, (size_t)n);
            else if (fd[i].revents && (n == 0 || errno != EINTR))
                fd[i].fd = -1;
        }
        if (t->cancelled)
            kill(pid, SIGTERM);
    }
    end_line(t);
}

static int missing(const struct child *c, int code, struct err *err)
{
    if (code == ENOENT && c->package)
        return err_set(err, code, "the program %s is missing; '%s' brings it", c->argv[0],
                       c->package);
    return err_set(err, code, "cannot run %s: %s", c->argv[0], strerror(code));
}

static int judge(const struct talk *t, int status, struct err *err)
{
    const char *name = t->child->argv[0];
    const char *gap = t->complaints ? ": " : "";

    if (t->cancelled)
        return err_set(err, ECANCELED, "%s was ended", name);
    if (WIFSIGNALED(status))
        return err_set(err, ECHILD, "%s died of signal %d%s%s", name, WTERMSIG(status), gap,
                       t->complaint);
    if (WEXITSTATUS(status))
        return err_set(err, ECHILD, "%s failed with status %d%s%s", name, WEXITSTATUS(status), gap,
                       t->complaint);
    return 0;
}

/* Starts it; 0 says that it runs. */
static int start(const struct child *c, struct ends e, pid_t *pid, struct err *err)
{
    int failed[2] = {-1, -1}, code = 0, r = make_pipe(failed, err);
    ssize_t n = 0;

    if (r)
        return r;
    e.failed = failed[1];
    *pid = fork();
    if (*pid == 0)
        become(c, &e);
    if (*pid < 0)
        r = err_set(err, errno, "cannot start %s: %s", c->argv[0], strerror(errno));
    close(failed[1]);
    do
        n = read(failed[0], &code, sizeof(code));
    while (n < 0 && errno == EINTR);
    close(failed[0]);
    if (n == sizeof(code)) {
        while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
            ;
        r = missing(c, code, err);
    }
    return r;
}

int child_start(const struct child *c, int io, int complaints, pid_t *pid, struct err *err)
{
    return start(c, (struct ends){.in = io, .out = io, .complaints = complaints}, pid, err);
}

int child_run(const struct child *c, struct err *err)
{
    int out[2] = {-1, -1}, complaints[2] = {-1, -1}, status = 0;
    bool direct = c->out && !c->status;
    struct talk t = {.child = c};
    pid_t pid = -1;
    int r = make_pipe(complaints, err);

    if (!r && !direct)
        r = make_pipe(out, err);
    if (!r)
        r = start(c, (struct ends){-1, direct ? c->out : out[1], complaints[1], -1}, &pid, err);
    scope_close(&out[1]);
    scope_close(&complaints[1]);
    if (!r) {
        listen_to(&t, pid, out[0], complaints[0]);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        r = judge(&t, status, err);
    }
    scope_close(&out[0]);
    scope_close(&complaints[0]);
    return r;
}

struct collected {
    char *text;
    size_t size, len;
    bool full;
};

static bool collect(void *ctx, char *line)
{
    struct collected *c = ctx;
    size_t n = strlen(line);

    c->full = c->full || n + 2 > c->size - c->len;
    if (c->full)
        return false;
    memcpy(c->text + c->len, line, n);
    c->len += n;
    c->text[c->len++] = '\n';
    c->text[c->len] = '\0';
    return true;
}

int child_output(const struct child *child, char *text, size_t size, struct err *err)
{
    struct collected c = {.text = text, .size = size};
    struct child copy = *child;
    int r;

    *text = '\0';
    copy.line = collect;
    copy.ctx = &c;
    r = child_run(&copy, err);
    if (c.full)
        return err_set(err, EFBIG, "%s prints more than %zu bytes", child->argv[0], size);
    return r;
}
