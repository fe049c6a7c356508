/* SPDX-License-Identifier: BSD-2-Clause */
/* From an IR block to x86-64: one pass over the operations, straight into the buffer. */
#include "jit/x86_64/compile.h"

#include <string.h>

static bool is_compare(u8 opcode)
{
    return opcode >= IR_EQ && opcode <= IR_GEU;
}

static bool is_division(u8 opcode)
{
    return opcode >= IR_DIVS && opcode <= IR_REMU32;
}

static bool is_pure(u8 opcode)
{
    return ir_has_result(opcode) && opcode != IR_LOAD && !ir_may_raise(opcode);
}

/* Nothing is computed: it is known where the value is. */
static bool names_value(u8 opcode)
{
    return opcode == IR_CONST || opcode == IR_GET;
}

void compile_op(struct compile *x, u32 at)
{
    const struct ir_op *op = &x->block->op[at];
    struct value *value = val(x, (ir_value)at);
    u32 slot;

    if (is_pure(op->opcode) && (!value->uses || window_takes_address(x, at))) {
        op_release(x, at);
        return;
    }
    if (computes_in_memory(x, at) || names_part(x, at))
        return;
    slot = names_value(op->opcode) || !ir_has_result(op->opcode) ? NO_TARGET : op_target(x, at);
    if (slot != NO_TARGET)
        slot_protect(x, slot, at);
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
    } else if (op->opcode == IR_GUARD) {
        compile_guard(x, at);
    } else if (op->opcode == IR_ATOMIC) {
        compile_atomic(x, at);
    } else if (op->opcode == IR_ZERO) {
        compile_zero(x, at);
    } else if (is_compare(op->opcode)) {
        compile_compare(x, at);
    } else if (op->opcode == IR_SELECT) {
        compile_select(x, at);
    } else if (ir_is_fp(op->opcode)) {
        compile_fp(x, at);
    } else if (op->opcode == IR_ADDSHL) {
        compile_addshl(x, at);
    } else if (op->opcode == IR_FXGET || op->opcode == IR_FXSET) {
        compile_fp_flags(x, at);
    } else if (is_pure(op->opcode)) {
        enum reg to = op_result(x, at);
        if (ir_operands(op->opcode) == 1)
            compile_unary(x, op->opcode, to, op->arg[0]);
        else if (is_division(op->opcode))
            compile_divide(x, at, to, op->arg[0], op->arg[1]);
        else if (op->opcode == IR_CLMUL || op->opcode == IR_CLMULH)
            compile_clmul(x, op->opcode, to, op->arg[0], op->arg[1]);
        else
            compile_binary(x, at, to);
        op_release(x, at);
    } else {
        compile_control(x, at);
    }
}

void values_begin(struct compile *x, u32 first, u32 end)
{
    for (u32 i = first; i < end; i++) {
        const struct ir_op *op = &x->block->op[i];
        x->value[i] = (struct value){0};
        for (u32 k = 0; k < ir_operands(op->opcode); k++) {
            struct value *used = val(x, op->arg[k]);
            if (used->uses != UINT8_MAX)
                used->uses++;
        }
    }
}

/* Room that an operation may need at most, its stubs included: exits exchange all registers. */
static u32 op_bound(u8 opcode)
{
    if (ir_is_fp(opcode) || opcode == IR_FXGET)
        return 224;
    if (ir_has_result(opcode))
        return opcode == IR_LOAD ? 384 : is_division(opcode) ? 192 : 64;
    if (opcode == IR_JUMPR)
        return 1024;
    if (opcode == IR_ATOMIC || opcode == IR_ZERO)
        return 640;
    return opcode == IR_STORE ? 432 : opcode == IR_PUT || opcode == IR_FENCE ? 32 : 384;
}

/* Of a JUMPR in a region, with what is behind the code; there is an end to such places. */
#define NEAR_PLACES_BOUND 2048
#define NEAR_PLACES_MAX   96

static u32 bound(const struct ir_block *block, u32 entries)
{
    u32 bytes = 1024 + entries * 384, jumprs = 0;

    for (u32 i = 0; i < block->count; i++) {
        bytes += op_bound(block->op[i].opcode) * (entries ? 2 : 1) + (entries ? 16 : 0);
        jumprs += block->op[i].opcode == IR_JUMPR;
    }
    if (entries)
        bytes += NEAR_PLACES_BOUND * (jumprs < NEAR_PLACES_MAX ? jumprs : NEAR_PLACES_MAX);
    return bytes;
}

static bool begin(struct jit_compiler *compiler, const struct ir_block *block, const s32 *where,
                  u32 source, u32 entries)
{
    struct jit_backend *b = compiler->backend;
    struct compile *x = compiler->compile;
    u32 start = (compiler->at + 15) & ~15u, size = bound(block, entries);

    if (entries)
        size += switch_bound(compiler) + block->count * 16;

    if (start > compiler->end || compiler->end - start < size)
        return false;
    code_buffer_reach(&b->buffer, start, start + size);
    x->b = b;
    x->block = block;
    x->where = where;
    x->source = source;
    x->in = NULL;
    x->jump = compiler->jump;
    x->jump_count = entries ? compiler->jump_count : 0;
    x->base = 0;
    x->slot_reg = b->slot_reg;
    x->c.at = b->buffer.write + start;
    x->free = SCRATCH | SCRATCH_XMM;
    x->flags.at = NULL;
    x->stub_count = 0;
    x->fault_count = 0;
    x->stretch_count = 0;
    x->in_stretch = NULL;
    x->copies = false;
    values_begin(x, 0, block->count);
    return true;
}

static u32 offset_in_buffer(const struct compile *x)
{
    return (u32)(x->c.at - x->b->buffer.write);
}

/* Those of branches that are taken, or the others: these hardly ever run. */
static void compile_stubs(struct compile *x, u32 first, bool taken)
{
    for (u32 i = first; i < x->stub_count; i++) { /* there come more */
        if ((x->stub[i].kind == STUB_TAKEN) != taken || x->stub[i].within)
            continue;
        x->away = x->stub[i].away;
        x->stub[i].code = offset_in_buffer(x);
        compile_stub(x, i);
    }
}

static void compile_all(struct compile *x)
{
    u32 next = 0, stubs;

    for (u32 at = 0; at < x->block->count; at++) {
        struct stretch *s = next < x->stretch_count ? &x->stretch[next] : NULL;
        if (s && at == s->first)
            stretch_begin(x, s);
        compile_op(x, at);
        if (s && at + 1 == s->end) {
            stretch_end(x, s);
            next++;
        }
    }
    compile_stubs(x, 0, true);
    stubs = x->stub_count;
    stretches_copy(x);
    compile_stubs(x, stubs, true);
    compile_stubs(x, 0, false);
}

u32 jit_backend_compile(struct jit_compiler *compiler, const struct ir_block *block,
                        const s32 *where, u32 source)
{
    struct compile *x = compiler->compile;
    u32 start;

    if (!begin(compiler, block, where, source, 0))
        return 0;
    windows_find(x);
    memset(x->relies, 0, block->count * sizeof(x->relies[0]));
    start = offset_in_buffer(x);
    if (x->b->layout.redirects)
        emit_nop5(&x->c);
    compile_all(x);
    view_end(x, compiler, start);
    compiler->at = offset_in_buffer(x);
    ASSERT(compiler->at <= compiler->end);
    return start;
}

static void align_code(struct code *c)
{
    while ((uintptr_t)c->at & 15)
        emit8(c, 0xcc);
}

bool jit_backend_compile_region(struct jit_compiler *compiler, const struct ir_block *block,
                                const s32 *where, u32 source, u32 mode, u32 check,
                                struct jit_entry *entry, u32 count)
{
    struct compile *x = compiler->compile;
    u32 start;

    if (!begin(compiler, block, where, source, count))
        return false;
    start = offset_in_buffer(x);
    region_begin(x);
    windows_find_in_region(x, compiler, mode);
    stretches_find(x);
    region_fault(x);
    switch_begin(x);
    align_code(&x->c);
    compile_all(x);
    switch_end(x);
    region_resolve(x);
    for (u32 i = 0; i < count; i++) {
        u32 label = region_label(x, entry[i].offset);
        ASSERT(label != LABELS_MAX);
        if (check != JIT_NO_CHECK)
            region_check_missed(x, entry[i].offset);
        align_code(&x->c);
        entry[i].code = offset_in_buffer(x);
        if (check != JIT_NO_CHECK)
            region_check(x, check, entry[i].offset);
        else
            emit_nop5(&x->c); /* for jit_backend_redirect */
        region_enter(x, label);
    }
    view_end(x, compiler, start);
    compiler->at = offset_in_buffer(x);
    ASSERT(compiler->at <= compiler->end);
    return true;
}

size_t compile_size(void)
{
    return sizeof(struct compile);
}
