# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of cosm-metal share: guest programs, configurations built by cosm, boards in QEMU."""

import pathlib
import shutil
import subprocess
import tempfile

from world import COSM, ROOT, obtain
from console import Console
import tap

EXAMPLES = ROOT / "examples" / "metal"
QEMU = "qemu-system-riscv64"
MACHINES = {"plic": "virt", "aia": "virt,aia=aplic-imsic,aia-guests=3"}
FIRMWARES = ["qemu", "sid"]  # QEMU's own OpenSBI; that of Debian's sid
UNDER_FIRMWARE = 0x80200000  # where OpenSBI starts what QEMU's -kernel names
SECONDS = 120  # generous: others use the machine, too
COUNTED = "shift=0,sleep=off"  # -icount: an instruction is a nanosecond, idle time takes none

_folder = tempfile.TemporaryDirectory(prefix="cosm-metal-")
FOLDER = pathlib.Path(_folder.name)  # of this run, for what it builds


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise tap.Skip(f"no {tool} here")


def guest(source, name=None, base=0x80000000, defines=()):
    """Builds a bare-metal guest program; returns its ELF file, beside which is NAME.bin."""
    need("riscv64-linux-gnu-gcc", "make")
    source = pathlib.Path(source)
    folder = FOLDER / (name or f"{source.stem}-{base:x}")
    done = subprocess.run(["make", "--no-print-directory", "-s", "-C", EXAMPLES, f"OUT={folder}", f"BASE={base:#x}",
                           f"SOURCES={source}", "DEFINES=" + " ".join(f"-D{word}" for word in defines)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    tap.check(done.returncode == 0, done.stdout)
    return folder / f"{source.stem}.elf"


def firmware(name):
    return "default" if name == "qemu" else obtain("firmware", name) / "fw_dynamic.bin"


def board(kernel, intc="plic", harts=2, memory="128M", bios="qemu", icount=None, extra=()):
    """QEMU's virt board with the H extension, running; a Console, to be used in a with statement."""
    need(QEMU)
    command = [QEMU, "-M", MACHINES[intc], "-cpu", "rv64,h=true", "-smp", harts, "-m", memory, "-nographic", "-nodefaults",
               "-serial", "mon:stdio", "-bios", firmware(bios), "-kernel", kernel, *extra]
    if icount:
        command += ["-icount", icount]
    return Console(command)


def run(kernel, seconds=SECONDS, **options):
    """Runs a board until it powers off; returns what it printed."""
    with board(kernel, **options) as console:
        status = console.wait(seconds)
        tap.check(status == 0, f"QEMU ended with {status}; last output:\n{console.tail()}")
        return console.output.replace("\r", "")
