/* SPDX-License-Identifier: BSD-2-Clause */
/* What the network process may still do once it has begun: seccomp, Landlock, limits. */
#include "net/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__has_feature)
#define IS_CLANG_FEATURE(x) __has_feature(x)
#else
#define IS_CLANG_FEATURE(x) 0
#endif

/* A sanitizer maps terabytes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    IS_CLANG_FEATURE(address_sanitizer) || IS_CLANG_FEATURE(thread_sanitizer)
#define MEMORY_MAX UINT64_MAX
#else
#define MEMORY_MAX (UINT64_C(2) * GIB)
#endif
#define FILES_MAX 4096

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv)
#define THIS_ARCH AUDIT_ARCH_RISCV64
#endif

/* Allowed whatever their arguments. */
static const u16 calls[] = {
    __NR_read,
    __NR_readv,
    __NR_write,
    __NR_writev,
    __NR_recvfrom,
    __NR_recvmsg,
    __NR_recvmmsg,
    __NR_sendto,
    __NR_sendmsg,
    __NR_sendmmsg,
    __NR_ppoll,
    __NR_accept,
    __NR_accept4,
    __NR_getsockopt,
    __NR_setsockopt,
    __NR_shutdown,
    __NR_close,
    __NR_fcntl,
    __NR_clock_gettime,
    __NR_gettimeofday,
    __NR_clock_nanosleep,
    __NR_brk,
    __NR_munmap,
    __NR_mremap,
    __NR_madvise,
    __NR_futex,
    __NR_fstat,
    __NR_newfstatat,
    __NR_lseek,
    __NR_getrandom,
    __NR_rt_sigreturn,
    __NR_rt_sigprocmask,
    __NR_exit,
    __NR_exit_group,
    __NR_getpid,
    __NR_gettid,
    __NR_restart_syscall,
#ifdef __NR_poll
    __NR_poll,
    __NR_time,
#endif
};

/* Allowed to who makes sockets, too. */
static const u16 user_calls[] = {
    __NR_connect, __NR_bind, __NR_listen, __NR_getsockname, __NR_getpeername, __NR_ioctl,
#ifdef __NR_stat
    __NR_stat,
#endif
};

/* Allowed if the low half of an argument, masked, is one of two values. */
static const struct {
    u16 call;
    u8 arg;
    u32 mask, value, other;
    bool user; /* only to who makes sockets */
} checked[] = {
    {__NR_openat, 2, O_ACCMODE | O_CREAT | O_TRUNC | O_PATH, O_RDONLY, O_RDONLY, true},
    {__NR_socket, 0, UINT32_MAX, AF_INET, AF_INET6, true},
    {__NR_mmap, 2, PROT_EXEC, 0, 0},
    {__NR_mprotect, 2, PROT_EXEC, 0, 0},
};

#define FILTER_MAX (8 + 2 * (ARRAY_SIZE(calls) + ARRAY_SIZE(user_calls)) + 7 * ARRAY_SIZE(checked))

struct filter {
    struct sock_filter code[FILTER_MAX];
    u16 len;
};

static void filter_add(struct filter *f, u16 code, u32 k, u8 yes, u8 no)
{
    f->code[f->len++] = (struct sock_filter){code, yes, no, k};
}

static void filter_return(struct filter *f, u32 action)
{
    filter_add(f, BPF_RET | BPF_K, action, 0, 0);
}

static void filter_allow(struct filter *f, const u16 *call, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        filter_add(f, BPF_JMP | BPF_JEQ | BPF_K, call[i], 0, 1);
        filter_return(f, SECCOMP_RET_ALLOW);
    }
}

static void filter_make(struct filter *f, bool user)
{
    const u16 load = BPF_LD | BPF_W | BPF_ABS, equal = BPF_JMP | BPF_JEQ | BPF_K;

    filter_add(f, load, offsetof(struct seccomp_data, arch), 0, 0);
    filter_add(f, equal, THIS_ARCH, 1, 0);
    filter_return(f, SECCOMP_RET_KILL_PROCESS);
    filter_add(f, load, offsetof(struct seccomp_data, nr), 0, 0);
    filter_allow(f, calls, ARRAY_SIZE(calls));
    if (user)
        filter_allow(f, user_calls, ARRAY_SIZE(user_calls));
    for (u32 i = 0; i < ARRAY_SIZE(checked); i++) {
        if (checked[i].user && !user)
            continue;
        filter_add(f, equal, checked[i].call, 0, 6);
        /* Little-endian hosts: the low half of an argument comes first. */
        filter_add(f, load, offsetof(struct seccomp_data, args) + 8u * checked[i].arg, 0, 0);
        filter_add(f, BPF_ALU | BPF_AND | BPF_K, checked[i].mask, 0, 0);
        filter_add(f, equal, checked[i].value, 1, 0);
        filter_add(f, equal, checked[i].other, 0, 1);
        filter_return(f, SECCOMP_RET_ALLOW);
        filter_return(f, SECCOMP_RET_ERRNO | EPERM);
    }
    filter_return(f, SECCOMP_RET_ERRNO | EPERM);
}

/* Lowers both limits; a limit that is lower already stays. */
static void limit(int what, u64 most)
{
    struct rlimit r;

    if (getrlimit((__rlimit_resource_t)what, &r))
        return;
    if (r.rlim_max > most)
        r.rlim_max = most;
    r.rlim_cur = r.rlim_max;
    (void)setrlimit((__rlimit_resource_t)what, &r);
}

/* The folder of the file that lists name servers: its file may be replaced at any time. */
static int resolver_folder(void)
{
    char path[PATH_MAX];

    if (!realpath("/etc/resolv.conf", path))
        return -1;
    return open(dirname(path), O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool landlock_enter(bool user)
{
    struct landlock_ruleset_attr attr = {.handled_access_fs = (UINT64_C(1) << 13) - 1};
    struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    bool good;

    if (ruleset < 0)
        return false;
    rule.parent_fd = user ? resolver_folder() : -1;
    if (rule.parent_fd >= 0) {
        (void)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
        close(rule.parent_fd);
    }
    good = !syscall(SYS_landlock_restrict_self, ruleset, 0);
    close(ruleset);
    return good;
}

int net_sandbox_enter(enum net_sandbox kind, char *warning, size_t room, struct err *err)
{
    bool user = kind == NET_SANDBOX_USER;
    struct filter filter = {.len = 0};
    struct sock_fprog program;

    *warning = '\0';
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, FILES_MAX);
    limit(RLIMIT_AS, MEMORY_MAX);
    limit(RLIMIT_NPROC, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        return err_set(err, errno, "the network process cannot give up privileges: %s",
                       strerror(errno));
    if (!landlock_enter(user))
        snprintf(warning, room,
                 "this kernel has no Landlock: the network process could read the user's files");
    filter_make(&filter, user);
    program = (struct sock_fprog){filter.len, filter.code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0))
        return err_set(err, errno, "the network process cannot limit its system calls: %s",
                       strerror(errno));
    return 0;
}
