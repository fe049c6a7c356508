/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The hypervisor's own address space, Sv39: its code R+X, its constants R, its data and stacks R+W
 * with guard pages below the stacks, the partitions' images R, and the registers of the console and
 * the interrupt controllers. No memory of a partition is in it.
 */
#ifndef COSM_METAL_PAGING_H
#define COSM_METAL_PAGING_H

#include "base/types.h"

#define PAGING_BASE UINT64_C(0xffffffc000000000) /* the image, as linked; link.ld */
#define PAGING_IO   UINT64_C(0xffffffe000000000) /* devices: PAGING_IO + hpa, hpa < 64 GiB */

/* With translation off, on the boot hart: builds the tables for the image at hpa; returns satp. */
u64 paging_init(u64 hpa);

/* What is at a virtual address of the image. */
u64 paging_hpa(const void *address);
/* The partitions' images and other bytes of cosm-metal.bin, by offset. */
const u8 *paging_image(u64 offset);
static inline volatile void *paging_io(u64 hpa)
{
    return (volatile void *)(PAGING_IO + hpa);
}

/* A register of 4 or 8 bytes. */
static inline u32 io_read(const volatile void *at)
{
    return *(const volatile u32 *)at;
}

static inline u64 io_read_long(const volatile void *at)
{
    return *(const volatile u64 *)at;
}

static inline void io_write(volatile void *at, u32 value)
{
    *(volatile u32 *)at = value;
}

static inline void io_write_long(volatile void *at, u64 value)
{
    *(volatile u64 *)at = value;
}

#endif
