/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random whole-machine programs on the interpreter and on translating engines.
 *
 * A program is a row of items: fragments, each entered by the machine-mode handler in a mode of
 * its own, and functions that they call. Any exception either resumes after the instruction,
 * repeats it with its page made accessible, or goes on with the next fragment. Loops count down
 * registers that nothing else writes, all other jumps lead forward, recursion has a depth, and a
 * fragment may trap only so often: every program ends, in a store that makes the engine leave.
 *
 * What the architecture leaves open is not generated: changed code is executed and changed page
 * tables are used after their fence only.
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
#define MMIO_SIZE UINT64_C(0x2000)

/* Registers of the MMIO page; all others answer with what a sum of all accesses makes of them. */
#define MMIO_END   0      /* a store ends the program */
#define MMIO_CLEAR 8      /* a store lowers all wires */
#define MMIO_RAISE 16     /* a store raises those of its bits */
#define MMIO_PLAIN 0x1000 /* from here on there are none */

/* What lies where, in pages of RAM. */
#define PAGE_HANDLER   0
#define PAGE_S_HANDLER 1
#define PAGE_SAVE      2 /* the handler's registers, counts and log; the fragments' table */
#define PAGE_ROOT      4 /* one of each address space */
#define PAGE_MIDDLE    6 /* S of both, U of each */
#define PAGE_LAST      9 /* the same */
#define LAST_PAGES     3
#define PAGE_ROOT_48   12 /* of each, above the root; the same for Sv57 */
#define PAGE_ROOT_57   14
#define PAGE_DATA      17 /* what lies before it, an access from its start reaches */
#define DATA_PAGES     8
#define PAGE_STACK     25
#define PAGE_SPECIALS  26 /* numbers of note, read only */
#define PAGE_CODE      28
#define CODE_PAGES     16 /* and as many again with a copy */
#define PAGE_G_ROOT    60 /* of guests' physical addresses; from the third page on beyond 1 TiB */
#define PAGE_G_MIDDLE  62
#define PAGE_G_LAST    63
#define SAVE_TABLE     1024
#define SAVE_LINE      128 /* bytes a fragment */
#define SAVE_LOG       4096
#define SAVE_TRAPS     24
#define SAVE_FRAGMENT  32
#define SAVE_COUNT     40
#define SAVE_BUDGET    48 /* traps that the fragment may still take */
#define FRAGMENTS_MAX  12
#define SPACES         2

/* Virtual addresses of RAM's first byte and of MMIO, by how a fragment sees them. */
#define VIEW_U      UINT64_C(0x40000000)
#define VIEW_U_2M   UINT64_C(0x40200000)
#define VIEW_U_MMIO UINT64_C(0x40400000)
#define VIEW_U_1G   UINT64_C(0xc0000000)
#define VIEW_S_2M   UINT64_C(0x80200000)
#define VIEW_S_MMIO UINT64_C(0x80400000)
#define VIEW_S_1G   UINT64_C(0x100000000)
#define VIEW_S_HIGH UINT64_C(0xffffffffc0000000)

#define PTE_V  1u
#define PTE_R  2u
#define PTE_W  4u
#define PTE_X  8u
#define PTE_U  16u
#define PTE_G  32u
#define PTE_A  0x40u
#define PTE_D  0x80u
#define PTE_AD (PTE_A | PTE_D)
#define PTE_N  BIT(63)

/* Interrupts by wires; the supervisor's timer comes when its comparator says so. */
#define WIRES (BIT(IRQ_MSI) | BIT(IRQ_MTI) | BIT(IRQ_MEI) | BIT(IRQ_SEI))

/* Registers that random instructions leave alone. */
enum {
    REG_RA = 1,
    REG_SP = 2,
    REG_LINK = 5, /* some functions return by it; not left alone */
    REG_DEPTH = 7,
    REG_MID = 8,
    REG_ODD = 9,
    REG_BASE = 19, /* the first page of data */
    REG_AT = 20,   /* from there */
    REG_WALK = 21, /* their sum, which moves through all data */
    REG_STACK = 22,
    REG_MMIO = 24,
    REG_S = 25,    /* of the supervisor's handler */
    REG_LOOP = 26, /* and 27; 23 is the functions' */
    REG_LOOP_FN = 23,
};

/* Exceptions change these, so that it matters where they happen; no sequence relies on them. */
enum { REG_TRAPPED = 18, REG_TRAPPED_PINNED = 14 };

enum item_kind {
    ITEM_NONE,
    ITEM_PLAIN,  /* value: which of its instructions, by bits */
    ITEM_FP,     /* the same, of one width */
    ITEM_ATOMIC, /* LR and SC with something in between */
    ITEM_BRANCH,
    ITEM_JUMP,
    ITEM_INDIRECT,
    ITEM_SWITCH,
    ITEM_CALL,
    ITEM_XSET, /* a number of note */
    ITEM_FSET,
    ITEM_STIR,    /* the loop's counter goes into a register */
    ITEM_WALK,    /* REG_WALK moves on */
    ITEM_ROWS,    /* rows of bytes */
    ITEM_PATCHED, /* an instruction that others rewrite */
    ITEM_PATCH,
    ITEM_POOL, /* data within the code */
    ITEM_WILD,
    ITEM_MMIO,
    ITEM_IRQ,
    ITEM_PTE,       /* by the handler */
    ITEM_PTE_LOCAL, /* by the code itself; value: enum priv */
    ITEM_SATP,
    ITEM_CSR,
    ITEM_PMP,
    ITEM_FCSR,
    ITEM_FS,
    ITEM_FENCE,
    ITEM_WFI,
    ITEM_CROSS, /* what follows lies across the next page's start */
    ITEM_BAIL,  /* on to the next fragment */
    ITEM_KINDS, /* of those above, random rows are made */
    ITEM_LATE,  /* the next item, only when a loop's counter is value, below it, or ... */
    ITEM_LOOP_BEGIN,
    ITEM_LOOP_END, /* value: how often */
    ITEM_ENTER,    /* of a function: its return address goes to the stack */
    ITEM_RECURSE,
    ITEM_LEAVE,
    ITEM_TAIL,
    ITEM_RETURN,
    ITEM_END, /* of a fragment */
};

struct item {
    enum item_kind kind;
    u64 seed;
    u32 to;    /* item of a jump, call, patch or loop */
    u32 level; /* of a loop; of a CALL, ENTER, LEAVE, RETURN: the register that links */
    u32 value;
};

#define ITEMS_MAX 1000
#define LOOP_FN   2 /* the level of loops in functions */

struct fragment {
    u32 item;
    u64 view; /* where it finds RAM */
    bool copy;
    bool guest;  /* with V */
    bool nested; /* guests' physical addresses are translated, too */
    enum priv priv;
    u64 data_view, mmio;
    u64 mstatus;
    u32 space, mode; /* of satp */
    u32 budget;
};

/* What plain instructions are made of. */
enum insn_class {
    CLASS_INT,
    CLASS_MEM,
    CLASS_FP,
    CLASS_FP_MEM,
    CLASS_ATOMIC,
    CLASS_CACHE, /* and what HS-mode loads and stores as a guest */
    CLASS_CRYPTO,
    CLASS_HINT,
    CLASSES,
};

struct program {
    u64 seed;
    u32 count, fragments, functions; /* functions: the first item of them */
    bool translated, interrupts, delegates, s_update, compressed;
    bool guests;  /* some fragments run in VS- or VU-mode, others access as those */
    bool vague;   /* interrupts come somewhere: counts and their like are not to be seen */
    bool hot;     /* loops of thousands of rounds */
    bool calm;    /* little faults before something is changed */
    bool repairs; /* page faults are repaired, and the access repeated */
    u8 item_weight[ITEM_KINDS], class_weight[CLASSES];
    struct item item[ITEMS_MAX];
    struct fragment fragment[FRAGMENTS_MAX];
    u32 offset[ITEMS_MAX + 1]; /* from the code's first byte, once built */
};

/* Text being emitted; at counts from its first byte. What goes beyond size is lost. */
struct text {
    u8 *bytes;
    u32 at, size;
    u64 rng;
    u32 kept; /* registers that random instructions leave alone for a while */
    const struct program *program;
};

/* engines_text.c */
const struct insn_line *engines_line(enum op op);
u64 engines_rnd(u64 *rng, u64 below);
void emit_insn(struct text *t, enum op op, u32 rd, u32 rs1, u32 rs2, s64 imm);
void emit_raw(struct text *t, u32 raw, bool compressed);
void emit_named(struct text *t, const char *name, const struct insn_operands *o);
void emit_li(struct text *t, u32 rd, s32 value);    /* always two instructions */
void emit_const(struct text *t, u32 rd, u64 value); /* as many as value needs */

struct label {
    u32 at, from[8], count;
};

u64 engines_pte_of(u32 page, u32 flags); /* of a page of RAM */

void emit_branch_to(struct text *t, struct label *l, enum op op, u32 a, u32 b);
void emit_place(struct text *t, struct label *l);

/* engines_insn.c */
void engines_insn_init(const struct isa *isa);
bool engines_compressed(void);
bool engines_guests(void); /* is there the H extension? */
u32 engines_free_reg(u64 *rng);
void engines_emit_plain(struct text *t);
void engines_emit_fp(struct text *t, u32 format); /* 0: single, 1: double, 2: half */
u32 engines_patch_insn(struct text *t);           /* any that is four bytes long */
u64 engines_special_int(u64 *rng);
u64 engines_special_fp(u64 *rng); /* as a register holds it */

/* engines_gen.c; exact: interrupts come at the same count in all engines. False: too long. */
bool engines_gen(struct program *program, u64 seed, bool exact);

/* engines_items.c */
void engines_emit_item(struct text *t, const struct program *p, u32 at);

/* engines_handler.c */
void engines_build_handlers(const struct program *p, u8 *image);

/* engines_build.c: the image of RAM, RAM_SIZE bytes. False: the code does not fit. */
bool engines_build(struct program *program, u8 *image);
u64 engines_random_pte(const struct program *p, u64 *rng, u32 page, bool user);

/* engines_world.c: an engine with all that surrounds it. */
struct engine_kind {
    const char *name;
    bool (*attach)(struct hart *hart, u32 code_size, u32 pages); /* NULL: nothing is needed */
    enum hart_exit (*run)(struct hart *hart, bool step);
};

struct world;

/* NULL: no such engine. */
const struct engine_kind *engine_find(const char *name);
struct world *world_create(const struct engine_kind *kind, const struct isa *isa, u32 code_size,
                           u32 pages, bool limits);
void world_run(struct world *w, const struct program *p, const u8 *image);
const struct hart *world_hart(const struct world *w);
u32 world_traps(const struct world *w);
/* Has the program overwritten what it never shall, such as its handlers, without a fence? */
bool world_is_ruined(const struct world *w, const u8 *image);
/* How many values differ; shows the first of them. */
u32 world_compare(const struct world *a, const struct world *b, bool show);

/* engines_shrink.c: makes p smaller while it fails, and prints what is left of it. */
typedef bool (*engines_fails_fn)(struct program *p);
void engines_shrink(struct program *p, engines_fails_fn fails);
void engines_print(const struct program *p, const u8 *image, const struct isa *isa);

#endif
