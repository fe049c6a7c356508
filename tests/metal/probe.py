#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a partition can name: all classes of addresses, all CSRs; and what partitions that share a hart leave behind."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import metal  # noqa: E402
import tap  # noqa: E402

SIZE = 1 << 21
OWN = {"plic": "{0x0c000000,0x10001000}", "aia": "{0x0d000000,0x0d008000},{0x28000000,0x28001000},{0x10000000,0x10001000}"}


def probe(intc, policy):
    defines = [f"PROBE_MEMORY={SIZE:#x}", f"'PROBE_FINE={OWN[intc]}'"]
    if policy == "ignore":
        defines.append("PROBE_QUIET")
    program = metal.guest(HERE / "probe.c", name=f"probe-{intc}-{policy}", defines=defines)
    config = metal.config([metal.partition("probe", [0], program, health=f'memory = "{policy}"')], intc=intc)
    output = metal.boot(config, [program], f"board-{intc}-{policy}", [r"probe\] probe: (good|BAD)"],
                        memory="64M", intc=intc)
    tap.check("probe: good, 0 wrong" in output, "\n".join(metal.said(output, "probe")))


def scrub(intc, restarts, vector=(), cpu=None):
    """Two partitions share a hart by windows, and each is restarted cold when it has looked long enough. Those in vector
    use vectors, too."""
    defines = {n: [f"SCRUB_SELF={n}", "SCRUB_ROUNDS=40"] + ["SCRUB_VECTOR"] * (n in vector) for n in (1, 2)}
    programs = [metal.guest(HERE / "scrub.c", name=f"scrub{n}-{len(vector)}", defines=defines[n]) for n in (1, 2)]
    links = [p.with_name(f"scrub{n}.elf") for n, p in enumerate(programs, 1)]
    for program, link in zip(programs, links):
        link.with_suffix(".bin").write_bytes(program.with_suffix(".bin").read_bytes())
    parts = [metal.partition(f"scrub{n}", [0], link, size="1M", extra=f"vector = {str(n in vector).lower()}",
                             health=f'raised = {{ action = "restart", limit = {restarts} }}')
             for n, link in enumerate(links, 1)]
    plan = """
[[hart]]
number = 0
mode = "cyclic"

[[plan]]
name = "halves"
frame = "1ms"
windows = [
    { hart = 0, partition = "scrub1", start = "0us", length = "500us" },
    { hart = 0, partition = "scrub2", start = "500us", length = "500us" },
]
"""
    config = metal.config(parts, intc=intc, more=plan, vector=bool(vector))
    output = metal.boot(config, links, f"scrub-{intc}-{len(vector)}-{cpu}", [rf"metal\] scrub{n}: raised .*: stopped" for n in (1, 2)],
                        memory="64M", intc=intc, icount=metal.FASTER, cpu=cpu or metal.CPUS[bool(vector)])
    for n in (1, 2):
        lines = metal.said(output, f"scrub{n}")
        tap.check_equal(lines, [f"scrub {n}: 40 rounds, 0 changed, 0 left by others"] * (restarts + 1), f"what scrub{n} says")


for machine in metal.MACHINES:
    tap.add(f"foreign addresses and CSRs are exceptions, {machine}", probe, machine, "guest")
    tap.add(f"foreign addresses read as 0 where the policy says so, {machine}", probe, machine, "ignore")
    tap.add(f"registers and memory hold nothing of others, {machine}", scrub, machine, 4)
    tap.add(f"vector registers hold nothing of others, {machine}", scrub, machine, 4, (1, 2))
    tap.add(f"vectors are illegal where the configuration gives none, {machine}", scrub, machine, 4, (1,))
tap.add("vector registers of 1024 bits", scrub, "plic", 1, (1, 2), metal.CPUS[True] + ",vlen=1024")
tap.main(sys.argv[1:])
