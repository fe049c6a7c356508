#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Shared folders: what a guest does there with real programs is what the host finds, and nothing else of the host."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tap  # noqa: E402
import world  # noqa: E402

SECONDS = 120


@contextlib.contextmanager
def guest(how="", programs=()):
    """(console of a guest that has the folder at /m, the folder)"""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "shared"
        folder.mkdir()
        (pathlib.Path(name) / "secret").write_text("of the host", encoding="ascii")
        image = world.initramfs_with(name, [world.guest_program(world.ROOT / "tests" / "boot" / p, name)
                                            for p in programs]) if programs else None
        with world.boot(append="quiet", initrd=image, extra=["-v", f"{folder}:/m{how},tag=here"]) as console:
            console.run("mkdir /m; mount -t virtiofs here /m")
            yield console, folder
            if console.status is None:
                world.power_off(console)


def status(console, command, timeout=SECONDS):
    return int(console.run(f"({command}) >/tmp/out 2>&1; echo $?", timeout=timeout).split()[-1])


def good(console, command):
    code = status(console, command)
    tap.check_equal(code, 0, f"the status of {command}: {console.run('tail -n 3 /tmp/out')}")


def sums(folder):
    """Content, mode and kind of all below a folder on the host, as the guest's script prints it."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        name = str(path.relative_to(folder))
        if stat.S_ISLNK(mode):
            found[name] = "-> " + os.readlink(path)
        elif stat.S_ISDIR(mode):
            found[name] = "folder %o" % stat.S_IMODE(mode)
        else:
            digest = subprocess.run(["md5sum"], input=path.read_bytes(), stdout=subprocess.PIPE, check=True).stdout
            found[name] = "%s %o" % (digest.split()[0].decode(), stat.S_IMODE(mode))
    return found


def guest_sums(console, folder):
    """The same by few processes, as each costs the guest some milliseconds."""
    lines = console.run(f"cd {folder}; find . -mindepth 1 -exec stat -c '%n %a %F' {{}} +; find . -type f -exec md5sum {{}} +; "
                        "find . -type l -exec sh -c 'for f; do echo \"$f -> $(readlink $f)\"; done' - {} +; cd /root",
                        timeout=SECONDS).splitlines()
    links = dict(line.split(" -> ") for line in lines if " -> " in line and line.startswith("./"))
    digests = {name: digest for digest, name in (line.split("  ") for line in lines if re.match("[0-9a-f]{32}  ", line))}
    found = {}
    for name, mode, kind in (line.split(" ", 2) for line in lines if re.match(r"\S+ [0-7]+ \w", line)):
        found[name.removeprefix("./")] = f"-> {links[name]}" if "link" in kind else \
            f"folder {mode}" if kind == "directory" else f"{digests[name]} {mode}"
    return found


@tap.test("trees made by cp, tar, ln, mv and rm are the same on both sides")
def _():
    with guest() as (console, folder):
        good(console, "mkdir /m/bin && cp -a /bin/[a-d]* /m/bin && cp -a /etc /m/etc && mkdir -p /m/a/b/c && chmod 700 /m/a/b")
        good(console, "cd /m/a && echo one >f && ln f g && ln -s ../etc s && mv f b/moved && seq 10000 >b/numbers")
        good(console, "cd /m && tar cf all.tar bin etc a && mkdir copy && tar xf all.tar -C copy --no-same-owner")
        good(console, "cd /m && rm -rf bin && mv copy/bin bin2 && chmod 640 a/g && touch -d '2001-02-03 04:05:06' a/g")
        tap.check_equal(guest_sums(console, "/m"), sums(folder), "the tree")
        tap.check_equal((folder / "a" / "g").stat().st_nlink, 2, "links of a file")
        tap.check_equal(int((folder / "a" / "g").stat().st_mtime), int(console.run("stat -c %Y /m/a/g").split()[-1]),
                        "the time of a file")
        owner = (folder / "a" / "g").stat()
        tap.check_equal((owner.st_uid, owner.st_gid), (os.geteuid(), os.getegid()), "the owner on the host")
        tap.check_equal(console.run("stat -c %u:%g /m/a/g").split()[-1], "1000:1000", "the owner in the guest")
        good(console, "rm -rf /m/*")
        tap.check_equal(list(folder.iterdir()), [], "what is left")


@tap.test("what the host changes the guest sees, and the other way round")
def _():
    with guest() as (console, folder):
        for i in range(300):
            (folder / f"file{i:03}").write_text(str(i), encoding="ascii")
        tap.check_equal(console.run("ls /m | wc -l").split()[-1], "300", "files")
        tap.check_equal(console.run("cat /m/file2*| md5sum").split()[-2],
                        subprocess.run("cat file2* | md5sum", shell=True, cwd=folder, stdout=subprocess.PIPE, check=True,
                                       text=True).stdout.split()[0], "their content")
        (folder / "file000").write_text("changed by the host", encoding="ascii")
        console.run("sleep 1.2")
        tap.check("changed by the host" in console.run("cat /m/file000"), "an old content")
        good(console, "echo more >>/m/file000; sync; dd if=/dev/urandom of=/m/large bs=1M count=30; md5sum /m/large >/m/s")
        tap.check_equal((folder / "file000").read_text(encoding="ascii"), "changed by the hostmore\n", "what was added")
        digest = subprocess.run(["md5sum", folder / "large"], stdout=subprocess.PIPE, check=True, text=True).stdout
        tap.check_equal(digest.split()[0], (folder / "s").read_text(encoding="ascii").split()[0], "a large file")
        good(console, "truncate -s 1000 /m/large && truncate -s 1000000 /m/large && rm /m/file1*")
        tap.check_equal((folder / "large").stat().st_size, 1000000, "its length")
        tap.check_equal(len(list(folder.glob("file*"))), 200, "files that are left")


@tap.test("links lead nowhere on the host, and nothing but files, folders and links can be made")
def _():
    with guest() as (console, folder):
        (folder / "up").symlink_to("../secret")
        (folder / "root").symlink_to("/etc/shadow")
        (folder / "out").symlink_to(folder.parent)
        os.mkfifo(folder / "pipe")
        for path in "up", "root", "out/secret", "../secret", "out/shared/../secret":
            tap.check("of the host" not in console.run(f"cat /m/{path} 2>&1"), f"the guest read {path}")
        good(console, "ln -sf ../secret /m/mine && ! cat /m/mine")
        tap.check_equal((folder.parent / "secret").read_text(encoding="ascii"), "of the host", "the secret")
        for command in "mknod /m/d c 1 3", "mknod /m/b b 1 3", "mkfifo /m/f", "chown 7:7 /m/pipe":
            tap.check(status(console, command) != 0, f"{command} was done")
        good(console, "touch /m/x && chmod 6755 /m/x && mkdir -m 1777 /m/t && chown 0:0 /m/x")
        tap.check_equal(stat.S_IMODE((folder / "x").stat().st_mode), 0o755, "a mode without set-user-ID")
        tap.check_equal(stat.S_IMODE((folder / "t").stat().st_mode), 0o1777, "the mode of a folder")


@tap.test("the host exchanges folders and links while the guest walks through them: it never gets out")
def _():
    with guest() as (console, folder):
        outside = folder.parent / "outside"
        outside.mkdir()
        (outside / "f").write_text("of the host", encoding="ascii")
        (folder / "d").mkdir()
        (folder / "d" / "f").write_text("shared", encoding="ascii")
        stop = threading.Event()

        def exchange():
            while not stop.is_set():
                os.rename(folder / "d", folder / "e")
                (folder / "d").symlink_to(outside)
                os.unlink(folder / "d")
                os.rename(folder / "e", folder / "d")
        thread = threading.Thread(target=exchange, daemon=True)
        thread.start()
        try:
            text = console.run("for i in $(seq 300); do cat /m/d/f; echo x >/m/d/n$i; mv /m/d/n$i /m/n$i; done 2>&1 | "
                               "grep -v -e 'No such' -e Stale -e Invalid -e exist | sort | uniq -c", timeout=SECONDS)
        finally:
            stop.set()
            thread.join()
        tap.check("of the host" not in text, f"the guest got out: {text}")
        tap.check_equal([p.name for p in outside.iterdir()], ["f"], "files outside")


@tap.test("ro is only to be read; odd options are refused")
def _():
    with guest(":ro") as (console, folder):
        (folder / "f").write_text("text", encoding="ascii")
        tap.check("text" in console.run("cat /m/f"), "not readable")
        for command in "echo x >>/m/f", "touch /m/g", "rm /m/f", "mkdir /m/d", "mv /m/f /m/g", "ln /m/f /m/g", "chmod 600 /m/f":
            tap.check(status(console, command) != 0, f"{command} was done")
        tap.check_equal(sorted(p.name for p in folder.iterdir()), ["f"], "files")
    done = subprocess.run([world.COSM, "run", "-k", "x", "-v", "/nonexistent:/m"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    tap.check(done.returncode == 1, done.stderr)


def share_process(console):
    children = pathlib.Path(f"/proc/{console.pid}/task/{console.pid}/children").read_text(encoding="ascii").split()
    found = [int(c) for c in children if pathlib.Path(f"/proc/{c}/comm").read_text(encoding="ascii") == "cosm-share\n"]
    tap.check_equal(len(found), 1, "processes of shared folders")
    return found[0]


@tap.test("locks, mmap, fsync and what is not there; the guest outlives the process, which is confined")
def _():
    with guest(programs=["share_guest.c"]) as (console, folder):
        tap.check_equal(console.run("share_guest /m").split()[-1], "good", "the guest's program")
        tap.check_equal((folder / "mapped").read_bytes()[:12], b"through mmap", "what was written to a mapping")
        process = share_process(console)
        limits = pathlib.Path(f"/proc/{process}/status").read_text(encoding="ascii")
        tap.check("Seccomp:\t2" in limits and "NoNewPrivs:\t1" in limits, "the process is not confined")
        good(console, "ls /m")
        os.kill(process, signal.SIGKILL)
        console.expect("can use it no more", 10)
        console.run("")
        tap.check(status(console, "echo 3 >/proc/sys/vm/drop_caches; ls /m/new") != 0, "a dead folder answers")


if not shutil.which("md5sum"):
    raise SystemExit("needs md5sum")
tap.main(sys.argv[1:])
