/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The IOMMU's driver against an IOMMU that answers registers as the RISC-V IOMMU 1.0 specification
 * says: it walks the directory that it is given, remembers what it found until it is told to
 * forget, is busy after each change, and works at commands when it pleases. Each board is one of a
 * process of its own, as a driver begins once.
 */
#include "metal/iommu.h"

#include "metal/health.h"
#include "metal/paging.h"

#include "tests/assert.h"
#include "tests/metal/fake/fake.h"
#include "tests/test.h"

#include <sys/wait.h>
#include <unistd.h>

enum { AT_CAPS, AT_FCTL = 8, AT_DDTP = 16, AT_CQB = 24, AT_CQH = 32, AT_CQT = 36, AT_FQB = 40 };
enum { AT_FQH = 48, AT_FQT = 52, AT_CQCSR = 72, AT_FQCSR = 76, AT_IPSR = 84, AT_ICVEC = 760 };
enum { REGISTERS = 1024, FUNCTIONS = 256 };
enum { OFF, BARE, LEVEL1, LEVEL3 = 4 };

#define IOMMU_HPA 0x3010000
#define PCI_HPA   0x30000000
#define CSR_ON    (1u << 16)
#define CSR_BUSY  (1u << 17)
#define CSR_LOST  (1u << 9)
#define FLAT      BIT(22)
#define OWNER     1
#define HGATP     (UINT64_C(8) << 60 | UINT64_C(2) << 44 | 0x81234)
#define NOWHERE   0 /* in place of an iohgatp */
#define NOBODY    0xffffffff
#define KNOWN     4 /* contexts that it remembers */

static _Alignas(8) u8 answers[REGISTERS];
static u32 pci[FUNCTIONS * 1024];

static struct {
    u32 least, most; /* modes that ddtp takes, beside off and bare */
    bool lazy;       /* leaves commands where they are */
    bool was_bare;
    u32 busy; /* how many more looks at ddtp or a queue's CSR find it so */
    u32 fences, forgotten;
    struct {
        u64 id, hgatp;
    } known[KNOWN];
} iommu;

static struct {
    u32 count, event;
    u64 detail;
} events;

static struct partition *owner(void)
{
    return &metal.partition[OWNER];
}

static u32 *reg(u64 offset)
{
    return (u32 *)(void *)(answers + offset);
}

static u64 *reg64(u64 offset)
{
    return (u64 *)(void *)(answers + offset);
}

u64 paging_hpa(const void *address)
{
    return (u64)address;
}

u32 health_event(struct partition *p, u32 event, u64 detail)
{
    CHECK(p == owner());
    events.count++;
    events.event = event;
    events.detail = detail;
    return METAL_ACTION_LOG;
}

/* --- The IOMMU --- */

static const u64 *page_of(u64 entry)
{
    return (const u64 *)(entry << 2 & ~UINT64_C(4095) & (BIT(56) - 1));
}

/* The iohgatp that memory has for a device. */
static u64 walk(u64 id)
{
    const u32 words = *reg64(AT_CAPS) & FLAT ? 8 : 4, bits = words == 8 ? 6 : 7;
    const u64 ddtp = *reg64(AT_DDTP), mode = ddtp & 15;
    const u64 *table = page_of(ddtp), *context;

    if (mode < LEVEL1 || id >> (bits + 9 * (mode - LEVEL1)))
        return NOWHERE;
    for (u64 level = mode - LEVEL1; level; level--) {
        u64 entry = table[id >> (bits + 9 * (level - 1)) & 511];

        if (!(entry & 1))
            return NOWHERE;
        CHECK(!(entry & ~(GENMASK(53, 10) | 1)));
        table = page_of(entry);
    }
    context = table + (id & (BIT(bits) - 1)) * words;
    if (!(context[0] & 1))
        return NOWHERE;
    CHECK_EQ(context[0], 1); /* no ATS, no process directory, faults told */
    for (u32 i = 2; i < words; i++)
        CHECK_EQ(context[i], 0); /* first stage bare, MSIs like all else */
    return context[1];
}

/* By which map a device's access goes. */
static u64 access_by(u64 id)
{
    u32 i = (u32)id % KNOWN;

    if (iommu.known[i].hgatp && iommu.known[i].id == id && (*reg64(AT_DDTP) & 15) > BARE)
        return iommu.known[i].hgatp;
    iommu.known[i].id = id;
    return iommu.known[i].hgatp = walk(id);
}

static void do_command(const u64 *c)
{
    const u64 guest = BIT(33) | UINT64_C(2) << 44; /* GV, and the owner's VMID as GSCID */

    CHECK_EQ(c[1], 0);
    switch (c[0] & 0x3ff) {
    case 3: /* IODIR.INVAL_DDT of all */
        CHECK_EQ(c[0], 3);
        memset(iommu.known, 0, sizeof(iommu.known));
        iommu.forgotten |= 1;
        break;
    case 1: /* IOTINVAL.VMA */
        CHECK_EQ(c[0], 1 | guest);
        iommu.forgotten |= 2;
        break;
    case 1 | 1 << 7: /* IOTINVAL.GVMA */
        CHECK_EQ(c[0], (1 | 1 << 7) | guest);
        iommu.forgotten |= 4;
        break;
    default: /* IOFENCE.C of reads and writes */
        CHECK_EQ(c[0], 2 | 1 << 12 | 1 << 13);
        CHECK_EQ(iommu.forgotten, 7);
        iommu.forgotten = 0;
        iommu.fences++;
    }
}

static void work(void)
{
    u32 size = 2u << (*reg64(AT_CQB) & 31);

    while (*reg(AT_CQCSR) & CSR_ON && *reg(AT_CQH) != *reg(AT_CQT)) {
        do_command(page_of(*reg64(AT_CQB)) + 2 * (u64)*reg(AT_CQH));
        *reg(AT_CQH) = (*reg(AT_CQH) + 1) % size;
    }
}

/* It refused an access: a record, unless there is no room, and the interrupt's bit. */
static void refuse(u64 id, u64 iova)
{
    u32 size = 2u << (*reg64(AT_FQB) & 31), tail = *reg(AT_FQT);
    u64 *record = (u64 *)(uintptr_t)page_of(*reg64(AT_FQB)) + 4 * (u64)tail;

    CHECK(*reg(AT_FQCSR) & CSR_ON);
    CHECK(*reg(AT_FQCSR) & 2);
    *reg(AT_IPSR) |= 2;
    if ((tail + 1) % size == *reg(AT_FQH)) {
        *reg(AT_FQCSR) |= CSR_LOST;
        return;
    }
    record[0] = 258 | id << 40;
    record[2] = iova;
    *reg(AT_FQT) = (tail + 1) % size;
}

static void write_queue_csr(u64 offset, u32 value)
{
    u32 lost = *reg(offset) & CSR_LOST & ~value;

    CHECK(!iommu.busy);
    if (!(*reg(offset) & CSR_ON) && value & 1)
        *reg(offset == AT_CQCSR ? AT_CQH : AT_FQT) = 0;
    *reg(offset) = (value & 3) | lost | (value & 1 ? CSR_ON : 0);
    iommu.busy = 2;
}

static void write_ddtp(u64 value)
{
    u64 mode = value & 15;

    CHECK(!iommu.busy);
    CHECK(!(value & ~(GENMASK(53, 10) | 15)));
    iommu.was_bare |= mode == BARE;
    if (mode > BARE && (mode < iommu.least || mode > iommu.most))
        mode = OFF;
    *reg64(AT_DDTP) = (value & ~UINT64_C(15)) | mode;
    iommu.busy = 2;
}

/* --- Accesses of the driver --- */

volatile void *paging_io(u64 hpa)
{
    return hpa >= PCI_HPA ? (u8 *)pci + (hpa - PCI_HPA) : answers + (hpa - IOMMU_HPA);
}

/* Where in the IOMMU; REGISTERS: it is PCI's. */
static u64 offset_of(const volatile void *at)
{
    u64 offset = (u64)((const volatile u8 *)at - answers);

    return offset < REGISTERS ? offset : REGISTERS;
}

static bool is_busy(void)
{
    return iommu.busy && iommu.busy--;
}

u32 io_read(const volatile void *at)
{
    u64 offset = offset_of(at);

    if (offset == REGISTERS)
        return *(const volatile u32 *)at;
    if ((offset == AT_CQCSR || offset == AT_FQCSR) && is_busy())
        return *reg(offset) | CSR_BUSY;
    if (!iommu.lazy)
        work();
    return *reg(offset);
}

u64 io_read_long(const volatile void *at)
{
    u64 offset = offset_of(at);

    return *reg64(offset) | (offset == AT_DDTP && is_busy() ? BIT(4) : 0);
}

void io_write(volatile void *at, u32 value)
{
    u64 offset = offset_of(at);

    if (offset == REGISTERS)
        *(volatile u32 *)at = value;
    else if (offset == AT_CQCSR || offset == AT_FQCSR)
        write_queue_csr(offset, value);
    else if (offset == AT_IPSR)
        *reg(AT_IPSR) &= ~value;
    else
        *reg(offset) = value;
}

void io_write_long(volatile void *at, u64 value)
{
    u64 offset = offset_of(at);

    CHECK(offset == AT_DDTP || !(*reg(AT_CQCSR) & CSR_ON)); /* set up before the queues are on */
    if (offset == AT_DDTP)
        write_ddtp(value);
    else
        *reg64(offset) = value;
}

/* --- Tests --- */

static struct metal_board *board(void)
{
    return &fake_config()->board;
}

/* A board whose partition 1 has those ids. */
static void make(u32 first, u32 count, u64 caps, u32 least, u32 most)
{
    struct metal_config *c = fake_config();

    memset(c, 0, sizeof(*c));
    memset(answers, 0, sizeof(answers));
    memset(&iommu, 0, sizeof(iommu));
    memset(&events, 0, sizeof(events));
    memset(pci, 0xff, sizeof(pci));
    iommu.least = least;
    iommu.most = most;
    *reg64(AT_CAPS) = 0x10 | BIT(17) | caps;
    *reg64(AT_DDTP) = BARE; /* as firmware may leave it */
    c->board.iommu_hpa = IOMMU_HPA;
    c->board.iommu_first = first;
    c->board.iommu_count = count;
    c->board.dma_partition = count ? OWNER : METAL_NONE;
    c->partition[OWNER].vmid = 2;
    for (u32 i = 0; i < 3; i++)
        metal.partition[i].index = i;
    owner()->hgatp = HGATP;
    owner()->state = PARTITION_RUNNING;
}

static void end(void)
{
    iommu_close(owner());
    while (!iommu_quiesce(owner()))
        ;
}

/* The ids at both ends of the range, and beside them. */
static void check_ids(u64 first, u64 count, u64 hgatp)
{
    const u64 ids[] = {first, first + count / 2, first + count - 1};
    const u64 others[] = {first - 1,       first + count,   first + 64,     first + 128,
                          first ^ BIT(15), first ^ BIT(16), first ^ BIT(23)};

    for (u32 i = 0; i < ARRAY_SIZE(ids); i++)
        CHECK_EQ(access_by(ids[i]), hgatp);
    for (u32 i = 0; i < ARRAY_SIZE(others); i++) {
        if (others[i] < BIT(24) && others[i] - first >= count)
            CHECK_EQ(access_by(others[i]), NOWHERE);
    }
}

struct some_board {
    u32 first, count;
    u64 caps;
    u32 least, most, taken; /* modes of ddtp */
};

static void in_a_process(void (*run)(const struct some_board *b), const struct some_board *b)
{
    int status = -1;
    pid_t child;

    fflush(NULL);
    child = fork();
    if (!child) {
        run(b);
        fflush(NULL);
        _exit(test_failures ? 1 : 0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK_EQ(status, 0);
}

static void live_once(const struct some_board *b)
{
    make(b->first, b->count, b->caps, b->least, b->most);
    iommu_init();
    check_ids(b->first, b->count, NOWHERE);
    iommu_open(&metal.partition[0]);
    iommu_open(&metal.partition[2]);
    check_ids(b->first, b->count, NOWHERE);
    iommu_open(owner());
    work();
    check_ids(b->first, b->count, HGATP);
    iommu_close(&metal.partition[0]);
    check_ids(b->first, b->count, HGATP);
    end();
    check_ids(b->first, b->count, NOWHERE);
    CHECK_EQ(*reg64(AT_DDTP) & 15, b->taken);
    CHECK(!iommu.was_bare);
}

/* Bits of an id below the first level: 6 if contexts are large (FLAT), else 7. */
TEST(the_partitions_ids_go_by_its_map_while_it_runs_and_all_others_nowhere)
{
    static const struct some_board boards[] = {
        {0, 0x10000, FLAT, 2, 4, 4},
        {0, 0x10000, 0, 2, 4, 3},
        {0x10000, 0x10000, FLAT, 2, 4, 4},
        {0x10000, 0x10000, 0, 2, 4, 4},
        {0, 1, FLAT, 2, 4, 2},
        {5, 1, 0, 2, 4, 2},
        {0x100, 256, FLAT, 2, 4, 3},
        {0x100, 256, 0, 2, 4, 3},
        {0x8000, 0x4000, FLAT, 2, 4, 4},
        {0xffffff, 1, FLAT, 2, 4, 4},
        {0xffffff, 1, 0, 2, 4, 4},
        {63, 1, FLAT, 2, 4, 2},
        {64, 64, FLAT, 2, 4, 3},
        {64, 64, 0, 2, 4, 2},
        {0x7f80, 128, FLAT, 2, 4, 3},
        {0xf00000, 0x100000, 0, 2, 4, 4},
        {3, 1, FLAT, 3, 3, 3},
        {3, 1, 0, 4, 4, 4},
        {0, 128, FLAT, 2, 4, 3},
        {0, 0x8000, FLAT, 2, 4, 3},
    };

    for (u32 i = 0; i < ARRAY_SIZE(boards); i++)
        in_a_process(live_once, &boards[i]);
}

static void forget(const struct some_board *b)
{
    make(0, 0x10000, FLAT, LEVEL1, LEVEL3);
    iommu_init();
    for (u32 life = 0; life < 20; life++) {
        iommu_open(owner());
        work();
        CHECK_EQ(access_by(8), HGATP);
        iommu.lazy = true;
        iommu_close(owner());
        CHECK_EQ(access_by(8), HGATP); /* it does not know yet */
        for (u32 i = 0; i < 10; i++)
            CHECK(!iommu_quiesce(owner()));
        iommu.lazy = false;
        CHECK(iommu_quiesce(owner()));
        CHECK_EQ(access_by(8), NOWHERE);
    }
    CHECK_EQ(iommu.fences, 1 + 2 * 20);
}

TEST(what_it_remembers_is_forgotten_before_memory_is_touched)
{
    in_a_process(forget, NULL);
}

static void stay_off(const struct some_board *b)
{
    make(0, 0, FLAT, LEVEL1, LEVEL3);
    if (b) /* it has a trusted device, which is not behind the IOMMU */
        board()->dma_partition = OWNER;
    iommu_init();
    CHECK_EQ(*reg64(AT_DDTP), OFF);
    for (u32 i = 0; i < 3; i++) {
        iommu_open(&metal.partition[i]);
        iommu_close(&metal.partition[i]);
        CHECK(iommu_quiesce(&metal.partition[i]));
    }
    CHECK_EQ(*reg64(AT_DDTP), OFF);
    CHECK_EQ(*reg(AT_CQCSR), 0);
    CHECK_EQ(*reg(AT_CQT), 0);
}

TEST(without_devices_of_a_partition_it_is_off)
{
    in_a_process(stay_off, NULL);
    in_a_process(stay_off, &(struct some_board){0});
}

static void switch_off(const struct some_board *b)
{
    u32 steps = 0;

    make(0, 0x10000, 0, LEVEL1, LEVEL3);
    board()->pci_hpa = PCI_HPA;
    pci[0] = pci[9 * 1024] = pci[255 * 1024] = 0x1af4;
    pci[1] = pci[9 * 1024 + 1] = pci[255 * 1024 + 1] = 0x100006;
    iommu_init();
    CHECK(iommu_quiesce(&metal.partition[0]));
    iommu_close(owner());
    while (!iommu_quiesce(owner()))
        steps++;
    CHECK_EQ(steps, FUNCTIONS);
    CHECK_EQ(pci[1] | pci[9 * 1024 + 1] | pci[255 * 1024 + 1], 0);
    CHECK_EQ(pci[1024 + 1], NOBODY);
    CHECK(iommu_quiesce(owner())); /* once a life is enough */
    pci[1] = 6;
    CHECK(iommu_quiesce(owner()));
    CHECK_EQ(pci[1], 6);
    end();
    CHECK_EQ(pci[1], 0);
}

TEST(functions_of_the_first_bus_are_switched_off_one_by_one)
{
    in_a_process(switch_off, NULL);
}

static void tell_events(const struct some_board *b)
{
    make(0, 0x10000, FLAT, LEVEL1, LEVEL3);
    iommu_init();
    CHECK_EQ(*reg(AT_FCTL), 2);
    CHECK_EQ(*reg64(AT_ICVEC), 0);
    refuse(1, 0x7777); /* of the time before */
    iommu_open(owner());
    iommu_external();
    CHECK_EQ(events.count, 0);
    for (u32 i = 0; i < 300; i++) { /* the queue goes round */
        refuse(8, 0x1000 + i);
        refuse(9, 0x9000);
        CHECK_EQ(*reg(AT_IPSR), 2);
        iommu_external();
        CHECK_EQ(*reg(AT_IPSR), 0);
        CHECK_EQ(events.count, i + 1);
        CHECK_EQ(events.event, METAL_EVENT_DMA);
        CHECK_EQ(events.detail, 0x1000 + i);
    }
    for (u32 i = 0; i < 200; i++)
        refuse(8, 0x5000);
    CHECK(*reg(AT_FQCSR) & CSR_LOST);
    iommu_external();
    CHECK_EQ(events.count, 301);
    iommu.busy = 0;
    CHECK_EQ(*reg(AT_FQCSR), 3 | CSR_ON);
    iommu_external(); /* nothing waits */
    CHECK_EQ(events.count, 301);
    owner()->state = PARTITION_LOADING;
    refuse(8, 0x6000);
    iommu_external();
    CHECK_EQ(events.count, 301);
    CHECK_EQ(*reg(AT_FQH), *reg(AT_FQT));
}

TEST(what_is_refused_is_one_event_of_the_owner_while_it_runs)
{
    in_a_process(tell_events, NULL);
}

static void do_without(const struct some_board *b)
{
    make(0, 0, 0, LEVEL1, LEVEL3);
    board()->iommu_hpa = 0;
    board()->pci_hpa = PCI_HPA;
    board()->dma_partition = OWNER;
    pci[0] = 0x1af4;
    pci[1] = 6;
    memset(answers, 0x5a, sizeof(answers));
    iommu_init();
    end();
    iommu_open(owner());
    CHECK_EQ(pci[1], 0);
    for (u32 i = 0; i < REGISTERS; i++)
        CHECK_EQ(answers[i], 0x5a);
}

TEST(without_an_iommu_functions_are_switched_off_all_the_same)
{
    in_a_process(do_without, NULL);
}

TEST_MAIN()
