/* SPDX-License-Identifier: BSD-2-Clause */
/* What entry.S, the firmware and the interrupt controllers do, for tests that run whole harts. */
#include "metal/low.h"

#include "metal/intc.h"
#include "metal/paging.h"
#include "metal/sbi_call.h"
#include "tests/metal/fake/fake.h"

#include <string.h>

#define EID_IPI 0x735049

static u8 image[4096];
u8 image_end[METAL_VCPUS_MAX * METAL_VECTOR_BYTES];

u8 *fake_image(void)
{
    return image;
}

const u8 *paging_image(u64 offset)
{
    return image + offset;
}

u64 paging_hpa(const void *address)
{
    return (u64)address;
}

s64 sbi_call(u64 ext, u64 func, u64 a, u64 b, u64 c)
{
    if (ext == EID_IPI && func == 0 && a == 1)
        fake_ipi_send((u32)b);
    return 0;
}

static bool is_memory(u64 gpa, size_t len)
{
    u64 offset = gpa - FAKE_MEMORY_GPA;

    return offset <= FAKE_MEMORY_SIZE && len <= FAKE_MEMORY_SIZE - offset;
}

bool guest_copy_in(void *to, u64 from, size_t len)
{
    if (!is_memory(from, len))
        return false;
    memcpy(to, fake_memory(from), len);
    return true;
}

bool guest_copy_out(u64 to, const void *from, size_t len)
{
    if (!is_memory(to, len))
        return false;
    memcpy(fake_memory(to), from, len);
    return true;
}

bool guest_copy_words(u64 to, const void *from, size_t len)
{
    return len % 8 == 0 && to % 8 == 0 && guest_copy_out(to, from, len);
}

bool guest_zero_words(u64 to, size_t len)
{
    if (len % 8 || to % 8 || !is_memory(to, len))
        return false;
    memset(fake_memory(to), 0, len);
    return true;
}

s64 guest_fetch(u64 from)
{
    u16 parcel;

    return guest_copy_in(&parcel, from, sizeof(parcel)) ? parcel : -1;
}

s64 guest_fetch_word(u64 from)
{
    u32 word;

    return guest_copy_in(&word, from, sizeof(word)) ? (s64)word : -1;
}

void hfence_vvma_all(void)
{
}

void hfence_gvma_all(void)
{
}

void hfence_vvma_page(gva_t gva, s64 asid)
{
}

void fp_save(u64 f[32], u64 *fcsr)
{
}

void fp_load(const u64 f[32], const u64 *fcsr)
{
}

/* The hart's own are the first byte of each. */
static _Thread_local u8 held;

u8 *fake_vector(void)
{
    return &held;
}

void vector_save(u8 *registers, u64 csr[4])
{
    registers[0] = held;
}

void vector_load(const u8 *registers, const u64 csr[4])
{
    held = registers[0];
}

bool intc_external(struct hart *h)
{
    return true;
}

void intc_switch(struct hart *h, const struct partition *from, const struct partition *to)
{
}

void intc_reset(struct partition *p)
{
}

void intc_refresh(struct vcpu *v)
{
}

void intc_raise(struct partition *p, u32 source)
{
}

void intc_level(struct partition *p, u32 source, bool level)
{
}

s64 intc_read(struct partition *p, u64 offset)
{
    return -1;
}

bool intc_write(struct partition *p, u64 offset, u32 width, u64 value)
{
    return false;
}

void intc_start(struct vcpu *v)
{
}

void intc_listen(const struct hart *h, bool (*is_awaited)(const struct vcpu *v))
{
}

volatile void *paging_io(u64 hpa)
{
    static u8 registers[4096];

    return registers;
}

u32 io_read(const volatile void *at)
{
    return 0;
}

u64 io_read_long(const volatile void *at)
{
    return 0;
}

void io_write(volatile void *at, u32 value)
{
}

void io_write_long(volatile void *at, u64 value)
{
}
