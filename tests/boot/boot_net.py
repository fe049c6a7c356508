#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""User networking from outside: a guest with an address by DHCP talks to servers of this test, and they to it.

All of it runs in a user, mount and network namespace of its own, where the "internet" is 192.0.2.0/24 on the
loopback interface and the name server is this test's.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import namespace  # noqa: E402
import tap  # noqa: E402
import world  # noqa: E402

PAGE = bytes(range(256)) * 4096  # 1 MiB
# What udhcpc calls with what it was given.
LEASE = ("echo '[ \"$1\" = bound ] && ifconfig $interface $ip netmask $subnet && route add default gw $router && "
         "echo nameserver $dns >/etc/resolv.conf' >/tmp/lease; chmod +x /tmp/lease; "
         "sed -i '1i#!/bin/sh' /tmp/lease; ifconfig lo up; ifconfig eth0 up; "
         "udhcpc -i eth0 -n -q -t 5 -s /tmp/lease 2>&1")


def furnish():
    for command in (["addr", "add", "192.0.2.1/24", "dev", "lo"],
                    ["-6", "addr", "add", "2001:db8::1/128", "dev", "lo", "nodad"],
                    ["route", "add", "blackhole", "198.51.100.0/24"]):
        namespace.ip(*command)
    pathlib.Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 0", encoding="ascii")
    with tempfile.NamedTemporaryFile("w", delete=False) as file:
        file.write("nameserver 127.0.0.1\n")
    subprocess.run(["mount", "--bind", file.name, os.path.realpath("/etc/resolv.conf")], check=True)
    os.unlink(file.name)


def serve(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()


def serve_http(address, family=socket.AF_INET):
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, 80))
    listener.listen()

    def accept():
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PAGE) + PAGE)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass
    serve(accept)


def serve_udp(address, port, answer):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))

    def loop():
        while True:
            data, sender = server.recvfrom(65536)
            server.sendto(answer(data), sender)
    serve(loop)


def name_answer(query):
    """Every name is 192.0.2.1; there are no IPv6 addresses."""
    question = query[12:]
    end = question.index(0) + 5
    wants_v4 = question[end - 4:end - 2] == b"\0\1"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton("192.0.2.1") if wants_v4 else b""
    return query[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, int(wants_v4), 0, 0) + question[:end] + record


@contextlib.contextmanager
def guest(*options):
    """A guest that has its address, at its prompt."""
    with world.boot(append="quiet", extra=options) as console:
        console.send(LEASE + "\r")
        console.expect("lease of 10.0.2.15 obtained from 10.0.2.2", 60)
        console.expect("~ # ", 30)
        yield console


def status(console, command, timeout=60):
    """The exit status of a command in the guest."""
    return int(console.run(f"{command} >/tmp/out 2>&1; echo $?", timeout=timeout).split()[-1])


def udp_strays(console):
    return int(console.run("grep Udp: /proc/net/snmp").splitlines()[1].split()[2])


def wait_for_ipv6(console):
    for _ in range(20):
        if "fec0::" in console.run("route -A inet6"):
            return
        time.sleep(0.5)
    raise AssertionError("no route to fec0::/64")


def process_of(console):
    """The network process of a VM."""
    children = pathlib.Path(f"/proc/{console.pid}/task/{console.pid}/children").read_text(encoding="ascii").split()
    found = [int(c) for c in children if pathlib.Path(f"/proc/{c}/comm").read_text(encoding="ascii") == "cosm-net\n"]
    tap.check_equal(len(found), 1, "the number of network processes")
    return found[0]


def check_page(console, url):
    tap.check_equal(status(console, f"wget -T 10 -O /tmp/page {url}"), 0, f"wget's status for {url}")
    tap.check_equal(console.run("md5sum </tmp/page").split()[0], page_sum(), "the page's sum")


def page_sum():
    return subprocess.run(["md5sum"], input=PAGE, stdout=subprocess.PIPE, check=True).stdout.split()[0].decode()


@tap.test("a guest gets an address, pings, fetches and resolves")
def _():
    with guest("--net", "user") as console:
        for address, answers in ("10.0.2.2", True), ("10.0.2.3", True), ("192.0.2.1", True), ("198.51.100.9", False):
            code = status(console, f"ping -c 1 -W 3 {address}")
            tap.check_equal(code == 0, answers, f"that {address} answers pings")
        check_page(console, "http://10.0.2.2/")
        check_page(console, "http://192.0.2.1/")
        check_page(console, "http://web.example/")
        tap.check("192.0.2.1" in console.run("nslookup any.example 2>&1"), "the name has no address")
        tap.check("192.0.2.1" in console.run("nslookup any.example 192.0.2.1 2>&1 | tail -n +3"), "no answer over UDP")
        world.power_off(console)


@tap.test("IPv6: an address by router advertisement, the gateway answers, a page comes")
def _():
    with guest("--net", "user") as console:
        wait_for_ipv6(console)
        tap.check_equal(status(console, "ping -c 1 -W 5 fec0::2"), 0, "ping's status")
        check_page(console, "http://[fec0::2]/")
        check_page(console, "http://[2001:db8::1]/")
        world.power_off(console)


@tap.test("ports are forwarded: TCP, UDP, from IPv4")
def _():
    with guest("-p", "8080:80", "-p", "8181:81", "-p", "127.0.0.1:5300:53/udp") as console:
        console.run("(while true; do echo from-guest | nc -l -p 80; done) &")
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", 8080), 10) as connection:
                text = connection.makefile().read()
            if text:
                break
            time.sleep(0.5)
        tap.check_equal(text, "from-guest\n", "what the guest's server says")
        process = process_of(console)
        # Who hangs up before the guest answers, which talks all the same, does nobody harm.
        console.run("echo \"trap '' PIPE; echo talk; echo more; sleep 1; echo still; sleep 1; echo end; >/tmp/over\" >/tmp/talk; "
                    "nc -ll -p 81 -e sh /tmp/talk 2>/dev/null & ifconfig eth0 down")
        with socket.create_connection(("127.0.0.1", 8181), 10) as connection:
            connection.sendall(b"hello")
        console.run("ifconfig eth0 up; for i in $(seq 240); do [ -e /tmp/over ] && break; sleep 0.25; done", timeout=120)
        tap.check("over" in console.run("ls /tmp"), "the guest has not talked")
        tap.check_equal(process_of(console), process, "the network process after that")
        before = udp_strays(console)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"datagram", ("127.0.0.1", 5300))
        time.sleep(0.5)
        tap.check_equal(udp_strays(console) - before, 1, "datagrams that came to the guest's port, where nobody is")
        with contextlib.suppress(OSError), socket.create_connection(("192.0.2.1", 8080), 2):
            raise AssertionError("the forwarded port is open to others")
        world.power_off(console)


def cosm(*arguments, status=0):
    """Runs cosm; what it printed."""
    done = subprocess.run([world.COSM, *arguments], capture_output=True, text=True, timeout=60, check=False)
    tap.check_equal(done.returncode, status, f"the status of 'cosm {' '.join(arguments)}': {done.stderr}")
    return done.stdout if status == 0 else done.stderr


def is_open(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


@tap.test("several pairs of queues carry frames of several harts", long=True)
def _():
    with guest("--net", "user,queues=2", "--smp", "2") as console:
        tap.check_equal(console.run("ls /sys/class/net/eth0/queues").split(), ["rx-0", "rx-1", "tx-0", "tx-1"], "queues")
        console.run("for i in 1 2 3 4 5 6; do (wget -q -O /tmp/p$i http://10.0.2.2/; echo done >/tmp/d$i) & done")
        console.run("while [ $(ls /tmp/d? | wc -l) != 6 ]; do sleep 1; done", timeout=120)
        for i in range(1, 7):
            tap.check_equal(console.run(f"md5sum </tmp/p{i}").split()[0], page_sum(), f"the sum of page {i}")
        world.power_off(console)


@tap.test("ports come and go while the VM runs, a cable is pulled and plugged")
def _():
    with guest("-n", "web", "-p", "8080:80", "--net", "user,deny=192.0.2.7") as console:
        tap.check_equal(cosm("port", "web"), "127.0.0.1:8080/tcp -> 80\ndeny 192.0.2.7/32\n", "the ports")
        cosm("port", "add", "web", "8082:82", "127.0.0.1:5301:53/udp")
        tap.check(is_open(8082), "a port that was added is not open")
        tap.check("8082" in cosm("port", "add", "web", "8082:82", status=1), "a port forwarded twice")
        cosm("port", "rm", "web", "8082", "5301/udp")
        tap.check(not is_open(8082), "a port that was removed is open")
        tap.check("no port is forwarded" in cosm("port", "rm", "web", "8082", status=1), "another reason")
        cosm("port", "add", "web", "8083:83")
        net, = json.loads(cosm("port", "web", "--json"))
        tap.check_equal([f["host"] for f in net["forwards"]], ["127.0.0.1:8080", "127.0.0.1:8083"], "the ports")
        # They outlive the process that serves them.
        os.kill(process_of(console), signal.SIGKILL)
        console.expect("the network process has ended", 10)
        for _ in range(100):
            if is_open(8083):
                break
            time.sleep(0.2)
        tap.check(is_open(8083), "a port is gone")
        cosm("net", "link", "web", "down")
        tap.check("0" in console.run("cat /sys/class/net/eth0/carrier"), "the cable is not pulled")
        cosm("net", "link", "web", "net0", "up")
        tap.check("1" in console.run("cat /sys/class/net/eth0/carrier"), "the cable is not plugged")
        check_page(console, "http://10.0.2.2/")
        tap.check("net1" in cosm("net", "link", "web", "net1", "up", status=1), "another reason")
        world.power_off(console)
    cosm("rm", "web")


@tap.test("what the rules deny is refused at once, what they allow passes")
def _():
    with guest("--net", "user,deny=192.0.2.0/24:80,deny=2001:db8::/32,deny=127.0.0.1:81,allow=all") as console:
        wait_for_ipv6(console)
        for url in "http://192.0.2.1/", "http://10.0.2.2:81/", "http://[2001:db8::1]/":
            start = time.monotonic()
            tap.check_equal(status(console, f"wget -T 20 -O /dev/null {url}"), 1, f"wget's status for {url}")
            tap.check(time.monotonic() - start < 5, "refused late")
            tap.check("refused" in console.run("cat /tmp/out"), "another reason")
        check_page(console, "http://10.0.2.2/")
        tap.check("192.0.2.1" in console.run("nslookup any.example 192.0.2.1 2>&1 | tail -n +3"), "no answer over UDP")
        world.power_off(console)
    with guest("--net", "user,allow=10.0.2.3:53,allow=192.0.2.1:80,deny=all") as console:
        check_page(console, "http://web.example/")
        tap.check_equal(status(console, "wget -T 5 -O /dev/null http://10.0.2.2/"), 1, "wget's status")
        tap.check_equal(status(console, "ping -c 1 -W 3 10.0.2.2"), 1, "ping's status")
        world.power_off(console)


@tap.test("the cable delays and slows, and its record is one of frames", long=True)
def _():
    with tempfile.NamedTemporaryFile() as record:
        with guest("--net", f"user,mtu=1500,delay=30ms,rate=16M,pcap={record.name}") as console:
            start = time.monotonic()
            check_page(console, "http://10.0.2.2/")
            tap.check(time.monotonic() - start > len(PAGE) / 2e6, "a page came faster than the cable carries")
            times = console.run("ping -c 3 10.0.2.2 | grep time=")
            fastest = min(float(part.split("=")[1]) for part in times.split() if part.startswith("time="))
            tap.check(fastest >= 60, f"a ping took {fastest} ms")
            world.power_off(console)
        data = pathlib.Path(record.name).read_bytes()
    magic, major, minor, *_, link = struct.unpack_from("<IHHIIII", data)
    tap.check_equal((magic, major, minor, link), (0xa1b23c4d, 2, 4, 1), "the record's head")
    at, kinds = 24, []
    while at < len(data):
        _, _, kept, length = struct.unpack_from("<IIII", data, at)
        tap.check(kept == length and 14 <= length <= 1514, f"a frame of {length} bytes, {kept} kept")
        kinds.append(data[at + 28:at + 30] + data[at + 39:at + 40])
        at += 16 + length
    tap.check_equal(at, len(data), "where the record ends")
    tap.check(kinds.count(b"\x08\x00\x01") >= 6 and kinds.count(b"\x08\x00\x06") > len(PAGE) // 1500,
              "frames are missing")


@tap.test("a network process that died is started anew, and ends with the VM")
def _():
    with guest("--net", "user", "-p", "8081:80") as console:
        os.kill(process_of(console), signal.SIGKILL)
        console.expect("the network process has ended", 10)
        console.send("while ! grep 1 /sys/class/net/eth0/carrier; do sleep 1; done; echo carrier again\r")
        console.expect("carrier again\r\n", 60)
        console.expect("~ # ", 30)
        check_page(console, "http://10.0.2.2/")
        with socket.create_connection(("127.0.0.1", 8081), 10):
            pass
        console.run("")
        world.power_off(console)
    with guest("--net", "user") as console:
        process = process_of(console)
        limits = pathlib.Path(f"/proc/{process}/status").read_text(encoding="ascii")
        tap.check("Seccomp:\t2" in limits and "NoNewPrivs:\t1" in limits, "the network process is not confined")
        os.kill(console.pid, signal.SIGKILL)
        for _ in range(100):
            if not pathlib.Path(f"/proc/{process}/fd").exists() or not os.path.exists(f"/proc/{process}"):
                break
            time.sleep(0.1)
        state = pathlib.Path(f"/proc/{process}/stat")
        tap.check(not state.exists() or state.read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z",
                  "the network process lives on")


def main():
    if not namespace.enter():
        return
    furnish()
    for address in "127.0.0.1", "192.0.2.1":
        serve_http(address)
    for address in "::1", "2001:db8::1":
        serve_http(address, socket.AF_INET6)
    serve_udp("127.0.0.1", 53, name_answer)
    serve_udp("192.0.2.1", 53, name_answer)
    with tempfile.TemporaryDirectory(prefix="cosm-net-") as home:
        for name in "state", "run":
            (pathlib.Path(home) / name).mkdir(mode=0o700)
        os.environ["XDG_STATE_HOME"] = f"{home}/state"
        os.environ["XDG_RUNTIME_DIR"] = f"{home}/run"
        tap.main(sys.argv[1:])


main()
