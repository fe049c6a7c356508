# SPDX-License-Identifier: BSD-2-Clause
"""A program on a pseudo terminal of its own: spawn it, wait for text, type, see how it ended."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

KEEP = 1 << 20  # bytes of past output kept for the report of a failure


class Timeout(Exception):
    pass


class Ended(Exception):
    pass


class Console:
    def __init__(self, argv, env=None, rows=24, columns=120):
        self.argv = [str(a) for a in argv]
        self.output = ""  # all that was printed, up to KEEP
        self.mark = 0  # expect() looks from here on
        self.status = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.execvpe(self.argv[0], self.argv, env or os.environ)
            except OSError as error:
                os.write(2, f"{self.argv[0]}: {error.strerror}\n".encode())
            os._exit(127)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def read(self, timeout):
        """Takes what there is to read; False once the program has closed its terminal."""
        if not select.select([self.fd], [], [], max(timeout, 0))[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # a terminal without a program on it reads as an I/O error
            data = b""
        self.output += data.decode("utf-8", "replace")
        surplus = len(self.output) - KEEP
        if surplus > 0:
            self.output = self.output[surplus:]
            self.mark = max(self.mark - surplus, 0)
        return bool(data)

    def expect(self, pattern, timeout=60):
        """Waits for a regular expression in what comes after the last match; returns the match."""
        deadline = time.monotonic() + timeout
        alive = True
        while True:
            found = re.search(pattern, self.output[self.mark:])
            if found:
                self.mark += found.end()
                return found
            left = deadline - time.monotonic()
            if not alive:
                raise Ended(f"ended before {pattern!r} came; last output:\n{self.tail()}")
            if left <= 0:
                raise Timeout(f"{pattern!r} did not come in {timeout} s; last output:\n{self.tail()}")
            alive = self.read(min(left, 1))

    def send(self, text):
        os.write(self.fd, text.encode())

    def run(self, command, prompt="~ # ", timeout=60):
        """Types a shell command; returns what it printed."""
        self.send(command + "\r")
        # The terminal echoes the command, wrapped at its right edge if long.
        self.expect(r"\n", timeout)
        start = self.mark
        found = self.expect(prompt, timeout)
        output = self.output[start:self.mark - len(found[0])].replace("\r", "")
        # What is typed right behind a prompt may come before the shell has taken over the terminal: both echo it.
        return output.removeprefix(command + "\n")

    def wait(self, timeout=60):
        """The exit status of the program, or minus the signal that ended it."""
        deadline = time.monotonic() + timeout
        alive = True
        while self.status is None:
            if time.monotonic() > deadline:
                raise Timeout(f"still running after {timeout} s; last output:\n{self.tail()}")
            if alive:
                alive = self.read(0.1)
            else:
                time.sleep(0.01)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        while alive and select.select([self.fd], [], [], 0)[0]:
            alive = self.read(0)
        return self.status

    def cpu_seconds(self):
        """Processor time of the program so far, all threads."""
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self):
        """Resident memory; what the program has mapped twice, as cosm has translated code, counts once."""
        total, wanted = 0, ""
        with open(f"/proc/{self.pid}/smaps", encoding="ascii", errors="replace") as file:
            for line in file:
                words = line.split()
                if "-" in words[0]:
                    wanted = "Pss:" if words[1].endswith("s") else "Rss:"
                elif words[0] == wanted:
                    total += int(words[1])
        return total

    def tail(self, lines=25):
        return "\n".join(self.output.replace("\r", "").splitlines()[-lines:])

    def close(self):
        if self.status is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
                self.wait(10)
            except (ProcessLookupError, ChildProcessError):
                self.status = -signal.SIGKILL
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
