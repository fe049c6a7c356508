/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's firmware configuration device (QEMU, docs/specs/fw_cfg), memory-mapped variant.
 *
 * Registers: data at 0 (8 bytes), selector at 8, DMA address at 16. The selector, the DMA address
 * and everything in the DMA block are big-endian; data is a string of bytes in memory order. A
 * DMA transfer is done within the access that starts it. Writing through the data register ended
 * with QEMU 2.4 and is ignored.
 */
#include "device/fw_cfg.h"

#include "base/assert.h"
#include "base/mem.h"

enum { DATA_AT = 0, SELECTOR_AT = 8, DMA_AT = 16 };
enum { ID_TRADITIONAL = 1, ID_DMA = 2 };
enum { DMA_ERROR = 0x01, DMA_READ = 0x02, DMA_SKIP = 0x04, DMA_SELECT = 0x08, DMA_WRITE = 0x10 };
enum { KEY_WRITE_CHANNEL = 0x4000 };
enum { FILE_ENTRY = 64, DMA_BLOCK = 16 };

static const u8 dma_signature[8] = {'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};

struct dma {
    u32 control, len;
    gpa_t address;
};

static struct fw_cfg *fw_cfg_of(struct device *dev)
{
    return CONTAINER_OF(dev, struct fw_cfg, dev);
}

static const struct fw_cfg_item *item_find(const struct fw_cfg *fw, u16 key)
{
    for (u32 i = 0; i < fw->item_count; i++) {
        if (fw->item[i].key == key)
            return &fw->item[i];
    }
    return NULL;
}

static void select_locked(struct fw_cfg *fw, u16 key)
{
    fw->selector = key;
    fw->cursor = 0;
    fw->current = item_find(fw, key & (u16)~KEY_WRITE_CHANNEL);
}

/* Bytes of the current item from the cursor on. */
static u32 item_left(const struct fw_cfg *fw)
{
    return fw->current ? fw->current->len - fw->cursor : 0;
}

static u64 data_read_locked(struct fw_cfg *fw, u32 size)
{
    u64 value = 0;

    for (u32 i = 0; i < size && item_left(fw); i++)
        value |= (u64)fw->current->data[fw->cursor++] << (8 * i);
    return value;
}

static bool zero_guest(const struct gmem *gmem, gpa_t address, u32 len)
{
    static const u8 zero[4096];

    if (!gmem_is_valid(gmem, address, len, true))
        return false;
    while (len) {
        u32 part = len < sizeof(zero) ? len : (u32)sizeof(zero);

        if (!gmem_write(gmem, address, zero, part))
            return false;
        address += part;
        len -= part;
    }
    return true;
}

/* Item to guest; beyond its end come zeros. */
static bool dma_read_locked(struct fw_cfg *fw, const struct dma *dma)
{
    u32 left = item_left(fw), len = dma->len < left ? dma->len : left;

    if (!gmem_is_valid(fw->gmem, dma->address, dma->len, true))
        return false;
    if (len && !gmem_write(fw->gmem, dma->address, fw->current->data + fw->cursor, len))
        return false;
    fw->cursor += len;
    return zero_guest(fw->gmem, dma->address + len, dma->len - len);
}

static bool dma_write_locked(struct fw_cfg *fw, const struct dma *dma)
{
    if (!fw->current || !fw->current->writable || dma->len > item_left(fw))
        return false;
    if (!gmem_read(fw->gmem, dma->address, fw->current->data + fw->cursor, dma->len))
        return false;
    fw->cursor += dma->len;
    return true;
}

static bool dma_run_locked(struct fw_cfg *fw, const struct dma *dma)
{
    u32 left;

    if (dma->control & DMA_SELECT)
        select_locked(fw, (u16)(dma->control >> 16));
    if (!dma->len)
        return true;
    if (dma->control & DMA_READ)
        return dma_read_locked(fw, dma);
    if (dma->control & DMA_WRITE)
        return dma_write_locked(fw, dma);
    left = item_left(fw);
    if (dma->control & DMA_SKIP)
        fw->cursor += dma->len < left ? dma->len : left;
    return true;
}

/* Runs the block at gpa and answers in its control word: 0, or the error bit. */
static void dma_start_locked(struct fw_cfg *fw, gpa_t gpa)
{
    u8 block[DMA_BLOCK], answer[4];
    u32 control = DMA_ERROR;

    if (fw->gmem && gmem_read(fw->gmem, gpa, block, sizeof(block))) {
        struct dma dma = {be32_load(block), be32_load(block + 4), be64_load(block + 8)};

        control = dma_run_locked(fw, &dma) ? 0 : DMA_ERROR;
    }
    be32_store(answer, control);
    if (!fw->gmem || !gmem_write(fw->gmem, gpa, answer, sizeof(answer)))
        log_guest(fw->dev.log, &fw->dev.limit, fw->dev.id, "DMA block 0x%llx is not in memory",
                  (unsigned long long)gpa);
}

/* Bus values hold bytes in memory order, lowest first. */
static u64 bus_to_be(u64 value, u32 size)
{
    return __builtin_bswap64(value) >> (64 - 8 * size);
}

static bool fw_cfg_read(struct device *dev, u64 offset, u32 size, u64 *value)
{
    struct fw_cfg *fw = fw_cfg_of(dev);

    if (offset < SELECTOR_AT) {
        *value = data_read_locked(fw, size);
        return true;
    }
    if (offset < DMA_AT)
        return false;
    *value = le64_load(dma_signature) >> (8 * (offset - DMA_AT));
    return true;
}

static bool fw_cfg_write(struct device *dev, u64 offset, u32 size, u64 value)
{
    struct fw_cfg *fw = fw_cfg_of(dev);

    value = bus_to_be(value, size);
    if (offset < SELECTOR_AT)
        return true;
    if (offset == SELECTOR_AT && size == 2) {
        select_locked(fw, (u16)value);
        return true;
    }
    if (offset == DMA_AT && size == 4) {
        fw->dma_high = (u32)value;
        return true;
    }
    if ((offset == DMA_AT && size == 8) || (offset == DMA_AT + 4 && size == 4)) {
        gpa_t gpa = size == 8 ? value : (u64)fw->dma_high << 32 | value;

        fw->dma_high = 0;
        dma_start_locked(fw, gpa);
        return true;
    }
    return false;
}

static void fw_cfg_reset(struct device *dev)
{
    struct fw_cfg *fw = fw_cfg_of(dev);

    fw->dma_high = 0;
    select_locked(fw, FW_CFG_SIGNATURE);
}

static const struct device_class fw_cfg_class = {
    .name = "fw-cfg",
    .mmio_size = FW_CFG_SIZE,
    .reset = fw_cfg_reset,
    .read = fw_cfg_read,
    .write = fw_cfg_write,
    .compatible = "qemu,fw-cfg-mmio",
};

static bool item_add(struct fw_cfg *fw, u16 key, void *data, u32 len, bool writable)
{
    if (fw->item_count == ARRAY_SIZE(fw->item) || (key & KEY_WRITE_CHANNEL) || item_find(fw, key))
        return false;
    fw->item[fw->item_count++] = (struct fw_cfg_item){key, writable, data, len};
    return true;
}

bool fw_cfg_add(struct fw_cfg *fw, u16 key, const void *data, u32 len)
{
    return item_add(fw, key, (void *)(uintptr_t)data, len, false);
}

static bool file_exists(const struct fw_cfg *fw, const char *name)
{
    for (u32 i = 0; i < fw->file_count; i++) {
        if (!strcmp((const char *)fw->directory + 4 + i * FILE_ENTRY + 8, name))
            return true;
    }
    return false;
}

static bool file_add(struct fw_cfg *fw, const char *name, void *data, u32 len, bool writable)
{
    u8 *entry = fw->directory + 4 + fw->file_count * FILE_ENTRY;
    u16 key = (u16)(FW_CFG_FILE_FIRST + fw->file_count);
    size_t name_len = strlen(name);

    if (fw->file_count == FW_CFG_FILES_MAX || name_len >= FW_CFG_NAME_MAX || file_exists(fw, name))
        return false;
    if (!item_add(fw, key, data, len, writable))
        return false;
    be32_store(entry, len);
    be16_store(entry + 4, key);
    memcpy(entry + 8, name, name_len);
    be32_store(fw->directory, ++fw->file_count);
    return true;
}

bool fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, u32 len)
{
    return file_add(fw, name, (void *)(uintptr_t)data, len, false);
}

bool fw_cfg_add_writable(struct fw_cfg *fw, const char *name, void *data, u32 len)
{
    return file_add(fw, name, data, len, true);
}

void fw_cfg_init(struct fw_cfg *fw, const struct fw_cfg_config *config)
{
    bool added;

    memset(fw, 0, sizeof(*fw));
    device_init(&fw->dev, &fw_cfg_class, config->id, config->base, config->log);
    fw->gmem = config->gmem;
    memcpy(fw->signature, "QEMU", sizeof(fw->signature));
    le32_store(fw->id, ID_TRADITIONAL | ID_DMA);
    added = fw_cfg_add(fw, FW_CFG_SIGNATURE, fw->signature, sizeof(fw->signature)) &&
            fw_cfg_add(fw, FW_CFG_ID, fw->id, sizeof(fw->id)) &&
            fw_cfg_add(fw, FW_CFG_FILE_DIR, fw->directory, sizeof(fw->directory));
    ASSERT(added);
    device_reset(&fw->dev);
}
