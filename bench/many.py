#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Many VMs of an image of Debian at once on this machine: how long until all answer, and what each takes, as Markdown."""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

import ssh
import store_image  # in tests/lib, where ssh looks

PATIENCE = 3600  # seconds


def cosm(args, *words, **options):
    return subprocess.run([args.cosm, *map(str, words)], check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def wait_for_all(args, names, start):
    """Seconds from start until a program ran in each."""
    asked = {name: subprocess.Popen([args.cosm, "exec", "--wait", str(PATIENCE), name, "--", "uname", "-n"],
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for name in names}
    seconds = []
    while asked:
        for name in [name for name, process in asked.items() if process.poll() is not None]:
            said = asked[name].communicate()[0].strip()
            if asked.pop(name).returncode or said != name:
                raise SystemExit(f"many: '{name}' does not answer; its console:\n{cosm(args, 'logs', '-n', 5, name)}")
            seconds.append(time.monotonic() - start)
            print(f"many: {len(seconds)} answer after {seconds[-1]:.0f} s", file=sys.stderr)
        time.sleep(0.1)
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cosm", default=pathlib.Path(__file__).resolve().parents[1] / "build/apps/cosm", help="the program to measure")
    parser.add_argument("--count", type=int, default=20, help="VMs")
    parser.add_argument("--memory", default="512M")
    parser.add_argument("--harts", default="1")
    args = parser.parse_args()
    names = [f"many-{os.getpid()}-{number}" for number in range(1, args.count + 1)]
    image = store_image.obtain(args.cosm)
    start = time.monotonic()
    try:
        for name in names:
            cosm(args, "run", "-d", "-n", name, "-m", args.memory, "--smp", args.harts, image)
        seconds = wait_for_all(args, names, start)
        time.sleep(ssh.SETTLE)
        resident = [ssh.resident_mib(ssh.process_of(args.cosm, name)) for name in names]
        stop = time.monotonic()
        cosm(args, "stop", "-t", PATIENCE, *names)
        stopped = time.monotonic() - stop
    finally:
        subprocess.run([args.cosm, "rm", "-f", *names], check=False, stdout=subprocess.DEVNULL)
    print(f"| {args.count} Debians, {args.memory} each | |\n|---|---|")
    print(f"| the first, the last answers, s | {seconds[0]:.0f}, {seconds[-1]:.0f} |")
    print(f"| memory of each after {ssh.SETTLE} s: median, most, MiB | {statistics.median(resident):.0f}, {max(resident):.0f} |")
    print(f"| memory of all, MiB | {sum(resident):.0f} |")
    print(f"| all stopped by 'cosm stop', s | {stopped:.0f} |")


if __name__ == "__main__":
    main()
