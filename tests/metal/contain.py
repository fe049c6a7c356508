#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest that attacks, restarted again and again, and one that faults: neither ends the hypervisor or costs a
neighbour on another hart a tick.

QEMU's -icount makes time exact, but runs one hart at a time: one that spins for another holds up all. So ticks are
counted beside attackers of one hart; attackers of two harts run in threads, where a tick is as late as the host is busy.
SEED=N repeats a run.
"""

import os
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import metal  # noqa: E402
import tap  # noqa: E402

ENDED = r"tick\] tick: (as planned|DISTURBED)"
POLICY = "\n".join(f'{event} = "restart"' for event in ["raised", "shutdown", "reboot", "watchdog"])


SLACK_US = 10  # some hundred instructions, which the hart that runs just then finishes first


def ticker(**defines):
    words = [f"{name}={value}" for name, value in defines.items()]
    return metal.guest(HERE / "tick.c", name="tick-" + "-".join(map(str, defines.values())), defines=words)


def attacker(seed, harts, intc):
    """With vectors on boards with AIA."""
    program = metal.guest(HERE / "contain.c", defines=["CONTAIN_SELF=1", f"CONTAIN_SEED={seed}"])
    return program, metal.partition("attacker", harts, program, extra=f'watchdog = "2ms"\nvector = {str(intc == "aia").lower()}',
                                      health=POLICY)


def beside(tick, neighbour, name, intc, seconds, **options):
    """What the ticker said beside a (program, partition), or alone."""
    program, text = neighbour or (None, "")
    config = metal.config([metal.partition("tick", [0], tick), text], harts=3, intc=intc, vector=intc == "aia")
    output = metal.boot(config, [tick] + [program] * bool(program), name, [ENDED], seconds, memory="64M", harts=3,
                        intc=intc, cpu=metal.CPUS[intc == "aia"], **options)
    return metal.said(output, "tick")


def attack(intc, lives, seconds):
    """An attacker of one hart: ticks are all there, and in time."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    tick = ticker(TICK_WATCHED=1, TICK_RESTARTS=lives, TICK_SLACK_US=SLACK_US)
    tap.say(f"seed {seed}")
    lines = beside(tick, attacker(seed, [1], intc), f"attack-{intc}", intc, seconds, icount=metal.FASTER)
    want = ["tick: one each 1000 us", "tick: 0 missing, 0 late", "tick: as planned"]
    tap.check(lines == want, "\n".join(lines))


def attack_by_two(intc, lives, seconds):
    """An attacker of two harts, in parallel: the hypervisor and the ticker live on."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    tick = ticker(TICK_WATCHED=1, TICK_RESTARTS=lives)
    tap.say(f"seed {seed}")
    lines = beside(tick, attacker(seed, [1, 2], intc), f"attack-two-{intc}", intc, seconds)
    tap.check(len(lines) == 3, "\n".join(lines))


def restarts(intc, lives, seconds):
    """A partition that faults and restarts: the ticker says what it says without."""
    counting = ticker(TICK_COUNT=500, TICK_SLACK_US=SLACK_US)
    fault = metal.guest(HERE / "fault.c")
    neighbour = fault, metal.partition("fault", [1], fault, size="64K", health='memory = "restart"')
    alone = beside(counting, None, f"alone-{intc}", intc, metal.SECONDS, icount=metal.FASTER)
    tap.check_equal(beside(counting, neighbour, f"fault-{intc}", intc, metal.SECONDS, icount=metal.FASTER), alone,
                    "what the ticker says beside it")
    watching = ticker(TICK_WATCHED=1, TICK_RESTARTS=lives, TICK_SLACK_US=SLACK_US)
    lines = beside(watching, neighbour, f"faults-{intc}", intc, seconds, icount=metal.FASTER)
    tap.check_equal(lines[-2:], ["tick: 0 missing, 0 late", "tick: as planned"], "what it says at the end")


for machine in metal.MACHINES:
    tap.add(f"an attacker of one hart costs no tick, {machine}", attack, machine, 50, metal.SECONDS)
    tap.add(f"an attacker of two harts ends nobody else, {machine}", attack_by_two, machine, 50, metal.SECONDS)
    tap.add(f"200 faults and restarts leave a neighbour's ticks as they are, {machine}", restarts, machine, 200, metal.SECONDS)
    tap.add_long(f"10,000 lives of an attacker of one hart, {machine}", attack, machine, 10000, 7200)
    tap.add_long(f"10,000 lives of an attacker of two harts, {machine}", attack_by_two, machine, 10000, 7200)
    tap.add_long(f"10,000 faults and restarts, {machine}", restarts, machine, 10000, 7200)
tap.main(sys.argv[1:])
