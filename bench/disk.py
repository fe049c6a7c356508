#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Reads and writes of a virtio disk past the guest's cache, one at a time: cosm beside QEMU, in turn, as Markdown."""

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
sys.path.insert(0, str(ROOT / "tools"))
import world  # noqa: E402
from console import Console  # noqa: E402

ROWS = {"sequential read": "MB/s", "sequential write": "MB/s", "random read": "/s", "random write": "/s"}


def make_initramfs(folder):
    """The tests' guest with our program in it."""
    return world.initramfs_with(folder, [world.guest_program(ROOT / "bench" / "guest" / "disk.c", folder, "-D_GNU_SOURCE")])


def make_images(folder, mib):
    """A raw image and a qcow2 one, whose clusters are all there."""
    raw, packed = folder / "d.img", folder / "d.qcow2"
    raw.write_bytes((bytes(range(256)) * 4096) * mib)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, packed], check=True)
    subprocess.run(["sync", raw, packed], check=True)  # else the host writes them out while they are measured
    return {"raw": raw, "qcow2": packed}


def command(machine, cosm, archive, image, kind, seconds):
    kernel = world.obtain("linux", "trixie") / "Image"
    append = f"console=ttyS0 quiet cosm.test=\"disk /dev/vda {seconds}\""
    if machine == "cosm":
        return [cosm, "run", "-m", "256M", "--kernel", kernel, "--initrd", archive, "--drive", f"{image},format={kind}", "--append", append]
    return ["qemu-system-riscv64", "-M", "virt", "-nographic", "-m", "256M", "-kernel", kernel, "-initrd", archive,
            "-drive", f"file={image},if=none,id=d,format={kind}", "-device", "virtio-blk-device,drive=d", "-append", append]


def measure(machine, kind, arguments, rates):
    with Console(command(machine, *arguments)) as console:
        for row in ROWS:
            found = console.expect(rf"disk: {row} ([\d.]+) ", 300)
            rates.setdefault((row, kind, machine), []).append(float(found[1]))
        console.wait(60)


def ratio(rates, row, a, b):
    """The median of the turns' ratios."""
    return statistics.median(x / y for x, y in zip(rates[row, *a], rates[row, *b]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cosm", default=world.COSM, help="the program to measure")
    parser.add_argument("--turns", type=int, default=3, help="boots of each")
    parser.add_argument("--seconds", type=float, default=2, help="for each row of a boot")
    parser.add_argument("--mib", type=int, default=256, help="the images' size")
    parser.add_argument("--machines", nargs="*", default=["cosm", "qemu"])
    args = parser.parse_args()
    rates = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        archive, images = make_initramfs(folder), make_images(folder, args.mib)
        for _ in range(args.turns):
            for kind, image in images.items():
                for machine in args.machines:
                    measure(machine, kind, (args.cosm, archive, image, kind, args.seconds), rates)
    if "qemu" not in args.machines:
        for (row, kind, machine), values in rates.items():
            print(f"{machine} {kind} {row}: {' '.join(f'{v:.0f}' for v in values)} {ROWS[row]}")
        return
    print("| virtio-blk | image | cosm | QEMU | times QEMU | cosm: qcow2 of raw |\n|---|---|---|---|---|---|")
    for row, unit in ROWS.items():
        for kind in images:
            ours, theirs = (statistics.median(rates[row, kind, machine]) for machine in ("cosm", "qemu"))
            share = f"{ratio(rates, row, ('qcow2', 'cosm'), ('raw', 'cosm')):.2f}" if kind == "qcow2" else ""
            print(f"| {row} | {kind} | {ours:.0f} {unit} | {theirs:.0f} {unit} | {ratio(rates, row, (kind, 'cosm'), (kind, 'qemu')):.1f} | {share} |")


if __name__ == "__main__":
    main()
