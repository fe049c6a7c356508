/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of a finished configuration: what the compiler makes keeps to them, and each is broken here
 * by one number. */
#include "tests/plan_world.h"
#include "tests/test.h"

static const char text[] = "[board]\nharts = 4\nmemory = \"1G\"\n"
                           "[[partition]]\nname = \"a\"\nharts = [0, 1]\nimage = \"i1000\"\n"
                           "memory = [{ at = 0x80000000, size = \"4M\" }]\n"
                           "[[partition]]\nname = \"b\"\nharts = [2]\nimage = \"i2000\"\n"
                           "memory = [{ at = 0x80000000, size = \"2M\" }]\n"
                           "dma = \"trusted\"\ndevices = [\"virtio_mmio@10001000\"]\n"
                           "[[partition]]\nname = \"c\"\nharts = [2, 3]\nimage = \"i3000\"\n"
                           "memory = [{ at = 0x80000000, size = \"2M\" }]\n"
                           "[[hart]]\nnumber = 2\nmode = \"cyclic\"\n"
                           "[[hart]]\nnumber = 3\nmode = \"priority\"\n"
                           "vcpus = [{ partition = \"c\", vcpu = 1, priority = 1, "
                           "budget = \"1ms\", period = \"2ms\" }]\n"
                           "[[plan]]\nname = \"only\"\nframe = \"10ms\"\nwindows = [\n"
                           "{ hart = 2, partition = \"b\", start = \"1ms\", length = \"2ms\" },\n"
                           "{ hart = 2, partition = \"c\", start = \"4ms\", length = \"2ms\" }]\n"
                           "[[channel]]\nname = \"x\"\nsize = \"64K\"\nfrom = \"b\"\nto = \"c\"\n"
                           "doorbell = \"both\"\n"
                           "[[virtio]]\npartition = \"b\"\nservice = \"c\"\nwindow = 0xc0000000\n";

static struct plan plan;
static struct metal_config good, bad;
static struct err err;

static bool make(void)
{
    int r = plan_compile(&plan, "text", text, sizeof(text) - 1, 700 * KIB, &err);

    if (r)
        printf("# %s\n", err.msg);
    else
        plan_emit(&plan, plan.self_size, &good);
    plan_free(&plan);
    return !r;
}

/* One number of the structure, and what is said of it when it is another. */
struct breakage {
    size_t offset, size;
    u64 value;
    const char *words;
};

static void broken(const struct breakage *b, u32 number)
{
    const char *wrong;

    bad = good;
    memcpy((u8 *)&bad + b->offset, &b->value, b->size);
    wrong = audit_config(&bad);
    if (!wrong || !strstr(wrong, b->words)) {
        printf("# breakage %u: %s\n", number, wrong ? wrong : "nothing is said");
        CHECK(false);
    }
}

#define SET(field, value, words)                                                      \
    {                                                                                 \
        offsetof(struct metal_config, field), sizeof(good.field), (u64)(value), words \
    }
#define FIRST(n) good.partition[n].region_first
#define WINDOW   plan[0].window[2]

static void breaks(const struct breakage *list, size_t count)
{
    ASSERT(make());
    CHECK(!audit_config(&good));
    for (u32 i = 0; i < count; i++)
        broken(&list[i], i);
}

TEST(counts)
{
    static const struct breakage list[] = {
        SET(board.hart_count, METAL_HARTS_MAX + 1, "beyond its table"),
        SET(region_count, METAL_REGIONS_MAX + 1, "beyond its table"),
        SET(plan_first, 1, "beyond its table"),
        SET(hart[3].vcpu_first, 9, "beyond its table"),
        SET(partition[1].vcpu_first, 9, "beyond its table"),
        SET(partition[1].vcpu_count, 0, "beyond its table"),
        SET(partition[2].region_count, 60, "beyond its table"),
        SET(partition[0].image_count, 9, "beyond its table"),
        SET(partition[0].sources, METAL_SOURCES_MAX, "beyond its table"),
        SET(partition[1].vmid, 1, "beyond its table"),
        SET(partition[1].rule[0].action, METAL_ACTION_HALT + 1, "beyond its table"),
        SET(partition[1].rule[0].action, UINT16_MAX, "beyond its table"),
        SET(board.self_size, 4 * GIB, "outside of its memory"),
        SET(board.plic_size, UINT64_MAX, "wrap"),
    };

    breaks(list, ARRAY_SIZE(list));
    bad = good;
    bad.partition[0].rule[1] = (struct metal_rule){METAL_ACTION_PLAN, 1, 0};
    CHECK(audit_config(&bad));
    bad.partition[0].rule[1].plan = 0;
    CHECK(!audit_config(&bad));
    bad.board.iommu_hpa = 0x20000000;
    bad.board.dma_partition = METAL_NONE;
    CHECK(!audit_config(&bad));
    bad.board.iommu_count = 256;
    CHECK_STR(audit_config(&bad),
              "devices with DMA have no owner, or ids that are no power of two");
    bad.board.dma_partition = 1;
    CHECK(!audit_config(&bad));
    bad.board.iommu_first = 128;
    CHECK(audit_config(&bad));
    bad.board.iommu_first = 0;
    bad.board.iommu_hpa = good.region[good.partition[1].region_first].hpa;
    CHECK(strstr(audit_config(&bad), "keeps to itself"));
}

TEST(windows)
{
    static const struct breakage list[] = {
        SET(plan[0].frame, 0, "no frame"),
        SET(plan[0].frame, UINT64_MAX, "no frame"),
        SET(plan[0].frame, 50000, "windows"),
        SET(plan[0].window_count[2], METAL_WINDOWS_MAX + 1, "windows"),
        SET(plan[0].window_count[2], 3, "windows"),
        SET(plan[0].window_count[3], 1, "windows"),
        SET(WINDOW[0].length, 0, "windows"),
        SET(WINDOW[0].length, UINT64_MAX, "windows"),
        SET(WINDOW[1].start, 10000, "windows"),
        SET(WINDOW[0].start, 40000, "windows"),
        SET(WINDOW[1].vcpu, 0, "windows"),
        SET(WINDOW[1].vcpu, METAL_NONE, "windows"),
        SET(hart[2].mode, METAL_HART_PRIORITY, "windows"),
    };

    breaks(list, ARRAY_SIZE(list));
}

TEST(vcpus)
{
    static const struct breakage list[] = {
        SET(hart[0].vcpu_first, 1, "mode"),
        SET(hart[0].mode, METAL_HART_UNUSED, "mode"),
        SET(hart[0].mode, 9, "mode"),
        SET(hart[0].vcpu_count, 0, "mode"),
        SET(vcpu[0].hart, 1, "another hart"),
        SET(vcpu[4].budget, 20001, "above its period"),
        SET(vcpu[4].budget, 0, ""),
        SET(vcpu_of[0], 1, "those that the table gives"),
        SET(vcpu_of[4], METAL_NONE, "those that the table gives"),
        SET(vcpu[1].number, 0, "those that the table gives"),
        SET(vcpu[1].partition, 1, "those that the table gives"),
    };

    ASSERT(make());
    for (u32 i = 0; i < ARRAY_SIZE(list); i++) {
        if (*list[i].words)
            broken(&list[i], i);
    }
    bad = good;
    bad.vcpu_count++;
    CHECK(audit_config(&bad));
    /* Two on a hart whose budgets together are more than it has. */
    bad = good;
    bad.hart[2].mode = METAL_HART_PRIORITY;
    bad.plan[0].window_count[2] = 0;
    CHECK(!audit_config(&bad));
    bad.vcpu[2].budget = bad.vcpu[3].budget = 3;
    bad.vcpu[2].period = bad.vcpu[3].period = 6;
    CHECK(!audit_config(&bad));
    bad.vcpu[2].budget = 4;
    CHECK_STR(audit_config(&bad), "budgets are above their hart's time");
}

TEST(images_and_interrupts)
{
    static const struct breakage list[] = {
        SET(image[0].offset, 4, "cosm-metal.bin"),
        SET(image[0].offset, UINT64_MAX - 7, "cosm-metal.bin"),
        SET(image[0].size, UINT64_MAX, "cosm-metal.bin"),
        SET(image[0].partition, 3, "cosm-metal.bin"),
        SET(image[0].gpa, 0x70000000, "executable memory"),
        SET(image[1].gpa, 0xc0000000, "executable memory"),
        SET(irq[0].source, 0, "interrupt"),
        SET(irq[0].source, 5000, "interrupt"),
        SET(irq[0].hart, 4, "interrupt"),
        SET(irq[0].partition, 3, "interrupt"),
        SET(irq[0].virtual_source, 60, "interrupt"),
        SET(doorbell[0].from, 3, "doorbell"),
        SET(doorbell[0].to, 1, "doorbell"),
        SET(doorbell[1].virtual_source, 0, "doorbell"),
        SET(vdev[0].service_source, 0, "virtual device"),
        SET(vdev[0].virtual_source, 63, "virtual device"),
    };

    breaks(list, ARRAY_SIZE(list));
}

/* Region n of partition p with one field changed. */
#define REGION(p, n) bad.region[FIRST(p) + (n)]

static void region_breaks(u32 partition, u32 n, struct metal_region r, const char *words)
{
    const char *wrong;

    bad = good;
    REGION(partition, n) = r;
    wrong = audit_config(&bad);
    if (!wrong || !strstr(wrong, words)) {
        printf("# region %u of %u: %s\n", n, partition, wrong ? wrong : "nothing is said");
        CHECK(false);
    }
}

static struct metal_region changed(const struct metal_region *r, u64 gpa, u64 hpa, u64 size,
                                   u32 flags)
{
    return (struct metal_region){gpa, hpa, size, flags, r->partition};
}

static const struct metal_region *memory_of(u32 partition)
{
    const struct metal_region *r = &good.region[FIRST(partition)];

    while (!(r->flags & METAL_REGION_EXEC))
        r++;
    return r;
}

TEST(regions)
{
    struct metal_region a, self;

    ASSERT(make());
    a = good.region[FIRST(0)];
    self = changed(&a, a.gpa, good.board.self_hpa & ~UINT64_C(4095), a.size, a.flags);
    region_breaks(0, 0, changed(&a, a.gpa, a.hpa, 0, a.flags), "no size");
    region_breaks(0, 0, changed(&a, a.gpa + 8, a.hpa, a.size, a.flags), "not of pages");
    region_breaks(0, 0, changed(&a, (u64)1 << 41, a.hpa, a.size, a.flags), "address space");
    region_breaks(0, 0, changed(&a, a.gpa, (u64)1 << 40, a.size, a.flags), "outside");
    region_breaks(0, 0, changed(&a, a.gpa, a.hpa, a.size, a.flags | METAL_REGION_DEVICE),
                  "outside");
    region_breaks(0, 0, changed(&a, a.gpa, a.hpa, a.size, a.flags | METAL_REGION_SHARED),
                  "executable");
    region_breaks(0, 0, self, "hypervisor");
    region_breaks(0, 0, changed(&a, a.gpa, good.board.plic_hpa, 4096, METAL_REGION_DEVICE | 3),
                  "keeps to itself");
    region_breaks(0, 0, changed(&a, a.gpa, good.board.uart_hpa, 4096, METAL_REGION_DEVICE | 3),
                  "keeps to itself");
    region_breaks(0, 0, changed(&a, a.gpa, memory_of(1)->hpa, 4096, a.flags), "meet");
    a.partition = 1;
    region_breaks(0, 0, a, "another's list");
    bad = good;
    bad.region_count++;
    CHECK_STR(audit_config(&bad), "a region has no partition");
}

/* Those of 1 and 2 meet by a channel and by a window; without the reason they may not. */
TEST(what_is_shared)
{
    u32 seen = 0;

    ASSERT(make());
    bad = good;
    bad.vdev_count = 0;
    CHECK(strstr(audit_config(&bad), "meet"));
    bad = good;
    bad.vdev[0].partition = 0;
    CHECK(strstr(audit_config(&bad), "meet"));
    for (u32 i = FIRST(2); i < good.region_count; i++) {
        if (!(good.region[i].flags & METAL_REGION_SHARED))
            continue;
        bad = good;
        bad.region[i].size -= 4096;
        CHECK(strstr(audit_config(&bad), "meet"));
        bad = good;
        bad.region[i].flags &= ~METAL_REGION_SHARED;
        CHECK(strstr(audit_config(&bad), "meet"));
        seen++;
    }
    CHECK_EQ(seen, 2);
}

TEST_MAIN()
