#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A real gdb-multiarch debugs a guest of two harts: the stub, the engine and the MMU together."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import tap  # noqa: E402

COSM = os.environ.get("COSM", str(HERE.parents[1] / "build" / "apps" / "cosm"))
GDB = shutil.which("gdb-multiarch")
CC = shutil.which("riscv64-linux-gnu-gcc")
work = tempfile.TemporaryDirectory()
ELF = pathlib.Path(work.name) / "guest.elf"


def build_guest():
    subprocess.run([CC, "-g", "-O1", "-march=rv64gc", "-mabi=lp64d", "-mcmodel=medany", "-static",
                    "-ffreestanding", "-nostdlib", "-fno-pie", "-no-pie",
                    "-Wl,--build-id=none,--no-relax,--no-warn-rwx-segments,-N,-Ttext=0x80000000",
                    "-o", ELF, HERE / "guest.c"], check=True)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Vm:
    """cosm, waiting for a debugger."""

    def __init__(self, *extra, paused=True):
        self.port = free_port()
        self.process = subprocess.Popen(
            [COSM, "run", "--bios", ELF, "-m", "16M", "--smp", "2", "--gdb", f":{self.port}",
             *(["--paused"] if paused else []), *extra],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.wait_for_port()

    def wait_for_port(self):
        for _ in range(200):
            tap.check(self.process.poll() is None, "cosm ended before a debugger came")
            # A connection would be the one debugger that the stub serves: look from outside.
            with open("/proc/net/tcp", encoding="ascii") as table:
                if f":{self.port:04X} 00000000:0000 0A" in table.read():
                    return
            time.sleep(0.05)
        raise AssertionError("cosm does not listen for gdb")

    def gdb(self, *commands, timeout=60):
        arguments = ["-ex", "set pagination off", "-ex", "set confirm off",
                     "-ex", f"target remote :{self.port}"]
        for command in commands:
            arguments += ["-ex", command]
        done = subprocess.run([GDB, "-nx", "-batch", *arguments, ELF], capture_output=True,
                              text=True, timeout=timeout, check=False)
        return done.stdout + done.stderr

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=20)


def check_matches(output, *patterns):
    at = 0
    for pattern in patterns:
        found = re.compile(pattern).search(output, at)
        if not found:
            tap.say(output)
            raise AssertionError(f"gdb's output lacks {pattern!r}, in this order")
        at = found.end()


@tap.test("breakpoint, backtrace, arguments, continue")
def breakpoints():
    with Vm() as vm:
        check_matches(vm.gdb("break round_done", "continue", "bt", "continue", "print n", "continue",
                             "print n", "delete", "detach"),
                      r"Breakpoint 1, round_done \(n=.*1\)", r"#1 .*hart_main", r"\$1 = 2", r"\$2 = 3")


@tap.test("harts are threads; a breakpoint that another hart meets")
def threads():
    with Vm() as vm:
        check_matches(vm.gdb("info threads", "thread 2", "p $mhartid",
                             "thread 1", "p $mhartid", "detach"),
                      r"Thread 1.*\n.*Thread 2", r"= 1\n", r"= 0\n")
        line = 1 + next(i for i, text in enumerate((HERE / "guest.c").read_text().splitlines())
                        if "hart1_rounds = add" in text)
        check_matches(vm.gdb(f"break guest.c:{line}", "continue", "p $mhartid", "detach"),
                      r"= 1\n")


@tap.test("single steps follow the program")
def steps():
    with Vm() as vm:
        output = vm.gdb("break round_done", "continue", "delete", "p $pc", *["stepi", "p $pc"] * 6,
                        "detach")
        pcs = [int(pc, 16) for pc in re.findall(r"\$\d+ = .*?0x([0-9a-f]+)", output)]
        tap.check(len(pcs) == 7, f"seven values of pc, not {len(pcs)}:\n{output}")
        tap.check(all(a != b for a, b in zip(pcs, pcs[1:])), f"pc moves at each step: {pcs}")


@tap.test("registers and memory are read and written")
def state():
    with Vm() as vm:
        check_matches(vm.gdb("break round_done", "continue", "p $misa >> 62", "p $priv",
                             "set var $a0 = 1234", "delete", "finish", "p counter",
                             "set var counter = 77", "p counter", "p $fs0 = $fs0", "p ratio",
                             "x/2i $pc", "info registers sp mstatus", "detach"),
                      r"\$1 = .*2", r"Machine|3", r"= 1234\n", r"= 77\n", r"= 3\n", "=> 0x800",
                      r"sp +0x8", "mstatus")


@tap.test("watchpoints: write, read and access")
def watchpoints():
    with Vm() as vm:
        check_matches(vm.gdb("watch watched", "continue", "continue", "delete", "detach"),
                      r"Hardware watchpoint \d+: watched", r"Old value = 0\nNew value = 12",
                      r"Old value = 12\nNew value = 24")
    with Vm() as vm:
        check_matches(vm.gdb("rwatch ratio", "continue", "delete", "awatch counter", "continue",
                             "detach"),
                      r"Hardware read watchpoint", r"Value = 1\.5", r"access \(read/write\) watchpoint")


@tap.test("Ctrl-C stops a running guest")
def interrupt():
    with Vm(paused=False) as vm:
        with subprocess.Popen([GDB, "-nx", "-q", "-ex", "set pagination off", "-ex",
                               f"target remote :{vm.port}", ELF], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as gdb:
            gdb.stdin.write("continue\n")
            gdb.stdin.flush()
            time.sleep(2)
            gdb.send_signal(signal.SIGINT)
            time.sleep(1)
            output, _ = gdb.communicate("p counter > 1000\ndetach\nquit\n", timeout=60)
        check_matches(output, "SIGINT", r"\$1 = 1")


@tap.test("after detach the guest runs on, and gdb can come again")
def again():
    with Vm() as vm:
        vm.gdb("break round_done", "continue", "delete", "detach")
        time.sleep(0.5)
        check_matches(vm.gdb("p counter > 1000", "detach"), r"\$1 = 1")


@tap.test("kill ends the virtual machine")
def kill():
    with Vm() as vm:
        vm.gdb("kill")
        tap.check_equal(vm.process.wait(20), 0, "the exit status")


if not GDB or not CC:
    print(f"1..0 # SKIP no {'gdb-multiarch' if not GDB else 'riscv64-linux-gnu-gcc'}")
else:
    build_guest()
    sys.exit(tap.main(sys.argv[1:]))
