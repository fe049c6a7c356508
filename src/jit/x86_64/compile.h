/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the compiler of IR to x86-64: where values are, which registers are free, what goes
 * behind the code.
 *
 * A value is where it is cheapest to find: a constant, a slot that was read (and not copied while
 * the slot keeps its value), a scratch register, or the flags between a comparison and its branch.
 * A result whose only use is the PUT that follows is computed in that slot's register. What is
 * rarely run (taken side exits, TLB misses, jumps not yet chained) goes behind the code as stubs.
 */
#ifndef COSM_JIT_X86_64_COMPILE_H
#define COSM_JIT_X86_64_COMPILE_H

#include "base/assert.h"
#include "jit/x86_64/backend.h"

enum where { NOWHERE, IN_CONST, IN_SLOT, IN_SCRATCH, IN_PINNED, IN_FLAGS };

struct value {
    u8 where;
    u8 reg;  /* IN_SCRATCH, IN_PINNED; IN_FLAGS: enum cond */
    u8 uses; /* left, saturating */
    u8 part; /* IN_SLOT: from this byte on */
    u32 slot;
};

enum stub_kind {
    STUB_LOAD,
    STUB_STORE,
    STUB_ATOMIC,
    STUB_TAKEN,
    STUB_CHAIN,
    STUB_TURN,
    STUB_TURN_NEAR,
    STUB_LEAVE_IF,
    STUB_DIVIDE,
    STUB_FGUARD,
    STUB_GUARD,
    /* Floating point, fp.c. */
    STUB_NAN,      /* data is a NaN: the canonical one */
    STUB_FMA_NAN,  /* the same; the factors are in address and value */
    STUB_CHOOSE,   /* FMIN, FMAX of address and value with a NaN, into data */
    STUB_EQUAL,    /* the same, of equal operands */
    STUB_SATURATE, /* from address, into data */
    STUB_TO_U64,   /* the same, not between -1 and 2^63 */
    STUB_FROM_U64, /* from address, a negative integer */
};

/* Code to be placed behind the block. */
struct stub {
    enum stub_kind kind;
    u8 *from;                  /* end of the jump that leads here */
    u8 *back;                  /* where LOAD, STORE, ATOMIC and DIVIDE return */
    u8 address, data;          /* registers; STORE's data by rm; DIVIDE's divisor by address */
    s32 disp;                  /* added to the address */
    u32 window;                /* 0, or 1 + the place of a window that is not to be */
    u8 index, spare;           /* registers to look with */
    const struct window *site; /* not NULL: what is to be looked up for its site, */
    u8 *resume;                /* to go on here with its addend in index */
    u32 code;                  /* offset in the buffer of its own code */
    struct rm value;
    bool value_is_const;
    u64 constant;
    u32 how, where;
    s32 away;    /* with where: the guest instruction, as engine functions want it */
    s64 target;  /* offset in the page; ATOMIC: imm of the call */
    s32 done;    /* guest instructions at the exit */
    u32 at;      /* TAKEN, DIVIDE: the operation; TURN_NEAR: the label */
    bool within; /* the copy of a stretch has its code */
};

/* Accesses that share a look at the TLB, see window.c. */
struct window {
    u32 slot;
    s32 first, end; /* what they span, from the slot's value */
    u32 count;
    u8 place; /* in the frame: the addend, or 0 */
    bool write;
    bool opened; /* its first access has been compiled */
    bool in_loop;
    bool branched; /* code may have left since its first access */
    bool guard;    /* a GUARD looks, and the accesses are sure */
    bool view;     /* by the hart's view, see view.c */
    u16 site;      /* in the mode's pool; NO_SITE: the frame has the addend */
};

#define NO_SITE UINT16_MAX

#define WINDOWS_MAX (1024 + IR_GUARDS_ALL)

/* Where an access finds its bytes: [base + index + disp]. */
struct place {
    enum reg base, index; /* index: NO_REG, none */
    enum reg spare;       /* of a window: free, too */
    s32 disp;
    bool loaded; /* base is a scratch register of its own */
    bool gs;     /* beyond GS's base */
};

/* Operations whose accesses by the view have a copy, see stretch.c. */
struct stretch {
    u32 first, end;
    s32 base;           /* compile's at its beginning */
    const u8 *back;     /* where the copy comes back; NULL: there is none */
    u8 lodger, lodging; /* region_code's at its end, and its register */
};

#define STRETCHES_MAX   512
#define STUBS_MAX       8192
#define VIEW_FAULTS_MAX (2 * IR_OPS_MAX)
#define LABELS_MAX      1024
#define JUMPS_MAX       2048
#define NO_LAG          (-1)
#define CALLS_MAX       256

/* A region may keep its count in the state, and a slot in COUNT. */
#define REGION_REGS (PINNED_MAX + 1)
#define NO_SLOT     0xff

/* What is particular to a region: its own choice of slots in registers, and its labels. */
struct region_code {
    u8 slot_reg[SLOTS_MAX];
    u8 held[REGION_REGS];    /* slot in register n of region_regs, NO_SLOT: none */
    bool written[SLOTS_MAX]; /* somewhere in it */
    u32 label_count;
    struct {
        s32 offset;
        s16 lag;         /* of the count in the state there; NO_LAG: not known yet */
        u8 depth;        /* in loops */
        bool jumped;     /* the map leads there */
        u8 *at;          /* NULL: not placed yet */
    } label[LABELS_MAX]; /* by offset */
    /* Where JUMPRs lead in the region, see switch.c. */
    struct {
        u8 *entry;       /* NULL: there is none, or not yet */
        s32 first, last; /* offsets that it has */
        bool wanted;
    } map;
    /* Calls of the region, at most CALLS_MAX that are known, in order. */
    struct {
        s32 callee;
        u32 back; /* label */
    } call[CALLS_MAX];
    u32 call_count;
    u32 returns; /* places that returns were compared with */
    u32 jump_count;
    struct {
        u8 *end; /* of the jump to a label not placed yet */
        u32 label;
    } jump[JUMPS_MAX];
    u8 *fault; /* all slots in registers to the state, and out */
    u8 lodger; /* NO_SLOT: there is none */
};

struct compile {
    struct jit_backend *b;
    const struct ir_block *block;
    const s32 *where; /* of each guest instruction, from the page's start */
    u32 source;
    const struct jit_jump *jump; /* what is known of a region's JUMPRs */
    u32 jump_count;
    const u8 *slot_reg; /* the register that holds a slot while this code runs, or NO_REG */
    struct code c;
    struct region_code *in; /* NULL: a block */
    s32 base;               /* COUNT is exact before this guest instruction */
    s32 away;               /* the page of what is compiled, for calls into the engine */
    u32 free;               /* scratch registers, a bit each */
    struct {
        const u8 *at; /* as long as code ends here, the flags are those of */
        u8 reg;       /* a register */
        bool wide;    /* all of it, or the low half */
        bool have_sign;
    } flags;
    u32 stub_count;
    struct value value[IR_OPS_MAX];
    u16 window_of[IR_OPS_MAX]; /* index, WINDOWS_MAX: none */
    u32 window_count;
    struct window window[WINDOWS_MAX];
    struct stretch stretch[STRETCHES_MAX]; /* in the order of operations */
    u32 stretch_count;
    struct stretch *in_stretch;  /* what is compiled now, the first time; NULL: none */
    bool copies;                 /* it is a stretch's copy */
    bool relies[IR_OPS_MAX];     /* an access that needs no comparison */
    u16 access_stub[IR_OPS_MAX]; /* number of an access's in a stretch */
    u32 mode;                    /* of a region: whose pool its sites are in */
    bool has_sites;              /* it has */
    bool in_loop;                /* window.c's: here */
    u32 fault_count;             /* places where accesses by the view may fault, see view.c */
    struct {
        u32 access, stub; /* offset in the buffer, number */
    } fault[VIEW_FAULTS_MAX];
    struct stub stub[STUBS_MAX];
    struct region_code region;
};

#define SCRATCH     (1u << RAX | 1u << RCX | 1u << RDX | 1u << R11)
#define SCRATCH_XMM (1u << XMM0 | 1u << XMM1 | 1u << XMM2)

static inline struct value *val(struct compile *x, ir_value v)
{
    return &x->value[v];
}

static inline bool val_is_const(struct compile *x, ir_value v, u64 *constant)
{
    return ir_is_const(x->block, v, constant);
}

/* Is a slot held in a register? */
static inline bool is_pinned(const struct compile *x, u32 slot)
{
    return slot < SLOTS_MAX && x->slot_reg[slot] != NO_REG;
}

static inline struct rm slot_memory(const struct compile *x, u32 slot)
{
    return state_rm(x->b->layout.slot + 8 * (s32)slot);
}

/* Does the slot lodge in a scratch register at present? */
static inline bool region_lodges(const struct compile *x, u32 slot)
{
    return x->in && slot != NO_SLOT && x->in->lodger == slot;
}

static inline struct rm slot_rm(const struct compile *x, u32 slot)
{

    if (slot == IR_SLOT_PAGE)
        return state_rm(x->b->layout.page);
    if (is_pinned(x, slot))
        return rm_reg(x->slot_reg[slot]);
    return slot_memory(x, slot);
}

/* values.c: one of the registers of a set that are free, and giving it back. */
enum reg reg_take(struct compile *x, u32 from);
void reg_give(struct compile *x, enum reg reg);

/* Where a value can be read, a register of either kind or memory; not for constants and flags. */
struct rm val_lies(struct compile *x, ir_value v);
/* The same for integer instructions: moves it if it is in an XMM register. */
struct rm val_rm(struct compile *x, ir_value v);
/* Is v readable in this register? */
bool val_lies_in(struct compile *x, ir_value v, enum reg reg);
/* Copies it. */
void val_load(struct compile *x, enum reg to, ir_value v);
/* Moves it into a scratch register of its own. */
enum reg val_settle(struct compile *x, ir_value v);
/* A register that holds v: where it is, or a scratch one. */
enum reg val_reg(struct compile *x, ir_value v);
/* The same for XMM registers. */
enum reg val_xmm(struct compile *x, ir_value v);
struct rm val_xmm_rm(struct compile *x, ir_value v);
/* One use of it, or of all operands of operation `at`, is over. */
void val_release(struct compile *x, ir_value v);
void op_release(struct compile *x, u32 at);

/* A slot is about to change at operation `at`: values that are read from it later are copied. */
void slot_protect(struct compile *x, u32 slot, u32 at);
/* The slot in a register that the result of operation `at` goes to, perhaps by way of operations
 * that compute in place: it may be computed there. */
#define NO_TARGET UINT32_MAX
u32 op_target(struct compile *x, u32 at);
/* Where to compute the result of operation `at`; who reads the register later has a copy. */
enum reg op_result(struct compile *x, u32 at);
/* A stub whose jump was just emitted for op. */
struct stub *stub_add(struct compile *x, enum stub_kind kind, const struct ir_op *op);

/* arith.c */
void compile_unary(struct compile *x, u32 opcode, enum reg to, ir_value a);
void compile_binary(struct compile *x, u32 at, enum reg to);
/* Is operation `at` one of a slot in memory, which the PUT that follows does in place? */
bool computes_in_memory(const struct compile *x, u32 at);
void compile_in_memory(struct compile *x, u32 at);
/* Is operation `at` a shift of a slot in memory of which the next one keeps some whole bytes? They
 * can be read from there: it needs no code, and its value is where they are. */
bool names_part(struct compile *x, u32 at);
void compile_compare(struct compile *x, u32 at);
void compile_select(struct compile *x, u32 at);
void compile_addshl(struct compile *x, u32 at);

/* divide.c: DIVS to REMU32; operands as for compile_binary. */
void compile_divide(struct compile *x, u32 at, enum reg to, ir_value a, ir_value b);
void stub_divide(struct compile *x, const struct stub *s);

/* fp.c */
void compile_clmul(struct compile *x, u32 opcode, enum reg to, ir_value a, ir_value b);
void compile_fp(struct compile *x, u32 at);
void compile_fp_flags(struct compile *x, u32 at); /* FXGET, FXSET */
void stub_fp(struct compile *x, const struct stub *s);

/* access.c */

/* A look into the software TLB. */
struct probe {
    u32 size;
    bool write;
    bool aligned; /* misaligned counts as a miss */
};

/*
 * Emits it, up to a jump for a miss: a stub_add must follow. Returns a scratch register that holds
 * a place in the tables; probe_addend turns it into what is to be added to the guest's address to
 * get the host's. Takes two scratch registers, gives one back.
 */
enum reg probe_emit(struct compile *x, enum reg address, const struct probe *p);
void probe_addend(struct compile *x, enum reg e, const struct probe *p);

void compile_load(struct compile *x, u32 at);
void compile_store(struct compile *x, u32 at);
void stub_access(struct compile *x, const struct stub *s);

/* atomic.c */
void compile_atomic(struct compile *x, u32 at);
void compile_zero(struct compile *x, u32 at);
void stub_atomic(struct compile *x, const struct stub *s);

/* The page of an offset from the start of the page that runs. */
static inline s32 page_of(s32 offset)
{
    return offset & -(1 << JIT_PAGE_BITS);
}

/* Guest instructions that COUNT lacks before op's. */
static inline s32 op_lag(const struct compile *x, const struct ir_op *op)
{
    return op->guest - x->base;
}

/* Where its instruction lies. */
static inline s32 op_offset(const struct compile *x, const struct ir_op *op)
{
    return x->where[op->guest] & ~1;
}

/* window.c: finds the groups. In a region after region_begin, for this mode. */
void windows_find(struct compile *x);
void windows_find_in_region(struct compile *x, struct jit_compiler *compiler, u32 mode);
/* Code with sites may run in another mode from here on. */
void window_check_mode(struct compile *x);
/* Its parts: equal, the mode is the region's; else its sites are emptied for this one. */
void window_compare_mode(struct compile *x);
void window_adopt_mode(struct compile *x);
/* What fills the site of a window; falls through if the window is not to be. */
void stub_site(struct compile *x, const struct stub *s);
/* The group of access `at`; NULL: it goes alone. */
struct window *window_of(struct compile *x, u32 at);
/* Is ADD `at` the address of an access in a group, and need not be computed? */
bool window_takes_address(struct compile *x, u32 at);
/* The place of access `at` of group w, which goes to the stub if there is no window. */
struct place window_place(struct compile *x, u32 at, struct window *w, struct stub *stub);
/* Its addend, and what belongs to its site; the address of its first byte. */
struct rm window_addend(const struct compile *x, const struct window *w);
enum site_field { SITE_START, SITE_ROOM, SITE_ADDEND, SITE_FILLS };
struct rm site_rm(const struct compile *x, const struct window *w, u32 field);
void window_first(struct code *c, const struct window *w, enum reg to, enum reg base);
/* Its sites are shared among groups of up to 8 << 2 * width bytes. */
u32 window_width(const struct window *w);

/* guard.c: the place of access `at`, which is sure. */
struct place window_place_sure(struct compile *x, u32 at);
void compile_guard(struct compile *x, u32 at);
/* What looks at the TLB; falls through if the accesses cannot be made directly. */
void stub_guard(struct compile *x, const struct stub *s);

/* view.c: what follows, up to a jump for addresses out of the view: a stub_add must follow. */
void view_check(struct compile *x, enum reg base);
/* Checks if need be, and where access `at` is to be made; view_note comes right before it. */
struct place view_place(struct compile *x, u32 at, enum reg base, bool loaded, s32 disp,
                        struct stub *stub);
/* The instruction that follows goes on in the stub if it faults. */
void view_note(struct compile *x, const struct stub *stub);
/* Looks at a guard's pages after the check. */
void view_guard(struct compile *x, const struct window *w, enum reg base, struct stub *stub);
void view_end(struct compile *x, struct jit_compiler *compiler, u32 start);

static inline struct rm window_rm(u32 place)
{
    return rm_mem(RSP, (s32)place * 8);
}

/* stretch.c: finds them, when windows are known; at the first operation of one, and after the last
 * one; all copies. */
void stretches_find(struct compile *x);
void stretch_begin(struct compile *x, struct stretch *s);
void stretch_end(struct compile *x, struct stretch *s);
void stretches_copy(struct compile *x);
/* The access of a copy. */
void stretch_access(struct compile *x, struct stub *stub);

/* compile.c: forgets what is known of values; an operation. */
void values_begin(struct compile *x, u32 first, u32 end);
void compile_op(struct compile *x, u32 at);

/* control.c */
void compile_put(struct compile *x, u32 at);
void compile_control(struct compile *x, u32 at);
void compile_stub(struct compile *x, u32 index);
/* The engine's call, which may change any slot; where: see struct stub. */
void compile_engine_call(struct compile *x, s64 imm, u32 where);
/* Calls the engine's load or store, how as it wants it; what a register holds survives. */
void compile_engine_access(struct compile *x, bool store, u32 how);

/* Compares what RAX holds with labels, for JUMPR `at`, and jumps. RAX survives. */
void compile_near_places(struct compile *x, u32 at, const u32 *labels, u32 count);

/* switch.c: what of a region's map there can be, and its calls; room for the map; its entries, when
 * labels are placed. */
void switch_find(struct compile *x);
void switch_begin(struct compile *x);
void switch_end(struct compile *x);
/* Bytes that it takes in the next region, at most. */
u32 switch_bound(const struct jit_compiler *compiler);
/* The label to which what is called at `at` shall return; LABELS_MAX: it is no call. */
u32 switch_return(const struct compile *x, u32 at);
/* The first label that JUMPR `at` may lead to; LABELS_MAX: none is known. */
u32 switch_lowest(const struct compile *x, u32 at);
/* JUMPR `at` to places in the region where it has led before or may return to, from what RAX holds.
 * Falls through if it is none of them; COUNTED: the count is exact then. */
enum switched { SWITCHED_NOT, SWITCHED_COUNTED };
enum switched switch_jump(struct compile *x, u32 at);

/* region.c: chooses registers for the slots of x->block and finds its labels. */
void region_begin(struct compile *x);
/* The label at an offset; LABELS_MAX: there is none. */
u32 region_label(const struct compile *x, s64 offset);
/* All labels are placed: jumps find them. */
void region_resolve(struct compile *x);
void region_place_label(struct compile *x, u32 label);
/* A jump to a label, on a condition or not (CC_ALWAYS). */
void region_jump(struct compile *x, u32 label, u32 condition);
#define CC_ALWAYS 16
/*
 * The state's count lags behind in a region by what is known at each place. A label is reached
 * with the same lag from everywhere: region_count sees to that, for a jump with this lag; whether
 * it had to do anything says region_lacks.
 */
void region_count(struct compile *x, u32 label, s32 lag);
/* The same for a loop's jump back; then the flags say whether the count is negative (CC_L). */
void region_count_loop(struct compile *x, u32 label, s32 lag);
/* Exact from here on; n instructions more are done. The flags say the same. */
void region_add_count(struct compile *x, s32 n);
bool region_lacks(const struct compile *x, u32 label, s32 lag);
s32 region_lag(struct compile *x, u32 label);
/* From the region's registers to those of blocks, n guest instructions more done; and back, for a
 * jump to a label. */
void region_leave(struct compile *x, s32 done);
void region_enter(struct compile *x, u32 label);
/* Before an entry at an offset: code that leaves, of 16 bytes at a multiple of that; the entry's
 * look at its check. */
void region_check_missed(struct compile *x, s32 offset);
void region_check(struct compile *x, u32 check, s32 offset);
/* Is COUNT what it is in blocks? */
bool region_counts_in_register(const struct compile *x);
/* Before a call into the engine: COUNT to layout.left, if it is there. */
void region_store_count(struct compile *x);
/* Slots in registers to the state, and back (the count, too). */
void region_store(struct compile *x);
void region_load(struct compile *x);
/*
 * A slot in memory may lodge in a scratch register from a PUT that is brief to its last GET: one
 * slot at a time, as operations in between need scratch registers, too. region_lodge is the PUT of
 * v; false: it cannot be.
 */
bool region_lodge(struct compile *x, u32 slot, ir_value v);
void region_unlodge(struct compile *x, u32 slot);
/* Emits the region's fault exit. */
void region_fault(struct compile *x);

#endif
