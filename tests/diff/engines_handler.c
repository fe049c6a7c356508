/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The trap handlers of the programs of engines.h. In machine mode x28..x31 are at hand, x31 leads
 * to the save area.
 */
#include "tests/diff/engines.h"

#include "rv/csr.h"

#define E(op, ...) emit_insn(t, OP_##op, __VA_ARGS__)

/* Counts the trap, logs it, shows it in registers; x30: mcause. */
static void handler_log(struct text *t, struct label *next)
{
    struct label off = {0};

    E(ld, 29, 31, 0, SAVE_TRAPS);
    E(addi, 29, 29, 0, 1);
    E(sd, 0, 31, 29, SAVE_TRAPS);
    E(andi, 28, 29, 0, 63);
    E(slli, 28, 28, 0, 6);
    E(add, 28, 28, 31, 0);
    E(lui, 29, 0, 0, SAVE_LOG >> 12);
    E(add, 28, 28, 29, 0);
    E(sd, 0, 28, 30, 0);
    E(csrrs, 29, 0, 0, CSR_mepc);
    E(sd, 0, 28, 29, 8);
    E(add, REG_TRAPPED, REG_TRAPPED, 29, 0);
    E(csrrs, 29, 0, 0, CSR_mtval);
    E(sd, 0, 28, 29, 16);
    E(xor, REG_TRAPPED_PINNED, REG_TRAPPED_PINNED, 29, 0);
    if (!t->program->vague) {
        E(csrrs, 29, 0, 0, CSR_minstret);
        E(sd, 0, 28, 29, 24);
    }
    if (t->program->guests) {
        E(csrrs, 29, 0, 0, CSR_mtval2);
        E(sd, 0, 28, 29, 48);
        E(csrrs, 29, 0, 0, CSR_mtinst);
        E(sd, 0, 28, 29, 56);
    }
    E(csrrs, 29, 0, 0, CSR_mstatus);
    E(sd, 0, 28, 29, 32);
    E(srli, 29, 29, 0, 13);
    E(andi, 29, 29, 0, 3);
    emit_branch_to(t, &off, OP_beq, 29, 0);
    E(csrrs, 29, 0, 0, CSR_fcsr);
    E(sd, 0, 28, 29, 40);
    emit_place(t, &off);
    E(ld, 29, 31, 0, SAVE_BUDGET);
    E(addi, 29, 29, 0, -1);
    E(sd, 0, 31, 29, SAVE_BUDGET);
    emit_branch_to(t, next, OP_blt, 29, 0);
}

/* mepc past its instruction, whose length is read with the eyes of who executed it. */
static void handler_skip(struct text *t)
{
    E(csrrs, 29, 0, 0, CSR_mepc);
    emit_li(t, 28, (s32)(MSTATUS_MPRV | MSTATUS_MXR));
    E(csrrs, 30, 28, 0, CSR_mstatus);
    E(andn, 28, 28, 30, 0); /* what was set before stays so */
    E(lhu, 30, 29, 0, 0);
    E(csrrc, 0, 28, 0, CSR_mstatus);
    E(andi, 30, 30, 0, 3);
    E(sltiu, 30, 30, 0, 3);
    E(slli, 30, 30, 0, 1);
    E(addi, 29, 29, 0, 4);
    E(sub, 29, 29, 30, 0);
    E(csrrw, 0, 29, 0, CSR_mepc);
}

/* A PTE: x10 within the tables of the last level, x11 its value, x12 and x13 what to fence. */
static void handler_pte(struct text *t)
{
    struct label all = {0}, any = {0}, all_any = {0}, done = {0};

    emit_li(t, 28, 0x3ff8);
    E(and, 28, 28, 10, 0);
    emit_li(t, 29, (PAGE_LAST - PAGE_SAVE) * (s32)PAGE_SIZE);
    E(add, 28, 28, 29, 0);
    E(add, 28, 28, 31, 0);
    E(sd, 0, 28, 11, 0);
    emit_branch_to(t, &all, OP_beq, 12, 0);
    emit_branch_to(t, &any, OP_beq, 13, 0);
    E(sfence_vma, 0, 12, 13, 0);
    emit_branch_to(t, &done, OP_beq, 0, 0);
    emit_place(t, &any);
    E(sfence_vma, 0, 12, 0, 0);
    emit_branch_to(t, &done, OP_beq, 0, 0);
    emit_place(t, &all);
    emit_branch_to(t, &all_any, OP_beq, 13, 0);
    E(sfence_vma, 0, 0, 13, 0);
    emit_branch_to(t, &done, OP_beq, 0, 0);
    emit_place(t, &all_any);
    E(sfence_vma, 0, 0, 0, 0);
    emit_place(t, &done);
    if (t->program->guests)
        E(hfence_vvma, 0, 0, 0, 0);
}

/* A page fault of data in an editable page: its PTE allows all from now on. x30: mcause. */
static void handler_repair(struct text *t, struct label *skip, struct label *out)
{
    struct label table = {0};

    E(ori, 28, 30, 0, 2);
    E(addi, 28, 28, 0, -(s64)CAUSE_STORE_PAGE);
    emit_branch_to(t, skip, OP_bne, 28, 0);
    E(csrrs, 28, 0, 0, CSR_mtval);
    E(addi, 30, 0, 0, 0);
    E(srli, 29, 28, 0, 30);
    E(addi, 29, 29, 0, -2);
    emit_branch_to(t, &table, OP_beq, 29, 0);
    E(addi, 29, 29, 0, 1);
    emit_branch_to(t, skip, OP_bne, 29, 0);
    E(csrrs, 30, 0, 0, CSR_satp); /* the tables of spaces are in the order of their ASIDs */
    E(slli, 30, 30, 0, 4);
    E(srli, 30, 30, 0, 48);
    emit_place(t, &table);
    E(slli, 29, 28, 0, 34);
    E(srli, 29, 29, 0, 46);
    E(addi, 28, 29, 0, -PAGE_DATA);
    E(sltiu, 28, 28, 0, DATA_PAGES);
    emit_branch_to(t, skip, OP_beq, 28, 0);
    E(addi, 30, 30, 0, PAGE_LAST - PAGE_SAVE);
    E(slli, 30, 30, 0, PAGE_SHIFT);
    E(add, 30, 30, 31, 0);
    E(sh3add, 30, 29, 30, 0);
    E(slli, 29, 29, 0, 10);
    emit_li(t, 28, (s32)engines_pte_of(0, PTE_V | PTE_R | PTE_W | PTE_AD));
    E(add, 29, 29, 28, 0);
    E(ld, 28, 30, 0, 0);
    E(andi, 28, 28, 0, PTE_U | PTE_G);
    E(or, 29, 29, 28, 0);
    E(sd, 0, 30, 29, 0);
    E(csrrs, 28, 0, 0, CSR_mtval);
    E(sfence_vma, 0, 28, 0, 0);
    if (t->program->guests)
        E(hfence_vvma, 0, 28, 0, 0);
    emit_branch_to(t, out, OP_beq, 0, 0);
}

/* What a guest has, before the rest of the fragment's line, which x28 is at: all is fenced, as the
 * guest that was may have changed its tables for itself alone. */
static void handler_guest(struct text *t)
{
    emit_const(t, 29, MSTATUS_MPV);
    E(csrrc, 0, 29, 0, CSR_mstatus);
    E(ld, 29, 28, 0, 80);
    E(csrrw, 0, 29, 0, CSR_vsstatus);
    E(ld, 29, 28, 0, 88);
    E(csrrw, 0, 29, 0, CSR_hgatp);
    E(ld, 29, 28, 0, 16);
    E(csrrw, 0, 29, 0, CSR_vsatp);
    E(sfence_vma, 0, 0, 0, 0);
    E(hfence_vvma, 0, 0, 0, 0);
    E(hfence_gvma, 0, 0, 0, 0);
}

/* The next fragment, from its line of the table: see build_fragments. */
static void handler_next(struct text *t, struct label *finish)
{
    static const u8 loads[] = {REG_SP, REG_MID, REG_ODD, REG_MMIO, REG_STACK, REG_BASE};

    E(ld, 29, 31, 0, SAVE_FRAGMENT);
    E(ld, 28, 31, 0, SAVE_COUNT);
    emit_branch_to(t, finish, OP_bge, 29, 28);
    E(slli, 28, 29, 0, 7);
    E(add, 28, 28, 31, 0);
    E(addi, 28, 28, 0, SAVE_TABLE);
    E(addi, 29, 29, 0, 1);
    E(sd, 0, 31, 29, SAVE_FRAGMENT);
    if (t->program->guests)
        handler_guest(t);
    emit_li(t, 29, (s32)(MSTATUS_MPP | MSTATUS_MPRV | MSTATUS_SUM | MSTATUS_MXR | MSTATUS_FS));
    E(csrrc, 0, 29, 0, CSR_mstatus);
    E(ld, 29, 28, 0, 0);
    E(csrrw, 0, 29, 0, CSR_mepc);
    E(ld, 29, 28, 0, 8);
    E(csrrs, 0, 29, 0, CSR_mstatus);
    E(ld, 29, 28, 0, 16);
    E(csrrw, 0, 29, 0, CSR_satp);
    E(ld, 29, 28, 0, 24);
    E(sd, 0, 31, 29, SAVE_BUDGET);
    for (u32 i = 0; i < sizeof(loads); i++)
        E(ld, loads[i], 28, 0, 32 + 8 * i);
    E(addi, REG_WALK, REG_BASE, 0, 0);
    E(addi, REG_AT, 0, 0, 0);
}

static void handler_leave(struct text *t)
{
    E(ld, 30, 31, 0, 0);
    E(ld, 29, 31, 0, 8);
    E(ld, 28, 31, 0, 16);
    E(csrrw, 31, 31, 0, CSR_mscratch);
}

/* Lets what pends come, then tells the harness. A return from an interrupt in M-mode leaves U in
 * MPP, so MPRV must be off. */
static void handler_finish(struct text *t)
{
    emit_li(t, 28, (s32)MSTATUS_MPRV);
    E(csrrc, 0, 28, 0, CSR_mstatus);
    handler_leave(t);
    E(csrrsi, 0, 8, 0, CSR_mstatus);
    E(jal, 0, 0, 0, 4);
    E(csrrci, 0, 8, 0, CSR_mstatus);
    E(lui, 30, 0, 0, (s64)(MMIO_BASE >> 12));
    E(sw, 0, 30, 0, MMIO_END);
    E(jal, 0, 0, 0, 0);
}

static void build_machine(const struct program *p, u8 *image)
{
    struct text text = {.bytes = image, .size = PAGE_SIZE, .program = p}, *t = &text;
    struct label irq = {0}, finish = {0}, ecall = {0}, next = {0}, fault = {0}, out = {0};
    struct label skip = {0};

    E(csrrw, 31, 31, 0, CSR_mscratch);
    E(sd, 0, 31, 30, 0);
    E(sd, 0, 31, 29, 8);
    E(sd, 0, 31, 28, 16);
    E(csrrs, 30, 0, 0, CSR_mcause);
    emit_branch_to(t, &irq, OP_blt, 30, 0);
    handler_log(t, &fault);
    E(addi, 28, 30, 0, -8);
    E(sltiu, 28, 28, 0, 4);
    emit_branch_to(t, &ecall, OP_bne, 28, 0);
    E(addi, 28, 0, 0, CAUSE_INSN_PAGE);
    emit_branch_to(t, &fault, OP_beq, 30, 28);
    E(addi, 28, 0, 0, CAUSE_INSN_GUEST_PAGE);
    emit_branch_to(t, &fault, OP_beq, 30, 28);
    E(sltiu, 28, 30, 0, 2);
    emit_branch_to(t, &fault, OP_bne, 28, 0);
    if (p->repairs)
        handler_repair(t, &skip, &out);
    emit_place(t, &skip);
    handler_skip(t);
    emit_branch_to(t, &out, OP_beq, 0, 0);
    emit_place(t, &ecall);
    emit_branch_to(t, &next, OP_beq, 17, 0);
    handler_pte(t);
    E(csrrs, 29, 0, 0, CSR_mepc);
    E(addi, 29, 29, 0, 4);
    E(csrrw, 0, 29, 0, CSR_mepc);
    emit_branch_to(t, &out, OP_beq, 0, 0);
    emit_place(t, &irq);
    E(lui, 30, 0, 0, (s64)(MMIO_BASE >> 12));
    E(sw, 0, 30, 0, MMIO_CLEAR);
    E(addi, 30, 0, 0, -1);
    E(csrrw, 0, 30, 0, CSR_stimecmp);
    emit_branch_to(t, &out, OP_beq, 0, 0);
    emit_place(t, &fault); /* maybe between a change and its fence */
    E(sfence_vma, 0, 0, 0, 0);
    E(fence_i, 0, 0, 0, 0);
    emit_place(t, &next);
    handler_next(t, &finish);
    emit_place(t, &out);
    handler_leave(t);
    E(mret, 0, 0, 0, 0);
    emit_place(t, &finish);
    handler_finish(t);
    ASSERT(t->at + 4 < t->size);
}

void engines_build_handlers(const struct program *p, u8 *image)
{
    struct text text = {.bytes = image + PAGE_S_HANDLER * PAGE_SIZE,
                        .size = PAGE_SIZE,
                        .program = p},
                *t = &text;

    build_machine(p, image);
    E(csrrs, REG_S, 0, 0, CSR_sepc);
    E(add, REG_TRAPPED, REG_TRAPPED, REG_S, 0);
    E(addi, REG_S, REG_S, 0, 4);
    E(csrrw, 0, REG_S, 0, CSR_sepc);
    E(sret, 0, 0, 0, 0);
}
