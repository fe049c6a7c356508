#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Format and static analysis of what is in the repository; prints TAP.

Usage: tools/lint.py [BUILD]: clang-tidy takes its commands from a build folder made with clang's or gcc's Meson setup,
and remembers there which contents it has found clean.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import tap  # noqa: E402

BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build").resolve()


def files(*patterns):
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns], cwd=ROOT,
                             stdout=subprocess.PIPE, text=True, check=True).stdout
    return [name for name in listing.splitlines() if (ROOT / name).is_file()]


def need(tool):
    if not shutil.which(tool):
        raise tap.Skip(f"no {tool}")


def run(command):
    return subprocess.run([str(c) for c in command], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@tap.test("clang-format has nothing to change")
def _():
    need("clang-format")
    bad = [name for name in files("*.c", "*.h") if run(["clang-format", "--dry-run", "-Werror", name]).returncode]
    tap.check(not bad, "run clang-format -i on: " + " ".join(bad))


@tap.test("shellcheck is content")
def _():
    need("shellcheck")
    done = run(["shellcheck", *files("*.sh", ".ci/run", "tools/guest/init")])
    tap.check(done.returncode == 0, done.stdout[:3000])


@tap.test("every Python script compiles")
def _():
    problems = []
    for name in files("*.py"):
        try:
            compile((ROOT / name).read_bytes(), name, "exec")
        except SyntaxError as error:
            problems.append(f"{name}:{error.lineno}: {error.msg}")
    tap.check(not problems, "\n".join(problems))


def analyse(name, cache, context):
    """Problems of one source file; its key tells contents that were clean before."""
    key = hashlib.sha256(context + (ROOT / name).read_bytes()).hexdigest()
    if (cache / key).exists():
        return ""
    done = run(["clang-tidy", "-p", BUILD, "--quiet", name])
    if done.returncode == 0:
        (cache / key).touch()
        return ""
    return "\n".join(line for line in done.stdout.splitlines() if " error: " in line or " warning: " in line) or done.stderr


@tap.test("clang-tidy is content")
def _():
    need("clang-tidy")
    commands = BUILD / "compile_commands.json"
    if not commands.exists():
        raise tap.Skip(f"no {commands}")
    known = {os.path.realpath(os.path.join(c["directory"], c["file"])) for c in json.loads(commands.read_text())}
    cache = BUILD / "lint-clean"
    cache.mkdir(exist_ok=True)
    # A header or a setting may change the verdict on any file, so all of them are part of the key.
    context = b"".join((ROOT / name).read_bytes() for name in [".clang-tidy", *files("src/*.h", "spec/*.def")])
    names = [name for name in files("src/*.c", "apps/*.c") if str(ROOT / name) in known]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        problems = [text for text in pool.map(lambda name: analyse(name, cache, context), names) if text]
    tap.check(not problems, "\n".join(problems))


tap.main()
