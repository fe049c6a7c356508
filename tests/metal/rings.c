/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A driver that attacks its devices (RINGS_DEVICES of them): writes to all registers, rings outside
 * of its memory or of chains that loop, lengths without end, storms of notifications. It restarts
 * itself after RINGS_ACTIONS; all is drawn from RINGS_SEED and the number of the life.
 */
#include "guest.h"

#ifndef RINGS_SEED
#define RINGS_SEED 1
#endif
#ifndef RINGS_DEVICES
#define RINGS_DEVICES 3
#endif
#ifndef RINGS_ACTIONS
#define RINGS_ACTIONS 300
#endif

#define DEVICE UINT64_C(0x10001000)
#define MEMORY UINT64_C(0x80000000)
#define QUEUE  256u

static u8 ring[3][16384] __attribute__((aligned(4096)));
static u64 state, device;

static u64 draw(void)
{
    u64 z = state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void put(u32 offset, u64 value)
{
    *(volatile u32 *)(uintptr_t)(device + offset) = (u32)value;
}

/* An address of any kind: own, just outside, where the service has its own memory, wild. */
static u64 address(void)
{
    switch (draw() % 8) {
    case 0:
        return draw() >> draw() % 64;
    case 1:
        return MEMORY + 0x200000 - draw() % 32;
    case 2:
        return MEMORY - 1 - draw() % 32;
    case 3:
        return UINT64_C(0x90000000) + draw() % 0x100000;
    case 4:
        return UINT64_C(0x100000000) + draw() % 0x200000;
    default:
        return (u64)(uintptr_t)ring[draw() % 3] + draw() % 16384;
    }
}

static void put_address(u32 offset, u64 value)
{
    put(offset, value);
    put(offset + 4, value >> 32);
}

static void write_registers(void)
{
    for (u64 n = draw() % 32; n > 0; n--) {
        u64 offset = draw() % 0x300;

        switch (draw() % 3) {
        case 0:
            *(volatile u8 *)(uintptr_t)(device + offset) = (u8)draw();
            break;
        case 1:
            *(volatile u16 *)(uintptr_t)(device + (offset & ~UINT64_C(1))) = (u16)draw();
            break;
        default:
            put((u32)offset & ~3u, draw() >> draw() % 64);
        }
    }
}

/* Descriptors of 16 bytes: address, length, flags, next; the same bytes serve as packed ones. */
static void fill_rings(void)
{
    for (u32 i = 0; i < QUEUE; i++) {
        u8 *d = ring[0] + 16 * i;

        *(u64 *)(void *)d = address();
        *(u32 *)(void *)(d + 8) = (u32)(draw() % 4 ? draw() % 4096 : draw());
        *(u16 *)(void *)(d + 12) = (u16)(draw() % 4 ? draw() & 7 : draw());
        *(u16 *)(void *)(d + 14) = (u16)(draw() % 8 ? draw() % QUEUE : draw());
    }
    for (u32 i = 0; i < 2 + QUEUE; i++)
        *(u16 *)(void *)(ring[1] + 2 * i) = (u16)(draw() % 4 ? draw() % QUEUE : draw());
}

/* As a driver does it, but for what is drawn otherwise. */
static void set_up(void)
{
    static const u64 features[] = {0, UINT64_C(1) << 28, UINT64_C(1) << 29, UINT64_C(1) << 34};
    u64 accepted = UINT64_C(1) << 32 | features[draw() % 4] | (draw() % 4 ? 0 : draw());

    put(0x70, 0);
    put(0x70, 3);
    for (u32 word = 0; word < 2; word++) {
        put(0x24, word);
        put(0x20, accepted >> 32 * word);
    }
    put(0x70, 11);
    for (u32 queue = 0; queue < 3; queue++) {
        put(0x30, queue);
        put(0x38, draw() % 4 ? QUEUE >> draw() % 8 : draw());
        put_address(0x80, draw() % 4 ? (u64)(uintptr_t)ring[0] : address());
        put_address(0x90, draw() % 4 ? (u64)(uintptr_t)ring[1] : address());
        put_address(0xa0, draw() % 4 ? (u64)(uintptr_t)ring[2] : address());
        put(0x44, 1);
    }
    put(0x70, draw() % 8 ? 15 : draw());
}

static void notify(void)
{
    for (u64 n = draw() % 64; n > 0; n--) {
        *(volatile u16 *)(void *)(ring[1] + 2) += (u16)(draw() % 8 ? 1 : draw());
        put(0x50, draw() % 8 ? draw() % 3 : draw());
    }
}

static void on_exception(struct trap_frame *frame, u64 cause, u64 tval)
{
    (void)cause, (void)tval;
    frame->epc += (*(u16 *)(uintptr_t)frame->epc & 3) == 3 ? 4 : 2;
}

void guest_main(u64 hart, const void *tree)
{
    struct cosm_sbi_result info = cosm_info();

    (void)hart, (void)tree;
    state = RINGS_SEED + (cosm_status((unsigned)(info.value >> 16)).value << 20);
    trap_on_exception(5, on_exception);
    trap_on_exception(7, on_exception);
    for (u32 n = 0; n < RINGS_ACTIONS; n++) {
        device = DEVICE + 0x1000 * (draw() % RINGS_DEVICES);
        switch (draw() % 5) {
        case 0:
            write_registers();
            break;
        case 1:
            set_up();
            break;
        case 2:
            fill_rings();
            break;
        default:
            notify();
        }
    }
    cosm_raise(1);
}
