#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""--icount: Linux on two harts with a disk prints and counts the same in each run, with each engine."""

import functools
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tap  # noqa: E402
import world  # noqa: E402

# Time, randomness, both harts, interrupts, the disk both ways.
SCRIPT = ("date; cat /proc/sys/kernel/random/uuid; md5sum </dev/vda; (seq 3000 | md5sum) & seq 5000 | md5sum; wait; "
          "dd if=/dev/urandom of=/dev/vda bs=4096 count=16 conv=fsync 2>/dev/null; md5sum </dev/vda; cat /proc/interrupts")
SIZE = 1 << 20


def run(engine, harts, extra=()):
    """(console output, instructions, virtual ns) of one run on a disk that begins the same."""
    with tempfile.NamedTemporaryFile(suffix=".img") as image:
        image.write(bytes(range(256)) * (SIZE // 256))
        image.flush()
        command = world.command(append=f"cosm.test=\"{SCRIPT}\"", harts=harts, memory="256M",
                                extra=["--drive", image.name, "--icount", "--stats=json", "--cpu-engine", engine, *extra])
        done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=4 * world.BOOT_SECONDS, check=False)
    text = done.stdout.decode(errors="replace")
    tap.check("cosm: test status 0" in text, f"status {done.returncode}:\n{text[-3000:]}{done.stderr.decode()[-2000:]}")
    stats = json.loads(done.stderr[done.stderr.rindex(b"{"):])
    return text, stats["instructions"], stats["virtual_ns"]


def first_difference(one, other):
    for a, b in zip(one.splitlines(), other.splitlines()):
        if a != b:
            return f"{a!r} against {b!r}"
    return "the end"


def same(engines, harts):
    want = run(engines[0], harts)
    for engine in engines[1:]:
        got = run(engine, harts)
        tap.check(got[0] == want[0], f"{engine} and {engines[0]} part at {first_difference(want[0], got[0])}")
        tap.check_equal(got[1:], want[1:], f"count and time with {engine}")


@functools.cache
def plain():
    """A run that others are compared with."""
    return run("jit", 1)


def again():
    got = run("jit", 1)
    tap.check(got[0] == plain()[0], f"they part at {first_difference(plain()[0], got[0])}")
    tap.check_equal(got[1:], plain()[1:], "count and time")


def seeds():
    text, count, _ = plain()
    other = run("jit", 1, ["--icount", "seed=1"])
    tap.check(" 2026" in text, "the clock does not begin in 2026")
    tap.check(other[1] != count and other[0] != text, "another seed makes no difference")


tap.add("twice the same, 1 hart", again)
tap.add("the same with each engine, 2 harts", same, ["jit1", "jit", "interp"], 2)
tap.add("another seed, another run", seeds)
tap.main(sys.argv[1:])
