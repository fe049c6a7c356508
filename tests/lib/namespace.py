# SPDX-License-Identifier: BSD-2-Clause
"""Tests of networking run in user, mount and network namespaces of their own."""

import contextlib
import os
import shutil
import subprocess
import sys

import tap
import world

INSIDE = "COSM_TEST_NAMESPACE"


def enter():
    """Goes on in new namespaces, with a guest obtained before; or skips all and returns False."""
    if os.environ.get(INSIDE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return True
    reason = None
    if not shutil.which("unshare") or not shutil.which("ip"):
        reason = "needs unshare and ip"
    elif subprocess.run(["unshare", "-rmn", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        reason = "no namespaces here"
    else:
        try:
            world.obtain("linux", "trixie")
        except tap.Skip as skip:
            reason = str(skip)
    if reason:
        print(f"1..0 # SKIP {reason}")
        return False
    os.execvpe("unshare", ["unshare", "-rmn", sys.executable, *sys.argv], os.environ | {INSIDE: "1"})
    return False


def ip(*words, pid=None):
    """Runs ip, in the network namespace of a process if need be."""
    there = ["nsenter", "-t", str(pid), "-n"] if pid else []
    subprocess.run([*there, "ip", *words], check=True)


# Within one kernel packets travel without checksums and unsegmented, which no other end could read.
PLAIN = """
import array, fcntl, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for command in 0x17, 0x1f, 0x24:  # ETHTOOL_STXCSUM, _STSO, _SGSO
    value = array.array("I", [command, 0])
    fcntl.ioctl(s, 0x8946, struct.pack("16sP", sys.argv[1].encode(), value.buffer_info()[0]))
"""


def plain(device, pid):
    """The device sends packets as a wire carries them."""
    subprocess.run(["nsenter", "-t", str(pid), "-n", sys.executable, "-c", PLAIN, device], check=True)


@contextlib.contextmanager
def neighbour(address, here):
    """Another network namespace behind a pair of interfaces with these addresses; the process that holds it."""
    with subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE) as holder:
        try:
            holder.stdout.read(1)
            ip("link", "add", "here", "type", "veth", "peer", "name", "there", "netns", str(holder.pid))
            ip("addr", "add", here, "dev", "here")
            ip("link", "set", "here", "up")
            ip("addr", "add", address, "dev", "there", pid=holder.pid)
            ip("link", "set", "there", "up", pid=holder.pid)
            ip("link", "set", "lo", "up", pid=holder.pid)
            yield holder.pid
        finally:
            holder.kill()
            subprocess.run(["ip", "link", "del", "here"], check=False, stderr=subprocess.DEVNULL)
