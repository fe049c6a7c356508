#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs random register scripts on Cosm's platform devices and on QEMU's, and compares.

usage: qemu_compare.py DEVICE_SCRIPT [SEED]      TAP on stdout; skips without QEMU.
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile

QEMU = "qemu-system-riscv64"
LETTER = {1: "b", 2: "w", 4: "l", 8: "q"}
PLIC, UART, RTC, FLASH, ECAM, ACLINT, FW = (
    0xC000000, 0x10000000, 0x101000, 0x22000000, 0x30000000, 0x2000000, 0x10100000)


def plic(rnd):
    """Registers only: nothing pends, so claims give 0."""
    for _ in range(300):
        context = rnd.randrange(4)
        at = rnd.choice([4 * rnd.randrange(1, 96), 0x1000 + 4 * rnd.randrange(3),
                         0x2000 + 0x80 * context + 4 * rnd.randrange(3),
                         0x200000 + 0x1000 * context, 0x200004 + 0x1000 * context])
        if rnd.random() < 0.5 and at & 0xFFFFF004 != 0x200004:
            # Source 0 does not exist; QEMU keeps its enable bit.
            yield "w", PLIC + at, 4, rnd.getrandbits(32) & ~1
        yield "r", PLIC + at, 4, 0


def uart(rnd):
    """With loopback, without the divisor's effect; IIR's timeout has no clock here."""
    yield "w", UART + 3, 1, 3
    yield "w", UART + 2, 1, 7
    for _ in range(400):
        reg = rnd.choice([1, 3, 4, 5, 6, 7, 7])
        if rnd.random() < 0.5 and reg not in (5, 6):
            value = rnd.getrandbits(8)
            if reg == 3:
                value &= 0x3F
            if reg == 4:
                value &= 0xEF
            yield "w", UART + reg, 1, value
        if reg != 6:
            yield "r", UART + reg, 1, 0
        if reg == 1 and rnd.random() < 0.5:
            yield "r", UART + 2, 1, 0
    yield "w", UART + 1, 1, 7
    yield "w", UART + 4, 1, 0x10
    for byte in range(rnd.randrange(12)):
        yield "w", UART, 1, byte + 65
        yield "r", UART + 5, 1, 0
    for _ in range(14):
        yield "r", UART + 5, 1, 0
        yield "r", UART, 1, 0


def flash(rnd):
    """Well-formed commands; programming only what is erased: QEMU overwrites, flash clears bits."""
    block = 0x40000 * rnd.randrange(1, 128)
    ones = 0x00010001
    yield "w", FLASH, 4, 0x98 * ones
    for word in range(0x10, 0x48):
        yield "r", FLASH + 4 * word, rnd.choice([1, 2, 4]), 0
    yield "w", FLASH, 4, 0xFF * ones
    yield "w", FLASH, 4, 0x90 * ones
    for word in range(3):
        yield "r", FLASH + 4 * word, 4, 0
    yield "w", FLASH, 4, 0xFF * ones
    for command in (0x20, 0xD0, 0xFF):
        yield "w", FLASH + block, 4, command * ones
        yield "r", FLASH + block + 64, 4, 0
    for _ in range(10):
        at = FLASH + block + 0x100 + 4 * rnd.randrange(64)
        yield "w", at, 4, 0x40 * ones
        yield "w", at, 4, 0x5A5A1234
        yield "r", at, 4, 0
        yield "w", at, 4, 0xFF * ones
        yield "r", at, rnd.choice([1, 2, 4]), 0
    count = rnd.randrange(1, 256)
    at = FLASH + block + 0x4000
    yield "w", at, 4, 0xE8 * ones
    yield "r", at, 4, 0
    yield "w", at, 4, (count - 1) * ones
    for word in range(count):
        yield "w", at + 4 * word, 4, rnd.getrandbits(32)
    yield "w", at, 4, 0xD0 * ones
    yield "r", at, 4, 0
    yield "w", at, 4, 0xFF * ones
    for word in range(count + 2):
        yield "r", at + 4 * word, 4, 0


def ecam(rnd):
    """The standard header: QEMU lets a guest write what lies behind it."""
    for _ in range(200):
        size = rnd.choice([1, 2, 4])
        at = ECAM + rnd.choice([0, 0, 0, 0x8000, 0x100000]) + size * rnd.randrange(0x40 // size)
        if rnd.random() < 0.5:
            yield "w", at, size, rnd.getrandbits(8 * size)
        yield "r", at, size, 0
    yield "r", ECAM + 0x100, 4, 0
    yield "r", 0x40000000, 4, 0
    yield "r", 0x3000000, 1, 0
    yield "r", 0x400000000, 8, 0


def aclint(rnd):
    for _ in range(100):
        at = rnd.choice([0, 4, 8, 0x3FFC, 0x4000, 0x4004, 0x4008, 0x400C])
        yield "w", ACLINT + at, 4, rnd.getrandbits(32)
        yield "r", ACLINT + at, 4, 0


def rtc(rnd):
    for _ in range(100):
        at = rnd.choice([8, 12, 16, 20, 24, 28])
        value = rnd.getrandbits(31) | 1 << 30 if at == 12 else rnd.getrandbits(32)
        if at == 8:
            yield "w", RTC + 12, 4, rnd.getrandbits(30) | 1 << 30
        yield "w", RTC + at, 4, value
        if at != 20:
            yield "r", RTC + at, 4, 0


def fw_cfg(rnd):
    for _ in range(40):
        yield "w", FW + 8, 2, rnd.choice([0, 0x100, 0x3FFF])
        for _ in range(4):
            yield "r", FW, rnd.choice([1, 2, 4, 8]), 0
    for size in (1, 2, 4, 8):
        for at in range(16, 24, size):
            yield "r", FW + at, size, 0


def on_cosm(program, script):
    text = "".join(f"{op} {at:x} {size:x} {value:x}\n" for op, at, size, value in script)
    out = subprocess.run([program], input=text, capture_output=True, text=True, check=True)
    return out.stdout.split()


def on_qemu(script, image):
    text = "".join(
        f"read{LETTER[size]} 0x{at:x}\n" if op == "r" else f"write{LETTER[size]} 0x{at:x} 0x{value:x}\n"
        for op, at, size, value in script)
    with open(image, "wb") as file:
        file.truncate(32 << 20)
    qemu = subprocess.Popen(
        [QEMU, "-M", "virt", "-smp", "2", "-m", "64M", "-bios", "none", "-S", "-display", "none",
         "-serial", "null", "-monitor", "none", "-qtest", "stdio", "-qtest-log", "none",
         "-drive", f"if=pflash,unit=1,format=raw,file={image}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    values = []
    try:
        for line, (op, *_) in zip(text.splitlines(), script):
            qemu.stdin.write(line + "\n")
            qemu.stdin.flush()
            answer = qemu.stdout.readline().split()
            if op == "r":
                values.append(f"{int(answer[1], 16):x}")
    finally:
        qemu.kill()
        qemu.wait()
    return values


def main():
    program, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
    if not shutil.which(QEMU):
        print("1..0 # SKIP no " + QEMU)
        return 0
    failed = 0
    parts = [plic, uart, flash, ecam, aclint, rtc, fw_cfg]
    for number, part in enumerate(parts, 1):
        script = list(part(random.Random(seed)))
        reads = [step for step in script if step[0] == "r"]
        with tempfile.TemporaryDirectory() as folder:
            theirs = on_qemu(script, os.path.join(folder, "flash"))
        ours = on_cosm(program, script)
        wrong = [(s, o, t) for s, o, t in zip(reads, ours, theirs) if o != t]
        for step, our, their in wrong[:5]:
            print(f"# read {step[2]} at 0x{step[1]:x}: {our}, QEMU {their}")
        if len(ours) != len(theirs):
            wrong.append(None)
            print(f"# {len(ours)} answers, QEMU {len(theirs)}")
        failed += bool(wrong)
        print(f"{'not ' if wrong else ''}ok {number} - {part.__name__}: {len(reads)} reads as QEMU's")
    print(f"1..{len(parts)}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
