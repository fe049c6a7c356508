/* SPDX-License-Identifier: BSD-2-Clause */
/* What the process of a shared folder may still do once it has begun: seccomp, Landlock, limits. */
#include "share/fs_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define THIS_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define THIS_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv)
#define THIS_ARCH AUDIT_ARCH_RISCV64
#endif

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (UINT64_C(1) << 13) /* of ABI 2 */
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (UINT64_C(1) << 14) /* of ABI 3 */
#endif

/* Everything else ends the process: a guest that gets there has broken out of the code. */
static const u16 calls[] = {
    __NR_recvfrom,   __NR_sendto,       __NR_openat2,        __NR_openat,          __NR_close,
    __NR_fstat,      __NR_newfstatat,   __NR_readlinkat,     __NR_symlinkat,       __NR_linkat,
    __NR_mkdirat,    __NR_mknodat,      __NR_unlinkat,       __NR_renameat2,       __NR_fchmodat,
    __NR_utimensat,  __NR_ftruncate,    __NR_fallocate,      __NR_pread64,         __NR_pwrite64,
    __NR_lseek,      __NR_getdents64,   __NR_fsync,          __NR_fdatasync,       __NR_fstatfs,
    __NR_brk,        __NR_munmap,       __NR_madvise,        __NR_futex,           __NR_exit,
    __NR_exit_group, __NR_rt_sigreturn, __NR_rt_sigprocmask, __NR_restart_syscall,
};

#define FILTER_MAX (8 + 2 * ARRAY_SIZE(calls))

static int filter_calls(void)
{
    const u16 load = BPF_LD | BPF_W | BPF_ABS, equal = BPF_JMP | BPF_JEQ | BPF_K;
    struct sock_filter code[FILTER_MAX];
    struct sock_fprog program = {.filter = code};
    u16 n = 0;

    code[n++] = (struct sock_filter){load, 0, 0, offsetof(struct seccomp_data, arch)};
    code[n++] = (struct sock_filter){equal, 1, 0, THIS_ARCH};
    code[n++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS};
    code[n++] = (struct sock_filter){load, 0, 0, offsetof(struct seccomp_data, nr)};
    for (u32 i = 0; i < ARRAY_SIZE(calls); i++) {
        code[n++] = (struct sock_filter){equal, 0, 1, calls[i]};
        code[n++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    }
    code[n++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM};
    program.len = n;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) ? -errno : 0;
}

/* What the host's version knows of rights to files. */
static u64 landlock_rights(int abi)
{
    u64 rights = (UINT64_C(1) << 13) - 1;

    rights |= abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0;
    return rights | (abi >= 3 ? LANDLOCK_ACCESS_FS_TRUNCATE : 0);
}

static bool landlock_enter(int root, bool readonly)
{
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct landlock_ruleset_attr attr = {.handled_access_fs = landlock_rights(abi)};
    struct landlock_path_beneath_attr rule = {.allowed_access = attr.handled_access_fs,
                                              .parent_fd = root};
    int ruleset;
    bool good;

    if (abi < 2) /* without REFER nothing could be renamed from one folder to another */
        return false;
    rule.allowed_access &= ~(u64)(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                  LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                                  LANDLOCK_ACCESS_FS_MAKE_SOCK);
    if (readonly)
        rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (ruleset < 0)
        return false;
    good = !syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) &&
           !syscall(SYS_landlock_restrict_self, ruleset, 0);
    close(ruleset);
    return good;
}

static void limit(int what)
{
    (void)setrlimit((__rlimit_resource_t)what, &(struct rlimit){0, 0});
}

int fs_sandbox_enter(int root, bool readonly, char *warning, size_t room, struct err *err)
{
    int r;

    *warning = '\0';
    limit(RLIMIT_CORE);
    limit(RLIMIT_NPROC);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        return err_set(err, errno, "the process of a shared folder cannot give up privileges: %s",
                       strerror(errno));
    if (!landlock_enter(root, readonly))
        snprintf(
            warning, room,
            "this kernel's Landlock is too old: only its own care keeps the process of a shared "
            "folder within it");
    r = filter_calls();
    if (r)
        return err_set(err, -r, "the process of a shared folder cannot limit its system calls: %s",
                       strerror(-r));
    return 0;
}
