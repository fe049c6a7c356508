#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Virtio sockets from outside: the host's socket files on one side, a guest's programs on the other."""

import contextlib
import os
import pathlib
import socket
import stat
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tap  # noqa: E402
import world  # noqa: E402

SECONDS = 60  # for whatever comes at once on a quiet machine
LOAD = "while read m; do insmod /lib/modules/$m; done </lib/modules/sharing"


@contextlib.contextmanager
def guest(*options):
    """(console of a guest with its drivers loaded, path of the host's socket)"""
    with tempfile.TemporaryDirectory() as folder:
        program = world.guest_program(world.ROOT / "tests" / "boot" / "vsock_guest.c", folder)
        image = world.initramfs_with(folder, [program])
        path = pathlib.Path(folder) / "v"
        with world.boot(append="quiet", initrd=image, extra=["--vsock", f"path={path},guest-cid=77", *options]) as console:
            console.run(LOAD)
            yield console, path
            world.power_off(console)
            tap.check(not path.exists(), "the socket's file is left")


def dial(path, port):
    """A connection to a port of the guest, or None if it was refused."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(SECONDS)
    connection.connect(str(path))
    connection.sendall(b"CONNECT %d\n" % port)
    answer = b""
    while not answer.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            connection.close()
            return None
        answer += byte
    tap.check(answer.startswith(b"OK "), f"{answer} instead of OK")
    return connection


def read_all(connection):
    parts = []
    while True:
        part = connection.recv(1 << 20)
        if not part:
            return b"".join(parts)
        parts.append(part)


def checksum(data):
    total = 0
    for byte in data:
        total = (total * 31 + byte) & 0xffffffff
    return total


@tap.test("host to guest: refused, echoed, much each way, each end closing first")
def _():
    with guest() as (console, path):
        tap.check_equal(stat.S_IMODE(path.stat().st_mode), 0o600, "the socket's mode")
        tap.check_equal(dial(path, 99), None, "a port where nobody listens")
        console.run("vsock_guest echo 10; vsock_guest sink 11; vsock_guest source 12 20000000; vsock_guest mute 13")
        for _ in range(3):
            with dial(path, 10) as one, dial(path, 10) as other:
                one.sendall(b"first")
                other.sendall(b"second")
                other.shutdown(socket.SHUT_WR)
                tap.check_equal(read_all(other), b"second", "the second echo")
                one.shutdown(socket.SHUT_WR)
                tap.check_equal(read_all(one), b"first", "the first echo")
        data = os.urandom(1 << 20) * 3
        with dial(path, 11) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            tap.check_equal(read_all(connection).split(), [b"%d" % len(data), b"%d" % checksum(data)], "what came")
        with dial(path, 12) as connection:
            connection.shutdown(socket.SHUT_WR)
            tap.check_equal(len(read_all(connection)), 20000000, "bytes from the guest")
        with dial(path, 12) as connection:
            connection.recv(1000)  # and no more: the guest's process gets a reset
        # What is written and closed at once arrives nevertheless.
        with dial(path, 10) as connection:
            connection.sendall(b"x" * 200000)


@tap.test("a guest that does not read stops the sender, and nothing else")
def _():
    with guest() as (console, path):
        console.run("vsock_guest mute 13; vsock_guest echo 10")
        with dial(path, 13) as mute:
            mute.settimeout(1)
            sent = 0
            with contextlib.suppress(socket.timeout):
                while sent < 1 << 26:
                    sent += mute.send(bytes(1 << 16))
            tap.check(sent < 1 << 23, f"{sent} bytes went nowhere")
            with dial(path, 10) as echo:
                echo.sendall(b"alive")
                tap.check_equal(echo.recv(100), b"alive", "the echo beside it")


@tap.test("guest to host: to whoever listens on the port's file, else refused")
def _():
    with guest() as (console, path):
        tap.check("refused" in console.run("vsock_guest call 2 5000 </dev/null") or
                  "reset" in console.run("vsock_guest call 2 5000 </dev/null"), "a port of the host where nobody is")
        got = []
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{path}_5000")
            listener.listen()
            listener.settimeout(SECONDS)

            def serve():
                connection, _ = listener.accept()
                with connection:
                    got.append(read_all(connection))
                    connection.sendall(b"heard\n")
            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            tap.check("heard" in console.run("seq 100000 | vsock_guest call 2 5000"), "no answer from the host")
            thread.join(SECONDS)
        want = "".join(f"{i}\n" for i in range(1, 100001)).encode()
        tap.check(got == [want], "other bytes came")


@tap.test("odd clients are closed, and many at once are served")
def _():
    with guest() as (console, path):
        console.run("vsock_guest echo 10")
        for greeting in b"GET / HTTP/1.0\r\n", b"CONNECT \n", b"CONNECT 10 \n", b"CONNECT 4294967295\n", b"C" * 100, b"\n":
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(SECONDS)
                client.connect(str(path))
                client.sendall(greeting)
                with contextlib.suppress(ConnectionResetError):
                    tap.check_equal(client.recv(100), b"", f"the answer to {greeting}")
        silent = [socket.socket(socket.AF_UNIX) for _ in range(20)]
        for client in silent:
            client.connect(str(path))
        many = [dial(path, 10) for _ in range(40)]
        for i, client in enumerate(many):
            client.sendall(b"%d" % i)
        for i, client in enumerate(many):
            tap.check_equal(client.recv(100), b"%d" % i, f"echo {i}")
        for client in silent + many:
            client.close()
        # The driver goes and comes again: what was open is closed.
        with dial(path, 10) as last:
            console.run("killall vsock_guest; busybox rmmod vmw_vsock_virtio_transport")
            tap.check_equal(last.recv(10), b"", "the end of a connection whose driver went")
        console.run("insmod /lib/modules/vmw_vsock_virtio_transport.ko; vsock_guest echo 10")
        with dial(path, 10) as again:
            again.sendall(b"again")
            tap.check_equal(again.recv(100), b"again", "the echo of the new driver")


@tap.test("a path that is taken is refused")
def _():
    with tempfile.TemporaryDirectory() as folder:
        there = pathlib.Path(folder) / "file"
        there.write_text("precious", encoding="ascii")
        command = world.command(extra=["--vsock", f"path={there}"])
        done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=SECONDS, check=False)
        tap.check_equal(done.returncode, 1, "the status")
        tap.check("no socket" in done.stderr and str(there) in done.stderr, done.stderr)
        tap.check_equal(there.read_text(encoding="ascii"), "precious", "what was there")


tap.main()
