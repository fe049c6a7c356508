# SPDX-License-Identifier: BSD-2-Clause
"""The first figures: boots, an integer loop, an idle guest, instructions a second, lines of code by layer."""

import json
import re
import shutil
import subprocess
import sys
import time

import machines
import programs
import report
import world
from report import say, summary

ROOT = programs.ROOT
LOOP = re.compile(r"loop: (\d+) iterations, (\d+) us, checksum (0x[0-9a-f]+)")


def choices(cosm):
    return [machines.cosm_default(cosm), *machines.qemu_default()]


def in_turn(runs, found, measure):
    """{name: [values]}, one machine after the other so that both meet the same disturbances."""
    values = {choice.name: [] for choice in found}
    for number in range(runs):
        for choice in found:
            values[choice.name].append(measure(choice))
            say(f"  {number + 1}/{runs} {choice.name}: {values[choice.name][-1]:.2f} s")
    return values


def boot_seconds(machine, linux, harts):
    start = time.monotonic()
    with machine.start(linux, linux / "initramfs.cpio", harts=harts) as console:
        console.expect(world.READY, 600)
        return time.monotonic() - start


def loop_in_guest(machine, linux, initrd, iterations):
    """(seconds, checksum, instructions of the whole run or None) of the loop inside a booted guest."""
    with machine.start(linux, initrd, f'cosm.test="/bench/loop {iterations}"', extra=machine.stats) as console:
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
        values = in_turn(args.runs, choices(args.cosm), lambda m, h=harts: boot_seconds(m, linux, h))
        result[f"{harts}"] = {name: summary(v) for name, v in values.items()}
    return result


def bench_loop(args, linux, folder):
    say("Integer loop:")
    loop = programs.build("loop", "riscv64", folder)
    initrd = programs.with_files(linux, {"loop": loop.read_bytes()}, folder, "loop")
    per, checks, rates = {"cosm": [], "qemu": [], "qemu-user": []}, set(), []
    _, _, idle = loop_in_guest(machines.cosm_default(args.cosm), linux, initrd, 0)
    for number in range(args.runs):
        for machine in choices(args.cosm):
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
    with machines.cosm_default(args.cosm).start(linux, linux / "initramfs.cpio", harts=2) as console:
        console.expect(world.READY, 600)
        time.sleep(3)
        before = console.cpu_seconds()
        time.sleep(args.idle)
        return {"cpu_share": (console.cpu_seconds() - before) / args.idle,
                "resident_beside_ram_kib": world.beside_ram_kib(console)}


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
    found = report.ratio(figures.get(name), figures.get(peer))
    return f"{found['median']:.2f}" if found else "-"


def row(name, figure, scale, unit):
    return (f"| {name} | {figure['median'] * scale:.2f} {unit} | "
            f"{figure['min'] * scale:.2f} to {figure['max'] * scale:.2f} | {figure['runs']} |")


def markdown(result):
    out = []
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


def run(args, linux, folder):
    result = {"boot": bench_boot(args, linux)}
    result["loop"], result["instruction_rate"] = bench_loop(args, linux, folder)
    result["idle"] = bench_idle(args, linux)
    result["lines"] = count_lines()
    return result
