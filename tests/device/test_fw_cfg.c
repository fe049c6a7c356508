/* SPDX-License-Identifier: BSD-2-Clause */
/* fw_cfg: items, directory, DMA, byte order, and what a guest may not do. */
#include "device/fw_cfg.h"

#include "tests/fake.h"
#include "tests/test.h"

enum { DATA = 0, SELECTOR = 8, DMA = 16 };
enum { ERROR = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };
#define RAM   0x80000000
#define BLOCK (RAM + 0x100)

static struct fw_cfg fw;
static struct gmem gmem;
static const char hello[] = "hello, world";
static u8 scratch[16];

static struct device *make(void)
{
    struct fw_cfg_config config = {.id = "fw-cfg", .base = 0x10100000, .gmem = &gmem};

    fake_gmem_init(&gmem, RAM, 0x10000);
    memset(scratch, 0, sizeof(scratch));
    fw_cfg_init(&fw, &config);
    CHECK(fw_cfg_add_file(&fw, "opt/hello", hello, 12));
    CHECK(fw_cfg_add_writable(&fw, "etc/scratch", scratch, sizeof(scratch)));
    return &fw.dev;
}

static void drop(void)
{
    fake_gmem_fini(&gmem);
}

static void select_key(u16 key)
{
    fake_write(&fw.dev, SELECTOR, 2, __builtin_bswap16(key));
}

static u32 dma(u32 control, u32 len, u64 address)
{
    u8 *block = fake_gmem_at(&gmem, BLOCK);

    be32_store(block, control);
    be32_store(block + 4, len);
    be64_store(block + 8, address);
    fake_write(&fw.dev, DMA, 8, __builtin_bswap64(BLOCK));
    return be32_load(block);
}

TEST(signature_and_id)
{
    struct device *dev = make();

    CHECK_EQ(fake_read(dev, DATA, 4), 0x554d4551); /* "QEMU" in memory order */
    CHECK_EQ(fake_read(dev, DATA, 4), 0);
    select_key(FW_CFG_ID);
    CHECK_EQ(fake_read(dev, DATA, 1), 3);
    CHECK_EQ(fake_read(dev, DATA, 8), 0);
    CHECK_EQ(fake_read(dev, DMA, 8), UINT64_C(0x47464320554d4551)); /* "QEMU CFG" */
    CHECK_EQ(fake_read(dev, DMA + 4, 4), 0x47464320);
    select_key(0x3fff);
    CHECK_EQ(fake_read(dev, DATA, 8), 0);
    drop();
}

TEST(directory)
{
    struct device *dev = make();
    u8 entry[64];

    select_key(FW_CFG_FILE_DIR);
    CHECK_EQ(__builtin_bswap32((u32)fake_read(dev, DATA, 4)), 2);
    for (u32 i = 0; i < 64; i += 8)
        le64_store(entry + i, fake_read(dev, DATA, 8));
    CHECK_EQ(be32_load(entry), 12);
    CHECK_EQ(be16_load(entry + 4), 0x20);
    CHECK_STR((char *)entry + 8, "opt/hello");
    select_key(0x20);
    for (u32 i = 0; i < 12; i++)
        CHECK_EQ(fake_read(dev, DATA + i % 8, 1), hello[i]);
    CHECK_EQ(fake_read(dev, DATA, 1), 0);
    drop();
}

TEST(dma_reads_skips_and_pads)
{
    make();
    memset(fake_gmem_at(&gmem, RAM), 0xee, 32);
    CHECK_EQ(dma(0x20 << 16 | SELECT | SKIP, 7, 0), 0);
    CHECK_EQ(dma(READ, 8, RAM), 0);
    CHECK(!memcmp(fake_gmem_at(&gmem, RAM), "world\0\0\0\xee", 9));
    CHECK_EQ(dma(SKIP, 0xffffffff, 0), 0);
    CHECK_EQ(dma(READ, 0, 0), 0);
    CHECK_EQ(dma(0x21 << 16 | SELECT, 0, 0), 0);
    CHECK_EQ(dma(READ, 0x8000, RAM + 0x1000), 0);
    drop();
}

TEST(dma_address_in_halves)
{
    struct device *dev = make();
    u8 *block = fake_gmem_at(&gmem, BLOCK);

    be32_store(block, 0x20 << 16 | SELECT | READ);
    be32_store(block + 4, 5);
    be64_store(block + 8, RAM);
    fake_write(dev, DMA, 4, 0);
    fake_write(dev, DMA + 4, 4, __builtin_bswap32(BLOCK));
    CHECK_EQ(be32_load(block), 0);
    CHECK(!memcmp(fake_gmem_at(&gmem, RAM), "hello", 5));
    drop();
}

TEST(dma_writes_only_where_allowed)
{
    make();
    memcpy(fake_gmem_at(&gmem, RAM), "0123456789abcdefXYZ", 19);
    CHECK_EQ(dma(0x21 << 16 | SELECT | WRITE, 16, RAM), 0);
    CHECK(!memcmp(scratch, "0123456789abcdef", 16));
    CHECK_EQ(dma(0x21 << 16 | SELECT | SKIP, 10, 0), 0);
    CHECK_EQ(dma(WRITE, 6, RAM), 0);
    CHECK(!memcmp(scratch, "0123456789012345", 16));
    CHECK_EQ(dma(WRITE, 1, RAM), ERROR); /* at the end */
    CHECK_EQ(dma(0x21 << 16 | SELECT | WRITE, 17, RAM), ERROR);
    CHECK_EQ(dma(0x20 << 16 | SELECT | WRITE, 4, RAM), ERROR);
    CHECK_EQ(dma(0x3000 << 16 | SELECT | WRITE, 4, RAM), ERROR);
    CHECK(!memcmp(hello, "hello", 5));
    drop();
}

TEST(dma_outside_memory)
{
    struct device *dev = make();

    CHECK_EQ(dma(0x20 << 16 | SELECT | READ, 12, RAM + 0xfff8), ERROR);
    CHECK_EQ(dma(READ, 0xffffffff, RAM), ERROR);
    CHECK_EQ(dma(READ, 12, UINT64_MAX - 3), ERROR);
    CHECK_EQ(dma(0x21 << 16 | SELECT | WRITE, 12, 0x1000), ERROR);
    fake_write(dev, DMA, 8, __builtin_bswap64(UINT64_MAX - 7)); /* the block itself */
    fake_write(dev, DMA, 8, __builtin_bswap64(RAM + 0xfff4));
    fake_write(dev, DMA, 8, 0);
    drop();
}

TEST(adding)
{
    char name[80];

    make();
    CHECK(!fw_cfg_add(&fw, FW_CFG_ID, hello, 1));
    CHECK(!fw_cfg_add_file(&fw, "opt/hello", hello, 1));
    memset(name, 'n', sizeof(name));
    name[56] = 0;
    CHECK(!fw_cfg_add_file(&fw, name, hello, 1));
    name[55] = 0;
    CHECK(fw_cfg_add_file(&fw, name, hello, 1));
    for (u32 i = 3; i < FW_CFG_FILES_MAX; i++) {
        snprintf(name, sizeof(name), "opt/%u", i);
        CHECK(fw_cfg_add_file(&fw, name, hello, 1));
    }
    CHECK(!fw_cfg_add_file(&fw, "opt/more", hello, 1));
    CHECK(fw_cfg_add(&fw, FW_CFG_KERNEL_DATA, hello, 12));
    select_key(FW_CFG_KERNEL_DATA);
    CHECK_EQ(fake_read(&fw.dev, DATA, 1), 'h');
    drop();
}

TEST(refused_widths)
{
    struct device *dev = make();
    u64 value;

    CHECK(!device_read(dev, SELECTOR, 2, &value));
    CHECK(!device_write(dev, SELECTOR, 1, 0));
    CHECK(!device_write(dev, SELECTOR, 4, 0));
    CHECK(!device_write(dev, DMA, 2, 0));
    CHECK(!device_write(dev, DMA + 6, 2, 0));
    CHECK(!device_read(dev, 0x18, 1, &value));
    fake_write(dev, DATA, 4, 0); /* ignored since QEMU 2.4 */
    drop();
}

TEST(hostile)
{
    struct device *dev = make();
    u64 seed = 11;

    fake_hammer(dev, FW_CFG_SIZE, 200, 8);
    for (u32 i = 0; i < 2000; i++) {
        u64 r = test_random(&seed);
        dma((u32)r & 0x3f001f, r & 0x40000000 ? (u32)(r >> 32) : (u32)(r >> 32) % 0x200,
            RAM + (test_random(&seed) & 0x1ffff) - 0x8000);
    }
    drop();
}

TEST_MAIN()
