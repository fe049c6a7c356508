/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CFI parallel NOR flash, Intel command set 0001, as QEMU's virt has it: two x16 chips side by
 * side make a 32-bit bank, erase blocks of 256 KiB.
 */
#ifndef COSM_DEVICE_CFI_FLASH_H
#define COSM_DEVICE_CFI_FLASH_H

#include "device/device.h"

#define CFI_FLASH_SIZE   0x2000000 /* bytes of MMIO */
#define CFI_FLASH_BLOCK  0x40000   /* erase block, bytes, of the bank */
#define CFI_FLASH_BUFFER 4096      /* write buffer, bytes, of the bank */

struct cfi_flash {
    struct device dev;
    u8 *array; /* CFI_FLASH_SIZE bytes, or NULL: reads erased */
    bool readonly;
    u8 mode;   /* what reads answer: the last command; 0xff is the array */
    u8 cycle;  /* bus cycles of command that have come; 0: the next write is a command */
    u8 status; /* the chips' status register */
    u64 locked[CFI_FLASH_SIZE / CFI_FLASH_BLOCK / 64]; /* a bit a block */
    u32 expected;                                      /* buffered write: words still to come */
    u64 target; /* buffered write: where buffer goes, offset; or CFI_FLASH_NOWHERE */
    u64 block;  /* erase and lock: offset given with the first cycle */
    u8 buffer[CFI_FLASH_BUFFER];
    void (*written)(void *ctx, u64 offset, u64 len);
    void *ctx;
};

#define CFI_FLASH_NOWHERE UINT64_MAX

struct cfi_flash_config {
    const char *id;
    gpa_t base;
    const struct log *log;
    u8 *array; /* CFI_FLASH_SIZE bytes, the caller's; NULL: reads 0xff, read-only */
    bool readonly;
    /* Told under the device's lock after bytes of the array changed; may be NULL. */
    void (*written)(void *ctx, u64 offset, u64 len);
    void *ctx;
};

void cfi_flash_init(struct cfi_flash *flash, const struct cfi_flash_config *config);

#endif
