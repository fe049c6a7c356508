#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a guest test program and passes on its TAP lines.

run.py [--qemu] [--engine E] [--timeout S] [--hostile|--bounded] [--neighbour ECHO.elf] PROGRAM.elf HARTS... [-- OPTION...]:
once for each number of harts, under the cosm that $COSM names or, to check the tests themselves, under qemu-system-riscv64.
--hostile: the program attacks. It passes if it began to, and the machine ends by itself or runs into
the time limit, with no report of a sanitizer, bounded memory and a bounded log.
--bounded: the program attacks and tests what becomes of it: it must pass, within the same bounds.
--neighbour: both run in a strict sandbox, if the host gives one, and another VM answers meanwhile (tests/lib/neighbour.py).
Options go to cosm; DISK among them is an image of 4 MiB, FOLDER an empty folder.
"""

import argparse
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import neighbour  # noqa: E402

QEMU = ["qemu-system-riscv64", "-M", "virt,aclint=on", "-m", "128M", "-nographic", "-monitor", "none",
        "-cpu", "rv64,h=off,x-epmp=on,svnapot=on,svpbmt=on,svinval=on,sstc=on"]
BEGINNING = "TAP version 13\n"  # what each program says first, see priv.c
LOG_MAX = 1 << 20
MEMORY_MAX = "256M"  # that cosm may take for itself
RESIDENT_MAX_KIB = 400 << 10  # RAM and that
STRICT = ["--sandbox=strict", "--memory-max", MEMORY_MAX]
ATTEMPTS = 3  # at a neighbour that answers in time


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


def is_clean(errors):
    return not any(word in errors for word in ("Sanitizer", "runtime error", "ASSERT", "asked for system call"))


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
    def __init__(self, quiet=False):
        self.quiet = quiet
        self.count = 0
        self.failed = 0

    def line(self, ok, what, directive=""):
        self.count += 1
        self.failed += not ok
        if not self.quiet:
            print(f"{'ok' if ok else 'not ok'} {self.count} - {what}{directive}")


def run_bounded(tap, args, harts):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        with open(f"{place}/disk.img", "wb") as disk:
            disk.truncate(4 << 20)
        os.mkdir(f"{place}/folder")
        names = {"DISK": f"{place}/disk.img", "FOLDER": f"{place}/folder"}
        args.options = [re.sub("DISK|FOLDER", lambda m: names[m[0]], o) for o in args.options]
        log_size = run_tests(tap, args, harts)
    judge_bounds(tap, log_size, harts)


def judge_bounds(tap, log_size, harts):
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
    if wrong or not is_clean(errors):
        for line in (errors + output).splitlines()[-60:]:
            print("# " + line)
    tap.line(not wrong and is_clean(errors), f"ran to the end, harts: {harts}")
    return len(errors)


def run_hostile(tap, args, harts):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        status = execute(command(args, harts), args.timeout, out, err)
        err.seek(0, os.SEEK_END)
        log_size = err.tell()
        output, errors = read_back(out), read_back(err)
    clean = is_clean(errors)
    began = output.startswith(BEGINNING)
    for line in errors.splitlines()[:40] if not began or not clean or (status or 0) < 0 else []:
        print("# " + line)
    tap.line(began, f"the program began, harts: {harts}")
    tap.line(clean, f"no report of a sanitizer or the sandbox, harts: {harts}")
    how = "ran on" if status is None else f"ended with status {status}"
    tap.line(status is None or status >= 0, f"{how}, harts: {harts}")
    judge_bounds(tap, log_size, harts)


def run_beside(tap, args, harts, run):
    """The run, with a neighbour that answers all the while."""
    try:
        beside = neighbour.Neighbour(args.neighbour, STRICT)
        args.options = STRICT + args.options
    except neighbour.Refused as said:
        print(f"# no strict sandbox here: {str(said).strip()}")
        beside = neighbour.Neighbour(args.neighbour)
    try:
        judge_neighbour(tap, args, harts, run, beside)
    finally:
        beside.close()


def judge_neighbour(tap, args, harts, run, beside):
    options = list(args.options)
    for attempt in range(ATTEMPTS):
        start = time.monotonic()
        args.options = list(options)
        with beside.measuring():
            run(tap if attempt == 0 else Tap(quiet=True), args, harts)
        rounds, slowest = beside.rounds, beside.slowest()
        if slowest <= neighbour.LIMIT:
            break
        harmless = neighbour.beside_busy(beside, args.neighbour, harts, min(time.monotonic() - start, 20))
        print(f"# {slowest:.2f} s for a round trip; beside a harmless guest {harmless:.2f} s")
        if not neighbour.is_at_fault(slowest, harmless):
            break
    else:
        tap.line(False, f"the neighbour needs {slowest:.2f} s for an answer, harts: {harts}")
        return
    tap.line(rounds > 0, f"the neighbour answers, {rounds} times, {slowest * 1000:.0f} ms at most, harts: {harts}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--qemu", action="store_true")
    parser.add_argument("--engine", default="interp")
    parser.add_argument("--hostile", action="store_true")
    parser.add_argument("--bounded", action="store_true")
    parser.add_argument("--neighbour")
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
        run = run_hostile if args.hostile else run_bounded if args.bounded else run_tests
        if args.neighbour:
            run_beside(tap, args, harts, run)
        else:
            run(tap, args, harts)
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
