#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Networks between VMs from outside: real guests that find each other, and what their switch lets pass."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import namespace  # noqa: E402
import tap  # noqa: E402
import world  # noqa: E402

# What udhcpc calls with what it was given.
LEASE = ("printf '#!/bin/sh\\n[ $1 = bound ] || exit 0\\nifconfig $interface $ip netmask $subnet\\n"
         "[ -z \"$router\" ] || route add default gw $router\\n"
         "echo nameserver $dns >/etc/resolv.conf\\necho search $domain >>/etc/resolv.conf\\n' >/tmp/lease; "
         "chmod +x /tmp/lease; ifconfig lo up; ifconfig eth0 up")
DHCP = "udhcpc -i eth0 -n -q -t 5 -s /tmp/lease 2>&1"


def cosm(*arguments, status=0):
    """Runs cosm; what it printed."""
    done = subprocess.run([world.COSM, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    tap.check_equal(done.returncode, status, f"the status of 'cosm {' '.join(map(str, arguments))}': {done.stderr}")
    return done.stdout if status == 0 else done.stderr


@contextlib.contextmanager
def network(name, *options):
    cosm("net", "create", name, *options)
    try:
        yield json.loads(cosm("net", "info", name, "--json"))
    finally:
        cosm("net", "rm", "-f", name)


@contextlib.contextmanager
def vms(*guests, address=True):
    """Guests (name and the value of --net each) at their prompts, with an address unless told otherwise."""
    with contextlib.ExitStack() as stack:
        consoles = [stack.enter_context(world.boot(append="quiet", memory="256M", extra=["-n", name, "--net", net]))
                    for name, net in guests]
        for console, (name, _) in zip(consoles, guests):
            stack.callback(cosm, "rm", "-f", name)
            console.run(LEASE)
            if address:
                tap.check("obtained" in console.run(DHCP, timeout=120), "no lease")
        yield consoles


def status(console, command, timeout=60):
    """The exit status of a command in the guest."""
    return int(console.run(f"{command} >/tmp/out 2>&1; echo $?", timeout=timeout).split()[-1])


def answers(console, address, expected=True, ping="ping -c 2 -W 2"):
    """Whether a host answers pings; one that should is given time."""
    for _ in range(10 if expected else 1):
        if status(console, f"{ping} {address}") == 0:
            break
        time.sleep(0.5)
    else:
        tap.check(not expected, f"{address} does not answer")
        return
    tap.check(expected, f"{address} answers")


def ports(name):
    return {port["vm"]: port for port in json.loads(cosm("net", "info", name, "--json"))["ports"]}


def address_of(name, vm):
    return next(a for a in ports(name)[vm]["addresses"] if "." in a)


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        tap.check(time.monotonic() < end, f"{what} did not come about in {seconds} s")
        time.sleep(0.1)


@tap.test("VMs get addresses and find each other by name, by IPv4 and IPv6; the switch ends after the last")
def _():
    with network("lab", "--subnet", "10.7.0.0/24,fd00:7::/64") as info:
        tap.check_equal((info["subnet"], info["running"]), ("10.7.0.0/24", False), "subnet and state before")
        with vms(("web", "lab"), ("db", "lab")) as (web, db):
            answers(db, "web")
            answers(web, "db.lab")
            answers(web, "10.7.0.1")
            answers(db, "10.7.0.2", False)
            answers(db, "fd00:7::1", ping="ping6 -c 1")
            wait_until(lambda: any(a.startswith("fd00:7:") for a in ports("lab")["web"]["addresses"]), "an address")
            answers(db, "web", ping="ping6 -c 1")
            tap.check_equal(status(db, "nslookup nobody.lab"), 1, "nslookup's status for a name that nobody has")
            tap.check("web.lab" in db.run(f"nslookup {address_of('lab', 'web')} 2>&1"), "no name for an address")
            web.run("(while true; do echo from-web | nc -l -p 80; done) &")
            tap.check("from-web" in db.run("for i in 1 2 3 4 5; do nc web 80 </dev/null && break; sleep 1; done"), "TCP")
            rows = {row["name"]: row for row in json.loads(cosm("net", "ls", "--json"))}
            tap.check_equal((rows["lab"]["running"], len(rows["lab"]["ports"])), (True, 2), "what ls says")
            sockets = pathlib.Path(os.environ["XDG_RUNTIME_DIR"]) / "cosm"
            tap.check_equal((sockets / "net-lab.sock").stat().st_mode & 0o777, 0o600, "the socket's mode")
            tap.check("VMs are in the network" in cosm("net", "rm", "lab", status=1), "another reason")
        wait_until(lambda: not json.loads(cosm("net", "info", "lab", "--json"))["running"], "the switch's end")


@tap.test("a VM sends only from its own addresses, unless it is trusted", long=True)
def _():
    with network("lab", "--sandbox", "off") as made, \
            vms(("web", "lab"), ("evil", "lab"), ("router", "lab,trust=on")) as (web, evil, router):
        switch, = switches()
        tap.check_equal(made["sandbox"], "off", "what is kept of it")
        tap.check("Seccomp:\t0" in pathlib.Path(f"/proc/{switch}/status").read_text(encoding="ascii"), "it is confined")
        taken = address_of("lab", "web")
        answers(evil, taken)
        evil.run(f"ifconfig eth0:1 {taken} netmask 255.255.255.0")
        tap.check(status(evil, f"arping -c 2 -w 2 -I eth0 -s {taken} {address_of('lab', 'router')}") != 0,
                  "an address of another's was used")
        tap.check(ports("lab")["evil"]["refused"] > 0, "nothing was refused")
        answers(router, taken)
        evil.run("ifconfig eth0:1 down; ifconfig eth0 down; ifconfig eth0 hw ether 06:00:00:00:00:99; ifconfig eth0 up")
        answers(evil, taken, False)
        mac = ports("lab")["router"]["mac"]
        router.run("ifconfig eth0 down; ifconfig eth0 hw ether 06:00:00:00:00:98; ifconfig eth0 up")
        answers(router, taken)
        tap.check(mac != "06:00:00:00:00:98", "the address was that one before")
        # DHCP is the network's own.
        evil.run("printf 'start 10.9.9.9\\nend 10.9.9.10\\ninterface eth0\\n' >/tmp/u; (udhcpd -f /tmp/u >/dev/null 2>&1 &)")
        tap.check("obtained from 10.9" not in web.run(DHCP), "a VM gives addresses away")


@tap.test("VLANs are apart, a trunk carries them with tags", long=True)
def _():
    with network("lab"), vms(("a", "lab,vlan=10"), ("b", "lab,vlan=20"), ("c", "lab,trunk=10+20"),
                             address=False) as (a, b, c):
        a.run("ifconfig eth0 192.168.1.1")
        b.run("ifconfig eth0 192.168.1.2")
        c.run("ip link add link eth0 name v10 type vlan id 10; ip link add link eth0 name v20 type vlan id 20")
        if status(c, "ifconfig v10 192.168.1.3 netmask 255.255.255.0") == 0:
            answers(c, "192.168.1.1")
            answers(c, "192.168.1.2", False)
            c.run("ifconfig v10 down; ifconfig v20 192.168.1.4 netmask 255.255.255.0")
            answers(c, "192.168.1.2")
        else:
            print("# the guest's kernel has no VLANs")
        answers(a, "192.168.1.2", False)


@tap.test("a network and a port are recorded for tshark; a cable is made worse and good again")
def _():
    with network("lab"), tempfile.TemporaryDirectory() as folder:
        whole, one = pathlib.Path(folder) / "whole.pcap", pathlib.Path(folder) / "one.pcap"
        with vms(("web", "lab"), ("db", f"lab,pcap={one}")) as (web, db):
            cosm("net", "capture", "lab", whole)
            answers(db, "web")
            cosm("net", "capture", "lab", "off")
            cosm("net", "impair", "lab", "web", "delay=40ms")
            times = web.run("ping -c 3 db | grep time=")
            fastest = min(float(t) for t in re.findall(r"time=([\d.]+)", times))
            tap.check(fastest >= 80, f"a ping took {fastest} ms")
            cosm("net", "impair", "lab", "web", "loss=100%")
            answers(web, address_of("lab", "db"), False)  # a name would be asked for at length
            cosm("net", "impair", "lab", "web", "none")
            answers(web, "db")
            tap.check("no VM 'nobody'" in cosm("net", "impair", "lab", "nobody", "none", status=1), "another reason")
        if not shutil.which("tshark"):
            print("# no tshark")
            return
        for record in whole, one:
            seen = subprocess.run(["tshark", "-r", record, "-Y", "icmp.type == 8 || dns.qry.name", "-T", "fields", "-e",
                                   "ip.dst", "-e", "dns.qry.name"], capture_output=True, text=True, check=True).stdout
            tap.check("web" in seen, f"{record.name} has no question for a name: {seen}")
            bad = subprocess.run(["tshark", "-r", record, "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
                                  "-Y", "_ws.malformed || udp.checksum.status == 0 || ip.checksum.status == 0"],
                                 capture_output=True, text=True, check=True).stdout
            tap.check_equal(bad, "", f"frames of {record.name} with faults")


def switches():
    """Those of this test's network namespace."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # another's, or gone
            if (process / "comm").read_text(encoding="ascii") == "cosm-switch\n" and \
                    os.readlink(process / "ns/net") == os.readlink("/proc/self/ns/net"):
                found.append(int(process.name))
    return found


@tap.test("a switch that died is started anew; one that was removed is not")
def _():
    with network("lab"), vms(("web", "lab"), ("db", "lab")) as (web, db):
        answers(web, "db")
        switch, = switches()
        limits = pathlib.Path(f"/proc/{switch}/status").read_text(encoding="ascii")
        tap.check("Seccomp:\t2" in limits and "NoNewPrivs:\t1" in limits, "the switch is not confined")
        os.kill(switch, signal.SIGKILL)
        wait_until(lambda: json.loads(cosm("net", "info", "lab", "--json"))["running"], "another switch")
        wait_until(lambda: len(ports("lab")) == 2, "both ports")
        # It learns IPv4 addresses from guests that speak, which these do now only because they are asked to.
        wait_until(lambda: all("." in str(port["addresses"]) for port in ports("lab").values()), "what it has to know")
        answers(web, address_of_guest(db))
        cosm("net", "rm", "--force", "lab")
        for console in web, db:
            wait_until(lambda c=console: "0" in c.run("cat /sys/class/net/eth0/carrier"), "the end of the link")
        cosm("net", "create", "lab")
        tap.check("strict, auto or off" in cosm("net", "create", "other", "--sandbox", "some", status=2), "another reason")


def address_of_guest(console):
    return re.search(r"inet addr:(\S+)", console.run("ifconfig eth0"))[1]


@tap.test("with --nat VMs get out, as far as rules allow")
def _():
    namespace.ip("addr", "add", "192.0.2.1/24", "dev", "lo")
    pages = [subprocess.Popen([sys.executable, "-m", "http.server", "-b", "192.0.2.1", "-d", "/proc/self/attr", str(port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for port in (80, 81)]
    try:
        with network("lab", "--nat", "--deny", "192.0.2.1:81"), vms(("web", "lab"), ("db", "lab")) as (web, db):
            for console in web, db:
                answers(console, "192.0.2.1")
                wait_until(lambda c=console: status(c, "wget -T 5 -O - http://192.0.2.1/") == 0, "a page")
                tap.check(status(console, "wget -T 5 -O - http://192.0.2.1:81/") == 1, "the rule does not hold")
                tap.check("refused" in console.run("cat /tmp/out"), "another reason")
            answers(web, "db")
    finally:
        for page in pages:
            page.kill()
            page.wait()


@tap.test("a tunnel goes to a VXLAN device of the kernel", long=True)
def _():
    with namespace.neighbour("198.51.100.2/24", "198.51.100.1/24") as there:
        namespace.ip("link", "add", "vx", "type", "vxlan", "id", "42", "remote", "198.51.100.1", "dstport", "4789",
                     pid=there)
        namespace.ip("addr", "add", "10.7.0.200/24", "dev", "vx", pid=there)
        namespace.ip("link", "set", "vx", "up", pid=there)
        namespace.plain("vx", there)
        with network("far", "--subnet", "10.7.0.0/24", "--vxlan", "remote=198.51.100.2,vni=42", "--dhcp", "16-99"), \
                vms(("web", "far")) as (web,):
            answers(web, "10.7.0.200", ping="ping -c 2 -s 1400")
            tap.check(int(address_of("far", "web").rpartition(".")[2]) in range(16, 100), "an address beyond the range")
            reply = subprocess.run(["nsenter", "-t", str(there), "-n", "ping", "-c", "2", "-W", "2",
                                    address_of("far", "web")], stdout=subprocess.DEVNULL, check=False) \
                if shutil.which("ping") else None
            tap.check(reply is None or reply.returncode == 0, "the guest does not answer through the tunnel")
            web.run("(nc -l -p 80 >/tmp/got; echo) &")
            script = ("import socket,time\n"
                      "for i in range(50):\n"
                      "    try: s = socket.create_connection(('%s', 80), 5); break\n"
                      "    except OSError: time.sleep(0.2)\n"
                      "s.sendall(bytes(300000)); s.close()" % address_of("far", "web"))
            subprocess.run(["nsenter", "-t", str(there), "-n", sys.executable, "-c", script], check=True, timeout=60)
            wait_until(lambda: "300000" in web.run("wc -c </tmp/got"), "all bytes")


def main():
    if not namespace.enter():
        return
    with tempfile.TemporaryDirectory(prefix="cosm-lab-") as home:
        for name in "state", "run":
            (pathlib.Path(home) / name).mkdir(mode=0o700)
        os.environ["XDG_STATE_HOME"] = f"{home}/state"
        os.environ["XDG_RUNTIME_DIR"] = f"{home}/run"
        pathlib.Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 0", encoding="ascii")
        tap.main(sys.argv[1:])


main()
