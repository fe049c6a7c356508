/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service of asker.c: keeps what is written to a device, in memory that a warm restart keeps.
 * After each ANSWER_FAULTS requests it faults, with the one in hand taken and not answered. With
 * ANSWER_ANYTHING it answers at random instead: what it was asked, twice, for others, not at all.
 */
#include "guest.h"

#ifndef ANSWER_FAULTS
#define ANSWER_FAULTS 0
#endif
#ifndef ANSWER_ANYTHING
#define ANSWER_ANYTHING 0
#endif

static u32 *const kept = (u32 *)(uintptr_t)0x80100000; /* of each vCPU */
static u64 state;

static u64 draw(void)
{
    u64 z = state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void rung(unsigned source)
{
    (void)source;
}

static void serve(const struct cosm_vdev_request *r)
{
    u32 *word = &kept[r->vcpu & 1];

    if (r->kind == COSM_VDEV_WRITE)
        *word = r->value;
    cosm_vdev_reply(0, r->vcpu, r->offset & 2 ? *word >> 16 : *word, COSM_VDEV_KEEP);
}

static void answer_anything(const struct cosm_vdev_request *r)
{
    static const u64 vcpus[] = {0, 1, 2, COSM_VDEV_NOBODY, UINT64_C(1) << 32, 255};

    for (u64 n = draw() % 4; n > 0; n--)
        cosm_vdev_reply((unsigned)(draw() % 20 ? 0 : draw()), vcpus[draw() % ARRAY_SIZE(vcpus)],
                        (u32)draw(), (enum cosm_vdev_level)(draw() % 3));
    cosm_sbi4(COSM_SBI_EXT, COSM_CALL_VDEV_REPLY, draw() >> draw() % 64, draw() >> draw() % 64,
              draw(), draw());
    cosm_sbi(COSM_SBI_EXT, COSM_CALL_VDEV_NEXT, draw() >> draw() % 64, 0, 0);
    if (draw() % 8)
        serve(r);
    if (draw() % 256 == 0)
        cosm_raise(1);
}

void guest_main(u64 hart, const void *tree)
{
    struct cosm_vdev_request r;
    u32 taken = 0;

    (void)hart;
    state = csr_read(time);
    irq_init(tree);
    irq_enable((unsigned)fdt_cell(tree, "cosm,virtio-service", "interrupts", 0, 0), rung, true);
    interrupts_off();
    for (;;) {
        cosm_vdev_next(0, &r);
        taken += r.kind == COSM_VDEV_READ || r.kind == COSM_VDEV_WRITE;
        if (ANSWER_FAULTS && taken == ANSWER_FAULTS)
            (void)*(volatile u64 *)(uintptr_t)0xdead0000;
        if (ANSWER_ANYTHING)
            answer_anything(&r);
        else if (r.kind == COSM_VDEV_READ || r.kind == COSM_VDEV_WRITE)
            serve(&r);
        if (r.kind == COSM_VDEV_NONE && !ANSWER_ANYTHING) {
            __asm__ volatile("wfi");
            interrupts_on();
            interrupts_off();
        }
    }
}
