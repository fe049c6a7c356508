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
import re
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
    done = run(["clang-format", "--dry-run", "-Werror", *files("*.c", "*.h")])
    bad = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error: ", done.stderr, re.M)))
    tap.check(bad or not done.returncode, done.stderr[:3000])
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


class Contents:
    """Of the repository's files, with what they include; a file that is not the repository's has none."""

    def __init__(self):
        self.names = set(files("*.c", "*.h", "*.def"))
        self.text = {name: (ROOT / name).read_bytes() for name in self.names}
        self.includes = {name: self.named(self.text[name], pathlib.PurePosixPath(name).parent) for name in self.names}

    def named(self, text, *beside):
        """Whatever is quoted and is a file there, in src, in include or in the root: some includes are macros."""
        places = [os.path.normpath(base / name.decode()) for name in re.findall(rb'"([\w./-]+\.(?:c|h|def))"', text)
                  for base in (*beside, *map(pathlib.PurePosixPath, ("src", "include", "")))]
        return {place for place in places if place in self.names}

    def key(self, name, command, settings):
        """Of a file as it is compiled, and all that it includes, however far."""
        seen = {name} | self.named(command.replace("\\", "").encode())
        todo = list(seen)
        while todo:
            new = self.includes[todo.pop()] - seen
            seen |= new
            todo += new
        digest = hashlib.sha256(settings + command.encode())
        for part in sorted(seen):
            digest.update(part.encode() + b"\0" + hashlib.sha256(self.text[part]).digest())
        return digest.hexdigest()


def analyse(name, cache, key):
    """Problems of one source file; its key tells contents that were clean before."""
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
    known = {}
    for entry in json.loads(commands.read_text()):
        path = os.path.realpath(os.path.join(entry["directory"], entry["file"]))
        known[path] = known.get(path, "") + entry["command"]
    cache = BUILD / "lint-clean"
    cache.mkdir(exist_ok=True)
    contents, settings = Contents(), (ROOT / ".clang-tidy").read_bytes()
    names = [name for name in files("src/*.c", "apps/*.c") if str(ROOT / name) in known]
    keys = [contents.key(name, known[str(ROOT / name)], settings) for name in names]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        problems = [text for text in pool.map(lambda name, key: analyse(name, cache, key), names, keys) if text]
    tap.check(not problems, "\n".join(problems))


tap.main()
