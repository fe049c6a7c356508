#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""From the image 'debian' to ssh answering, the first start of a fresh disk: cosm beside QEMU, in turn, as Markdown.

Both boot the same image by the same U-Boot with the same credentials. `cosm image pull debian` makes it before.
"""

import argparse
import contextlib
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PATIENCE = 900  # seconds
SETTLE = 20  # seconds until a guest counts as idle


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def data_home():
    return pathlib.Path(os.environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local/share") / "cosm"


def resident_mib(pid):
    """Of the process and its children, what it shares with the others counted once."""
    pids = [pid, *map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())]
    total = 0
    for one in pids:
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{one}/smaps_rollup").read_text(encoding="ascii").splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def wait_for_ssh(port, start):
    """Seconds from start until a command runs in the guest."""
    command = ["ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
               "-o", "ConnectTimeout=5", "-i", data_home() / "ssh" / "id_ed25519", "-p", str(port), "root@127.0.0.1",
               "true"]
    while subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode:
        if time.monotonic() - start > PATIENCE:
            raise SystemExit(f"ssh: nobody answers after {PATIENCE} s")
        time.sleep(0.1)
    return time.monotonic() - start


def run_cosm(cosm, options):
    port, name = free_port(), f"bench-ssh-{os.getpid()}"
    start = time.monotonic()
    subprocess.run([cosm, "run", "-d", "-n", name, *options, "-p", f"127.0.0.1:{port}:22", "debian"], check=True,
                   stdout=subprocess.DEVNULL)
    try:
        seconds = wait_for_ssh(port, start)
        time.sleep(SETTLE)
        vms = json.loads(subprocess.run([cosm, "ps", "--json"], check=True, stdout=subprocess.PIPE).stdout)
        return seconds, resident_mib(next(vm["pid"] for vm in vms if vm["name"] == name))
    finally:
        subprocess.run([cosm, "rm", "-f", name], check=True, stdout=subprocess.DEVNULL)


def image_folder():
    """The newest of those that there are."""
    found = sorted(path.parent for path in (data_home() / "images" / "debian").glob("[0-9]*/base.qcow2"))
    if not found:
        raise SystemExit("ssh: there is no image 'debian'; make it with: cosm image pull debian")
    return found[-1]


def run_qemu(options):
    port, image = free_port(), image_folder()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "hostkey"], check=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", image / "base.qcow2", "-F", "qcow2", folder / "d"],
                       check=True)
        items = {"cosm.instance": "string=bench", "cosm.user": "string=bench", "cosm.hostkey": f"file={folder}/hostkey",
                 "cosm.keys": f"file={data_home()}/ssh/id_ed25519.pub", "system.hostname": "string=bench"}
        given = [word for key, value in items.items()
                 for word in ("-fw_cfg", f"name=opt/io.systemd.credentials/{key},{value}")]
        start = time.monotonic()
        with subprocess.Popen(["qemu-system-riscv64", "-M", "virt", "-nographic", "-kernel", image / "u-boot.bin", *options,
                               "-drive", f"file={folder}/d,if=none,id=d,format=qcow2", "-device", "virtio-blk-device,drive=d",
                               "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-device,netdev=n",
                               "-device", "virtio-rng-device", *given], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as qemu:
            try:
                seconds = wait_for_ssh(port, start)
                time.sleep(SETTLE)
                return seconds, resident_mib(qemu.pid)
            finally:
                qemu.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cosm", default=ROOT / "build" / "apps" / "cosm", help="the program to measure")
    parser.add_argument("--turns", type=int, default=3, help="starts of each")
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--harts", default="2")
    args = parser.parse_args()
    options = ["-m", args.memory, "-smp", args.harts]
    found = {"cosm": [], "QEMU": []}
    for turn in range(args.turns):
        found["cosm"].append(run_cosm(args.cosm, [word.replace("-smp", "--smp") for word in options]))
        found["QEMU"].append(run_qemu(options))
        print(f"turn {turn + 1}: {found['cosm'][-1][0]:.1f} s, QEMU {found['QEMU'][-1][0]:.1f} s", file=sys.stderr)
    print("| Debian, fresh disk | cosm | QEMU | QEMU / cosm |\n|---|---|---|---|")
    for at, what in enumerate(("to ssh, s", f"resident after {SETTLE} s, MiB")):
        ours, theirs = ([turn[at] for turn in found[machine]] for machine in ("cosm", "QEMU"))
        ratio = statistics.median(b / a for a, b in zip(ours, theirs))
        print(f"| {what} | {statistics.median(ours):.1f} | {statistics.median(theirs):.1f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
