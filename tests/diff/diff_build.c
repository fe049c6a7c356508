/* SPDX-License-Identifier: BSD-2-Clause */
/* From chunks to code, data and an executable file. */
#include "tests/diff/diff.h"

#include "base/endian.h"

#include <elf.h>
#include <stdlib.h>

#define FILE_CODE 0x1000 /* where the code stands in the file: congruent to its address */

/* Encodings that the frame around a chunk needs. */
static u32 op_i(u32 opcode, u32 f3, u32 rd, u32 rs1, s64 imm)
{
    return E3(opcode, f3) | rd << 7 | rs1 << 15 | (u32)imm << 20;
}

static u32 op_store(u32 opcode, u32 f3, u32 rs2, u32 rs1, s64 imm)
{
    u32 i = (u32)imm;

    return E3(opcode, f3) | rs2 << 20 | rs1 << 15 | (i & 31) << 7 | (i >> 5 & 127) << 25;
}

static void emit(struct program *p, u32 raw, u32 len)
{
    ASSERT(p->code_size + len <= CODE_SIZE);
    for (u32 i = 0; i < len; i++)
        p->code[p->code_size++] = (u8)(raw >> 8 * i);
}

static void emit32(struct program *p, u32 raw)
{
    emit(p, raw, 4);
}

static u64 pc(const struct program *p)
{
    return CODE_BASE + p->code_size;
}

/* A constant below 2^31. */
static void emit_constant(struct program *p, u32 rd, u64 value)
{
    s64 low = (s64)sext(value, 12);

    emit32(p, 0x37 | rd << 7 | (u32)(value - (u64)low));
    emit32(p, op_i(0x13, 0, rd, rd, low));
}

static u32 item_size(const struct item *item)
{
    u32 size = 0;

    for (u32 i = 0; i < item->count; i++)
        size += item->insn[i].line->compressed ? 2 : 4;
    return size;
}

/* The distance from the start of an item to where its branch leads. */
static s64 item_target(const struct chunk *chunk, u32 at)
{
    s64 distance = 0;

    for (u32 i = at; i <= at + chunk->item[at].skip && i < chunk->count; i++)
        distance += item_size(&chunk->item[i]);
    return distance;
}

u64 diff_item_code(const struct chunk *chunk, u32 at, u64 where, u32 *raw)
{
    const struct item *item = &chunk->item[at];

    for (u32 i = 0; i < item->count; i++) {
        struct insn_operands o = item->insn[i].o;
        bool last = i + 1 == item->count;
        if (item->kind == ITEM_BRANCH || (item->kind == ITEM_INDIRECT && i == 1))
            o.imm = item_target(chunk, at);
        else if (item->kind == ITEM_INDIRECT && last)
            o.imm = 0;
        raw[i] = insn_encode(item->insn[i].line, &o);
    }
    return where + item_size(item);
}

static void emit_items(struct program *p, const struct chunk *chunk)
{
    for (u32 i = 0; i < chunk->count; i++) {
        u32 raw[4];
        (void)diff_item_code(chunk, i, pc(p), raw);
        for (u32 k = 0; k < chunk->item[i].count; k++)
            emit(p, raw[k], chunk->item[i].insn[k].line->compressed ? 2 : 4);
    }
}

#define IN_AT(member)  ((s64)offsetof(struct record, in.member) - (s64)RECORD_MID)
#define OUT_AT(member) ((s64)offsetof(struct record, out.member) - (s64)RECORD_MID)

static void emit_load_state(struct program *p)
{
    for (u32 i = 0; i < 32; i++)
        emit32(p, op_i(0x07, 3, i, REG_MID, IN_AT(f) + 8 * i));
    emit32(p, op_i(0x03, 3, 1, REG_MID, IN_AT(fcsr)));
    emit32(p, op_i(0x73, 1, 0, 1, 3)); /* csrrw zero,fcsr,ra */
    for (u32 i = 1; i < 32; i++) {
        if (i != REG_MID)
            emit32(p, op_i(0x03, 3, i, REG_MID, IN_AT(x) + 8 * i));
    }
}

static void emit_store_state(struct program *p)
{
    for (u32 i = 1; i < 32; i++)
        emit32(p, op_store(0x23, 3, i, REG_MID, OUT_AT(x) + 8 * i));
    for (u32 i = 0; i < 32; i++)
        emit32(p, op_store(0x27, 3, i, REG_MID, OUT_AT(f) + 8 * i));
    emit32(p, op_i(0x73, 2, 1, 0, 3)); /* csrrs ra,fcsr,zero */
    emit32(p, op_store(0x23, 3, 1, REG_MID, OUT_AT(fcsr)));
}

static void emit_chunk(struct program *p, const struct chunk *chunk, u32 index)
{
    struct insn_operands back = {.rs1 = REG_COUNT};
    u64 mid = DATA_BASE + index * sizeof(struct record) + RECORD_MID, body;
    struct record *record = &p->record[index];
    const struct insn_line *bne = insn_lines;

    *record = chunk->start;
    for (u32 i = 0; i < 32; i++) {
        if (i == REG_SP || i == REG_MID || i == REG_ODD || i == REG_QUAD || i == REG_WORD)
            record->in.x[i] = mid + (u64)chunk->bias[i];
    }
    p->chunk_pc[index] = pc(p);
    emit_constant(p, REG_MID, mid);
    emit_load_state(p);
    body = pc(p);
    emit_items(p, chunk);
    emit32(p, op_i(0x13, 0, REG_COUNT, REG_COUNT, -1));
    while (bne->op != OP_bne)
        bne++;
    back.imm = (s64)(body - pc(p));
    ASSERT(back.imm > -CHUNK_CODE_MAX);
    emit32(p, insn_encode(bne, &back));
    emit_store_state(p);
}

/* write(1, records, size) until all is written, then exit(0). */
static void emit_end(struct program *p)
{
    emit_constant(p, 11, DATA_BASE);
    emit_constant(p, 12, p->count * sizeof(struct record));
    emit32(p, op_i(0x13, 0, 10, 0, 1));
    emit32(p, op_i(0x13, 0, 17, 0, 64));
    emit32(p, 0x73);
    emit32(p, 0x00a585b3); /* add a1,a1,a0 */
    emit32(p, 0x40a60633); /* sub a2,a2,a0 */
    emit32(p, 0xfe0616e3); /* bnez a2, to where a0 is set */
    emit32(p, op_i(0x13, 0, 10, 0, 0));
    emit32(p, op_i(0x13, 0, 17, 0, 93));
    emit32(p, 0x73);
}

void diff_program_init(struct program *p)
{
    p->code = malloc(CODE_SIZE);
    p->record = calloc(CHUNKS_MAX, sizeof(struct record));
    ASSERT(p->code && p->record);
}

void diff_program_free(struct program *p)
{
    free(p->code);
    free(p->record);
}

void diff_program_build(struct program *p, struct chunk *const *chunks, u32 count)
{
    ASSERT(count <= CHUNKS_MAX && count * sizeof(struct record) <= DATA_SIZE);
    p->count = count;
    p->code_size = 0;
    for (u32 i = 0; i < count; i++)
        emit_chunk(p, chunks[i], i);
    p->chunk_pc[count] = pc(p);
    emit_end(p);
}

u8 *diff_program_elf(const struct program *p, size_t *size)
{
    const u64 data_size = p->count * sizeof(struct record);
    const u64 file_data = align_up(FILE_CODE + p->code_size, 0x1000);
    Elf64_Ehdr ehdr = {
        .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_RISCV,
        .e_version = EV_CURRENT,
        .e_entry = CODE_BASE,
        .e_phoff = sizeof(Elf64_Ehdr),
        .e_flags = 5, /* RVC, double-precision ABI */
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 2,
    };
    Elf64_Phdr phdr[2] = {
        {.p_type = PT_LOAD,
         .p_flags = PF_R | PF_X,
         .p_offset = FILE_CODE,
         .p_vaddr = CODE_BASE,
         .p_paddr = CODE_BASE,
         .p_filesz = p->code_size,
         .p_memsz = p->code_size,
         .p_align = 0x1000},
        {.p_type = PT_LOAD,
         .p_flags = PF_R | PF_W,
         .p_offset = file_data,
         .p_vaddr = DATA_BASE,
         .p_paddr = DATA_BASE,
         .p_filesz = data_size,
         .p_memsz = data_size,
         .p_align = 0x1000},
    };
    u8 *file;

    *size = file_data + data_size;
    file = calloc(1, *size);
    ASSERT(file);
    memcpy(file, &ehdr, sizeof(ehdr));
    memcpy(file + sizeof(ehdr), phdr, sizeof(phdr));
    memcpy(file + FILE_CODE, p->code, p->code_size);
    memcpy(file + file_data, p->record, data_size);
    return file;
}
