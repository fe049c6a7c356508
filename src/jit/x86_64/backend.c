/* SPDX-License-Identifier: BSD-2-Clause */
/* The x86-64 back end's life: buffer, thunks, chaining, running. */
#include "jit/x86_64/backend.h"

#include "base/assert.h"
#include "base/bits.h"

#include <cpuid.h>
#include <stdlib.h>
#include <string.h>

/* clang 14's __builtin_cpu_supports does not know the name. */
static bool has_lzcnt(void)
{
    unsigned a, b, c, d;

    return __get_cpuid(0x80000001, &a, &b, &c, &d) && (c >> 5 & 1);
}

bool jit_backend_is_supported(void)
{
    return __builtin_cpu_supports("bmi2") && has_lzcnt() && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("pclmul") &&
           __builtin_cpu_supports("avx") && __builtin_cpu_supports("fma");
}

static void pin_slots(struct jit_backend *b)
{
    memset(b->slot_reg, NO_REG, sizeof(b->slot_reg));
    b->pinned_count = b->layout.pinned_count < PINNED_MAX ? b->layout.pinned_count : PINNED_MAX;
    for (u32 i = 0; i < b->pinned_count; i++) {
        b->pinned[i] = b->layout.pinned[i];
        b->slot_reg[b->pinned[i]] = pinned_regs[i];
    }
    b->pinned_fp_count =
        b->layout.pinned_fp_count < PINNED_FP_MAX ? b->layout.pinned_fp_count : PINNED_FP_MAX;
    for (u32 i = 0; i < b->pinned_fp_count; i++) {
        b->pinned_fp[i] = b->layout.pinned_fp[i];
        b->slot_reg[b->pinned_fp[i]] = (u8)(PINNED_FP_FIRST + i);
    }
}

struct jit_backend *jit_backend_create(const struct jit_layout *layout,
                                       const struct jit_engine *engine, u32 code_size)
{
    struct jit_backend *b = calloc(1, sizeof(*b));
    struct code c;

    if (!b)
        return NULL;
    b->layout = *layout;
    b->engine = *engine;
    b->recovery = calloc((code_size >> JIT_PAGE_BITS) + 1, sizeof(*b->recovery));
    if (!b->recovery || !code_buffer_create(&b->buffer, code_size)) {
        jit_backend_destroy(b);
        return NULL;
    }
    pin_slots(b);
    c.at = b->buffer.write + 16; /* offset 0 means "no code" */
    thunks_emit(b, &c);
    b->code_start = (u32)align_up((u64)(c.at - b->buffer.write), 16);
    return b;
}

void jit_backend_destroy(struct jit_backend *b)
{
    if (!b)
        return;
    code_buffer_destroy(&b->buffer);
    free((void *)b->recovery);
    free(b);
}

struct jit_compiler *jit_compiler_create(struct jit_backend *backend)
{
    struct jit_compiler *compiler = calloc(1, sizeof(*compiler));

    if (!compiler)
        return NULL;
    compiler->backend = backend;
    compiler->compile = malloc(compile_size());
    if (!compiler->compile) {
        free(compiler);
        return NULL;
    }
    return compiler;
}

void jit_compiler_destroy(struct jit_compiler *compiler)
{
    if (!compiler)
        return;
    free(compiler->compile);
    free(compiler);
}

void jit_compiler_expect(struct jit_compiler *compiler, const struct jit_jump *jump, u32 count)
{
    compiler->jump = jump;
    compiler->jump_count = count;
}

void jit_compiler_aim(struct jit_compiler *compiler, u32 from, u32 end)
{
    ASSERT(from >= compiler->backend->code_start && from <= end &&
           end <= compiler->backend->buffer.size);
    compiler->at = from;
    compiler->end = end;
    compiler->recovery = 0;
}

u32 jit_compiler_at(const struct jit_compiler *compiler)
{
    return compiler->at;
}

u32 jit_backend_code_start(const struct jit_backend *b)
{
    return b->code_start;
}

/* Harts that run the jump see the old target or the new one: see emit_jmp_patched. */
void jit_backend_chain(struct jit_backend *b, u32 patch, u32 code)
{
    u8 *after = b->buffer.write + patch;

    ASSERT(!(patch & 3));
    __atomic_store_n((u32 *)(void *)(after - 4), code - patch, __ATOMIC_RELEASE);
}

/* The first instruction, one NOP of five bytes at a multiple of 16, becomes a jump at once. */
void jit_backend_redirect(struct jit_backend *b, u32 block, u32 code)
{
    u64 *at = (u64 *)(void *)(b->buffer.write + block), old = __atomic_load_n(at, __ATOMIC_RELAXED);
    u64 jump = 0xe9 | (u64)(u32)(code - (block + 5)) << 8;

    /* Who is about to execute more than one instruction there would go on in the middle. */
    ASSERT((old & GENMASK(39, 0)) == NOP5 || (old & 0xff) == 0xe9);
    ASSERT(b->layout.redirects && !(block & 7));
    __atomic_store_n(at, jump | (old & ~GENMASK(39, 0)), __ATOMIC_RELEASE);
}

void jit_backend_rest(struct jit_backend *b)
{
    code_buffer_rest(&b->buffer);
}

u64 jit_backend_address(const struct jit_backend *b, u32 code)
{
    return (u64)(uintptr_t)(b->buffer.run + code);
}

u32 jit_backend_run(struct jit_backend *b, void *state, u32 code)
{
    uintptr_t enter = (uintptr_t)(b->buffer.run + (b->enter - b->buffer.write));

    return ((u32(*)(void *, const void *))enter)(state, b->buffer.run + code);
}
