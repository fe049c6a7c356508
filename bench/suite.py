# SPDX-License-Identifier: BSD-2-Clause
"""The table of programs: each row under all machines within seconds, in rounds; medians, spread, ratios of rounds."""

import math
import re
import statistics
import time

import guest
import life
import machines
import programs
import turns
from report import ratio, say, summary

LINE = re.compile(r"^([a-z0-9-]+): ([0-9.e+-]+) (\S+), checksum (0x[0-9a-f]+)\r*$", re.M)
READY = "cosm: shell ready"


class Suite:
    """What one run of the suite was asked for, and what it has found so far."""

    def __init__(self, args, linux, folder):
        self.args = args
        self.linux = linux
        self.folder = folder
        self.rows = [row for row in programs.ROWS if self.wanted(row)]
        self.systems = self.chosen(machines.systems(args.cosm, args.qemu_root))
        self.processes = self.chosen(machines.processes())
        self.values = {row.name: {} for row in self.rows}  # {row: {machine: {round: value}}}
        self.checksums = {row.name: {} for row in self.rows}  # {row: {checksum: [machines]}}
        self.problems = [f"no machine {name} here" for name in args.machines or ["cosm-interp"]
                         if name not in (machine.name for machine in self.machines)]
        self.life = self.has(life.LOGIN, life.COMPILE) and self.make_life()

    def make_life(self):
        """The disk of real life; without it the other rows are still worth having."""
        try:
            return life.Life(self.args.cosm, self.linux, self.folder)
        except (guest.Failure, *turns.PROBLEMS) as problem:
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

    def take(self, machine, row, number, value):
        if row in self.values:
            self.values[row].setdefault(machine.name, {})[number] = value

    def saw(self, machine, row, checksum):
        users = self.checksums[row].setdefault(checksum, [])
        if machine.name not in users:
            users.append(machine.name)

    def failed(self, machine, problem):
        self.problems.append(f"{machine.title}: {(str(problem) or repr(problem)).splitlines()[0]}")

    def build(self):
        """The programs for both kinds of processor, and the archive for the guest."""
        self.program_rows = [row for row in self.rows if row.program]
        names = dict.fromkeys([*(row.program for row in self.program_rows), programs.PAIR_PROGRAM])
        self.built = {(name, kind): programs.build(name, kind, self.folder)
                      for name in names for kind in programs.COMPILERS}
        files = {name: self.built[name, "riscv64"].read_bytes() for name in names}
        files["serve"] = turns.SERVE.encode()
        self.initrd = programs.with_files(self.linux, files, self.folder, "suite")

    def start(self, machine, harts=1):
        if machine in self.processes:
            return turns.Process(machine, self.built)
        return turns.Guest(machine, self.linux, self.initrd, harts)

    def in_turn(self, number, up, ask, *arguments):
        """ASK of all that are up; what does not answer is not asked again. No machine is always the first."""
        for machine, running in turns.rotated(up.items(), number):
            try:
                ask(machine, running, number, *arguments)
            except turns.PROBLEMS as problem:
                self.failed(machine, problem)
                up.pop(machine).close()

    def ask_row(self, machine, running, number, row):
        """One row; a program that prints no figure does not keep the machine from the next."""
        if machine in self.processes and machine.kind != "native" and not row.as_process:
            return
        output = running.ask(row.program, [str(self.args.time), row.name])
        for name, value, _, checksum in LINE.findall(output):
            if name == row.name:
                self.take(machine, name, number, float(value))
                self.saw(machine, name, checksum)
                return
        tail = " / ".join(output.replace("\r", "").splitlines()[-12:])
        self.problems.append(f"{machine.title}: no figure for {row.name}: {tail[:300]}")

    def ask_programs(self, run):
        """All guests wait while one of them works, so that what makes a ratio is taken within seconds."""
        starts = [(machine, lambda m=machine: self.start(m)) for machine in turns.rotated(self.machines, run)]
        with turns.all_up(starts, self.failed) as up:
            for turn in range(self.args.turns):
                start = time.monotonic()
                for row in self.program_rows:
                    self.in_turn(run * self.args.turns + turn, up, self.ask_row, row)
                say(f"  {run + 1}/{self.args.runs} turn {turn + 1}/{self.args.turns}: {time.monotonic() - start:.0f} s")

    def ask_pair(self, machine, running, number):
        rates = [float(found[1]) for copies in (1, 2)
                 for found in LINE.findall(running.ask(programs.PAIR_PROGRAM, self.pair_arguments, copies))]
        if len(rates) != 3:
            raise ValueError("no figure for two-harts")
        self.take(machine, "two-harts", number, (rates[1] + rates[2]) / rates[0])

    def ask_pairs(self, run):
        """Once, then twice at a time: a ratio by itself, so that these guests need not be up together."""
        for machine in turns.rotated(self.machines, run):
            with turns.all_up([(machine, lambda m=machine: self.start(m, 2))], self.failed) as up:
                for turn in range(self.args.turns):
                    self.in_turn(run * self.args.turns + turn, up, self.ask_pair)

    @property
    def pair_arguments(self):
        return [str(self.args.time), programs.PAIR_ROW]

    def boot(self, machine, run):
        """A guest at its shell."""
        start = time.monotonic()
        console = machine.start(self.linux, self.linux / "initramfs.cpio", memory="256M")
        try:
            console.expect(READY, turns.BOOT_SECONDS)
        except turns.PROBLEMS:
            console.close()
            raise
        self.take(machine, "boot", run, time.monotonic() - start)
        return console

    def boots(self, run):
        """Boots in turn, then what the guests cost that do nothing, all at the same time."""
        starts = [(machine, lambda m=machine: self.boot(m, run)) for machine in turns.rotated(self.systems, run)]
        with turns.all_up(starts, self.failed) as up:
            if not self.has("idle-memory", "idle-cpu"):
                return
            time.sleep(self.args.idle / 4)
            before = {machine: console.cpu_seconds() for machine, console in up.items()}
            time.sleep(self.args.idle)
            for machine, console in up.items():
                share = (console.cpu_seconds() - before[machine]) / self.args.idle
                self.take(machine, "idle-cpu", run, 100 * share)
            for machine, console in up.items():
                self.take(machine, "idle-memory", run, console.resident_kib() / 1024)

    def login(self, machine, run):
        self.take(machine, life.LOGIN, run, self.life.login(machine))

    def compile(self, machine, run):
        if machine in self.processes:
            self.take(machine, life.COMPILE, run, self.life.compile_here())
            return
        seconds, checksum = self.life.compile(machine)
        self.take(machine, life.COMPILE, run, seconds)
        self.saw(machine, life.COMPILE, checksum)

    def real_life(self, run):
        wanted = [machine for machine in self.machines if self.args.machines or machine.name not in life.SLOW]
        native = [machine for machine in self.processes if machine.kind == "native"]
        for name, step, able in ((life.LOGIN, self.login, self.systems),
                                 (life.COMPILE, self.compile, self.systems + native)):
            for machine in turns.rotated([machine for machine in wanted if machine in able and self.has(name)], run):
                try:
                    step(machine, run)
                except turns.PROBLEMS as problem:
                    self.failed(machine, problem)

    def steps(self, run):
        found = [self.real_life] * bool(self.life and run < self.args.life)
        found += [self.boots] * self.has("boot", "idle-memory", "idle-cpu")
        found += [self.ask_programs] * bool(self.program_rows)
        return found + [self.ask_pairs] * self.has("two-harts")

    def run(self):
        say("Programs:")
        self.build()
        for run in range(self.args.runs):
            for step in self.steps(run):
                start = time.monotonic()
                step(run)
                say(f"  {run + 1}/{self.args.runs} {step.__name__}: {time.monotonic() - start:.0f} s")
        for row, found in self.checksums.items():
            if len(found) > 1:
                self.problems.append(f"{row}: the machines do not agree: " + "; ".join(
                    f"{checksum} on {', '.join(users)}" for checksum, users in found.items()))
        return self.result()

    def result(self):
        result = {"machines": {machine.name: machine.title for machine in self.machines}, "rows": {},
                  "problems": sorted(set(self.problems))}
        for row in self.rows:
            found = self.values[row.name]
            rounds = range(max((max(values) + 1 for values in found.values()), default=0))
            figures = {name: summary([by_round.get(number) for number in rounds]) for name, by_round in found.items()}
            result["rows"][row.name] = {
                "title": row.title, "unit": row.unit, "group": row.group, "more_is_better": row.more_is_better,
                "checksum": next(iter(self.checksums[row.name]), None), "machines": figures}
        for row in result["rows"].values():
            row["ratios"] = {name: {"qemu": against_qemu(row, name), "native": speed(row, name, "native")}
                             for name in result["machines"] if name.startswith("cosm")}
        result["groups"] = groups(result)
        return result


def speed(row, name, peer):
    """How many times faster one machine is than another in a row, round by round; None where one has no figure."""
    pair = [row["machines"].get(machine) for machine in (name, peer)]
    return ratio(*(pair if row["more_is_better"] else reversed(pair)))


def against_qemu(row, name):
    """Against the faster of the QEMUs that boot a guest."""
    speeds = [speed(row, name, peer) for peer in row["machines"] if peer in ("qemu", "qemu-new")]
    return min((s for s in speeds if s is not None), key=lambda s: s["median"], default=None)


def mean(ratios):
    """Geometric mean of medians."""
    values = [math.log(figure["median"]) for figure in ratios if figure]
    return math.exp(statistics.fmean(values)) if values else None


def groups(result):
    """{group: {machine: {"qemu": ratio, "native": ratio}}}: geometric means over the rows of a group."""
    found = {}
    for group in dict.fromkeys(row["group"] for row in result["rows"].values()):
        rows = [row for row in result["rows"].values() if row["group"] == group]
        found[group] = {name: {peer: mean([row["ratios"][name][peer] for row in rows]) for peer in ("qemu", "native")}
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
           "tell how many times faster cosm is than the faster QEMU, and than the PC: medians of the ratios of rounds, "
           "as what makes one ratio is taken within seconds, while the speed of a PC drifts between rounds.", "",
           "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in result["rows"].values():
        cells = [cell(row["machines"].get(name)) for name in names]
        for best in ours[-1:]:
            cells += [cell(row["ratios"][best][peer]) for peer in ("qemu", "native")]
        out.append(f"| {row['title']}, {row['unit']} | " + " | ".join(cells) + " |")
    if ours:
        out += group_table(result, ours)
    if result["problems"]:
        out += ["", "Problems:", ""] + [f"- {problem}" for problem in result["problems"]]
    return "\n".join(out) + "\n"
