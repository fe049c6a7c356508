# SPDX-License-Identifier: BSD-2-Clause
"""The ways to run a riscv64 program that the figures compare: engines of cosm, QEMUs, the PC itself."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
from console import Console  # noqa: E402

ENGINES = ("interp", "jit1", "jit")
QEMU = "qemu-system-riscv64"
LIBRARIES = "usr/lib/x86_64-linux-gnu"


class Machine:
    """A computer that boots the guest: its name, what to call it, and how its command line begins."""

    def __init__(self, name, title, command, stats=()):
        self.name = name
        self.title = title
        self.command = [str(word) for word in command]
        self.stats = list(stats)  # options that make it print counts at its end

    def start(self, linux, initrd, append="", harts=1, memory="512M", extra=(), drive=None):
        return Console([*self.command, *self.boot_options(linux / "Image", initrd, append, harts, memory),
                        *(self.drive_options(drive) if drive else []), *extra])

    @staticmethod
    def drive_options(image):
        return ["--drive", image]

    @staticmethod
    def boot_options(kernel, initrd, append, harts, memory):
        return ["--kernel", kernel, "--initrd", initrd, "--append", f"console=ttyS0 quiet {append}".strip(),
                "-m", memory, "--smp", harts]


class Qemu(Machine):
    """QEMU takes the same options but for the number of dashes."""

    @staticmethod
    def boot_options(kernel, initrd, append, harts, memory):
        return ["-M", "virt", "-nographic", "-kernel", kernel, "-initrd", initrd,
                "-append", f"console=ttyS0 quiet {append}".strip(), "-m", memory, "-smp", harts]

    @staticmethod
    def drive_options(image):
        return ["-drive", f"file={image},format=raw,if=none,id=disk", "-device", "virtio-blk-device,drive=disk"]


class Here:
    """The programs run as processes of this machine, below a command or by themselves."""

    def __init__(self, name, title, kind, command=()):
        self.name = name
        self.title = title
        self.kind = kind  # which of the builds: riscv64 or native
        self.command = list(command)


def engines(cosm):
    """Those that this cosm has: the device tree is made only after the options are found good."""
    found = []
    for engine in ENGINES:
        done = subprocess.run([cosm, "run", "--cpu-engine", engine, "--dump-dtb", os.devnull],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        if done.returncode == 0:
            found.append(engine)
    return found


def version(command):
    done = subprocess.run([*command, "--version"], stdout=subprocess.PIPE, text=True, check=False)
    found = re.search(r"version (\d+\.\d+)", done.stdout)
    return f"QEMU {found[1]}" if found else "QEMU"


def qemu_of_root(root):
    """QEMU of another Debian, unpacked below a folder, with that Debian's loader and libraries: needs no chroot."""
    libraries = root / LIBRARIES
    folders = [libraries, *sorted(path for path in libraries.iterdir() if path.is_dir())]
    return [str(libraries / "ld-linux-x86-64.so.2"), "--library-path", ":".join(str(f) for f in folders),
            str(root / "usr/bin" / QEMU)]


def cosm_default(cosm):
    return Machine("cosm", "cosm", [cosm, "run"], ["--stats=json"])


def qemu_default():
    return [Qemu("qemu", version([QEMU]), [QEMU])] if shutil.which(QEMU) else []


def systems(cosm, qemu_root):
    """All that boot a guest."""
    found = [Machine(f"cosm-{engine}", f"cosm {engine}", [cosm, "run", "--cpu-engine", engine])
             for engine in engines(cosm)]
    found += qemu_default()
    if qemu_root:
        command = qemu_of_root(qemu_root)
        firmware = qemu_root / "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin"
        found.append(Qemu("qemu-new", version(command),
                          [*command, "-L", qemu_root / "usr/share/qemu", "-bios", firmware]))
    return found


def processes():
    """Those that run the programs without a guest."""
    found = []
    if shutil.which("qemu-riscv64"):
        found.append(Here("qemu-user", "qemu-riscv64", "riscv64", ["qemu-riscv64"]))
    return found + [Here("native", "the PC", "native")]
