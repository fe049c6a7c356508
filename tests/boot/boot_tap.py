#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tap interfaces and bridges from outside: in namespaces of the test's own, a guest meets the host's own network."""

import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import namespace  # noqa: E402
import tap  # noqa: E402
import world  # noqa: E402

AMOUNT = 8 << 20


def guest(net, address, harts=1):
    console = world.boot(append="quiet", memory="256M", harts=harts, extra=["--net", net])
    console.run(f"ifconfig lo up; ifconfig eth0 {address} netmask 255.255.255.0 up")
    return console


def reaches(console, address):
    for _ in range(20):
        if int(console.run(f"ping -c 1 -W 2 {address} >/dev/null 2>&1; echo $?").split()[-1]) == 0:
            return True
        time.sleep(0.5)
    return False


def carry(console, here, there):
    """TCP both ways, with segments that only offloads make fast, and sums that must agree."""
    console.run(f"(head -c {AMOUNT} /dev/zero | tr '\\0' x | nc -l -p 81) & (nc -l -p 80 | wc -c >/tmp/got) &")
    end = time.monotonic() + 60
    while True:
        try:
            connection = socket.create_connection((there, 81), 5, (here, 0))
            break
        except OSError:
            tap.check(time.monotonic() < end, "no connection to the guest")
            time.sleep(0.2)
    with connection:
        connection.settimeout(60)
        data = bytearray()
        while len(data) < AMOUNT:
            part = connection.recv(1 << 20)
            if not part:
                break
            data += part
    tap.check(bytes(data) == b"x" * AMOUNT, f"{len(data)} bytes came, or others")
    with socket.create_connection((there, 80), 30) as connection:
        connection.settimeout(60)
        connection.sendall(bytes(AMOUNT))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    for _ in range(100):
        if str(AMOUNT) in console.run("cat /tmp/got"):
            return
        time.sleep(0.1)
    raise AssertionError("not all that was sent came to the guest")


def spread(console, host, ifname):
    """Each hart of the guest has a connection, whose frames come and go by the queue of that hart."""
    with socket.create_server((host, 82)) as server:
        server.settimeout(60)
        for hart in 0, 1:
            console.send(f"taskset {1 << hart} nc {host} 82 </dev/null | wc -c\r")
            with server.accept()[0] as connection:
                connection.sendall(bytes(AMOUNT))
            console.expect(str(AMOUNT), 60)
            console.expect("~ # ", 30)
    said = subprocess.run(["tc", "-s", "class", "show", "dev", ifname], capture_output=True, text=True, check=True).stdout
    sent = [int(part.split()[0]) for part in said.split("Sent ")[1:]]
    used = [count for count in sent if count > AMOUNT // 64]  # a few frames go another way
    tap.check(len(used) == 2, f"the host sent so many bytes by the queues: {sent[:8]}")


def frames_to(console, ifname, mac, count=50):
    """How many frames that the host sends to an address come to the guest's driver."""
    def received():
        return int(console.run("cat /sys/class/net/eth0/statistics/rx_packets").split()[-1])
    before = received()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((ifname, 0))
        for _ in range(count):
            wire.send(bytes.fromhex(mac) + bytes(6) + b"\x88\xb5" + bytes(46))
    console.run("sleep 0.2")
    return (received() - before) // count


def refused(*arguments, tool=()):
    """What cosm says, which must fail."""
    linux = world.obtain("linux", "trixie")
    done = subprocess.run([*tool, world.COSM, "run", "-k", linux / "Image", *arguments], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60, check=False)
    tap.check_equal(done.returncode, 1, f"the status; {done.stderr}")
    return done.stderr


@tap.test("a tap that cosm makes: pings and TCP both ways, by the host's own stack")
def _():
    with guest("tap,ifname=vm0", "192.168.9.2") as console:
        namespace.ip("addr", "add", "192.168.9.1/24", "dev", "vm0")
        tap.check(reaches(console, "192.168.9.1"), "the host does not answer")
        if shutil.which("ping"):
            subprocess.run(["ping", "-c", "2", "192.168.9.2"], check=True, stdout=subprocess.DEVNULL)
        carry(console, "192.168.9.1", "192.168.9.2")
        tap.check_equal(frames_to(console, "vm0", "02aabbccddee"), 0, "frames for others that come")
        tap.check_equal(frames_to(console, "vm0", "ffffffffffff"), 1, "broadcasts that come")
        console.run("ifconfig eth0 promisc")
        tap.check_equal(frames_to(console, "vm0", "02aabbccddee"), 1, "frames for others that come where all are wanted")
        console.run("ifconfig eth0 -promisc")
        tap.check("in use" in refused("--net", "tap,ifname=vm0"), "another reason")
        namespace.ip("link", "del", "vm0")
        console.expect("the interface vm0 is gone", 10)
        console.run("")
        tap.check("0" in console.run("cat /sys/class/net/eth0/carrier"), "the cable is plugged")
        world.power_off(console)


@tap.test("two guests meet at a bridge, and the host")
def _():
    namespace.ip("link", "add", "br0", "type", "bridge")
    namespace.ip("addr", "add", "192.168.8.1/24", "dev", "br0")
    namespace.ip("link", "set", "br0", "up")
    with guest("bridge=br0", "192.168.8.2") as one, guest("tap,bridge=br0", "192.168.8.3") as two:
        for console, other in (one, "192.168.8.3"), (two, "192.168.8.2"):
            tap.check(reaches(console, "192.168.8.1"), "the host does not answer")
            tap.check(reaches(console, other), "the other guest does not answer")
        carry(two, "192.168.8.1", "192.168.8.3")
        world.power_off(one)
        world.power_off(two)


@tap.test("an interface that was made before, a script, and several queues")
def _():
    namespace.ip("tuntap", "add", "dev", "made0", "mode", "tap", "multi_queue")
    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder) / "up"
        script.write_text("#!/bin/sh\nip addr add 192.168.7.1/24 dev $1 && ip link set $1 up\n", encoding="ascii")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        with guest(f"tap,ifname=made0,script={script},queues=2", "192.168.7.2", harts=2) as console:
            tap.check(reaches(console, "192.168.7.1"), "the host does not answer")
            spread(console, "192.168.7.1", "made0")
            world.power_off(console)
        namespace.ip("tuntap", "add", "dev", "made1", "mode", "tap")
        tap.check("multi_queue" in refused("--net", "tap,ifname=made1,queues=2"), "another reason")
        script.write_text("#!/bin/sh\nexit 3\n", encoding="ascii")
        tap.check("failed (status 3)" in refused("--net", f"tap,ifname=made0,script={script}"), "another reason")


@tap.test("what cannot be is told, with the way out")
def _():
    tap.check("no tap interface" in refused("--net", "tap,ifname=lo"), "another reason")
    tap.check("there is no bridge nix" in refused("--net", "bridge=nix"), "another reason")
    if shutil.which("setpriv"):
        weak = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
        said = refused("--net", "tap,ifname=vm9", tool=weak)
        tap.check("CAP_NET_ADMIN" in said and "ip tuntap add dev vm9" in said, f"'{said}' does not help")


def main():
    if not namespace.enter():
        return
    if not os.path.exists("/dev/net/tun"):
        print("1..0 # SKIP no /dev/net/tun")
        return
    tap.main(sys.argv[1:])


main()
