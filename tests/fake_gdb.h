/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A debug target without a VM: harts whose every instruction is a nop that adds 1 to t0 and stores
 * t0 at FAKE_COUNTER. They run only in fake_gdb_run, so tests are deterministic.
 */
#ifndef COSM_TESTS_FAKE_GDB_H
#define COSM_TESTS_FAKE_GDB_H

#include "vmm/gdb_target.h"

#include <stdio.h>
#include <string.h>

#define FAKE_HARTS   3
#define FAKE_RAM     UINT64_C(0x80000000)
#define FAKE_SIZE    0x10000
#define FAKE_CODE    0x8000 /* the nops, run round and round */
#define FAKE_COUNTER (FAKE_RAM + 0x8000)
#define FAKE_VIRTUAL UINT64_C(0xffffffff00000000) /* where virtual memory sees FAKE_RAM, too */
#define FAKE_POINTS  8

struct fake_gdb {
    struct gdb_target target;
    u64 reg[FAKE_HARTS][GDB_REG_PRIV + 1];
    u8 ram[FAKE_SIZE];
    struct {
        enum gdb_point kind;
        gva_t address;
        u64 len;
    } point[FAKE_POINTS];
    u32 point_count;
    enum gdb_resume how[FAKE_HARTS];
    bool running, killed;
    _Atomic bool stop_asked; /* other threads may look */
    u32 resets, resumes;
    /* Given the report of a stop. */
    void (*report)(void *ctx, u32 hart, enum gdb_reason reason, gva_t address);
    void *report_ctx;
};

static const struct gdb_csr fake_csr[] = {
    {"fflags", 1},   {"frm", 2},       {"fcsr", 3},        {"satp", 0x180},    {"mstatus", 0x300},
    {"mepc", 0x341}, {"cycle", 0xc00}, {"mhartid", 0xf14}, {"sstatus", 0x100},
};

static inline void fake_report(struct fake_gdb *f, u32 hart, enum gdb_reason reason, gva_t address)
{
    f->running = false;
    f->stop_asked = false;
    f->report(f->report_ctx, hart, reason, address);
}

static inline void fake_gdb_stop(void *ctx)
{
    struct fake_gdb *f = ctx;

    f->stop_asked = true;
}

static inline void fake_gdb_resume(void *ctx, const enum gdb_resume *how)
{
    struct fake_gdb *f = ctx;

    memcpy(f->how, how, sizeof(f->how));
    f->running = true;
    f->resumes++;
}

static inline bool fake_gdb_reg_read(void *ctx, u32 hart, u32 reg, u64 *value)
{
    struct fake_gdb *f = ctx;

    if (reg == GDB_REG_CSR0 + 0x7c0)
        return false;
    *value = f->reg[hart][reg];
    return true;
}

static inline bool fake_gdb_reg_write(void *ctx, u32 hart, u32 reg, u64 value)
{
    struct fake_gdb *f = ctx;

    if (reg == GDB_REG_CSR0 + 0xc00)
        return false;
    f->reg[hart][reg] = value;
    return true;
}

static inline u8 *fake_memory(struct fake_gdb *f, bool physical, u64 address, size_t len)
{
    u64 offset = address - FAKE_RAM;

    if (!physical && address >= FAKE_VIRTUAL)
        offset = address - FAKE_VIRTUAL;
    return offset <= FAKE_SIZE && len <= FAKE_SIZE - offset ? f->ram + offset : NULL;
}

static inline bool fake_gdb_mem_read(void *ctx, u32 hart, bool physical, u64 address, void *buf,
                                     size_t len)
{
    const u8 *at = fake_memory(ctx, physical, address, len);

    if (at)
        memcpy(buf, at, len);
    return at != NULL;
}

static inline bool fake_gdb_mem_write(void *ctx, u32 hart, bool physical, u64 address,
                                      const void *buf, size_t len)
{
    u8 *at = fake_memory(ctx, physical, address, len);

    if (at)
        memcpy(at, buf, len);
    return at != NULL;
}

static inline bool fake_gdb_insert(void *ctx, enum gdb_point kind, gva_t address, u64 len)
{
    struct fake_gdb *f = ctx;

    if (f->point_count == FAKE_POINTS)
        return false;
    f->point[f->point_count].kind = kind;
    f->point[f->point_count].address = address;
    f->point[f->point_count++].len = len;
    return true;
}

static inline bool fake_gdb_remove(void *ctx, enum gdb_point kind, gva_t address, u64 len)
{
    struct fake_gdb *f = ctx;

    for (u32 i = 0; i < f->point_count; i++) {
        if (f->point[i].kind == kind && f->point[i].address == address && f->point[i].len == len) {
            f->point[i] = f->point[--f->point_count];
            return true;
        }
    }
    return false;
}

static inline void fake_gdb_describe(void *ctx, u32 hart, char *buf, size_t size)
{
    snprintf(buf, size, "S-mode%s", hart ? ", wfi" : "");
}

static inline void fake_gdb_reset(void *ctx)
{
    ((struct fake_gdb *)ctx)->resets++;
}

static inline void fake_gdb_info(void *ctx, char *buf, size_t size)
{
    snprintf(buf, size, "a fake machine\n");
}

static inline void fake_gdb_kill(void *ctx)
{
    ((struct fake_gdb *)ctx)->killed = true;
}

/* One instruction of hart. True: it hit something, which is reported. */
static inline bool fake_step(struct fake_gdb *f, u32 hart)
{
    u64 *reg = f->reg[hart];

    reg[GDB_REG_PC] = FAKE_RAM + (reg[GDB_REG_PC] + 4 - FAKE_RAM) % FAKE_CODE;
    memcpy(f->ram + (FAKE_COUNTER - FAKE_RAM), &(u64){++reg[5]}, 8);
    for (u32 i = 0; i < f->point_count; i++) {
        static const enum gdb_reason reason[] = {GDB_REASON_SOFT_BREAK, GDB_REASON_HARD_BREAK,
                                                 GDB_REASON_WRITE_WATCH, GDB_REASON_READ_WATCH,
                                                 GDB_REASON_ACCESS_WATCH};
        bool watch =
            f->point[i].kind == GDB_POINT_WRITE_WATCH || f->point[i].kind == GDB_POINT_ACCESS_WATCH;
        if ((f->point[i].kind <= GDB_POINT_HARD_BREAK && f->point[i].address == reg[GDB_REG_PC]) ||
            (watch && f->point[i].address == FAKE_COUNTER)) {
            fake_report(f, hart, reason[f->point[i].kind], FAKE_COUNTER);
            return true;
        }
    }
    return false;
}

/* Runs what was resumed, at most steps instructions a hart, and honours stop. */
static inline void fake_gdb_run(struct fake_gdb *f, u32 steps)
{
    if (f->stop_asked) {
        fake_report(f, 0, GDB_REASON_PAUSE, 0);
        return;
    }
    for (u32 n = 0; f->running && n < steps; n++) {
        for (u32 hart = 0; hart < FAKE_HARTS; hart++) {
            if (f->how[hart] == GDB_STAY)
                continue;
            if (fake_step(f, hart))
                return;
            if (f->how[hart] == GDB_STEP) {
                fake_report(f, hart, GDB_REASON_STEP, 0);
                return;
            }
        }
    }
}

static inline void fake_gdb_init(struct fake_gdb *f)
{
    memset(f, 0, sizeof(*f));
    for (u32 at = 0; at < FAKE_CODE; at += 4)
        memcpy(f->ram + at, "\x13\0\0\0", 4);
    for (u32 hart = 0; hart < FAKE_HARTS; hart++) {
        f->reg[hart][GDB_REG_PC] = FAKE_RAM;
        f->reg[hart][GDB_REG_PRIV] = 1;
        f->reg[hart][GDB_REG_CSR0 + 0xf14] = hart;
    }
    f->target = (struct gdb_target){
        .hart_count = FAKE_HARTS,
        .has_fpu = true,
        .csr = fake_csr,
        .csr_count = sizeof(fake_csr) / sizeof(fake_csr[0]),
        .stop = fake_gdb_stop,
        .resume = fake_gdb_resume,
        .reg_read = fake_gdb_reg_read,
        .reg_write = fake_gdb_reg_write,
        .mem_read = fake_gdb_mem_read,
        .mem_write = fake_gdb_mem_write,
        .point_insert = fake_gdb_insert,
        .point_remove = fake_gdb_remove,
        .describe = fake_gdb_describe,
        .reset = fake_gdb_reset,
        .info = fake_gdb_info,
        .kill = fake_gdb_kill,
        .ctx = f,
    };
}

#endif
