#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest's memory and time: what it frees or gives up is the host's again; after a pause its clock is right."""

import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import named  # noqa: E402
import tap  # noqa: E402
import world  # noqa: E402

MEMORY = 512
FILE = 150  # MiB that the guest takes and frees
BACK = 0.6  # of it at least is the host's again: whole blocks of 2 MiB are reported, and some have a page that is still used
SECONDS = 60  # for what takes two on a quiet machine
LOAD = "while read m; do insmod /lib/modules/$m; done </lib/modules/sharing"


def ram_mib(console):
    return world.guest_ram_kib(console.pid) / 1024


def until(value, condition, what):
    end = time.monotonic() + SECONDS
    while not condition(value()):
        tap.check(time.monotonic() < end, f"{what}: still {value()}")
        time.sleep(0.1)
    return value()


def cosm(*arguments, status=0):
    code, out = named.cosm(*arguments)
    tap.check_equal(code, status, f"the status of cosm {' '.join(arguments)}, which says: {out}")
    return out


def shown(name):
    return json.loads(cosm("memory", "--json", name))


def refused():
    tap.check("no VM 'none'" in cosm("memory", "none", status=1), "of no VM")
    for size in ("0", "much", "-1", "12Q"):
        tap.check(size in cosm("memory", "m", size, status=2), f"a size of {size}")
    tap.check("512 MiB and cannot get more" in cosm("memory", "m", "1G", status=1), "more than there is")


def frees(console):
    """What the guest frees goes back, and what it takes again works."""
    console.run("mkdir -p /t; mount -t tmpfs none /t")
    for _ in range(2):
        console.run(f"dd if=/dev/urandom of=/one bs=1M count=1 2>/dev/null; for i in $(seq {FILE}); do cat /one; done >/t/file")
        full = ram_mib(console)
        tap.check(full >= FILE, f"{full:.0f} MiB with a file of {FILE}")
        tap.check("same" in console.run("tail -c 1048576 /t/file | cmp - /one && echo sa''me"), "another content")
        console.run("rm /t/file")
        free = until(lambda: ram_mib(console), lambda now: now < full - BACK * FILE, "memory that was freed")
        tap.say(f"{full:.0f} MiB, {free:.0f} MiB once freed")


def gives_up(console):
    """With less memory the guest goes on, and gets it back."""
    console.run(f"dd if=/dev/zero of=/t/file bs=1M count={FILE // 2} 2>/dev/null; cat /t/file >/dev/null; rm /t/file")
    total = shown("m")["stats"]["stat-total-memory"]
    tap.check(300 << 20 < total <= MEMORY << 20, f"the guest's total memory is {total}")
    tap.check_equal(cosm("memory", "m", "160M"), "m\n", "what is printed")
    row = until(lambda: shown("m"), lambda now: now["actual"] == 160 << 20, "160 MiB")
    tap.check(row["stats"]["stat-free-memory"] < 160 << 20, f"free memory: {row}")
    tap.check(ram_mib(console) <= 160, f"{ram_mib(console):.0f} MiB are resident")
    text = cosm("memory", "m")
    for pattern in (r"memory of the VM +512 MiB", r"the guest has +160 MiB\n", r"free +\d+ MiB", r"on this machine +\d+ MiB"):
        tap.check(re.search(pattern, text), f"no '{pattern}' in:\n{text}")
    listed = json.loads(cosm("ps", "--json"))[0]
    tap.check(1 << 20 < listed["resident"] < MEMORY << 20, f"resident memory in ps: {listed}")
    tap.check_equal(cosm("memory", "m", "512M"), "m\n", "what is printed")
    until(lambda: shown("m")["actual"], lambda now: now == MEMORY << 20, "all memory")
    console.run(f"dd if=/dev/zero of=/t/file bs=1M count={FILE} 2>/dev/null && echo o''k; rm /t/file")


def squeezed(console):
    """Of a guest that is asked for nearly all a program takes back what it needs."""
    cosm("memory", "m", "1M")
    until(lambda: shown("m")["actual"], lambda now: now < 130 << 20, "little memory")
    answer = console.run("dd if=/dev/zero of=/t/file bs=1M count=60 2>/dev/null; stat -c %s /t/file; rm /t/file")
    tap.check_equal(answer.split()[-1], str(60 << 20), "the size of a file")
    tap.check("Out of memory" not in console.output, "a program was ended")
    cosm("memory", "m", "512M")


def seconds_off(console):
    """By how much the guest's clock is wrong; it tells whole seconds, and asking takes a moment."""
    before = time.time()
    guest = int(console.run("date +%s").split()[-1])
    return max(before - 1 - guest, guest - time.time(), 0)


def pause(seconds):
    cosm("pause", "m")
    time.sleep(seconds)
    cosm("resume", "m")


def clock(console):
    """Its clock stands while the VM does; whoever listens in the guest is told the time then."""
    pause(3)
    time.sleep(1)
    tap.check(seconds_off(console) > 1, "a guest in which nobody listens has the right time")
    console.run("vsock_guest clock 123")
    pause(3)
    until(lambda: seconds_off(console), lambda off: off == 0, "a clock after a pause")
    console.run("date -s 2001-01-01")
    pause(1)
    until(lambda: seconds_off(console), lambda off: off == 0, "a clock that was 25 years behind")
    # Where somebody sets the clock, which only a guest may bear, that is noticed: what watches is our own source.
    console.run("wall_guest >/seen & until grep -q quiet /seen; do sleep 1; done; date -s 2001-01-01; "
                "until grep -q moved /seen; do sleep 1; done; date -s 2002-01-01; wait", timeout=SECONDS)
    tap.check_equal(console.run("cat /seen").split()[-4:], ["quiet", "moved", "moved", "quiet"], "what was noticed")


def programs(folder):
    boot = world.ROOT / "tests" / "boot"
    return [world.guest_program(boot / "vsock_guest.c", folder),
            world.guest_program(boot / "wall_guest.c", folder, world.ROOT / "src" / "host" / "wall.c", "-D_GNU_SOURCE",
                                f"-I{world.ROOT / 'src'}")]


def boot(folder):
    return world.boot(append="quiet", memory=f"{MEMORY}M", initrd=world.initramfs_with(folder, programs(folder)),
                      extra=["-n", "m"])


def memory_and_time():
    with named.own_folder("cosm-memory-") as folder, boot(folder) as console:
        refused()
        tap.check("no driver" in cosm("memory", "m"), "a guest without the driver")
        console.run(LOAD)
        for step in (frees, gives_up, squeezed, clock):
            start = time.monotonic()
            step(console)
            tap.say(f"{step.__name__}: {time.monotonic() - start:.1f} s")
        world.power_off(console)


tap.add("what a guest frees or gives up is the host's again, and its clock is right", memory_and_time)
tap.main(sys.argv[1:])
