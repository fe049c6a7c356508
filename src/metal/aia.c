/* SPDX-License-Identifier: BSD-2-Clause */
/* The board's IMSICs: kicks. */
#include "metal/aia.h"

#include "metal/csr.h"
#include "metal/paging.h"

#define EID_KICK 1 /* interrupt identity of HS-mode's own files */

/* Registers of an IMSIC file behind siselect (AIA section 3.8). */
#define EIDELIVERY  0x70
#define EITHRESHOLD 0x72
#define EIE0        0xc0

static void file_write(u32 reg, u64 value)
{
    csr_write(siselect, reg);
    csr_write(sireg, value);
}

void aia_init(void)
{
}

void aia_init_hart(struct hart *h)
{
    (void)h;
    file_write(EIDELIVERY, 1);
    file_write(EITHRESHOLD, 0);
    file_write(EIE0, BIT(EID_KICK));
}

bool aia_kick(struct hart *h)
{
    volatile u32 *file = paging_io(imsic_hpa(&metal_config.board, h->config->imsic_index));

    *file = EID_KICK;
    return true;
}

bool aia_external(struct hart *h)
{
    u64 top;

    (void)h;
    __asm__ volatile("csrrw %0, stopei, zero" : "=r"(top)::"memory");
    return top >> 16 == EID_KICK;
}

void aia_reset(struct partition *p)
{
    (void)p;
}

void aia_raise(struct partition *p, u32 source)
{
    (void)p;
    (void)source;
}

void aia_level(struct partition *p, u32 source, bool level)
{
    (void)p;
    (void)source;
    (void)level;
}

bool aia_access(struct vcpu *v, u64 offset, u32 width, bool write, u64 *value)
{
    (void)v;
    (void)offset;
    (void)width;
    (void)write;
    (void)value;
    return false;
}
