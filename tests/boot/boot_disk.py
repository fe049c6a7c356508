#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A root file system on virtio-blk: written in the guest, clean after power off, and read back on the host."""

import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tap  # noqa: E402
import world  # noqa: E402  (finds tools/ too)
import initramfs  # noqa: E402

SBIN = os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"
# Becomes the first program on the disk: proves that the root is the disk, writes, and powers off.
DISK_INIT = """#!/bin/sh
mount -t proc proc /proc
echo "root is $(awk '$2 == "/" { print $3 }' /proc/mounts | tail -1)"
seq 100000 >/numbers
mkdir -p /tree/a/b/c
i=0; while [ $i -lt 200 ]; do echo "file $i" >/tree/a/b/c/$i; i=$((i + 1)); done
rm /tree/a/b/c/1*
sync
mount -o remount,ro /
echo "disk is written"
poweroff -f
"""


def host(*command, **options):
    path = dict(os.environ, PATH=os.environ["PATH"] + SBIN)
    if not shutil.which(command[0], path=path["PATH"]):
        raise tap.Skip(f"no {command[0]} here")
    done = subprocess.run([str(c) for c in command], env=path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    tap.check_equal(done.returncode, 0, f"the status of {command[0]} ({done.stdout.decode(errors='replace')[-500:]})")
    return done.stdout


def make_root(folder):
    """An ext4 image with busybox in it, made without privileges."""
    root = folder / "root"
    for name in ("bin", "sbin", "dev", "proc", "sys"):
        (root / name).mkdir(parents=True)
    shutil.copy(world.obtain("linux", "trixie") / "busybox", root / "bin")
    for applet in initramfs.APPLETS:
        (root / "bin" / applet).symlink_to("busybox")
    (root / "sbin" / "init").write_text(DISK_INIT)
    (root / "sbin" / "init").chmod(0o755)
    image = folder / "disk.img"
    host("mke2fs", "-q", "-t", "ext4", "-d", root, image, "64M")
    return image


def written_by(suite, harts):
    with tempfile.TemporaryDirectory() as name:
        image = make_root(pathlib.Path(name))
        with world.Console(world.command(suite, "quiet cosm.root=/dev/vda", harts, extra=["--drive", image])) as console:
            console.expect("root is ext4", world.BOOT_SECONDS)
            console.expect("disk is written", 120)
            tap.check_equal(console.wait(60), 0, "the exit status")
        host("e2fsck", "-f", "-n", image)
        numbers = host("debugfs", "-R", "cat /numbers", image)
        tap.check(numbers.endswith("".join(f"{n}\n" for n in range(1, 100001)).encode()), "/numbers reads otherwise")
        listing = host("debugfs", "-R", "ls -p /tree/a/b/c", image).decode()
        # Each line is /inode/mode/uid/gid/name/size/; inode 0 marks a free entry.
        entries = [line.split("/") for line in listing.splitlines() if line.count("/") > 5]
        names = {entry[5] for entry in entries if entry[1] != "0"}
        tap.check_equal(len(names - {".", ".."}), 89, "the number of files left")


def raw_bytes():
    """Every sector where it belongs: a pattern written by the host, summed by the guest, and the other way round."""
    with tempfile.NamedTemporaryFile(suffix=".img") as image:
        image.write(b"".join(n.to_bytes(4, "little") * 128 for n in range(8192)))
        image.flush()
        want = subprocess.check_output(["md5sum", image.name], text=True).split()[0]
        script = ("md5sum </dev/vda; dd if=/dev/zero of=/dev/vda bs=512 seek=4096 count=2048 conv=fsync 2>/dev/null; "
                  "blockdev --getsz /dev/vda")
        output, status, code = world.run_script(script, append="quiet", extra=["--drive", image.name])
        tap.check(want in output, f"the guest read other bytes:\n{output}")
        tap.check("8192" in output.split(), f"the guest sees another size:\n{output}")
        tap.check_equal((status, code), (0, 0), "the statuses")
        data = pathlib.Path(image.name).read_bytes()
        zeros = data[4096 * 512:6144 * 512]
        tap.check(zeros == bytes(len(zeros)), "what the guest wrote is not there")
        tap.check(data[4095 * 512] == 4095 & 255 and data[6144 * 512 + 1] == 6144 >> 8, "the guest wrote too far")


def overlay():
    """The same on a qcow2 image that lies on the raw one, which stays as it is."""
    with tempfile.TemporaryDirectory() as name:
        base = make_root(pathlib.Path(name))
        before = base.read_bytes()
        top, raw = base.with_name("top.qcow2"), base.with_name("top.raw")
        host(world.COSM, "disk", "create", "-b", base.name, "-F", "raw", top)
        drive = ["--drive", f"{top},backing=on"]
        with world.Console(world.command("trixie", "quiet cosm.root=/dev/vda", 2, extra=drive)) as console:
            console.expect("disk is written", 120)
            tap.check_equal(console.wait(60), 0, "the exit status")
        tap.check(base.read_bytes() == before, "the image below was written")
        host(world.COSM, "disk", "check", top)
        host(world.COSM, "disk", "convert", "--backing", top, raw)
        host("e2fsck", "-f", "-n", raw)
        numbers = host("debugfs", "-R", "cat /numbers", raw)
        tap.check(numbers.endswith("".join(f"{n}\n" for n in range(1, 100001)).encode()), "/numbers reads otherwise")


def killed():
    """kill -9 while the guest writes: the image has no errors, whatever space it lost."""
    with tempfile.TemporaryDirectory() as name:
        image, log = pathlib.Path(name) / "k.qcow2", pathlib.Path(name) / "log"
        host(world.COSM, "disk", "create", "-o", "cluster_size=4096", image, "64M")
        script = ("echo begun; for i in $(seq 400); do dd if=/dev/urandom of=/dev/vda bs=64k seek=$((i*37%1000)) count=3 "
                  "conv=fsync 2>/dev/null; done; echo finished")
        for _ in range(3):
            command = world.command("trixie", f'quiet cosm.test="{script}"', 1, extra=["--drive", image])
            with open(log, "wb") as out, subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out) as process:
                deadline = time.monotonic() + world.BOOT_SECONDS
                while b"begun" not in log.read_bytes().replace(b"echo begun", b"") and time.monotonic() < deadline:
                    time.sleep(0.1)
                time.sleep(random.random())
                process.kill()
            tap.check(b"begun" in log.read_bytes(), "the guest did not start")
            for command in ([world.COSM, "disk", "check", image], ["qemu-img", "check", "-f", "qcow2", image]):
                if not shutil.which(command[0]):
                    raise tap.Skip(f"no {command[0]} here")
                done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
                tap.check(done.returncode in (0, 3), f"{command} ends with {done.returncode}: {done.stdout[-500:]}")


tap.add("sectors are where they belong", raw_bytes)
tap.add("ext4 root on a qcow2 image over a raw one", overlay)
tap.add("kill -9 leaves a sound qcow2 image", killed)
tap.add("ext4 root written by trixie's kernel, 1 hart", written_by, "trixie", 1)
tap.add("ext4 root written by sid's kernel, 2 harts", written_by, "sid", 2)
tap.main(sys.argv[1:])
