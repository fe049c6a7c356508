/* SPDX-License-Identifier: BSD-2-Clause */
/* Boot plan: places in ample and scarce RAM, overlaps, and RAM too small for anything. */
#include "machine/boot_plan.h"

#include "tests/fake.h"
#include "tests/test.h"

#define RAM UINT64_C(0x80000000)

static struct gmem gmem;
static struct boot_plan plan;
static struct err err;
static u8 dtb[8192];

static struct image_source source(const char *name, size_t size)
{
    return (struct image_source){name, calloc(1, size), size};
}

/* Loads files of these sizes (0: absent) into ram_size bytes of RAM. */
static int load(u64 ram_size, size_t firmware, size_t kernel, size_t initrd)
{
    struct boot_files files = {0};
    int rc;

    if (firmware)
        files.firmware = source("fw", firmware);
    if (kernel)
        files.kernel = source("Image", kernel);
    if (initrd)
        files.initrd = source("initrd.cpio", initrd);
    err.msg[0] = '\0';
    fake_gmem_init(&gmem, RAM, ram_size);
    rc = boot_plan_load(&plan, &files, &gmem, RAM, &err);
    if (!rc)
        rc = boot_plan_dtb(&plan, "made", dtb, sizeof(dtb), &gmem, &err);
    free((void *)(uintptr_t)files.firmware.bytes);
    free((void *)(uintptr_t)files.kernel.bytes);
    free((void *)(uintptr_t)files.initrd.bytes);
    fake_gmem_fini(&gmem);
    return rc;
}

static bool says(const char *text)
{
    if (strstr(err.msg, text))
        return true;
    printf("# said: %s\n", err.msg);
    return false;
}

static void check_disjoint(u64 ram_size)
{
    for (u32 i = 0; i < BOOT_PARTS; i++) {
        const struct boot_part *a = &plan.part[i];
        CHECK(a->start == a->end || range_within(a->start, a->end - a->start, RAM, ram_size));
        for (u32 j = 0; j < i; j++) {
            const struct boot_part *b = &plan.part[j];
            CHECK(!range_overlaps(a->start, a->end - a->start, b->start, b->end - b->start));
        }
    }
}

/* QEMU 7.2 puts them here with -m 128 and -m 4096. */
TEST(ample)
{
    CHECK_EQ(load(128 * MIB, 115328, 20 * MIB, 8 * MIB), 0);
    CHECK_EQ(plan.firmware_entry, RAM);
    CHECK_EQ(plan.kernel_entry, 0x80200000);
    CHECK_EQ(plan.initrd, 0x84200000);
    CHECK_EQ(plan.initrd_size, 8 * MIB);
    CHECK_EQ(plan.dtb, 0x87e00000);
    check_disjoint(128 * MIB);
}

TEST(dtb_below_3_gib)
{
    CHECK_EQ(load(2 * GIB, 0, 20 * MIB, 8 * MIB), 0);
    CHECK_EQ(plan.firmware_entry, 0);
    CHECK_EQ(plan.initrd, 0x80200000 + 512 * MIB);
    CHECK_EQ(plan.dtb, 0xbfe00000);
    check_disjoint(2 * GIB);
}

TEST(big_firmware_moves_the_kernel)
{
    CHECK_EQ(load(64 * MIB, 3 * MIB, 4 * MIB, 0), 0);
    CHECK_EQ(plan.kernel_entry, RAM + 4 * MIB);
    CHECK_EQ(plan.initrd_size, 0);
    check_disjoint(64 * MIB);
}

TEST(initrd_after_a_big_kernel)
{
    CHECK_EQ(load(64 * MIB, 0, 40 * MIB, 10 * MIB), 0);
    CHECK_EQ(plan.initrd, RAM + 42 * MIB);
    check_disjoint(64 * MIB);
    CHECK_EQ(load(64 * MIB, 0, 10 * MIB, 51 * MIB), 0); /* not above half */
    CHECK_EQ(plan.initrd, RAM + 12 * MIB);
    check_disjoint(64 * MIB);
}

TEST(initrd_fills_ram)
{
    CHECK_EQ(load(64 * MIB, 0, 10 * MIB, 52 * MIB), 0);
    CHECK_EQ(plan.initrd + plan.initrd_size, RAM + 64 * MIB);
    CHECK(plan.dtb < RAM + 2 * MIB); /* the only room left */
    check_disjoint(64 * MIB);
    CHECK(load(64 * MIB, 2 * MIB, 10 * MIB, 52 * MIB) < 0);
    CHECK(says("device tree 'made'"));
    CHECK(says("-m 128M"));
}

TEST(initrd_larger_than_ram)
{
    CHECK(load(32 * MIB, 0, 10 * MIB, 40 * MIB) < 0);
    CHECK(says("initrd 'initrd.cpio' (40960 KiB) does not fit"));
    CHECK(says("give the guest more memory with -m 64M"));
}

TEST(one_mib)
{
    CHECK(load(MIB, 0, 100, 0) < 0);
    CHECK(says("kernel 'Image'"));
    CHECK(says("give the guest more memory with -m 64M"));
    CHECK(load(MIB, 2 * MIB, 0, 0) < 0);
    CHECK(says("firmware 'fw'"));
    CHECK_EQ(load(MIB, 100 * KIB, 0, 0), 0); /* firmware alone can live there */
    check_disjoint(MIB);
}

/* All RAM sizes from a page up: a plan without overlaps, or a sentence. */
TEST(every_small_ram)
{
    for (u64 pages = 1; pages < 3000; pages += pages < 40 ? 1 : 37) {
        int rc = load(pages * 4096, pages % 2 ? 70000 : 0, 123456, 654321);

        if (rc)
            CHECK(says("-m 64M"));
        else
            check_disjoint(pages * 4096);
    }
}

TEST(nothing_to_boot)
{
    CHECK(load(64 * MIB, 0, 0, 0) < 0);
    CHECK(says("--kernel"));
    CHECK(load(64 * MIB, 0, 0, 100) < 0);
}

TEST(no_ram)
{
    struct boot_files files = {.kernel = {"x", dtb, 1}};

    fake_gmem_init(&gmem, RAM, MIB);
    CHECK(boot_plan_load(&plan, &files, &gmem, 0x1000, &err) < 0);
    fake_gmem_fini(&gmem);
}

/* A kernel linked where the firmware lies. */
TEST(overlap_is_named)
{
    struct boot_files files = {.firmware = source("fw.bin", 4096), .kernel = source("k.elf", 256)};
    u8 *f = (u8 *)(uintptr_t)files.kernel.bytes;

    memcpy(f,
           "\x7f"
           "ELF\x02\x01\x01",
           7);
    le16_store(f + 16, 2);
    le16_store(f + 18, 243);
    le64_store(f + 24, RAM);
    le64_store(f + 32, 64);
    le16_store(f + 54, 56);
    le16_store(f + 56, 1);
    le32_store(f + 64, 1);
    le64_store(f + 64 + 16, RAM);
    le64_store(f + 64 + 24, RAM);
    le64_store(f + 64 + 32, 256);
    le64_store(f + 64 + 40, 256);
    fake_gmem_init(&gmem, RAM, 64 * MIB);
    CHECK(boot_plan_load(&plan, &files, &gmem, RAM, &err) < 0);
    CHECK(says("kernel 'k.elf' (0x80000000-0x80000100) overlaps firmware 'fw.bin'"));
    fake_gmem_fini(&gmem);
    free((void *)(uintptr_t)files.firmware.bytes);
    free(f);
}

TEST_MAIN()
