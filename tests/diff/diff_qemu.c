/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs a program under qemu-riscv64, and finds out which -cpu to give it and what it then knows. */
#include "tests/diff/diff.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A chunk takes well below a millisecond. */
static int timeout_ms(const struct program *p)
{
    return 5000 + 50 * (int)p->count;
}

static char qemu_path[4096], qemu_cpu[1024], elf_path[64];

static void die(const char *what)
{
    printf("Bail out! %s: %s\n", what, strerror(errno));
    exit(1);
}

static void write_elf(const struct program *p)
{
    size_t size, done = 0;
    u8 *elf = diff_program_elf(p, &size);
    int fd = open(elf_path, O_WRONLY | O_TRUNC | O_CLOEXEC);

    if (fd < 0)
        die(elf_path);
    while (done < size) {
        ssize_t n = write(fd, elf + done, size - done);
        if (n < 0)
            die(elf_path);
        done += (size_t)n;
    }
    close(fd);
    free(elf);
}

static pid_t start(int *out)
{
    int ends[2], quiet;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC))
        die("pipe");
    fflush(stdout);
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        quiet = open("/dev/null", O_RDWR);
        dup2(quiet, 0);
        dup2(ends[1], 1);
        dup2(quiet, 2);
        execl(qemu_path, qemu_path, "-cpu", qemu_cpu, elf_path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    *out = ends[0];
    return pid;
}

/* Reads until the end; false: it took too long. */
static bool drain(int fd, u8 *to, size_t size, size_t *got, int timeout)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    for (*got = 0;;) {
        u8 spare[64];
        ssize_t n;
        if (poll(&p, 1, timeout) <= 0)
            return false;
        n = *got < size ? read(fd, to + *got, size - *got) : read(fd, spare, sizeof(spare));
        if (n <= 0)
            return true;
        *got += (size_t)n;
    }
}

void diff_qemu_run(const struct program *p, struct outcome *outcome)
{
    const size_t size = p->count * sizeof(struct record);
    bool ended;
    int fd, status;
    size_t got;
    pid_t pid;

    write_elf(p);
    pid = start(&fd);
    ended = drain(fd, (u8 *)outcome->record, size, &got, timeout_ms(p));
    if (!ended)
        kill(pid, SIGKILL);
    close(fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    outcome->died = !ended || status || got != size;
    if (!ended)
        snprintf(outcome->how, sizeof(outcome->how), "no end within %d ms", timeout_ms(p));
    else if (WIFSIGNALED(status))
        snprintf(outcome->how, sizeof(outcome->how), "%s", strsignal(WTERMSIG(status)));
    else if (outcome->died)
        snprintf(outcome->how, sizeof(outcome->how), "status %d, %zu of %zu bytes",
                 WEXITSTATUS(status), got, size);
}

/* Does an instruction alone run to the end? An empty program if line is NULL. */
static bool runs(const struct insn_line *line)
{
    struct chunk *chunk = calloc(1, sizeof(*chunk));
    struct outcome outcome = {.record = malloc(sizeof(struct record))};
    struct program program;

    ASSERT(chunk && outcome.record);
    diff_program_init(&program);
    chunk->start.in.x[REG_COUNT] = 1;
    if (line)
        diff_gen_single(chunk, line);
    diff_program_build(&program, &chunk, 1);
    diff_qemu_run(&program, &outcome);
    diff_program_free(&program);
    free(outcome.record);
    free(chunk);
    return !outcome.died;
}

/* A new qemu has "max"; an old one takes some properties, whose names have changed since. */
static bool choose_cpu(void)
{
    static const char *const names[] = {
        "zba",   "zbb",         "zbc",      "zbs",   "zbkb",  "zbkc",   "zbkx",   "zknd",   "zkne",
        "zknh",  "zkr",         "zksh",     "zksed", "zfh",   "Zfh",    "zfhmin", "Zfhmin", "zfa",
        "zcb",   "zca",         "zcd",      "zacas", "zabha", "zicboz", "zicbom", "zicond", "zimop",
        "zcmop", "zihintpause", "x-zicond", "x-zca", "x-zcb", "x-zcd"};
    size_t len;

    snprintf(qemu_cpu, sizeof(qemu_cpu), "max");
    if (runs(NULL))
        return true;
    snprintf(qemu_cpu, sizeof(qemu_cpu), "rv64");
    if (!runs(NULL))
        return false;
    for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
        len = strlen(qemu_cpu);
        snprintf(qemu_cpu + len, sizeof(qemu_cpu) - len, ",%s=true", names[i]);
        if (!runs(NULL))
            qemu_cpu[len] = '\0';
    }
    return true;
}

/* A qemu before 8 counts the upper half, too, if the lower is 0. */
static bool is_wrong_in_old(const struct insn_line *line)
{
    return line->op == OP_ctzw && strcmp(qemu_cpu, "max");
}

/* One instruction tells for all of its extension. */
static void probe_extensions(void)
{
    char missing[512] = "";

    for (u32 i = 0; i < ARRAY_SIZE(insn_lines); i++) {
        const struct insn_line *line = &insn_lines[i];
        u32 first = 0;
        if (!diff_gen_knows(line))
            continue;
        while (strcmp(insn_lines[first].ext, line->ext) || !diff_gen_knows(&insn_lines[first]))
            first++;
        diff_usable[i] = first < i ? diff_usable[first] : runs(line);
        if (is_wrong_in_old(line))
            diff_usable[i] = false;
        if (first == i && !diff_usable[i])
            snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), " %s",
                     line->ext);
    }
    printf("# not compared, for this qemu has them not:%s\n", missing[0] ? missing : " none");
}

static void remove_elf(void)
{
    unlink(elf_path);
}

bool diff_qemu_init(const char *path)
{
    const char *folder = getenv("TMPDIR");
    int fd;

    snprintf(qemu_path, sizeof(qemu_path), "%s", path);
    snprintf(elf_path, sizeof(elf_path), "%.40s/cosm-diff-XXXXXX", folder ? folder : "/tmp");
    fd = mkstemp(elf_path);
    if (fd < 0 || fchmod(fd, 0700))
        die(elf_path);
    close(fd);
    atexit(remove_elf);
    if (!choose_cpu())
        return false;
    printf("# %s -cpu %s\n", qemu_path, qemu_cpu);
    probe_extensions();
    return true;
}
