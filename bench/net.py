#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""TCP between a guest and this machine's loopback by way of user networking: cosm beside QEMU, in turn, as Markdown."""

import argparse
import pathlib
import socket
import statistics
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
sys.path.insert(0, str(ROOT / "tools"))
import world  # noqa: E402
from console import Console  # noqa: E402


def serve(handle):
    """Takes connections on loopback; the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def loop():
        while True:
            connection, _ = listener.accept()
            with connection:
                handle(connection)
    threading.Thread(target=loop, daemon=True).start()
    return listener.getsockname()[1]


def swallow(connection):
    buffer = bytearray(1 << 20)
    while connection.recv_into(buffer):
        pass


def make_initramfs(folder):
    """The tests' guest with our program in it."""
    return world.initramfs_with(folder, [world.guest_program(ROOT / "bench" / "guest" / "tcp.c", folder)])


def command(machine, cosm, archive, script):
    kernel = world.obtain("linux", "trixie") / "Image"
    append = f"console=ttyS0 quiet cosm.test=\"{script}\""
    if machine == "cosm":
        return [cosm, "run", "-m", "256M", "--kernel", kernel, "--initrd", archive, "--net", "user", "--append", append]
    return ["qemu-system-riscv64", "-M", "virt", "-nographic", "-m", "256M", "-kernel", kernel, "-initrd", archive,
            "-netdev", "user,id=n", "-device", "virtio-net-device,netdev=n", "-append", append]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cosm", default=world.COSM, help="the program to measure")
    parser.add_argument("--turns", type=int, default=3, help="boots of each")
    parser.add_argument("--mib", type=int, default=100, help="how much goes each way in a boot")
    args = parser.parse_args()
    chunk = bytes(1 << 20)
    sink = serve(swallow)
    source = serve(lambda connection: [connection.sendall(chunk) for _ in range(args.mib)])
    script = ("ifconfig lo up; ifconfig eth0 10.0.2.15; sleep 1; "
              f"tcp send 10.0.2.2 {sink} {args.mib}; tcp receive 10.0.2.2 {source} {args.mib}")
    rates = {}
    with tempfile.TemporaryDirectory() as folder:
        archive = make_initramfs(pathlib.Path(folder))
        for _ in range(args.turns):
            for machine in "cosm", "qemu":
                with Console(command(machine, args.cosm, archive, script)) as console:
                    for way in "send", "receive":
                        found = console.expect(rf"tcp: {way} (\d+) bytes in ([\d.]+) s", 300)
                        rates.setdefault((way, machine), []).append(int(found[1]) / float(found[2]) / 1e6)
                    console.wait(60)
    print("| TCP, MB/s | cosm | QEMU | times QEMU |\n|---|---|---|---|")
    for way, name in ("send", "guest to host"), ("receive", "host to guest"):
        ours, theirs = rates[way, "cosm"], rates[way, "qemu"]
        ratio = statistics.median(a / b for a, b in zip(ours, theirs))
        print(f"| {name} | {statistics.median(ours):.0f} | {statistics.median(theirs):.0f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
