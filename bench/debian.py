# SPDX-License-Identifier: BSD-2-Clause
"""Makes the disk of the rows of real life: a Debian with systemd and gcc, from the archive's own packages.

The packages are unpacked, not installed: no script of theirs runs here. What these would do is done by hand below, and
the rest (FINISH) by one boot of the guest itself. Needs neither root nor qemu-user.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import guest  # noqa: E402
import initramfs  # noqa: E402
import source  # noqa: E402

SUITE = "trixie"
SIZE = "1G"
# What Debian calls essential, but for dpkg; then a system that starts as a minimal installation does; the compiler.
PACKAGES = """base-files base-passwd bash dash coreutils debianutils diffutils findutils grep gzip hostname
init-system-helpers libc-bin libc6 login mawk perl-base sed sysvinit-utils tar util-linux mount passwd libpam-modules
libpam-runtime ncurses-base ncurses-bin
systemd-sysv systemd udev dbus libpam-systemd kmod cron procps ifupdown iproute2 netbase tzdata
gcc-14""".split()
# gcc depends on them, but only to link programs with what they offer.
UNUSED = re.compile(r"lib(asan|lsan|tsan|ubsan|itm|atomic|gomp|cc1)-?\d+|libgcc-\d+-dev|libgprofng\d+")
LEFT_OUT = ["./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./usr/share/info", "./usr/share/lintian",
            "./usr/libexec/gcc/*/lto1"]
# What udev and systemd load on this board; the initial file system has loaded the drivers of disk and ext4.
MODULES = ["virtio_mmio", "virtio_blk", "virtio_net", "virtio-rng", "ext4", "crc32c_generic", "autofs4", "configfs",
           "fuse", "dm_mod", "loop", "drm", "efi_pstore", "rtc-goldfish", "qemu_fw_cfg", "ipv6", "af_packet",
           "unix_diag", "vsock", "rng-core", "evdev", "cfi_cmdset_0001", "physmap"]
FILES = {
    "etc/hostname": "life\n",
    "etc/hosts": "127.0.0.1 localhost life\n",
    "etc/fstab": "/dev/vda / ext4 defaults 0 0\n",
    "etc/machine-id": "6c6966656c6966656c6966656c696665\n",
    "etc/network/interfaces": "auto lo\niface lo inet loopback\n",
    "etc/locale.conf": "LANG=C.UTF-8\n",
    "etc/nsswitch.conf": "passwd: files systemd\ngroup: files systemd\nshadow: files\nhosts: files dns\n",
    "etc/environment": "",
    "root/large.c": source.text(),
}
# Run in a chroot by the row of the compiler.
COMPILE = "/root/compile"
COMPILE_SCRIPT = """#!/bin/sh
export PATH=/usr/bin LC_ALL=C
cd /root
echo "compile starts"
gcc-14 -O2 -c large.c -o large.o
echo "compile ends: status $?, checksum $(cksum <large.o)"
"""
# What packages do when they are configured; run in the guest, once, in a chroot.
FINISH = """#!/bin/sh
set -e
export PATH=/usr/sbin:/usr/bin LC_ALL=C
mount -t proc proc /proc
ldconfig
depmod "$(uname -r)"
systemd-sysusers
groupadd --system netdev
systemctl preset-all
systemctl disable systemd-networkd.service systemd-network-generator.service
systemctl set-default multi-user.target
journalctl --update-catalog
rm /finish
touch /etc/.updated /var/.updated
umount /proc
echo finished
"""


def archives(folder):
    """Downloads the packages and all they depend on."""
    apt = guest.Apt(guest.cache_root() / "apt", SUITE, "riscv64")
    apt.run(f"Package list of {SUITE} ({apt.arch})", "update")
    listing = guest.output_of(["apt-get", "-qq", "install", "--print-uris", "--yes", "--no-install-recommends",
                               *PACKAGES], apt.env)
    names = [name for name in re.findall(r"^'\S+' ([^_]+)_", listing, re.M) if not UNUSED.fullmatch(name)]
    apt.run(f"{len(names)} packages of {SUITE}", "download", *names, cwd=folder)
    return sorted(folder.glob("*.deb"))


def unpack(packages, tree):
    progress = guest.Progress(f"Unpack {SUITE}")
    for name in ("bin", "lib", "sbin"):
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    for number, package in enumerate(packages):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as files:
            done = subprocess.run(["tar", "-x", "-p", "--keep-directory-symlink", "--no-same-owner", "-C", tree,
                                   *(f"--exclude={name}" for name in LEFT_OUT)],
                                  stdin=files.stdout, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode or files.returncode:
            raise guest.Failure(f"{package.name} cannot be unpacked: {done.stderr.strip()}")
        progress.update(100 * (number + 1) / len(packages))
    progress.done()


def add_modules(tree, linux):
    """The modules, and what they depend on, of the kernel that the guests boot."""
    found, loaded = initramfs.find_modules(linux / "modules"), {}
    for name in MODULES:
        initramfs.collect(name, found, loaded, [])
    release = re.search(rb"vermagic=(\S+)", next(iter(loaded.values())))[1].decode()
    place = tree / "usr/lib/modules" / release / "kernel"
    place.mkdir(parents=True)
    for name in loaded:
        shutil.copy(found[name], place)


def configure(tree):
    """By hand what the packages' scripts do, but for what only the guest's own programs can."""
    for name in ("passwd", "group"):
        shutil.copy(tree / f"usr/share/base-passwd/{name}.master", tree / "etc" / name)
    passwd = (tree / "etc/passwd").read_text().replace("root:*:", "root:x:", 1)
    (tree / "etc/passwd").write_text(passwd)
    words = {line.split(":")[0]: "*" for line in passwd.splitlines()} | {"root": ""}
    (tree / "etc/shadow").write_text("".join(f"{name}:{word}:20000:0:99999:7:::\n" for name, word in words.items()))
    (tree / "etc/shadow").chmod(0o600)
    for name, text in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    pam = tree / "etc/pam.d"
    pam.mkdir(exist_ok=True)
    for kind, module in (("auth", "pam_unix.so nullok"), ("account", "pam_unix.so"), ("password", "pam_unix.so"),
                         ("session", "pam_unix.so"), ("session-noninteractive", "pam_unix.so")):
        service = kind.partition("-")[0]
        extra = "session optional pam_systemd.so\n" if kind == "session" else ""
        (pam / f"common-{kind}").write_text(f"{service} required {module}\n{extra}")
    for name, text in (("finish", FINISH), (COMPILE[1:], COMPILE_SCRIPT)):
        (tree / name).write_text(text)
        (tree / name).chmod(0o755)


def tool(name, *arguments, **options):
    path = os.environ["PATH"] + os.pathsep + "/usr/sbin" + os.pathsep + "/sbin"
    if not shutil.which(name, path=path):
        raise guest.Failure(f"{name} is missing: run 'apt-get install e2fsprogs'")
    done = subprocess.run([name, *map(str, arguments)], env=dict(os.environ, PATH=path), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode:
        raise guest.Failure(f"{name} failed: {done.stdout.strip()[-500:]}")


def make_image(tree, image):
    """An ext4 file system whose files are root's, whoever makes it."""
    tool("mke2fs", "-q", "-t", "ext4", "-E", "root_owner=0:0", "-d", tree, image, SIZE)
    if os.getuid() == 0:
        return
    names = ["/" + str(path.relative_to(tree)) for path in tree.rglob("*")]
    tool("debugfs", "-w", "-f", "-", image,
         input="".join(f'sif "{name}" {field} 0\n' for name in names for field in ("uid", "gid")))


def finish(machine, linux, image):
    """One boot that runs FINISH."""
    script = "mount -t ext4 /dev/vda /mnt && chroot /mnt /finish; umount /mnt"
    with machine.start(linux, linux / "initramfs.cpio", f'cosm.test="{script}"', memory="1G", drive=image) as console:
        console.expect(r"cosm: test status \d+", 900)
        if not re.search(r"^finished\r*$", console.output, re.M):
            raise guest.Failure(f"the guest could not finish its disk:\n{console.tail()}")
        console.wait(60)


def ensure(linux, machine):
    """The disk image, there whole or not at all, and made anew when this file has changed."""
    key = hashlib.sha256(pathlib.Path(__file__).read_bytes() + source.text().encode()).hexdigest()[:16]
    root = guest.cache_root()
    final = root / "bench" / f"debian-{SUITE}-{key}.img"
    with guest.locked(root):
        if final.exists():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="tmp-", dir=root) as name:
            folder = pathlib.Path(name)
            debs, tree, image = folder / "debs", folder / "tree", folder / "disk.img"
            debs.mkdir()
            tree.mkdir()
            unpack(archives(debs), tree)
            add_modules(tree, linux)
            configure(tree)
            make_image(tree, image)
            finish(machine, linux, image)
            for old in final.parent.glob(f"debian-{SUITE}-*.img"):
                old.unlink()
            image.rename(final)
    return final
