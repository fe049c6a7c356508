/* SPDX-License-Identifier: BSD-2-Clause */
/* The reset vector that M-mode firmware starts from, with OpenSBI's fw_dynamic_info. */
#ifndef COSM_MACHINE_BOOT_ROM_H
#define COSM_MACHINE_BOOT_ROM_H

#include "base/types.h"

#define BOOT_ROM_USED 0x58 /* bytes that boot_rom_write fills */

struct boot_rom {
    gpa_t entry; /* where firmware starts */
    gpa_t dtb;
    gpa_t next; /* where fw_dynamic goes in S-mode; 0: it stays to itself */
};

/* Writes the ROM's image to rom[BOOT_ROM_USED]. It runs at any address. */
void boot_rom_write(u8 *rom, const struct boot_rom *boot);

#endif
