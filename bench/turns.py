# SPDX-License-Identifier: BSD-2-Clause
"""What runs the programs when it is asked: guests that stay up and wait at their console, and processes of this PC."""

import contextlib
import subprocess

from console import Ended, Timeout

WAITS = "bench: waits"
BOOT_SECONDS, ANSWER_SECONDS = 600, 600
PROBLEMS = (Ended, Timeout, ValueError, OSError)

# The guest's side: it sleeps until a line comes. What is typed is echoed, so nobody may type what it says.
SERVE = f"""#!/bin/sh
while echo '{WAITS}' && read -r line; do
    eval "$line"
done
"""


class Guest:
    """A booted machine that runs SERVE; idle unless it is asked."""

    def __init__(self, machine, linux, initrd, harts=1):
        self.console = machine.start(linux, initrd, 'cosm.test="/bench/serve"', harts=harts)
        try:
            self.console.expect(WAITS + r"\r*\n", BOOT_SECONDS)
        except PROBLEMS:
            self.close()
            raise

    def ask(self, program, arguments, copies=1):
        """What a program prints, or several copies at a time."""
        command = " ".join([f"/bench/{program}", *arguments])
        line = f"{command} || echo bench: status $?"
        if copies > 1:
            line = " & ".join([command] * copies) + "; wait"
        start = self.console.mark
        self.console.send(line + "\n")
        self.console.expect(WAITS + r"\r*\n", ANSWER_SECONDS)
        return self.console.output[start:self.console.mark]

    def close(self):
        self.console.close()


class Process:
    """The same without a guest: BUILT is {(program, kind): file}."""

    def __init__(self, machine, built):
        self.machine = machine
        self.built = built

    def ask(self, program, arguments, copies=1):
        command = [*self.machine.command, self.built[program, self.machine.kind], *arguments]
        running = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    text=True) for _ in range(copies)]
        return "".join(process.communicate()[0] for process in running)

    def close(self):
        """It waits for nothing."""


@contextlib.contextmanager
def all_up(starts, failed):
    """{machine: what it runs on} of [(machine, function)]; those that do not start are told to FAILED and left out."""
    up = {}
    try:
        for machine, start in starts:
            try:
                up[machine] = start()
            except PROBLEMS as problem:
                failed(machine, problem)
        yield up
    finally:
        for running in up.values():
            running.close()


def rotated(items, number):
    """Each time another one is first."""
    items = list(items)
    turn = number % max(len(items), 1)
    return items[turn:] + items[:turn]
