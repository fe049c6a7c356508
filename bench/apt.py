#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Work in a Debian by ssh: apt-get update, the installation of gcc, a C file of 10,000 lines compiled; cosm beside QEMU,
in turn, as Markdown. The time that processors were used for it says more on a machine that does other things, too.

Both have the same disk, which was started once, and their own user networking. The mirror is the one that the image was
made from, by the address that this machine knows for it. Where its lists do not fit its signed release, as mirrors now
and then are between two states, the lists that the store's apt has checked are taken for the installation.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import source
import ssh

LINES = 10000
STEPS = {
    "apt-get update": "apt-get -q update",
    "apt-get install -y gcc": "DEBIAN_FRONTEND=noninteractive apt-get -q install -y gcc",
    f"gcc -O2 -c, {LINES} lines": "gcc -O2 -c /root/large.c -o /root/large.o",
}
MAY_FAIL = "apt-get update"
LISTS = "/var/lib/apt/lists"


def lists_of_host(name):
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    suite = json.loads((ssh.image_of(name) / "image.json").read_text(encoding="utf-8"))["suite"]
    return cache / "cosm/packages" / suite / "state/lists"


def hosts_of(text):
    """Lines of /etc/hosts for the machines that apt's sources name."""
    names = set(re.findall(r"^URIs: \w+://([^/:]+)", text, re.M))
    return "".join(f"{socket.gethostbyname(name)} {name}\n" for name in sorted(names))


def prepare(port):
    """In the VM that both then have the disk of."""
    sources = ssh.run_in(port, "cat /etc/apt/sources.list.d/*").stdout.decode()
    ssh.run_in(port, "cat >>/etc/hosts", data=hosts_of(sources).encode())
    ssh.run_in(port, "cat >/root/large.c; sync", data=source.text(LINES).encode())


def take_lists(name, port):
    with tempfile.TemporaryFile() as archive:
        subprocess.run(["tar", "-c", "-C", lists_of_host(name), "--exclude=./partial", "--exclude=./lock", "--exclude=./auxfiles", "."],
                       check=True, stdout=archive)
        archive.seek(0)
        ssh.run_in(port, f"rm -f {LISTS}/*_*; tar -x --no-same-owner -C {LISTS}", data=archive.read())


def work(name, port, pid):
    """Of each step the seconds, by the clock and of processors."""
    found = {}
    for what, command in STEPS.items():
        start, used = time.monotonic(), ssh.processor_seconds(pid)
        done = ssh.run_in(port, command, check=what != MAY_FAIL)
        found[what] = time.monotonic() - start, ssh.processor_seconds(pid) - used
        if done.returncode:
            print(f"apt: '{command}' ends with {done.returncode}; lists of the store are taken", file=sys.stderr)
            take_lists(name, port)
    return found


@contextlib.contextmanager
def fresh(name):
    """The VM's disk, which is as before afterwards."""
    disk = ssh.data_home() / "vms" / name / "disk.qcow2"
    with tempfile.TemporaryDirectory(dir=disk.parent) as folder:
        kept = shutil.copy(disk, folder)
        yield
        os.replace(kept, disk)


def main():
    args = ssh.arguments(argparse.ArgumentParser(description=__doc__), turns=1)
    found, port = {"cosm": [], "QEMU": []}, ssh.free_port()
    with ssh.prepared(args.cosm, ["-m", args.memory, "--smp", args.harts], port, prepare) as name:
        for turn in range(args.turns):
            for machine, run in ("cosm", ssh.running_cosm(args.cosm, name, port)), ("QEMU", ssh.running_qemu(name, args, port)):
                with fresh(name), run as pid:
                    ssh.wait_for_ssh(port, time.monotonic())
                    found[machine].append(work(name, port, pid))
                print(f"turn {turn + 1}, {machine}:", {what: [round(s, 1) for s in both] for what, both in found[machine][-1].items()},
                      file=sys.stderr, flush=True)
    print("| in the guest, s | cosm | QEMU | QEMU / cosm |\n|---|---|---|---|")
    for what in STEPS:
        for at, kind in enumerate((what, "of processors")):
            ours, theirs = ([turn[what][at] for turn in found[machine]] for machine in ("cosm", "QEMU"))
            ratio = statistics.median(b / a for a, b in zip(ours, theirs))
            print(f"| {kind} | {statistics.median(ours):.1f} | {statistics.median(theirs):.1f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
