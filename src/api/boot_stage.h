/* SPDX-License-Identifier: BSD-2-Clause */
/* How far a guest is with its boot, guessed from what its console showed. */
#ifndef COSM_API_BOOT_STAGE_H
#define COSM_API_BOOT_STAGE_H

#include "api/record.h"

#define BOOT_SILENT_S 30 /* after which a boot that says nothing is worth a word */

struct boot_stage {
    /* "firmware", "boot loader", "kernel", "initial file system", "init", "login" (or another
     * prompt, at which it waits for somebody); "": nothing tells. */
    const char *name;
    u32 silent_s; /* since the console showed something */
};

void boot_stage_read(const struct record *r, struct boot_stage *stage);

/*
 * Where the boot is, with the console's last line: "kernel, silent for 75 s: [    1.2] ..."; with
 * nothing to say about it, the line alone.
 */
void boot_stage_text(const struct record *r, char *text, size_t size);

#endif
