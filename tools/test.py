#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Builds and runs the test suite, shows how far it is, and ends with one line of counts.

Each step prints TAP or is a run of Meson's tests, whose TAP is counted from its log.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
SKIPS = ROOT / "tests" / "skips.txt"
GUESTS = ["linux:trixie", "linux:sid", "firmware:bookworm", "firmware:sid"]
# Lines are all that a report needs of debugging information; with no more a build takes a tenth less.
CLANG_SANITIZERS = ["-Db_lundef=false", "-Ddebug=true", "-Doptimization=1", "-Dc_args=-gline-tables-only"]
# build folder: (compiler, Meson options)
BUILDS = {
    "build": ("gcc", []),
    "build-asan": ("clang", ["-Db_sanitize=address,undefined", *CLANG_SANITIZERS]),
    "build-tsan": ("clang", ["-Db_sanitize=thread", *CLANG_SANITIZERS]),
}
TAP_LINE = re.compile(r"^\s*(not )?ok\b\s*\d*\s*-?\s*([^#]*)(?:#\s*(SKIP|TODO)\b\s*(.*))?", re.I)
# Suites that under sanitizers take many times as long and find little more.
NOT_SANITIZED = ["long", "boot", "fuzz", "hostile", "priv-same", "metal", "diff-more"]
# Tests at once: those that boot guests wait for half of their time.
AT_ONCE = {"build": 2 * (os.cpu_count() or 1)}
SLOW = 10  # seconds from which on a test is worth a line where there is no live one
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    # Tests that end a child by a signal want to see that signal, not the sanitizer's account of it.
    "TSAN_OPTIONS": ":".join([f"suppressions={ROOT}/tests/tsan.supp", "halt_on_error=1",
                              *(f"handle_{s}=0" for s in ("segv", "sigbus", "sigfpe", "sigill", "abort"))]),
}


class Screen:
    """The live line at the bottom of a terminal; elsewhere only whole lines appear."""

    def __init__(self):
        self.start = time.monotonic()
        self.live = sys.stdout.isatty()
        self.step = ""

    def clock(self):
        seconds = int(time.monotonic() - self.start)
        return f"[{seconds // 60:2d}:{seconds % 60:02d}]"

    def line(self, text):
        print(("\r\033[K" if self.live else "") + f"{self.clock()} {text}", flush=True)

    def progress(self, text):
        if self.live:
            print(f"\r\033[K{self.clock()} {self.step}: {text}"[:118], end="", flush=True)


    def test_done(self, count, result):
        self.progress(f"{count} {result}")
        seconds = re.search(r"([\d.]+)s\b", result)
        if not self.live and seconds and float(seconds[1]) >= SLOW:
            self.line(f"{self.step}: {count} {result}")


class Tally:
    def __init__(self, screen):
        self.screen = screen
        self.passed = 0
        self.failures = []  # (name, the lines that tell why)
        self.skips = []  # (name, reason)

    def take(self, program, text, status_ok):
        """Counts the TAP of one program; one that fails without saying so fails once itself."""
        why, seen, failed = [], 0, 0
        for line in text.splitlines():
            found = TAP_LINE.match(line)
            if not found:
                why.append(line)
                continue
            seen += 1
            name = f"{program}: {found[2].strip()}"
            if found[3]:
                self.skips.append((name, found[4]))
            elif found[1]:
                failed += 1
                self.fail(name, why)
            else:
                self.passed += 1
            why = []
        if not status_ok and not failed:
            self.fail(program, why)
        elif status_ok and not seen:
            self.passed += 1

    def fail(self, name, why):
        self.failures.append((name, why[-40:]))
        self.screen.line(f"FAILED {name}")


class Suite:
    def __init__(self, args):
        self.args = args
        self.screen = Screen()
        self.tally = Tally(self.screen)

    def step(self, name, function, *arguments):
        if self.args.only and name not in self.args.only:
            return
        self.screen.step = name
        start, failures = time.monotonic(), len(self.tally.failures)
        self.screen.progress("...")
        function(*arguments)
        bad = len(self.tally.failures) - failures
        self.screen.line(f"{name}: {f'{bad} failed' if bad else 'fine'} ({time.monotonic() - start:.0f} s)")

    def program(self, name, command):
        """One program that prints TAP."""
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        self.tally.take(name, done.stdout, done.returncode == 0)

    def make(self, folder, *commands):
        """Runs the commands of a build folder, after setting it up if it is new."""
        compiler, options = BUILDS[folder]
        todo = list(commands)
        if not (ROOT / folder / "build.ninja").exists():
            todo.insert(0, ["meson", "setup", folder, *options])
        for command in todo:
            done = subprocess.run(command, cwd=ROOT, env=dict(os.environ, CC=compiler), text=True, errors="replace",
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if done.returncode:
                self.tally.take(f"{folder} builds", done.stdout, False)
                return False
        self.tally.passed += 1
        return True

    def build(self, folder):
        return self.make(folder, ["ninja", "-C", folder])

    def meson(self, folder, *selection):
        """Runs tests of one build folder; Meson builds what they need first, and no more."""
        if not self.make(folder):
            return
        (ROOT / folder / "meson-logs" / "testlog.json").unlink(missing_ok=True)
        command = ["meson", "test", "-C", folder, "--no-suite", "none", *selection]
        if folder in AT_ONCE and "MESON_TESTTHREADS" not in os.environ:
            command += ["--num-processes", str(AT_ONCE[folder])]
        process = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ, **SANITIZER_ENV), text=True, errors="replace",
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = []
        for line in process.stdout:
            said.append(line)
            found = re.match(r"\s*(\d+/\d+)\s+(.*\S)", line)
            if found:
                self.screen.test_done(found[1], re.sub(" +", " ", found[2]))
        process.wait()
        if not self.count(folder) and process.returncode:
            self.tally.take(f"{folder} tests", "".join(said), False)

    def count(self, folder):
        log = ROOT / folder / "meson-logs" / "testlog.json"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        for line in lines:
            entry = json.loads(line)
            name = entry["name"].split(" / ")[-1]
            name = name if folder == "build" else f"{name} ({folder.partition('-')[2]})"
            text = entry.get("stdout", "") + entry.get("stderr", "")
            if entry["result"] == "SKIP" and not TAP_LINE.search(text):
                self.tally.skips.append((name, "skipped by Meson"))
            else:
                self.tally.take(name, text, entry["result"] in ("OK", "SKIP", "EXPECTEDFAIL"))
        return len(lines)

    def guests(self):
        done = subprocess.run(["tools/guest.py", *GUESTS], cwd=ROOT, stdout=subprocess.DEVNULL)
        if done.returncode:
            self.tally.fail("guests from the Debian mirror", [])
        else:
            self.tally.passed += 1

    def lint(self):
        # clang-tidy knows clang's options only, so it reads the commands of a build by clang.
        if self.make("build-asan"):
            self.program("lint", ["tools/lint.py", "build-asan"])

    def run(self):
        long = self.args.long
        self.step("build", self.build, "build")
        self.step("guests", self.guests)
        self.step("layers", self.program, "layers", ["tools/layers.py", "build"])
        self.step("tests", self.meson, "build", "--no-suite", "sanitizers", *([] if long else ["--no-suite", "long"]))
        self.step("asan", self.meson, "build-asan", *(f"--no-suite={suite}" for suite in NOT_SANITIZED))
        self.step("tsan", self.meson, "build-tsan", "--suite", "threads", "--suite", "sanitizers")
        self.step("lint", self.lint)

    def new_skips(self):
        known = [line.partition("#")[0].strip() for line in SKIPS.read_text().splitlines()] if SKIPS.exists() else []
        return [(name, why) for name, why in self.tally.skips if not any(k and k in name for k in known)]

    def report(self):
        tally = self.tally
        for name, reason in tally.skips:
            print(f"skipped {name}: {reason}")
        if os.environ.get("CI"):
            for name, reason in self.new_skips():
                tally.failures.append((name, [f"skipped, and not in tests/skips.txt: {reason}"]))
        for name, why in tally.failures:
            print(f"\nFAILED {name}")
            print("\n".join(f"    {line}" for line in why))
        print(f"\n{tally.passed} passed, {len(tally.failures)} failed, {len(tally.skips)} skipped")
        return 1 if tally.failures or not tally.passed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="also what takes many minutes")
    parser.add_argument("--only", action="append", metavar="STEP",
                        help="only these: build, guests, layers, tests, asan, tsan, lint")
    suite = Suite(parser.parse_args())
    try:
        suite.run()
    except KeyboardInterrupt:
        sys.exit("\ntest: interrupted")
    sys.exit(suite.report())


if __name__ == "__main__":
    main()
