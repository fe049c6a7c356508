#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""NBD: our server with the clients of others, our client with the servers of others, and a server that goes away."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tap  # noqa: E402

COSM = os.environ["COSM"]
MIB = 1 << 20
SIZE = 24 * MIB


def run(*command, status=0, **options):
    if not shutil.which(str(command[0])):
        raise tap.Skip(f"no {command[0]} here")
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
                          check=False, **options)
    tap.check_equal(done.returncode, status, f"the status of {command} ({done.stdout[-600:]})")
    return done.stdout


def disk(*arguments, **options):
    return run(COSM, "disk", *arguments, **options)


@contextlib.contextmanager
def served(*arguments):
    """Our server; its address."""
    with subprocess.Popen([str(a) for a in (COSM, "disk", "serve", *arguments)], stdout=subprocess.PIPE, text=True) as process:
        try:
            address = process.stdout.readline().strip()
            tap.check(address.startswith("nbd"), f"the server printed {address!r}")
            yield address
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            tap.check_equal(process.wait(60), 0, "the server's status")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def random_image(path):
    """A sparse file with random pieces."""
    with open(path, "wb") as file:
        file.truncate(SIZE)
        for _ in range(60):
            file.seek(random.randrange(SIZE // 4096 - 40) * 4096)
            file.write(random.randbytes(random.randrange(1, 40) * 1024))


def clients(folder):
    """nbdinfo, nbdcopy and qemu-img read what is there; nbdcopy writes it, by way of several connections."""
    raw, image, back = folder / "r.img", folder / "q.qcow2", folder / "back.img"
    random_image(raw)
    disk("convert", raw, image)
    with served(image, "--socket", folder / "s", "--export", "a disk") as uri:
        uri = uri.replace("a disk", "a%20disk")
        info = json.loads(run("nbdinfo", "--json", uri))["exports"][0]
        tap.check_equal((info["export-size"], info["is_read_only"], info["can_multi_conn"], info["can_fua"], info["can_trim"], info["can_zero"]),
                        (SIZE, False, True, True, True, True), "what nbdinfo is told")
        tap.check("a disk" in run("nbdinfo", "--list", f"nbd+unix:///?socket={folder}/s"), "the list of exports")
        extents = json.loads(run("nbdinfo", "--map", "--json", uri))
        tap.check_equal(sum(e["length"] for e in extents), SIZE, "the extents' sum")
        tap.check(any(e["type"] == 3 for e in extents) and any(e["type"] == 0 for e in extents), "holes and data")
        run("nbdcopy", uri, back)
        tap.check(back.read_bytes() == raw.read_bytes(), "nbdcopy read otherwise")
        run("qemu-img", "compare", "-f", "raw", "-F", "raw", raw, uri)
        run("nbdinfo", f"nbd+unix:///other?socket={folder}/s", status=1)
    tap.check(not (folder / "s").exists(), "the socket stays")
    random_image(raw)
    with served(image, "--listen", f"127.0.0.1:{free_port()}") as uri:
        run("nbdcopy", "--flush", "--connections=4", raw, uri)
        run("qemu-img", "compare", "-f", "raw", "-F", "raw", raw, uri)
    disk("compare", raw, image)
    run("qemu-img", "check", image)


def requests(folder):
    """Each kind of request, from qemu-io; what is out of range or not allowed."""
    image = folder / "d.img"
    disk("create", image, "8M")
    with served(image, "--socket", folder / "s") as uri:
        out = run("qemu-io", "-f", "raw", "-c", "write -P 7 1M 2M", "-c", "write -f -P 9 1536k 64k", "-c", "write -z 2M 64k",
                  "-c", "write -z -u 2112k 64k", "-c", "discard 2560k 64k", "-c", "flush", "-c", "read -P 7 1M 512k",
                  "-c", "read -P 9 1536k 64k", "-c", "read -P 0 2M 128k", "-c", "read -P 0 4M 4M", uri)
        tap.check("failed" not in out, out)
    data = image.read_bytes()
    tap.check(data[MIB:MIB + 512 * 1024] == bytes([7]) * 512 * 1024 and data[1536 * 1024] == 9, "the image has other bytes")
    with served(image, "--socket", folder / "s", "--readonly") as uri:
        run("nbdinfo", "--is", "readonly", uri)
        run("qemu-io", "-f", "raw", "-c", "write 0 4k", uri, status=1)
        run("qemu-io", "-r", "-f", "raw", "-c", "read -P 7 1M 4k", uri)
    tap.check(image.read_bytes() == data, "a client changed a read-only disk")


def our_client(folder):
    """Our client with nbdkit, qemu-nbd and our own server."""
    raw, back = folder / "r.img", folder / "back.qcow2"
    random_image(raw)
    for name, command in (("nbdkit", ["nbdkit", "-f", "-U", folder / "k", "file", raw]),
                          ("nbdkit without structured replies", ["nbdkit", "-f", "--no-sr", "-U", folder / "k", "file", raw]),
                          ("qemu-nbd", ["qemu-nbd", "-t", "-f", "raw", "-e", "4", "-k", folder / "k", raw])):
        if not shutil.which(command[0]):
            raise tap.Skip(f"no {command[0]} here")
        (folder / "k").unlink(missing_ok=True)
        with subprocess.Popen([str(c) for c in command]) as server:
            try:
                end = time.monotonic() + 30
                while not (folder / "k").exists() and time.monotonic() < end:
                    time.sleep(0.02)
                uri = f"nbd+unix:///?socket={folder}/k"
                tap.check(f"{SIZE}" in disk("info", uri), f"info with {name}")
                disk("convert", "-O", "qcow2", uri, back)
                disk("compare", "-F", "qcow2", uri, back)
                run("qemu-io", "-f", "qcow2", "-c", "write -P 3 5M 1M", back)
                disk("compare", "-F", "qcow2", uri, back, status=1)
            finally:
                server.terminate()
                server.wait()
    disk("info", f"nbd+unix:///?socket={folder}/k", status=1)


def bad_input(folder):
    """Sentences for what is wrong."""
    disk("create", folder / "d.img", "1M")
    for arguments, status, says in (
            (("info", "nbd://"), 1, "nbd://HOST"), (("info", "nbd://h:99999x/"), 1, "nbd://HOST"),
            (("info", f"nbd://127.0.0.1:{free_port()}/"), 1, "does a server run there"),
            (("info", "nbd+unix:///x"), 1, "socket=PATH"), (("info", "-f", "qcow2", "nbd://h/"), 1, "let the server open"),
            (("serve", folder / "d.img", "--listen", "a/b"), 2, "HOST[:PORT]"),
            (("serve", folder / "d.img", "--listen", "h", "--socket", "s"), 2, "one of them"),
            (("serve", folder / "none.img"), 1, "does not exist"),
            (("serve", folder / "d.img", "--socket", folder / "no" / "s"), 1, "cannot listen")):
        out = disk(*arguments, status=status)
        tap.check(says in out, f"{arguments}: {out}")


def add(name, function):
    def test():
        with tempfile.TemporaryDirectory(prefix="cosm-nbd-") as folder:
            function(pathlib.Path(folder))
    tap.add(name, test)


add("clients of others read and write", clients)
add("each kind of request", requests)
add("servers of others", our_client)
add("what is wrong is said", bad_input)
tap.main(sys.argv[1:])
