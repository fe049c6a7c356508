#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Devices that reach memory by themselves: behind an IOMMU they find their partition's memory and nothing else, also when
the partition begins anew while they write.

QEMU has an IOMMU for RISC-V from version 10 on: these boards are sid's.
"""

import hashlib
import json
import pathlib
import random
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import metal  # noqa: E402
import newest  # noqa: E402
import tap  # noqa: E402
from world import COSM, initramfs  # noqa: E402

RAM, RAM_BYTES = 0x80000000, 64 << 20
EDU = ["-device", "edu,addr=1,dma_mask=0xffffffffffffffff"]
LIVES = 4
LINUX_SECONDS = 600


def board(intc, iommu, harts=2, memory="64M"):
    aia = "aia = true\naia-guests = 3\n" if intc == "aia" else ""
    return f'[board]\nmachine = "virt"\nharts = {harts}\nmemory = "{memory}"\n{aia}' + ("iommu = true\n" if iommu else "")


def evil(program, iommu, dma="log"):
    """Its memory is at addresses that the board has no memory at; without an IOMMU at the board's own."""
    where, trust = ("at = 0x90000000", "") if iommu else ("at = 0x82000000, from = 0x82000000", 'dma = "trusted"')
    return f"""
[[partition]]
name = "evil"
harts = [1]
memory = [{{ {where}, size = "2M" }}]
image = "{program.stem}.bin"
devices = ["pci@30000000"]
{trust}
[partition.health]
dma = "{dma}"
"""


def options(intc, iommu):
    if not iommu:
        return {"intc": intc}
    return {"intc": intc, "qemu": newest.qemu(), "machine": ",iommu-sys=on", "bios": "sid"}


def pattern():
    words = [((i + 1) * 0x9e3779b97f4a7c15 & (1 << 64) - 1) ^ 0x6576696c65766921 for i in range(512)]
    return b"".join(word.to_bytes(8, "little") for word in words)


def places(name, partition):
    """Where on the board a partition's memory is: [begin, end)."""
    done = subprocess.run([COSM, "metal", "check", metal.FOLDER / name / "board.toml", "--json"], stdout=subprocess.PIPE, check=True)
    parts = {p["name"]: p for p in json.loads(done.stdout)["partitions"]}
    return [(r["board"], r["board"] + r["bytes"]) for r in parts[partition]["regions"] if r["kind"] == "memory"]


def dump(console, path):
    """All of the board's memory, by QEMU's monitor."""
    console.send(f"\x01cpmemsave {RAM:#x} {RAM_BYTES:#x} \"{path}\"\r")
    deadline = time.monotonic() + 30
    while not path.exists() or path.stat().st_size < RAM_BYTES:
        tap.check(time.monotonic() < deadline, f"no dump of memory came: {console.tail()}")
        console.read(0.2)
    return path.read_bytes()


def lives(intc, iommu):
    """Life after life ends while the device is told to write; the last one attacks, if there is an IOMMU."""
    base = 0x90000000 if iommu else 0x82000000
    words = [f"DMA_LIVES={LIVES}"] + [f"DMA_FROM={RAM:#x}", f"DMA_TO={RAM + RAM_BYTES:#x}"] * iommu
    program = metal.guest(HERE / "dma.c", f"dma-{intc}-{iommu}", base, words)
    tick = metal.guest(HERE / "tick.c", "tick-dma", defines=["TICK_COUNT=4000" if iommu else "TICK_COUNT=2000", "TICK_SLACK_US=10"])
    text = board(intc, iommu) + evil(program, iommu) + metal.partition("tick", [0], tick)
    name = f"lives-{intc}-{iommu}"
    kernel = metal.image(text, [program, tick], name)
    with metal.board(kernel, memory="64M", icount=metal.FASTER, extra=EDU, **options(intc, iommu)) as console:
        output = metal.until(console, [r"evil\] done", r"tick\] tick: (as planned|DISTURBED)"])
        memory = dump(console, metal.FOLDER / name / "memory")
    want = []
    for life in range(1, LIVES + 1):
        want += [f"life {life}: 0 strange words, command 0x0", "own memory: 0 words wrong, interrupted"]
    want += [f"attacked {RAM_BYTES // 0x200000} pages", "read: nothing"] * iommu + ["done"]
    tap.check_equal(metal.said(output, "evil"), want, "what the guest says")
    tap.check_equal(metal.said(output, "tick")[1:], ["tick: 0 missing, 0 late", "tick: as planned"], "what the neighbour says")
    if iommu:
        found = [RAM + match.start() for match in re.finditer(re.escape(pattern()[:64]), memory)]
        tap.check(all(any(begin <= at < end for begin, end in places(name, "evil")) for at in found), f"the pattern is at {found}")
        tap.check(re.search(r"^\[metal\] evil: dma at 0x80000000: logged", output, re.M), output[-1500:])


for machine in metal.MACHINES:
    tap.add(f"devices of a partition whose lives end amid transfers, trusted, {machine}", lives, machine, False)
    tap.add(f"devices of a partition behind an IOMMU reach its memory alone, in each of its lives, {machine}", lives, machine, True)


@tap.test("what the IOMMU refuses restarts the partition, if its policy says so, and stops it in the end")
def _():
    program = metal.guest(HERE / "dma.c", "dma-health", 0x90000000, ["DMA_LIVES=1", f"DMA_FROM={RAM:#x}", f"DMA_TO={RAM + RAM_BYTES:#x}"])
    text = board("plic", True) + evil(program, True).replace('dma = "log"', 'dma = { action = "restart", limit = 3 }')
    output = metal.boot(text + metal.partition("tick", [0], metal.guest(HERE / "tick.c", "tick-health", defines=["TICK_COUNT=3000"])),
                        [program, metal.FOLDER / "tick-health" / "tick.elf"], "health", [r"evil: dma at 0x\w+: stopped"], memory="64M",
                        icount=metal.FASTER, extra=EDU, **options("plic", True))
    tap.check_equal(len(re.findall(r"evil: dma at 0x\w+: restarted", output)), 3, "restarts")
    tap.check("attacked" not in output, "an attack came to its end")


def linux_partition(linux, memory, script, devices, trust=""):
    return f"""
[[partition]]
name = "linux"
harts = [1]
memory = [{{ {memory} }}]
kernel = "Image"
initrd = "initramfs.cpio"
append = 'console=ttyS0 cosm.test="{script}"'
devices = {devices}
{trust}
"""


def with_modules(linux, folder, *names):
    """Our initramfs with more modules; returns it, and the words that load them."""
    found, loaded, order = initramfs.find_modules(linux / "modules"), {}, []
    for name in names:
        initramfs.collect(name, found, loaded, order)
    for name, data in loaded.items():
        (folder / name).write_bytes(data)
    path = folder / "initramfs.cpio"
    path.write_bytes(initramfs.build(linux / "busybox", initramfs_init(), linux / "modules", [(f"lib/{name}", folder / name) for name in order]))
    return path, "".join(f"insmod /lib/{name};" for name in order)


def initramfs_init():
    return metal.ROOT / "tools" / "guest" / "init"


def linux_reads(name, intc, machine_options, text_of, device):
    """Linux reads 8 MiB by DMA beside a ticker; its interrupts are the device's own."""
    linux = metal.obtain("linux", "trixie")
    folder = metal.FOLDER / f"{name}-files"
    folder.mkdir()
    content = random.Random(5).randbytes(8 << 20)
    (folder / "disk").write_bytes(content)
    cpio, load = with_modules(linux, folder, "nvme")
    text = text_of(linux, load)
    tick = metal.guest(HERE / "tick.c", f"tick-{name}", defines=["TICK_COUNT=1000"])
    kernel = metal.image(text + metal.partition("tick", [0], tick), [linux / "Image", tick, cpio], name)
    with metal.board(kernel, memory="512M", extra=["-drive", f"if=none,id=d,format=raw,file={folder / 'disk'}", *device],
                     **machine_options) as console:
        output = metal.until(console, [r"reboot: Power down", r"tick\] tick: (as planned|DISTURBED)"], LINUX_SECONDS)
    tap.check(hashlib.sha256(content).hexdigest() in output, output[-2000:])
    return "\n".join(metal.said(output, "linux"))


def linux_nvme(intc):
    """Behind the IOMMU, without trust: by MSI where there is AIA."""
    def text_of(linux, load):
        script = f"{load} sleep 1; sha256sum /dev/nvme0n1; grep nvme /proc/interrupts; sleep 1"
        return board(intc, True, memory="512M") + linux_partition(linux, 'at = 0x80000000, size = "384M"', script, ["pci@30000000"])
    said = linux_reads(f"nvme-{intc}", intc, options(intc, True), text_of, ["-device", "nvme,drive=d,serial=1"])
    line = re.search(r"^ *\d+: +(\d+) +(.*) nvme0q", said, re.M)
    tap.check(line and int(line[1]) > 0, said[-1500:])
    tap.check(("PCI-MSI" if intc == "aia" else "PLIC") in line[2], line[0])
    tap.check("dma at" not in said, said[-1500:])


def linux_mmio(intc):
    """A slot of virtio-mmio, trusted: its wired interrupt reaches Linux."""
    def text_of(linux, load):
        script = "sha256sum /dev/vda; grep virtio /proc/interrupts; sleep 1"
        where = 'at = 0x88000000, from = 0x88000000, size = "384M"'
        return board(intc, False, memory="512M") + linux_partition(linux, where, script, ["virtio_mmio@10008000"], 'dma = "trusted"')
    said = linux_reads(f"mmio-{intc}", intc, options(intc, False), text_of, ["-global", "virtio-mmio.force-legacy=false", "-device",
                       "virtio-blk-device,drive=d,bus=virtio-mmio-bus.7"])
    line = re.search(r"^ *\d+: +(\d+) +.* virtio0", said, re.M)
    tap.check(line and int(line[1]) > 0, said[-1500:])


for machine in metal.MACHINES:
    tap.add_long(f"Linux reads an NVMe disk behind the IOMMU, {machine}", linux_nvme, machine)
    tap.add_long(f"Linux reads the disk of a virtio-mmio slot that it is trusted with, {machine}", linux_mmio, machine)
tap.main(sys.argv[1:])
