#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A host that cannot serve a disk: the VM stands still and goes on, or the guest is told, as asked for."""

import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import named  # noqa: E402
import tap  # noqa: E402
from named import check_image, cosm, guest  # noqa: E402

MIB = 1 << 20
# What the guest writes is made from its number, so that what it finds later can be foretold.
BLOCKS = "for n in $(seq {count}); do yes $n | head -c 65536; done"


def pattern(count):
    return b"".join((f"{n}\n".encode() * 65536)[:65536] for n in range(1, count + 1))


@contextlib.contextmanager
def folder_for(mount=None):
    if mount and os.environ.get("COSM_FAULTS_INSIDE") != "1":
        raise tap.Skip("no mount namespace of one's own can be had here")
    with named.own_folder("cosm-faults-", mount) as folder:
        yield folder


WRITE = (f"{BLOCKS.format(count=120)} >/tmp/x; echo begun; sleep 1; dd if=/tmp/x of=/dev/vda bs=64k conv=fsync 2>/dev/null && echo all is on the disk; "
         "echo 3 >/proc/sys/vm/drop_caches; dd if=/dev/vda bs=64k count=120 2>/dev/null | md5sum")


def full():
    """No space left, the second time after a kill -9 in the midst of it."""
    with folder_for("12m") as folder:
        image, ballast = folder / "d.qcow2", folder / "ballast"
        status, text = cosm("disk", "create", "-o", "cluster_size=4096", image, "32M")
        tap.check_equal(status, 0, text)
        ballast.write_bytes(bytes(8 * MIB))
        with guest(folder, WRITE, "--drive", image) as it:
            it.until_state("no-space")
            tap.check(image.name in it.row()["trouble"] and "No space left" in it.row()["trouble"], f"ps says {it.row()}")
        check_image(image)
        with guest(folder, WRITE, "--drive", image) as it:
            it.until(lambda: "begun" in it.text(), "the beginning")
            it.until_state("no-space")
            time.sleep(1)
            tap.check("all is on" not in it.text() and "I/O error" not in it.text(), "the guest noticed")
            tap.check("stands still" in it.text() and "once there is space" in it.text(), f"cosm said:\n{it.text()[-800:]}")
            ballast.unlink()
            text = it.ends()
        tap.check("all is on the disk" in text and hashlib.md5(pattern(120)).hexdigest() in text, f"the guest read otherwise:\n{text}")
        check_image(image)


def stop_and_resume(policy, fault, script, *want):
    """Each so manieth request fails: the VM stops there, and 'cosm resume' tries again."""
    with folder_for() as folder:
        image = folder / "d.img"
        image.write_bytes(bytes(4 * MIB))
        with guest(folder, script, "--drive", f"{image},{policy},fault={fault},id=data") as it:
            it.until(lambda: (folder / "run" / "cosm" / "t.sock").exists(), "the control socket")
            events = it.events()
            tap.check(b"QMP" in events.readline() and b"return" in events.readline(), "the greeting")
            error = json.loads(events.readline())
            tap.check_equal(error["event"], "BLOCK_IO_ERROR")
            tap.check_equal({k: error["data"][k] for k in ("device", "operation", "nospace", "reason")},
                            {"device": "data", "operation": want[0], "nospace": False, "reason": "Input/output error"})
            tap.check_equal(json.loads(events.readline())["event"], "STOP")
            tap.check_equal(it.row()["state"], "io-error", "the state that ps shows")
            tap.check_equal(cosm("resume", "t")[0], 0, "the status of resume")
            tap.check_equal(json.loads(events.readline())["event"], "RESUME")
            tap.check("done" not in it.text(), "the guest went on while it stood")
            cosm("kill", "t")  # and a VM that stands still, or is about to, can be ended


def guest_sees():
    """The guest is told of the error, or of success, as each disk's policy wants."""
    policies = {"werror=report,fault=write:1+:ENOSPC": 1, "fault=flush:1+:EIO": 1, "werror=ignore,fault=write:1+:EIO": 0}
    with folder_for() as folder:
        drives, script = [], ""
        for name, policy in zip("abc", policies):
            (folder / name).write_bytes(bytes(MIB))
            drives += ["--drive", f"{folder / name},{policy}"]
            script += f"dd if=/dev/zero of=/dev/vd{name} bs=4k count=1 conv=fsync 2>/dev/null; echo {name} $?; "
        with guest(folder, script, *drives) as it:
            text = it.ends()
        for name, status in zip("abc", policies.values()):
            tap.check(f"\n{name} {status}" in text.replace("\r", ""), f"disk {name}: not {status} in:\n{text[-800:]}")


def reset_while_full():
    """A VM that waits for space can be started anew: what waits is given up."""
    with folder_for() as folder:
        image = folder / "d.img"
        image.write_bytes(bytes(4 * MIB))
        # The pause lets what was printed leave the guest before it stands still.
        script = "sleep 1; dd if=/dev/zero of=/dev/vda bs=64k count=8 conv=fsync; echo status $?"
        with guest(folder, script, "--drive", f"{image},fault=write:1+:ENOSPC") as it:
            it.until_state("no-space")
            first = it.text().count("test starts")
            control = it.events()
            control.raw._sock.sendall(b'{"execute": "system_reset"}')  # pylint: disable=protected-access
            it.until(lambda: it.text().count("test starts") > first, "the second start")
            it.until_state("no-space")


if os.environ.get("COSM_FAULTS_INSIDE") is None:
    unshared = subprocess.run(["unshare", "-rm", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    os.environ["COSM_FAULTS_INSIDE"] = "1" if unshared else "0"
    if unshared:
        os.execvp("unshare", ["unshare", "-rm", sys.executable, *sys.argv])

LOOP = "for n in $(seq 100); do dd if=/dev/zero of=/dev/vda bs=4k seek=$n count=1 conv=fsync 2>/dev/null; done; echo done"
READS = "for n in $(seq 100); do dd if=/dev/vda of=/dev/null bs=4k skip=$((n*8)) count=1 iflag=direct 2>/dev/null; done; echo done"
tap.add("no space left for a qcow2 image, kill -9, then space", full)
tap.add("werror=stop: the VM stands still until it is told to try again", stop_and_resume, "werror=stop", "write:10:EIO", LOOP, "write")
tap.add("rerror=stop, likewise", stop_and_resume, "rerror=stop", "read:40:EIO", READS, "read")
tap.add("the guest gets the error, or hears of success", guest_sees)
tap.add("a VM that waits for space starts anew", reset_while_full)
tap.main(sys.argv[1:])
