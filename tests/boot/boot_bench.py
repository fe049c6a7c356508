#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bench/run.py from its programs to its report, on two rows of milliseconds; nothing is timed."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tap  # noqa: E402
import world  # noqa: E402

ROWS = ["sieve", "fib"]  # of two programs
MACHINES = ["cosm-jit", "native"]
ROUNDS = 6  # of 2 runs and 3 turns
SECONDS = 4 * world.BOOT_SECONDS


def run(folder, cosm):
    """(finished process, contents of figures.json, of figures.md)"""
    world.obtain("linux", "trixie")
    for tool in ("riscv64-linux-gnu-gcc", "gcc"):
        if not shutil.which(tool):
            raise tap.Skip(f"no {tool} here")
    command = [world.ROOT / "bench" / "run.py", "--cosm", cosm, "--part", "programs", "--newer", "none",
               "--runs", "2", "--turns", "3", "--time", "5", "--output", folder]
    for row in ROWS:
        command += ["--only", row]
    for machine in MACHINES:
        command += ["--machines", machine]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=SECONDS, check=False)
    report = folder / "figures.json"
    tap.check(report.exists(), f"no report, status {done.returncode}:\n{done.stdout[-2000:]}")
    return done, json.loads(report.read_text()), (folder / "figures.md").read_text()


def check_row(row):
    values = {machine: row["machines"][machine] for machine in MACHINES}
    for machine, value in values.items():
        tap.check_equal(len(value["values"]), ROUNDS, f"number of values of {machine}")
        tap.check(0 < value["min"] <= value["median"] <= value["max"], f"{machine}: {value}")
    tap.check(row["checksum"].startswith("0x"), "no checksum")
    rounds = sorted(mine / peer for mine, peer in zip(*(values[machine]["values"] for machine in MACHINES)))
    middle = (rounds[ROUNDS // 2 - 1] + rounds[ROUNDS // 2]) / 2
    tap.check_equal(row["ratios"]["cosm-jit"]["native"]["median"], middle, "median of the rounds' ratios")
    tap.check_equal(row["ratios"]["cosm-jit"]["qemu"], None, "a ratio to a machine that was not asked for")


def reports():
    with tempfile.TemporaryDirectory() as name:
        done, result, text = run(pathlib.Path(name), world.COSM)
    tap.check_equal(done.returncode, 0, f"status of\n{done.stdout[-2000:]}\n")
    programs = result["programs"]
    tap.check_equal(programs["problems"], [], "problems")
    tap.check_equal(sorted(programs["rows"]), sorted(ROWS), "rows")
    tap.check_equal(sorted(programs["machines"]), sorted(MACHINES), "machines")
    for row in programs["rows"].values():
        check_row(row)
        tap.check(f"| {row['title']}, {row['unit']} |" in text, f"{row['title']} is not in the table")
        tap.check(row["group"] in programs["groups"], f"no mean of {row['group']}")
    tap.check(result["date"] in text and "times the speed" in text, f"the report:\n{text}")


def tells_of_problems():
    """A machine that does not start leaves its figures out, and the status says so."""
    with tempfile.TemporaryDirectory() as name:
        done, result, _ = run(pathlib.Path(name), shutil.which("false"))
    tap.check_equal(done.returncode, 1, "status")
    tap.check(result["programs"]["problems"], "no problem is told of")
    for row in result["programs"]["rows"].values():
        tap.check("native" in row["machines"], "the PC's figures are missing, too")
        tap.check("cosm-jit" not in row["machines"], "a figure of a machine that did not start")


tap.add("figures of two rows in JSON and Markdown", reports)
tap.add("a machine that does not start is told of", tells_of_problems)
tap.main()
