/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's firmware configuration device, memory-mapped: numbered items, a directory of named ones,
 * read byte by byte or by DMA (QEMU, docs/specs/fw_cfg).
 */
#ifndef COSM_DEVICE_FW_CFG_H
#define COSM_DEVICE_FW_CFG_H

#include "device/device.h"
#include "port/gmem.h"

#define FW_CFG_SIZE      0x18 /* bytes of MMIO */
#define FW_CFG_ITEMS_MAX 32
#define FW_CFG_FILES_MAX 32
#define FW_CFG_NAME_MAX  56 /* with the NUL */

/* Numbered items; their integers are little-endian. */
enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_KERNEL_ADDR = 0x07,
    FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_ADDR = 0x0a,
    FW_CFG_INITRD_SIZE = 0x0b,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12,
    FW_CFG_CMDLINE_SIZE = 0x14,
    FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
};

struct fw_cfg_item {
    u16 key;
    bool writable; /* by DMA, within len */
    u8 *data;      /* the board's; outlives the device */
    u32 len;
};

struct fw_cfg {
    struct device dev;
    const struct gmem *gmem;
    u32 item_count, file_count;
    struct fw_cfg_item item[FW_CFG_ITEMS_MAX + FW_CFG_FILES_MAX];
    u8 directory[4 + FW_CFG_FILES_MAX * 64]; /* as the guest reads it */
    u8 signature[4], id[4];
    const struct fw_cfg_item *current; /* NULL: no such item, reads 0 */
    u16 selector;
    u32 cursor; /* bytes into current */
    u32 dma_high;
};

struct fw_cfg_config {
    const char *id;
    gpa_t base;
    const struct log *log;
    const struct gmem *gmem; /* for DMA */
};

void fw_cfg_init(struct fw_cfg *fw, const struct fw_cfg_config *config);

/* Items are added before harts run. data is not copied. False: no room, or the key is taken. */
MUST_CHECK bool fw_cfg_add(struct fw_cfg *fw, u16 key, const void *data, u32 len);
/* A named file, "opt/..." or "etc/...". False: no room, name too long or taken. */
MUST_CHECK bool fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, u32 len);
MUST_CHECK bool fw_cfg_add_writable(struct fw_cfg *fw, const char *name, void *data, u32 len);

#endif
