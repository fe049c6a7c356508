/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fuzzing a virtio-mmio device: the input is ring features, queue size, a script of accesses and
 * the first bytes of guest memory, where the rings of both queues lie.
 */
#ifndef COSM_FUZZ_VIRTIO_SCRIPT_H
#define COSM_FUZZ_VIRTIO_SCRIPT_H

#include "device/virtio/mmio.h"
#include "tests/fake.h"

#define SCRIPT_RAM      UINT64_C(0x80000000)
#define SCRIPT_RAM_SIZE (64 * KIB)
#define SCRIPT_QUEUE    0x800 /* bytes from one queue's areas to the next one's */

struct script {
    const u8 *bytes; /* what is left of the script */
    size_t len;
    u8 features, size_log2;
    struct gmem gmem;
    struct virtio_mmio mmio;
    /* What only this device can do: finish a request, receive a frame. */
    void (*act)(u8 arg);
};

static inline u32 script_take(struct script *s, u32 bytes)
{
    u32 v = 0;

    for (u32 i = 0; i < bytes && s->len; i++, s->bytes++, s->len--)
        v |= (u32)*s->bytes << (8 * i);
    return v;
}

static inline void script_put(struct script *s, u32 reg, u32 value)
{
    (void)!device_write(&s->mmio.device, reg, 4, value);
}

static inline void script_queue_up(struct script *s, u32 queue)
{
    u32 base = (u32)SCRIPT_RAM + queue * SCRIPT_QUEUE;

    script_put(s, 0x30, queue);
    script_put(s, 0x38, 1u << (s->size_log2 & 7));
    script_put(s, 0x80, base);
    script_put(s, 0x90, base + 0x200);
    script_put(s, 0xa0, base + 0x400);
    script_put(s, 0x44, 1);
}

/* Feature bits of the device's own: all that there are, or one of the disk's. */
static inline u32 script_own_features(struct script *s)
{
    u64 offered = 0;

    script_put(s, 0x14, 0);
    (void)!device_read(&s->mmio.device, 0x10, 4, &offered);
    return s->features & 16 ? (u32)offered & 0xffffff : s->features & 8 ? 1u << 9 : 0;
}

/* Reset, then all the way to DRIVER_OK. */
static inline void script_start(struct script *s)
{
    script_put(s, 0x70, 0);
    script_put(s, 0x70, 3);
    script_put(s, 0x24, 0);
    script_put(s, 0x20,
               (s->features & 2 ? 1u << 28 : 0) | (s->features & 4 ? 1u << 29 : 0) |
                   script_own_features(s));
    script_put(s, 0x24, 1);
    script_put(s, 0x20, 1 | (s->features & 1 ? 1u << 2 : 0));
    script_put(s, 0x70, 11);
    script_queue_up(s, 0);
    script_queue_up(s, 1);
    if (s->features & 32)
        script_queue_up(s, 2);
    script_put(s, 0x70, 15);
}

static inline void script_poke(struct script *s)
{
    u32 at = script_take(s, 2), len = script_take(s, 1) % 32;
    u8 *ram = s->gmem.region[0].host;

    for (u32 i = 0; i < len; i++)
        ram[(at + i) % SCRIPT_RAM_SIZE] = (u8)script_take(s, 1);
}

static inline void script_step(struct script *s)
{
    u8 op = (u8)script_take(s, 1);
    u32 size = 1u << (op >> 4 & 3);
    u64 value;

    switch (op & 7) {
    case 0:
    case 1:
        script_put(s, 0x50, (op & 0x41) == 0x40 ? 2 : op & 1);
        break;
    case 2:
        value = script_take(s, 1) * 4 % VIRTIO_MMIO_SIZE;
        script_put(s, (u32)value, script_take(s, 4));
        break;
    case 3:
        (void)!device_read(&s->mmio.device, align_down(script_take(s, 2) % 0x1f8, size), size,
                           &value);
        break;
    case 4:
        script_poke(s);
        break;
    case 5:
        script_start(s);
        break;
    default:
        s->act((u8)script_take(s, 1));
    }
}

/* What goes back to the host is zeros, and nothing but memory. */
static inline bool script_discard(void *ctx, gpa_t gpa, u64 len)
{
    struct script *s = ctx;

    memset(s->gmem.region[0].host + (gpa - SCRIPT_RAM), 0, len);
    return true;
}

/* Input: features, size, length of the script (2 bytes), script, memory. */
static inline void script_run(struct virtio_dev *dev, void (*act)(u8), const u8 *data, size_t size)
{
    struct script s = {.bytes = data, .len = size, .act = act};
    struct virtio_mmio_config config = {.id = "virtio0", .gmem = &s.gmem, .dev = dev};
    u32 len;

    s.features = (u8)script_take(&s, 1);
    s.size_log2 = (u8)script_take(&s, 1);
    len = script_take(&s, 2);
    if (len > s.len)
        len = (u32)s.len;
    fake_gmem_init(&s.gmem, SCRIPT_RAM, SCRIPT_RAM_SIZE);
    s.gmem.discard = script_discard;
    s.gmem.ctx = &s;
    memcpy(s.gmem.region[0].host, s.bytes + len,
           s.len - len < SCRIPT_RAM_SIZE ? s.len - len : SCRIPT_RAM_SIZE);
    s.len = len;
    virtio_mmio_init(&s.mmio, &config);
    device_reset(&s.mmio.device);
    script_start(&s);
    while (s.len)
        script_step(&s);
    device_fini(&s.mmio.device);
    fake_gmem_fini(&s.gmem);
}

#endif
