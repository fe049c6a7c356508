# SPDX-License-Identifier: BSD-2-Clause
"""A VM beside a hostile one: does it go on answering, over its console and its control socket?

The limit is a second for a round trip. A machine that is busy with other things is slow, too: so a round trip over the
limit is held against what the neighbour needs beside a harmless guest that is as busy.
"""

import contextlib
import json
import os
import pathlib
import select
import socket
import subprocess
import tempfile
import threading
import time

LIMIT = 1.0  # seconds a round trip
PAUSE = 0.02  # between round trips
START = 60  # seconds until it says that it is ready


class Refused(Exception):
    """The VM did not start: what it said."""


class Neighbour:
    """tests/guest/echo.c under cosm; measures from begin to end."""

    def __init__(self, program, options=()):
        self.folder = tempfile.TemporaryDirectory(prefix="cosm-neighbour-")
        place = pathlib.Path(self.folder.name)
        env = dict(os.environ, XDG_STATE_HOME=str(place / "state"), XDG_RUNTIME_DIR=str(place))
        self.process = subprocess.Popen(
            [os.environ["COSM"], "run", "-n", "quiet", "-m", "16M", "--bios", program, *options], env=env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self.control = None
        self.said = b""
        self.worst = {}
        self.rounds = 0
        self.stop = threading.Event()
        try:
            self.expect(b"ready\n", START)
            self.control = socket.socket(socket.AF_UNIX)
            self.control.connect(str(place / "cosm" / "quiet.sock"))
            self.lines = self.control.makefile("rb")
            self.lines.readline()
            self.ask("qmp_capabilities")
        except BaseException:
            self.close()
            raise

    def expect(self, text, seconds):
        end = time.monotonic() + seconds
        while text not in self.said:
            ready = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]
            more = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            if not more:
                raise Refused(self.said.decode(errors="replace"))
            self.said += more
        self.said = b""

    def ask(self, command):
        self.control.sendall(json.dumps({"execute": command}).encode())
        while "event" in (answer := json.loads(self.lines.readline())):
            pass
        return answer

    def put(self, byte):
        self.process.stdin.write(byte)

    def time(self, what, function):
        start = time.monotonic()
        function()
        self.worst[what] = max(self.worst.get(what, 0), time.monotonic() - start)

    def echo(self):
        self.put(b"x")
        self.expect(b"x", START)

    def measure(self):
        while not self.stop.is_set():
            self.time("console", self.echo)
            self.time("control socket", lambda: self.ask("query-status"))
            self.rounds += 1
            time.sleep(PAUSE)

    def guarded(self):
        try:
            self.measure()
        except (OSError, ValueError, Refused):
            self.worst["ended"] = float("inf")

    @contextlib.contextmanager
    def measuring(self):
        self.worst, self.rounds = {}, 0
        self.stop.clear()
        thread = threading.Thread(target=self.guarded)
        thread.start()
        try:
            yield
        finally:
            self.stop.set()
            thread.join()

    def slowest(self):
        return max(self.worst.values(), default=float("inf"))

    def close(self):
        self.process.kill()
        self.process.wait()
        if self.control:
            self.control.close()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()
        self.folder.cleanup()


def beside_busy(neighbour, program, harts, seconds, options=()):
    """The slowest round trip beside a harmless guest whose harts are all busy."""
    busy = Neighbour(program, ["--smp", str(harts), *options])
    try:
        busy.put(b"b")
        with neighbour.measuring():
            time.sleep(seconds)
    finally:
        busy.close()
    return neighbour.slowest()


def is_at_fault(slowest, harmless):
    """Is a guest with such round trips beside it worse than one that is merely busy?"""
    return slowest > LIMIT and slowest > 3 * harmless
