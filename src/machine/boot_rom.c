/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reset vector that M-mode firmware starts from, with OpenSBI's fw_dynamic_info.
 *
 * Layout, as QEMU's virt has it: six instructions, entry at 0x18, the tree's address at 0x20,
 * fw_dynamic_info (OpenSBI, docs/firmware/fw_dynamic.md, version 2) at 0x28.
 */
#include "machine/boot_rom.h"

#include "base/endian.h"
#include "base/mem.h"

#define ROM_ENTRY 0x18
#define ROM_DTB   0x20
#define ROM_INFO  0x28

#define FW_DYNAMIC_MAGIC   0x4942534f /* "OSBI" */
#define FW_DYNAMIC_VERSION 2
#define FW_DYNAMIC_S_MODE  1

static const u32 code[] = {
    0x00000297, /* auipc t0, 0 */
    0x02828613, /* addi  a2, t0, ROM_INFO */
    0xf1402573, /* csrr  a0, mhartid */
    0x0202b583, /* ld    a1, ROM_DTB(t0) */
    0x0182b283, /* ld    t0, ROM_ENTRY(t0) */
    0x00028067, /* jr    t0 */
};

void boot_rom_write(u8 *rom, const struct boot_rom *boot)
{
    memset(rom, 0, BOOT_ROM_USED);
    for (u32 i = 0; i < ARRAY_SIZE(code); i++)
        le32_store(rom + 4 * i, code[i]);
    le64_store(rom + ROM_ENTRY, boot->entry);
    le64_store(rom + ROM_DTB, boot->dtb);
    le64_store(rom + ROM_INFO, FW_DYNAMIC_MAGIC);
    le64_store(rom + ROM_INFO + 8, FW_DYNAMIC_VERSION);
    le64_store(rom + ROM_INFO + 16, boot->next);
    le64_store(rom + ROM_INFO + 24, FW_DYNAMIC_S_MODE);
    le64_store(rom + ROM_INFO + 32, 0); /* options */
    le64_store(rom + ROM_INFO + 40, 0); /* the hart that boots */
}
