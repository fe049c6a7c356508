# SPDX-License-Identifier: BSD-2-Clause
"""Runs machine code of RV64IM on symbols instead of numbers: every path that some input takes.

Values are integers where they are known and z3 bit vectors where they are not. Memory is a set of regions of 64-bit
words; an access that is not proved to lie in one of them, aligned, is a defect of the code and ends the proof. A path
ends when the function returns to RETURN. Facts: RISC-V Unprivileged Architecture, chapters RV32I, RV64I, "M"."""

import pathlib
import subprocess
import tempfile

import z3

RETURN = 0x7FF0
STACK = 0x7000_0000
CODE = 0x1_0000
STEPS_MAX = 20000
MASK = (1 << 64) - 1
CC = "riscv64-linux-gnu-gcc"
FLAGS = ["-std=gnu17", "-ffreestanding", "-nostdlib", "-static", "-march=rv64im_zicsr_zifencei", "-mabi=lp64", "-mcmodel=medany",
         "-mstrict-align", "-fno-strict-aliasing", "-fwrapv", "-fno-common", "-ffunction-sections", "-fno-pic",
         "-fno-tree-loop-distribute-patterns", "-msmall-data-limit=0", "-fno-jump-tables", "-w", '-DSBI_EXTENSIONS="metal/sbi.def"', "-DSBI_PMU=0",
         "-Wl,--unresolved-symbols=ignore-all", "-Wl,--build-id=none", f"-Wl,-Ttext={CODE:#x}", "-Wl,-e,0", "-Wl,-N",
         "-Wl,--defsym=metal_config=0x60000000"]


class Unproved(Exception):
    """The code may do what it must not; the text has an input that makes it."""


class Unable(Exception):
    """Nothing is known of the code: it does what this program cannot follow."""


def expr(value, bits=64):
    return z3.BitVecVal(value, bits) if isinstance(value, int) else value


def value_of(e):
    """An integer where the expression is one."""
    if isinstance(e, int):
        return e & MASK
    e = z3.simplify(e)
    return e.as_long() if z3.is_bv_value(e) else e


def signed(value, bits=64):
    return value - (1 << bits) if value >> (bits - 1) & 1 else value


class Program:
    """C files linked alone, at CODE; what they call outside is not there and is not to be reached."""

    def __init__(self, sources, include, flags):
        with tempfile.TemporaryDirectory() as folder:
            elf, flat = pathlib.Path(folder) / "a.elf", pathlib.Path(folder) / "a.bin"
            subprocess.run([CC, *FLAGS, *flags, *(f"-I{path}" for path in include), "-o", elf, *sources], check=True,
                           stderr=subprocess.DEVNULL)
            subprocess.run(["riscv64-linux-gnu-objcopy", "-O", "binary", "-j", ".text*", "-j", ".rodata*", elf, flat], check=True)
            names = subprocess.run(["riscv64-linux-gnu-nm", elf], stdout=subprocess.PIPE, text=True, check=True).stdout
            self.bytes = flat.read_bytes()
        self.symbols = {name: int(at, 16) for at, _, name in (line.split() for line in names.splitlines() if line[0] != " ")}

    def constant(self, name):
        at = self.symbols[name] - CODE
        return int.from_bytes(self.bytes[at:at + 8], "little")

    def word(self, at):
        return int.from_bytes(self.bytes[at - CODE:at - CODE + 4], "little")


class Region:
    """Memory of some bytes at a base: words that were written, the newest last, over what was there before: zeros, or words
    of which nothing is known but what the assumptions say."""

    def __init__(self, name, base, size, zero=False):
        self.name, self.base, self.size = name, base, size
        self.before = None if zero else z3.Function(name, z3.BitVecSort(64), z3.BitVecSort(64))
        self.writes = []

    def copy(self):
        new = Region(self.name, self.base, self.size)
        new.before, new.writes = self.before, list(self.writes)
        return new

    def get(self, index):
        """The word at an index, an integer or an expression."""
        found = 0 if self.before is None else self.before(expr(index))
        for where, word in self.writes:
            same = z3.simplify(expr(where) == expr(index))
            if z3.is_true(same):
                found = word
            elif not z3.is_false(same):
                found = z3.If(same, expr(word), expr(found))
        return value_of(found)

    def put(self, index, word):
        self.writes = [(i, w) for i, w in self.writes if not z3.is_true(z3.simplify(expr(i) == expr(index)))]
        self.writes.append((index, word))

    def word(self, offset):
        return self.get(offset // 8)


class State:
    def __init__(self, pc, regs, regions, path):
        self.pc, self.regs, self.regions, self.path = pc, regs, regions, path

    def copy(self, pc):
        return State(pc, list(self.regs), {name: r.copy() for name, r in self.regions.items()}, list(self.path))

    @property
    def result(self):
        return self.regs[10]


class Run:
    """All paths of one function under assumptions. Of a function in meanings only what is said of it there counts: a result
    for the run, the state and its arguments; its own code is another proof's."""

    def __init__(self, program, meanings=None):
        self.program = program
        self.meanings = {program.symbols[name]: meaning for name, meaning in (meanings or {}).items()}

    def possible(self, path, *more):
        """A model of path and more, or None."""
        solver = z3.SolverFor("QF_UFBV")  # a new one: what z3 does before it searches is lost to push and pop
        solver.add(*path, *more)
        answer = solver.check()
        if answer == z3.unknown:
            raise Unable(f"the solver gives up: {solver.reason_unknown()}")
        return solver.model() if answer == z3.sat else None

    def must(self, state, claim, what):
        """claim holds whenever this path is taken."""
        model = self.possible(state.path, z3.Not(claim))
        if model is not None:
            raise Unproved(f"{what}: {model_text(model)}")

    def one_value(self, state, e, what):
        """The one value that e can have on this path."""
        e = value_of(e)
        if isinstance(e, int):
            return e
        model = self.possible(state.path)
        value = model.eval(e, model_completion=True)
        self.must(state, e == value, what)
        return value.as_long()

    def locate(self, state, address, size):
        """The region, word index and byte of an access."""
        address = value_of(address)
        at = address
        if not isinstance(address, int):
            at = self.possible(state.path).eval(address, model_completion=True).as_long()
        region = next((r for r in state.regions.values() if r.base <= at and at + size <= r.base + r.size), None)
        if region is None:
            raise Unproved(f"{state.pc:#x} reaches {at:#x}, which is in no region")
        if isinstance(address, int):
            if at % size:
                raise Unproved(f"{state.pc:#x} reaches {at:#x}, misaligned")
            return region, (at - region.base) // 8, (at - region.base) % 8
        offset = address - region.base
        self.must(state, z3.ULE(offset, region.size - size), f"{state.pc:#x} leaves {region.name}")
        self.must(state, offset & (size - 1) == 0, f"{state.pc:#x} is misaligned in {region.name}")
        return region, value_of(z3.LShR(offset, 3)), 0 if size == 8 else value_of(offset & 7)

    def load(self, state, address, size, is_signed):
        if isinstance(address, int) and CODE <= address < CODE + len(self.program.bytes):
            data = self.program.bytes[address - CODE:address - CODE + size]
            return int.from_bytes(data, "little", signed=is_signed) & MASK
        region, index, byte = self.locate(state, address, size)
        word = region.get(index)
        if size == 8:
            return word
        part = z3.Extract(8 * size - 1, 0, z3.LShR(expr(word), expr(byte) * 8))
        return value_of(z3.SignExt(64 - 8 * size, part) if is_signed else z3.ZeroExt(64 - 8 * size, part))

    def store(self, state, address, size, value):
        region, index, byte = self.locate(state, address, size)
        if size < 8:
            byte = self.one_value(state, byte, f"{state.pc:#x} stores at one place of a word")
            mask = ((1 << 8 * size) - 1) << 8 * byte
            value = value_of((expr(region.get(index)) & ~mask & MASK) | ((expr(value) << 8 * byte) & mask))
        region.put(index, value)

    def paths(self, function, args, regions, assume):
        """The states in which function(args) returns."""
        regs = [0] * 32
        regs[1], regs[2] = RETURN, STACK + 4096
        for i, arg in enumerate(args):
            regs[10 + i] = arg
        memory = {r.name: r.copy() for r in [*regions, Region("stack", STACK, 4096)]}
        todo, done = [State(self.program.symbols[function], regs, memory, list(assume))], []
        if self.possible(assume) is None:
            raise Unable("nothing fulfils the assumptions")
        steps = 0
        while todo:
            state = todo.pop()
            while state.pc != RETURN:
                steps += 1
                if steps > STEPS_MAX:
                    raise Unable(f"{function} does not end in {STEPS_MAX} steps")
                todo += self.step(state)
            done.append(state)
        return done

    def branch(self, state, condition, target):
        """Other states that are possible; state itself goes on."""
        condition = z3.simplify(condition) if not isinstance(condition, bool) else condition
        if condition is True or z3.is_true(condition):
            state.pc = target
            return []
        if condition is False or z3.is_false(condition):
            state.pc += 4
            return []
        taken = self.possible(state.path, condition) is not None
        if not taken:
            state.pc += 4
            return []
        if self.possible(state.path, z3.Not(condition)) is None:
            state.pc = target
            return []
        other = state.copy(target)
        other.path.append(condition)
        state.path.append(z3.Not(condition))
        state.pc += 4
        return [other]

    def step(self, s):
        if s.pc in self.meanings:
            s.regs[10] = value_of(self.meanings[s.pc](self, s, [expr(r) for r in s.regs[10:18]]))
            s.pc = self.one_value(s, s.regs[1], "a function returns to one place")
            return []
        w = self.program.word(s.pc) if CODE <= s.pc < CODE + len(self.program.bytes) else 0
        opcode, rd, f3, rs1, rs2, f7 = w & 127, w >> 7 & 31, w >> 12 & 7, w >> 15 & 31, w >> 20 & 31, w >> 25
        a, b = s.regs[rs1], s.regs[rs2]
        imm_i, imm_u = signed(w >> 20, 12), signed(w >> 12, 20) << 12
        result, others = None, None
        if opcode == 0x63:
            imm = signed((w >> 31) << 12 | (w >> 7 & 1) << 11 | (w >> 25 & 63) << 5 | (w >> 8 & 15) << 1, 13)
            return self.branch(s, compare(f3, a, b), s.pc + imm)
        if opcode == 0x03:
            result = self.load(s, add(a, imm_i), 1 << (f3 & 3), f3 < 4)
        elif opcode == 0x23:
            self.store(s, add(a, signed(f7 << 5 | rd, 12)), 1 << f3, b)
            rd = 0
        elif opcode in (0x13, 0x33):
            is_imm = opcode == 0x13
            result = operate(f3, f7 & ~1 if is_imm and f3 in (1, 5) else 0 if is_imm else f7, a,
                             (imm_i & 63 if f3 in (1, 5) else imm_i & MASK) if is_imm else b, 64)
        elif opcode in (0x1B, 0x3B):
            is_imm = opcode == 0x1B
            low = operate(f3, f7 if not is_imm or f3 in (1, 5) else 0, low_half(a),
                          (rs2 if f3 in (1, 5) else imm_i & 0xFFFFFFFF) if is_imm else low_half(b), 32)
            result = signed(low, 32) & MASK if isinstance(low, int) else value_of(z3.SignExt(32, low))
        elif opcode in (0x37, 0x17):
            result = (imm_u + (s.pc if opcode == 0x17 else 0)) & MASK
        elif opcode == 0x6F:
            imm = signed((w >> 31) << 20 | (w >> 12 & 255) << 12 | (w >> 20 & 1) << 11 | (w >> 21 & 1023) << 1, 21)
            others, result = s.pc + imm, s.pc + 4
        elif opcode == 0x67:
            others, result = self.one_value(s, add(a, imm_i), "a jump has one target") & ~1, s.pc + 4
        else:
            raise Unable(f"{s.pc:#x} executes {w:#010x}, which no path may reach")
        if rd and result is not None:
            s.regs[rd] = result
        s.pc = others if others is not None else s.pc + 4
        return []


def add(a, b):
    return (a + b) & MASK if isinstance(a, int) and isinstance(b, int) else value_of(expr(a) + expr(b & MASK if isinstance(b, int)
                                                                                               else b))


def low_half(a):
    return a & 0xFFFFFFFF if isinstance(a, int) else value_of(z3.Extract(31, 0, a))


def compare(f3, a, b):
    a, b = expr(a), expr(b)
    return z3.simplify({0: lambda: a == b, 1: lambda: a != b, 4: lambda: a < b, 5: lambda: a >= b,
                        6: lambda: z3.ULT(a, b), 7: lambda: z3.UGE(a, b)}[f3]())


def operate(f3, f7, a, b, bits):
    """An arithmetic instruction of 64 or 32 bits."""
    a, b = expr(a, bits), expr(b, bits)
    amount = b & (bits - 1)
    one, zero = z3.BitVecVal(1, bits), z3.BitVecVal(0, bits)
    base = {0: lambda: a + b, 1: lambda: a << amount, 2: lambda: z3.If(a < b, one, zero),
            3: lambda: z3.If(z3.ULT(a, b), one, zero), 4: lambda: a ^ b, 5: lambda: z3.LShR(a, amount),
            6: lambda: a | b, 7: lambda: a & b}
    other = {0: lambda: a - b, 5: lambda: a >> amount}
    multiply = {0: lambda: a * b}
    table = {0: base, 0x20: other, 1: multiply}.get(f7, {})
    if f3 not in table:
        raise Unable(f"arithmetic that is not known here: funct3 {f3}, funct7 {f7}")
    e = z3.simplify(table[f3]())
    return e.as_long() if z3.is_bv_value(e) else e


def model_text(model):
    return ", ".join(f"{d} = {model[d]}" for d in model.decls() if z3.is_bv_value(model[d]))[:400]
