# SPDX-License-Identifier: BSD-2-Clause
"""VMs with a name for tests: each runs a script of the guest's shell, and is watched from outside."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

import tap
import world


def cosm(*arguments):
    done = subprocess.run([str(a) for a in (world.COSM, *arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=60, check=False)
    return done.returncode, done.stdout


def check_image(image):
    for command in ([world.COSM, "disk", "check", image], ["qemu-img", "check", "-f", "qcow2", image]):
        if image.suffix != ".qcow2" or not shutil.which(command[0]):
            continue
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        tap.check(done.returncode in (0, 3), f"{command} ends with {done.returncode}: {done.stdout[-500:]}")


class Guest:
    """A VM with a name that runs one script and powers off; its console goes to a file."""

    def __init__(self, folder, script, *extra, harts=1, typed=False):
        self.folder = folder
        self.log = folder / "console"
        append = f'quiet cosm.test="{script}"'
        command = list(map(str, world.command("trixie", append, harts, "256M", extra=["-n", "t", *extra])))
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE if typed else subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

    def type(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def text(self):
        return self.log.read_text(errors="replace")

    def until(self, condition, what, seconds=world.BOOT_SECONDS):
        end = time.monotonic() + seconds
        while not condition():
            tap.check(time.monotonic() < end and self.process.poll() is None, f"{what} did not come; console:\n{self.text()[-1500:]}")
            time.sleep(0.1)

    def row(self):
        rows = json.loads(cosm("ps", "--json")[1] or "[]")
        return rows[0] if rows else {}

    def until_state(self, state, seconds=world.BOOT_SECONDS):
        self.until(lambda: self.row().get("state") == state, f"state {state}", seconds)

    def ends(self, seconds=world.BOOT_SECONDS):
        status = self.process.wait(seconds)
        tap.check_equal(status, 0, f"the status (console: {self.text()[-1500:]})")
        return self.text()

    def events(self):
        """A connection to the control socket that has been told of nothing yet."""
        control = socket.socket(socket.AF_UNIX)
        control.settimeout(world.BOOT_SECONDS)
        control.connect(str(self.folder / "run" / "cosm" / "t.sock"))
        control.sendall(b'{"execute": "qmp_capabilities"}')
        return control.makefile("rb")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        cosm("rm", "-f", "t")


@contextlib.contextmanager
def own_folder(prefix, mount=None):
    """A folder, perhaps a file system of so many bytes, which is the place of all that VMs leave, too."""
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        folder = pathlib.Path(name)
        if mount:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mount}", "none", name], check=True)
        (folder / "run").mkdir(mode=0o700)
        os.environ["XDG_RUNTIME_DIR"] = str(folder / "run")
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        try:
            yield folder
        finally:
            if mount:
                subprocess.run(["umount", "-l", name], check=True)


@contextlib.contextmanager
def guest(folder, script, *extra, harts=1, typed=False):
    it = Guest(folder, script, *extra, harts=harts, typed=typed)
    try:
        yield it
    finally:
        it.kill()
