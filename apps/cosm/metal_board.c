/* SPDX-License-Identifier: BSD-2-Clause */
/* A board under cosm-metal, in QEMU or in cosm itself. */
#include "apps/cosm/metal_board.h"

#include "apps/cosm/metal.h"
#include "base/endian.h"
#include "base/fmt.h"
#include "host/child.h"
#include "host/file.h"
#include "host/scope.h"
#include "plan/link.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define QEMU      "qemu-system-riscv64"
#define SELF      "/proc/self/exe"
#define CPU       "rv64,h=true"
#define PACKAGE   "apt-get install qemu-system-misc"
#define FILE_MAX  (2 * GIB)
#define WORDS_MAX 96

/* Of QEMU's virt (hw/riscv/virt.c of QEMU, its memory map). */
#define VIRT_RAM  UINT64_C(0x80000000)
#define VIRT_UART UINT64_C(0x10000000)

static bool is_sane(const struct metal_config *c)
{
    bool sane = c->partition_count && c->partition_count <= METAL_PARTITIONS_MAX &&
                c->vcpu_count <= METAL_VCPUS_MAX && c->plan_count <= METAL_PLANS_MAX &&
                c->board.hart_count && c->board.hart_count <= METAL_HARTS_MAX &&
                c->board.imsic_guest_bits < 8 && c->board.timebase;

    for (u32 i = 0; sane && i < c->partition_count; i++)
        sane = memchr(c->partition[i].name, '\0', METAL_NAME_MAX);
    for (u32 i = 0; sane && i < c->plan_count; i++)
        sane = memchr(c->plan[i].name, '\0', METAL_NAME_MAX);
    for (u32 i = 0; sane && i < c->vcpu_count; i++)
        sane = c->vcpu[i].partition < c->partition_count && c->vcpu[i].hart < METAL_HARTS_MAX;
    return sane;
}

int metal_config_find(const u8 *bytes, u64 size, struct metal_config *config, struct err *err)
{
    for (u64 at = 0; at + sizeof(*config) <= size; at += 8) {
        if (le64_load(bytes + at) != METAL_MAGIC || le32_load(bytes + at + 8) != METAL_VERSION ||
            le32_load(bytes + at + 12) != sizeof(*config))
            continue;
        memcpy(config, bytes + at, sizeof(*config));
        if (is_sane(config))
            return 0;
    }
    return err_set(err, EINVAL,
                   "it is neither a configuration nor an image that this version of "
                   "'cosm metal build' made");
}

static int build(const struct options *o, const char *path, u8 **bytes, u64 *size, struct err *err)
{
    AUTO_FREE struct plan *plan = calloc(1, sizeof(*plan));
    struct plan_core core = {.flat.bytes = NULL};
    int r;

    if (!plan)
        return err_set(err, ENOMEM, "no memory for a configuration");
    r = metal_core_read(o, &core, err);
    if (!r)
        r = plan_load(plan, path, core.flat.size, err);
    if (!r)
        r = plan_link(plan, &core, bytes, size, err);
    plan_free(plan);
    free(core.flat.bytes);
    return r == -EINVAL ? -EIO : r; /* not a wrong command line */
}

int metal_config_load(const struct options *o, const char *path, struct metal_config *config,
                      u8 **bytes, u64 *size, struct err *err)
{
    AUTO_FREE u8 *file = NULL;
    struct err reason;
    u64 file_size;
    int r;

    *bytes = NULL;
    r = file_read("metal", path, FILE_MAX, &file, &file_size, err);
    if (r)
        return r;
    if (memchr(file, '\0', file_size)) {
        r = metal_config_find(file, file_size, config, &reason);
        return r ? err_set(err, EIO, "'%s' cannot be used: %s", path, reason.msg) : 0;
    }
    r = build(o, path, bytes, size, err);
    return r ? r : metal_config_find(*bytes, *size, config, err);
}

/* What an image may want that cosm's board lacks; NULL: nothing. */
static const char *lacks(const struct metal_board *b)
{
    if (b->intc == METAL_INTC_AIA)
        return "AIA";
    if (b->iommu_hpa)
        return "an IOMMU";
    return b->vector_size ? "vectors" : NULL;
}

static int check_on(const struct options *o, const struct metal_config *c, struct err *err)
{
    const char *on = o->metal.on ? o->metal.on : "qemu", *lack = lacks(&c->board);

    if (strcmp(on, "qemu") && strcmp(on, "cosm"))
        return err_set(err, EINVAL, "--on: '%.64s' is no board to run on; give qemu or cosm", on);
    if (!strcmp(on, "cosm") && lack)
        return err_set(err, ENOTSUP,
                       "--on cosm: this image is for a board with %s, which cosm's lacks; give "
                       "--on qemu",
                       lack);
    if (c->board.ram_hpa != VIRT_RAM || (c->board.uart_hpa && c->board.uart_hpa != VIRT_UART))
        return err_set(err, ENOTSUP,
                       "this image is for another board than QEMU's virt: its memory is at 0x%llx",
                       (unsigned long long)c->board.ram_hpa);
    return 0;
}

/* The words of a command line, QEMU's or our own. */
struct words {
    char *word[WORDS_MAX + 1];
    char machine[64], harts[16], memory[24], image[32];
    u32 count;
    bool full;
};

static void add(struct words *w, const char *word)
{
    if (w->count == WORDS_MAX)
        w->full = true;
    else
        w->word[w->count++] = (char *)(uintptr_t)word;
}

static void add_two(struct words *w, const char *option, const char *value)
{
    add(w, option);
    add(w, value);
}

/* What both take alike: harts, memory, the image. */
static void add_board(struct words *w, const struct metal_board_run *run, const struct options *o)
{
    const struct metal_board *b = &run->config.board;

    fmt_print(w->harts, sizeof(w->harts), "%u", b->hart_count);
    fmt_print(w->memory, sizeof(w->memory), "%lluk", (unsigned long long)(b->ram_size / KIB));
    fmt_print(w->image, sizeof(w->image), "/proc/self/fd/%d", run->image);
    add_two(w, "--smp", w->harts);
    add_two(w, "-m", w->memory);
    add_two(w, "--kernel", run->image >= 0 ? w->image : o->operand[1]);
}

static void add_qemu(struct words *w, const struct metal_board_run *run, const struct options *o)
{
    const struct metal_board *b = &run->config.board;
    size_t n;

    n = fmt_print(w->machine, sizeof(w->machine), "virt%s", b->iommu_hpa ? ",iommu-sys=on" : "");
    if (b->intc == METAL_INTC_AIA)
        fmt_print(w->machine + n, sizeof(w->machine) - n, ",aia=aplic-imsic,aia-guests=%u",
                  (1u << b->imsic_guest_bits) - 1);
    add(w, QEMU);
    add_two(w, "-M", w->machine);
    add_two(w, "-cpu", b->vector_size ? CPU ",v=true,vext_spec=v1.0" : CPU);
    add_board(w, run, o);
    add(w, "-nodefaults");
    add_two(w, "-display", "none");
    add_two(w, "-chardev", "stdio,id=serial,signal=off");
    add_two(w, "-serial", "chardev:serial");
    add_two(w, "-bios", o->metal.firmware ? o->metal.firmware : "default");
    if (o->metal.icount)
        add_two(w, "-icount", "shift=0,sleep=off");
}

/* Our own board: without firmware the SBI that is built in starts the image. */
static void add_cosm(struct words *w, const struct metal_board_run *run, const struct options *o)
{
    add(w, SELF);
    add(w, "run");
    add_two(w, "--cpu", CPU);
    add_board(w, run, o);
    if (o->metal.firmware)
        add_two(w, "--bios", o->metal.firmware);
    if (o->metal.icount)
        add(w, "--icount=shift=0");
}

static int make_words(struct words *w, const struct metal_board_run *run, const struct options *o,
                      struct err *err)
{
    memset(w, 0, sizeof(*w));
    if (run->ours)
        add_cosm(w, run, o);
    else
        add_qemu(w, run, o);
    for (u32 i = o->before_rest; i < o->operands; i++)
        add(w, o->operand[i]);
    return w->full ? err_set(err, E2BIG, "too many options behind --") : 0;
}

/* The image as a file that only the board finds. */
static int keep_image(struct metal_board_run *run, const u8 *bytes, u64 size, struct err *err)
{
    int r;

    run->image = memfd_create("cosm-metal.bin", 0);
    r = run->image < 0 ? -errno : file_write_all(run->image, bytes, size);
    return r ? err_set(err, -r, "cannot keep the image for the board: %s", strerror(-r)) : 0;
}

static int start(struct metal_board_run *run, const struct options *o, int complaints,
                 struct err *err)
{
    int line[2], r;
    struct words w;
    struct child child = {.argv = w.word, .package = PACKAGE};

    r = make_words(&w, run, o, err);
    if (r)
        return r;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line) < 0)
        return err_set(err, errno, "cannot make a serial line: %s", strerror(errno));
    r = child_start(&child, line[1], complaints, &run->pid, err);
    close(line[1]);
    if (r)
        close(line[0]);
    else
        run->serial = line[0];
    return r;
}

int metal_board_start(struct metal_board_run *run, const struct options *o, int complaints,
                      struct err *err)
{
    AUTO_FREE u8 *bytes = NULL;
    u64 size = 0;
    int r;

    run->pid = run->serial = run->image = -1;
    run->ours = o->metal.on && !strcmp(o->metal.on, "cosm");
    r = metal_config_load(o, o->operand[1], &run->config, &bytes, &size, err);
    if (!r)
        r = check_on(o, &run->config, err);
    if (!r && bytes)
        r = keep_image(run, bytes, size, err);
    return r ? r : start(run, o, complaints, err);
}

int metal_board_stop(struct metal_board_run *run, bool end, struct err *err)
{
    pid_t pid = run->pid;
    int status = 0;

    if (pid > 0) {
        if (end)
            kill(pid, SIGTERM);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    scope_close(&run->serial);
    scope_close(&run->image);
    run->pid = run->serial = run->image = -1;
    if (end || !status)
        return 0;
    if (WIFSIGNALED(status))
        return err_set(err, ECHILD, "%s died of signal %d", run->ours ? "cosm run" : QEMU,
                       WTERMSIG(status));
    return err_set(err, ECHILD, "%s ended with status %d", run->ours ? "cosm run" : QEMU,
                   WEXITSTATUS(status));
}
