/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random whole-machine programs on the interpreter and on the translating engine.
 *
 * A program is a row of items: fragments, each entered by the machine-mode handler in a mode of
 * its own, and functions that they call. Any exception either resumes after the instruction or
 * goes on with the next fragment. Loops count down a register that nothing else writes and all
 * other jumps lead forward, so every program ends: in a store that makes the engine leave.
 */
#ifndef COSM_TESTS_ENGINES_H
#define COSM_TESTS_ENGINES_H

#include "rv/hart.h"
#include "rv/isa.h"
#include "tests/insn.h"

#define RAM_BASE  UINT64_C(0x80000000)
#define RAM_PAGES 64
#define RAM_SIZE  (RAM_PAGES * PAGE_SIZE)
#define MMIO_BASE UINT64_C(0x10000000)
#define MMIO_SIZE UINT64_C(0x1000)

/* Registers of the MMIO page; all others answer with what a sum of all accesses makes of them. */
#define MMIO_END   0 /* a store ends the program */
#define MMIO_CLEAR 8 /* a store lowers the interrupt */
#define MMIO_RAISE 16

/* What lies where, in pages of RAM. */
#define PAGE_HANDLER   0
#define PAGE_S_HANDLER 1
#define PAGE_SAVE      2 /* the handler's registers, counts and log; the fragments' table */
#define PAGE_TABLES    4 /* root, two of level 1, two of level 0 */
#define PAGE_DATA      12
#define DATA_PAGES     8
#define PAGE_CODE      24
#define CODE_PAGES     16 /* and as many again with a copy */
#define SAVE_TABLE     1024
#define SAVE_LOG       4096
#define SAVE_TRAPS     24
#define SAVE_FRAGMENT  32
#define SAVE_COUNT     40
#define FRAGMENTS_MAX  12
#define TRAPS_MAX      400

/* Virtual addresses of RAM's first byte and of MMIO, by how a fragment sees them. */
#define VIEW_U      UINT64_C(0x40000000)
#define VIEW_U_2M   UINT64_C(0x40200000)
#define VIEW_U_MMIO UINT64_C(0x40400000)
#define VIEW_S_2M   UINT64_C(0x80200000)
#define VIEW_S_MMIO UINT64_C(0x80400000)

/* Registers that random instructions leave alone. */
enum {
    REG_RA = 1,
    REG_SP = 2,
    REG_MID = 8,
    REG_ODD = 9,
    REG_MMIO = 24,
    REG_S = 25,    /* of the supervisor's handler */
    REG_LOOP = 26, /* and 27 */
};

enum item_kind {
    ITEM_NONE,
    ITEM_PLAIN,
    ITEM_BRANCH,
    ITEM_JUMP,
    ITEM_INDIRECT,
    ITEM_CALL,
    ITEM_LOOP_BEGIN,
    ITEM_LOOP_END,
    ITEM_PATCHED, /* an instruction that others rewrite */
    ITEM_PATCH,
    ITEM_WILD,
    ITEM_MMIO,
    ITEM_IRQ,
    ITEM_PTE,
    ITEM_CSR,
    ITEM_FENCE,
    ITEM_CROSS, /* what follows lies across the next page's start */
    ITEM_END,   /* of a fragment */
    ITEM_RETURN,
};

struct item {
    enum item_kind kind;
    u64 seed;
    u32 to;    /* item of a jump, call, patch or loop */
    u32 level; /* of a loop */
};

#define ITEMS_MAX 1000

struct fragment {
    u32 item;
    u64 view; /* where it finds RAM */
    bool copy;
    enum priv priv;
    u64 data_view, mmio;
    u64 mstatus;
};

struct program {
    u64 seed;
    u32 count, fragments;
    bool translated, interrupts, delegates, s_update, compressed;
    struct item item[ITEMS_MAX];
    struct fragment fragment[FRAGMENTS_MAX];
    u32 offset[ITEMS_MAX + 1]; /* from the code's first byte, once built */
};

/* engines_gen.c. False: it became too long. */
void engines_gen_init(const struct isa *isa);
bool engines_gen(struct program *program, u64 seed);

/* engines_build.c: the image of RAM, RAM_SIZE bytes. False: the code does not fit. */
bool engines_build(struct program *program, u8 *image);

/* Emitting, shared. at counts from the code's first byte; halves NULL: only lengths are wanted. */
struct text {
    u8 *bytes;
    u32 at, size;
    u64 rng;
    const struct program *program;
};

const struct insn_line *engines_line(enum op op);
const struct insn_line *engines_pick(u64 *rng);
void emit_insn(struct text *t, enum op op, u32 rd, u32 rs1, u32 rs2, s64 imm);
void emit_raw(struct text *t, u32 raw, bool compressed);
void emit_li(struct text *t, u32 rd, s32 value);
u64 engines_rnd(u64 *rng, u64 below);
void engines_emit_plain(struct text *t);
u32 engines_free_reg(u64 *rng);

#endif
