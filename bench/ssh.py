#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""From power-on of a VM of an image of Debian to ssh answering: cosm beside QEMU, in turn, as Markdown.

Both boot the same disk, which was started once, by the same U-Boot.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import store_image  # noqa: E402
PATIENCE = 900  # seconds
SETTLE = 20  # seconds until a guest counts as idle


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def arguments(parser, turns):
    """What all that compare with QEMU take."""
    parser.add_argument("--cosm", default=ROOT / "build" / "apps" / "cosm", help="the program to measure")
    parser.add_argument("--turns", type=int, default=turns, help="starts of each")
    parser.add_argument("--memory", default="1G")
    parser.add_argument("--harts", default="2")
    return parser.parse_args()


def data_home():
    return pathlib.Path(os.environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local/share") / "cosm"


def image_of(name):
    """The folder of the image that a VM's disk lies on."""
    return pathlib.Path(json.loads((data_home() / "vms" / name / "vm.json").read_text(encoding="utf-8"))["image"])


def family(pid):
    """The process and its children."""
    return [pid, *map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())]


def processor_seconds(pid):
    """What they have used so far."""
    ticks = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{one}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])  # utime and stime of proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")


def resident_mib(pid):
    """Of the process and its children, what it shares with the others counted once."""
    total = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{one}/smaps_rollup").read_text(encoding="ascii").splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024


def run_in(port, command, data=b"", check=True, seconds=120):
    """A command of root's in the guest."""
    done = subprocess.run(
        ["ssh", "-F", "none", "-q", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-o", f"ConnectTimeout={seconds}", "-i", data_home() / "ssh" / "id_ed25519", "-p", str(port), "root@127.0.0.1", command],
        input=data, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if check and done.returncode:
        raise SystemExit(f"ssh: '{command[:80]}' ends with {done.returncode} in the guest: {done.stdout.decode(errors='replace')[-500:]}")
    return done


def wait_for_ssh(port, start):
    """Seconds from start until a command runs in the guest. A try is short, as what comes too early is not always refused,
    but not too short for a guest that is slow."""
    while run_in(port, "true", check=False, seconds=5 + int(time.monotonic() - start) // 20).returncode:
        if time.monotonic() - start > PATIENCE:
            raise SystemExit(f"ssh: nobody answers after {PATIENCE} s")
        time.sleep(0.1)
    return time.monotonic() - start


def process_of(cosm, name):
    vms = json.loads(subprocess.run([cosm, "ps", "--json"], check=True, stdout=subprocess.PIPE).stdout)
    return next(vm["pid"] for vm in vms if vm["name"] == name)


@contextlib.contextmanager
def prepared(cosm, options, port, prepare=lambda port: None):
    """The name of a VM that has been started once, so that it has its user and keys, and what prepare(port) does."""
    name = f"bench-ssh-{os.getpid()}"
    subprocess.run([cosm, "run", "-d", "-n", name, *options, "-p", f"127.0.0.1:{port}:22",
                    store_image.obtain(cosm)], check=True, stdout=subprocess.DEVNULL)
    try:
        wait_for_ssh(port, time.monotonic())
        prepare(port)
        stop(cosm, name)
        yield name
    finally:
        subprocess.run([cosm, "rm", "-f", name], check=True, stdout=subprocess.DEVNULL)


def stop(cosm, name):
    subprocess.run([cosm, "stop", "-t", "300", name], check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def running_cosm(cosm, name, _):
    subprocess.run([cosm, "start", name], check=True, stdout=subprocess.DEVNULL)
    yield process_of(cosm, name)
    stop(cosm, name)


@contextlib.contextmanager
def running_qemu(name, args, port):
    """On a copy of the disk."""
    vm = data_home() / "vms" / name
    with tempfile.TemporaryDirectory(dir=vm) as folder:
        disk = shutil.copy(vm / "disk.qcow2", folder)
        with subprocess.Popen(["qemu-system-riscv64", "-M", "virt", "-nographic", "-kernel", image_of(name) / "u-boot.bin",
                               "-m", args.memory, "-smp", args.harts,
                               "-drive", f"file={disk},if=none,id=d,format=qcow2", "-device", "virtio-blk-device,drive=d",
                               "-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{port}-:22", "-device", "virtio-net-device,netdev=n",
                               "-device", "virtio-rng-device"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as qemu:
            try:
                yield qemu.pid
            finally:
                qemu.kill()


def measure(running, port):
    """Seconds until ssh answers, and MiB once the guest is idle."""
    start = time.monotonic()
    with running as pid:
        seconds = wait_for_ssh(port, start)
        time.sleep(SETTLE)
        return seconds, resident_mib(pid)


def main():
    args = arguments(argparse.ArgumentParser(description=__doc__), turns=3)
    found, port = {"cosm": [], "QEMU": []}, free_port()
    with prepared(args.cosm, ["-m", args.memory, "--smp", args.harts], port) as name:
        for turn in range(args.turns):
            found["cosm"].append(measure(running_cosm(args.cosm, name, port), port))
            found["QEMU"].append(measure(running_qemu(name, args, port), port))
            print(f"turn {turn + 1}: {found['cosm'][-1][0]:.1f} s, QEMU {found['QEMU'][-1][0]:.1f} s", file=sys.stderr)
    print("| Debian | cosm | QEMU | QEMU / cosm |\n|---|---|---|---|")
    for at, what in enumerate(("to ssh, s", f"resident after {SETTLE} s, MiB")):
        ours, theirs = ([turn[at] for turn in found[machine]] for machine in ("cosm", "QEMU"))
        ratio = statistics.median(b / a for a, b in zip(ours, theirs))
        print(f"| {what} | {statistics.median(ours):.1f} | {statistics.median(theirs):.1f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
