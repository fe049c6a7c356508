# SPDX-License-Identifier: BSD-2-Clause
"""What the tests that boot a guest share: the cosm binary, the guests, a booted shell."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import guest  # noqa: E402  (tools/)
import initramfs  # noqa: E402
import tap  # noqa: E402
from console import Console, Ended, Timeout  # noqa: E402

COSM = os.environ.get("COSM", str(ROOT / "build" / "apps" / "cosm"))
BOOT_SECONDS = 180  # generous: two boots share two cores with the rest of the suite
READY = "cosm: shell ready"
tap.plain_errors += [Ended, Timeout]


def obtain(part, suite):
    try:
        return guest.ensure(part, suite)
    except guest.Failure as failure:
        raise tap.Skip(str(failure).splitlines()[0]) from None


def guest_program(source, folder, *options):
    """A program of C compiled for the guest; where there is no compiler the test skips."""
    if not shutil.which("riscv64-linux-gnu-gcc"):
        raise tap.Skip("no riscv64-linux-gnu-gcc here")
    program = pathlib.Path(folder) / pathlib.Path(source).stem
    subprocess.run(["riscv64-linux-gnu-gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source,
                    *options], check=True)
    return program


def initramfs_with(folder, programs, suite="trixie"):
    """Our initramfs with more programs in its /bin."""
    linux = obtain("linux", suite)
    image = pathlib.Path(folder) / "initramfs.cpio"
    image.write_bytes(initramfs.build(linux / "busybox", guest.INIT, linux / "modules",
                                      [(f"bin/{program.name}", program) for program in programs]))
    return image


def command(suite="trixie", append="", harts=1, memory="512M", initrd=None, extra=()):
    """The command line that boots Debian's kernel of a suite with our initramfs."""
    linux = obtain("linux", suite)
    return [COSM, "run", "--kernel", linux / "Image", "--initrd", initrd or linux / "initramfs.cpio",
            "--append", f"console=ttyS0 {append}".strip(), "-m", memory, "--smp", harts, *extra]


def boot(**options):
    """A guest at its shell prompt."""
    console = Console(command(**options))
    try:
        console.expect(READY, BOOT_SECONDS)
        console.expect("~ # ", 30)
    except Exception:
        console.close()
        raise
    return console


def run_script(script, **options):
    """Boots, runs a shell script in the guest, which then powers off; returns (output, guest's status, exit status)."""
    options["append"] = f"{options.get('append', '')} cosm.test=\"{script}\""
    with Console(command(**options)) as console:
        console.expect("cosm: test starts\r*\n", BOOT_SECONDS)
        start = console.mark
        found = console.expect(r"cosm: test status (\d+)", BOOT_SECONDS)
        output = console.output[start:console.mark - len(found[0])].replace("\r", "")
        return output, int(found[1]), console.wait(30)


def power_off(console):
    """At once, with what is to be written; init's own way, which waits for two seconds, is tried by boot_shell."""
    console.send("poweroff -f\r")
    tap.check_equal(console.wait(60), 0, "the exit status after poweroff")


def beside_ram_kib(console):
    """Resident KiB of a cosm beside the guest's RAM."""
    return console.resident_kib() - guest_ram_kib(console.pid)


def guest_ram_kib(pid):
    """Resident KiB of the mapping that is the guest's RAM."""
    name, resident = "", 0
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as file:
        for line in file:
            words = line.split()
            if "-" in words[0]:
                name = line
            elif words[0] == "Rss:" and "cosm-ram" in name:
                resident += int(words[1])
    return resident
