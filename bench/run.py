#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Figures of cosm beside QEMU's on the same guest, taken in turn in one run; Markdown and JSON."""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import world  # noqa: E402
import guest  # noqa: E402  (tools/)
import initramfs  # noqa: E402
from console import Console  # noqa: E402

LOOP = re.compile(r"loop: (\d+) iterations, (\d+) us, checksum (0x[0-9a-f]+)")
CROSS = "riscv64-linux-gnu-gcc"


def say(text):
    print(text, file=sys.stderr, flush=True)


def summary(values):
    """Median and spread (smallest to largest), in the unit of the values."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "runs": len(values)}


class Machine:
    """One way to run the guest: its name and how its command line is made."""

    def __init__(self, name, make):
        self.name = name
        self.make = make

    def start(self, linux, initrd, append="", harts=1, extra=()):
        return Console(self.make(linux / "Image", initrd, f"console=ttyS0 quiet {append}".strip(), harts) + list(extra))


def machines(cosm):
    def cosm_command(kernel, initrd, append, harts):
        return [cosm, "run", "--kernel", kernel, "--initrd", initrd, "--append", append, "-m", "512M", "--smp", harts]

    def qemu_command(kernel, initrd, append, harts):
        return ["qemu-system-riscv64", "-M", "virt", "-nographic", "-kernel", kernel, "-initrd", initrd,
                "-append", append, "-m", "512M", "-smp", harts]

    found = [Machine("cosm", cosm_command)]
    if shutil.which("qemu-system-riscv64"):
        found.append(Machine("qemu", qemu_command))
    return found


def in_turn(runs, choices, measure):
    """{name: [values]}, one machine after the other so that both meet the same disturbances."""
    values = {choice.name: [] for choice in choices}
    for number in range(runs):
        for choice in choices:
            values[choice.name].append(measure(choice))
            say(f"  {number + 1}/{runs} {choice.name}: {values[choice.name][-1]:.2f} s")
    return values


def boot_seconds(machine, linux, harts):
    start = time.monotonic()
    with machine.start(linux, linux / "initramfs.cpio", harts=harts) as console:
        console.expect(world.READY, 600)
        return time.monotonic() - start


def build_loop(folder):
    loop = folder / "loop"
    subprocess.run([CROSS, "-O2", "-static", "-o", loop, ROOT / "bench" / "guest" / "loop.c"], check=True)
    return loop


def with_program(linux, program, folder):
    """The initramfs and one program more: archives that follow each other are unpacked in turn."""
    more = initramfs.Cpio()
    more.program(f"bin/{program.name}", program.read_bytes())
    initrd = folder / "initramfs.cpio"
    initrd.write_bytes((linux / "initramfs.cpio").read_bytes() + more.finish())
    return initrd


def loop_in_guest(machine, linux, initrd, iterations):
    """(seconds, checksum, instructions of the whole run or None) of the loop inside a booted guest."""
    extra = ["--stats=json"] if machine.name == "cosm" else []
    with machine.start(linux, initrd, f'cosm.test="loop {iterations}"', extra=extra) as console:
        found = console.expect(LOOP, 900)
        console.wait(120)
        stats = re.findall(r"^(\{.*\})\r*$", console.output, re.M)
    instructions = json.loads(stats[-1])["instructions"] if stats else None
    return int(found[2]) / 1e6, found[3], instructions


def loop_in_user(qemu, loop, iterations):
    found = LOOP.search(subprocess.run([qemu, loop, str(iterations)], stdout=subprocess.PIPE, text=True, check=True).stdout)
    return int(found[2]) / 1e6, found[3]


def bench_boot(args, linux):
    result = {}
    for harts in (1, 2):
        say(f"Boot to the shell, {harts} hart(s):")
        values = in_turn(args.runs, machines(args.cosm), lambda m, h=harts: boot_seconds(m, linux, h))
        result[f"{harts}"] = {name: summary(v) for name, v in values.items()}
    return result


def bench_loop(args, linux, folder):
    say("Integer loop:")
    loop = build_loop(folder)
    initrd = with_program(linux, loop, folder)
    per, checks, rates = {"cosm": [], "qemu": [], "qemu-user": []}, set(), []
    _, _, idle = loop_in_guest(machines(args.cosm)[0], linux, initrd, 0)
    for number in range(args.runs):
        for machine in machines(args.cosm):
            seconds, check, instructions = loop_in_guest(machine, linux, initrd, args.iterations)
            per[machine.name].append(seconds / args.iterations)
            checks.add(check)
            if instructions and idle:
                rates.append((instructions - idle) / seconds)
        if shutil.which("qemu-riscv64"):
            seconds, check = loop_in_user("qemu-riscv64", loop, args.iterations)
            per["qemu-user"].append(seconds / args.iterations)
            checks.add(check)
        say(f"  {number + 1}/{args.runs} " + ", ".join(f"{n} {v[-1] * 1000:.2f} ms" for n, v in per.items() if v))
    if len(checks) != 1:
        sys.exit(f"bench: the machines do not agree on the result of the loop: {sorted(checks)}")
    return ({name: summary(v) for name, v in per.items() if v}, summary(rates) if rates else None)


def bench_idle(args, linux):
    say("Idle guest:")
    with machines(args.cosm)[0].start(linux, linux / "initramfs.cpio", harts=2) as console:
        console.expect(world.READY, 600)
        time.sleep(3)
        before = console.cpu_seconds()
        time.sleep(10)
        return {"cpu_share": (console.cpu_seconds() - before) / 10,
                "resident_beside_ram_kib": console.memory_kib()["VmRSS"] - world.guest_ram_kib(console.pid)}


def count_lines():
    """Lines of source by layer, without blank ones."""
    lines = {}
    for base in ("src", "apps", "spec", "tests", "tools", "bench", "fuzz"):
        for path in (ROOT / base).rglob("*"):
            if path.suffix not in (".c", ".h", ".def", ".py", ".sh") or not path.is_file():
                continue
            parts = path.relative_to(ROOT).parts
            layer = "/".join(parts[:2]) if base == "src" else base
            text = path.read_text(errors="replace")
            lines[layer] = lines.get(layer, 0) + sum(1 for line in text.splitlines() if line.strip())
    return lines


def ratio(figures, name, peer):
    if name not in figures or peer not in figures:
        return "-"
    return f"{figures[name]['median'] / figures[peer]['median']:.2f}"


def row(name, figure, scale, unit):
    return (f"| {name} | {figure['median'] * scale:.2f} {unit} | "
            f"{figure['min'] * scale:.2f} to {figure['max'] * scale:.2f} | {figure['runs']} |")


def markdown(result):
    out = ["# Figures", "", f"Taken {result['date']} on {result['host']}. Ratios are of medians within this run.", ""]
    for harts, figures in result["boot"].items():
        out += [f"## Boot to the shell, {harts} hart(s): cosm takes {ratio(figures, 'cosm', 'qemu')} times QEMU's time", "",
                "| machine | median | spread | runs |", "|---|---|---|---|"]
        out += [row(name, figure, 1, "s") for name, figure in figures.items()] + [""]
    loop = result["loop"]
    out += [f"## Integer loop: cosm takes {ratio(loop, 'cosm', 'qemu-user')} times qemu-riscv64's time, "
            f"{ratio(loop, 'cosm', 'qemu')} times qemu-system-riscv64's", "",
            "| machine | median an iteration | spread | runs |", "|---|---|---|---|"]
    out += [row(name, figure, 1e3, "ms") for name, figure in loop.items()] + [""]
    if result["instruction_rate"]:
        out += [f"cosm executes {result['instruction_rate']['median'] / 1e6:.0f} million guest instructions a second in it.", ""]
    idle = result["idle"]
    out += ["## An idle guest of 2 harts", "", f"- {100 * idle['cpu_share']:.2f} % of a core",
            f"- {idle['resident_beside_ram_kib'] / 1024:.1f} MiB resident beside the guest's RAM", "",
            "## Lines of code by layer", "", "| layer | lines |", "|---|---|"]
    out += [f"| {layer} | {count} |" for layer, count in sorted(result["lines"].items())]
    return "\n".join(out) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cosm", default=world.COSM, help="the program to measure")
    parser.add_argument("--runs", type=int, default=5, help="runs of each kind (default 5)")
    parser.add_argument("--iterations", type=int, default=1000, help="of the integer loop (default 1000)")
    parser.add_argument("--output", default=ROOT / "build" / "bench", type=pathlib.Path, help="folder for the results")
    args = parser.parse_args()
    args.cosm = os.path.abspath(args.cosm)
    try:
        linux = guest.ensure("linux", "trixie")
    except guest.Failure as failure:
        sys.exit(f"bench: {failure}")
    result = {"date": time.strftime("%Y-%m-%d"), "host": f"{os.cpu_count()} cores, Linux {os.uname().release}"}
    with tempfile.TemporaryDirectory() as name:
        result["boot"] = bench_boot(args, linux)
        result["loop"], result["instruction_rate"] = bench_loop(args, linux, pathlib.Path(name))
    result["idle"] = bench_idle(args, linux)
    result["lines"] = count_lines()
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "figures.json").write_text(json.dumps(result, indent=2) + "\n")
    (args.output / "figures.md").write_text(markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    main()
