#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vhost-user: two guests joined by another process, which dies, comes back and misbehaves. --long: by DPDK's testpmd."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tap  # noqa: E402
import world  # noqa: E402

PEER = os.environ.get("VHOST_PEER", "")
AMOUNT = 2 << 20
# One of each kind: tests/unit/test_vhost.c and test_vhost_wire.c have the others.
FAULTS_AT_ONCE = {"nonsense": "none of the protocol's answers"}
FAULTS_LATER = ["refuse", "stranger"]


@contextlib.contextmanager
def ended(process):
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def peer(folder, *fault):
    process = subprocess.Popen([PEER, f"{folder}/one", f"{folder}/two", *fault], stdout=subprocess.PIPE, text=True)
    tap.check_equal(process.stdout.readline(), "ready\n", "what the back end says")
    return process


def guest(folder, name, address, *options):
    console = world.boot(append="quiet", memory="256M", harts=2,
                         extra=["--net", ",".join(["vhost-user", f"path={folder}/{name}", *options])])
    console.run(f"ifconfig lo up; ifconfig eth0 {address} netmask 255.255.255.0 up")
    return console


def status(console, command):
    return int(console.run(f"{command} >/dev/null 2>&1; echo $?").split()[-1])


def reaches(console, address):
    return any(not status(console, f"ping -c 1 -W 2 {address}") for _ in range(30))


def carrier(console, plugged):
    """The guest sees its cable so, sooner or later."""
    for _ in range(300):
        if console.run("cat /sys/class/net/eth0/carrier").split()[-1] == str(int(plugged)):
            return
        time.sleep(0.2)
    raise AssertionError(f"the cable is {'not ' if plugged else ''}plugged")


def carry(sender, receiver, address):
    """TCP, whose bytes must be those that were sent."""
    receiver.run("rm -f /tmp/sum; (nc -l -p 80 | md5sum >/tmp/sum) &")
    text = f"head -c {AMOUNT} /dev/zero | tr '\\0' x"
    tap.check(any(not status(sender, f"{text} | nc {address} 80") or time.sleep(0.2) for _ in range(50)), "no connection")
    expected = sender.run(f"{text} | md5sum").split()[-2]
    for _ in range(100):
        if expected in receiver.run("cat /tmp/sum"):
            return
        time.sleep(0.2)
    raise AssertionError("what came is not what was sent")


def both_ways(one, two):
    tap.check(reaches(one, "192.168.5.2") and reaches(two, "192.168.5.1"), "no answer")
    carry(one, two, "192.168.5.2")
    carry(two, one, "192.168.5.1")


def misbehave(folder, one, two):
    """The back end's end of the second guest does what it must not: that one is without it, or none the worse."""
    for fault in FAULTS_LATER:
        with ended(peer(folder, fault)):
            carrier(one, True)
            status(one, "ping -c 1 -W 1 192.168.5.2")
            tap.check_equal(status(two, "true"), 0, f"the guest's own status after the fault {fault}")


@tap.test("two guests by a process that serves two pairs of queues each, dies, misbehaves and comes back")
def _():
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        with ended(peer(folder)):
            one = stack.enter_context(guest(folder, "one", "192.168.5.1", "queues=2"))
            two = stack.enter_context(guest(folder, "two", "192.168.5.2", "queues=2"))
            both_ways(one, two)
        two.expect("the link is down until another process serves", 30)
        two.run("")
        carrier(one, False)
        carrier(two, False)
        misbehave(folder, one, two)
        with ended(peer(folder, "no-end")):
            carrier(one, True)
            carrier(two, True)
            both_ways(one, two)
            world.power_off(one)
            world.power_off(two)  # a process that does not let go is not waited for


@tap.test("a process that does not speak the protocol is told from one that is not there")
def _():
    linux = world.obtain("linux", "trixie")

    def said(folder, *options):
        done = subprocess.run([world.COSM, "run", "-k", linux / "Image", "--net",
                               ",".join(["vhost-user", f"path={folder}/two", *options])], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)
        tap.check_equal(done.returncode, 1, f"the status; {done.stderr}")
        return done.stderr

    with tempfile.TemporaryDirectory() as folder:
        tap.check("nobody listens on the vhost-user socket" in said(folder), "another reason")
        for fault, reason in FAULTS_AT_ONCE.items():
            with ended(peer(folder, fault)):
                text = said(folder)
                tap.check(reason in text, f"'{text}' does not tell of {fault}")
        with ended(peer(folder)):
            tap.check("give queues=4" in said(folder, "queues=8"), "another reason")


@tap.test("two guests by DPDK's testpmd", long=True)
def _():
    if not shutil.which("dpdk-testpmd"):
        raise tap.Skip("no dpdk-testpmd here")
    with tempfile.TemporaryDirectory() as folder:
        options = [f"--vdev=net_vhost{i},iface={folder}/{name}" for i, name in enumerate(("one", "two"))]
        command = ["dpdk-testpmd", "--no-huge", "--no-pci", "-m", "256", "-l", "0,1", f"--file-prefix=cosm{os.getpid()}",
                   *options, "--", "--interactive", "--auto-start", "--forward-mode=io", "--total-num-mbufs=4096"]
        with open(f"{folder}/log", "w", encoding="utf-8") as log, \
                ended(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)):
            for _ in range(300):
                if pathlib.Path(folder, "two").exists():
                    break
                time.sleep(0.2)
            with guest(folder, "one", "192.168.5.1") as one, guest(folder, "two", "192.168.5.2") as two:
                both_ways(one, two)
                world.power_off(one)
                world.power_off(two)


def main():
    tap.main(sys.argv[1:])


main()
