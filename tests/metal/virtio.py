#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Virtio between partitions: the built-in service and others, drivers on harts of all kinds, and what becomes of both when
one faults, stops, restarts or attacks. A ticker beside them loses nothing.
"""

import hashlib
import os
import pathlib
import random
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import metal  # noqa: E402
import tap  # noqa: E402
from world import initramfs_with  # noqa: E402

LINUX_SECONDS = 900
CONTROL = 'may = ["control"]'
SLACK_US = 10  # of ticks, under -icount
PLANNED = ["tick: 0 missing, 0 late", "tick: as planned"]


def service(harts, disk="1M"):
    """The built-in one, with a disk that nothing fills."""
    return f"""
[[partition]]
name = "service"
harts = {harts}
memory = [{{ at = 0x80000000, size = "4M" }}, {{ at = 0x90000000, size = "{disk}" }}]
program = "virtio"
"""


def device(partition, served_by="service", more=""):
    return f'[[virtio]]\npartition = "{partition}"\nservice = "{served_by}"\n{more}\n'


DISK = 'device = "blk"\ndisk = { at = 0x90000000, size = "1M" }'


def guest(name, **defines):
    words = [f"{key}={value}" for key, value in defines.items()]
    return metal.guest(HERE / f"{name}.c", name="-".join([name, *map(str, defines.values())]), defines=words)


def run(name, programs, config, patterns, seconds=metal.SECONDS, **options):
    return metal.boot(config, programs, name, patterns, seconds, memory="128M", **options)


SHARED = {
    "of their own": (2, ""),
    "in windows of one hart": (1, """
[[hart]]
number = 0
mode = "cyclic"
[[plan]]
name = "normal"
frame = "2ms"
windows = [
    { hart = 0, partition = "disk", start = "0us", length = "1ms" },
    { hart = 0, partition = "service", start = "1ms", length = "1ms" },
]
"""),
    "of one hart, the service first": (1, """
[[hart]]
number = 0
mode = "priority"
vcpus = [{ partition = "disk", priority = 1 }, { partition = "service", priority = 2 }]
"""),
    "of one hart, the driver first": (1, """
[[hart]]
number = 0
mode = "priority"
vcpus = [{ partition = "disk", priority = 2 }, { partition = "service", priority = 1, budget = "1ms", period = "2ms" }]
"""),
}


def disk(intc, how):
    harts, plan = SHARED[how]
    program = guest("disk", DISK_ROUNDS=100)
    config = metal.config([metal.partition("disk", [0], program), service([harts - 1]), device("disk", more=DISK)], harts=harts,
                          memory="128M", intc=intc, more=plan)
    output = run(f"disk-{intc}-{list(SHARED).index(how)}", [program], config, [r"disk\] disk: \d+ rounds"], intc=intc, harts=harts)
    tap.check_equal(metal.said(output, "disk"), ["disk: 100 rounds, 0 resets, by interrupts"], "what the driver says")


for machine in metal.MACHINES:
    for way in SHARED:
        tap.add(f"a disk for a small driver, on harts {way}, {machine}", disk, machine, way)


def restarted(intc, target, stops):
    """Of a driver of a disk and its service one is restarted, or stopped and started; the other goes on, and so do ticks."""
    programs = [guest("disk", DISK_ROUNDS=2000), guest("restarter", RESTARTER_TARGET=target, RESTARTER_TIMES=5, RESTARTER_US=50000,
                                                       RESTARTER_STOPS=int(stops)),
                guest("tick", TICK_COUNT=200, TICK_SLACK_US=SLACK_US)]
    config = metal.config([metal.partition("disk", [1], programs[0]), service([2]), metal.partition("restarter", [3], programs[1], extra=CONTROL),
                           metal.partition("tick", [0], programs[2]), device("disk", more=DISK)], harts=4, memory="128M", intc=intc)
    output = run(f"restarted-{intc}-{target}-{stops}", programs, config,
                 [r"disk\] disk: \d+ rounds", r"restarter\] restarter: done", r"tick\] tick: (as planned|DISTURBED)"],
                 intc=intc, harts=4, icount=metal.FASTER, extra=metal.SHORT_TURNS)
    tap.check_equal(metal.said(output, "tick")[-2:], PLANNED, "the ticks")
    last = metal.said(output, "disk")[-1]
    found = re.fullmatch(r"disk: 2000 rounds, (\d+) resets, by interrupts", last)
    tap.check(found, f"the driver says {last}")
    tap.say(f"{found[1]} resets")
    if target == 1:
        tap.check(int(found[1]) >= 3, f"the driver met {found[1]} resets in 6 lives of the service")


for machine in metal.MACHINES:
    tap.add(f"a service that restarts, {machine}", restarted, machine, 1, False)
    tap.add(f"a driver that restarts, {machine}", restarted, machine, 0, False)


def faults(intc):
    """A service that faults with each 50th request in hand: its next life is asked again, no access is lost."""
    programs = [guest("asker"), guest("answerer", ANSWER_FAULTS=50), guest("tick", TICK_COUNT=200, TICK_SLACK_US=SLACK_US)]
    config = metal.config([metal.partition("asker", [1, 3], programs[0]),
                           metal.partition("answerer", [2], programs[1], health='memory = "warm"'),
                           metal.partition("tick", [0], programs[2]), device("asker", "answerer")], harts=4, intc=intc)
    output = run(f"faults-{intc}", programs, config, [r"asker\] asked: done", r"tick\] tick: (as planned|DISTURBED)"], intc=intc, harts=4,
                 icount=metal.FASTER, extra=metal.SHORT_TURNS)
    tap.check_equal(metal.said(output, "asker"), ["asked: done"], "what the driver says")
    tap.check_equal(metal.said(output, "tick")[-2:], PLANNED, "the ticks")
    tap.check(output.count("answerer: memory at 0xdead0000: restarted warm") > 3, output[-2000:])


def stops(intc):
    """A service that stops for good with a request in hand: drivers read zeros from then on."""
    programs = [guest("asker", ASK_ZEROS=1), guest("answerer", ANSWER_FAULTS=50)]
    config = metal.config([metal.partition("asker", [0, 1], programs[0]),
                           metal.partition("answerer", [1], programs[1], health='memory = "stop"'),
                           device("asker", "answerer")], harts=2, intc=intc, more="""
[[hart]]
number = 1
mode = "priority"
vcpus = [{ partition = "asker", priority = 2 }, { partition = "answerer", priority = 1 }]
""")
    output = run(f"stops-{intc}", programs, config, [r"asker\] asked: done"], intc=intc)
    tap.check_equal(metal.said(output, "asker"), ["asked: done"], "what the driver says")
    tap.check("answerer: memory at 0xdead0000: stopped" in output, output[-2000:])


def anything(intc, lives, seconds):
    """A service that answers at random, and restarts by itself: driver and ticks go on."""
    programs = [guest("asker", ASK_COUNT=1000000000, ASK_ANYTHING=1), guest("answerer", ANSWER_ANYTHING=1),
                guest("tick", TICK_WATCHED=1, TICK_RESTARTS=lives, TICK_SLACK_US=SLACK_US)]
    config = metal.config([metal.partition("asker", [1, 3], programs[0], health='shutdown = "restart"'),
                           metal.partition("answerer", [2], programs[1], health='raised = "restart"'),
                           metal.partition("tick", [0], programs[2]), device("asker", "answerer")], harts=4, intc=intc)
    output = run(f"anything-{intc}", programs, config, [r"tick\] tick: (as planned|DISTURBED)"], seconds, intc=intc, harts=4,
                 icount=metal.FASTER, extra=metal.SHORT_TURNS)
    tap.check_equal(metal.said(output, "tick")[-2:], PLANNED, "the ticks")


for machine in metal.MACHINES:
    tap.add(f"a service that faults with requests in hand, {machine}", faults, machine)
    tap.add(f"a service that stops with requests in hand, {machine}", stops, machine)
    tap.add(f"a service that answers at random, {machine}", anything, machine, 30, metal.SECONDS)
    tap.add_long(f"1,000 lives of a random service, {machine}", anything, machine, 1000, 7200)


def attacked(intc, lives, rounds, seconds):
    """A driver that attacks its devices with all that it has: the service lives, another driver is served, ticks go on."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    tap.say(f"seed {seed}")
    programs = [guest("disk", DISK_ROUNDS=rounds), guest("rings", RINGS_SEED=seed, RINGS_DEVICES=4),
                guest("tick", TICK_WATCHED=1, TICK_RESTARTS=lives, TICK_SLACK_US=SLACK_US)]
    config = metal.config([metal.partition("disk", [3], programs[0]),
                           metal.partition("rings", [1], programs[1], health='raised = "restart"\nmemory = "guest"'),
                           service([2], "2M"), metal.partition("tick", [0], programs[2]), device("disk", more=DISK),
                           device("rings", more='device = "blk"\ndisk = { at = 0x90100000, size = "1M" }'),
                           device("rings", more='device = "net"\njoin = "lan"'),
                           device("rings", more='device = "net"\njoin = "lan"'),
                           device("rings", more='device = "console"')],
                          harts=4, memory="128M", intc=intc)
    output = run(f"attacked-{intc}", programs, config, [r"disk\] disk: \d+ rounds", r"tick\] tick: (as planned|DISTURBED)"], seconds,
                 intc=intc, harts=4, icount=metal.FASTER, extra=metal.SHORT_TURNS)
    tap.check_equal(metal.said(output, "tick")[-2:], PLANNED, "the ticks")
    tap.check_equal(metal.said(output, "disk"), [f"disk: {rounds} rounds, 0 resets, by interrupts"], "what the other driver says")
    tap.check("[metal] service" not in output and "unexpected trap" not in output, output[-3000:])


for machine in metal.MACHINES:
    tap.add(f"a driver that attacks the service, {machine}", attacked, machine, 8, 80, metal.SECONDS)
    tap.add_long(f"1,000 lives of an attacking driver, {machine}", attacked, machine, 1000, 2000, 7200)


LEFT = """#!/bin/sh
ip addr add 10.0.0.1/24 dev eth0
ip link set eth0 up
mount -t ext4 /dev/vda /mnt && echo "data: $(sha256sum < /mnt/data)"
dd if=/dev/urandom of=/mnt/new bs=64k count=8 2>/dev/null
sync
sum=$(sha256sum < /mnt/new)
umount /mnt
echo 3 > /proc/sys/vm/drop_caches
mount -t ext4 /dev/vda /mnt
[ "$sum" = "$(sha256sum < /mnt/new)" ] && echo "disk: as written"
(read -r line < /dev/hvc0; echo "line: $line") &
echo "tcp: $(timeout 600 nc -l -p 5000 | sha256sum)"
wait
"""
RIGHT = """#!/bin/sh
ip addr add 10.0.0.2/24 dev eth0
ip link set eth0 up
mount -o ro -t ext4 /dev/vda /mnt && echo "data: $(sha256sum < /mnt/data)"
[ "$(cat /sys/block/vda/ro)" = 1 ] && echo "disk: read-only"
until ping -c 1 -W 1 10.0.0.1 >/dev/null; do sleep 1; done
ping -c 10 -i 0.1 10.0.0.1 | grep received
echo "over the line" > /dev/hvc0
until nc 10.0.0.1 5000 < /mnt/data; do sleep 1; done
"""


@tap.test("examples/metal/virtio: two Linux with disks, a network and a line between them", long=True)
def _():
    metal.need("mke2fs")
    linux = metal.obtain("linux", "trixie")
    scripts = {"left": LEFT, "right": RIGHT}
    (metal.FOLDER / "content").mkdir()
    data = random.randbytes(1000000)
    (metal.FOLDER / "content" / "data").write_bytes(data)
    image = metal.FOLDER / "disk.img"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", metal.FOLDER / "content", image, "8M"], check=True, stderr=subprocess.DEVNULL)
    for name, text in scripts.items():
        (metal.FOLDER / f"{name}.sh").write_text(text)
        (metal.FOLDER / f"{name}.sh").chmod(0o755)
    ramfs = initramfs_with(metal.FOLDER, [metal.FOLDER / f"{name}.sh" for name in scripts])
    config = (metal.EXAMPLES / "virtio" / "virtio.toml").read_text()
    for name in scripts:
        config = config.replace('ttyS0 quiet"', f'ttyS0 quiet cosm.test={name}.sh"', 1)
    with metal.board(metal.image(config, [linux / "Image", ramfs, image], "virtio"), memory="1G", harts=3) as console:
        output = metal.until(console, [rf"\[{name}\] cosm: test status" for name in scripts], LINUX_SECONDS)
    digest = hashlib.sha256(data).hexdigest()
    want = {"left": [f"data: {digest}  -", "disk: as written", "line: over the line", f"tcp: {digest}  -"],
            "right": [f"data: {digest}  -", "disk: read-only", "10 packets transmitted, 10 packets received, 0% packet loss"]}
    for name, lines in want.items():
        said = metal.said(output, name)
        for line in lines:
            tap.check(line in said, f"{name} did not say {line!r}:\n" + "\n".join(said[-40:]))


tap.main(sys.argv[1:])
