#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest that reboots all the time, its harts amid whatever they do; then SIGTERM ends it."""

import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import tap  # noqa: E402
import world  # noqa: E402

LIVES = 100
SECONDS = 90  # for slow hosts and sanitizers; a few are common


def build(folder):
    gcc, objcopy = (shutil.which(f"riscv64-linux-gnu-{tool}") for tool in ("gcc", "objcopy"))
    if not gcc or not objcopy:
        raise tap.Skip("no riscv64-linux-gnu-gcc")
    elf, image = f"{folder}/reboots.elf", f"{folder}/reboots.bin"
    subprocess.run([gcc, "-nostdlib", "-static", "-no-pie", "-march=rv64gc", "-Wl,-Ttext=0x80200000", "-o", elf,
                    str(HERE / "reboots.S")], check=True)
    subprocess.run([objcopy, "-O", "binary", "-j", ".text", elf, image], check=True)
    return image


def reboots(harts):
    with tempfile.TemporaryDirectory() as folder:
        argv = [world.COSM, "run", "--kernel", build(folder), "-m", "16M", "--smp", str(harts)]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as cosm:
            hung = threading.Timer(SECONDS, cosm.kill)
            hung.start()
            lives = len(cosm.stdout.read(LIVES))
            cosm.send_signal(signal.SIGTERM)
            status = cosm.wait()
            hung.cancel()
    tap.check_equal((lives, status), (LIVES, 128 + signal.SIGTERM), "lives and exit status")


for HARTS in (1, 2, 4):
    tap.add(f"{HARTS} harts reboot {LIVES} times", reboots, HARTS)

if __name__ == "__main__":
    tap.main(sys.argv[1:])
