/* SPDX-License-Identifier: BSD-2-Clause */
/* CFI flash: query, identifiers, erase, program, buffered program, locks, read-only. */
#include "device/cfi_flash.h"

#include "tests/fake.h"
#include "tests/test.h"

#define READY 0x00800080

static struct cfi_flash flash;
static u8 *array;
static u64 written_bytes;

static void written(void *ctx, u64 offset, u64 len)
{
    CHECK(offset + len <= CFI_FLASH_SIZE);
    written_bytes += len;
}

static struct device *make(bool readonly, bool empty)
{
    struct cfi_flash_config config = {
        .id = "flash0", .base = 0x20000000, .readonly = readonly, .written = written};

    if (!array)
        array = malloc(CFI_FLASH_SIZE);
    memset(array, 0x5a, 2 * CFI_FLASH_BLOCK);
    config.array = empty ? NULL : array;
    written_bytes = 0;
    cfi_flash_init(&flash, &config);
    return &flash.dev;
}

static void command(u64 offset, u8 value)
{
    fake_write(&flash.dev, offset, 4, value | (u32)value << 16);
}

static u32 status(void)
{
    u32 value;

    command(0, 0x70);
    value = (u32)fake_read(&flash.dev, 0, 4);
    command(0, 0x50);
    command(0, 0xff);
    return value;
}

TEST(array_at_any_width)
{
    struct device *dev = make(false, false);

    for (u32 i = 0; i < 16; i++)
        array[i] = (u8)i;
    CHECK_EQ(fake_read(dev, 3, 1), 3);
    CHECK_EQ(fake_read(dev, 6, 2), 0x0706);
    CHECK_EQ(fake_read(dev, 8, 4), 0x0b0a0908);
    CHECK_EQ(fake_read(dev, 8, 8), UINT64_C(0x0f0e0d0c0b0a0908));
}

TEST(cfi_query)
{
    struct device *dev = make(false, false);

    command(0x55 * 4, 0x98);
    CHECK_EQ(fake_read(dev, 0x10 * 4, 4), 'Q' | 'Q' << 16);
    CHECK_EQ(fake_read(dev, 0x11 * 4, 4), 'R' | 'R' << 16);
    CHECK_EQ(fake_read(dev, 0x12 * 4, 1), 'Y');
    CHECK_EQ(fake_read(dev, 0x13 * 4, 2), 1);
    CHECK_EQ(fake_read(dev, 0x27 * 4, 2), 24);
    CHECK_EQ((fake_read(dev, 0x2d * 4, 1) | fake_read(dev, 0x2e * 4, 1) << 8) + 1, 128);
    CHECK_EQ((fake_read(dev, 0x2f * 4, 1) | fake_read(dev, 0x30 * 4, 1) << 8) * 256, 0x20000);
    CHECK_EQ(fake_read(dev, 0x31 * 4, 1), 'P');
    CHECK_EQ(fake_read(dev, CFI_FLASH_SIZE - 4, 4), 0);
    command(0, 0xff);
    CHECK_EQ(fake_read(dev, 0x40, 4), 0x5a5a5a5a);
}

TEST(identifiers)
{
    struct device *dev = make(false, false);

    command(0, 0x90);
    CHECK_EQ(fake_read(dev, 0, 4), 0x00890089);
    CHECK_EQ(fake_read(dev, 4, 4), 0x00180018);
    CHECK_EQ(fake_read(dev, 8, 4), 0);
}

TEST(erase_block)
{
    struct device *dev = make(false, false);

    command(CFI_FLASH_BLOCK + 0x100, 0x20);
    command(CFI_FLASH_BLOCK + 0x100, 0xd0);
    CHECK_EQ(fake_read(dev, 0, 4), READY);
    CHECK_EQ(status(), READY);
    CHECK_EQ(array[CFI_FLASH_BLOCK - 1], 0x5a);
    CHECK_EQ(array[CFI_FLASH_BLOCK], 0xff);
    CHECK_EQ(array[2 * CFI_FLASH_BLOCK - 1], 0xff);
    CHECK_EQ(written_bytes, CFI_FLASH_BLOCK);
    command(0, 0x20);
    command(0, 0x12); /* not a confirmation */
    CHECK_EQ(status(), 0x00b000b0);
    CHECK_EQ(array[0], 0x5a);
}

TEST(program_clears_bits)
{
    struct device *dev = make(false, false);

    command(0x20, 0x40);
    fake_write(dev, 0x20, 4, 0xf0f0f0ff);
    CHECK_EQ(status(), READY);
    CHECK_EQ(fake_read(dev, 0x20, 4), 0x5050505a);
    command(0x20, 0x10);
    fake_write(dev, 0x20, 4, 0xffffffff);
    CHECK_EQ(status(), READY);
    CHECK_EQ(fake_read(dev, 0x20, 4), 0x5050505a);
}

TEST(buffered_program)
{
    struct device *dev = make(false, false);

    memset(array, 0xff, CFI_FLASH_BLOCK);
    command(0x1010, 0xe8);
    CHECK_EQ(fake_read(dev, 0x1010, 4), READY);
    fake_write(dev, 0x1010, 4, 0x00030003); /* four words */
    for (u32 i = 0; i < 4; i++)
        fake_write(dev, 0x1010 + 4 * i, 4, 0x11111111 * (i + 1));
    CHECK_EQ(array[0x1010], 0xff);
    command(0x1010, 0xd0);
    CHECK_EQ(status(), READY);
    CHECK_EQ(fake_read(dev, 0x1010, 8), UINT64_C(0x2222222211111111));
    CHECK_EQ(fake_read(dev, 0x1018, 8), UINT64_C(0x4444444433333333));
    CHECK_EQ(array[0x100f], 0xff);
    CHECK_EQ(array[0x1020], 0xff);
}

TEST(buffered_program_errors)
{
    struct device *dev = make(false, false);

    command(0, 0xe8);
    fake_write(dev, 0, 4, 0x04000400); /* one word too many */
    CHECK_EQ(status(), 0x00b000b0);
    command(0, 0xe8);
    fake_write(dev, 0, 4, 0x00010001);
    fake_write(dev, 0, 4, 0);
    fake_write(dev, CFI_FLASH_BUFFER, 4, 0); /* leaves the buffer's place */
    command(0, 0xd0);
    CHECK_EQ(status(), 0x00900090);
    CHECK_EQ(array[CFI_FLASH_BUFFER], 0x5a);
    command(0, 0xe8);
    fake_write(dev, 0x40, 4, 0);
    fake_write(dev, 0x40, 4, 0);
    command(0, 0xff); /* no confirmation */
    CHECK_EQ(status(), 0x00b000b0);
    CHECK_EQ(array[0x40], 0x5a);
}

TEST(locks)
{
    struct device *dev = make(false, false);

    command(CFI_FLASH_BLOCK, 0x60);
    command(CFI_FLASH_BLOCK, 0x01);
    command(0, 0x90);
    CHECK_EQ(fake_read(dev, 8, 4), 0);
    CHECK_EQ(fake_read(dev, CFI_FLASH_BLOCK + 8, 4), 0x00010001);
    command(CFI_FLASH_BLOCK, 0x20);
    command(CFI_FLASH_BLOCK, 0xd0);
    CHECK_EQ(status(), 0x00a200a2);
    CHECK_EQ(array[CFI_FLASH_BLOCK], 0x5a);
    command(CFI_FLASH_BLOCK, 0x60);
    command(CFI_FLASH_BLOCK, 0xd0);
    command(CFI_FLASH_BLOCK, 0x20);
    command(CFI_FLASH_BLOCK, 0xd0);
    CHECK_EQ(status(), READY);
    CHECK_EQ(array[CFI_FLASH_BLOCK], 0xff);
}

TEST(readonly_and_absent)
{
    struct device *dev = make(true, false);

    command(0, 0x20);
    command(0, 0xd0);
    CHECK_EQ(status(), 0x00a000a0);
    command(0, 0x40);
    fake_write(dev, 0, 4, 0);
    CHECK_EQ(status(), 0x00900090);
    CHECK_EQ(array[0], 0x5a);
    dev = make(false, true);
    CHECK_EQ(fake_read(dev, 0x1234, 4), UINT32_MAX);
    CHECK_EQ(fake_read(dev, 0x1238, 8), UINT64_MAX);
    command(0, 0x20);
    command(0, 0xd0);
    CHECK_EQ(status(), 0x00a000a0);
}

TEST(other_probes_leave_the_array)
{
    struct device *dev = make(false, false);

    command(0, 0xf0);
    fake_write(dev, 0x555 * 4, 4, 0x00aa00aa);
    fake_write(dev, 0x2aa * 4, 4, 0x00550055);
    CHECK_EQ(status(), READY);
    CHECK_EQ(fake_read(dev, 0, 4), 0x5a5a5a5a);
}

TEST(hostile)
{
    fake_hammer(make(false, false), 0x100, 100, 12);
    fake_hammer(make(true, false), 0x100, 10, 13);
    fake_hammer(make(false, true), 0x100, 10, 14);
    free(array);
    array = NULL;
}

TEST_MAIN()
