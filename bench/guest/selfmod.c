/* SPDX-License-Identifier: BSD-2-Clause */
/* Code that makes code: writes a function of a few instructions, calls it, writes the next over it.
 */
#include <sys/mman.h>

#include "bench.h"

#define GENERATIONS 100

static uint8_t *area;

static void area_setup(void)
{
    area = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        bench_die("mmap");
}

/* f(x) = x * 5 + value, value below 2048. */
#if defined(__riscv)
static void generate(uint8_t *at, uint32_t value)
{
    const uint32_t code[] = {
        0x00251793,               /* slli a5, a0, 2 */
        0x00f50533,               /* add a0, a0, a5 */
        0x00050513 | value << 20, /* addi a0, a0, value */
        0x00008067,               /* ret */
    };

    memcpy(at, code, sizeof code);
    __builtin___clear_cache((char *)at, (char *)at + sizeof code);
}
#elif defined(__x86_64__)
static void generate(uint8_t *at, uint32_t value)
{
    uint8_t code[] = {
        0x48, 0x8d, 0x04, 0xbf,             /* lea rax, [rdi + rdi * 4] */
        0x48, 0x05, 0,    0,    0, 0, 0xc3, /* add rax, value; ret */
    };

    memcpy(code + 6, &value, sizeof value);
    memcpy(at, code, sizeof code);
    __builtin___clear_cache((char *)at, (char *)at + sizeof code);
}
#else
#error "which instructions?"
#endif

static uint64_t generations(void)
{
    uint64_t x = 1;

    for (uint32_t i = 0; i < GENERATIONS; i++) {
        generate(area, i * 7 % 2048);
        x = ((uint64_t(*)(uint64_t))(uintptr_t)area)(x);
    }
    return x;
}

static const struct bench_row rows[] = {
    {"selfmod", "kgenerations", GENERATIONS * 1e-3, generations, area_setup, NULL},
};

BENCH_MAIN(rows)
