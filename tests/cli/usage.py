#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Command lines that are wrong: one line each that helps, and exit status 2; broken files: 1."""

import json
import os
import pathlib
import pty
import re
import signal
import struct
import subprocess
import tempfile
import termios
import time

from cli import COSM, FAILED, USAGE, cosm, refused
import tap
from tap import check, check_equal, test

FOLDER = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
HERE = pathlib.Path(FOLDER.name)
SPIN = struct.pack("<I", 0x0000006F)  # j .
FINISH = 0x100000  # the test finisher


def file(name, content):
    path = HERE / name
    path.write_bytes(content)
    return path


def finisher_program(value):
    """Writes value to the test finisher, then spins."""
    high = (value + 0x800) >> 12
    low = value - (high << 12)
    return struct.pack("<5I",
                       FINISH | 0x2B7,                    # lui t0, 0x100
                       high << 12 | 0x337,                # lui t1, high
                       (low & 0xFFF) << 20 | 0x0003031B,  # addiw t1, t1, low
                       0x0062A023,                        # sw t1, 0(t0)
                       0x0000006F)                        # j .


COUNT_DOWN = struct.pack("<3I",
                         1000 << 20 | 0x393,                       # li t2, 1000
                         0xFFF38393,                               # 1: addi t2, t2, -1
                         1 << 31 | 0x3F << 25 | 7 << 15 | 0x1EE3)  # bnez t2, 1b


@test("an unknown option names the nearest one")
def nearest():
    for wrong, right in [("--kernal", "--kernel"), ("-kernal", "--kernel"), ("--memroy", "--memory"),
                         ("--smpp", "--smp"), ("--inird", "--initrd"), ("--drives", "--drive"),
                         ("--dumpdtb", "--dump-dtb"), ("--cpu-engin", "--cpu-engine")]:
        refused(USAGE, "run", wrong, "x", says=[wrong, f"did you mean {right}?"])
    refused(USAGE, "rnu", says=["did you mean run?"])
    refused(USAGE, "frobnicate", says=["cosm --help"])
    refused(USAGE, "run", "--frobnicate", says=["cosm run --help"])


@test("usage errors are one line and status 2")
def usage():
    refused(USAGE, says=["cosm --help"])
    refused(USAGE, "run", says=["--kernel"])
    refused(USAGE, "--kernel", "x", says=["cosm run --kernel"])
    refused(USAGE, "run", "--kernel", says=["--kernel IMAGE"])
    refused(USAGE, "run", "Image", says=["--kernel"])
    refused(USAGE, "run", "-k", "x", "--no-reboot=1", says=["no value"])
    refused(USAGE, "version", "x", says=["'x'"])


@test("a value that is wrong is named, with what would be right")
def values():
    for option, wrong, says in [
            ("-m", "0", "1M"), ("-m", "2T", "1T"), ("-m", "lots", "512M"), ("-m", "-1", "512M"),
            ("--smp", "0", "1 to 32"), ("--smp", "33", "1 to 32"), ("--cpu-engine", "kvm", "interp"),
            ("--machine", "spike", "virt"), ("--console", "vga", "uart or virtio"),
            ("--rng", "perhaps", "on"), ("--net", "9x", "a letter first"),
            ("--drive", "x,slot=24", "0 to 23"), ("--log", "loud", "debug"), ("--stats", "xml", "json"),
            ("--icount", "shift=11", "0 to 10"), ("--icount", "auto", "shift=N"),
            ("--gdb", "0.0.0.0:1", "remote=on"), ("--gdb", ":99999", "PORT")]:
        refused(USAGE, "run", "-k", "x", option, wrong, says=[option.strip("-"), says])


@test("absent, empty, and unsuitable files fail with one line and status 1")
def files():
    kernel = file("spin", SPIN)
    empty = file("empty", b"")
    for option in ["--kernel", "--bios", "--initrd", "--dtb", "--drive", "--pflash"]:
        extra = [] if option in ("--kernel", "--bios") else ["--kernel", kernel]
        refused(FAILED, "run", option, HERE / "none", *extra, says=["none' does not exist"])
        refused(FAILED, "run", option, HERE, *extra, says=[f"{HERE}'", "directory"])
        if option != "--pflash":
            refused(FAILED, "run", option, empty, *extra, says=[f"{empty}'", "empty"])
    refused(FAILED, "run", "--kernel", HERE / "spin" / "x", says=["does not exist"])
    refused(FAILED, "run", "--kernel", "/dev/zero", says=["larger than"])
    refused(FAILED, "run", "--kernel", kernel, "--dtb", kernel, says=["device tree"])


@test("what does not fit into RAM is said so")
def memory():
    large = file("large", SPIN * (2 << 18))
    refused(FAILED, "run", "-m", "1", "--kernel", large)
    refused(FAILED, "run", "-m", "16", "--kernel", file("spin", SPIN), "--initrd",
            file("initrd", bytes(32 << 20)), says=["initrd", "-m"])


@test("an unknown CPU extension names the nearest one")
def cpu():
    refused(FAILED, "run", "-k", file("spin", SPIN), "--cpu", "rv64,+zbaa", says=["--cpu", "zba"])


@test("the guest's word to the finisher is the exit status")
def finisher():
    for value, status in [(0x5555, 0), (0x3333, 0), (7 << 16 | 0x3333, 7), (200 << 16 | 0x3333, 200)]:
        code, _, error = cosm("run", "--bios", file("finish", finisher_program(value)), "-m", "16")
        if value == 0x3333:  # a failure without a number must not look like success
            check(code != 0, "a failing guest ends with status 0")
        else:
            check_equal(code, status, f"the exit status after {value:#x} ({error.strip()})")


@test("--dump-dtb writes a device tree and does not run")
def dump():
    code, out, error = cosm("run", "--dump-dtb", HERE / "virt.dtb", "-m", "64", "--smp", "3")
    check_equal((code, out, error), (0, "", ""), "the outcome")
    tree = (HERE / "virt.dtb").read_bytes()
    check_equal(tree[:4], b"\xd0\x0d\xfe\xed", "the magic number")
    check(b"cpu@2\0" in tree and b"cpu@3\0" not in tree, "there are not three harts in the tree")
    refused(FAILED, "run", "--dump-dtb", HERE / "no" / "dir", says=["--dump-dtb", "directory"])


def spinning(**options):
    return subprocess.Popen([COSM, "run", "--bios", file("spin", SPIN), "-m", "16"], **options)


@test("a signal ends the run with 128 + n, /dev/null as input does not")
def signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        with spinning(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
            time.sleep(0.4)
            check(p.poll() is None, "cosm ended by itself")
            p.send_signal(number)
            out, _ = p.communicate(timeout=20)
            check(p.returncode in (128 + number, -number), f"the exit status is {p.returncode}")
            check_equal(out, b"", "what the guest printed")


@test("Ctrl-A x leaves, and the terminal is as before")
def escape():
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    with spinning(stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as process:
        for _ in range(200):
            if not termios.tcgetattr(slave)[3] & termios.ICANON:
                break
            time.sleep(0.02)
        check(not termios.tcgetattr(slave)[3] & termios.ICANON, "the terminal did not become raw")
        os.write(master, b"\x03")  # a guest's key, not a signal
        time.sleep(0.2)
        check(process.poll() is None, "Ctrl-C ended cosm")
        os.write(master, b"\x01x")
        process.wait(timeout=20)
    check_equal(termios.tcgetattr(slave), before, "the terminal's settings")
    check(process.returncode >= 0, f"cosm died of signal {-process.returncode}")
    os.close(master)
    os.close(slave)


@test("--stats and --json give figures on standard error")
def stats():
    program = file("finish", finisher_program(0x5555))
    code, out, error = cosm("run", "--bios", program, "-m", "16", "--stats")
    check_equal((code, out), (0, ""), "the outcome")
    check(len(error.splitlines()) > 1, f"--stats says {error!r}")
    code, out, error = cosm("run", "--bios", program, "-m", "16", "--json")
    check_equal((code, out), (0, ""), "the outcome")
    check(isinstance(json.loads(error), dict), "--json prints no JSON object")


@test("disasm lists words, raw files and ELF files, and refuses the rest")
def disasm():
    code, out, error = cosm("disasm", "--hex", "00a50533", "8082", "1300000093000000", "--base", "0x1000")
    check_equal((code, error), (0, ""), "the outcome")
    check_equal([line.split(None, 2) for line in out.splitlines()],
                [["1000:", "00a50533", "add a0,a0,a0"], ["1004:", "8082", "c.jr ra"],
                 ["1006:", "00000013", "addi zero,zero,0"], ["100a:", "00000093", "addi ra,zero,0"]], "the list")
    raw = file("raw", finisher_program(0x5555) + b"\x13\x05\x07")
    code, out, error = cosm("disasm", "--json", "-b", "0x80000000", raw)
    listed = json.loads(out)
    check_equal((code, error, len(listed)), (0, "", 8), "the outcome of --json")
    check_equal(listed[-1], {"address": "0x80000016", "bits": "07", "text": ".byte 0x07"}, "the last byte")
    for wrong in (["disasm"], ["disasm", raw, raw], ["disasm", "--hex"], ["disasm", "--base", "x", raw],
                  ["disasm", "--smp", "2", raw]):
        refused(USAGE, *wrong)
    refused(FAILED, "disasm", "--hex", "12345", says=["12345"])
    refused(FAILED, "disasm", HERE / "none", says=["does not exist"])
    # Broken ELF files: whatever they say, no more is read than there is.
    header = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 243, 1, 0, 64, 64, 0, 64, 56, 65535, 64, 65535, 0)
    for tail in (b"", b"\xff" * 64, b"\x02" * 200, bytes(range(256)) * 20):
        code, out, error = cosm("disasm", file("broken", header + tail))
        check_equal(code, 0, f"the exit status for a broken ELF file ({error})")


@test("--trace jit and --perf-map tell of translations by the names of --symbols")
def translations():
    program = file("finish", COUNT_DOWN + finisher_program(0x5555))
    names = file("System.map", b"0000000080000000 T first_steps\n0000000080001000 d data\n")
    refused(USAGE, "run", "--bios", program, "--perf-map", "--cpu-engine", "interp", says=["--cpu-engine"])
    refused(FAILED, "run", "--bios", program, "--cpu-engine", "jit1", "--trace", "jit", "--symbols", program,
            says=["--symbols", "System.map"])
    with subprocess.Popen([COSM, "run", "--bios", program, "-m", "16", "--cpu-engine", "jit1", "--trace", "jit",
                           "--perf-map", "--symbols", names], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as p:
        _, error = p.communicate(timeout=20)
    path = pathlib.Path(f"/tmp/perf-{p.pid}.map")
    lines = path.read_text(encoding="utf-8").splitlines()
    path.unlink()
    check_equal(p.returncode, 0, "the exit status")
    translated = re.search(rb"jit tier 1 M 0000000080000(\w{3}) gpa 80000\1: .*: first_steps\n", error)
    check(translated, f"--trace jit says {error!r}")
    check(any(line.split()[2] == "first_steps" for line in lines), f"the map has {lines}")


@test("with --icount a run counts the same each time")
def icount():
    program = file("finish", finisher_program(0x5555))
    counts = set()
    for engine in ("interp", "jit1", "interp"):
        _, _, error = cosm("run", "--bios", program, "-m", "16", "--icount=shift=1", "--json", "--cpu-engine", engine)
        counts.add((json.loads(error)["instructions"], json.loads(error)["virtual_ns"]))
    check_equal(len(counts), 1, f"the number of outcomes, {counts},")


if __name__ == "__main__":
    tap.main()
