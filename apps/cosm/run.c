/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * 'cosm run': a VM in this process or, detached, in one of its own.
 *
 * A detached VM is a forked process: it builds the VM, says over a pipe that it runs, and the first
 * process goes. If it ends before, it tells the user why. All else that it and what it starts have
 * to say goes to cosm.log, so that nobody waits for an end of the user's standard error.
 */
#include "apps/cosm/run.h"

#include "api/instance.h"
#include "host/file.h"
#include "host/scope.h"
#include "vmm/vm_control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

struct run {
    const struct options *options;
    struct instance *instance; /* NULL: without a name */
    struct vm *vm;
    const struct run_events *events; /* NULL: nobody asks */
    int ready, err; /* a detached VM's pipe and the user's standard error until it runs; else -1 */
};

static int dump_dtb(struct vm *vm, const char *path, struct err *err)
{
    size_t size;
    const void *dtb = vm_dtb(vm, &size);

    return file_write("--dump-dtb", path, dtb, size, err);
}

/* On the loop: all that could fail at the start has not. */
static void on_running(void *ctx)
{
    struct run *run = ctx;

    if (write(run->ready, "R", 1) < 0)
        errno = 0; /* the first process was killed: the VM runs nevertheless */
    close(run->ready);
    close(run->err);
    run->ready = run->err = -1;
}

static int serve(struct run *run, struct err *err)
{
    struct sandbox_grant grant;
    int status = run->instance ? instance_serve(run->instance, run->vm, &grant, err) : 0;

    if (!status)
        status = vm_confine(run->vm, &grant, run->instance ? 1 : 0, err);
    if (!status && run->instance)
        status = instance_begin(run->instance, run->vm, err);
    if (status < 0)
        return status;
    if (run->events)
        run->events->began(run->events->ctx);
    if (run->ready >= 0)
        loop_post(vm_loop(run->vm), on_running, run);
    status = vm_run(run->vm, err);
    if (status >= 0 && run->instance &&
        instance_finish(run->instance, status, vm_end_reason(run->vm), err) < 0)
        fprintf(stderr, "cosm: %s\n", err->msg);
    return status;
}

static int run_here(struct run *run, struct err *err)
{
    const struct vm_config *config = &run->options->config;
    int status = vm_create(&run->vm, config, err);

    if (status < 0)
        return status;
    status = config->dump_dtb ? dump_dtb(run->vm, config->dump_dtb, err) : serve(run, err);
    if (status < 0 && run->instance)
        instance_stop(run->instance);
    vm_destroy(run->vm); /* the terminal is the user's again before a message */
    return status;
}

/* The first process: waits until the VM runs or has failed. */
static int await(struct run *run, int ready, pid_t child, struct err *err)
{
    char byte;
    int status = 0;
    ssize_t n;

    do
        n = read(ready, &byte, 1);
    while (n < 0 && errno == EINTR);
    close(ready);
    if (n == 1) {
        printf("%s\n", instance_name(run->instance));
        instance_destroy(run->instance);
        return fflush(stdout)
                   ? err_set(err, errno, "cannot write to standard output: %s", strerror(errno))
                   : 0;
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    instance_forget(run->instance);
    if (WIFEXITED(status))
        return WEXITSTATUS(status); /* it has told why */
    return err_set(err, EIO, "the VM's process died of signal %d before it ran", WTERMSIG(status));
}

/* The record is let go of, so that it may be removed. */
static void let_go(struct run *run, int status)
{
    instance_destroy(run->instance);
    if (status >= 0 && run->events)
        run->events->ended(run->events->ctx);
}

static int detached(struct run *run, struct err *err)
{
    AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    AUTO_FD int log = openat(instance_dir(run->instance), "cosm.log",
                             O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    int status;

    run->err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    setsid();
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(log >= 0 ? log : null, STDERR_FILENO);
    status = run_here(run, err);
    if (run->err >= 0)
        dup2(run->err, STDERR_FILENO); /* for the error's sentence */
    let_go(run, status);
    return status;
}

static int detach(struct run *run, struct err *err)
{
    int ready[2];
    pid_t child;

    if (pipe2(ready, O_CLOEXEC) < 0)
        return err_set(err, errno, "cannot make a pipe: %s", strerror(errno));
    child = fork();
    if (child < 0) {
        int code = errno;
        close(ready[0]);
        close(ready[1]);
        instance_forget(run->instance);
        return err_set(err, code, "cannot start a process: %s", strerror(code));
    }
    if (child) {
        close(ready[1]);
        return await(run, ready[0], child, err);
    }
    close(ready[0]);
    run->ready = ready[1];
    return detached(run, err);
}

int run_vm(struct options *options, char *const *argv, const struct run_events *events,
           struct err *err)
{
    struct run run = {.options = options, .events = events, .ready = -1, .err = -1};
    struct vm_config *config = &options->config;
    int status = config->dump_dtb ? 0 : network_resolve(config, err);

    if (status)
        return status;
    if ((!options->name && !config->detached) || config->dump_dtb)
        return run_here(&run, err);
    status = instance_create(&run.instance, options->name, config, argv, err);
    if (status < 0)
        return status;
    config->name = instance_name(run.instance);
    if (config->detached)
        return detach(&run, err);
    status = run_here(&run, err);
    if (status < 0)
        instance_forget(run.instance);
    else
        let_go(&run, status);
    return status;
}
