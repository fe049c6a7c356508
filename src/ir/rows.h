/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rows of byte accesses that are one access in truth.
 *
 * Compilers for machines that must not access words misaligned move them byte by byte: loads of
 * bytes that shifts put together or that other stores put somewhere else, stores of a word's bytes.
 *
 * A group is a piece of straight code with such rows in which all accesses add constants to what
 * slots hold at its beginning. There a GUARD for each of these slots asks whether all of them can
 * be done at once (or leaves, then the bytes are moved one by one). From there on nothing leaves,
 * so slots need to be right at the end only, and wide accesses take the place of the rows. A row's
 * word lives in a slot that a byte of it will be put into, or one of another row: its home.
 */
#ifndef COSM_IR_ROWS_H
#define COSM_IR_ROWS_H

#include "ir/ir.h"

#define ROWS_OPS      512 /* of a group */
#define ROWS_ACCESSES 80
#define ROWS_MAX      8
#define ROWS_CHUNKS   16
#define ROWS_DEMANDS  64
#define ROWS_GUARDS   5   /* of a group: bases that it may have */
#define ROWS_BASES    33  /* slots below 32, and IR_SLOT_PAGE */
#define ROWS_SPAN     128 /* bytes from one base's first access to its last one's end */

/*
 * What is known of a value: that it is a constant more than another one, its origin, and where
 * each of its bytes comes from. Origins: slots' values at the beginning of the group, operations
 * of it (ROWS_OP + its index in the group), none.
 */
#define ROWS_CONST 63
#define ROWS_OP    64

struct rows_value {
    u32 origin;
    s64 offset;
    u32 byte[8]; /* a constant, or one of these: */
};

#define ROWS_BYTE (1u << 30) /* | origin << 3 | number of its byte */
#define ROWS_SIGN (2u << 30) /* the same: copies of that byte's sign */

struct rows_access {
    u16 at, start; /* the operation, and the first of its guest instruction: indices in the group */
    u8 base, size;
    bool write;
    s32 offset;
    u8 run;        /* stores that follow each other, of the same base and of different bytes */
    u8 row, chunk; /* 1 + number of what replaces it; 0: nothing does */
};

/* Loads that become one. Its bytes are numbered from the lowest of the word that it makes. */
struct rows_row {
    u8 base, size;
    bool reversed;     /* the highest one comes from the lowest address */
    s32 offset;        /* of the lowest address */
    u16 start, access; /* where the first load is */
    u8 home;
    bool lodges; /* its home gets none of its bytes, as none is left in the end */
};

/* Stores that become one. */
struct rows_chunk {
    u8 base, size;
    s32 offset;
    u16 start, access; /* where the first store is */
    u32 byte[8];
    u8 slot[8]; /* from which they are stored: */
    bool mixed; /* the word is put together from these */
};

/* Of operations: what has to do with a row or chunk. */
struct rows_demand {
    u16 first, end;
};

struct rows_range {
    s32 first, end; /* the same: there is nothing */
    bool write;
};

struct rows_slot {
    u8 state;                       /* rows_emit.c's */
    const struct rows_value *value; /* at the place that is looked at */
};

/* Working memory. */
struct ir_rows {
    struct ir_block out;
    ir_value map[IR_OPS_MAX];
    const struct ir_block *block;
    const u64 *apart; /* as ir_guard's */
    u32 first, count; /* the group: from where in the block, how many operations */
    struct rows_value value[ROWS_OPS];
    u8 role[ROWS_OPS];
    u8 access_of[ROWS_OPS]; /* 1 + its number; 0: none */
    struct rows_value initial[ROWS_BASES];
    struct rows_slot slot[ROWS_BASES];
    struct rows_access access[ROWS_ACCESSES];
    u32 access_count;
    struct rows_range range[ROWS_BASES]; /* of each base's accesses */
    struct rows_row row[ROWS_MAX];
    struct rows_chunk chunk[ROWS_CHUNKS];
    u32 row_count, chunk_count;
    struct rows_demand demand[ROWS_DEMANDS];
    u32 demand_count;
    u16 last_use[ROWS_BASES]; /* 1 + the last instruction's start that needs it as it was */
};

/* The block, or one in rows->out that does the same with fewer accesses. apart: as ir_guard's. */
const struct ir_block *ir_rows(struct ir_rows *rows, const struct ir_block *block,
                               const u64 *apart);

/* Where the instruction ends that operation `at` belongs to. */
static inline u32 rows_instruction_end(const struct ir_block *block, u32 at)
{
    u32 end = at + 1;

    while (end < block->count && block->op[end].guest == block->op[at].guest)
        end++;
    return end;
}

static inline bool rows_overlap(s32 a, u32 a_size, s32 b, u32 b_size)
{
    return a < b + (s32)b_size && b < a + (s32)a_size;
}

/* The row whose home a slot is; NULL: none. */
static inline const struct rows_row *rows_home_of(const struct ir_rows *r, u32 slot)
{
    for (u32 i = 0; i < r->row_count; i++) {
        if (r->row[i].home == slot)
            return &r->row[i];
    }
    return NULL;
}

/* How many bases its accesses have. */
static inline u32 rows_bases(const struct ir_rows *r)
{
    u32 n = 0;

    for (u32 b = 0; b < ROWS_BASES; b++)
        n += r->range[b].first != r->range[b].end;
    return n;
}

/* Has a guard of the group failed too often? */
static inline bool rows_is_apart(const struct ir_rows *r)
{
    const struct ir_op *op = &r->block->op[r->first];

    for (u32 n = op->guest; r->apart && n <= op[r->count - 1].guest; n++) {
        if (r->apart[n / 64] >> n % 64 & 1)
            return true;
    }
    return false;
}

/* rows_scan.c: makes what goes from `first` to `limit`, or to what cannot belong to it, the group.
 */
void rows_scan(struct ir_rows *r, u32 first, u32 limit);

/* rows_find.c: finds rows, chunks and demands in the group. */
void rows_look(struct ir_rows *r);

/*
 * rows_group.c: looks at what begins at operation `first` of the block and chooses a group with
 * rows. False: there is none before operation *next, which is a later one.
 */
bool rows_find(struct ir_rows *r, u32 first, u32 *next);

/* What becomes of operations: see rows_group.c. */
enum { ROWS_NEEDED = 1, ROWS_LAZY = 2, ROWS_MOVED = 4 };

/* The access of an operation; NULL: none. */
static inline struct rows_access *rows_access_at(struct ir_rows *r, u32 at)
{
    return r->access_of[at] ? &r->access[r->access_of[at] - 1] : NULL;
}

/* rows_value.c: slots have what they had; what is known of an operation's value. */
void rows_initial(struct ir_rows *r);
void rows_value_of(struct ir_rows *r, u32 at);

/* A value made of successive bytes of a row: where they come from and go to. */
struct rows_part {
    u8 row, from, count; /* bytes from..from+count of the row */
    u8 to;               /* the first is this byte of the value, below it are zeros */
    bool sign;           /* above are copies of the sign, or else zeros */
};
bool rows_part(struct ir_rows *r, const struct rows_value *value, struct rows_part *part);

/* The row that a byte comes from, and its number there. */
bool rows_byte(struct ir_rows *r, u32 byte, u32 *row, u32 *number);

/* rows_emit.c: adds the group to rows->out. False: it cannot be, and nothing was added. */
bool rows_emit(struct ir_rows *r);

#endif
