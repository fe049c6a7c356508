/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's work: system calls, pipes, processes, page faults, protection, signals. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define CALLS 500

static uint64_t getppid_calls(void)
{
    long parent = syscall(SYS_getppid);
    uint64_t same = 0;

    for (int i = 0; i < CALLS; i++)
        same += syscall(SYS_getppid) == parent;
    return same;
}

#define ROUNDS 20

static int there[2], back[2];
static pid_t partner;

static void pipe_setup(void)
{
    char byte;

    if (pipe(there) || pipe(back))
        bench_die("pipe");
    partner = fork();
    if (partner < 0)
        bench_die("fork");
    if (partner)
        return;
    close(there[1]);
    while (read(there[0], &byte, 1) == 1) {
        byte++;
        if (write(back[1], &byte, 1) != 1)
            break;
    }
    _exit(0);
}

static uint64_t pipe_rounds(void)
{
    char byte = 0;

    for (int i = 0; i < ROUNDS; i++) {
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            bench_die("pipe");
    }
    return (uint64_t)byte;
}

static void pipe_finish(void)
{
    close(there[1]);
    waitpid(partner, NULL, 0);
}

static uint64_t child_status(pid_t child)
{
    int status;

    if (child < 0 || waitpid(child, &status, 0) != child)
        bench_die("child");
    return (uint64_t)status;
}

static uint64_t fork_one(void)
{
    pid_t child = fork();

    if (child == 0)
        _exit(3);
    return child_status(child);
}

static char *self;

static uint64_t exec_one(void)
{
    pid_t child = fork();

    if (child == 0) {
        execl(self, self, "exit", (char *)NULL);
        _exit(99);
    }
    return child_status(child);
}

#define PAGES 256

static size_t page;

static uint8_t *map_pages(void)
{
    uint8_t *at =
        mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (at == MAP_FAILED)
        bench_die("mmap");
    madvise(at, PAGES * page, MADV_NOHUGEPAGE);
    return at;
}

static uint64_t faults(void)
{
    uint8_t *at = map_pages();
    uint64_t sum = 0;

    for (size_t i = 0; i < PAGES; i++)
        sum += at[i * page]++ + i;
    munmap(at, PAGES * page);
    return sum;
}

#define CHANGES 32
#define SPAN    16 /* pages whose protection changes */

static volatile uint8_t *guarded;

/* The barrier of a garbage collector: the write faults, the handler lets it happen. */
static void on_fault(int number)
{
    (void)number;
    mprotect((void *)guarded, SPAN * page, PROT_READ | PROT_WRITE);
}

static void guard_setup(void)
{
    guarded = map_pages();
    signal(SIGSEGV, on_fault);
}

static uint64_t guard_writes(void)
{
    guarded[0] = 0;
    for (int i = 0; i < CHANGES; i++) {
        if (mprotect((void *)guarded, SPAN * page, PROT_READ))
            bench_die("mprotect");
        guarded[0]++;
    }
    return guarded[0];
}

static void guard_finish(void)
{
    signal(SIGSEGV, SIG_DFL);
    munmap((void *)guarded, PAGES * page);
}

#define SIGNALS 100

static volatile uint64_t signals;

static void on_signal(int number)
{
    signals += (uint64_t)number;
}

static void signal_setup(void)
{
    signal(SIGUSR1, on_signal);
}

static uint64_t raise_signals(void)
{
    pid_t me = getpid();

    signals = 0;
    for (int i = 0; i < SIGNALS; i++)
        kill(me, SIGUSR1);
    return signals;
}

static const struct bench_row rows[] = {
    {"getppid", "kcalls", CALLS * 1e-3, getppid_calls, NULL, NULL},
    {"pipe", "krounds", ROUNDS * 1e-3, pipe_rounds, pipe_setup, pipe_finish},
    {"fork", "forks", 1, fork_one, NULL, NULL},
    {"exec", "execs", 1, exec_one, NULL, NULL},
    {"fault", "kpages", PAGES * 1e-3, faults, NULL, NULL},
    {"mprotect", "kchanges", CHANGES * 1e-3, guard_writes, guard_setup, guard_finish},
    {"signal", "ksignals", SIGNALS * 1e-3, raise_signals, signal_setup, NULL},
};

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "exit") == 0)
        return 4;
    self = argv[0];
    page = (size_t)sysconf(_SC_PAGESIZE);
    return bench_main(argc, argv, rows, sizeof(rows) / sizeof *rows);
}
