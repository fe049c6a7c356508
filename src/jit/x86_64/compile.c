/* SPDX-License-Identifier: BSD-2-Clause */
/* From an IR block to x86-64: one pass over the operations, straight into the buffer. */
#include "jit/x86_64/compile.h"

static bool is_compare(u8 opcode)
{
    return opcode >= IR_EQ && opcode <= IR_GEU;
}

static bool is_pure(u8 opcode)
{
    return ir_has_result(opcode) && opcode != IR_LOAD;
}

static void compile_op(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    struct value *value = val(x, (ir_value)at);

    if (is_pure(op->opcode) && !value->uses) {
        op_release(x, at);
        return;
    }
    if (ir_has_result(op->opcode) && op_is_put_at_once(x, at))
        slot_protect(x, (u32)op[1].imm, at);
    if (op->opcode == IR_CONST) {
        value->where = IN_CONST;
    } else if (op->opcode == IR_GET) {
        value->where = IN_SLOT;
        value->slot = (u32)op->imm;
    } else if (op->opcode == IR_PUT) {
        compile_put(x, at);
    } else if (op->opcode == IR_LOAD) {
        compile_load(x, at);
    } else if (op->opcode == IR_STORE) {
        compile_store(x, at);
    } else if (is_compare(op->opcode)) {
        compile_compare(x, at);
    } else if (op->opcode == IR_SELECT) {
        compile_select(x, at);
    } else if (is_pure(op->opcode)) {
        enum reg to = op_result(x, at);
        if (ir_operands(op->opcode) == 1)
            compile_unary(x, op->opcode, to, op->arg[0]);
        else
            compile_binary(x, op->opcode, to, op->arg[0], op->arg[1]);
        op_release(x, at);
    } else {
        compile_control(x, at);
    }
}

static void count_uses(struct compile *x)
{
    for (u32 i = 0; i < x->block->count; i++) {
        const struct ir_op *op = &x->block->op[i];
        x->value[i] = (struct value){0};
        for (u32 k = 0; k < ir_operands(op->opcode); k++) {
            struct value *used = val(x, op->arg[k]);
            if (used->uses != UINT8_MAX)
                used->uses++;
        }
    }
}

/* Room that a block may need at most: no operation or stub comes near 128 bytes. */
static u32 bound(const struct ir_block *block)
{
    return block->count * 128u + 1024;
}

u32 jit_backend_compile(struct jit_compiler *compiler, const struct ir_block *block,
                        const u16 *where, u32 source)
{
    struct jit_backend *b = compiler->backend;
    struct compile *x = compiler->compile;
    u32 start = (compiler->at + 15) & ~15u;

    if (start > compiler->end || compiler->end - start < bound(block))
        return 0;
    x->b = b;
    x->block = block;
    x->where = where;
    x->source = source;
    x->slot_reg = b->slot_reg;
    x->c.at = b->buffer.write + start;
    x->free = SCRATCH;
    x->stub_count = 0;
    count_uses(x);
    for (u32 at = 0; at < block->count; at++)
        compile_op(x, at);
    for (u32 i = 0; i < x->stub_count; i++)
        compile_stub(x, i);
    compiler->at = (u32)(x->c.at - b->buffer.write);
    return start;
}

size_t compile_size(void)
{
    return sizeof(struct compile);
}
