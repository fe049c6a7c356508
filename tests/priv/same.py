#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a guest program with --icount on each engine, twice the last: all must print and count the same.

same.py [--timeout S] [--shift N] PROGRAM.elf HARTS ENGINE...
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tap  # noqa: E402


def run(args, engine):
    """(console output, instructions, virtual ns, exit status)"""
    command = [os.environ["COSM"], "run", f"--icount=shift={args.shift}", "--stats=json", "--cpu-engine", engine, "-m", "128M",
               "--smp", args.harts, "--cpu", "max", "--bios", args.program]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=args.timeout, check=False)
    text = done.stderr.decode(errors="replace")
    tap.check("{" in text, f"no figures from {engine}, status {done.returncode}:\n{text[-2000:]}")
    stats = json.loads(text[text.rindex("{"):])
    return done.stdout, stats["instructions"], stats["virtual_ns"], done.returncode


def compare(args, first, engine):
    for what, one, other in zip(("console output", "count", "virtual time", "status"), first, run(args, engine)):
        tap.check_equal(other, one, what)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--timeout", type=float, default=250)
    parser.add_argument("--shift", default="3")
    parser.add_argument("program")
    parser.add_argument("harts")
    parser.add_argument("engine", nargs="+")
    args = parser.parse_args()
    first = run(args, args.engine[0])
    for engine in args.engine[1:] + args.engine[-1:]:
        tap.add(f"{engine} does as {args.engine[0]}, harts: {args.harts}", compare, args, first, engine)
    tap.main([])


main()
