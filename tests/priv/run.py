#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a guest test program and passes on its TAP lines.

run.py [--qemu] [--engine E] [--timeout S] [--hostile|--bounded] PROGRAM.elf HARTS... [-- OPTION...]: once for each number of harts,
under the cosm that $COSM names or, to check the tests themselves, under qemu-system-riscv64.
--hostile: the program attacks. It passes if it began to, and the machine ends by itself or runs into
the time limit, with no report of a sanitizer, bounded memory and a bounded log.
--bounded: the program attacks and tests what becomes of it: it must pass, within the same bounds.
Options go to cosm; DISK among them is an image of 4 MiB.
"""

import argparse
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

QEMU = ["qemu-system-riscv64", "-M", "virt,aclint=on", "-m", "128M", "-nographic", "-monitor", "none",
        "-cpu", "rv64,h=off,x-epmp=on,svnapot=on,svpbmt=on,svinval=on,sstc=on"]
BEGINNING = "TAP version 13\n"  # what each program says first, see priv.c
LOG_MAX = 1 << 20
RESIDENT_MAX_KIB = 400 << 10  # RAM, and what sanitizers need besides


def command(args, harts):
    if args.qemu:
        return QEMU + ["-smp", str(harts), "-bios", args.program]
    return [os.environ["COSM"], "run", "--cpu-engine", args.engine, "-m", "128M", "--smp", str(harts), "--cpu", "max",
            "--bios", args.program, *args.options]


def execute(argv, timeout, stdout, stderr):
    """Exit status; None: the time limit passed."""
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return None


def read_back(file, limit=4 << 20):
    file.seek(0)
    return file.read(limit).decode("utf-8", "replace").replace("\r", "")


def judge(output, status):
    """(number of test lines, sentence on what is wrong or None)"""
    lines = re.findall(r"(?m)^(?:not )?ok \d+", output)
    plan = re.search(r"(?m)^1\.\.(\d+)$", output)
    if status is None:
        return len(lines), "ran into the time limit"
    if not plan or int(plan[1]) != len(lines):
        return len(lines), f"ended early, with exit status {status}"
    if (status == 0) == ("not ok" in output):
        return len(lines), f"exit status {status} contradicts the results"
    return len(lines), None


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = 0

    def line(self, ok, what, directive=""):
        self.count += 1
        self.failed += not ok
        print(f"{'ok' if ok else 'not ok'} {self.count} - {what}{directive}")


def run_bounded(tap, args, harts):
    with tempfile.NamedTemporaryFile(suffix=".img") as disk:
        disk.truncate(4 << 20)
        args.options = [disk.name if o == "DISK" else o for o in args.options]
        log_size = run_tests(tap, args, harts)
    resident = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    tap.line(log_size < LOG_MAX, f"log of {log_size} bytes, harts: {harts}")
    tap.line(resident < RESIDENT_MAX_KIB, f"resident memory {resident} KiB, harts: {harts}")


def run_tests(tap, args, harts):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        status = execute(command(args, harts), args.timeout, out, err)
        output, errors = read_back(out), read_back(err)
    for line in output.splitlines():
        match = re.match(r"(not )?ok \d+ - (.*?)( # SKIP.*)?$", line)
        if match:
            skipped = match[3] or ""
            if args.qemu:  # lacks things that are tested here: no gap of ours
                skipped = skipped.replace(" # SKIP", ", not tried:")
            tap.line(not match[1], f"{match[2]}, harts: {harts}", skipped)
        elif line.startswith("#") or line.startswith("Bail out"):
            print("# " + line.lstrip("# "))
    wrong = judge(output, status)[1]
    if wrong or "Sanitizer" in errors or "runtime error" in errors:
        for line in (errors + output).splitlines()[-60:]:
            print("# " + line)
    tap.line(not wrong and "Sanitizer" not in errors and "runtime error" not in errors,
             f"ran to the end, harts: {harts}")
    return len(errors)


def run_hostile(tap, args, harts):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        status = execute(command(args, harts), args.timeout, out, err)
        err.seek(0, os.SEEK_END)
        log_size = err.tell()
        output, errors = read_back(out), read_back(err)
    resident = max(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, before)
    clean = "Sanitizer" not in errors and "runtime error" not in errors and "ASSERT" not in errors
    began = output.startswith(BEGINNING)
    for line in errors.splitlines()[:40] if not began or not clean or (status or 0) < 0 else []:
        print("# " + line)
    tap.line(began, f"the program began, harts: {harts}")
    tap.line(clean, f"no report of a sanitizer, harts: {harts}")
    how = "ran on" if status is None else f"ended with status {status}"
    tap.line(status is None or status >= 0, f"{how}, harts: {harts}")
    tap.line(log_size < LOG_MAX, f"log of {log_size} bytes, harts: {harts}")
    tap.line(resident < RESIDENT_MAX_KIB, f"resident memory {resident} KiB, harts: {harts}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--qemu", action="store_true")
    parser.add_argument("--engine", default="interp")
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--bounded", action="store_true")
    parser.add_argument("--timeout", type=float, default=100)
    parser.add_argument("program")
    parser.add_argument("harts", type=int, nargs="+")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args = parser.parse_args(sys.argv[1:end])
    args.options = sys.argv[end + 1:]
    if args.qemu and not shutil.which(QEMU[0]):
        print("1..0 # SKIP no qemu-system-riscv64 here (package qemu-system-misc)")
        return 0
    tap = Tap()
    for harts in args.harts:
        (run_hostile if args.hostile else run_bounded if args.bounded else run_tests)(tap, args, harts)
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
