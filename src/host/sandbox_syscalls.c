/* SPDX-License-Identifier: BSD-2-Clause */
/* Filters of system calls (seccomp): a list for each kind of thread, and the end of who leaves it.
 */
#include "host/sandbox.h"

#include "base/assert.h"
#include "base/fmt.h"
#include "host/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <asm/prctl.h>
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv)
#define THIS_ARCH AUDIT_ARCH_RISCV64
#endif

enum {
    M = SANDBOX_MAIN,
    H = SANDBOX_HART,
    T = SANDBOX_TRANSLATOR,
    D = SANDBOX_DISK,
    W = SANDBOX_WRITER,
    N = SANDBOX_NET,
    S = SANDBOX_SWITCH,
    F = SANDBOX_SHARE,
    ALL = M | H | T | D | W | N | S | F,
};

/* With these a new task would be another process, or see another world. */
#define CLONE_OTHERS                                                                       \
    (CLONE_VM | CLONE_THREAD | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | \
     CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)

#define FILTER_MAX 1024 /* instructions */

struct filter {
    struct sock_filter code[FILTER_MAX];
    u16 len;
};

static void filter_add(struct filter *f, u16 code, u32 k, u8 yes, u8 no)
{
    ASSERT(f->len < FILTER_MAX);
    f->code[f->len++] = (struct sock_filter){code, yes, no, k};
}

static void filter_return(struct filter *f, u32 action)
{
    filter_add(f, BPF_RET | BPF_K, action, 0, 0);
}

static void filter_load(struct filter *f, u32 offset)
{
    filter_add(f, BPF_LD | BPF_W | BPF_ABS, offset, 0, 0);
}

static void filter_call(struct filter *f, u32 call, u32 action)
{
    filter_add(f, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
    filter_return(f, action);
}

/* Little-endian hosts: the low half of an argument comes first. */
static void filter_checked(struct filter *f, u32 call, u32 arg, u32 mask, u32 value)
{
    filter_add(f, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 5);
    filter_load(f, (u32)offsetof(struct seccomp_data, args) + 8 * arg);
    filter_add(f, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0);
    filter_add(f, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    filter_return(f, SECCOMP_RET_ALLOW);
    filter_load(f, offsetof(struct seccomp_data, nr));
}

static void filter_make(struct filter *f, u32 kinds)
{
    const u32 SELF = (u32)getpid();

    filter_load(f, offsetof(struct seccomp_data, arch));
    filter_add(f, BPF_JMP | BPF_JEQ | BPF_K, THIS_ARCH, 1, 0);
    filter_return(f, SECCOMP_RET_KILL_PROCESS);
    filter_load(f, offsetof(struct seccomp_data, nr));
#define CALL(name, of) \
    if ((of)&kinds)    \
        filter_call(f, __NR_##name, SECCOMP_RET_ALLOW);
#define CHECKED(name, of, arg, mask, value) \
    if ((of)&kinds)                         \
        filter_checked(f, __NR_##name, arg, (u32)(mask), (u32)(value));
#define REFUSED(name, code) filter_call(f, __NR_##name, SECCOMP_RET_ERRNO | (code));
#include "host/syscalls.def"
#undef CALL
#undef CHECKED
#undef REFUSED
    filter_return(f, SECCOMP_RET_TRAP);
}

/* Of those that some thread may make; "" of others. */
static const char *call_name(int call)
{
#define CALL(name, of)       \
    if (call == __NR_##name) \
        return #name;
#define CHECKED(name, of, arg, mask, value) CALL(name, of)
#define REFUSED(name, code)                 CALL(name, 0)
#include "host/syscalls.def"
#undef CALL
#undef CHECKED
#undef REFUSED
    return "";
}

/* The call has not been made. Whoever made it may have been taken over: nothing goes on. */
static void on_violation(int signal, siginfo_t *info, void *context)
{
    char text[160], name[17] = "";
    size_t len;

    (void)context;
    tty_restore();
    prctl(PR_GET_NAME, name);
    len = fmt_print(text, sizeof(text),
                    "cosm: sandbox: thread '%s' asked for system call %d %s, which its kind has no "
                    "need of; the process is ended\n",
                    name, info->si_syscall, call_name(info->si_syscall));
    if (write(STDERR_FILENO, text, len) < 0)
        len = 0; /* nobody listens */
    _exit(128 + signal);
}

int sandbox_syscalls(u32 kinds)
{
    const struct sigaction action = {.sa_sigaction = on_violation, .sa_flags = SA_SIGINFO};
    struct filter filter = {.len = 0};
    struct sock_fprog program;

    if (kinds & (M | N | S | F) && sigaction(SIGSYS, &action, NULL))
        return -errno;
    filter_make(&filter, kinds);
    program = (struct sock_fprog){filter.len, filter.code};
    /* Without the last flag older hosts would slow down all that speculates over stores. */
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program))
        return -errno;
    return 0;
}
