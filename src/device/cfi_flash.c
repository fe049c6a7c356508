/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CFI parallel NOR flash with Intel's command set 0001 (JEDEC JESD68.01; Intel AP-646; Intel
 * StrataFlash data sheets), two 16-bit chips on a 32-bit bus.
 *
 * Theory of operation. Both chips get the same commands, so one state serves both; answers that a
 * chip gives on its 16 bits stand twice in the 32. A write is a command cycle or, after one, the
 * cycle that the command waits for. Erase and program are done at once: status is always ready.
 * Programming clears bits, erasing sets them; errors stay in status until cleared. What reads
 * give follows the last command: the array, status, identifiers or the CFI table.
 */
#include "device/cfi_flash.h"

#include "base/bits.h"
#include "base/endian.h"
#include "base/mem.h"

enum {
    CMD_PROGRAM_ALT = 0x10,
    CMD_LOCK_SET = 0x01,
    CMD_ERASE = 0x20,
    CMD_ERASE_ALT = 0x28,
    CMD_LOCK_DOWN = 0x2f,
    CMD_PROGRAM = 0x40,
    CMD_CLEAR_STATUS = 0x50,
    CMD_LOCK = 0x60,
    CMD_STATUS = 0x70,
    CMD_ID = 0x90,
    CMD_QUERY = 0x98,
    CMD_CONFIRM = 0xd0,
    CMD_BUFFER = 0xe8,
    CMD_AMD_RESET = 0xf0,
    CMD_ARRAY = 0xff,
};
enum { STATUS_LOCKED = 0x02, STATUS_PROGRAM = 0x10, STATUS_ERASE = 0x20, STATUS_READY = 0x80 };
enum { ID_MANUFACTURER = 0x89, ID_DEVICE = 0x18 };
enum { BANK = 4 };

/* One chip's: 16 MiB, 128 KiB blocks, 2 KiB write buffer; powers of two as the standard asks. */
static const u8 cfi_table[] = {
    [0x10] = 'Q',
    [0x11] = 'R',
    [0x12] = 'Y',
    [0x13] = 0x01, /* command set 0001 */
    [0x15] = 0x31, /* its table below */
    [0x1b] = 0x45, /* Vcc 4.5 V to 5.5 V */
    [0x1c] = 0x55,
    [0x1f] = 0x07, /* typical times: word, buffer 2^n us, block erase 2^n ms */
    [0x20] = 0x07,
    [0x21] = 0x0a,
    [0x23] = 0x04, /* longest times, 2^n times typical */
    [0x24] = 0x04,
    [0x25] = 0x04,
    [0x27] = 24,   /* 2^n bytes */
    [0x28] = 0x02, /* x8/x16 */
    [0x2a] = 0x0b, /* write buffer 2^n bytes */
    [0x2c] = 1,    /* one region of equal blocks: count - 1, size / 256 */
    [0x2d] = (CFI_FLASH_SIZE / CFI_FLASH_BLOCK - 1) & 0xff,
    [0x2e] = (CFI_FLASH_SIZE / CFI_FLASH_BLOCK - 1) >> 8,
    [0x2f] = (CFI_FLASH_BLOCK / 2 / 256) & 0xff,
    [0x30] = (CFI_FLASH_BLOCK / 2 / 256) >> 8,
    [0x31] = 'P',
    [0x32] = 'R',
    [0x33] = 'I',
    [0x34] = '1',
    [0x35] = '0',
    [0x3f] = 0x01, /* protection fields */
};

static struct cfi_flash *flash_of(struct device *dev)
{
    return CONTAINER_OF(dev, struct cfi_flash, dev);
}

static bool block_is_locked(const struct cfi_flash *flash, u64 offset)
{
    u64 block = offset / CFI_FLASH_BLOCK;

    return flash->locked[block / 64] & BIT(block % 64);
}

/* May the block at offset change? Otherwise the error goes into status. */
static bool may_change(struct cfi_flash *flash, u64 offset, u8 error)
{
    if (flash->array && !flash->readonly && !block_is_locked(flash, offset))
        return true;
    flash->status |= error;
    if (block_is_locked(flash, offset))
        flash->status |= STATUS_LOCKED;
    return false;
}

static void array_mode(struct cfi_flash *flash)
{
    flash->mode = CMD_ARRAY;
    flash->cycle = 0;
}

static void command_done(struct cfi_flash *flash)
{
    flash->cycle = 0;
    flash->status |= STATUS_READY;
}

static void command_error(struct cfi_flash *flash, u8 mode, u32 value)
{
    log_guest(flash->dev.log, &flash->dev.limit, flash->dev.id,
              "cycle %u of command 0x%02x does not know 0x%x", flash->cycle, mode, value);
    flash->status |= STATUS_PROGRAM | STATUS_ERASE; /* a command sequence error sets both */
    array_mode(flash);
}

static void tell_written(const struct cfi_flash *flash, u64 offset, u64 len)
{
    if (flash->written)
        flash->written(flash->ctx, offset, len);
}

static void erase(struct cfi_flash *flash)
{
    u64 offset = align_down(flash->block, CFI_FLASH_BLOCK);

    if (!may_change(flash, offset, STATUS_ERASE))
        return;
    memset(flash->array + offset, 0xff, CFI_FLASH_BLOCK);
    tell_written(flash, offset, CFI_FLASH_BLOCK);
}

static void program(struct cfi_flash *flash, u64 offset, const u8 *bytes, u32 len)
{
    if (!may_change(flash, offset, STATUS_PROGRAM))
        return;
    for (u32 i = 0; i < len; i++)
        flash->array[offset + i] &= bytes[i];
    tell_written(flash, offset, len);
}

static void set_lock(struct cfi_flash *flash, bool lock)
{
    u64 block = flash->block / CFI_FLASH_BLOCK, bit = BIT(block % 64);

    flash->locked[block / 64] = bits_merge(flash->locked[block / 64], bit, lock ? bit : 0);
}

static void first_cycle(struct cfi_flash *flash, u64 offset, u8 command)
{
    switch (command) {
    case CMD_PROGRAM:
    case CMD_PROGRAM_ALT:
    case CMD_ERASE:
    case CMD_ERASE_ALT:
    case CMD_LOCK:
    case CMD_BUFFER:
        flash->mode = command;
        flash->cycle = 1;
        flash->block = offset;
        flash->status |= STATUS_READY;
        break;
    case CMD_STATUS:
    case CMD_ID:
    case CMD_QUERY:
        flash->mode = command;
        break;
    case CMD_CLEAR_STATUS:
        flash->status = STATUS_READY;
        array_mode(flash);
        break;
    case 0:
    case CMD_AMD_RESET: /* drivers that probe for AMD chips send it */
    case CMD_ARRAY:
        array_mode(flash);
        break;
    default:
        log_guest(flash->dev.log, &flash->dev.limit, flash->dev.id, "unknown command 0x%02x",
                  command); /* perhaps a probe for another command set: no error in status */
        array_mode(flash);
    }
}

/* Cycle 1 gives the count less 1, then come the words within one buffer's place, then confirm. */
static void buffer_cycle(struct cfi_flash *flash, u64 offset, u32 size, u32 value)
{
    u8 bytes[BANK];

    if (flash->cycle == 1) {
        flash->expected = (value & 0xffff) + 1;
        flash->target = CFI_FLASH_NOWHERE;
        memset(flash->buffer, 0xff, sizeof(flash->buffer));
        if (flash->expected > CFI_FLASH_BUFFER / BANK) {
            command_error(flash, CMD_BUFFER, value);
            return;
        }
        flash->cycle = 2;
    } else if (flash->cycle == 2) {
        if (flash->target == CFI_FLASH_NOWHERE)
            flash->target = align_down(offset, CFI_FLASH_BUFFER);
        le32_store(bytes, value);
        if (align_down(offset, CFI_FLASH_BUFFER) == flash->target)
            memcpy(flash->buffer + offset % CFI_FLASH_BUFFER, bytes, size);
        else
            flash->status |= STATUS_PROGRAM;
        if (--flash->expected == 0)
            flash->cycle = 3;
    } else if ((value & 0xff) == CMD_CONFIRM) {
        program(flash, flash->target, flash->buffer, sizeof(flash->buffer));
        command_done(flash);
    } else {
        command_error(flash, CMD_BUFFER, value);
    }
}

static void lock_cycle(struct cfi_flash *flash, u32 value)
{
    switch (value & 0xff) {
    case CMD_CONFIRM: /* unlock */
        set_lock(flash, false);
        command_done(flash);
        break;
    case CMD_LOCK_SET:
    case CMD_LOCK_DOWN:
        set_lock(flash, true);
        command_done(flash);
        break;
    case CMD_ARRAY:
        array_mode(flash);
        break;
    default:
        command_error(flash, CMD_LOCK, value);
    }
}

static void erase_cycle(struct cfi_flash *flash, u32 value)
{
    if ((value & 0xff) == CMD_CONFIRM) {
        erase(flash);
        command_done(flash);
    } else if ((value & 0xff) == CMD_ARRAY) {
        array_mode(flash);
    } else {
        command_error(flash, CMD_ERASE, value);
    }
}

static void bank_write(struct cfi_flash *flash, u64 offset, u32 size, u32 value)
{
    u8 bytes[BANK];

    if (flash->cycle == 0) {
        first_cycle(flash, offset, (u8)value);
        return;
    }
    switch (flash->mode) {
    case CMD_PROGRAM:
    case CMD_PROGRAM_ALT:
        le32_store(bytes, value);
        program(flash, offset, bytes, size);
        command_done(flash);
        break;
    case CMD_BUFFER:
        buffer_cycle(flash, offset, size, value);
        break;
    case CMD_LOCK:
        lock_cycle(flash, value);
        break;
    default:
        erase_cycle(flash, value);
    }
}

static u16 chip_id(const struct cfi_flash *flash, u64 offset)
{
    switch (offset / BANK & 0xff) {
    case 0:
        return ID_MANUFACTURER;
    case 1:
        return ID_DEVICE;
    case 2:
        return block_is_locked(flash, offset);
    default:
        return 0;
    }
}

static u32 bank_read(const struct cfi_flash *flash, u64 offset)
{
    u64 word = offset / BANK;
    u32 chip;

    switch (flash->mode) {
    case CMD_ARRAY:
        return flash->array ? le32_load(flash->array + align_down(offset, BANK)) : UINT32_MAX;
    case CMD_ID:
        chip = chip_id(flash, offset);
        break;
    case CMD_QUERY:
        chip = word < sizeof(cfi_table) ? cfi_table[word] : 0;
        break;
    default:
        chip = flash->status;
    }
    return chip | chip << 16;
}

static bool flash_read(struct device *dev, u64 offset, u32 size, u64 *value)
{
    struct cfi_flash *flash = flash_of(dev);

    *value = bank_read(flash, offset) >> (8 * (offset % BANK));
    if (size == 8)
        *value |= (u64)bank_read(flash, offset + BANK) << 32;
    return true;
}

static bool flash_write(struct device *dev, u64 offset, u32 size, u64 value)
{
    struct cfi_flash *flash = flash_of(dev);

    bank_write(flash, offset, size < BANK ? size : BANK, (u32)value);
    if (size == 8)
        bank_write(flash, offset + BANK, BANK, (u32)(value >> 32));
    return true;
}

static void flash_reset(struct device *dev)
{
    struct cfi_flash *flash = flash_of(dev);

    flash->status = STATUS_READY;
    memset(flash->locked, 0, sizeof(flash->locked));
    array_mode(flash);
}

static const struct device_class flash_class = {
    .name = "cfi-flash",
    .mmio_size = CFI_FLASH_SIZE,
    .reset = flash_reset,
    .read = flash_read,
    .write = flash_write,
    .compatible = "cfi-flash",
};

void cfi_flash_init(struct cfi_flash *flash, const struct cfi_flash_config *config)
{
    memset(flash, 0, sizeof(*flash));
    device_init(&flash->dev, &flash_class, config->id, config->base, config->log);
    flash->array = config->array;
    flash->readonly = config->readonly;
    flash->written = config->written;
    flash->ctx = config->ctx;
    device_reset(&flash->dev);
}
