/* SPDX-License-Identifier: BSD-2-Clause */
/* What --icount puts in the place of the host's clock and of its random numbers. */
#include "vmm/vm_state.h"

#include "host/entropy.h"

/* 2026-01-01 00:00 UTC, in seconds since 1970: every run begins then. */
#define EPOCH_S  UINT64_C(1767225600)
#define NS_PER_S UINT64_C(1000000000)

/* splitmix64 (Steele, Lea, Flood 2014): even, quick, and no secret. */
static u64 next_random(u64 *state)
{
    u64 z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void seeded_fill(void *ctx, void *buf, size_t len)
{
    struct vm *vm = ctx;
    u8 *to = buf;
    u64 word = 0;

    for (size_t i = 0; i < len; i++) {
        word = i % 8 ? word >> 8 : next_random(&vm->random);
        to[i] = (u8)word;
    }
}

struct entropy vm_entropy(struct vm *vm)
{
    return vm->config->icount ? (struct entropy){seeded_fill, vm} : host_entropy();
}

static u64 virtual_now(void *ctx)
{
    struct vm *vm = ctx;

    return exec_virtual_ns(vm->exec);
}

static u64 virtual_wall(void *ctx)
{
    return EPOCH_S * NS_PER_S + virtual_now(ctx);
}

struct clock vm_clock(struct vm *vm)
{
    return vm->config->icount ? (struct clock){virtual_now, virtual_wall, vm}
                              : host_clock_port(&vm->clock);
}

struct timer_port vm_timer(void *ctx, void (*fire)(void *fire_ctx, u32 arg), void *fire_ctx,
                           u32 arg)
{
    struct vm *vm = ctx;

    return vm->config->icount ? exec_virtual_timer(vm->exec, fire, fire_ctx, arg)
                              : loop_timer(vm->loop, fire, fire_ctx, arg);
}
