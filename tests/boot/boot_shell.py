#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A person's session: the shell on the console, job control, power off, reboot, exit codes, leaving by Ctrl-A x."""

import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tap  # noqa: E402
import world  # noqa: E402
from console import Console  # noqa: E402

PROMPT = "~ # "


@tap.test("the shell runs commands, Ctrl-C ends one, and poweroff leaves with status 0")
def _():
    with world.boot(harts=2, append="quiet") as console:
        tap.check_equal(console.run("echo $((6 * 7))").strip(), "42", "the sum")
        console.send("sleep 1000\r")
        console.expect("\n", 20)
        time.sleep(0.3)
        console.send("\x03")
        console.expect(PROMPT, 20)
        console.run("sleep 500 &")
        tap.check("sleep 500" in console.run("jobs"), "no job is listed")
        console.run("kill %1; wait")
        tap.check("nothing" in console.run("pidof sleep || echo nothing"), "the job lives on")
        console.send("poweroff\r")
        tap.check_equal(console.wait(60), 0, "the exit status after poweroff")


@tap.test("a machine suspends to RAM, and a key wakes it with both harts")
def _():
    with world.boot(harts=2, append="no_console_suspend") as console:
        console.run("echo enabled > /sys/class/tty/ttyS0/power/wakeup; echo kept > /root/before")
        console.send("echo mem > /sys/power/state; echo back $(nproc) $(cat /root/before)\r")
        console.expect("CPU1: off", 60)
        time.sleep(2)
        console.read(0.5)
        tap.check("CPU1 is up" not in console.output, "it did not stay suspended")
        console.send("\r")
        console.expect("back 2 kept", 60)
        console.send("poweroff\r")
        tap.check_equal(console.wait(60), 0, "the exit status after poweroff")


@tap.test("reboot starts again, twice")
def _():
    with world.boot(append="quiet") as console:
        for _ in range(2):
            console.run("touch /root/before")
            console.send("reboot\r")
            console.expect(world.READY, world.BOOT_SECONDS)
            console.expect(PROMPT, 30)
            tap.check_equal(console.run("ls /root").strip(), "", "what survived in the guest's memory")
        world.power_off(console)


@tap.test("with --no-reboot a reboot ends the run")
def _():
    with Console(world.command(append="quiet cosm.test=\"reboot -f\"", extra=["--no-reboot"])) as console:
        tap.check_equal(console.wait(world.BOOT_SECONDS), 0, "the exit status")


@tap.test("the test finisher's code is the exit status")
def _():
    # Writing 0x3333 and a code in the upper half means: failed, with this code.
    script = "devmem 0x100000 32 0x00293333"
    with Console(world.command(append=f"quiet cosm.test=\"{script}\"")) as console:
        tap.check_equal(console.wait(world.BOOT_SECONDS), 0x29, "the exit status")


@tap.test("Ctrl-A x leaves at once")
def _():
    with world.boot(append="quiet") as console:
        console.send("\x01x")
        tap.check_equal(console.wait(10), 0, "the exit status")


@tap.test("the terminal is as it was, however the run ends")
def _():
    command = " ".join(f"'{part}'" for part in world.command(append="quiet cosm.test=\"sleep 1000\""))
    script = f"stty -a >$0.before; {command}; stty -a >$0.after; cmp $0.before $0.after && echo same-terminal"
    folder = subprocess.check_output(["mktemp", "-d"], text=True).strip()
    with Console(["sh", "-c", script, f"{folder}/stty"]) as console:
        console.expect("cosm: test starts", world.BOOT_SECONDS)
        console.send("\x01x")
        console.expect("same-terminal", 20)
    subprocess.run(["rm", "-r", folder], check=True)


tap.main(sys.argv[1:])
