# SPDX-License-Identifier: BSD-2-Clause
"""The rows of real life: Debian from power-on to the login prompt, and a compiler run in it."""

import pathlib
import re
import subprocess
import time

import debian
import machines
import source

GROUP = "life"
LOGIN, COMPILE = "login", "gcc"
FLAGS = ["-O2", "-c"]
HARTS, MEMORY = 1, "1G"
LOGIN_SECONDS, COMPILE_SECONDS = 900, 1200
SLOW = ("cosm-interp",)  # minutes for each row: only when asked for by name
# Given to systemd: a serial line does not tell its size, and waiting for that takes a second or two; and on a slow
# machine a device may take longer to appear than the minute and a half after which systemd gives up.
OPTIONS = " ".join([f"systemd.tty.{side}.{tty}={size}" for tty in ("console", "ttyS0")
                    for side, size in (("rows", 24), ("columns", 80))]
                   + [f"systemd.default_{kind}_sec={LOGIN_SECONDS}" for kind in ("device_timeout", "timeout_start")])
SCRIPT = f"mount -t ext4 /dev/vda /mnt && chroot /mnt {debian.COMPILE}; umount /mnt"
ENDED = re.compile(r"compile ends: status (\d+), checksum (\d+) (\d+)")


class Life:
    """The disk image, and a fresh copy of it for each run."""

    def __init__(self, cosm, linux, folder):
        self.linux = linux
        self.folder = folder
        maker = [*machines.qemu_default(), machines.cosm_default(cosm)][0]
        self.image = debian.ensure(linux, maker)

    def start(self, machine, append, **options):
        copy = self.folder / "life.img"
        copy.unlink(missing_ok=True)
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", self.image, copy], check=True)
        return machine.start(self.linux, self.linux / "initramfs.cpio", append, HARTS, MEMORY, drive=copy, **options)

    def login(self, machine, after=lambda console: None, **options):
        """Seconds from the start of the process to the prompt; AFTER may go on from there."""
        with self.start(machine, f"cosm.root=/dev/vda {OPTIONS}", **options) as console:
            start = time.monotonic()
            console.expect("login: ", LOGIN_SECONDS)
            seconds = time.monotonic() - start
            after(console)
        return seconds

    def compile(self, machine, **options):
        """(seconds, checksum of the object file) of the compiler in the guest, by the host's clock."""
        with self.start(machine, f'cosm.test="{SCRIPT}"', **options) as console:
            console.expect("compile starts", LOGIN_SECONDS)
            start = time.monotonic()
            found = console.expect(ENDED, COMPILE_SECONDS)
            seconds = time.monotonic() - start
            console.wait(60)
        if found[1] != "0":
            raise ValueError(f"the compiler ended with status {found[1]}")
        return seconds, hex(int(found[2]))

    def compile_here(self):
        """Seconds that this machine's own compiler takes for the same file."""
        text = pathlib.Path(self.folder) / "large.c"
        text.write_text(source.text())
        start = time.monotonic()
        subprocess.run(["gcc", *FLAGS, text, "-o", self.folder / "large.o"], check=True)
        return time.monotonic() - start
