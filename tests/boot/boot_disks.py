#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Several disks of one VM: serials, queues, limits; one grows while the guest runs; an image in use names its VM."""

import hashlib
import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import named  # noqa: E402
import tap  # noqa: E402
from named import cosm  # noqa: E402

MIB = 1 << 20
SHOW = ("for d in a b c; do cd /sys/block/vd$d; echo vd$d $(cat serial) ro $(cat ro) queues $(ls mq | wc -l) "
        "discard $(cat queue/discard_max_bytes) zeroes $(cat queue/write_zeroes_max_bytes) size $(cat size); done; ")
# Waits for a size of each disk, then writes to the new part.
GROW = ("for i in $(seq 600); do [ $(cat /sys/block/vda/size) = 65536 ] && [ $(cat /sys/block/vdb/size) = 98304 ] && break; sleep 0.1; done; "
        "for d in a b; do n=$(cat /sys/block/vd$d/size); echo end | dd of=/dev/vd$d bs=512 seek=$((n-1)) conv=sync,fsync 2>/dev/null; "
        "echo vd$d has $n $(dd if=/dev/vd$d bs=512 skip=$((n-1)) 2>/dev/null | head -c 3); done; "
        "dd if=/dev/vda of=/dev/null bs=1M 2>&1 | head -1; echo refused $(dd if=/dev/zero of=/dev/vdc bs=512 count=1 2>&1 | head -1)")


def disks():
    with named.own_folder("cosm-disks-") as folder:
        raw, image, fixed = folder / "r.img", folder / "q.qcow2", folder / "ro.img"
        for path in (raw, image, fixed):
            tap.check_equal(cosm("disk", "create", path, "16M")[0], 0, "the status of create")
        with named.guest(folder, SHOW + GROW, "--disk", f"{raw},serial=RAW-1", "--disk", f"{image},serial=QCOW-2,id=data,queues=1",
                         "--disk", f"{fixed},readonly=on", harts=2) as it:
            it.until(lambda: "vdc" in it.text(), "the list of disks")
            status, text = cosm("disk", "info", image)
            tap.check(status == 1 and "the VM 't' (process" in text, f"who uses the image: {text}")
            status, text = cosm("disk", "resize", image, "8M")
            tap.check(status == 1 and "can only grow" in text, f"a smaller disk: {text}")
            status, text = cosm("disk", "resize", raw, "32M")
            tap.check_equal((status, text), (0, ""), "a larger raw disk")
            status, text = cosm("disk", "resize", image, "+32M")
            tap.check_equal((status, text), (0, ""), "a larger qcow2 disk")
            text = it.ends().replace("\r", "")
        for line in ("vda RAW-1 ro 0 queues 2 discard 2147483648 zeroes 2147483648 size 32768",
                     "vdb QCOW-2 ro 0 queues 1 ", "vdc ro 1 queues 2 discard 0 zeroes 0 size 32768",
                     "vda has 65536 end", "vdb has 98304 end", "32+0 records in", "refused dd: "):
            tap.check(f"\n{line}" in text, f"no '{line}' in:\n{text[-1500:]}")
        tap.check_equal(raw.stat().st_size, 32 * MIB, "the raw image's size")
        tap.check(raw.read_bytes()[-512:].startswith(b"end\n"), "the end of the raw image")
        named.check_image(image)


class Server:
    """'cosm disk serve', which is killed and started anew."""

    def __init__(self, image, path):
        self.command = [named.world.COSM, "disk", "serve", str(image), "--socket", str(path)]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        return self.process.stdout.readline().strip()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def network_disk():
    """A server that dies and comes back is not noticed by a guest that reads. One that stays away stops the VM."""
    script = ("for n in $(seq 30); do yes $n | head -c 65536 | dd of=/dev/vda bs=64k seek=$n conv=fsync 2>/dev/null || echo failed; done; "
              "echo begun; for i in 1 2 3 4 5 6; do echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vda bs=64k skip=1 count=30 2>/dev/null | md5sum; "
              "sleep 0.3; done")
    want = hashlib.md5(b"".join((f"{n}\n".encode() * 65536)[:65536] for n in range(1, 31))).hexdigest()
    with named.own_folder("cosm-nbd-") as folder:
        image = folder / "q.qcow2"
        tap.check_equal(cosm("disk", "create", image, "4M")[0], 0, "the status of create")
        server = Server(image, folder / "s")
        uri = server.start()
        try:
            with named.guest(folder, script, "--drive", f"{uri},reconnect=60,rerror=stop") as it:
                it.until(lambda: "begun" in it.text(), "the beginning")
                for _ in range(3):
                    time.sleep(0.3)
                    server.kill()
                    server.start()
                text = it.ends()
            tap.check_equal(text.count(want), 6, f"how often the guest read what it wrote (it saw:\n{text})")
            tap.check("failed" not in text, "the guest noticed")
            with named.guest(folder, "sleep 1; dd if=/dev/vda of=/dev/null bs=4k skip=900 count=1 && echo went on", "--drive",
                             f"{uri},reconnect=0,rerror=stop") as it:
                it.until(lambda: "test starts" in it.text(), "the beginning")
                server.kill()
                it.until_state("io-error")
                server.start()
                cosm("resume", "t")
                tap.check("went on" in it.ends(), "the guest saw an error")
        finally:
            server.kill()


def layers():
    """While the guest writes: a new image on top, a commit of it into the one below, a kill -9 amid another commit."""
    # Numbers the blocks of each round, so that what each image holds can be foretold.
    script = ("w() { for n in $(seq 60); do yes $1$n | head -c 65536 | dd of=/dev/vda bs=64k seek=$n conv=fsync 2>/dev/null || echo failed; done; "
              "echo round $1 is done; }; w 1; read x; w 2; read x; while true; do w 3; done")

    def content(n):
        return b"".join((f"{n}{i}\n".encode() * 65536)[:65536] for i in range(1, 61))

    with named.own_folder("cosm-layers-") as folder:
        base, top = folder / "base.img", folder / "top.qcow2"
        tap.check_equal(cosm("disk", "create", base, "16M")[0], 0, "the status of create")
        with named.guest(folder, script, "--drive", base, typed=True) as it:
            it.until(lambda: "round 1 is done" in it.text(), "the first round")
            tap.check_equal(cosm("disk", "snapshot", "external", base, top), (0, ""), "a new image on top")
            status, text = cosm("disk", "snapshot", "external", base, folder / "x.qcow2")
            tap.check(status == 1 and "no running VM" in text, f"of an image that is not on top: {text}")
            it.type("\n")
            it.until(lambda: "round 2 is done" in it.text(), "the second round")
            tap.check(base.read_bytes()[65536:61 * 65536] == content(1), "the image below was written")
            status, text = cosm("disk", "commit", top)
            tap.check(status == 1 and "--backing" in text, f"commit without leave: {text}")
            it.type("\n")
            tap.check_equal(cosm("disk", "commit", "--backing", top), (0, ""), "commit")
            tap.check(base.read_bytes()[65536:61 * 65536].translate(None, b"0123456789\n") == b"", "the image below has other bytes")
            tap.check(base.read_bytes()[65536] in b"23", "the image below was not written")
            tap.check("failed" not in it.text(), "the guest noticed")
            commit = subprocess.Popen([named.world.COSM, "disk", "commit", "--backing", str(top)], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL)
            time.sleep(random.random() / 5)
            it.process.kill()
            commit.wait(60)
        named.check_image(top)
        tap.check_equal(cosm("disk", "convert", "--backing", top, folder / "all.img")[0], 0, "the status of convert")
        data = (folder / "all.img").read_bytes()
        for n in range(1, 61):
            block = data[n * 65536:(n + 1) * 65536]
            tap.check(block in [(f"{r}{n}\n".encode() * 65536)[:65536] for r in (2, 3)], f"block {n} is of no round")


tap.add("several disks, and larger ones", disks)
tap.add("a snapshot and a commit while the guest writes", layers)
tap.add("a disk of an NBD server", network_disk)
tap.main(sys.argv[1:])
