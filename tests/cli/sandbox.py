#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The sandbox from outside: what a VM's process has given up, what is told of it, and hosts that do not give all."""

import contextlib
import ctypes
import json
import os
import pathlib
import platform
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

from cli import COSM, FAILED, USAGE, cosm, refused
import tap
from tap import check, check_equal, test

HOME = pathlib.Path(tempfile.mkdtemp(prefix="cosm-sandbox-"))
RUN = HOME / "run"
ENV = {"XDG_STATE_HOME": str(HOME / "state"), "XDG_RUNTIME_DIR": str(RUN)}
GUEST = HOME / "guest.bin"  # wfi, and once more
SECONDS = 60


def prepare():
    RUN.mkdir(mode=0o700)
    GUEST.write_bytes(struct.pack("<II", 0x10500073, 0xFFDFF06F))
    os.environ.update(ENV)
    os.environ.pop("COSM_SANDBOX", None)


def start(*options, **more):
    """Starts a VM named 'it' that stays: exit status, standard error."""
    code, _, error = cosm("run", "-d", "-n", "it", "-m", "16M", "--bios", GUEST, *options, seconds=SECONDS, **more)
    return code, error


@contextlib.contextmanager
def vm(*options, **more):
    """(its pid, what it said at its start)"""
    code, error = start(*options, **more)
    check_equal(code, 0, f"the exit status of run ({error.strip()})")
    try:
        yield listed()["pid"], error
    finally:
        cosm("rm", "-f", "it", seconds=SECONDS)


def listed():
    rows = json.loads(cosm("ps", "-a", "--json")[1])
    check_equal([row["name"] for row in rows], ["it"], "the VMs")
    return rows[0]


def query():
    """What query-sandbox says on the control socket."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(SECONDS)
        control.connect(str(RUN / "cosm" / "it.sock"))
        lines = control.makefile("rb")
        lines.readline()
        for command in ("qmp_capabilities", "query-sandbox"):
            control.sendall(json.dumps({"execute": command}).encode())
            answer = json.loads(lines.readline())
        return answer["return"]


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def namespace(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


def children(pid):
    """{name: pid} of the processes that a process started."""
    found = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if status(folder.name)["PPid"] == str(pid):
                found[(folder / "comm").read_text(encoding="ascii").strip()] = int(folder.name)
    return found


def need_whole_host():
    code, error = start("--sandbox=strict")
    cosm("rm", "-f", "it", seconds=SECONDS)
    if code:
        raise tap.Skip(f"this host gives no whole sandbox: {error.strip()}")


def need_namespaces():
    if subprocess.run(["unshare", "-rmn", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        raise tap.Skip("this host gives no user namespaces")


def filters_of(pid, task):
    """How many lists of system calls a thread has; one that has just begun gets its own soon."""
    wanted = 1 if task.name == str(pid) else 2
    for _ in range(100):
        found = int(status(f"{pid}/task/{task.name}")["Seccomp_filters"])
        if found >= wanted:
            break
        time.sleep(0.1)
    check(found >= wanted, f"thread {(task / 'comm').read_text().strip()} has {found} lists")


# ---- hosts that lack something ----

class Filter(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_uint16), ("filter", ctypes.POINTER(Filter))]


def refuse_calls(*numbers):
    """These system calls are not there (ENOSYS) from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = [Filter(0x20, 0, 0, 0)]  # load the number
    for number in numbers:
        code += [Filter(0x15, 0, 1, number), Filter(0x06, 0, 0, 0x00050000 | 38)]
    code.append(Filter(0x06, 0, 0, 0x7FFF0000))  # allow
    program = Program(len(code), (Filter * len(code))(*code))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "seccomp")


LANDLOCK_CREATE = 444  # everywhere
UNSHARE = {"x86_64": 272}.get(platform.machine(), 97)


def without_landlock():
    refuse_calls(LANDLOCK_CREATE)


def without_files():
    refuse_calls(LANDLOCK_CREATE, UNSHARE)


# ---- tests ----

@test("a VM's process has no rights, no network, no files, and lists of system calls; ps and query-sandbox say so")
def whole():
    need_whole_host()
    with vm("--memory-max", "300M") as (pid, error):
        check_equal(error, "", "what run says")
        told = query()
        check_equal((told["mode"], told["state"], told["missing"]), ("auto", "full", ""), "the sandbox")
        check_equal(told["memory-max"], 300 << 20, "memory-max")
        check(told["files"] and told["system-calls"], f"query-sandbox says {told}")
        check_equal(listed()["sandbox"], "full", "the sandbox as ps has it")
        now = status(pid)
        check_equal((now["NoNewPrivs"], now["Seccomp"], int(now["CapEff"], 16)), ("1", "2", 0), "its rights")
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            filters_of(pid, task)
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
        check(f"Max data size             {300 << 20}" in limits, f"its limits: {limits}")
        if told["network"]:
            check(namespace(pid, "net") != namespace("self", "net"), "it has the host's network")
        if told["namespaces"] and os.access(f"/proc/{pid}/root/.", os.R_OK):
            check(not os.path.exists(f"/proc/{pid}/root/etc/passwd"), "it has the host's files")


@test("the processes beside it are confined, too")
def helpers():
    need_whole_host()
    (HOME / "shared").mkdir()
    with vm("-v", f"{HOME}/shared:/x", "--net", "user") as (pid, _):
        found = children(pid)
        check("cosm-share" in found, f"its processes are {found}")
        for name in ("cosm-share", "cosm-net"):
            if name in found:
                now = status(found[name])
                check_equal((now["NoNewPrivs"], now["Seccomp"]), ("1", "2"), f"the rights of {name}")
        share = found["cosm-share"]
        told = query()
        if told["network"]:
            check(namespace(share, "net") != namespace("self", "net"), "cosm-share has the host's network")
        if told["namespaces"]:
            check(not os.path.exists(f"/proc/{share}/root/etc/passwd"), "cosm-share has the host's files")


@test("--sandbox=off keeps all, and says so where it is asked")
def off():
    with vm("--sandbox=off") as (pid, error):
        check_equal(error, "", "what run says")
        told = query()
        check_equal((told["mode"], told["state"], told["memory-max"]), ("off", "none", 0), "the sandbox")
        check_equal([k for k in ("files", "namespaces", "landlock", "network", "system-calls") if told[k]], [], "given up")
        check_equal(listed()["sandbox"], "none", "the sandbox as ps has it")
        check_equal(namespace(pid, "net"), namespace("self", "net"), "its network")


@test("COSM_SANDBOX changes the default, and the option has the last word")
def environment():
    with vm(env=dict(os.environ, COSM_SANDBOX="off")):
        check_equal(query()["mode"], "off", "the sandbox by the environment")
    with vm("--sandbox=off", env=dict(os.environ, COSM_SANDBOX="strict")):
        check_equal(query()["mode"], "off", "the sandbox by the option")
    code, error = start(env=dict(os.environ, COSM_SANDBOX="loose"))
    cosm("rm", "-f", "it", seconds=SECONDS)
    check_equal(code, USAGE, "the exit status with COSM_SANDBOX=loose")
    check("COSM_SANDBOX" in error and "'loose'" in error and "strict, auto or off" in error, f"it says {error!r}")


@test("one of two fences around files is enough")
def half():
    need_whole_host()
    need_namespaces()
    with vm("--sandbox=strict", preexec_fn=without_landlock) as (_, error):
        told = query()
        check_equal((error, told["state"], told["landlock"], told["files"]), ("", "full", False, True), "the sandbox")


@test("a host that confines no files: auto goes on and tells, strict does not start")
def lacking():
    need_whole_host()
    with vm(preexec_fn=without_files):
        told = query()
        check_equal((told["state"], told["files"], told["system-calls"]), ("partial", False, True), "the sandbox")
        check("no namespaces" in told["missing"] and "no Landlock" in told["missing"], f"missing: {told['missing']!r}")
        check_equal(listed()["sandbox"], "partial", "the sandbox as ps has it")
        said = cosm("logs", "it")[2]
        check("no Landlock" in said and "--sandbox=off silences this" in said, f"its log says {said!r}")
    code, error = start("--sandbox=strict", preexec_fn=without_files)
    check_equal(code, FAILED, "the exit status of strict")
    check(error.count("\n") == 1 and "--sandbox=strict" in error and "no Landlock" in error and "--sandbox=auto" in error,
          f"it says {error!r}")
    check_equal(json.loads(cosm("ps", "-a", "--json")[1]), [], "what is left of it")


@test("in the foreground the warning is one line on standard error")
def foreground():
    need_whole_host()
    with subprocess.Popen([COSM, "run", "-m", "16M", "--bios", GUEST], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, preexec_fn=without_files) as process:
        line = process.stderr.readline().decode()
        check("no Landlock" in line and "--sandbox=off silences this" in line, f"it says {line!r}")
        time.sleep(0.2)
        process.terminate()
        check_equal(process.stderr.read(), b"", "what it says besides")


@test("what is no sandbox, or too small, is refused")
def refusals():
    refused(USAGE, "run", "--sandbox=loose", "--bios", GUEST, says=["--sandbox", "'loose'", "strict, auto or off"])
    refused(USAGE, "run", "--memory-max", "1M", "--bios", GUEST, says=["--memory-max", "'1M'", "256M"])
    refused(USAGE, "run", "--memory-max", "much", "--bios", GUEST, says=["--memory-max", "'much'"])


if __name__ == "__main__":
    prepare()
    try:
        tap.main(sys.argv[1:])
    finally:
        cosm("rm", "-f", "it", seconds=SECONDS)
        shutil.rmtree(HOME, ignore_errors=True)
