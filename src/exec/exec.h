/* SPDX-License-Identifier: BSD-2-Clause */
/* The harts of a VM on host threads: one thread a hart; start, sleep, pause, step, wake, fence. */
#ifndef COSM_EXEC_EXEC_H
#define COSM_EXEC_EXEC_H

#include "base/err.h"
#include "port/clock.h"
#include "rv/hart.h"

struct exec;

/* Sees each instruction: harts then go step by step. On the hart's thread. */
struct exec_trace {
    bool (*before)(void *ctx, struct hart *hart); /* false: no more; the hart goes on at speed */
    void (*after)(void *ctx, struct hart *hart);  /* it, or the trap that it raised, is done */
    void *ctx;
};

struct exec_config {
    struct hart_env *env; /* harts, hart_count and code_map are filled in by exec_create */
    struct isa isa;
    u32 hart_count;
    gpa_t ram_base; /* RAM in which stores to code are noticed */
    u64 ram_size;   /* bytes */
    /* All harts in turn on one thread; time is 2^icount_shift ns an instruction, docs/adr/0006. */
    bool icount;
    u32 icount_shift;
    bool translate; /* run host code made of the guest's, see exec/jit.h; else interpret */
    bool regions;   /* with translate: the second tier, too */
    /* A hart stopped at a breakpoint or watchpoint, or has done its step; it is held until
     * exec_resume_hart. On the hart's thread. */
    void (*stopped)(void *ctx, struct hart *hart, enum hart_exit why);
    /* A hart stopped as it asked by exec_hart_stop, or woke after exec_hart_suspend; on its thread.
     * May be NULL. */
    void (*stopped_itself)(void *ctx, struct hart *hart);
    void (*woke)(void *ctx, struct hart *hart);
    /* First on each thread that exec makes, for harts or to translate. May be NULL. */
    void (*began)(void *ctx, bool translates);
    void *ctx;
    const struct exec_trace *trace; /* NULL: none; outlives the harts */
};

/* 0 or -errno. The harts are stopped, paused once, and to be reset before they are started. */
MUST_CHECK int exec_create(struct exec **exec, const struct exec_config *config, struct err *err);

/* Ends the threads and frees the harts. */
void exec_destroy(struct exec *exec);

struct hart *exec_hart(struct exec *exec, u32 index);

/* Starts the threads; all harts stay paused until exec_resume. */
MUST_CHECK int exec_start(struct exec *exec, struct err *err);

/* All harts come to rest before it returns; nests. Not from a hart's thread. */
void exec_pause(struct exec *exec);
void exec_resume(struct exec *exec);

/* Lets a hart that was stopped by the debugger run, or do one step. While paused. */
void exec_release_hart(struct exec *exec, u32 index, bool step);
/* Keeps a hart from running when the others resume. While paused. */
void exec_hold_hart(struct exec *exec, u32 index);

/* Keeps all harts from running until they are released; any thread. A hart that asks for it by a
 * store or an ECALL does nothing after it. */
void exec_hold_all(struct exec *exec);

/* With icount: the VM's time, and one-shot timers that fire between two instructions, without
 * locks. Timers are made before harts run, and freed with exec. */
u64 exec_virtual_ns(struct exec *exec);
struct timer_port exec_virtual_timer(struct exec *exec, void (*fire)(void *ctx, u32 arg), void *ctx,
                                     u32 arg);

/* HSM. start: hart's registers are set, and it was stopped. stop, suspend: the calling hart; they
 * take effect when it leaves the engine, which is asked for. */
void exec_hart_start(struct exec *exec, u32 index);
void exec_hart_stop(struct exec *exec, u32 index);
void exec_hart_suspend(struct exec *exec, u32 index);
bool exec_hart_is_started(struct exec *exec, u32 index);
/* Was the hart in WFI when it was paused? */
bool exec_hart_waits(struct exec *exec, u32 index);

/* Puts a hart back to stopped, whatever it was. While paused. */
void exec_hart_halt(struct exec *exec, u32 index);

/* Interrupt wire bit (enum irq) of a hart; any thread. */
void exec_set_irq(struct exec *exec, u32 index, u32 bit, bool level);
/* Sets a software-writable pending bit, e.g. IRQ_SSI for an IPI; any thread. */
void exec_set_soft_irq(struct exec *exec, u32 index, u32 bit);

struct jit_stats;

/* False: harts interpret. */
bool exec_jit_stats(struct exec *exec, struct jit_stats *stats);

/* Asks harts of mask for attention (ATTN_FLUSH_TLB, ATTN_FLUSH_CODE) and waits until they have
 * acted or sleep. self: the calling hart, whose own bit is acted on too. */
void exec_fence(struct exec *exec, struct hart *self, u64 mask, u32 attn);

#endif
