/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The board's IOMMU. Sections are those of the RISC-V IOMMU Architecture Specification 1.0.
 *
 * One partition has all devices behind it (the compiler of configurations sees to that), so all
 * have the same context: one page of contexts stands at every place of the device directory that
 * the partition's ids lead to. All other places are empty, and what they would describe is blocked.
 */
#include "metal/iommu.h"

#include "base/assert.h"
#include "metal/health.h"
#include "metal/paging.h"

/* Registers (section 6). */
enum {
    CAPS = 0,
    FCTL = 8,
    DDTP = 16,
    CQB = 24,
    CQH = 32,
    CQT = 36,
    FQB = 40,
    FQH = 48,
    FQT = 52,
    CQCSR = 72,
    FQCSR = 76,
    IPSR = 84,
    ICVEC = 760,
};

#define CAPS_VERSION  0xff
#define CAPS_1_0      0x10
#define CAPS_SV39X4   BIT(17)
#define CAPS_MSI_FLAT BIT(22) /* contexts have 64 bytes, else 32 */
#define FCTL_WSI      2       /* interrupts by wire; zeros: little-endian, 64 bits */
#define DDTP_MODE     15
#define DDTP_1LVL     2
#define DDTP_BUSY     BIT(4)
#define QUEUE_ON      BIT(16)
#define QUEUE_BUSY    BIT(17)
#define QUEUE_ENABLE  BIT(0)
#define FQ_IE         BIT(1)
#define FQ_LOST       (BIT(8) | BIT(9)) /* not written, or no room: cleared by ones */
#define IPSR_FAULT    BIT(1)
#define VALID         BIT(0) /* of a directory's entry, and of a context's first word */
#define CONTEXT_HGATP 1      /* word of a context; formatted as the CSR is */
#define COMMANDS      16     /* of 16 bytes */
#define BATCH         4
#define FAULTS        128 /* of 32 bytes */
#define FAULT_IOVA    2   /* word of a record */
#define PCI_FUNCTIONS 256 /* of a bus */
#define PCI_COMMAND   4
#define PCI_NOBODY    0xffffffff
#define COLD          __attribute__((cold))

static u64 contexts[512] __attribute__((aligned(4096)));
static u64 directory[2][512] __attribute__((aligned(4096))); /* above contexts, and above that */
static u64 faults[FAULTS][4] __attribute__((aligned(4096)));
static u64 commands[COMMANDS][2] __attribute__((aligned(4096)));
static volatile u8 *registers; /* NULL: there is no IOMMU, or nobody has what is behind it */
static u32 context_words;
static u32 functions_off; /* of PCI's first bus: as many are switched off since the last end */

#define BOARD (&metal_config.board)

static u32 get(u64 offset)
{
    return io_read(registers + offset);
}

static u64 get_long(u64 offset)
{
    return io_read_long(registers + offset);
}

static void put(u64 offset, u32 value)
{
    io_write(registers + offset, value);
}

static void put_long(u64 offset, u64 value)
{
    io_write_long(registers + offset, value);
}

/* As registers and directories name a page. */
static u64 page(const void *at)
{
    return paging_hpa(at) >> 12 << 10;
}

/* All of the partition's, which the IOMMU then reads anew. */
static void set_contexts(u64 first_word, u64 hgatp)
{
    for (u32 i = 0; i < BOARD->iommu_count && i < 512 / context_words; i++) {
        u64 *context = &contexts[(BOARD->iommu_first + i) * context_words % 512];

        context[CONTEXT_HGATP] = hgatp;
        *(volatile u64 *)context = first_word;
    }
    fence_to_device();
    put(CQT, (get(CQT) + BATCH) % COMMANDS);
}

static bool is_flushed(void)
{
    return get(CQH) == get(CQT);
}

/* The queue holds one batch over and over: forget the directory and what the partition's devices
 * used of its map, wait for what was under way (section 4.1). */
static COLD void init_commands(void)
{
    u64 guest = BIT(33) | (u64)metal_config.partition[BOARD->dma_partition].vmid << 44;

    for (u32 i = 0; i < COMMANDS; i += BATCH) {
        commands[i][0] = 3;                      /* IODIR.INVAL_DDT */
        commands[i + 1][0] = 1 | guest;          /* IOTINVAL.VMA */
        commands[i + 2][0] = 1 | 1 << 7 | guest; /* IOTINVAL.GVMA */
        commands[i + 3][0] = 2 | 3 << 12;        /* IOFENCE.C, reads and writes */
    }
}

static COLD void queue_set(u64 csr, u32 bits)
{
    u32 state = bits ? QUEUE_ON : 0;

    put(csr, bits);
    while ((get(csr) & (QUEUE_ON | QUEUE_BUSY)) != state)
        ;
}

/* False: it is no value that this IOMMU takes. */
static COLD bool set_directory(u64 value)
{
    put_long(DDTP, value);
    while (get_long(DDTP) & DDTP_BUSY)
        ;
    return !((get_long(DDTP) ^ value) & DDTP_MODE);
}

/* The least of the levels that the ids need and the IOMMU has. */
static COLD void init_directory(void)
{
    const u64 end = (u64)BOARD->iommu_first + BOARD->iommu_count, each = 512 / context_words;
    const u64 *top = contexts;
    u32 level = 0;

    for (u64 id = BOARD->iommu_first; id < end; id += each) {
        directory[0][id / each % 512] = page(contexts) | VALID;
        directory[1][id / each / 512 % 512] = page(directory[0]) | VALID;
    }
    while (end > each << 9 * level || !set_directory(page(top) | (DDTP_1LVL + level))) {
        ASSERT(level < 2);
        top = directory[level++];
    }
}

COLD void iommu_init(void)
{
    u64 caps;

    if (!BOARD->iommu_hpa)
        return;
    registers = paging_io(BOARD->iommu_hpa);
    (void)set_directory(0); /* off: nothing passes */
    if (!BOARD->iommu_count) {
        registers = NULL; /* nothing is told to it */
        return;
    }
    caps = get_long(CAPS);
    ASSERT((caps & (CAPS_VERSION | CAPS_SV39X4)) == (CAPS_1_0 | CAPS_SV39X4));
    context_words = caps & CAPS_MSI_FLAT ? 8 : 4;
    queue_set(CQCSR, 0);
    queue_set(FQCSR, 0);
    put(FCTL, FCTL_WSI);
    put_long(ICVEC, 0);
    put_long(CQB, page(commands) | 3); /* log2(COMMANDS) - 1 */
    put_long(FQB, page(faults) | 6);
    init_commands();
    queue_set(CQCSR, QUEUE_ENABLE);
    queue_set(FQCSR, QUEUE_ENABLE | FQ_IE);
    set_contexts(0, 0); /* what firmware left is forgotten, too */
    while (!is_flushed())
        ;
    init_directory();
}

static bool has_devices(const struct partition *p)
{
    return p->index == BOARD->dma_partition;
}

void iommu_open(struct partition *p)
{
    if (!has_devices(p) || !registers)
        return;
    put(FQH, get(FQT)); /* of the time before */
    set_contexts(VALID, p->hgatp);
}

void iommu_close(const struct partition *p)
{
    if (!has_devices(p))
        return;
    functions_off = 0;
    if (registers)
        set_contexts(0, 0);
}

/* It answers neither at its memory nor at its ports, and asks for no memory, as after a reset: nor
 * does what is behind it, if it is a bridge. */
static void function_off(u64 function)
{
    volatile u8 *config = paging_io(BOARD->pci_hpa + 4096 * function);

    if (io_read(config) != PCI_NOBODY)
        io_write(config + PCI_COMMAND, 0);
}

bool iommu_quiesce(const struct partition *p)
{
    if (!has_devices(p))
        return true;
    if (BOARD->pci_hpa && functions_off < PCI_FUNCTIONS) {
        function_off(functions_off++);
        return false;
    }
    return !registers || is_flushed();
}

void iommu_external(void)
{
    struct partition *p = &metal.partition[BOARD->dma_partition];
    u32 head, tail;
    u64 iova;

    if (get(FQCSR) & FQ_LOST)
        put(FQCSR, QUEUE_ENABLE | FQ_IE | FQ_LOST);
    put(IPSR, IPSR_FAULT); /* what is refused from here on is told anew */
    head = get(FQH);
    tail = get(FQT);
    if (head == tail)
        return;
    fence_from_device();
    iova = faults[head % FAULTS][FAULT_IOVA];
    put(FQH, tail);
    if (atomic_load(&p->state) == PARTITION_RUNNING)
        health_event(p, METAL_EVENT_DMA, iova);
}
