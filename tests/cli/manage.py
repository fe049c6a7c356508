#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""VMs with a name: detached, listed, attached to, stopped, killed and forgotten, over real guests."""

import atexit
import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

from cli import COSM, FAILED, ROOT, USAGE, cosm, refused
import tap
from tap import check, check_equal, test

sys.path.insert(0, str(ROOT / "tests" / "lib"))
import world  # noqa: E402
from console import Console  # noqa: E402

HOME = pathlib.Path(tempfile.mkdtemp(prefix="cosm-manage-"))
os.environ["XDG_STATE_HOME"] = str(HOME / "state")
os.environ["XDG_RUNTIME_DIR"] = str(HOME / "run")
(HOME / "run").mkdir(mode=0o700)
SOCKETS = HOME / "run" / "cosm"
KEPT = HOME / "state" / "cosm" / "vm"


@atexit.register
def tidy():
    names = cosm("ps", "-aq")[1].split()
    if names:
        cosm("rm", "-f", *names, seconds=60)
    shutil.rmtree(HOME, ignore_errors=True)


def done(*arguments, seconds=60, **options):
    """Runs cosm, which must succeed without a word on standard error; what it printed."""
    code, out, error = cosm(*arguments, seconds=seconds, **options)
    check_equal((code, error), (0, ""), f"the outcome of 'cosm {' '.join(map(str, arguments))[:60]}'")
    return out


def start(name, *extra, ready=True, append="console=ttyS0 quiet"):
    linux = world.obtain("linux", "trixie")
    out = done("run", "-d", "-n", name, "-k", linux / "Image", "--initrd", linux / "initramfs.cpio", "-m", "256M",
               "-a", append, *extra)
    check_equal(out, f"{name}\n", "what run --detach prints")
    if ready:
        wait_log(name, "~ # ")


def wait_until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, f"{what} did not come about in {seconds} s")
        time.sleep(0.05)


def wait_log(name, text, seconds=world.BOOT_SECONDS):
    wait_until(lambda: text in done("logs", name), f"'{text}' on the console of {name}", seconds)


def listed(*options):
    return {row["name"]: row for row in json.loads(done("ps", "--json", *options))}


@contextlib.contextmanager
def vm(name, *extra, **options):
    start(name, *extra, **options)
    try:
        yield name
    finally:
        cosm("rm", "-f", name, seconds=60)


class Control:
    """A connection to the control socket."""

    def __init__(self, name, negotiate=True):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(SOCKETS / f"{name}.sock"))
        self.file = self.socket.makefile("rb")
        self.greeting = self.read()
        if negotiate:
            self.call("qmp_capabilities")

    def read(self):
        line = self.file.readline()
        return json.loads(line) if line else None

    def send(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def ask(self, text):
        self.send(text)
        return self.read()

    def call(self, command, **more):
        """The answer; events that come before are kept in events."""
        self.events = []
        self.send(json.dumps({"execute": command, **more}))
        while True:
            answer = self.read()
            if answer is None or "event" not in answer:
                return answer
            self.events.append(answer["event"])

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()
        self.socket.close()


@test("a detached VM runs, is listed, and powers off when asked to")
def life():
    with vm("web", "--smp", "2"):
        row = listed()["web"]
        check_equal((row["state"], row["harts"], row["memory"]), ("running", 2, 256 << 20), "what ps says")
        os.kill(row["pid"], 0)
        check("web" in done("ps") and "running" in done("ps"), "ps does not show it")
        check_equal(done("stop", "web", seconds=90), "web\n", "what stop prints")
        check_equal(listed(), {}, "the VMs that run")
        row = listed("-a")["web"]
        check_equal((row["state"], row["status"], row["reason"]), ("ended", 0, "guest-shutdown"), "how it ended")
        check("Power" in row["last_line"], f"the last line is {row['last_line']!r}")
        check_equal(done("wait", "web"), "0\n", "what wait prints")
        check_equal(done("stop", "web"), "web\n", "stopping it again")
        check_equal(list(SOCKETS.iterdir()), [], "sockets left")
        check_equal(done("rename", "web", "old") + done("rm", "old"), "old\n", "what rm prints")
        check_equal((listed("-a"), list(KEPT.iterdir())), ({}, []), "what is kept after rm")


@test("stop presses the power key where a guest listens to it")
def power_key():
    script = ("for m in $(cat /lib/modules/input); do insmod /lib/modules/$m; done; echo LISTENING; "
              "head -c 48 /dev/input/event0 | hexdump -v")
    with vm("key", ready=False, append=f'console=ttyS0 quiet cosm.test="{script}"'):
        wait_log("key", "LISTENING")
        done("stop", "key", seconds=90)
        log = done("logs", "key")
        check(" 0001 0074 0001 0000 " in log and "sysrq" not in log.lower(), f"the guest's console: {log[-400:]!r}")


@test("files and sockets are the user's alone")
def modes():
    with vm("web", ready=False):
        for path in (SOCKETS, KEPT, KEPT / "web"):
            check_equal(stat.S_IMODE(path.stat().st_mode), 0o700, f"the mode of {path}")
        for path in (*SOCKETS.iterdir(), *(KEPT / "web").iterdir()):
            check_equal(stat.S_IMODE(path.stat().st_mode), 0o600, f"the mode of {path}")
        check_equal(sorted(p.name for p in SOCKETS.iterdir()), ["web.console", "web.sock", "web.vsock"], "the sockets")
        SOCKETS.chmod(0o755)
        try:
            refused(FAILED, "run", "-d", "-n", "more", "-k", COSM, says=["open to others", "chmod 700"])
        finally:
            SOCKETS.chmod(0o700)


@test("a path of any length may lead to the sockets; without XDG_RUNTIME_DIR they are in /tmp")
def places():
    deep = HOME / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True, mode=0o700)
    kept = os.environ["XDG_RUNTIME_DIR"]
    os.environ["XDG_RUNTIME_DIR"] = str(deep)
    try:
        with vm("far", ready=False):
            os.environ["XDG_RUNTIME_DIR"] = kept  # the record tells where they are
            check_equal(listed()["far"]["state"], "running", "its state")
            check_equal(done("pause", "far"), "far\n", "what pause prints")
            check_equal(listed()["far"]["state"], "paused", "its state")
        del os.environ["XDG_RUNTIME_DIR"]
        with vm("near", ready=False):
            folder = pathlib.Path(f"/tmp/cosm-{os.geteuid()}")
            check((folder / "near.sock").is_socket(), "no socket in /tmp/cosm-UID")
    finally:
        os.environ["XDG_RUNTIME_DIR"] = kept


@test("several type on one console and see the same; Ctrl-A d leaves, and the VM goes on")
def console():
    with vm("web"):
        with Console([COSM, "console", "web"]) as one, Console([COSM, "console", "web"]) as two:
            one.expect("Ctrl-A d leaves")
            two.expect("~ # ", 20)
            one.expect("~ # ", 20)
            one.send("echo $((6 * 7))\r")
            for each in (one, two):
                each.expect(r"\n42\r", 20)
                each.expect("~ # ", 20)
            two.send("echo $((70 + 7))\r")
            for each in (one, two):
                each.expect(r"\n77\r", 20)
            one.send("\x01d")
            check_equal(one.wait(20), 0, "the exit status of console")
            two.send("echo $((80 + 8))\r")
            two.expect(r"\n88\r", 20)
            two.expect("~ # ", 20)
            two.send("poweroff\r")
            check_equal(two.wait(60), 0, "the exit status of console when the VM ended")
        wait_until(lambda: listed("-a")["web"]["state"] == "ended", "the end")
        check_equal(listed("-a")["web"]["last_line"].startswith("["), True, "the last line")
        check("\n42\n" in done("logs", "web").replace("\r", ""), "the log lacks what was shown")
        refused(FAILED, "console", "web", says=["does not run", "cosm logs web"])


@test("logs -n begins near the end, logs -f follows until the end")
def logs():
    with vm("web"):
        with subprocess.Popen([COSM, "logs", "-f", "-n", "1", "web"], stdout=subprocess.PIPE) as follower:
            with Console([COSM, "console", "web"]) as console:
                console.expect("~ # ", 20)
                console.send("seq 100 120\r")
                console.expect(r"\n120\r", 20)
                console.expect("~ # ", 20)
                console.send("poweroff\r")
                console.wait(60)
            try:
                out, _ = follower.communicate(timeout=20)
            finally:
                follower.kill()
        check(b"\n110\r\n" in out and b"Power" in out, f"logs -f printed {out[-200:]!r}")
        check(b"built-in" not in out, "logs -n 1 printed what is older")
        check_equal(done("logs", "-n", "3", "web").count("\n"), 3, "the lines of logs -n 3")
        check_equal(done("logs", "-n", "0", "web"), "", "logs -n 0")


@test("two VMs at once; the second does not disturb the first; a name is taken once")
def two():
    with vm("a", ready=False), vm("b", ready=False):
        check_equal(sorted(listed()), ["a", "b"], "the VMs")
        refused(FAILED, "run", "-d", "-n", "a", "-k", COSM, says=["'a' runs already"])
        refused(FAILED, "rm", "a", says=["'a' runs", "cosm stop a"])
        refused(FAILED, "rename", "a", "c", says=["'a' runs"])
        check_equal(done("kill", "b"), "b\n", "what kill prints")
        check_equal({n: (r["state"], r.get("status")) for n, r in listed("-a").items()},
                    {"a": ("running", None), "b": ("ended", 137)}, "their states")
        refused(FAILED, "run", "-d", "-n", "b", "-k", COSM, says=["which has ended", "cosm rm b"])
        refused(FAILED, "kill", "b", says=["does not run"])
        check_equal(done("stop", "-t", "0", "a"), "a\n", "what stop -t 0 prints")
        check_equal(listed("-a")["a"]["reason"], "host-quit", "how it ended")


@test("a VM whose process is killed has died, and its name can be had again")
def died():
    with vm("web"):
        os.kill(listed()["web"]["pid"], signal.SIGKILL)
        wait_until(lambda: listed()["web"]["state"] == "died", "the death")
        check_equal(listed()["web"]["last_line"], "~ #", "the last line")
        check("died" in done("ps"), "ps does not show it")
        check((SOCKETS / "web.sock").is_socket(), "the socket is gone, so nothing is tested")
        refused(FAILED, "wait", "web", says=["died"])
        refused(FAILED, "pause", "web", says=["does not run"])
        check_equal(done("rm", "web"), "web\n", "what rm prints")
        check_equal(list(SOCKETS.iterdir()), [], "sockets left")


@test("a VM whose process hangs is told of in time, and can be killed")
def mute():
    with vm("web", ready=False):
        os.kill(listed()["web"]["pid"], signal.SIGSTOP)
        check_equal(listed()["web"]["state"], "mute", "its state")
        refused(FAILED, "pause", "web", says=["does not answer", "cosm kill web"])
        check_equal(done("kill", "web"), "web\n", "what kill prints")


@test("what fails at the start is told by the first process, and keeps no name")
def failures():
    refused(FAILED, "run", "-d", "-n", "web", "-k", HOME / "none", says=["--kernel", "does not exist"])
    refused(FAILED, "run", "-n", "web", "-k", HOME / "none", says=["--kernel", "does not exist"])
    check_equal(listed("-a"), {}, "the VMs")
    for name in ("", "-x", ".", "..", "a/b", "a b", "ü", "n" * 64):
        refused(USAGE, "run", f"--name={name}", "-k", COSM, says=["--name"])
    refused(FAILED, "stop", "web", says=["no VM 'web'", "cosm ps -a"])
    refused(FAILED, "rm", "../web", says=["no VM"])
    refused(FAILED, "clone", "web", "web2", says=["no VM 'web' was made from an image"])
    refused(USAGE, "clone", "web", says=["cosm clone NAME NEW"])
    for verb in ("stop", "kill", "rm", "logs", "console", "wait", "pause", "resume", "memory", "rename", "clone"):
        refused(USAGE, verb, says=["which VM?", f"cosm {verb} NAME"])
    refused(USAGE, "stop", "-t", "-1", "web", says=["--time"])
    refused(USAGE, "logs", "a", "b", says=["one argument too many"])
    refused(USAGE, "run", "-d", "disk.img", "-k", COSM, says=["disk.img", "leave out --kernel"])
    refused(USAGE, "run", "-d", "disk.img", says=["disk.img", "--drive"])


@test("a VM in the foreground with a name can be reached, too")
def foreground():
    with Console([*world.command(append="quiet", memory="256M"), "-n", "here"]) as console:
        console.expect("~ # ", world.BOOT_SECONDS)
        check_equal(listed()["here"]["state"], "running", "its state")
        check("~ # " in done("logs", "here"), "nothing is in its log")
        check_equal(done("stop", "here", seconds=90), "here\n", "what stop prints")
        check_equal(console.wait(20), 0, "its exit status")
    done("rm", "here")


@test("nothing of a detached VM holds on to the terminal; what it says is in its log")
def apart():
    with vm("web", "--net", "user", "--stats", ready=False):  # its network is a process of its own
        done("stop", "-t", "0", "web")
        code, _, error = cosm("logs", "web")
        check(code == 0 and "instructions" in error, f"cosm's own words are {error!r}")


@test("input that the guest takes slowly is kept, and a break reaches it")
def typing():
    with vm("web"), Console([COSM, "console", "web"]) as console:
        console.expect("~ # ", 20)
        console.send("stty -echo -icanon; dd bs=1 count=20000 2>/dev/null | md5sum\r")
        time.sleep(1)
        text = "0123456789" * 2000
        for at in range(0, len(text), 1000):
            console.send(text[at:at + 1000])
            console.read(0)
        console.expect(hashlib.md5(text.encode()).hexdigest(), 60)
        console.expect("~ # ", 20)
        console.send("stty sane\r")
        console.expect("~ # ", 20)  # a break does not wait for what was typed before
        console.send("\x01bh")  # SysRq h tells what there is
        console.expect("sysrq: HELP", 20)
        console.send("\x01h")
        console.expect("this help", 20)
        console.send("\x01x")
        check_equal(console.wait(20), 0, "the exit status of console")
        check_equal(listed()["web"]["state"], "running", "its state")


@test("names are made up where none is given, and completed by bash")
def nameless():
    names = [done("run", "-d", "-k", world.obtain("linux", "trixie") / "Image").strip() for _ in range(2)]
    check_equal(names, ["vm1", "vm2"], "the names")
    script = done("help", "--format=bash") + f"""
        COMP_WORDS=({COSM} console vm); COMP_CWORD=2; _cosm; echo "${{COMPREPLY[@]}}\""""
    completed = subprocess.run(["bash", "--norc", "-uc", script], capture_output=True, text=True, check=False)
    check_equal((completed.stdout, completed.stderr), ("vm1 vm2\n", ""), "what bash completes")
    done("rm", "-f", *names)


@test("the control socket answers in QMP's form")
def protocol():
    with vm("web", ready=False), Control("web", negotiate=False) as control:
        check_equal(sorted(control.greeting["QMP"]), ["capabilities", "version"], "the greeting")
        check_equal(control.call("query-status")["error"]["class"], "CommandNotFound", "an early command")
        check_equal(control.call("qmp_capabilities", id=7), {"return": {}, "id": 7}, "the negotiation")
        for each in ("x", {"a": [1, "}"]}, None, -1.5, [[]]):
            check_equal(control.call("query-name", id=each), {"return": {"name": "web"}, "id": each}, "query-name")
        check_equal(control.call("nonsense")["error"]["class"], "CommandNotFound", "an unknown command")
        check_equal(control.call("stop", arguments={"x": 1})["error"]["class"], "GenericError", "an argument")
        names = {c["name"] for c in control.call("query-commands")["return"]}
        schema = control.call("query-schema")["return"]
        check_equal({c["name"] for c in schema if c["meta-type"] == "command"}, names, "the commands of the schema")
        check({"STOP", "RESUME", "RESET", "SHUTDOWN"} <= {c["name"] for c in schema}, "events are missing")
        with Control("web") as other:
            check_equal(control.call("stop"), {"return": {}}, "stop")
            check_equal((control.events, other.read()["event"]), (["STOP"], "STOP"), "the event")
            count = control.call("query-stats")["return"]["instructions"]
            time.sleep(0.3)
            check_equal(control.call("query-stats")["return"]["instructions"], count, "instructions while it stands")
            check_equal(control.call("query-status")["return"]["status"], "paused", "its state")
            check("stands still" in control.call("system_powerdown")["error"]["desc"], "powerdown of one that stands")
            control.call("stop")
            check_equal(control.events, [], "events of a second stop")
            control.call("cont")
            check_equal((control.events, other.read()["event"]), (["RESUME"], "RESUME"), "the event")
            control.call("system_reset")
            check_equal(other.read()["event"], "RESET", "the event")
            control.call("quit")
            end = other.read()
            check_equal((end["event"], end["data"]), ("SHUTDOWN", {"guest": False, "reason": "host-quit"}), "the end")
            check_equal(other.read(), None, "what comes after the end")


@test("what is no request is refused, and the VM goes on")
def malformed():
    with vm("web", ready=False), Control("web") as control:
        for text in ("garbage\n", "{]}", "{\"execute\": 1}", "[1, 2]", "{\"execute\": \"stop\", \"x\": 1}", "{}", "12\n",
                     "{\"execute\": \"quit\", \"arguments\": []}", "{\"execute\": \"\\ud800\"}",
                     "[" * 100 + "]" * 100, "{\"execute\": \"quit\"\0}", "[" + "1," * 300 + "1]"):
            check("error" in control.ask(text), f"{text[:40]!r} is taken")
        check_equal(control.ask(b"{\"execute\": \"\xff\xfe\"}")["error"]["class"], "GenericError", "no UTF-8")
        for byte in "{\"execute\": \"query-name\", \"id\": 1}":  # one by one
            control.send(byte)
        check_equal(control.read(), {"return": {"name": "web"}, "id": 1}, "the answer")
        control.send("{" + " " * 20000)
        check("longer" in control.read()["error"]["desc"], "a request without end is taken")
        with contextlib.suppress(ConnectionResetError):  # not all was read
            check_equal(control.read(), None, "what comes after a request without end")
        check_equal(listed()["web"]["state"], "running", "its state")


@test("who never reads, or comes in crowds, holds up nobody")
def deaf():
    with vm("web"):
        pid = listed()["web"]["pid"]
        deaf_one = socket.socket(socket.AF_UNIX)
        deaf_one.connect(str(SOCKETS / "web.sock"))
        deaf_one.setblocking(False)
        console = socket.socket(socket.AF_UNIX)
        console.connect(str(SOCKETS / "web.console"))
        before = resident_kib(pid)
        request = b"{\"execute\": \"qmp_capabilities\"}" + b"{\"execute\": \"query-schema\"}" * 1000
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 50 << 20:
                sent += deaf_one.send(request)
        check(sent < 4 << 20, f"{sent} bytes were taken from one who reads nothing")
        with Console([COSM, "console", "web"]) as typing:  # the deaf console misses megabytes
            typing.expect("~ # ", 20)
            typing.send("yes 0123456789 | head -n 30000; echo do''ne\r")
            typing.expect("done", 60)
        check_equal(listed()["web"]["state"], "running", "its state")
        crowd = []
        for _ in range(40):
            crowd.append(socket.socket(socket.AF_UNIX))
            crowd[-1].connect(str(SOCKETS / "web.sock"))
        for one in (deaf_one, *crowd):
            one.close()
        wait_until(lambda: listed()["web"]["state"] == "running", "an answer after the crowd", 20)
        check(resident_kib(pid) - before < 16 << 10, f"memory grew from {before} to {resident_kib(pid)} KiB")
        console.settimeout(5)
        check_equal(console.recv(16)[:1] != b"", True, "the deaf console's first bytes")
        console.close()


def resident_kib(pid):
    """Without the guest's RAM."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    return 0


@test("the log of a guest that floods its console has an end", long=True)
def flood():
    with vm("web"), Console([COSM, "console", "web"]) as console:
        console.expect("~ # ", 20)
        console.send("yes 0123456789012345678901234567890123456789012345678901234567890123456789 | head -n 300000\r")
        wait_until(lambda: (KEPT / "web" / "console.log.1").exists(), "the second log", 120)
        sizes = [(KEPT / "web" / name).stat().st_size for name in ("console.log", "console.log.1")]
        check(max(sizes) <= 8 << 20, f"the logs have {sizes} bytes")


if __name__ == "__main__":
    world.obtain("linux", "trixie")
    tap.main(sys.argv[1:])
