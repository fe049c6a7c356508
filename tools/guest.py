#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Obtains guests from the machine's own Debian mirror, checked by apt's signatures, into the user's cache.

A guest is named part:suite, as in linux:trixie, firmware:sid or qemu:trixie. Each lands in
$XDG_CACHE_HOME/cosm/guests/<suite>/<part>/ at once or not at all, and is reused without the network.
apt runs on a root of its own in the cache, so it needs no privileges and leaves the system's state alone.
"""

import argparse
import contextlib
import fcntl
import fnmatch
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

import initramfs

TOOLS = pathlib.Path(__file__).resolve().parent
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
INIT = TOOLS / "guest" / "init"

# part: architecture ("host": this machine's), packages, and which of their files become what in the cache.
PARTS = {
    "linux": ("riscv64", ["linux-image-riscv64", "busybox-static"], {
        "./boot/vmlinu[xz]-*": "Image",
        "./usr/lib/modules/*/vmlinu[xz]": "Image",
        "./usr/lib/modules/*.ko*": "modules/",
        "./lib/modules/*.ko*": "modules/",
        "*/bin/busybox": "busybox",
    }),
    "firmware": ("host", ["opensbi", "u-boot-qemu"], {
        "*/opensbi/generic/fw_*.bin": "./",
        "*/u-boot/qemu-riscv64/u-boot.bin": "u-boot-m.bin",
        "*/u-boot/qemu-riscv64_smode/u-boot.bin": "u-boot-s.bin",
    }),
    "qemu": ("host", ["qemu-user"], {"*/bin/qemu-riscv64": "qemu-riscv64"}),
}
NEEDED = {
    "linux": ["Image", "busybox", "modules"],
    "firmware": ["fw_dynamic.bin", "fw_jump.bin", "u-boot-m.bin", "u-boot-s.bin"],
    "qemu": ["qemu-riscv64"],
}


# The suite whose part serves while the mirror's lists of another do not fit its signed release.
STAND_IN = {("linux", "trixie"): "sid"}
STAND_IN_SECONDS = 3600  # before the mirror is asked again


class Failure(Exception):
    """One sentence for the user."""


class Mismatch(Failure):
    """The mirror's lists are not those that its release is signed for, as while it is brought up to date."""


class Progress:
    """A bar on a terminal, a line elsewhere; silent for what ends within a second."""

    def __init__(self, title):
        self.title = title
        self.start = time.monotonic()
        self.shown = False

    def update(self, percent):
        if time.monotonic() - self.start < 1:
            return
        if sys.stderr.isatty():
            bar = "#" * int(percent * 30 / 100)
            sys.stderr.write(f"\r{self.title:<44.44} [{bar:<30}] {percent:3.0f} %")
            sys.stderr.flush()
        elif not self.shown:
            print(f"{self.title} ...", file=sys.stderr, flush=True)
        self.shown = True

    def done(self):
        if self.shown and sys.stderr.isatty():
            sys.stderr.write("\r\033[K")


def cache_root():
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(home) / "cosm"


def output_of(command, env=None):
    try:
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError:
        raise Failure(f"{command[0]} is missing: guests are taken from Debian's archive, by apt") from None
    if done.returncode:
        raise Failure(f"{' '.join(command[:3])} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout


def mirror_uri():
    """The archive that this machine's own apt takes Debian from."""
    listing = output_of(["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)",
                         "Created-By: Packages", "Component: main"])
    for line in listing.splitlines():
        release, _, uri = line.partition(" ")
        if "-" not in release and not uri.startswith("cdrom:"):
            return uri
    raise Failure("apt's sources name no Debian archive with the component main: add one to /etc/apt")


class Apt:
    """apt on a private root for one suite and architecture."""

    def __init__(self, root, suite, arch):
        self.suite = suite
        self.arch = output_of(["dpkg", "--print-architecture"]).strip() if arch == "host" else arch
        self.root = root / f"{suite}-{self.arch}"
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        if not os.path.exists(KEYRING):
            raise Failure(f"{KEYRING} is missing: run 'apt-get install debian-archive-keyring'")
        (self.root / "status").touch()
        (self.root / "sources.list").write_text(
            f"deb [arch={self.arch} signed-by={KEYRING}] {mirror_uri()} {suite} main\n")
        (self.root / "apt.conf").write_text(self.configuration())
        self.env = dict(os.environ, APT_CONFIG=str(self.root / "apt.conf"), LC_ALL="C")

    def configuration(self):
        # The rest (proxies and the like) is read from the machine's own configuration.
        return "\n".join([
            f'Dir::State "{self.root}/state";',
            f'Dir::State::status "{self.root}/status";',
            f'Dir::Cache "{self.root}/cache";',
            f'Dir::Etc::sourcelist "{self.root}/sources.list";',
            'Dir::Etc::sourceparts "/dev/null";',
            'Dir::Etc::preferencesparts "/dev/null";',
            f'APT::Architecture "{self.arch}";',
            f'APT::Architectures {{ "{self.arch}"; }};',
            'APT::Sandbox::User "root";',
            'Acquire::Languages "none";',
            'Acquire::AllowInsecureRepositories "false";',
            'Acquire::Retries "3";', ""])

    def run(self, title, *arguments, cwd=None):
        """Runs apt-get, turning the percentages of its status descriptor into a progress bar."""
        progress = Progress(title)
        reader, writer = os.pipe()
        command = ["apt-get", "-qq", "-o", f"APT::Status-Fd={writer}", *arguments]
        with tempfile.TemporaryFile("w+") as messages:
            process = subprocess.Popen(command, env=self.env, cwd=cwd, pass_fds=[writer],
                                       stdout=messages, stderr=subprocess.STDOUT)
            os.close(writer)
            with open(reader, encoding="utf-8", errors="replace") as status:
                for line in status:
                    found = re.match(r"dlstatus:\d+:([\d.]+):", line)
                    if found:
                        progress.update(min(float(found[1]), 100))
            progress.done()
            if process.wait():
                messages.seek(0)
                said = messages.read().strip()
                unlike = re.search(r"unexpected size|Hash Sum mismatch", said)
                raise (Mismatch if unlike else Failure)(f"{title} failed:\n{said}")

    def depends(self, package):
        found = re.search(r"^Depends: (.*)$", output_of(["apt-cache", "show", package], self.env), re.M)
        return re.findall(r"[a-z0-9][a-z0-9+.-]+", found[1]) if found else []

    def resolve(self, package):
        """The kernel comes through a meta package; in newer suites it is in several."""
        if not package.startswith("linux-image-"):
            return [package]
        found, todo = [], [package]
        while todo:
            for name in self.depends(todo.pop()):
                if re.fullmatch(r"linux-(image|binary|modules)-\d.*", name) and name not in found:
                    found.append(name)
                    todo.append(name)
        if not found:
            raise Failure(f"{package} in {self.suite} leads to no kernel package")
        return found


def unpack(deb, rules, target):
    """Takes the files that match RULES out of a package; the names below TARGET are ours, not the archive's."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            for member in tar:
                rule = next((r for r in rules if member.isfile() and fnmatch.fnmatch(member.name, r)), None)
                if not rule:
                    continue
                name = rules[rule]
                path = target / name / os.path.basename(member.name) if name.endswith("/") else target / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "wb") as out:
                    shutil.copyfileobj(tar.extractfile(member), out)
                path.chmod(0o755 if member.mode & 0o100 else 0o644)
    if process.returncode:
        raise Failure(f"{deb.name} cannot be unpacked")


def fetch(part, suite, temporary):
    arch, packages, rules = PARTS[part]
    apt = Apt(cache_root() / "apt", suite, arch)
    apt.run(f"Package list of {suite} ({apt.arch})", "update")
    debs, out = temporary / "debs", temporary / "out"
    debs.mkdir()
    out.mkdir()
    for package in [name for wanted in packages for name in apt.resolve(wanted)]:
        apt.run(f"Download {package}", "download", package, cwd=debs)
    progress = Progress(f"Unpack {part} of {suite}")
    found = sorted(debs.iterdir())
    for i, deb in enumerate(found):
        unpack(deb, rules, out)
        progress.update(100 * (i + 1) / len(found))
    progress.done()
    missing = [name for name in NEEDED[part] if not (out / name).exists()]
    if missing:
        raise Failure(f"the packages {', '.join(packages)} of {suite} hold no {', '.join(missing)}")
    return out


def build_initramfs(guest):
    """(Re)builds the initramfs when what it is made from has changed."""
    key = hashlib.sha256(INIT.read_bytes() + (TOOLS / "initramfs.py").read_bytes()).hexdigest()
    stamp, image = guest / "initramfs.key", guest / "initramfs.cpio"
    if image.exists() and stamp.exists() and stamp.read_text() == key:
        return
    fresh = guest / "initramfs.new"
    fresh.write_bytes(initramfs.build(guest / "busybox", INIT, guest / "modules"))
    fresh.rename(image)
    stamp.write_text(key)


@contextlib.contextmanager
def locked(root):
    root.mkdir(parents=True, exist_ok=True)
    with open(root / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another run is obtaining guests; waiting for it ...", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ensure(part, suite, refresh=False):
    """The folder of a guest, or of its stand-in, obtained if it is not there yet."""
    other = STAND_IN.get((part, suite))
    mark = cache_root() / f"{part}-of-{other}-for-{suite}"
    recent = other and mark.exists() and time.time() - mark.stat().st_mtime < STAND_IN_SECONDS
    if not recent or refresh:
        try:
            return ensure_one(part, suite, refresh)
        except Mismatch as mismatch:
            if not other:
                raise
            print(f"guest: {mismatch}\nUntil the mirror's lists fit, {part} of {other} stands in for {suite}'s.",
                  file=sys.stderr, flush=True)
            mark.touch()
    return ensure_one(part, other, refresh)


def ensure_one(part, suite, refresh):
    if part not in PARTS or not re.fullmatch(r"[a-z]+", suite):
        raise Failure(f"{part}:{suite} is no guest: say one of {', '.join(PARTS)}, a colon, and a Debian suite")
    root = cache_root()
    final = root / "guests" / suite / part
    with locked(root):
        if refresh or not final.exists():
            for stale in root.glob("tmp-*"):
                shutil.rmtree(stale)
            temporary = pathlib.Path(tempfile.mkdtemp(prefix="tmp-", dir=root))
            try:
                fresh = fetch(part, suite, temporary)
                final.parent.mkdir(parents=True, exist_ok=True)
                if final.exists():
                    final.rename(temporary / "old")
                fresh.rename(final)
            finally:
                shutil.rmtree(temporary)
        if part == "linux":
            build_initramfs(final)
    return final


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("guest", nargs="+", metavar="PART:SUITE", help="as linux:trixie, firmware:sid, qemu:trixie")
    parser.add_argument("--refresh", action="store_true", help="obtain it anew even if it is there")
    args = parser.parse_args()
    try:
        for guest in args.guest:
            part, _, suite = guest.partition(":")
            print(ensure(part, suite, args.refresh))
    except Failure as failure:
        sys.exit(f"guest: {failure}")
    except OSError as error:
        sys.exit(f"guest: {error.strerror}: {error.filename}")
    except KeyboardInterrupt:
        sys.exit("\nguest: interrupted; nothing was left half done")


if __name__ == "__main__":
    main()
