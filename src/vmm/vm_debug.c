/* SPDX-License-Identifier: BSD-2-Clause */
/* The VM as the gdb stub sees it: harts as threads, registers, memory, points. */
#include "vmm/vm_state.h"

#include "base/fmt.h"
#include "rv/code_cache.h"
#include "rv/code_map.h"
#include "rv/csr.h"
#include "rv/mem.h"
#include "rv/mmu.h"
#include "rv/trap.h"

#include <errno.h>
#include <stdlib.h>

static struct hart *hart_of(struct vm *vm, u32 index)
{
    return exec_hart(vm->exec, index);
}

/* Stands the VM still, its clock included, once. On the loop. */
static void stand(struct vm *vm)
{
    if (vm->standing)
        return;
    vm_hold(vm);
    vm->standing = true;
}

static void go_on(struct vm *vm)
{
    vm->standing = false;
    vm_unhold(vm);
}

static void debug_stop(void *ctx)
{
    struct vm *vm = ctx;

    stand(vm);
    gdb_stopped(vm->gdb, 0, GDB_REASON_PAUSE, 0);
}

static enum gdb_reason watch_reason(const struct vm *vm, const struct hart *hart)
{
    const struct watchpoint *w =
        debug_watch(&vm->points, hart->debug_address, 1, hart->debug_access);

    if (w && w->read && w->write)
        return GDB_REASON_ACCESS_WATCH;
    return hart->debug_access == ACCESS_WRITE ? GDB_REASON_WRITE_WATCH : GDB_REASON_READ_WATCH;
}

static void report_stop(void *ctx)
{
    struct vm *vm = ctx;
    struct hart *hart;
    enum hart_exit why;

    if (vm->over)
        return;
    stand(vm);
    lock_acquire(&vm->end_lock);
    vm->stop_posted = false;
    hart = hart_of(vm, vm->stop_hart);
    why = vm->stop_why;
    lock_release(&vm->end_lock);
    if (why == HART_EXIT_WATCH)
        gdb_stopped(vm->gdb, hart->id, watch_reason(vm, hart), hart->debug_address);
    else
        gdb_stopped(vm->gdb, hart->id,
                    why == HART_EXIT_STEP ? GDB_REASON_STEP : GDB_REASON_SOFT_BREAK, 0);
}

/* On the hart's thread. Of several harts that stop at once the first is reported; the others meet
 * their breakpoint again when they resume. */
void vm_debug_hart_stopped(void *ctx, struct hart *hart, enum hart_exit why)
{
    struct vm *vm = ctx;
    bool first;

    lock_acquire(&vm->end_lock);
    first = !vm->stop_posted;
    if (first) {
        vm->stop_posted = true;
        vm->stop_hart = hart->id;
        vm->stop_why = why;
    }
    lock_release(&vm->end_lock);
    if (first)
        loop_post(vm->loop, report_stop, vm);
}

static void debug_resume(void *ctx, const enum gdb_resume *how)
{
    struct vm *vm = ctx;
    bool any = false;

    for (u32 i = 0; i < vm->config->hart_count; i++) {
        if (how[i] == GDB_STAY) {
            exec_hold_hart(vm->exec, i);
            continue;
        }
        exec_release_hart(vm->exec, i, how[i] == GDB_STEP);
        any |= exec_hart_is_started(vm->exec, i) || how[i] == GDB_CONTINUE;
    }
    if (!any) { /* a stopped hart cannot step */
        gdb_stopped(vm->gdb, 0, GDB_REASON_STEP, 0);
        return;
    }
    go_on(vm);
}

static bool debug_reg_read(void *ctx, u32 hart, u32 reg, u64 *value)
{
    struct hart *h = hart_of(ctx, hart);

    if (reg < GDB_REG_PC)
        *value = h->x[reg];
    else if (reg == GDB_REG_PC)
        *value = h->pc;
    else if (reg < GDB_REG_CSR0)
        *value = h->f[reg - GDB_REG_F0];
    else if (reg == GDB_REG_PRIV)
        *value = h->priv;
    else
        return csr_peek(h, reg - GDB_REG_CSR0, value);
    return true;
}

static bool debug_reg_write(void *ctx, u32 hart, u32 reg, u64 value)
{
    struct hart *h = hart_of(ctx, hart);

    if (reg == 0)
        return true;
    if (reg < GDB_REG_PC)
        h->x[reg] = value;
    else if (reg == GDB_REG_PC)
        h->pc = value & ~UINT64_C(1);
    else if (reg < GDB_REG_CSR0)
        h->f[reg - GDB_REG_F0] = value;
    else if (reg == GDB_REG_PRIV && (value == PRIV_U || value == PRIV_S || value == PRIV_M))
        trap_set_mode(h, value == PRIV_M ? PRIV_M : (enum priv)value | (h->mode & PRIV_VIRT));
    else if (reg == GDB_REG_PRIV)
        return false;
    else
        return csr_poke(h, reg - GDB_REG_CSR0, value);
    return true;
}

static bool find_memory(struct vm *vm, u32 hart, bool physical, u64 address, gpa_t *gpa)
{
    *gpa = address;
    return physical || mmu_peek(hart_of(vm, hart), address, gpa);
}

static bool debug_mem_read(void *ctx, u32 hart, bool physical, u64 address, void *buf, size_t len)
{
    struct vm *vm = ctx;
    gpa_t gpa;

    return find_memory(vm, hart, physical, address, &gpa) && gmem_read(&vm->gmem, gpa, buf, len);
}

static bool debug_mem_write(void *ctx, u32 hart, bool physical, u64 address, const void *buf,
                            size_t len)
{
    struct vm *vm = ctx;
    gpa_t gpa;

    if (!find_memory(vm, hart, physical, address, &gpa) || !gmem_write(&vm->gmem, gpa, buf, len))
        return false;
    for (u32 i = 0; i < vm->config->hart_count; i++)
        code_cache_fence(hart_of(vm, i));
    return true;
}

/* Decoded code and TLBs know of points: they are made anew. */
static void points_changed(struct vm *vm)
{
    const struct debug_points *p = &vm->points;

    for (u32 i = 0; i < vm->config->hart_count; i++) {
        struct hart *h = hart_of(vm, i);
        h->debug = p->breakpoints || p->watches ? &vm->points : NULL;
        code_cache_flush(h);
        mmu_flush(h);
    }
}

static bool debug_point_insert(void *ctx, enum gdb_point kind, gva_t address, u64 len)
{
    struct vm *vm = ctx;
    struct debug_points *p = &vm->points;

    if (kind <= GDB_POINT_HARD_BREAK) {
        if (p->breakpoints == DEBUG_POINTS_MAX)
            return false;
        p->breakpoint[p->breakpoints++] = address;
    } else {
        if (p->watches == DEBUG_POINTS_MAX)
            return false;
        p->watch[p->watches++] = (struct watchpoint){
            .start = address,
            .len = len,
            .read = kind != GDB_POINT_WRITE_WATCH,
            .write = kind != GDB_POINT_READ_WATCH,
        };
    }
    points_changed(vm);
    return true;
}

static bool remove_break(struct debug_points *p, gva_t address)
{
    for (u32 i = 0; i < p->breakpoints; i++) {
        if (p->breakpoint[i] == address) {
            p->breakpoint[i] = p->breakpoint[--p->breakpoints];
            return true;
        }
    }
    return false;
}

static bool remove_watch(struct debug_points *p, gva_t address, u64 len)
{
    for (u32 i = 0; i < p->watches; i++) {
        if (p->watch[i].start == address && p->watch[i].len == len) {
            p->watch[i] = p->watch[--p->watches];
            return true;
        }
    }
    return false;
}

static bool debug_point_remove(void *ctx, enum gdb_point kind, gva_t address, u64 len)
{
    struct vm *vm = ctx;
    bool found = kind <= GDB_POINT_HARD_BREAK ? remove_break(&vm->points, address)
                                              : remove_watch(&vm->points, address, len);

    if (found)
        points_changed(vm);
    return found;
}

static const char *mode_name(enum priv priv)
{
    return priv == PRIV_M ? "M-mode" : priv == PRIV_S ? "S-mode" : "U-mode";
}

static void debug_describe(void *ctx, u32 hart, char *buf, size_t size)
{
    struct vm *vm = ctx;

    const struct hart *h = hart_of(vm, hart);
    const char *state = "";

    if (!exec_hart_is_started(vm->exec, hart))
        state = ", stopped";
    else if (exec_hart_waits(vm->exec, hart))
        state = ", wfi";
    fmt_print(buf, size, "%s%s", mode_name(h->priv), state);
}

static void debug_info(void *ctx, char *buf, size_t size)
{
    struct vm *vm = ctx;

    fmt_print(buf, size, "machine virt, %u harts, %lu MiB of RAM at 0x%lx, %s\n",
              vm->config->hart_count, (unsigned long)(vm->config->ram_size / MIB),
              (unsigned long)MACHINE_RAM_BASE, vm->isa_text);
}

static void debug_reset(void *ctx)
{
    struct vm *vm = ctx;
    struct err err;

    if (vm_reset(vm, &err))
        log_print(vm->log, LOG_ERROR, "gdb", "reset: %s", err.msg);
}

static void debug_kill(void *ctx)
{
    struct vm *vm = ctx;

    loop_stop(vm->loop);
}

/* Every CSR that a hart knows. */
static u32 list_csrs(struct vm *vm, struct gdb_csr *list)
{
    u32 count = 0;
    u64 value;

    for (u32 n = 0; n < 4096; n++) {
        const char *name = csr_name(n);
        if (!name || !csr_peek(hart_of(vm, 0), n, &value))
            continue;
        if (list)
            list[count] = (struct gdb_csr){name, n};
        count++;
    }
    return count;
}

int vm_debug_create(struct vm *vm, struct err *err)
{
    const struct vm_gdb *g = &vm->config->gdb;
    struct gdb_target *t = &vm->gdb_target;

    if (!g->enabled)
        return 0;
    vm->gdb_csrs = calloc(list_csrs(vm, NULL), sizeof(*vm->gdb_csrs));
    if (!vm->gdb_csrs)
        return err_set(err, ENOMEM, "--gdb: no host memory");
    *t = (struct gdb_target){
        .hart_count = vm->config->hart_count,
        .has_fpu = isa_has(&vm->isa, ISA_D),
        .csr = vm->gdb_csrs,
        .csr_count = list_csrs(vm, vm->gdb_csrs),
        .stop = debug_stop,
        .resume = debug_resume,
        .reg_read = debug_reg_read,
        .reg_write = debug_reg_write,
        .mem_read = debug_mem_read,
        .mem_write = debug_mem_write,
        .point_insert = debug_point_insert,
        .point_remove = debug_point_remove,
        .describe = debug_describe,
        .reset = debug_reset,
        .info = debug_info,
        .kill = debug_kill,
        .ctx = vm,
    };
    vm->standing = vm->config->paused;
    if (vm->standing)
        vm_hold(vm);
    return gdb_create(&vm->gdb, vm->loop, t, g->host, g->port, vm->log, err);
}

void vm_debug_destroy(struct vm *vm)
{
    if (vm->gdb)
        gdb_destroy(vm->gdb);
    free(vm->gdb_csrs);
}
