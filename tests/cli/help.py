#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Help, manual pages and completion: complete, well-formed, and agreeing with each other."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from cli import COSM, ROOT, cosm
import tap
from tap import Skip, check, check_equal, test


def table(hidden=False):
    """Names of the options of run, from options.def itself."""
    text = (ROOT / "apps" / "cosm" / "options.def").read_text()
    found = re.findall(r'^OPTION\((\w+), "([\w-]+)", [^,]+, (.*?), (SECTION_\w+)', text, re.M | re.S)
    return [name for commands, name, _, section in found
            if commands in ("CMD_RUN", "CMD_ALL") and (section == "SECTION_HIDDEN") == hidden]


def commands():
    """Names of all commands."""
    text = (ROOT / "apps" / "cosm" / "options.def").read_text()
    return re.findall(r'^COMMAND\(\w+, "(\w+)"', text, re.M)


def output(*arguments):
    code, out, error = cosm(*arguments)
    check_equal((code, error), (0, ""), f"the outcome of 'cosm {' '.join(arguments)}'")
    return out


@test("help lists every option, and hides what is to be hidden")
def every_option():
    check(len(table()) > 15, "the table was not understood")
    text = output("run", "--help")
    for name in table():
        check(re.search(rf"--{name}\b", text), f"--{name} is not in the help")
    for name in table(hidden=True):
        check(not re.search(rf"--{name}\b", text), f"--{name} is in the help")
    check_equal(output("help", "run"), text, "'cosm help run'")
    check_equal(output("run", "-h"), text, "'cosm run -h'")


@test("help fits a terminal and shows examples")
def readable():
    for arguments in (["--help"], ["help"], *(["help", command] for command in commands())):
        text = output(*arguments)
        check(max(map(len, text.splitlines())) <= 80, f"{arguments} has lines of over 80 columns")
        check("Usage: cosm" in text, f"{arguments} shows no usage")
    check(output("help", "run").count("cosm run ") >= 4, "help run has too few examples")


@test("version is told in three ways that agree")
def version():
    text = output("version")
    check(re.fullmatch(r"cosm \d+\.\d+\.\d+\n", text), f"version prints {text!r}")
    check_equal(output("--version"), text, "--version")
    check(text.split()[1] in output("--help"), "help does not tell the version")


@test("help into a full device fails")
def full():
    with open("/dev/full", "wb") as device:
        done = subprocess.run([COSM, "help", "run"], stdout=device, stderr=subprocess.PIPE, check=False)
    check_equal(done.returncode, 1, "the exit status")
    check_equal(len(done.stderr.splitlines()), 1, "the number of lines")


@test("manual pages render without a warning")
def manual():
    if not shutil.which("man"):
        raise Skip("no man here")
    for topic in ([], *([command] for command in commands())):
        with tempfile.NamedTemporaryFile(suffix=".1") as page:
            page.write(output("help", "--format=man", *topic).encode())
            page.flush()
            done = subprocess.run(["man", "-l", "--warnings=w", "-E", "UTF-8", page.name],
                                  capture_output=True, check=False,
                                  env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8", "PAGER": "cat"})
            check_equal((done.returncode, done.stderr), (0, b""), f"the outcome of man {topic}")
            text = re.sub(".\b", "", done.stdout.decode())
            check("SYNOPSIS" in text, "the page has no synopsis")
            if topic == ["run"]:
                for name in table():
                    check(f"--{name}" in text, f"--{name} is not in the manual")


def complete(*words):
    """What bash completes the last word to."""
    script = output("help", "--format=bash") + (
        f"\nCOMP_WORDS=({' '.join(repr(w) for w in words)}); COMP_CWORD={len(words) - 1}\n"
        "_cosm; printf '%s\\n' \"${COMPREPLY[@]}\"\n")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("Image", "initrd.cpio"):
            (pathlib.Path(folder) / name).touch()
        done = subprocess.run(["bash", "--norc", "--noprofile", "-u", "-c", script], cwd=folder,
                              capture_output=True, text=True, check=False)
    check_equal((done.returncode, done.stderr), (0, ""), f"the outcome of bash for {words}")
    return done.stdout.split()


@test("bash completes commands, options, values and files")
def completion():
    check_equal(complete("cosm", "ru"), ["run"], "ru")
    check("run" in complete("cosm", "") and "--help" in complete("cosm", ""), "nothing is not completed")
    check_equal(complete("cosm", "run", "--ker"), ["--kernel"], "--ker")
    check_equal(complete("cosm", "run", "--console", "v"), ["virtio"], "--console v")
    check_equal(complete("cosm", "run", "--console", "=", "v"), ["virtio"], "--console=v")
    check_equal(complete("cosm", "run", "--console", "="), ["uart", "virtio"], "--console=")
    check_equal(complete("cosm", "run", "--kernel", "Im"), ["Image"], "--kernel Im")
    check_equal(complete("cosm", "run", "-k", "in"), ["initrd.cpio"], "-k in")
    check_equal(complete("cosm", "help", "ru"), ["run"], "help ru")
    check_equal(complete("cosm", "run", "deb"), ["debian", "debian:forky", "debian:sid"], "run deb")
    check_equal(complete("cosm", "run", "debian", ":"), ["forky", "sid"], "run debian:")
    check_equal(complete("cosm", "image", "pull", "debian", ":", "f"), ["forky"], "image pull debian:f")
    check_equal(complete("cosm", "image", "pu"), ["pull"], "image pu")
    for name in table():
        check(f"--{name}" in complete("cosm", "run", f"--{name}"), f"--{name} is not completed")


if __name__ == "__main__":
    tap.main()
