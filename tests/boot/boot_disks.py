#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Several disks of one VM: serials, queues, limits; one grows while the guest runs; an image in use names its VM."""

import pathlib
import sys

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


tap.add("several disks, and larger ones", disks)
tap.main(sys.argv[1:])
