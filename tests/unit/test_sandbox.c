/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sandbox against what is inside: each attempt is made by a process of its own, which enters
 * the sandbox and tries. Where a host gives no user namespaces, what needs them is skipped.
 */
#include "base/fmt.h"
#include "host/sandbox.h"
#include "host/thread.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define KILLED  (128 + SIGSYS) /* by the filter */
#define REFUSED 77             /* by the host: no sandbox to test */

static char folder[] = "/tmp/cosm-test-sandbox-XXXXXX";
static char file[64];
static int granted = -1, other = -1; /* folders that are open */

static const struct sandbox_grant grants[] = {
    {.path = file},
    {.fd = &granted, .write = true},
};

static const struct sandbox_plan usual = {
    .mode = SANDBOX_STRICT,
    .who = "the test",
    .kinds = SANDBOX_VM,
    .grant = grants,
    .grants = ARRAY_SIZE(grants),
    .memory_max = 256 * MIB,
};

/* What attempt returns in a process of its own, in a sandbox; KILLED, REFUSED. */
static int try_with(const struct sandbox_plan *plan, int (*attempt)(void))
{
    pid_t pid = fork();
    int status = 0;

    if (!pid) {
        struct sandbox sandbox;
        struct err err;

        close(STDERR_FILENO); /* what it says when it is killed */
        if (sandbox_enter(&sandbox, plan, &err))
            _exit(REFUSED);
        _exit(attempt());
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int try(int (*attempt)(void))
{
    return try_with(&usual, attempt);
}

static void prepare(void)
{
    if (granted >= 0)
        return;
    CHECK(mkdtemp(folder) != NULL);
    fmt_print(file, sizeof(file), "%s/file", folder);
    close(open(file, O_WRONLY | O_CREAT, 0600));
    granted = open(folder, O_RDONLY | O_DIRECTORY);
    other = open("/", O_RDONLY | O_DIRECTORY);
}

static bool has_namespaces(void)
{
    pid_t pid = fork();
    int status = 0;

    if (!pid)
        _exit(unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && !WEXITSTATUS(status);
}

static int nothing(void)
{
    return 0;
}

/* Tells once where the host refuses. */
static bool can(void)
{
    static int known = -1;

    prepare();
    if (known < 0)
        known = try(nothing);
    if (known)
        printf("# this host gives no sandbox: not tried\n");
    return !known;
}

/* Are files hidden, and not only refused? */
static bool can_hide(void)
{
    static int known = -1;

    if (!can())
        return false;
    if (known < 0)
        known = has_namespaces();
    if (!known)
        printf("# this host gives no user namespaces: not tried\n");
    return known;
}

/* ---- files ---- */

static int result(long r)
{
    return r < 0 ? errno : 0;
}

static int open_passwd(void)
{
    return result(open("/etc/passwd", O_RDONLY));
}

static int open_proc(void)
{
    return result(open("/proc/self/mem", O_RDWR));
}

static int open_file(void)
{
    return result(open(file, O_RDONLY));
}

static int open_file_write(void)
{
    return result(open(file, O_RDWR));
}

static int make_in_root(void)
{
    return result(open("/new", O_RDWR | O_CREAT, 0600));
}

static int make_in_folder(void)
{
    return result(openat(granted, "new", O_RDWR | O_CREAT, 0600));
}

static int leave_folder(void)
{
    return result(openat(granted, "../../../../../../etc/passwd", O_RDONLY));
}

static int use_other(void)
{
    return result(openat(other, "etc/passwd", O_RDONLY));
}

TEST(files_are_those_that_were_granted)
{
    if (!can_hide())
        return;
    CHECK_EQ(try(open_passwd), ENOENT);
    CHECK_EQ(try(open_proc), ENOENT);
    CHECK_EQ(try(open_file), 0);
    CHECK_EQ(try(open_file_write), EROFS);
    CHECK_EQ(try(make_in_root), EROFS);
    CHECK_EQ(try(make_in_folder), 0);
    CHECK_EQ(faccessat(granted, "new", F_OK, 0), 0);                   /* it is the user's folder */
    CHECK(try(leave_folder) == ENOENT || try(leave_folder) == EACCES); /* EACCES: Landlock's */
    CHECK_EQ(try(use_other), EBADF);
}

/* ---- system calls that end the process ---- */

static int call_execve(void)
{
    char name[] = "sh";
    char *const argv[] = {name, NULL};

    return result(execve("/bin/sh", argv, NULL));
}

static int call_fork(void)
{
    pid_t pid = fork();

    if (!pid)
        _exit(0);
    return result(pid);
}

static int call_socket(void)
{
    return result(socket(AF_INET, SOCK_STREAM, 0));
}

static int call_ptrace(void)
{
    return result(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL));
}

static int call_kill(void)
{
    return result(kill(getppid(), SIGURG));
}

static int call_tgkill(void)
{
    return result(syscall(SYS_tgkill, getppid(), getppid(), SIGURG));
}

static int map_executable(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
           MAP_FAILED;
}

static int make_executable(void)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
}

static int call_memfd(void)
{
    return result(memfd_create("x", 0));
}

static int type_into_terminal(void)
{
    return result(ioctl(0, TIOCSTI, "x"));
}

static int own_signals(void)
{
    return result(fcntl(0, F_SETOWN, getppid()));
}

static int call_unshare(void)
{
    return result(unshare(CLONE_NEWUSER));
}

static int call_mount(void)
{
    return result(mount("x", "/", "tmpfs", 0, NULL));
}

static int call_io_uring(void)
{
    struct io_uring_params params = {0};

    return result(syscall(SYS_io_uring_setup, 1, &params));
}

static int read_parent(void)
{
    char byte;
    struct iovec io = {&byte, 1};

    return result(process_vm_readv(getppid(), &io, 1, &io, 1, 0));
}

static int raise_limit(void)
{
    const struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};

    return result(setrlimit(RLIMIT_DATA, &limit));
}

static int gain_privileges(void)
{
    return result(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static int call_setuid(void)
{
    return result(setuid(0));
}

static int call_bpf(void)
{
    return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int call_keyctl(void)
{
    return result(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
}

#ifdef __x86_64__
static int call_32_bit(void)
{
    long r = 20; /* getpid, as a 32-bit program would call it */

    __asm__ volatile("int $0x80" : "+a"(r)::"memory");
    return 0;
}
#endif

TEST(what_nobody_needs_ends_the_process)
{
    static int (*const attempts[])(void) = {
        call_execve, call_fork,      call_socket,     call_ptrace, call_kill,
        call_tgkill, map_executable, make_executable, call_memfd,  type_into_terminal,
        own_signals, call_unshare,   call_mount,      call_bpf,    call_io_uring,
        read_parent, raise_limit,    gain_privileges, call_setuid, call_keyctl,
    };

    if (!can())
        return;
    for (u32 i = 0; i < ARRAY_SIZE(attempts); i++) {
        int status = try(attempts[i]);

        if (status != KILLED)
            printf("# attempt %u\n", i);
        CHECK_EQ(status, KILLED);
    }
#ifdef __x86_64__
    CHECK_EQ(try(call_32_bit), (u64)-SIGSYS); /* no handler for what is of another architecture */
#endif
}

/* ---- threads ---- */

struct attempt {
    u32 kinds;
    int (*run)(void);
};

static void thread_main(void *ctx)
{
    const struct attempt *a = ctx;
    const struct sandbox sandbox = {.on = true, .syscalls = true};

    sandbox_thread(&sandbox, a->kinds);
    _exit(a->run());
}

static int in_thread(u32 kinds, int (*run)(void))
{
    struct attempt a = {kinds, run};
    struct thread thread;
    struct err err;

    if (thread_start(&thread, "test", thread_main, &a, &err))
        return 1;
    thread_join(&thread);
    return 2;
}

static int pread_file(void)
{
    char byte;

    return pread(0, &byte, 1, 0) < 0 && errno == EBADF;
}

static int open_in_hart(void)
{
    return in_thread(SANDBOX_HART, open_file);
}

static int open_in_disk(void)
{
    return in_thread(SANDBOX_DISK, open_file);
}

static int open_in_writer(void)
{
    return in_thread(SANDBOX_WRITER, open_file);
}

static int pread_in_hart(void)
{
    return in_thread(SANDBOX_HART, pread_file);
}

static int pread_in_disk(void)
{
    return in_thread(SANDBOX_DISK, pread_file);
}

static int pread_in_translator(void)
{
    return in_thread(SANDBOX_TRANSLATOR, pread_file);
}

static int pread_in_hart_that_does_disks(void)
{
    return in_thread(SANDBOX_HART | SANDBOX_DISK, pread_file);
}

TEST(threads_have_lists_of_their_own)
{
    if (!can())
        return;
    CHECK_EQ(try(open_in_hart), EACCES);
    CHECK_EQ(try(open_in_disk), EACCES);
    CHECK_EQ(try(open_in_writer), 0);
    CHECK_EQ(try(pread_in_hart), KILLED);
    CHECK_EQ(try(pread_in_translator), KILLED);
    CHECK_EQ(try(pread_in_disk), 0);
    CHECK_EQ(try(pread_in_hart_that_does_disks), 0);
}

/* ---- limits, the network ---- */

static int take_memory(void)
{
    for (u32 i = 0; i < 64; i++) {
        if (!malloc(64 * MIB))
            return i; /* of 64 MiB each */
    }
    return 255;
}

static int hosts_network(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    return result(fd);
}

TEST(memory_has_an_end)
{
    int pieces;

    if (!can())
        return;
    pieces = try(take_memory);
    CHECK(pieces > 0 && pieces < 5);
}

TEST(the_network_process_has_sockets_and_no_files)
{
    struct sandbox_plan plan = usual;

    if (!can_hide())
        return;
    plan.kinds = SANDBOX_NET;
    plan.host_network = true;
    CHECK_EQ(try_with(&plan, hosts_network), 0);
    CHECK_EQ(try_with(&plan, open_passwd), ENOENT);
    CHECK_EQ(try_with(&plan, open_file), 0);
    CHECK_EQ(try_with(&plan, call_execve), KILLED);
    CHECK_EQ(try_with(&plan, pread_file), KILLED);
}

static bool has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0;
}

/* ---- a shared folder ---- */

static int change_tree(void)
{
    if (mkdirat(granted, "a", 0700) || mkdirat(granted, "b", 0700) ||
        symlinkat("/etc/passwd", granted, "a/link") || unlinkat(granted, "a/link", 0))
        return errno;
    close(openat(granted, "a/f", O_WRONLY | O_CREAT, 0600));
    if (syscall(SYS_renameat2, granted, "a/f", granted, "b/f", 0) || unlinkat(granted, "b/f", 0) ||
        unlinkat(granted, "a", AT_REMOVEDIR) || unlinkat(granted, "b", AT_REMOVEDIR))
        return errno;
    return 0;
}

static int make_pipe_in_folder(void)
{
    return result(mknodat(granted, "pipe", S_IFIFO | 0600, 0));
}

static int plan_of_share(const struct sandbox_grant *grant, int (*attempt)(void))
{
    struct sandbox_plan plan = usual;

    plan.kinds = SANDBOX_SHARE;
    plan.grant = grant;
    plan.grants = 1;
    return try_with(&plan, attempt);
}

TEST(a_shared_folder_is_all_that_its_process_has)
{
    const struct sandbox_grant all = {.fd = &granted, .write = true, .tree = true};
    const struct sandbox_grant look = {.fd = &granted, .tree = true};
    int left;

    if (!can_hide())
        return;
    CHECK_EQ(plan_of_share(&all, change_tree), 0);
    CHECK_EQ(plan_of_share(&look, change_tree), EROFS);
    CHECK_EQ(plan_of_share(&all, open_passwd), ENOENT);
    left = plan_of_share(&all, leave_folder);
    CHECK(left == ENOENT || left == EACCES);
    CHECK_EQ(plan_of_share(&all, call_execve), KILLED);
    CHECK_EQ(plan_of_share(&all, call_socket), KILLED);
    if (has_landlock())
        CHECK_EQ(plan_of_share(&all, make_pipe_in_folder), EACCES);
}

/* ---- hosts that do not give all ---- */

/* A world in which there are no more namespaces to be had. */
static bool forbid_namespaces(void)
{
    static const char path[] = "/proc/sys/user/max_user_namespaces";
    uid_t uid = getuid();
    char map[32];
    int fd;

    if (unshare(CLONE_NEWUSER))
        return false;
    fd = open("/proc/self/uid_map", O_WRONLY);
    fmt_print(map, sizeof(map), "0 %u 1", uid);
    if (fd < 0 || write(fd, map, strlen(map)) < 0)
        return false;
    close(fd);
    fd = open(path, O_WRONLY);
    return fd >= 0 && write(fd, "0", 1) == 1;
}

/* A kernel without Landlock. */
static bool forbid_landlock(void)
{
    struct sock_filter code[] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_landlock_create_ruleset},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS},
        {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
    };
    struct sock_fprog program = {ARRAY_SIZE(code), code};

    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
           !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

struct host {
    bool lacks_namespaces, lacks_landlock;
    enum sandbox_mode mode;
};

enum { OPENS = 1, TELLS = 2, FAILS = 4 };

/* What becomes of a sandbox on such a host: can a file be opened, was something told? */
static int on_host(const struct host *host)
{
    struct sandbox_plan plan = usual;
    struct sandbox sandbox;
    struct err err = {""};

    plan.mode = host->mode;
    if ((host->lacks_namespaces && !forbid_namespaces()) ||
        (host->lacks_landlock && !forbid_landlock()))
        return REFUSED;
    if (sandbox_enter(&sandbox, &plan, &err))
        return strstr(err.msg, "no Landlock") ? FAILS | TELLS : FAILS;
    if (host->lacks_namespaces == sandbox.namespaces || !sandbox.syscalls || open_file())
        return 99;
    return (open_passwd() && leave_folder() ? 0 : OPENS) | (*sandbox.missing ? TELLS : 0);
}

static int status_on(bool lacks_namespaces, bool lacks_landlock, enum sandbox_mode mode)
{
    const struct host host = {lacks_namespaces, lacks_landlock, mode};
    pid_t pid = fork();
    int status = 0;

    if (!pid)
        _exit(on_host(&host));
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(one_of_two_fences_is_enough)
{
    if (!can_hide())
        return;
    CHECK_EQ(status_on(false, true, SANDBOX_AUTO), 0);
    CHECK_EQ(status_on(false, true, SANDBOX_STRICT), 0);
    if (!has_landlock()) {
        printf("# this kernel has no Landlock: not tried\n");
        return;
    }
    CHECK_EQ(status_on(true, false, SANDBOX_AUTO), 0);
    CHECK_EQ(status_on(true, false, SANDBOX_STRICT), 0);
}

TEST(what_a_host_lacks_is_told_and_strict_refuses)
{
    if (!can_hide())
        return;
    CHECK_EQ(status_on(true, true, SANDBOX_AUTO), OPENS | TELLS);
    CHECK_EQ(status_on(true, true, SANDBOX_STRICT), FAILS | TELLS);
}

TEST(off_gives_up_nothing)
{
    struct sandbox_plan plan = usual;
    struct sandbox sandbox;
    struct err err;

    prepare();
    plan.mode = SANDBOX_OFF;
    CHECK_EQ(sandbox_enter(&sandbox, &plan, &err), 0);
    CHECK_EQ(open_passwd(), 0);
    CHECK_STR(sandbox_state(&sandbox), "none");
    sandbox_thread(&sandbox, SANDBOX_HART);
    CHECK_EQ(open_passwd(), 0);
}

TEST(modes_have_names)
{
    enum sandbox_mode mode;

    CHECK(sandbox_mode_parse("strict", &mode) && mode == SANDBOX_STRICT);
    CHECK(!sandbox_mode_parse("loose", &mode));
    CHECK_STR(sandbox_mode_name(SANDBOX_AUTO), "auto");
}

int main(void)
{
    int r = test_main();

    (void)unlinkat(granted, "new", 0);
    (void)unlink(file);
    (void)rmdir(folder);
    return r;
}
