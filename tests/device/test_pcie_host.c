/* SPDX-License-Identifier: BSD-2-Clause */
/* PCIe host: ECAM, BAR sizing and placement, capabilities, INTx swizzle, absent functions. */
#include "device/pcie_host.h"

#include "tests/fake.h"
#include "tests/test.h"

#define ECAM  UINT64_C(0x30000000)
#define PIO   UINT64_C(0x3000000)
#define MEM32 UINT64_C(0x40000000)
#define MEM64 UINT64_C(0x400000000)

/* A function with one BAR of each kind; remembers the last access. */
struct card {
    struct pci_function pci;
    u32 bar, size, writes, reads, config_writes, resets;
    u64 offset, value;
};

static bool card_read(struct pci_function *pci, u32 bar, u64 offset, u32 size, u64 *value)
{
    struct card *card = CONTAINER_OF(pci, struct card, pci);

    card->reads++;
    *value = (u64)bar << 32 | offset;
    return offset != 0x20;
}

static bool card_write(struct pci_function *pci, u32 bar, u64 offset, u32 size, u64 value)
{
    struct card *card = CONTAINER_OF(pci, struct card, pci);

    card->writes++;
    card->bar = bar;
    card->offset = offset;
    card->size = size;
    card->value = value;
    pcie_host_intx(pci, value & 1);
    return true;
}

static void card_config_wrote(struct pci_function *pci, u32 offset, u32 size)
{
    CONTAINER_OF(pci, struct card, pci)->config_writes++;
    pcie_host_intx(pci, pci->intx); /* no lock is held */
}

static void card_reset(struct pci_function *pci)
{
    CONTAINER_OF(pci, struct card, pci)->resets++;
    pcie_host_intx(pci, false);
}

static const struct pci_function_class card_class = {"card", card_read, card_write,
                                                     card_config_wrote, card_reset};

static struct pcie_host host;
static struct device_map map;
static struct bus bus;
static struct card card[2];
static struct fake_irq irq;
static u8 cap_offset[2];

static void card_init(struct card *c, u32 slot)
{
    static const struct pci_ids ids = {0x1af4, 0x1042, 0x1af4, 0x1100, 1, 0x010000, 1};
    static const u8 bytes[2] = {0x12, 0x34}, mask[2] = {0x0f, 0x00};

    memset(c, 0, sizeof(*c));
    pci_function_init(&c->pci, &card_class, &ids);
    pci_bar_set(&c->pci, 0, PCI_BAR_IO, false, 0x20);
    pci_bar_set(&c->pci, 1, PCI_BAR_MEM32, false, 0x1000);
    pci_bar_set(&c->pci, 4, PCI_BAR_MEM64, true, 0x4000);
    cap_offset[0] = pci_capability_add(&c->pci, 0x09, 16);
    cap_offset[1] = pci_capability_add(&c->pci, 0x09, 6);
    pci_config_set(&c->pci, cap_offset[0] + 2, bytes, mask, 2);
    CHECK(pcie_host_add(&host, &c->pci, slot));
}

static void make(void)
{
    struct pcie_host_config config = {
        .id = "pcie", .base = ECAM, .window = {PIO, MEM32, MEM64}, .log = NULL};

    memset(&irq, 0, sizeof(irq));
    memset(&map, 0, sizeof(map));
    for (u32 i = 0; i < 4; i++)
        config.intx[i] = fake_irq_line(&irq, 32 + i);
    pcie_host_init(&host, &config);
    CHECK(pcie_host_map(&host, &map));
    bus = device_map_bus(&map);
    card_init(&card[0], 1);
    card_init(&card[1], 6);
}

static u64 get(gpa_t gpa, u32 size)
{
    u64 value = 0xdead;

    CHECK(bus.read(bus.ctx, gpa, size, &value));
    return value;
}

static void put(gpa_t gpa, u32 size, u64 value)
{
    CHECK(bus.write(bus.ctx, gpa, size, value));
}

static gpa_t config(u32 slot, u32 reg)
{
    return ECAM + (slot << 15) + reg;
}

TEST(bridge_and_absent_functions)
{
    make();
    CHECK_EQ(get(config(0, 0), 4), 0x00081b36);
    CHECK_EQ(get(config(0, 8), 4), 0x06000000);
    CHECK_EQ(get(config(0, PCI_HEADER_TYPE), 1), 0);
    CHECK_EQ(get(config(0, 0x100), 4), UINT32_MAX);
    CHECK_EQ(get(config(2, 0), 4), UINT32_MAX);
    CHECK_EQ(get(config(2, 0), 2), 0xffff);
    CHECK_EQ(get(config(1, 0) + 0x1000, 4), UINT32_MAX); /* function 1 */
    CHECK_EQ(get(ECAM + 0x100000, 4), UINT32_MAX);       /* bus 1 */
    CHECK_EQ(get(ECAM + 0x0ffffffc, 4), UINT32_MAX);
    put(config(2, 4), 4, 7);
    put(config(0, 0), 4, 0);
    CHECK_EQ(get(config(0, 0), 2), 0x1b36);
}

TEST(bar_sizing)
{
    make();
    for (u32 reg = PCI_BAR0; reg < PCI_BAR0 + 24; reg += 4)
        put(config(1, reg), 4, UINT32_MAX);
    CHECK_EQ(get(config(1, 0x10), 4), 0xffffffe1);
    CHECK_EQ(get(config(1, 0x14), 4), 0xfffff000);
    CHECK_EQ(get(config(1, 0x18), 4), 0);
    CHECK_EQ(get(config(1, 0x20), 4), 0xffffc00c);
    CHECK_EQ(get(config(1, 0x24), 4), 0xffffffff);
    put(config(1, PCI_ROM_ADDRESS), 4, UINT32_MAX);
    CHECK_EQ(get(config(1, PCI_ROM_ADDRESS), 4), 0);
    CHECK_EQ(card[0].config_writes, 7);
}

TEST(bar_accesses)
{
    make();
    put(config(1, 0x10), 4, 0x1000);
    put(config(1, 0x14), 4, 0x40002000);
    put(config(1, 0x20), 4, 0x00008000);
    put(config(1, 0x24), 4, 0x4);
    CHECK_EQ(get(MEM32 + 0x2010, 4), UINT32_MAX); /* not decoding yet */
    put(config(1, PCI_COMMAND), 2, 0x7);
    CHECK_EQ(get(MEM32 + 0x2010, 4), 0x10);
    CHECK_EQ(get(MEM32 + 0x2010, 8), UINT64_C(0x100000010));
    CHECK_EQ(get(MEM32 + 0x2020, 4), UINT32_MAX); /* the card refuses */
    CHECK_EQ(get(MEM32 + 0x3000, 4), UINT32_MAX);
    put(PIO + 0x1004, 2, 0x1234);
    CHECK_EQ(card[0].bar, 0);
    CHECK_EQ(card[0].offset, 4);
    put(MEM64 + 0xbffc, 4, 2);
    CHECK_EQ(card[0].bar, 4);
    CHECK_EQ(card[0].offset, 0x3ffc);
    CHECK_EQ(card[0].size, 4);
    put(MEM64 + 0xc000, 4, 2);
    CHECK_EQ(card[0].writes, 2);
    put(config(1, PCI_COMMAND), 2, 0);
    put(MEM64 + 0xbffc, 4, 2);
    CHECK_EQ(card[0].writes, 2);
}

TEST(capabilities)
{
    make();
    CHECK_EQ(get(config(1, PCI_STATUS), 2) & 0x10, 0x10);
    CHECK_EQ(get(config(1, PCI_CAPABILITIES), 1), 0x40);
    CHECK_EQ(cap_offset[1], 0x50);
    CHECK_EQ(get(config(1, 0x40), 4), 0x34125009);
    CHECK_EQ(get(config(1, 0x50), 2), 0x0009);
    put(config(1, 0x42), 2, 0xffff);
    CHECK_EQ(get(config(1, 0x42), 2), 0x341f);
}

TEST(intx_swizzle_and_sharing)
{
    make();
    put(config(1, 0x14), 4, 0x40000000);
    put(config(6, 0x14), 4, 0x40001000);
    put(config(1, PCI_COMMAND), 2, 2);
    put(config(6, PCI_COMMAND), 2, 2);
    put(MEM32, 4, 1);
    CHECK(irq.level[33]); /* slot 1, INTA */
    CHECK_EQ(get(config(1, PCI_STATUS), 2) & 8, 8);
    put(config(1, PCI_COMMAND), 2, 0x402); /* INTx disabled */
    CHECK(!irq.level[33]);
    put(config(1, PCI_COMMAND), 2, 2);
    CHECK(irq.level[33]);
    put(MEM32, 4, 0);
    CHECK(!irq.level[33]);
    put(MEM32 + 0x1000, 4, 1);
    CHECK(irq.level[34]); /* slot 6 */
    device_reset(&host.dev);
    CHECK(!irq.level[34]);
    CHECK_EQ(card[1].resets, 1);
    CHECK_EQ(get(config(6, PCI_COMMAND), 2), 0);
    CHECK_EQ(get(config(6, 0x14), 4), 0);
}

TEST(adding)
{
    struct card spare;

    make();
    memset(&spare, 0, sizeof(spare));
    CHECK(!pcie_host_add(&host, &spare.pci, 0));
    CHECK(!pcie_host_add(&host, &spare.pci, 6));
    CHECK(!pcie_host_add(&host, &spare.pci, 32));
    CHECK(pcie_host_add(&host, &spare.pci, 31));
    CHECK(!pcie_host_map(&host, &map));
}

TEST(hostile)
{
    make();
    fake_hammer(&host.dev, 0x10000, 2, 20);
    for (u32 reg = 0; reg < 0x100; reg += 4)
        put(config(6, reg), 4, 0x40000000 + reg * 0x10001);
    for (u32 i = 0; i < PCIE_WINDOWS; i++)
        fake_hammer(&host.window[i].dev, 0x3000, 2, 21 + i);
    fake_hammer(&host.dev, 0x10000, 2, 29);
    device_map_reset(&map);
}

TEST_MAIN()
