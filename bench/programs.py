# SPDX-License-Identifier: BSD-2-Clause
"""The rows of the table and the programs behind them; how these are built and put into a guest."""

import pathlib
import subprocess
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import initramfs  # noqa: E402

SOURCES = ROOT / "bench" / "guest"
COMPILERS = {"riscv64": "riscv64-linux-gnu-gcc", "native": "gcc"}
FLAGS = ["-O2", "-fno-tree-vectorize", "-static", "-s"]


class Row(NamedTuple):
    name: str  # as the program prints it
    title: str
    unit: str  # as the program prints it
    group: str
    program: str = ""  # in bench/guest; none: the machine itself is measured
    more_is_better: bool = True
    as_process: bool = True  # also under qemu-riscv64


ROWS = [
    Row("coremark", "CoreMark-like", "iterations/s", "integer", "loop"),
    Row("dhrystone", "Dhrystone-like", "kiterations/s", "integer", "integer"),
    Row("fib", "recursive calls", "Mcalls/s", "calls", "calls"),
    Row("indirect", "indirect calls", "Mcalls/s", "calls", "calls"),
    Row("switch", "bytecode switch loop", "Mops/s", "calls", "calls"),
    Row("script", "script interpreter", "runs/s", "calls", "script"),
    Row("sieve", "sieve", "Mnumbers/s", "integer", "integer"),
    Row("qsort", "qsort", "Mitems/s", "integer", "integer"),
    Row("sha256", "SHA-256", "MB/s", "integer", "integer"),
    Row("lz", "LZ4-like, both ways", "MB/s", "integer", "codec"),
    Row("deflate", "deflate-like", "MB/s", "integer", "codec"),
    Row("inflate", "inflate-like", "MB/s", "integer", "codec"),
    Row("nbody", "nbody (double)", "ksteps/s", "float", "float"),
    Row("matrix", "matrix product (double)", "MFLOP/s", "float", "float"),
    Row("whetstone", "Whetstone-like", "kiterations/s", "float", "float"),
    Row("copy-large", "memcpy of 64 MiB", "GB/s", "memory", "memory"),
    Row("copy-page", "memcpy of a page", "GB/s", "memory", "memory"),
    Row("copy-misaligned", "memcpy, misaligned", "GB/s", "memory", "memory"),
    Row("triad", "stream triad", "GB/s", "memory", "memory"),
    Row("update", "random update over 64 MiB", "Mupdates/s", "memory", "memory"),
    Row("getppid", "getppid", "kcalls/s", "kernel", "system"),
    Row("pipe", "pipe ping-pong", "krounds/s", "kernel", "system"),
    Row("fork", "fork", "forks/s", "kernel", "system"),
    Row("exec", "fork and exec", "execs/s", "kernel", "system", as_process=False),
    Row("fault", "page faults", "kpages/s", "kernel", "system"),
    Row("mprotect", "mprotect and write fault", "kchanges/s", "kernel", "system"),
    Row("signal", "signal", "ksignals/s", "kernel", "system"),
    Row("selfmod", "self-modifying code", "kgenerations/s", "selfmod", "selfmod"),
    Row("two-harts", "CoreMark-like twice on two harts, of once", "times", "harts"),
    Row("boot", "kernel start to the shell", "s", "boot", more_is_better=False),
    Row("login", "Debian (systemd), power-on to login", "s", "life", more_is_better=False),
    Row("gcc", "gcc -O2 of 2,800 lines of C", "s", "life", more_is_better=False),
    Row("idle-memory", "idle 256 MiB guest, resident", "MiB", "idle", more_is_better=False),
    Row("idle-cpu", "idle 256 MiB guest, of a core", "%", "idle", more_is_better=False),
]


# What "two-harts" runs, by the names of the row that it prints: alone, then two at a time.
PAIR_PROGRAM, PAIR_ROW = "loop", "coremark"


def build(program, kind, folder):
    """A static program for the guest ("riscv64") or for this machine ("native")."""
    place = folder / kind
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run([COMPILERS[kind], *FLAGS, "-o", place / program, SOURCES / f"{program}.c", "-lm"], check=True)
    return place / program


def with_files(linux, files, folder, name):
    """The initramfs and more in its /bench: archives that follow each other are unpacked in turn."""
    more = initramfs.Cpio()
    more.directory("bench")
    for file, data in files.items():
        more.program(f"bench/{file}", data)
    initrd = folder / f"{name}.cpio"
    initrd.write_bytes((linux / "initramfs.cpio").read_bytes() + more.finish())
    return initrd
