/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where firmware, kernel, initial RAM disk and device tree go in RAM, and that they do not overlap.
 *
 *     base        firmware            (M-mode; or nothing)
 *     + 2 MiB     kernel              (higher where the firmware reaches beyond)
 *     + half      initial RAM disk    (half of RAM, at most 512 MiB, above the kernel's start;
 *                                      right above the kernel where it would not fit there)
 *     top         device tree         (multiple of 2 MiB if there is room; below 3 GiB)
 *
 * These are QEMU's places where RAM is ample. Use: boot_plan_load, then make the tree with
 * plan.initrd, then boot_plan_dtb; both again for a reboot.
 */
#ifndef COSM_MACHINE_BOOT_PLAN_H
#define COSM_MACHINE_BOOT_PLAN_H

#include "machine/image.h"

enum boot_part_kind { BOOT_FIRMWARE, BOOT_KERNEL, BOOT_INITRD, BOOT_DTB, BOOT_PARTS };

struct boot_part {
    const char *name; /* the file's; NULL: absent */
    gpa_t start, end; /* end - start == 0: absent */
};

/* What was asked for; a source with bytes NULL is absent. */
struct boot_files {
    struct image_source firmware, kernel, initrd;
};

struct boot_plan {
    gpa_t ram;    /* base */
    u64 ram_size; /* bytes */
    struct boot_part part[BOOT_PARTS];
    gpa_t firmware_entry; /* 0: no firmware, harts start in S-mode at kernel_entry */
    gpa_t kernel_entry;   /* 0: no kernel */
    gpa_t initrd;
    u64 initrd_size; /* bytes; 0: none */
    gpa_t dtb;
};

/*
 * Loads all files into the RAM that gmem has at ram. Names in files must outlive the plan. -errno
 * with one sentence in err: a bad image, no room, an overlap, or nothing to boot.
 */
MUST_CHECK int boot_plan_load(struct boot_plan *plan, const struct boot_files *files,
                              const struct gmem *gmem, gpa_t ram, struct err *err);

/* Finds room for the device tree, writes it and sets plan->dtb. name is for messages. */
MUST_CHECK int boot_plan_dtb(struct boot_plan *plan, const char *name, const void *dtb, size_t size,
                             const struct gmem *gmem, struct err *err);

#endif
