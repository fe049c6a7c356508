# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of cosm-metal share: guest programs, configurations built by cosm, boards in QEMU.

With METAL_ON=cosm in the environment the boards are cosm's own where a test does not ask for what only QEMU has (AIA, other
options, vectors); METAL_ENGINE then names the --cpu-engine. Such a test skips."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from world import COSM, ROOT, obtain
from console import Console
import tap

EXAMPLES = ROOT / "examples" / "metal"
QEMU = "qemu-system-riscv64"
MACHINES = {"plic": "virt", "aia": "virt,aia=aplic-imsic,aia-guests=3"}
CPUS = ["rv64,h=true", "rv64,h=true,v=true,vext_spec=v1.0"]  # without and with vectors
FIRMWARES = ["qemu", "sid"]  # QEMU's own OpenSBI; that of Debian's sid
UNDER_FIRMWARE = 0x80200000  # where OpenSBI starts what QEMU's -kernel names
SECONDS = 120  # generous: others use the machine, too
COUNTED = "shift=0,sleep=off"  # -icount: an instruction is a nanosecond, idle time takes none
OURS = os.environ.get("METAL_ON", "qemu") == "cosm"
FASTER = "shift=3,sleep=off"  # the same, but an instruction is eight: seconds pass in fewer instructions
# With -icount a hart has its turn until the next timer of the board is due: a filter without packets has one each 1000
# instructions.
SHORT_TURNS = ["-netdev", "hubport,id=beat,hubid=0", "-object", "filter-buffer,id=beats,netdev=beat,interval=1"]

_folder = tempfile.TemporaryDirectory(prefix="cosm-metal-")
FOLDER = pathlib.Path(_folder.name)  # of this run, for what it builds


def need(*tools):
    for tool in tools:
        if not shutil.which(tool):
            raise tap.Skip(f"no {tool} here")


def need_qemu():
    if OURS:
        raise tap.Skip("this is for QEMU's board")


def guest(source, name=None, base=0x80000000, defines=()):
    """Builds a bare-metal guest program; returns its ELF file, beside which is NAME.bin."""
    need("riscv64-linux-gnu-gcc", "make")
    source = pathlib.Path(source)
    folder = FOLDER / (name or f"{source.stem}-{base:x}")
    done = subprocess.run(["make", "--no-print-directory", "-s", "-C", EXAMPLES, f"OUT={folder}", f"BASE={base:#x}",
                           f"SOURCES={source}", "DEFINES=" + " ".join(f"-D{word}" for word in defines)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    tap.check(done.returncode == 0, done.stdout)
    return folder / f"{source.stem}.elf"


def image(config, programs, name):
    """Builds the image of a configuration (its text, or a .toml file) in a folder with programs: ELF files of guest(),
    whose .bin it names, or others by their own name."""
    folder = FOLDER / name
    folder.mkdir(exist_ok=True)
    for program in programs:
        source = program.with_suffix(".bin") if program.suffix == ".elf" else program
        link = folder / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    text = config.read_text() if isinstance(config, pathlib.Path) else config
    (folder / "board.toml").write_text(text)
    done = subprocess.run([COSM, "metal", "build", folder / "board.toml", "-o", folder / "cosm-metal.bin"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    tap.check(done.returncode == 0, done.stdout)
    return folder / "cosm-metal.bin"


def partition(name, harts, program, size="2M", extra="", health=""):
    """The [[partition]] of a bare-metal program."""
    text = f"""
[[partition]]
name = "{name}"
harts = {harts}
memory = [{{ at = 0x80000000, size = "{size}" }}]
image = "{program.stem}.bin"
{extra}
"""
    return text + (f"[partition.health]\n{health}\n" if health else "")


def config(partitions, harts=2, memory="64M", intc="plic", more="", vector=False):
    aia = "aia = true\naia-guests = 3\n" if intc == "aia" else ""
    aia += "vector = true\n" * vector
    return f'[board]\nmachine = "virt"\nharts = {harts}\nmemory = "{memory}"\n{aia}' + "".join(partitions) + more


def said(output, name):
    """The lines that a partition printed; those that were cut are whole again."""
    lines = []
    for goes_on, text in re.findall(rf"^\[{re.escape(name)}\]([ +])(.*?)\r*$", output, re.M):
        if goes_on == "+" and lines:
            lines[-1] += text
        else:
            lines.append(text)
    return lines


def whole(output):
    """What was printed, with lines that were cut whole again, where they began."""
    lines, last = [], {}
    for line in output.replace("\r", "").split("\n"):
        begin = re.match(r"\[([\w-]+)\]([ +])", line)
        if begin and begin[2] == "+" and begin[1] in last:
            last[begin[1]].append(line[begin.end():])
            continue
        lines.append([line])
        if begin:
            last[begin[1]] = lines[-1]
    return "\n".join("".join(pieces) for pieces in lines)


def where(console):
    """Where the harts of a board are that does not come on: by QEMU's monitor."""
    if OURS:
        return ""
    start = len(console.output)
    console.send("\x01cinfo registers -a\r")
    end = time.monotonic() + 3
    while time.monotonic() < end and console.read(1):
        pass
    lines = console.output[start:].replace("\r", "").splitlines()
    return "\n".join(line for line in lines if re.search(r"CPU#|^ (V|pc|mip|mie|v?sepc|v?scause|stval|htval) ", line))


def until(console, patterns, seconds=SECONDS):
    """Waits for each regular expression in a whole line of output, in any order; returns all that was printed. A panic of
    the hypervisor fails at once."""
    deadline = time.monotonic() + seconds
    missing = list(patterns)
    while missing:
        output = whole(console.output)
        missing = [pattern for pattern in missing if not re.search(rf"(?:{pattern})[^\n]*\n", output)]
        tap.check("[metal] panic" not in console.output, f"the hypervisor panicked:\n{console.tail()}")
        if not missing:
            break
        left = deadline - time.monotonic()
        if left <= 0:
            tail = console.tail()
            raise AssertionError(f"{missing} did not come in {seconds} s; last output:\n{tail}\n{where(console)}")
        tap.check(console.read(min(left, 1)), f"the board ended before {missing} came; last output:\n{console.tail()}")
    return console.output.replace("\r", "")


def firmware(name):
    return "default" if name == "qemu" else obtain("firmware", name) / "fw_dynamic.bin"


def boot(config_or_file, programs, name, patterns, seconds=SECONDS, **options):
    """Builds, runs until all patterns have come, ends the board; returns what was printed."""
    with board(image(config_or_file, programs, name), **options) as console:
        return until(console, patterns, seconds)


def board(kernel, intc="plic", harts=2, memory="128M", bios="qemu", icount=None, cpu=CPUS[0], extra=(),
          serial="mon:stdio", qemu=None, machine=""):
    """QEMU's virt board with the H extension, running; a Console, to be used in a with statement. qemu: the words that start
    another one than the system's; machine: more of its -M."""
    if OURS:
        return own_board(kernel, intc, harts, memory, bios, icount, cpu, extra)
    if not qemu:
        need(QEMU)
    command = [*(qemu or [QEMU]), "-M", MACHINES[intc] + machine, "-cpu", cpu, "-smp", harts, "-m", memory, "-nographic", "-nodefaults",
               "-serial", serial, "-bios", firmware(bios), "-kernel", kernel, *extra]
    if icount:
        command += ["-icount", icount]
    return Console(command)


def own_board(kernel, intc, harts, memory, bios, icount, cpu, extra):
    """The same in cosm, started by the SBI that is built in unless firmware is named."""
    if intc != "plic" or cpu != CPUS[0] or extra:
        need_qemu()
    command = [COSM, "run", "--cpu-engine", os.environ.get("METAL_ENGINE", "jit"), "--cpu", cpu, "--smp", harts, "-m", memory,
               "--kernel", kernel]
    if bios != "qemu":
        command += ["--bios", firmware(bios)]
    if icount:
        command += [f"--icount={icount.split(',')[0]}"]
    return Console(command)


def run(kernel, seconds=SECONDS, **options):
    """Runs a board until it powers off; returns what it printed."""
    with board(kernel, **options) as console:
        status = console.wait(seconds)
        tap.check(status == 0, f"the board ended with {status}; last output:\n{console.tail()}")
        return console.output.replace("\r", "")
