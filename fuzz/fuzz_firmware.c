/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fw_cfg and flash: descriptors of transfers that the input makes, and commands in any order. Only
 * what is writable changes, and the flash tells of no change outside of it.
 */
#include "device/cfi_flash.h"
#include "device/fw_cfg.h"
#include "tests/fake.h"

#define RAM      UINT64_C(0x80000000)
#define RAM_SIZE UINT64_C(0x4000)
#define FILE_LEN 100

enum { SELECT = 8, DMA = 16 };

static struct {
    struct gmem gmem;
    struct fw_cfg fw;
    struct cfi_flash flash;
    u8 *constant, *changing; /* on the heap, with their edges */
    u8 *array;
} board;

static void written(void *ctx, u64 offset, u64 len)
{
    ASSERT(!board.flash.readonly && range_within(offset, len, 0, CFI_FLASH_SIZE));
    memset(board.array + offset, 0, len); /* as it was */
}

static void make(bool readonly)
{
    struct fw_cfg_config fw = {.id = "fw-cfg", .gmem = &board.gmem};
    struct cfi_flash_config flash = {.id = "flash", .readonly = readonly, .written = written};

    if (!board.array)
        board.array = calloc(1, CFI_FLASH_SIZE);
    ASSERT(board.array);
    flash.array = board.array;
    fake_gmem_init(&board.gmem, RAM, RAM_SIZE);
    fw_cfg_init(&board.fw, &fw);
    cfi_flash_init(&board.flash, &flash);
    board.constant = calloc(1, FILE_LEN);
    board.changing = calloc(1, FILE_LEN);
    ASSERT(board.constant && board.changing);
    ASSERT(fw_cfg_add_file(&board.fw, "etc/constant", board.constant, FILE_LEN));
    ASSERT(fw_cfg_add_writable(&board.fw, "etc/changing", board.changing, FILE_LEN));
}

/* A transfer: control, length and address from the input, mostly such as are served. */
static void transfer(const u8 *in)
{
    u32 at = le16_load(in) % (RAM_SIZE - 16);
    u8 *d = fake_gmem_at(&board.gmem, RAM + at);

    be32_store(d, (u32)in[2] | (u32)(in[3] & 0x3f) << 16);
    be32_store(d + 4, in[4] & 0x80 ? le32_load(in + 4) : in[4]);
    be64_store(d + 8, in[8] & 1 ? RAM + le16_load(in + 6) : le32_load(in + 5) * UINT64_C(0x100));
    fake_write(&board.fw.dev, DMA, 4, 0);
    fake_write(&board.fw.dev, DMA + 4, 4, __builtin_bswap32((u32)RAM + at));
}

static void command(const u8 *in)
{
    static const u8 known[] = {0x20, 0xd0, 0x40, 0x10, 0xe8, 0x70, 0x90, 0x98,
                               0x50, 0x60, 0x01, 0xff, 0xc0, 0x2f, 0x00, 0x55};
    u64 offset = (in[2] & 1 ? CFI_FLASH_SIZE - 8 : 0) + (in[2] & 2 ? le32_load(in + 3) : in[3]);
    u32 size = 1u << (in[1] & 3), value = in[2] & 4 ? le32_load(in + 4) : known[in[4] & 15];
    u64 read;

    offset = align_down(offset % CFI_FLASH_SIZE, size);
    if (in[2] & 8)
        value |= value << 16;
    if (in[2] & 16)
        (void)!device_read(&board.flash.dev, offset, size, &read);
    else
        (void)!device_write(&board.flash.dev, offset, size, value);
}

static void registers(const u8 *in)
{
    u32 size = 1u << (in[1] & 3);
    u64 offset = align_down(in[2] % FW_CFG_SIZE, size), value;

    if (in[1] & 4)
        (void)!device_write(&board.fw.dev, SELECT, 2, (u64)(in[3] % 40) << 8);
    else if (in[1] & 8)
        (void)!device_write(&board.fw.dev, offset, size, le32_load(in + 4));
    else
        (void)!device_read(&board.fw.dev, offset, size, &value);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    enum { STEP = 10 };

    make(size && data[0] & 0x80);
    for (; size >= STEP; data += STEP, size -= STEP) {
        if (data[0] % 3 == 0)
            transfer(data + 1);
        else if (data[0] % 3 == 1)
            registers(data);
        else
            command(data);
    }
    for (u32 i = 0; i < FILE_LEN; i++)
        ASSERT(!board.constant[i]);
    free(board.constant);
    free(board.changing);
    fake_gmem_fini(&board.gmem);
    return 0;
}
