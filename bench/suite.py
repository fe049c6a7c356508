# SPDX-License-Identifier: BSD-2-Clause
"""The table of programs: every row under every machine, in turn, with medians, spread and ratios."""

import math
import re
import statistics
import subprocess
import time

import guest
import life
import machines
import programs
from console import Ended, Timeout
from report import say, summary

LINE = re.compile(r"^([a-z0-9-]+): ([0-9.e+-]+) (\S+), checksum (0x[0-9a-f]+)\r*$", re.M)
READY = "cosm: shell ready"
GUEST_SECONDS = 1200


class Suite:
    """What one run of the suite was asked for, and what it has found so far."""

    def __init__(self, args, linux, folder):
        self.args = args
        self.linux = linux
        self.folder = folder
        self.rows = [row for row in programs.ROWS if self.wanted(row)]
        self.systems = self.chosen(machines.systems(args.cosm, args.qemu_root))
        self.processes = self.chosen(machines.processes())
        self.values = {row.name: {} for row in self.rows}  # {row: {machine: [values]}}
        self.checksums = {row.name: {} for row in self.rows}  # {row: {checksum: [machines]}}
        self.problems = [f"no machine {name} here" for name in args.machines or ["cosm-interp"]
                         if name not in (machine.name for machine in self.machines)]
        self.life = self.has(life.LOGIN, life.COMPILE) and self.make_life()

    def make_life(self):
        """The disk of real life; without it the other rows are still worth having."""
        try:
            return life.Life(self.args.cosm, self.linux, self.folder)
        except (guest.Failure, OSError, Ended, Timeout) as problem:
            self.problems.append(f"no disk with Debian: {str(problem).splitlines()[0]}")
            return None

    def wanted(self, row):
        if row.group == life.GROUP and not self.args.life:
            return False
        if self.args.part == life.GROUP:
            return row.group == life.GROUP
        return not self.args.only or any(word in row.name for word in self.args.only)

    def chosen(self, found):
        return [machine for machine in found if not self.args.machines or machine.name in self.args.machines]

    @property
    def machines(self):
        return self.systems + self.processes

    def has(self, *names):
        return any(name in self.values for name in names)

    def take(self, machine, row, value):
        if row in self.values:
            self.values[row].setdefault(machine.name, []).append(value)

    def saw(self, machine, row, checksum):
        users = self.checksums[row].setdefault(checksum, [])
        if machine.name not in users:
            users.append(machine.name)

    def take_output(self, machine, rows, output):
        """The lines of one run of the programs; rows without one are problems."""
        missing = {row.name for row in rows}
        for name, value, _, checksum in LINE.findall(output):
            if name not in missing:
                continue
            missing.discard(name)
            self.take(machine, name, float(value))
            self.saw(machine, name, checksum)
        if missing:
            tail = " / ".join(line for line in output.replace("\r", "").splitlines()[-12:] if not LINE.match(line))
            self.problems.append(f"{machine.title}: no figure for {', '.join(sorted(missing))}: {tail[:300]}")

    def build(self):
        """The programs for both kinds of processor, and the archive for the guest."""
        self.program_rows = [row for row in self.rows if row.program]
        names = list(dict.fromkeys([*programs.by_program(self.program_rows), programs.PAIR_PROGRAM]))
        self.built = {(name, kind): programs.build(name, kind, self.folder)
                      for name in names for kind in programs.COMPILERS}
        files = {name: self.built[name, "riscv64"].read_bytes() for name in names}
        files["all"] = programs.script(self.program_rows, self.args.time)
        files["pair"] = programs.pair_script(self.args.time)
        self.initrd = programs.with_files(self.linux, files, self.folder, "suite")

    def in_guest(self, machine):
        with machine.start(self.linux, self.initrd, 'cosm.test="/bench/all"') as console:
            try:
                console.expect(r"cosm: test status \d+", GUEST_SECONDS)
                console.wait(60)
            finally:
                self.take_output(machine, self.program_rows, console.output)

    def as_processes(self, machine):
        rows = [row for row in self.program_rows if row.as_process or machine.kind == "native"]
        output = ""
        for program, arguments in programs.command_lines(rows, self.args.time):
            done = subprocess.run([*machine.command, self.built[program, machine.kind], *arguments],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            output += done.stdout
        self.take_output(machine, rows, output)

    def pair_in_guest(self, machine):
        with machine.start(self.linux, self.initrd, 'cosm.test="/bench/pair"', harts=2) as console:
            console.expect(r"cosm: test status \d+", GUEST_SECONDS)
            self.take_pair(machine, console.output)

    def pair_as_processes(self, machine):
        command = [*machine.command, self.built[programs.PAIR_PROGRAM, machine.kind], str(self.args.time),
                   programs.PAIR_ROW]
        output = ""
        for count in (1, 2):
            running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
            output += "".join(process.communicate()[0] for process in running)
        self.take_pair(machine, output)

    def take_pair(self, machine, output):
        rates = [float(found[1]) for found in LINE.findall(output) if found[0] == programs.PAIR_ROW]
        if len(rates) == 3:
            self.take(machine, "two-harts", (rates[1] + rates[2]) / rates[0])
        else:
            self.problems.append(f"{machine.title}: no figure for two-harts")

    def idle(self, machine):
        """Boot to the shell, then what the guest costs that does nothing."""
        start = time.monotonic()
        with machine.start(self.linux, self.linux / "initramfs.cpio", memory="256M") as console:
            console.expect(READY, 600)
            self.take(machine, "boot", time.monotonic() - start)
            if not self.has("idle-memory", "idle-cpu"):
                return
            time.sleep(self.args.idle / 4)
            before = console.cpu_seconds()
            time.sleep(self.args.idle)
            self.take(machine, "idle-cpu", 100 * (console.cpu_seconds() - before) / self.args.idle)
            self.take(machine, "idle-memory", console.resident_kib() / 1024)

    def login(self, machine):
        self.take(machine, life.LOGIN, self.life.login(machine))

    def compile(self, machine):
        if machine in self.processes:
            self.take(machine, life.COMPILE, self.life.compile_here())
            return
        seconds, checksum = self.life.compile(machine)
        self.take(machine, life.COMPILE, seconds)
        self.saw(machine, life.COMPILE, checksum)

    def life_steps(self, machine):
        asked = self.args.machines or machine.name not in life.SLOW
        if not self.life or not asked or (machine in self.processes and machine.kind != "native"):
            return []
        login = machine in self.systems and self.has(life.LOGIN)
        return [self.login] * login + [self.compile] * self.has(life.COMPILE)

    def steps(self, machine, number):
        here = machine in self.processes
        found = self.life_steps(machine) if number < self.args.life else []
        if not here and self.has("boot", "idle-memory", "idle-cpu"):
            found.append(self.idle)
        if self.program_rows:
            found.append(self.as_processes if here else self.in_guest)
        if self.has("two-harts"):
            found.append(self.pair_as_processes if here else self.pair_in_guest)
        return found

    def one_round(self, number):
        """All machines once; each round begins with another, so that none is always first."""
        turn = number % len(self.machines)
        for machine in self.machines[turn:] + self.machines[:turn]:
            start = time.monotonic()
            for step in self.steps(machine, number):
                try:
                    step(machine)
                except (Ended, Timeout, ValueError) as problem:
                    self.problems.append(f"{machine.title}: {str(problem).splitlines()[0]}")
            say(f"  {number + 1}/{self.args.runs} {machine.title}: {time.monotonic() - start:.0f} s")

    def run(self):
        say("Programs:")
        self.build()
        for number in range(self.args.runs):
            self.one_round(number)
        for row, found in self.checksums.items():
            if len(found) > 1:
                self.problems.append(f"{row}: the machines do not agree: " + "; ".join(
                    f"{checksum} on {', '.join(users)}" for checksum, users in found.items()))
        return self.result()

    def result(self):
        result = {"machines": {machine.name: machine.title for machine in self.machines}, "rows": {},
                  "problems": sorted(set(self.problems))}
        for row in self.rows:
            figures = {name: dict(summary(values), values=values) for name, values in self.values[row.name].items()}
            result["rows"][row.name] = {
                "title": row.title, "unit": row.unit, "group": row.group, "more_is_better": row.more_is_better,
                "checksum": next(iter(self.checksums[row.name]), None), "machines": figures}
        result["groups"] = groups(result)
        return result


def speed(row, name, peer):
    """How many times faster one machine is than another in a row; None where one has no figure."""
    figures = row["machines"]
    if name not in figures or peer not in figures or not figures[name]["median"] or not figures[peer]["median"]:
        return None
    times = figures[name]["median"] / figures[peer]["median"]
    return times if row["more_is_better"] else 1 / times


def against_qemu(row, name):
    """Against the faster of the QEMUs that boot a guest."""
    speeds = [speed(row, name, peer) for peer in row["machines"] if peer in ("qemu", "qemu-new")]
    return min((s for s in speeds if s is not None), default=None)


def mean(values):
    values = [value for value in values if value is not None]
    return math.exp(statistics.fmean(math.log(value) for value in values)) if values else None


def groups(result):
    """{group: {machine: {"qemu": ratio, "native": ratio}}}: geometric means over the rows of a group."""
    found = {}
    for group in dict.fromkeys(row["group"] for row in result["rows"].values()):
        rows = [row for row in result["rows"].values() if row["group"] == group]
        found[group] = {name: {"qemu": mean([against_qemu(row, name) for row in rows]),
                               "native": mean([speed(row, name, "native") for row in rows])}
                        for name in result["machines"] if name.startswith("cosm")}
    return found


def number(value):
    """Three digits are all that such figures are worth."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def cell(figure):
    if not figure:
        return "–"
    spread = (figure["max"] - figure["min"]) / 2 / figure["median"] * 100 if figure["median"] else 0
    return number(figure["median"]) + (f" ±{spread:.0f} %" if figure["runs"] > 1 else "")


def group_table(result, ours):
    names = result["machines"]
    out = ["", "Geometric means over groups of rows, as times the speed of the faster QEMU / of the PC:", "",
           "| group | " + " | ".join(names[name] for name in ours) + " |", "|---" * (len(ours) + 1) + "|"]
    for group, figures in result["groups"].items():
        cells = [f"{number(figures[name]['qemu'])} / {number(figures[name]['native'])}" for name in ours]
        out.append(f"| {group} | " + " | ".join(cells) + " |")
    return out


def markdown(result):
    names = result["machines"]
    ours = [name for name in names if name.startswith("cosm")]
    ratios = [f"{names[name].removeprefix('cosm ')} / {peer}" for name in ours[-1:] for peer in ("QEMU", "PC")]
    heads = ["work", *names.values(), *ratios]
    out = ["## Programs", "", "Medians; ± is half the distance from the smallest to the largest. The last columns "
           "tell how many times faster cosm is than the faster QEMU, and than the PC.", "",
           "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in result["rows"].values():
        cells = [cell(row["machines"].get(name)) for name in names]
        for best in ours[-1:]:
            cells += [number(against_qemu(row, best)), number(speed(row, best, "native"))]
        out.append(f"| {row['title']}, {row['unit']} | " + " | ".join(cells) + " |")
    if ours:
        out += group_table(result, ours)
    if result["problems"]:
        out += ["", "Problems:", ""] + [f"- {problem}" for problem in result["problems"]]
    return "\n".join(out) + "\n"
