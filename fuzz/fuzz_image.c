/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the image loaders and the boot plan behind them (libFuzzer). */
#include "machine/boot_plan.h"

#include "tests/fake.h"

#define RAM      UINT64_C(0x80000000)
#define RAM_SIZE (4 * MIB)

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* The first byte says what the rest is; all else is small and sound. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static const u8 dtb[64], initrd[5000];
    struct boot_files files = {0};
    struct boot_plan plan;
    struct gmem gmem;
    struct err err;
    static u8 *ram;

    if (!size)
        return 0;
    if (!ram)
        ram = malloc(RAM_SIZE);
    ASSERT(ram);
    gmem = (struct gmem){.count = 1, .region = {{RAM, RAM_SIZE, ram, false}}};
    if (data[0] & 1)
        files.firmware = (struct image_source){"firmware", data + 1, size - 1};
    if (data[0] & 2)
        files.kernel = (struct image_source){"kernel", data + 1, size - 1};
    if (data[0] & 4)
        files.initrd = (struct image_source){"initrd", initrd, sizeof(initrd)};
    if (boot_plan_load(&plan, &files, &gmem, RAM, &err) ||
        boot_plan_dtb(&plan, "dtb", dtb, sizeof(dtb), &gmem, &err))
        return 0;
    for (u32 i = 0; i < BOOT_PARTS; i++)
        ASSERT(
            plan.part[i].start == plan.part[i].end ||
            range_within(plan.part[i].start, plan.part[i].end - plan.part[i].start, RAM, RAM_SIZE));
    return 0;
}
