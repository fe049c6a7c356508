/* SPDX-License-Identifier: BSD-2-Clause */
/* Turns the rows of items of engines.c into an image of RAM: code, handlers, page tables, data. */
#include "tests/diff/engines.h"

#include "base/endian.h"
#include "rv/csr.h"

#define PTE_V  1u
#define PTE_R  2u
#define PTE_W  4u
#define PTE_X  8u
#define PTE_U  16u
#define PTE_AD 0xc0u

#define ALU(f) f(add) f(sub) f(xor) f(sltu) f(mul) f(and) f(srl) f(addw) f(div) f(mulhu)

static bool fits(const struct text *t)
{
    return t->at + 64 < t->size;
}

void emit_raw(struct text *t, u32 raw, bool compressed)
{
    if (t->at + 4 > t->size)
        return;
    le16_store(t->bytes + t->at, (u16)raw);
    if (!compressed)
        le16_store(t->bytes + t->at + 2, (u16)(raw >> 16));
    t->at += compressed ? 2 : 4;
}

void emit_insn(struct text *t, enum op op, u32 rd, u32 rs1, u32 rs2, s64 imm)
{
    struct insn_operands o = {.rd = rd, .rs1 = rs1, .rs2 = rs2, .imm = imm};

    emit_raw(t, insn_encode(engines_line(op), &o), false);
}

/* Always two instructions. */
void emit_li(struct text *t, u32 rd, s32 value)
{
    s32 low = (s32)sext((u64)(s64)value, 12);

    emit_insn(t, OP_lui, rd, 0, 0, ((s64)value - low) >> 12);
    emit_insn(t, OP_addiw, rd, rd, 0, low);
}

static u64 rnd(struct text *t, u64 below)
{
    return engines_rnd(&t->rng, below);
}

static u32 free_reg(struct text *t)
{
    return engines_free_reg(&t->rng);
}

static s64 distance(const struct text *t, const struct program *p, u32 to)
{
    return (s64)p->offset[to] - (s64)t->at;
}

static u32 random_alu(struct text *t)
{
#define OP(id) OP_##id,
    static const u16 ops[] = {ALU(OP)};
#undef OP
    const struct insn_line *line = engines_line((enum op)ops[rnd(t, ARRAY_SIZE(ops))]);
    struct insn_operands o = {.rd = free_reg(t), .rs1 = (u32)rnd(t, 32), .rs2 = (u32)rnd(t, 32)};

    return insn_encode(line, &o);
}

/* Is the item `to` so near that a compressed jump reaches it, whatever lies between? */
static bool is_near(const struct program *p, u32 from, u32 to)
{
    for (u32 i = from; i < to; i++) {
        if (p->item[i].kind == ITEM_CROSS)
            return false;
    }
    return p->compressed && to - from <= 3;
}

static void emit_compressed_jump(struct text *t, const char *name, u32 reg, s64 imm)
{
    const struct insn_line *line = insn_lines;
    struct insn_operands o = {.rs1 = reg, .imm = imm};

    while (strcmp(line->name, name))
        line++;
    emit_raw(t, insn_encode(line, &o), true);
}

static void emit_branch(struct text *t, const struct program *p, u32 at)
{
    static const u16 ops[] = {OP_beq, OP_bne, OP_blt, OP_bge, OP_bltu, OP_bgeu};
    u32 to = p->item[at].to;
    s64 ahead = distance(t, p, to);

    if (is_near(p, at, to) && rnd(t, 2)) {
        emit_compressed_jump(t, rnd(t, 2) ? "c.beqz" : "c.bnez", 8 + (u32)rnd(t, 8), ahead);
        return;
    }
    /* Too far for a branch: over a jump. */
    emit_insn(t, (enum op)ops[rnd(t, ARRAY_SIZE(ops))], 0, (u32)rnd(t, 32), (u32)rnd(t, 32),
              ahead < 4000 ? ahead : 8);
    emit_insn(t, OP_jal, 0, 0, 0, ahead < 4000 ? 4 : ahead - 4);
}

static void emit_jump(struct text *t, const struct program *p, u32 at)
{
    u32 to = p->item[at].to;

    if (is_near(p, at, to) && rnd(t, 2))
        emit_compressed_jump(t, "c.j", 0, distance(t, p, to));
    else
        emit_insn(t, OP_jal, rnd(t, 2) ? 0 : free_reg(t), 0, 0, distance(t, p, to));
}

/* The address of an item, relative to here. */
static void emit_address(struct text *t, const struct program *p, u32 rd, u32 to)
{
    s64 ahead = distance(t, p, to), low = (s64)sext((u64)ahead, 12);

    emit_insn(t, OP_auipc, rd, 0, 0, (ahead - low) >> 12);
    emit_insn(t, OP_addi, rd, rd, 0, low);
}

static void emit_indirect(struct text *t, const struct program *p, u32 at)
{
    u32 reg = free_reg(t);

    emit_address(t, p, reg, p->item[at].to);
    if (p->compressed && !rnd(t, 3))
        emit_compressed_jump(t, "c.jr", reg, 0);
    else
        emit_insn(t, OP_jalr, rnd(t, 2) ? 0 : rnd(t, 2) ? reg : free_reg(t), reg, 0, 0);
}

static void emit_call(struct text *t, const struct program *p, u32 at)
{
    u32 to = p->item[at].to;

    if (rnd(t, 2)) {
        emit_insn(t, OP_jal, REG_RA, 0, 0, distance(t, p, to));
        return;
    }
    emit_address(t, p, REG_RA, to);
    emit_insn(t, OP_jalr, REG_RA, REG_RA, 0, 0);
}

static void emit_loop_end(struct text *t, const struct program *p, u32 at)
{
    u32 counter = REG_LOOP + p->item[at].level;
    s64 back;

    emit_insn(t, OP_addi, counter, counter, 0, -1);
    back = distance(t, p, p->item[at].to);
    if (back > -4000) {
        emit_insn(t, OP_blt, 0, 0, counter, back);
        return;
    }
    emit_insn(t, OP_bge, 0, 0, counter, 8);
    emit_insn(t, OP_jal, 0, 0, 0, back - 4);
}

/* Rewrites an instruction, at once or by halves, then fences. */
static void emit_patch(struct text *t, const struct program *p, u32 at)
{
    u32 a = free_reg(t), b = free_reg(t);

    while (b == a)
        b = free_reg(t);
    emit_address(t, p, a, p->item[at].to);
    emit_li(t, b, (s32)random_alu(t));
    if (rnd(t, 3)) {
        emit_insn(t, OP_sw, 0, a, b, 0);
    } else {
        emit_insn(t, OP_sh, 0, a, b, 0);
        emit_insn(t, OP_srli, b, b, 0, 16);
        emit_insn(t, OP_sh, 0, a, b, 2);
    }
    emit_insn(t, OP_fence_i, 0, 0, 0, 0);
}

static void emit_wild(struct text *t)
{
    static const u16 loads[] = {OP_lb, OP_lhu, OP_lw, OP_ld, OP_fld, OP_flw};
    u32 reg = free_reg(t);

    if (rnd(t, 2)) {
        emit_insn(t, (enum op)loads[rnd(t, ARRAY_SIZE(loads))], free_reg(t), reg, 0,
                  (s64)rnd(t, 64) - 32);
        return;
    }
    emit_li(t, reg, 0x70000000 + (s32)rnd(t, 8192));
    emit_insn(t, rnd(t, 2) ? OP_sw : OP_sd, 0, reg, (u32)rnd(t, 32), 0);
}

static void emit_mmio(struct text *t)
{
    static const u16 ops[] = {OP_lb, OP_lhu, OP_lw, OP_ld, OP_sb, OP_sh, OP_sw, OP_sd};
    u32 which = (u32)rnd(t, 8);
    s64 offset = 32 + 8 * (s64)rnd(t, 8) + (rnd(t, 4) ? 0 : 1 + (s64)rnd(t, 7));

    emit_insn(t, (enum op)ops[which], free_reg(t), REG_MMIO, (u32)rnd(t, 32), offset);
}

/* Both engines look for interrupts at jumps backward at the latest. */
static void emit_irq(struct text *t)
{
    emit_insn(t, OP_sw, 0, REG_MMIO, 0, MMIO_RAISE);
    emit_insn(t, OP_addi, REG_S, 0, 0, 2);
    emit_insn(t, OP_addi, REG_S, REG_S, 0, -1);
    emit_insn(t, OP_blt, 0, 0, REG_S, -4);
}

static u64 pte_of(u32 page, u32 flags)
{
    return (RAM_BASE / PAGE_SIZE + page) << 10 | flags;
}

static u32 random_flags(u64 *rng, bool code)
{
    u32 flags = PTE_V | PTE_R | PTE_W | PTE_AD | (code ? PTE_X : 0);

    switch (engines_rnd(rng, code ? 16 : 6)) {
    case 0:
        return flags & ~PTE_W;
    case 1:
        return flags & ~(engines_rnd(rng, 2) ? 0x80u : PTE_AD);
    case 2:
        return code ? PTE_V | PTE_X | PTE_AD : (u32)engines_rnd(rng, 256);
    case 3:
        return code && engines_rnd(rng, 4) ? flags : flags & ~PTE_V;
    default:
        return flags;
    }
}

/* The PTE of a data or code page in a view: data anywhere, code as it is or its copy. */
static u64 random_pte(u64 *rng, u32 page, bool user)
{
    bool code = page >= PAGE_CODE;
    u32 flags = random_flags(rng, code) | (user ? PTE_U : 0);
    u32 to = page;

    if (code && engines_rnd(rng, 2))
        to = PAGE_CODE + (page - PAGE_CODE + CODE_PAGES) % (2 * CODE_PAGES);
    else if (!code && !engines_rnd(rng, 3))
        to = PAGE_DATA + (u32)engines_rnd(rng, DATA_PAGES);
    return pte_of(to, flags);
}

static void emit_pte(struct text *t)
{
    bool user = rnd(t, 2), code = !rnd(t, 3);
    u32 page = code ? PAGE_CODE + (u32)rnd(t, 2 * CODE_PAGES) : PAGE_DATA + (u32)rnd(t, DATA_PAGES);
    bool all = !user || rnd(t, 2);

    emit_li(t, 10, (s32)((user ? PAGE_SIZE : 0) + 8 * page));
    emit_li(t, 11, (s32)random_pte(&t->rng, page, user));
    emit_li(t, 12, all ? 0 : (s32)(VIEW_U + page * PAGE_SIZE));
    emit_insn(t, OP_addi, 17, 0, 0, 1);
    emit_insn(t, OP_ecall, 0, 0, 0, 0);
}

/* Machine mode only: a range of data or code that U and S reach only so. */
static void emit_pmp(struct text *t)
{
    static const u8 data[] = {0, 1, 3, 7}, code[] = {1, 5, 7, 5};
    bool on_code = !rnd(t, 3);
    u32 page = on_code ? PAGE_CODE + (u32)rnd(t, 4) : PAGE_DATA + (u32)rnd(t, DATA_PAGES);
    u32 reg = free_reg(t), at = (u32)rnd(t, 2) * 64 * (u32)rnd(t, 64);
    u32 cfg = 0x18u | (on_code ? code : data)[rnd(t, 4)];

    emit_li(t, reg, (s32)((RAM_BASE + page * PAGE_SIZE + at) >> 2 | (rnd(t, 2) ? 7 : 511)));
    emit_insn(t, OP_csrrw, 0, reg, 0, CSR_pmpaddr0);
    emit_insn(t, OP_addi, reg, 0, 0, rnd(t, 3) ? cfg : 0);
    emit_insn(t, OP_csrrw, 0, reg, 0, CSR_pmpcfg0);
}

static void emit_csr(struct text *t, const struct program *p)
{
    static const u16 reads[] = {CSR_fcsr,    CSR_frm,      CSR_sstatus, CSR_scause, CSR_stval,
                                CSR_mhartid, CSR_misa,     CSR_sepc,    CSR_time,   CSR_mie,
                                CSR_instret, CSR_minstret, CSR_cycle,   CSR_mepc,   CSR_mstatus};
    static const u16 writes[] = {CSR_fflags,     CSR_frm,    CSR_fcsr,         CSR_sscratch,
                                 CSR_scounteren, CSR_scause, CSR_stval,        CSR_mcounteren,
                                 CSR_minstret,   CSR_mcycle, CSR_mcountinhibit};
    static const u16 ops[] = {OP_csrrw, OP_csrrs, OP_csrrc, OP_csrrwi, OP_csrrsi, OP_csrrci};
    u32 reg = free_reg(t);

    switch (rnd(t, 5)) {
    case 0:
    case 1: /* what interrupts move comes last */
        emit_insn(t, OP_csrrs, reg, 0, 0,
                  reads[rnd(t, ARRAY_SIZE(reads) - (p->interrupts ? 5 : 0))]);
        break;
    case 2:
        emit_insn(t, (enum op)ops[rnd(t, 6)], rnd(t, 2) ? 0 : reg, (u32)rnd(t, 32), 0,
                  writes[rnd(t, ARRAY_SIZE(writes) - (p->interrupts ? 3 : 0))]);
        break;
    case 3: /* rd 0: other bits are not to be seen */
        emit_li(
            t, reg,
            (s32)(insn_random(&t->rng) & (MSTATUS_SUM | MSTATUS_MXR | MSTATUS_FS | MSTATUS_MPRV)));
        emit_insn(t, rnd(t, 2) ? OP_csrrs : OP_csrrc, 0, reg, 0,
                  rnd(t, 2) ? CSR_mstatus : CSR_sstatus);
        break;
    default:
        emit_pmp(t);
    }
}

static void emit_fence(struct text *t)
{
    switch (rnd(t, 4)) {
    case 0:
        emit_insn(t, OP_fence_i, 0, 0, 0, 0);
        break;
    case 1:
        emit_insn(t, OP_sfence_vma, 0, 0, 0, 0);
        break;
    case 2:
        emit_insn(t, OP_sfence_vma, 0, rnd(t, 2) ? REG_MID : REG_RA, 0, 0);
        break;
    default:
        emit_insn(t, OP_fence, 0, 0, 0, (s64)rnd(t, 256));
    }
}

/* On to just before the next page. */
static void emit_cross(struct text *t, const struct program *p)
{
    u32 before = p->compressed ? 2 * (u32)rnd(t, 4) : 4 * (u32)rnd(t, 2);
    u32 to = (t->at / PAGE_SIZE + 1) * PAGE_SIZE - before;

    if (t->at + 4 > to || to + 256 > t->size)
        return;
    emit_insn(t, OP_jal, 0, 0, 0, (s64)to - t->at);
    t->at = to;
}

static void emit_item(struct text *t, const struct program *p, u32 at)
{
    const struct item *item = &p->item[at];

    t->rng = item->seed;
    switch (item->kind) {
    case ITEM_NONE:
        break;
    case ITEM_PLAIN:
        for (u64 n = rnd(t, 5) + 1; n--;)
            engines_emit_plain(t);
        break;
    case ITEM_BRANCH:
        emit_branch(t, p, at);
        break;
    case ITEM_JUMP:
        emit_jump(t, p, at);
        break;
    case ITEM_INDIRECT:
        emit_indirect(t, p, at);
        break;
    case ITEM_CALL:
        emit_call(t, p, at);
        break;
    case ITEM_LOOP_BEGIN:
        emit_insn(t, OP_addi, REG_LOOP + item->level, 0, 0, 1 + (s64)rnd(t, 6));
        break;
    case ITEM_LOOP_END:
        emit_loop_end(t, p, at);
        break;
    case ITEM_PATCHED:
        emit_raw(t, random_alu(t), false);
        break;
    case ITEM_PATCH:
        emit_patch(t, p, at);
        break;
    case ITEM_WILD:
        emit_wild(t);
        break;
    case ITEM_MMIO:
        emit_mmio(t);
        break;
    case ITEM_IRQ:
        emit_irq(t);
        break;
    case ITEM_PTE:
        emit_pte(t);
        break;
    case ITEM_CSR:
        emit_csr(t, p);
        break;
    case ITEM_FENCE:
        emit_fence(t);
        break;
    case ITEM_CROSS:
        emit_cross(t, p);
        break;
    case ITEM_END:
        emit_insn(t, OP_addi, 17, 0, 0, 0);
        emit_insn(t, OP_ecall, 0, 0, 0, 0);
        break;
    case ITEM_RETURN:
        emit_insn(t, OP_jalr, 0, REG_RA, 0, 0);
        break;
    }
}

static bool build_code(struct program *p, u8 *image)
{
    struct text t = {
        .bytes = image + PAGE_CODE * PAGE_SIZE, .size = CODE_PAGES * PAGE_SIZE, .program = p};

    for (u32 pass = 0; pass < 3; pass++) {
        memset(t.bytes, 0, t.size);
        t.at = 0;
        for (u32 i = 0; i < p->count; i++) {
            p->offset[i] = t.at;
            emit_item(&t, p, i);
        }
        p->offset[p->count] = t.at;
    }
    memcpy(t.bytes + t.size, t.bytes, t.size);
    return fits(&t);
}

/* ---- handlers: x28..x31 are at hand, x31 leads to the save area ---- */

struct label {
    u32 at, from[8], count;
};

/* A branch to a label that is yet to be placed. */
static void branch_to(struct text *t, struct label *l, enum op op, u32 a, u32 b)
{
    l->from[l->count++] = t->at;
    emit_insn(t, op, 0, a, b, 0);
}

static void place(struct text *t, struct label *l)
{
    u32 at = t->at;

    for (u32 i = 0; i < l->count; i++) {
        u32 raw = le32_load(t->bytes + l->from[i]);
        struct insn_operands o = {.imm = (s64)at - l->from[i]};
        const struct insn_line *beq = engines_line(OP_beq), *jal = engines_line(OP_jal);
        const struct insn_line *line = (raw & 0x7f) == 0x6f ? jal : beq;
        raw |= insn_encode(line, &o);
        le32_store(t->bytes + l->from[i], raw);
    }
    l->count = 0;
}

#define E(op, ...) emit_insn(t, OP_##op, __VA_ARGS__)

/* Counts the trap and logs it; x30: mcause. */
static void handler_log(struct text *t, struct label *finish)
{
    E(ld, 29, 31, 0, SAVE_TRAPS);
    E(addi, 29, 29, 0, 1);
    E(sd, 0, 31, 29, SAVE_TRAPS);
    E(addi, 28, 0, 0, TRAPS_MAX);
    branch_to(t, finish, OP_bge, 29, 28);
    E(andi, 28, 29, 0, 63);
    E(slli, 28, 28, 0, 5);
    E(add, 28, 28, 31, 0);
    E(lui, 29, 0, 0, SAVE_LOG >> 12);
    E(add, 28, 28, 29, 0);
    E(sd, 0, 28, 30, 0);
    E(csrrs, 29, 0, 0, CSR_mepc);
    E(sd, 0, 28, 29, 8);
    E(csrrs, 29, 0, 0, CSR_mtval);
    E(sd, 0, 28, 29, 16);
    if (t->program->interrupts)
        return;
    E(csrrs, 29, 0, 0, CSR_minstret);
    E(sd, 0, 28, 29, 24);
}

/* mepc past its instruction, whose length is read with the eyes of who executed it. */
static void handler_skip(struct text *t)
{
    E(csrrs, 29, 0, 0, CSR_mepc);
    emit_li(t, 28, (s32)(MSTATUS_MPRV | MSTATUS_MXR));
    E(csrrs, 0, 28, 0, CSR_mstatus);
    E(lhu, 30, 29, 0, 0);
    E(csrrc, 0, 28, 0, CSR_mstatus);
    E(andi, 30, 30, 0, 3);
    E(sltiu, 30, 30, 0, 3);
    E(slli, 30, 30, 0, 1);
    E(addi, 29, 29, 0, 4);
    E(sub, 29, 29, 30, 0);
    E(csrrw, 0, 29, 0, CSR_mepc);
}

/* A PTE: x10 within the tables of level 0, x11 its value, x12 what to fence or 0. */
static void handler_pte(struct text *t)
{
    struct label all = {0}, done = {0};

    emit_li(t, 28, 0x1ff8);
    E(and, 28, 28, 10, 0);
    emit_li(t, 29, (PAGE_TABLES + 3 - PAGE_SAVE) * (s32)PAGE_SIZE);
    E(add, 28, 28, 29, 0);
    E(add, 28, 28, 31, 0);
    E(sd, 0, 28, 11, 0);
    branch_to(t, &all, OP_beq, 12, 0);
    E(sfence_vma, 0, 12, 0, 0);
    branch_to(t, &done, OP_beq, 0, 0);
    place(t, &all);
    E(sfence_vma, 0, 0, 0, 0);
    place(t, &done);
}

/* The next fragment: {pc, mstatus, satp, sp, middle, odd, mmio} a line of 64 bytes. */
static void handler_next(struct text *t, struct label *finish)
{
    static const struct {
        u8 reg, at;
    } loads[] = {{REG_SP, 24}, {REG_MID, 32}, {REG_ODD, 40}, {REG_MMIO, 48}};

    E(ld, 29, 31, 0, SAVE_FRAGMENT);
    E(ld, 28, 31, 0, SAVE_COUNT);
    branch_to(t, finish, OP_bge, 29, 28);
    E(slli, 28, 29, 0, 6);
    E(add, 28, 28, 31, 0);
    E(addi, 28, 28, 0, SAVE_TABLE);
    E(addi, 29, 29, 0, 1);
    E(sd, 0, 31, 29, SAVE_FRAGMENT);
    emit_li(t, 29, (s32)(MSTATUS_MPP | MSTATUS_MPRV | MSTATUS_SUM | MSTATUS_MXR | MSTATUS_FS));
    E(csrrc, 0, 29, 0, CSR_mstatus);
    E(ld, 29, 28, 0, 0);
    E(csrrw, 0, 29, 0, CSR_mepc);
    E(ld, 29, 28, 0, 8);
    E(csrrs, 0, 29, 0, CSR_mstatus);
    E(ld, 29, 28, 0, 16);
    E(csrrw, 0, 29, 0, CSR_satp);
    for (u32 i = 0; i < ARRAY_SIZE(loads); i++)
        E(ld, loads[i].reg, 28, 0, loads[i].at);
}

static void handler_leave(struct text *t)
{
    E(ld, 30, 31, 0, 0);
    E(ld, 29, 31, 0, 8);
    E(ld, 28, 31, 0, 16);
    E(csrrw, 31, 31, 0, CSR_mscratch);
}

/* Lets what pends come, then tells the harness. */
static void handler_finish(struct text *t)
{
    handler_leave(t);
    E(csrrsi, 0, 8, 0, CSR_mstatus);
    E(jal, 0, 0, 0, 4);
    E(csrrci, 0, 8, 0, CSR_mstatus);
    E(lui, 30, 0, 0, (s64)(MMIO_BASE >> 12));
    E(sw, 0, 30, 0, MMIO_END);
    E(jal, 0, 0, 0, 0);
}

static void build_handler(const struct program *p, u8 *image)
{
    struct text text = {.bytes = image, .size = PAGE_SIZE, .program = p}, *t = &text;
    struct label irq = {0}, finish = {0}, ecall = {0}, next = {0}, out = {0};

    E(csrrw, 31, 31, 0, CSR_mscratch);
    E(sd, 0, 31, 30, 0);
    E(sd, 0, 31, 29, 8);
    E(sd, 0, 31, 28, 16);
    E(csrrs, 30, 0, 0, CSR_mcause);
    branch_to(t, &irq, OP_blt, 30, 0);
    handler_log(t, &finish);
    E(addi, 28, 30, 0, -8);
    E(sltiu, 28, 28, 0, 4);
    branch_to(t, &ecall, OP_bne, 28, 0);
    E(addi, 28, 0, 0, CAUSE_INSN_PAGE);
    branch_to(t, &next, OP_beq, 30, 28);
    E(sltiu, 28, 30, 0, 2);
    branch_to(t, &next, OP_bne, 28, 0);
    handler_skip(t);
    branch_to(t, &out, OP_beq, 0, 0);
    place(t, &ecall);
    branch_to(t, &next, OP_beq, 17, 0);
    handler_pte(t);
    E(csrrs, 29, 0, 0, CSR_mepc);
    E(addi, 29, 29, 0, 4);
    E(csrrw, 0, 29, 0, CSR_mepc);
    branch_to(t, &out, OP_beq, 0, 0);
    place(t, &irq);
    E(lui, 30, 0, 0, (s64)(MMIO_BASE >> 12));
    E(sw, 0, 30, 0, MMIO_CLEAR);
    branch_to(t, &out, OP_beq, 0, 0);
    place(t, &next);
    handler_next(t, &finish);
    place(t, &out);
    handler_leave(t);
    E(mret, 0, 0, 0, 0);
    place(t, &finish);
    handler_finish(t);
    *t =
        (struct text){.bytes = image + PAGE_S_HANDLER * PAGE_SIZE, .size = PAGE_SIZE, .program = p};
    E(csrrs, REG_S, 0, 0, CSR_sepc);
    E(addi, REG_S, REG_S, 0, 4);
    E(csrrw, 0, REG_S, 0, CSR_sepc);
    E(sret, 0, 0, 0, 0);
}

static void put(u8 *image, u32 page, u32 index, u64 value)
{
    le64_store(image + page * PAGE_SIZE + 8 * index, value);
}

static void build_tables(const struct program *p, u8 *image)
{
    const u32 root = PAGE_TABLES, middle = root + 1, last = root + 3;
    const u32 all = PTE_V | PTE_R | PTE_W | PTE_X | PTE_AD;
    u64 rng = p->seed ^ 0x5eed;

    for (u32 user = 0; user < 2; user++) {
        u32 u = user ? PTE_U : 0;
        put(image, root, user ? 1 : 2, pte_of(middle + user, PTE_V));
        put(image, middle + user, 0, pte_of(last + user, PTE_V));
        put(image, middle + user, 1, pte_of(0, all | u));
        put(image, middle + user, 2, MMIO_BASE >> 2 | PTE_V | PTE_R | PTE_W | PTE_AD | u);
        for (u32 i = PAGE_DATA; i < RAM_PAGES; i++) {
            bool mapped = i < PAGE_DATA + DATA_PAGES || i >= PAGE_CODE;
            put(image, last + user, i, mapped ? random_pte(&rng, i, user) : 0);
        }
    }
    put(image, last, PAGE_S_HANDLER, pte_of(PAGE_S_HANDLER, PTE_V | PTE_R | PTE_X | PTE_AD));
}

static void build_fragments(const struct program *p, u8 *image)
{
    u64 rng = p->seed ^ 0xda7a;

    put(image, PAGE_SAVE, SAVE_COUNT / 8, p->fragments);
    for (u32 i = 0; i < p->fragments; i++) {
        const struct fragment *f = &p->fragment[i];
        u32 at = (SAVE_TABLE + 64 * i) / 8;
        u32 page = PAGE_CODE + (f->copy ? CODE_PAGES : 0);
        u64 data = f->data_view + (PAGE_DATA + 1 + engines_rnd(&rng, DATA_PAGES - 2)) * PAGE_SIZE;
        u64 values[] = {f->view + page * PAGE_SIZE + p->offset[f->item],
                        f->mstatus,
                        p->translated ? UINT64_C(8) << 60 | (RAM_BASE / PAGE_SIZE + PAGE_TABLES)
                                      : 0,
                        data + 1024,
                        data,
                        data + engines_rnd(&rng, 32) - 16,
                        f->mmio};
        for (u32 k = 0; k < ARRAY_SIZE(values); k++)
            put(image, PAGE_SAVE, at + k, values[k]);
    }
    for (u32 i = 0; i < DATA_PAGES * PAGE_SIZE / 8; i++) {
        u64 v = insn_random(&rng);
        put(image, PAGE_DATA, i,
            v & 1   ? v
            : v & 2 ? (u64)(s64)(s8)(v >> 8)
                    : v & UINT64_C(0xff0) << (v >> 58));
    }
}

bool engines_build(struct program *p, u8 *image)
{
    memset(image, 0, RAM_SIZE);
    build_handler(p, image);
    build_tables(p, image);
    if (!build_code(p, image))
        return false;
    build_fragments(p, image);
    return true;
}
