/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random programs on our interpreter and on qemu-riscv64.
 *
 * A program is a row of chunks. A chunk has a record in memory: a scratch buffer between the
 * registers that it starts with and those that it ends with. Its code loads the registers, runs
 * its items a few times over, and stores the registers. Both sides run the same bytes at the same
 * addresses; the records are compared.
 */
#ifndef COSM_TESTS_DIFF_H
#define COSM_TESTS_DIFF_H

#include "rv/isa.h"
#include "tests/insn.h"

/* Registers that a chunk does not write, for they hold addresses in its scratch buffer; and the
 * count of rounds. */
#define REG_SP    2  /* for the compressed stack forms */
#define REG_MID   8  /* the middle of the scratch buffer */
#define REG_ODD   9  /* misaligned, or far away so that immediates must be large */
#define REG_QUAD  18 /* aligned to 16 */
#define REG_WORD  19 /* aligned to 4 */
#define REG_COUNT 20

#define CODE_BASE    UINT64_C(0x10000000)
#define CODE_SIZE    (4 * MIB)
#define DATA_BASE    UINT64_C(0x20000000)
#define DATA_SIZE    (4 * MIB)
#define SCRATCH_SIZE 1024

struct state {
    u64 x[32], f[32], fcsr;
    u64 unused[7]; /* so that the scratch buffer is aligned to a cache block */
};

struct record {
    struct state out;
    u8 scratch[SCRATCH_SIZE];
    struct state in;
};

#define RECORD_MID (sizeof(struct state) + SCRATCH_SIZE / 2)

enum item_kind {
    ITEM_PLAIN,    /* instructions that stay together */
    ITEM_BRANCH,   /* one, to a later item */
    ITEM_INDIRECT, /* auipc, perhaps addi, and a jump through the register to a later item */
};

struct item {
    enum item_kind kind;
    u32 count;
    u32 skip; /* how many of the next items a branch jumps over */
    struct {
        const struct insn_line *line;
        struct insn_operands o;
    } insn[4];
};

#define ITEMS_MAX      64
#define CHUNKS_MAX     500 /* a program */
#define CHUNK_CODE_MAX 2048

struct chunk {
    u64 seed;
    u32 count;
    struct item item[ITEMS_MAX];
    struct record start; /* as if at address 0: pointers are set when it is placed */
    s64 bias[32];        /* of a register that points into scratch: its distance to the middle */
};

struct program {
    u32 count;
    u32 code_size;
    u8 *code;              /* CODE_SIZE */
    struct record *record; /* CHUNKS_MAX */
    u64 chunk_pc[CHUNKS_MAX + 1];
};

/* How one side ran a program. */
struct outcome {
    bool died;
    char how[120];
    struct record *record;
    u64 insns; /* ours only */
};

/* diff_gen.c. usable says which lines of riscv.def may be used. */
extern bool diff_usable[ARRAY_SIZE(insn_lines)];
void diff_gen_init(void);
void diff_gen_chunk(struct chunk *chunk, u64 seed);
/* Is the line one that the generator makes at all? */
bool diff_gen_knows(const struct insn_line *line);
/* A chunk of this instruction alone. */
void diff_gen_single(struct chunk *chunk, const struct insn_line *line);

/* diff_build.c */
void diff_program_init(struct program *program);
void diff_program_free(struct program *program);
void diff_program_build(struct program *program, struct chunk *const *chunks, u32 count);
/* The program as a static executable; to be freed. */
u8 *diff_program_elf(const struct program *program, size_t *size);
/* Bits of the items of a chunk at pc, for printing; returns the next pc. */
u64 diff_item_code(const struct chunk *chunk, u32 item, u64 pc, u32 *raw);

/* diff_ours.c */
/* translate: by exec/jit.h. False: this host has no translator. */
bool diff_ours_init(const struct isa *isa, bool translate);
void diff_ours_run(const struct program *program, struct outcome *outcome);

/* diff_qemu.c. False: this qemu cannot be used; why is printed. */
bool diff_qemu_init(const char *path);
void diff_qemu_run(const struct program *program, struct outcome *outcome);

#endif
