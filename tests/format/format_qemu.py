#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Disk images against qemu-img and qemu-io: made, written, converted, compared and checked by both."""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tap  # noqa: E402
from tap import check, check_equal  # noqa: E402

COSM = os.environ.get("COSM", str(pathlib.Path(__file__).resolve().parents[2] / "build" / "apps" / "cosm"))
SEED = int(os.environ.get("COSM_SEED", random.SystemRandom().randrange(1 << 32)))
RANDOM = random.Random(SEED)
SHM = pathlib.Path("/dev/shm")  # where it has room: each tool flushes what it writes
ROOMY = SHM.is_dir() and os.access(SHM, os.W_OK) and shutil.disk_usage(SHM).free > 1 << 30
FOLDER = tempfile.TemporaryDirectory(dir=SHM if ROOMY else None)  # pylint: disable=consider-using-with
HERE = pathlib.Path(FOLDER.name)
MIB = 1 << 20


def run(*command, ok=(0,), **options):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120,
                          check=False, **options)
    text = (done.stdout + done.stderr).decode(errors="replace")
    check(done.returncode in ok, f"'{' '.join(map(str, command))}' ends with {done.returncode}: {text[-600:]}")
    return done.stdout.decode(errors="replace")


def disk(*arguments, **options):
    return run(COSM, "disk", *arguments, **options)


def qemu(*arguments, **options):
    if not shutil.which("qemu-img"):
        raise tap.Skip("no qemu-img here")
    return run("qemu-img", *arguments, **options)


def sound(image, leaks=False):
    """Both checks find nothing."""
    ok = (0, 3) if leaks else (0,)
    disk("check", image, ok=ok)
    qemu("check", "-f", "qcow2", image, ok=ok)


def content(image, *, backing=True):
    """What an image reads as, by cosm and by QEMU: both the same."""
    ours, theirs = HERE / "ours.raw", HERE / "theirs.raw"
    disk("convert", "-f", "qcow2", "-O", "raw", *(["--backing"] if backing else []), image, ours)
    qemu("convert", "-f", "qcow2", "-O", "raw", image, theirs)
    data = ours.read_bytes()
    check(data == theirs.read_bytes(), f"{image} reads otherwise by QEMU (seed {SEED})")
    return data


def random_raw(path, size, rng=RANDOM):
    """Data, holes and zeroes, in pieces of odd sizes."""
    with open(path, "wb") as file:
        at = 0
        while at < size:
            piece = min(size - at, rng.choice((512, 4096, 65536, 65536 * 3 + 512, 1 << 20)))
            kind = rng.random()
            if kind < 0.4:
                file.write(rng.randbytes(piece))
            elif kind < 0.6:
                file.write(bytes([rng.randrange(256)]) * piece)
            elif kind < 0.8:
                file.write(bytes(piece))
            else:
                file.seek(piece, os.SEEK_CUR)
            at += piece
        file.truncate(size)
    return path


def options(rng=RANDOM):
    """Random options of a qcow2 image."""
    chosen = [f"cluster_size={rng.choice((512, 1024, 4096, 65536, 65536, 1 << 20, 2 << 20))}"]
    if rng.random() < 0.5:
        chosen.append(f"refcount_bits={rng.choice((1, 2, 4, 8, 16, 32, 64))}")
    if rng.random() < 0.4:
        chosen.append("compression_type=zstd")
    if rng.random() < 0.3:
        chosen.append("lazy_refcounts=on")
    return ",".join(chosen)


def created():
    for size in ("512", "1M", "1000M", "64G", "2T"):
        for extra in ([], ["-o", "cluster_size=512"] if size[-1] == "M" else ["-o", "cluster_size=2M"],
                      ["-o", "refcount_bits=1,compression_type=zstd"]):
            image = HERE / "new.qcow2"
            disk("create", *extra, image, size)
            sound(image)
            info = json.loads(disk("info", "--json", image))
            theirs = json.loads(qemu("info", "--output=json", image))
            for key in ("virtual-size", "cluster-size", "format", "dirty-flag"):
                check_equal(info[key], theirs[key], f"{key} of a new image of {size}")
            for key in ("compat", "compression-type", "lazy-refcounts", "refcount-bits", "corrupt", "extended-l2"):
                check_equal(info["format-specific"]["data"][key], theirs["format-specific"]["data"][key], key)


def converted():
    for turn in range(6):
        size = RANDOM.choice((512, 3 * MIB + 512, 8 * MIB, 5 * MIB))
        raw = random_raw(HERE / "in.raw", size)
        chosen = options()
        pack = ["-c"] if turn % 2 else []
        for who in (disk, qemu):
            image = HERE / f"conv{turn}.qcow2"
            image.unlink(missing_ok=True)
            who("convert", "-f", "raw", "-O", "qcow2", *pack, "-o", chosen, raw, image)
            sound(image)
            check(content(image) == raw.read_bytes(), f"{who.__name__} convert {pack} -o {chosen} changes data (seed {SEED})")
            disk("compare", "-f", "qcow2", "-F", "raw", image, raw)
        image.unlink()


def script(rng, size, cluster, count=30):
    """Random commands of qemu-io, and the same done to a bytearray by apply."""
    for _ in range(count):
        if rng.random() < 0.3:
            at = rng.randrange(0, size, cluster) if size > cluster else 0
            length = min(size - at, cluster * rng.randrange(1, 6))
        else:
            at = rng.randrange(0, size, 512)
            length = min(size - at, 512 * rng.randrange(1, 1 + 3 * cluster // 512))
        yield rng.choice(("write", "write", "write", "write -z", "write -z -u", "discard")), at, length, rng.randrange(1, 256)


def qemu_writes(image, size, cluster, model=None):
    commands = []
    for what, at, length, byte in script(RANDOM, size, cluster):
        pattern = f"-P {byte} " if what == "write" else ""
        commands += ["-c", f"{what} {pattern}{at} {length}"]
        if model is not None:
            model[at:at + length] = bytes([byte if what == "write" else 0]) * length
    if not shutil.which("qemu-io"):
        raise tap.Skip("no qemu-io here")
    run("qemu-io", "-f", "qcow2", *commands, image)


def chains():
    for _ in range(3):
        base, middle, top = (HERE / f"{name}.qcow2" for name in ("base", "middle", "top"))
        raw = random_raw(HERE / "base.raw", 4 * MIB)
        disk("convert", "-o", options(), raw, base)
        disk("create", "-b", "base.qcow2", "-F", "qcow2", "-o", options(), middle)
        qemu("create", "-q", "-f", "qcow2", "-b", "middle.qcow2", "-F", "qcow2", top, "6M")
        qemu_writes(middle, 4 * MIB, 65536)
        qemu_writes(top, 6 * MIB, 65536)
        before = content(top)
        for image in (base, middle, top):
            sound(image)
        disk("rebase", "--backing", "-b", "base.qcow2", "-F", "qcow2", top)
        sound(top)
        check(content(top) == before, f"rebase changes what is read (seed {SEED})")
        disk("commit", "--backing", top)
        sound(base)
        sound(top)
        check(content(base) == before, f"commit changes what is read (seed {SEED})")
        check(content(top) == before, f"commit changes what the top reads (seed {SEED})")


def subclusters():
    """Images of QEMU's whose clusters are there in part are read, with what lies below them; they are not written."""
    base, top = HERE / "sub-base.qcow2", HERE / "sub.qcow2"
    for cluster in (16384, 65536, 2 * MIB):
        disk("convert", random_raw(HERE / "base.raw", 4 * MIB), base)
        qemu("create", "-q", "-f", "qcow2", "-b", base.name, "-F", "qcow2", "-o", f"extended_l2=on,cluster_size={cluster}", top)
        qemu_writes(top, 4 * MIB, cluster // 32)
        content(top)
        done = subprocess.run([COSM, "disk", "resize", top, "8M"], capture_output=True, text=True, check=False)
        check(done.returncode == 1 and "subclusters" in done.stderr, f"a resize of an image with subclusters: {done}")


def encrypted():
    image = HERE / "luks.qcow2"
    if not shutil.which("qemu-img"):
        raise tap.Skip("no qemu-img here")
    for attempt in range(20):
        # qemu-img measures its own speed, and gives up where the host counts time in steps longer than what it measures.
        done = subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "--object", "secret,id=s,data=cosm", "-o",
                               "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10", image, "1M"],
                              stderr=subprocess.PIPE, text=True, check=False)
        if "accurate CPU usage" not in done.stderr:
            break
    check(done.returncode == 0, f"qemu-img makes an encrypted image in {attempt + 1} attempts: {done.stderr}")
    for words in (["info"], ["check"], ["convert"]):
        done = subprocess.run([COSM, "disk", *words, image, *([HERE / "x.raw"] if words == ["convert"] else [])],
                              capture_output=True, text=True, check=False)
        check(done.returncode == 1 and "is encrypted" in done.stderr and len(done.stderr.splitlines()) == 1, f"{words} of LUKS: {done}")


def refused_chain():
    top = HERE / "loop.qcow2"
    disk("create", "-u", "-b", "loop.qcow2", "-F", "qcow2", top, "1M")
    for flags, says in (([], "allow"), (["--backing"], "its own backing file")):
        done = subprocess.run([COSM, "disk", "compare", *flags, top, top], capture_output=True, text=True, check=False)
        check(done.returncode == 1 and says in done.stderr and len(done.stderr.splitlines()) == 1,
              f"a loop of backing files: {done}")


def snapshots():
    for bits in (16, 4):
        image = HERE / "snap.qcow2"
        disk("create", "-o", f"cluster_size=4096,refcount_bits={bits}", image, "2M")
        states = {}
        for who, name in ((disk, "one"), (qemu, "two")):
            qemu_writes(image, 2 * MIB, 4096)
            states[name] = content(image)
            if who is disk:
                disk("snapshot", "create", image, name)
            else:
                qemu("snapshot", "-c", name, image)
            sound(image)
        qemu_writes(image, 2 * MIB, 4096)
        sound(image)
        now = content(image)
        listed = disk("snapshot", "list", image)
        check("one" in listed and "two" in listed and "one" in qemu("snapshot", "-l", image), f"the list is {listed}")
        for name in ("one", "two"):
            disk("snapshot", "apply", image, name)
            sound(image)
            check(content(image) == states[name], f"snapshot {name} reads otherwise (seed {SEED})")
            qemu_writes(image, 2 * MIB, 4096)
            sound(image)
            qemu("snapshot", "-a", name, image)
            check(content(image) == states[name], f"QEMU reads snapshot {name} otherwise (seed {SEED})")
        check(now is not None, "")
        disk("snapshot", "delete", image, "one")
        sound(image)
        check(content(image) == states["two"], "deleting a snapshot changes the disk")
        qemu("snapshot", "-d", "two", image)
        sound(image)


def resized():
    image = HERE / "size.qcow2"
    disk("create", "-o", "cluster_size=512", image, "1M")
    qemu_writes(image, MIB, 512)
    before = content(image)
    disk("resize", image, "+31M")
    sound(image)
    check(content(image) == before + bytes(31 * MIB), "growing changes what is read")
    disk("resize", image, "300k", ok=(1,))
    disk("resize", "--shrink", image, "300k")
    sound(image)
    check(content(image) == before[:300 << 10], "shrinking changes what is left")
    disk("resize", image, "1M")
    check(content(image) == before[:300 << 10] + bytes(MIB - (300 << 10)), "what was cut off shows again")


def locked():
    image = HERE / "locked.qcow2"
    disk("create", image, "1M")
    if not shutil.which("qemu-io"):
        raise tap.Skip("no qemu-io here")
    with subprocess.Popen(["qemu-io", "-f", "qcow2", str(image)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        os.read(holder.stdout.fileno(), 8)
        done = subprocess.run([COSM, "disk", "check", image], capture_output=True, text=True, check=False)
        holder.stdin.close()
    check(done.returncode == 1 and "in use" in done.stderr and f"process {holder.pid} (qemu-io)" in done.stderr,
          f"a locked image: {done}")


def repaired():
    image = HERE / "broken.qcow2"
    for turn in range(4):
        disk("create", "-o", "cluster_size=4096", image, "1M")
        qemu_writes(image, MIB, 4096)
        before = content(image)
        data = bytearray(image.read_bytes())
        table = int.from_bytes(data[48:56], "big")
        block = int.from_bytes(data[table:table + 8], "big")
        for _ in range(20):
            data[block + 2 * RANDOM.randrange(len(data) // 4096) + 1] = turn and RANDOM.randrange(4)
        image.write_bytes(data)
        disk("check", image, ok=(2, 3))
        disk("check", "-r", "all", image)
        sound(image)
        check(content(image) == before, f"repair changes data (seed {SEED})")


for title, function in (("new images are as QEMU's", created), ("convert both ways", converted),
                        ("backing files, rebase, commit", chains), ("backing files are not followed unasked", refused_chain),
                        ("subclusters are read", subclusters), ("encrypted images are refused", encrypted),
                        ("snapshots by both in one image", snapshots), ("resize", resized),
                        ("a lock names its holder", locked), ("wrong counts are repaired", repaired)):
    tap.add(title, function)
tap.say(f"seed {SEED}")
tap.main(sys.argv[1:])
