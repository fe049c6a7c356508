# SPDX-License-Identifier: BSD-2-Clause
"""The QEMU of Debian's sid, for boards that the system's QEMU does not have: the one that benchmarks compare with."""

import subprocess
import sys

from world import ROOT
import tap

sys.path.insert(0, str(ROOT / "bench"))
import guest  # noqa: E402
import machines  # noqa: E402
import newer  # noqa: E402


def qemu():
    """The words that start it, with its own firmware and ROMs; a test is skipped where it cannot be had."""
    try:
        root = newer.ensure("sid")
    except guest.Failure as failure:
        raise tap.Skip(f"no QEMU of sid: {str(failure).splitlines()[0]}") from None
    command = [str(word) for word in machines.qemu_of_root(root)]
    done = subprocess.run([*command, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise tap.Skip(f"the QEMU of sid does not run here: {done.stdout.strip()[:100]}")
    return [*command, "-L", str(root / "usr" / "share" / "qemu")]
