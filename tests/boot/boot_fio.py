#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""fio of Debian writes and verifies in a guest while its host runs out of space, and after VMs that were killed.

fio's disk is made of its packages once and kept in the user's cache.
"""

import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "lib"), str(pathlib.Path(__file__).resolve().parents[2] / "bench")]
import named  # noqa: E402
import tap  # noqa: E402
import world  # noqa: E402
import debian  # noqa: E402  (bench/)
import guest  # noqa: E402  (tools/)

MIB = 1 << 20
SECONDS = 600  # for a run of fio, on a machine that does much else
REGION = 2  # MiB that are written and synced in one go
# f SEED OPTIONS: blocks are filled with the seed and their own offset, so those of another place or round are found out.
ENTER = ("mount -t ext4 -o ro /dev/vda /mnt; mount -t proc p /mnt/proc; mount --bind /dev /mnt/dev; mount -t tmpfs t /mnt/tmp; cd /; "
         "f() { x=$1; shift; chroot /mnt fio --name=x --filename=/dev/vdb --direct=1 --bs=4k --ioengine=libaio --iodepth=8 --rw=randwrite "
         "--verify=pattern --verify_pattern=0x$x%o --verify_fatal=1 --aux-path=/tmp $* >/mnt/tmp/out 2>&1; s=$?; "
         "[ $s = 0 ] || tail -n 3 /mnt/tmp/out; return $s; }; ")


def fio_disk():
    """A file system of fio and all that it needs, to be entered by chroot."""
    place = guest.cache_root() / "tests"
    final = place / "fio-trixie.img"
    with guest.locked(place):
        if final.exists():
            return final
        with tempfile.TemporaryDirectory(prefix="tmp-", dir=place) as name:
            debs, tree, image = (pathlib.Path(name) / part for part in ("debs", "tree", "disk.img"))
            debs.mkdir()
            tree.mkdir()
            apt = guest.Apt(guest.cache_root() / "apt", "trixie", "riscv64")
            apt.run("Package list of trixie", "update")
            listing = guest.output_of(["apt-get", "-qq", "install", "--print-uris", "--yes", "--no-install-recommends", "fio"], apt.env)
            names = re.findall(r"^'\S+' ([^_]+)_", listing, re.M)
            apt.run(f"{len(names)} packages of trixie", "download", *names, cwd=debs)
            debian.unpack(sorted(debs.glob("*.deb")), tree)
            for mount in ("dev", "proc", "tmp"):
                (tree / mount).mkdir(exist_ok=True)
            debian.tool("mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", "-d", tree, image, "400M")
            image.rename(final)
    return final


def drives(image):
    try:
        fio = fio_disk()
    except guest.Failure as failure:
        raise tap.Skip(str(failure).splitlines()[0]) from None
    return ["--drive", f"{fio},readonly=on", "--drive", image]


def run(folder, image, script):
    """What a guest prints that runs a script and ends."""
    with named.guest(folder, ENTER + script, *drives(image)) as it:
        return it.ends(SECONDS).replace("\r", "")


def full(kind):
    """The guest writes more than the host has room for; there is room once it stands still."""
    if os.environ.get("COSM_FAULTS_INSIDE") != "1":
        raise tap.Skip("no mount namespace of one's own can be had here")
    with named.own_folder("cosm-fio-", "24m") as folder:
        image, ballast = folder / f"d.{kind}", folder / "ballast"
        tap.check_equal(named.cosm("disk", "create", image, "16M"), (0, ""), "create")
        ballast.write_bytes(bytes(14 * MIB))
        with named.guest(folder, ENTER + "f 1001 && echo all verified", *drives(image)) as it:
            it.until_state("no-space", SECONDS)
            tap.check("verified" not in it.text() and "I/O error" not in it.text() and "fio:" not in it.text(), f"the guest noticed:\n{it.text()[-800:]}")
            ballast.unlink()
            tap.check("all verified" in it.ends(SECONDS), f"fio found otherwise:\n{it.text()[-1500:]}")
        named.check_image(image)
        text = run(folder, image, "f 1001 --verify_only && echo still verified; f 1002 --verify_only || echo others are not")
        tap.check("still verified" in text and "others are not" in text, f"after a reboot:\n{text[-1500:]}")


def killed(kind):
    """A kill -9 while fio writes, in one place after the other and then again: all that was synced is there."""
    regions = 6
    place = f"--offset=$((r*{REGION}))M --size={REGION}M"
    write = ("for p in 100 200 300; do for r in $(seq 0 %d); do echo begin $r $p$r; f $p$r %s --do_verify=0 --end_fsync=1 && "
             "echo synced $r $p$r; done; done" % (regions - 1, place))
    with named.own_folder("cosm-fio-") as folder:
        image = folder / f"d.{kind}"
        tap.check_equal(named.cosm("disk", "create", image, f"{regions * REGION}M"), (0, ""), "create")
        rounds = random.randrange(2, 2 * regions)
        with named.guest(folder, ENTER + write, *drives(image)) as it:
            it.until(lambda: it.text().count("\nsynced ") >= rounds, f"round {rounds}", SECONDS)
            time.sleep(random.random())
            it.process.kill()
            it.process.wait()
            text = it.text()
        named.check_image(image)
        synced = dict(re.findall(r"^synced (\d+) (\d+)\r*$", text, re.M))
        begun = re.findall(r"^begin (\d+) (\d+)\r*$", text, re.M)[-1]
        if synced.get(begun[0]) != begun[1]:
            synced.pop(begun[0], None)  # what was being written may be there or not
        tap.check(synced, f"nothing was synced:\n{text[-800:]}")
        pairs = " ".join(map(":".join, synced.items()))
        text = run(folder, image, f"for x in {pairs}; do r=${{x%:*}}; f ${{x#*:}} {place} --verify_only && echo region $r verified; done")
        tap.check_equal(sorted(re.findall(r"^region (\d+) verified$", text, re.M)), sorted(synced), f"what is verified ({text[-1500:]})")


if os.environ.get("COSM_FAULTS_INSIDE") is None:
    unshared = subprocess.run(["unshare", "-rm", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    os.environ["COSM_FAULTS_INSIDE"] = "1" if unshared else "0"
    if unshared:
        os.execvp("unshare", ["unshare", "-rm", sys.executable, *sys.argv])

for image_kind in ("qcow2", "img"):
    tap.add(f"fio verifies what it wrote while the host had no space, .{image_kind}", full, image_kind)
    tap.add(f"fio verifies what it synced before a kill -9, .{image_kind}", killed, image_kind)
tap.main(sys.argv[1:])
