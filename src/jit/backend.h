/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A back end turns an IR block into host code. It knows the engine's state only by the offsets in
 * struct jit_layout, so one back end serves every guest instruction set.
 *
 * Generated code runs between enter and an exit. While it runs, pinned slots live in host registers
 * and layout.count holds the guest instructions done before the block; on each exit and around each
 * call into the engine all of it is in the state, exactly.
 */
#ifndef COSM_JIT_BACKEND_H
#define COSM_JIT_BACKEND_H

#include "ir/ir.h"
#include "jit/code_buffer.h"

/* Why generated code came back. */
enum jit_exit {
    JIT_EXIT_LOOKUP,      /* layout.pc holds where to go on */
    JIT_EXIT_CHAIN,       /* the same; layout.patch says which jump may lead there directly */
    JIT_EXIT_FAULT,       /* an engine function returned false: it has set all there is to know */
    JIT_EXIT_GUARD,       /* of a GUARD: the guest instructions to be done are << JIT_EXIT_BITS */
    JIT_EXIT_JUMPED,      /* as LOOKUP; by a JUMPR to be noted, of the instruction at offset patch
                             from the start of the page that runs */
    JIT_EXIT_ENGINE = 16, /* a LEAVE gives its imm, from here on; layout.pc is set */
};

#define JIT_EXIT_BITS 8 /* of a number */

/* Result of an engine function that accesses memory. */
struct jit_result {
    u64 value;
    u64 ok;
};

/*
 * Engine functions. where packs the guest instruction: what jit_backend_compile was told of its
 * place, from the start of its page | its index in the block << 16. layout.away, which they make 0,
 * is that page's distance from the one that runs. A false result leaves the block with
 * JIT_EXIT_FAULT.
 */
struct jit_engine {
    struct jit_result (*load)(void *state, u64 address, u32 how, u32 where); /* how: JIT_HOW_... */
    u64 (*store)(void *state, u64 address, u64 value, u32 how, u32 where);
    u64 (*call)(void *state, u64 imm, u32 where);
    /* GO: leaves layout.pc and layout.count as they are after it, layout.jumps those of the mode
     * that the state is in then, and layout.fp_live 0. */
    u64 (*go)(void *state, u64 imm, u32 where);
    /*
     * For layout.sites. Their pool of a mode is to be used though the state's is another: the
     * engine empties it, now and when the mode changes. Or what layout.site says, JIT_SITE_WRITE or
     * 0 plus a mode << 16 plus a site, has been filled a few times: the engine may make it wider.
     */
    void (*adopt)(void *state, u64 mode);
    void (*widen)(void *state);
    /*
     * A GUARD asks for the bytes from address on, JIT_OPEN_SIZE of them: ok and the addend if they
     * can be accessed directly, to be stored to if JIT_SITE_WRITE. May do what the load or store,
     * if it is said what the first access is, would do to the TLB and page tables, but raises
     * nothing. JIT_OPEN_SITE: fills the site.
     */
    struct jit_result (*open)(void *state, u64 address, u32 how);
};

/* How a load or store is made: its size, and: */
#define JIT_HOW_SIGNED (1u << 8)
#define JIT_HOW_VIEW   (1u << 9) /* by the view, if it were there; a region's */

/* A site: its number, the mode of its pool; and whether for stores. */
#define JIT_SITE_MODE  16
#define JIT_SITE_WRITE (1u << 30)
/* The same to open, and: */
#define JIT_OPEN_LOAD  (1u << 18)
#define JIT_OPEN_STORE (1u << 19)
#define JIT_OPEN_SIZE  20 /* shift of the number of bytes */
#define JIT_OPEN_WIDTH 28 /* of what the site serves: up to 8 << 2 * width bytes */
#define JIT_OPEN_SITE  (1u << 31)
#define JIT_OPEN_VIEW  1u /* without a site: both pages are to be in the view */

/* How operations round where the IR does not say it: to nearest is with ties to even. */
enum jit_fp_round { JIT_FP_NEAREST, JIT_FP_DOWN, JIT_FP_UP, JIT_FP_ZERO };

enum jit_fp_exception {
    JIT_FP_INVALID,
    JIT_FP_DIVIDE, /* by zero */
    JIT_FP_OVERFLOW,
    JIT_FP_UNDERFLOW,
    JIT_FP_INEXACT,
    JIT_FP_EXCEPTIONS,
};

/* The fields of the state from this offset on, 256 bytes of them, are reached by less code. */
#define JIT_NEAR_FIRST 76

/* Offsets from the state pointer, in bytes; small enough for a signed 32-bit displacement. */
struct jit_layout {
    s32 slot;       /* slot n is the u64 at slot + 8 * n */
    s32 pc;         /* u64: next guest pc, on exit */
    s32 count;      /* u64: guest instructions done */
    s32 turn, left; /* u64 each: the back end's own, about the count */
    s32 page;       /* u64: guest-virtual address of the page that runs; IR slot IR_SLOT_PAGE */
    s32 away;       /* s64: see struct jit_engine */
    s32 attn;       /* u32: not 0, leave soon, see JIT_TURN; set before an entry, leave at the next
                     * backward or indirect jump */
    s32 patch;      /* u32: offset in the buffer of a jump's displacement; see JIT_EXIT_JUMPED */
    s32 source;     /* u32: what jit_backend_compile was told about the block of that jump */
    bool redirects; /* blocks begin with room for jit_backend_redirect */
    s32 limit;      /* u64: from this count on, leave at the next look; 0: none looks at it */
    s32 tlb;        /* pointer to the tables of the software TLB */
    u32 tlb_bits;   /* log2 of the number of their entries, {u64 page, u64 addend} */
    s32 tlb_read, tlb_write; /* the tables, from where the pointer leads */
    /*
     * Ranges of addresses that places in regions reached last: pools, one a mode, of {u64 start,
     * u64 room, u64 addend, u32 fills, u32 when it is not to be widened}, and a bit a site that may
     * not be empty. The engine empties those whose addresses the tables do not allow any more: all
     * 0 but for the addend, which code that has looked already may need.
     */
    s32 sites, sites_used;       /* of mode 0 */
    u32 sites_count, sites_next; /* in a pool; bytes from one mode's to the next's */
    /*
     * For accesses by IR_ACCESS_VIEW. u64 view: addresses below it are accessed at GS's base beyond
     * themselves; the host faults where they must not be, and the engine's handler goes on as
     * jit_backend_recovery says. So nothing but the guest's may lie there, nor 2 GiB before or
     * behind. s64 view_writable: so far beyond that, what may be written can be read, and nothing
     * else. Between a GUARD and its last access nothing of either changes but by an access alone
     * that meets the engine, which adds to it at most. What cannot be had by the view is looked for
     * in the tables of the TLB; each time takes 1 from s32 view_credit, and below 0 the engine is
     * asked instead.
     */
    s32 view, view_writable, view_credit;
    s32 mode;                        /* u32: of the tables that tlb points to */
    u32 modes_kept;                  /* bit n: a CALL hardly ever changes mode n */
    s32 site;                        /* u64: see struct jit_engine */
    s32 link, link_value, link_size; /* u64 each, of ATOMIC: host address (0: none), value, bytes */
    /* Pointer to an array of {u64 pc, u64 code}, indexed by pc >> 1, and log2 of its entries. An
     * odd pc does not match; at the place where it were looked for there must be another one. */
    s32 jumps;
    u32 jumps_bits;
    s32 checks;       /* from where jumps leads: u64 each, see jit_backend_compile_region */
    u32 int_slots;    /* slots 0 to here may be held in integer registers */
    const u8 *pinned; /* slots to keep in host registers, most wanted first */
    u32 pinned_count;
    /* The same for floating-point registers. They are used between an FGUARD that lets pass and
     * the next exit; fp_live is the level that was found then, else 0. */
    const u8 *pinned_fp;
    u32 pinned_fp_count;
    s32 fp_level; /* u32: what the engine allows; read by FGUARD once after an entry */
    s32 fp_live;  /* u32: the back end's own */
    s32 fp_round; /* u32: enum jit_fp_round; never changes while generated code runs */
    s32 fp_flags; /* u32: exceptions, added to; */
    u8 fp_flag[JIT_FP_EXCEPTIONS]; /* its bits, by exception */
};

#define JIT_PAGE_BITS 12

/* Backward and indirect jumps look at attn when so many guest instructions are done since the last
 * look. */
#define JIT_TURN 4096

/* With layout.limit, generated code runs no more guest instructions than this between two looks at
 * the limit (one a block or loop of a region): the engine sets it so much lower and does the rest.
 */
#define JIT_LIMIT_SLACK 2048

/* Jumps to the page's last halfword, as those to other pages, are by the table and never chained:
 * an instruction may begin there and go on in the next page. */
#define JIT_CHAIN_END ((1 << JIT_PAGE_BITS) - 2)

struct jit_backend;

/*
 * One thread's means to compile: working memory, and the piece of the buffer that it fills. Each
 * compiler serves one thread at a time; several compile at once into pieces of their own.
 */
struct jit_compiler;

/* Is there a back end for this host's processor? */
bool jit_backend_is_supported(void);

/* NULL: no memory. layout's contents are copied, engine's too. */
struct jit_backend *jit_backend_create(const struct jit_layout *layout,
                                       const struct jit_engine *engine, u32 code_size);
void jit_backend_destroy(struct jit_backend *backend);

/* NULL: no memory. To be destroyed before its back end; it fills nothing until it is aimed. */
struct jit_compiler *jit_compiler_create(struct jit_backend *backend);
void jit_compiler_destroy(struct jit_compiler *compiler);

/* Code goes to offsets from..end of the buffer from now on; none before jit_backend_code_start. */
void jit_compiler_aim(struct jit_compiler *compiler, u32 from, u32 end);

/* The offset up to which the piece is filled. */
u32 jit_compiler_at(const struct jit_compiler *compiler);

/* Where the buffer is free for code; what lies before is the back end's own. */
u32 jit_backend_code_start(const struct jit_backend *backend);

/*
 * Compiles a verified block whose guest instruction i lies where[i] bytes from its page's start;
 * bit 0 is the engine's, for its functions. BRANCH and JUMP targets are offsets from the page's
 * start, in it or not. source is the engine's name for where the block comes from. Returns the
 * code's offset in the buffer; 0: the piece is full.
 *
 * So that one pass suffices, no value may be used beyond its guest instruction, and none that is
 * computed beyond a LOAD, STORE or CALL.
 */
u32 jit_backend_compile(struct jit_compiler *compiler, const struct ir_block *block,
                        const s32 *where, u32 source);

#define JIT_ENTRIES_MAX 64 /* of a region */

/* A way into a region. */
struct jit_entry {
    s32 offset; /* of a LABEL */
    u32 code;   /* as jit_backend_compile's result */
};

#define JIT_NO_CHECK UINT32_MAX
#define JIT_NO_SITES UINT32_MAX

/*
 * A region beyond one page holds for certain mappings of its pages: it is entered only if check
 * number `check` holds the address of the first one, whose offset is 0, and else leaves again. A
 * way in becomes void by jit_backend_redirect to jit_entry_void, or to other code for the same.
 */
static inline u32 jit_entry_void(u32 code)
{
    return code - 16;
}

/*
 * The same for a region: finds the code of its entries, at each of which blocks may go on. mode:
 * that it will mostly run in, or JIT_NO_SITES. check is JIT_NO_CHECK if all of it lies in one page.
 * False: the piece is full.
 */
bool jit_backend_compile_region(struct jit_compiler *compiler, const struct ir_block *block,
                                const s32 *where, u32 source, u32 mode, u32 check,
                                struct jit_entry *entry, u32 count);

/* Where a JUMPR of a region may lead: offsets of its instruction and of a LABEL, if there is one.
 */
struct jit_jump {
    s32 from, to;
};

/* What is known of the next region, by ascending `from`; it stays where it is while that is
 * compiled. */
void jit_compiler_expect(struct jit_compiler *compiler, const struct jit_jump *jump, u32 count);

/* Lets the jump whose displacement is at offset patch lead to code; others may execute it. */
void jit_backend_chain(struct jit_backend *backend, u32 patch, u32 code);

/* Lets a block lead to code elsewhere from its beginning on; others may execute it. */
void jit_backend_redirect(struct jit_backend *backend, u32 block, u32 code);

/* Nothing has been compiled for a while: gives back what writing took. Any thread. */
void jit_backend_rest(struct jit_backend *backend);

/* A thread that runs generated code faulted at this address: where it is to go on. 0: that is not
 * an access by a view. Any thread, in a signal handler, too. */
u64 jit_backend_recovery(const struct jit_backend *backend, u64 address);

/* For struct jit_layout's jump table. */
u64 jit_backend_address(const struct jit_backend *backend, u32 code);

/* Runs from code until an exit: enum jit_exit or a LEAVE number. */
u32 jit_backend_run(struct jit_backend *backend, void *state, u32 code);

#endif
