/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls to the firmware, which in a partition is the hypervisor. */
#include "guest.h"

struct cosm_sbi_result sbi_call(long extension, long function, const u64 arg[6])
{
    register u64 a0 __asm__("a0") = arg[0];
    register u64 a1 __asm__("a1") = arg[1];
    register u64 a2 __asm__("a2") = arg[2];
    register u64 a3 __asm__("a3") = arg[3];
    register u64 a4 __asm__("a4") = arg[4];
    register u64 a5 __asm__("a5") = arg[5];
    register long a6 __asm__("a6") = function;
    register long a7 __asm__("a7") = extension;

    __asm__ volatile("ecall"
                     : "+r"(a0), "+r"(a1)
                     : "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a6), "r"(a7)
                     : "memory");
    return (struct cosm_sbi_result){.error = (long)a0, .value = a1};
}

bool sbi_has(long extension)
{
    struct cosm_sbi_result result = cosm_sbi(SBI_BASE, 3, (u64)extension, 0, 0);

    return result.error == 0 && result.value != 0;
}

void sbi_write(const char *text, size_t bytes)
{
    while (bytes > 0) {
        struct cosm_sbi_result result = cosm_sbi(SBI_DBCN, 0, bytes, (u64)(uintptr_t)text, 0);

        /* OpenSBI before 1.3 has no such call, but the oldest one. */
        if (result.error) {
            cosm_sbi(SBI_LEGACY_PUTCHAR, 0, (u8)*text, 0, 0);
            result.value = 1;
        }
        text += result.value;
        bytes -= result.value;
    }
}

void sbi_ipi(u64 hart)
{
    cosm_sbi(SBI_IPI, 0, 1, hart, 0);
}

void guest_end(bool failed)
{
    cosm_sbi(SBI_SRST, 0, 0 /* shutdown */, failed, 0);
    for (;;)
        __asm__ volatile("wfi");
}

void guest_reboot(void)
{
    cosm_sbi(SBI_SRST, 0, 1 /* cold reboot */, 0, 0);
    for (;;)
        __asm__ volatile("wfi");
}
