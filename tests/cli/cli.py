# SPDX-License-Identifier: BSD-2-Clause
"""Running the built cosm as a user does, and what every run of it must keep to."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

import tap  # noqa: E402

COSM = os.environ.get("COSM", str(ROOT / "build" / "apps" / "cosm"))
FAILED, USAGE = 1, 2


def cosm(*arguments, seconds=30, data=b"", **options):
    """Runs cosm to its end: its exit status, standard output and standard error."""
    options.setdefault("input", data)
    done = subprocess.run([COSM, *map(str, arguments)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=seconds, check=False, **options)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def refused(status, *arguments, says=()):
    """Is the command line refused with this status and one sentence that says all of says?"""
    code, _, error = cosm(*arguments)
    shown = " ".join(map(str, arguments))[:100]
    tap.check_equal(code, status, f"the exit status of 'cosm {shown}' ({error.strip()[-200:]})")
    lines = error.splitlines()
    tap.check(len(lines) == 1 and error.endswith("\n"), f"'cosm {shown}' says {error!r}, not one line")
    tap.check(error.startswith("cosm: "), f"'cosm {shown}' says {error!r} without its name")
    for part in says:
        tap.check(part in error, f"'cosm {shown}' says {error!r} without {part!r}")
    return error
