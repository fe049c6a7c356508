#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the differential test with the newest qemu-riscv64: Debian's in the cache of guests, else an installed one.

usage: diff.py DIFF [its arguments]
"""

import os
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import guest  # noqa: E402


def find():
    try:
        return str(guest.ensure("qemu", "trixie") / "qemu-riscv64")
    except (guest.Failure, OSError) as failure:
        print(f"# {str(failure).splitlines()[0]}", flush=True)
    return shutil.which("qemu-riscv64") or shutil.which("qemu-riscv64-static")


def main():
    qemu = find()
    if not qemu:
        print("1..1\nok 1 - random programs as on qemu # SKIP there is no qemu-riscv64")
        return
    arguments = sys.argv[2:]
    if os.environ.get("CI") and "--seed" not in arguments:
        arguments += ["--seed", "1"]  # a change is judged by itself, not by the day's luck
    os.execv(sys.argv[1], [sys.argv[1], "--qemu", qemu, *arguments])


main()
