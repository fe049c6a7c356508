#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The whole M-mode path: Debian's OpenSBI and U-Boot, unmodified, up to a prompt; and OpenSBI to Linux."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tap  # noqa: E402
import world  # noqa: E402
from console import Console  # noqa: E402


def at_uboot_prompt(arguments, harts=1):
    with Console([world.COSM, "run", "-m", "256M", "--smp", harts, *arguments]) as console:
        console.expect(r"U-Boot 20\d\d\.\d\d", 90)
        console.expect("Hit any key to stop autoboot", 90)
        console.send(" ")
        console.expect("=> ", 30)
        tap.check("arch=riscv" in console.run("printenv arch", "=> "), "'printenv arch' does not say riscv")
        # U-Boot's own words for the memory that it found: 256 MiB from 0x80000000.
        tap.check("0x0000000010000000" in console.run("bdinfo", "=> "), "'bdinfo' does not show 256 MiB")
        console.send("poweroff\r")
        tap.check_equal(console.wait(30), 0, "the exit status after poweroff")
        return console.output


def sbi_to_uboot(suite, firmware, harts):
    folder = world.obtain("firmware", suite)
    output = at_uboot_prompt(["--bios", folder / firmware, "--kernel", folder / "u-boot-s.bin"], harts)
    tap.check("OpenSBI v" in output, "OpenSBI printed no banner")


def uboot_alone(suite):
    at_uboot_prompt(["--bios", world.obtain("firmware", suite) / "u-boot-m.bin"])


def sbi_to_linux(suite, harts):
    folder = world.obtain("firmware", suite)
    output, status, code = world.run_script("dmesg | grep -i sbi; nproc", harts=harts,
                                            extra=["--bios", folder / "fw_dynamic.bin"])
    tap.check("SBI implementation ID=0x1" in output, f"Linux does not say that its SBI is OpenSBI:\n{output}")
    tap.check_equal(output.split()[-1:], [str(harts)], "nproc")
    tap.check_equal((status, code), (0, 0), "the statuses")


for SUITE in ("bookworm", "sid"):
    tap.add(f"OpenSBI of {SUITE} (fw_dynamic), then U-Boot's prompt", sbi_to_uboot, SUITE, "fw_dynamic.bin", 2)
    tap.add(f"OpenSBI of {SUITE} (fw_jump), then U-Boot's prompt", sbi_to_uboot, SUITE, "fw_jump.bin", 1)
    tap.add(f"U-Boot of {SUITE} in M-mode, to its prompt", uboot_alone, SUITE)
    tap.add(f"OpenSBI of {SUITE}, then Linux on 2 harts", sbi_to_linux, SUITE, 2)
tap.main(sys.argv[1:])
