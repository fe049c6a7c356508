# SPDX-License-Identifier: BSD-2-Clause
"""Obtains the QEMU of another Debian suite with all it needs, unpacked into the user's cache."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))
import guest  # noqa: E402

PACKAGES = ["qemu-system-riscv", "opensbi"]
QEMU = "usr/bin/qemu-system-riscv64"


def merged(folder):
    """A root as packages expect it: their /lib and /bin lie in /usr."""
    for name in ("bin", "lib", "lib64", "sbin"):
        (folder / "usr" / name).mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(f"usr/{name}")


def download(suite, folder):
    apt = guest.Apt(guest.cache_root() / "apt", suite, "host")
    apt.run(f"Package list of {suite} ({apt.arch})", "update")
    shutil.rmtree(apt.root / "cache" / "archives")
    (apt.root / "cache" / "archives" / "partial").mkdir(parents=True)
    apt.run(f"QEMU of {suite} with its libraries", "install", "--yes", "--download-only", "--no-install-recommends",
            *PACKAGES)
    merged(folder)
    for package in sorted((apt.root / "cache" / "archives").glob("*.deb")):
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as files:
            done = subprocess.run(["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", folder],
                                  stdin=files.stdout, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode or files.returncode:
            raise guest.Failure(f"{package.name} cannot be unpacked: {done.stderr.strip()}")
        package.unlink()
    if not (folder / QEMU).exists():
        raise guest.Failure(f"the packages {', '.join(PACKAGES)} of {suite} hold no {QEMU}")


def ensure(suite):
    """The root folder, there whole or not at all."""
    if not re.fullmatch(r"[a-z]+", suite):
        raise guest.Failure(f"{suite} is no Debian suite")
    root = guest.cache_root()
    final = root / "bench" / f"qemu-{suite}"
    with guest.locked(root):
        if not final.exists():
            final.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="tmp-", dir=root) as name:
                fresh = pathlib.Path(name) / "root"
                download(suite, fresh)
                fresh.rename(final)
    return final
