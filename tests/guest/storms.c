/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts, timers, console output and reasons for log lines, as fast as they go. */
#include "attack.h"

#define ROUNDS TIMES(60000)

static struct ctx c;
static volatile u32 stop;

static void timers(u64 hart)
{
    for (u32 i = 0; i < ROUNDS && !stop; i++) {
        write64(CLINT_BASE + 0x4000 + 8 * hart, mtime() + (i & 15));
        write32(CLINT_BASE + 4 * ((hart + 1) % hart_count), i & 1);
        csr_write(0x14d, mtime() + (i & 63));
    }
}

static void interrupts(void)
{
    for (u32 h = 1; h < hart_count; h++)
        hart_start(h, timers, h);
    timers(0);
    for (u32 h = 1; h < hart_count; h++)
        hart_join(h);
    write64(CLINT_BASE + 0x4000, ~0ul);
    write32(CLINT_BASE, 0);
}

/* Each change of a rate arms a timer of the host. */
static void alarms(void)
{
    for (u32 i = 0; i < ROUNDS / 4; i++) {
        write32(0x101000 + 0xc, 0);
        write32(0x101000 + 0x8, i); /* the clock's alarm */
        write32(0x101000 + 0x10, i & 1);
        write32(0x101000 + 0x14, 0);
    }
}

static void console(void)
{
    for (u32 i = 0; i < TIMES(300000); i++)
        *(volatile u8 *)UART_BASE = (u8)("\033[2J\033[31m\007 flood \b\r\n"[i % 19]);
    for (u64 end = mtime() + 1000000; mtime() < end;)
        pause(); /* what does not fit is lost, so also the beginning of a line */
    print("\n");
}

/* What a log might tell of, each time. */
static void complaints(void)
{
    u64 disk = device_find(KIND_BLK);

    for (u32 i = 0; i < TIMES(5000); i++) {
        device_begin(disk, ~0ul);
        device_begin(disk, 0);
        device_areas(disk, 0, RING, 0, 0, 0);
        device_go(disk);
        device_kick(disk, 0);
        device_kick(disk, i);
        write32(disk + REG_CONFIG + (i & 0xfc), i);
        c.x[10] = i & 1 ? HOLE + 8ul * i : PLIC_BASE + 0x3ff000 + i % 4096;
        run_insn(&c, PRIV_M, i & 2 ? insn_load(LB, 11, 10) : insn_store(SB, 11, 10));
        write32(FINISHER_BASE, i & 0xfff); /* no command */
    }
    CHECK(disk_works(disk));
}

void tests(void)
{
    test("interrupts and timers", interrupts);
    test("alarms", alarms);
    test("console output", console);
    test("complaints", complaints);
}
