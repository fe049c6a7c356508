/* SPDX-License-Identifier: BSD-2-Clause */
/* The x86-64 back end's life: buffer, thunks, chaining, running. */
#include "jit/x86_64/backend.h"

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
           __builtin_cpu_supports("popcnt");
}

static void pin_slots(struct jit_backend *b)
{
    memset(b->slot_reg, NO_REG, sizeof(b->slot_reg));
    b->pinned_count = b->layout.pinned_count < PINNED_MAX ? b->layout.pinned_count : PINNED_MAX;
    for (u32 i = 0; i < b->pinned_count; i++) {
        b->pinned[i] = b->layout.pinned[i];
        b->slot_reg[b->pinned[i]] = pinned_regs[i];
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
    b->compile = malloc(compile_size());
    if (!b->compile || !code_buffer_create(&b->buffer, code_size)) {
        jit_backend_destroy(b);
        return NULL;
    }
    pin_slots(b);
    c.at = b->buffer.write + 16; /* offset 0 means "no code" */
    thunks_emit(b, &c);
    b->blocks_start = (u32)(c.at - b->buffer.write);
    b->buffer.used = b->blocks_start;
    return b;
}

void jit_backend_destroy(struct jit_backend *b)
{
    if (!b)
        return;
    code_buffer_destroy(&b->buffer);
    free(b->compile);
    free(b);
}

void jit_backend_flush(struct jit_backend *b)
{
    b->buffer.used = b->blocks_start;
}

void jit_backend_chain(struct jit_backend *b, u32 patch, u32 code)
{
    patch_rel(b->buffer.write + patch, b->buffer.write + code);
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

u32 jit_backend_used(const struct jit_backend *b)
{
    return b->buffer.used;
}
