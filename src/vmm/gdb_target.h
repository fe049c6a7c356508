/* SPDX-License-Identifier: BSD-2-Clause */
/* What the gdb stub debugs: harts, registers, memory, breakpoints, behind a table of functions. */
#ifndef COSM_VMM_GDB_TARGET_H
#define COSM_VMM_GDB_TARGET_H

#include "base/types.h"

#define GDB_HARTS_MAX 64

/* Register numbers as gdb numbers them for RISC-V. */
enum gdb_reg {
    GDB_REG_X0 = 0,
    GDB_REG_PC = 32,
    GDB_REG_F0 = 33,     /* f0..f31, 64 bits each */
    GDB_REG_CSR0 = 65,   /* + CSR number 0..4095 */
    GDB_REG_PRIV = 4161, /* privilege mode: 0 U, 1 S, 3 M */
};

/* Values are those of the Z packets. */
enum gdb_point {
    GDB_POINT_SOFT_BREAK,
    GDB_POINT_HARD_BREAK,
    GDB_POINT_WRITE_WATCH,
    GDB_POINT_READ_WATCH,
    GDB_POINT_ACCESS_WATCH,
};

enum gdb_resume { GDB_STAY, GDB_CONTINUE, GDB_STEP };

/* Why the harts stand. */
enum gdb_reason {
    GDB_REASON_PAUSE, /* they were asked to */
    GDB_REASON_STEP,
    GDB_REASON_SOFT_BREAK,
    GDB_REASON_HARD_BREAK,
    GDB_REASON_WRITE_WATCH,
    GDB_REASON_READ_WATCH,
    GDB_REASON_ACCESS_WATCH,
};

struct gdb_csr {
    const char *name; /* as gdb knows it: "mstatus" */
    u32 number;       /* 0..4095 */
};

/*
 * All are called on the loop's thread, and all but stop only while no hart runs. bool results:
 * false, nothing done, means that there is no such register, memory or room for a point.
 */
struct gdb_target {
    u32 hart_count; /* 1..GDB_HARTS_MAX; gdb's thread n is hart n - 1 */
    bool has_fpu;
    const struct gdb_csr *csr; /* offered to gdb; outlives the stub */
    u32 csr_count;
    /*
     * All harts are to stand; one gdb_stopped follows. If a stop is under way already its report is
     * enough; if they stand already it follows nevertheless.
     */
    void (*stop)(void *ctx);
    /* how[hart]: a hart that stays remains stopped. Later exactly one gdb_stopped follows. */
    void (*resume)(void *ctx, const enum gdb_resume *how);
    bool (*reg_read)(void *ctx, u32 hart, u32 reg, u64 *value);
    bool (*reg_write)(void *ctx, u32 hart, u32 reg, u64 value);
    /*
     * Memory as hart sees it now, or guest-physical memory if physical. The range does not cross a
     * 4096-byte boundary. Permissions and breakpoints do not show; no access has side effects.
     */
    bool (*mem_read)(void *ctx, u32 hart, bool physical, u64 address, void *buf, size_t len);
    bool (*mem_write)(void *ctx, u32 hart, bool physical, u64 address, const void *buf, size_t len);
    /* For all harts, by virtual address; len in bytes. The stub inserts no point twice. */
    bool (*point_insert)(void *ctx, enum gdb_point kind, gva_t address, u64 len);
    bool (*point_remove)(void *ctx, enum gdb_point kind, gva_t address, u64 len);
    /* What hart is about, for people: "S-mode, wfi". NUL-terminated within size. */
    void (*describe)(void *ctx, u32 hart, char *buf, size_t size);
    void (*reset)(void *ctx); /* monitor reset; harts remain stopped. NULL: not offered */
    /* monitor info: text about the VM, NUL-terminated within size. NULL: none */
    void (*info)(void *ctx, char *buf, size_t size);
    void (*kill)(void *ctx); /* the VM is to end */
    void *ctx;
};

#endif
