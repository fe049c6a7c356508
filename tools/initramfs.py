#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Builds an initramfs (cpio "newc") from a static busybox, kernel modules and an init script; needs no root."""

import argparse
import lzma
import pathlib
import re
import stat

# In /lib/modules of the guest, one list a use; a name that a kernel has built in or lacks is left out.
MODULE_LISTS = {
    "devices": ["virtio_mmio", "virtio_blk", "virtio_net", "virtio-rng"],
    "filesystems": ["crc32c_generic", "ext4"],
    "sharing": ["vmw_vsock_virtio_transport", "virtio_balloon"],
    "input": ["virtio_input", "evdev"],
}
DIRECTORIES = ["bin", "sbin", "dev", "etc", "lib", "lib/modules", "mnt", "proc", "root", "sys", "tmp", "usr"]
INITTAB = b"""::respawn:/init shell
::shutdown:umount -a -r >/dev/null 2>&1
"""
# What init itself calls; the shell finds every other applet in busybox.
APPLETS = """[ awk cat chmod chroot cmp cp cttyhack cut date dd devmem df dmesg echo env expr false find free grep halt
head hexdump hostname ifconfig init insmod ip kill ln ls lsmod md5sum mkdir mke2fs mkfifo mknod modprobe more mount mv
nc nproc od ping poweroff printf ps pwd readlink reboot reset rm rmdir route sed seq setsid sh sha256sum sleep sort
stat stty switch_root sync sysctl tail tar taskset tee test time timeout top touch tr true truncate tty udhcpc umount
uname uniq uptime usleep vi wc wget which xargs xxd yes""".split()


class Cpio:
    """One archive in memory; every entry belongs to root and carries no time, so builds repeat bit by bit."""

    def __init__(self):
        self.out = bytearray()
        self.inode = 0

    def add(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        links = 2 if stat.S_ISDIR(mode) else 1
        encoded = name.encode() + b"\0"
        fields = [self.inode, mode, 0, 0, links, 0, len(data), 0, 0, *device, len(encoded), 0]
        self.out += b"070701" + b"".join(b"%08X" % f for f in fields) + encoded
        self.pad()
        self.out += data
        self.pad()

    def pad(self):
        self.out += bytes(-len(self.out) % 4)

    def directory(self, name):
        self.add(name, stat.S_IFDIR | 0o755)

    def program(self, name, data):
        self.add(name, stat.S_IFREG | 0o755, data)

    def text(self, name, data):
        self.add(name, stat.S_IFREG | 0o644, data)

    def symlink(self, name, target):
        self.add(name, stat.S_IFLNK | 0o777, target.encode())

    def finish(self):
        self.add("TRAILER!!!", 0)
        return bytes(self.out)


def normal(name):
    return name.replace("-", "_")


def find_modules(root):
    found = {}
    for path in sorted(pathlib.Path(root).rglob("*.ko*")):
        found[normal(path.name.split(".ko")[0])] = path
    return found


def read_module(path):
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".ko":
        return data
    raise SystemExit(f"initramfs: {path}: modules packed as {path.suffix} are not known here")


def collect(name, found, loaded, order):
    """Appends NAME to order after everything it depends on."""
    name = normal(name)
    if name in loaded or name not in found:
        return
    loaded[name] = data = read_module(found[name])
    for field in re.findall(rb"\0depends=([^\0]*)", data):
        for dependency in filter(None, field.decode().split(",")):
            collect(dependency, found, loaded, order)
    order.append(name)


def add_modules(cpio, root):
    found = find_modules(root) if root else {}
    loaded = {}
    for listing, names in MODULE_LISTS.items():
        order = []
        for name in names:
            collect(name, found, loaded, order)
        cpio.text(f"lib/modules/{listing}", "".join(f"{name}.ko\n" for name in order).encode())
    for name, data in loaded.items():
        cpio.text(f"lib/modules/{name}.ko", data)


def build(busybox, init, modules=None, extra=()):
    cpio = Cpio()
    for name in DIRECTORIES:
        cpio.directory(name)
    cpio.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    cpio.add("dev/null", stat.S_IFCHR | 0o666, device=(1, 3))
    cpio.program("init", pathlib.Path(init).read_bytes())
    cpio.program("bin/busybox", pathlib.Path(busybox).read_bytes())
    for applet in APPLETS:
        cpio.symlink(f"bin/{applet}", "busybox")
    cpio.text("etc/inittab", INITTAB)
    add_modules(cpio, modules)
    for name, path in extra:
        cpio.program(name, pathlib.Path(path).read_bytes())
    return cpio.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output")
    parser.add_argument("--busybox", required=True, help="a static busybox for the guest")
    parser.add_argument("--init", required=True, help="the script that becomes /init")
    parser.add_argument("--modules", help="folder with the kernel's modules")
    parser.add_argument("--add", action="append", default=[], metavar="NAME=FILE", help="one more program")
    args = parser.parse_args()
    extra = [item.partition("=")[::2] for item in args.add]
    pathlib.Path(args.output).write_bytes(build(args.busybox, args.init, args.modules, extra))


if __name__ == "__main__":
    main()
