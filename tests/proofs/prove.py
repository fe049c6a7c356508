#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Proofs about the machine code of the hypervisor's core, and that each fails when the code is broken; prints TAP.

Usage: tests/proofs/prove.py [--long | WORD...]: those that take minutes, or those whose names hold one of the words.
README.md says what is assumed."""

import functools
import pathlib
import shutil
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tests" / "lib"))
sys.path.insert(0, str(HERE))
import tap  # noqa: E402

try:
    import z3
    import audit
    import symbolic
    from symbolic import Region, Run, Unproved, expr
except ImportError:
    print("1..0 # SKIP no z3 for /usr/bin/python3 (python3-z3)")
    sys.exit(0)

PAGE, MIB2, GIB = 4096, 2 << 20, 1 << 30
POOL, REGIONS, TABLES, CONFIG = 0x1000_0000, 0x1100_0000, 0x2000_0000, 0x6000_0000
TABLES_HPA = 0x8765_4000
LAYOUT = HERE / "layout.c"


def u64(name):
    return z3.BitVec(name, 64)


def wide(e):
    """Of 66 bits, so that sums are those of numbers."""
    return z3.ZeroExt(2, expr(e))


def build(source, tree, flags):
    sources = [LAYOUT] + ([tree / "src" / source] if source.endswith(".c") else [])
    level = "-Os" if source.startswith("metal/") and source.endswith(".c") else "-O2"  # as src/metal/meson.build has it
    return symbolic.Program(sources, [tree / "src", ROOT], [level, *flags])


# --- src/metal/gstage.c

class Map:
    """A pool of pages, zeroed, and regions to be mapped one after the other."""

    def __init__(self, program, pages):
        self.program, self.run, self.pages = program, Run(program), pages
        pool = Region("pool", POOL, 24)
        field = program.constant
        pool.put(field("gstage_pool__page") // 8, TABLES)
        pool.put(field("gstage_pool__hpa") // 8, TABLES_HPA)
        pool.put(field("gstage_pool__used") // 8, 4 | pages << 32)  # a root is taken; used, count
        self.memory = [pool, Region("tables", TABLES, pages * PAGE, zero=True), Region("regions", REGIONS, 64)]

    def region(self, number, size, flags):
        """Region number of a size anywhere in Sv39x4 and in 56 bits of the board; its assumptions."""
        gpa, hpa = u64(f"gpa{number}"), u64(f"hpa{number}")
        memory = self.memory[2]
        for name, value in (("gpa", gpa), ("hpa", hpa), ("size", size), ("flags", flags)):
            memory.put(32 * number // 8 + self.program.constant("metal_region__" + name) // 8, value)
        assume = [gpa & (PAGE - 1) == 0, hpa & (PAGE - 1) == 0, z3.ULE(gpa, (1 << 41) - size),
                  z3.ULE(hpa, (1 << 56) - size)]
        return gpa, hpa, assume

    def map(self, number, memory, assume):
        return self.run.paths("gstage_map", [POOL, 0, REGIONS + 32 * number], memory, assume)

    @staticmethod
    def walk(state, gpa):
        """What an MMU does with the tables at root 0: mapped, hpa, entry."""
        tables = state.regions["tables"]
        mapped, hpa, found = z3.BoolVal(False), z3.BitVecVal(0, 64), z3.BitVecVal(0, 64)
        table, live = z3.BitVecVal(0, 64), z3.BoolVal(True)
        for level in (2, 1, 0):
            shift = 12 + 9 * level
            index = z3.LShR(gpa, shift) & (2047 if level == 2 else 511)
            entry = expr(tables.get(z3.simplify(table + index)))
            leaf = z3.And(live, entry & 1 == 1, entry & 14 != 0)
            base = z3.LShR(entry, 10) << 12
            offset = gpa & ((1 << shift) - 1)
            hpa = z3.If(leaf, base | offset, hpa)
            found = z3.If(leaf, entry, found)
            mapped = z3.Or(mapped, leaf, z3.And(live, leaf, base & ((1 << shift) - 1) != 0))
            live = z3.And(live, entry & 1 == 1, entry & 14 == 0)
            table = z3.LShR(base - TABLES_HPA, 12) * 512
        return mapped, hpa, found

    def used_within(self, state):
        used = z3.Extract(31, 0, expr(state.regions["pool"].word(self.program.constant("gstage_pool__used"))))
        self.run.must(state, z3.ULE(used, self.pages), "more pages than there are")


def leaf_bits(flags):
    """V U A D, and R W X as the region has it; devices are never executable."""
    reads, writes = flags & 3 != 0, flags & 2 != 0
    executes = z3.And(flags & 4 != 0, flags & 8 == 0)
    return (z3.BitVecVal(0xD1, 64) | z3.If(reads, z3.BitVecVal(2, 64), z3.BitVecVal(0, 64)) |
            z3.If(writes, z3.BitVecVal(4, 64), z3.BitVecVal(0, 64)) | z3.If(executes, z3.BitVecVal(8, 64), z3.BitVecVal(0, 64)))


def exact(m, state, regions):
    """x is mapped if and only if it is in one of the regions, and then as that one says."""
    x = u64("x")
    mapped, hpa, entry = m.walk(state, x)
    inside = [z3.ULT(x - gpa, size) for gpa, _, size, _ in regions]
    m.run.must(state, z3.Implies(z3.ULT(x, 1 << 41), mapped == z3.Or(inside)), "mapped is not what is in a region")
    for (gpa, target, _, flags), is_inside in zip(regions, inside):
        m.run.must(state, z3.Implies(is_inside, z3.And(hpa == target + (x - gpa), entry & 1023 == leaf_bits(flags))),
                   "an address or permission is not the region's")


def one_region(program, size, align, pages):
    m = Map(program, pages)
    flags = u64("flags")
    gpa, hpa, assume = m.region(0, size, flags)
    assume += [z3.ULT(flags, 32), flags & 3 != 0, gpa & (align - 1) == 0, hpa & (align - 1) == 0]
    done = 0
    for state in m.map(0, m.memory, assume):
        m.used_within(state)
        if symbolic.value_of(state.result) == 1:
            exact(m, state, [(gpa, hpa, size, flags)])
            done += 1
        else:
            m.run.must(state, z3.BoolVal(pages < 9), "it is refused though there is room")
    if pages >= 9 and not done:
        raise Unproved("nothing is mapped")


def g_stage_one(program):
    for size, align in ((PAGE, PAGE), (2 * PAGE, PAGE), (3 * PAGE, PAGE), (MIB2 + PAGE, MIB2), (GIB + MIB2 + PAGE, GIB)):
        one_region(program, size, align, 9)
    one_region(program, 2 * PAGE, PAGE, 6)


def g_stage_two(program):
    m = Map(program, 10)  # both in tables of their own, the second over the end of one
    first, second = m.region(0, PAGE, 7), m.region(1, 2 * PAGE, 3)
    x = [first[0], first[1], PAGE, expr(7)], [second[0], second[1], 2 * PAGE, expr(3)]
    overlap = z3.ULT(first[0] - second[0], 2 * PAGE)
    for state in m.map(0, m.memory, first[2] + second[2]):
        memory = [r for r in state.regions.values() if r.name != "stack"]
        for end in m.map(1, memory, state.path):
            m.used_within(end)
            refused = symbolic.value_of(end.result) == 0
            m.run.must(end, overlap == z3.BoolVal(refused), "refused is not what overlaps")
            if not refused:
                exact(m, end, x)


# --- src/metal/schedule.c

# Where a slot can end: before the first window, after one, before another one, with the frame; and what that says of k.
PLACES = {
    "first": lambda p: p.count(p.plan) != 0,
    "after": lambda p: p.k != 0,
    "before": lambda p: z3.And(p.k != 0, z3.ULT(p.k, p.count(p.plan))),
    "end": lambda p: p.k == p.count(p.plan),
}


class Plans:
    """Plans of any windows that the compiler would let through, and a hart's place in one of them."""

    def __init__(self, program, hart, plan, following, place):
        self.program = program
        self.c = program.constant
        self.plans = Region("plans", REGIONS, 4 * self.c("plan_bytes"))
        self.cycle = Region("cycle", POOL, 40)
        self.hart, self.plan, self.next = hart, plan, following
        self.k, self.frame_start = u64("window"), u64("frame_start")
        if place == "first":
            self.k = z3.BitVecVal(0, 64)
        self.end, self.place = self.frame_start + self.offset(place), PLACES[place](self)
        self.cycle.put(self.c("cycle__frame_start") // 8, self.frame_start)
        self.cycle.put(self.c("cycle__end") // 8, self.end)
        self.cycle.put(self.c("cycle__plan") // 8, plan | self.k << 32)

    def offset(self, place):
        """Where in its frame the slot of that place ends."""
        if place == "after":
            return self.window_end(self.plan, self.k - 1)
        return self.frame(self.plan) if place == "end" else self.window(self.plan, self.k, "start")

    def frame(self, plan):
        return expr(self.plans.word(plan * self.c("plan_bytes") + self.c("metal_plan__frame")))

    def count(self, plan):
        where = plan * self.c("plan_bytes") + self.c("metal_plan__window_count") + self.hart * 4
        return z3.LShR(expr(self.plans.word(where)), where % 8 * 8) & 0xFFFFFFFF

    def window(self, plan, index, field, bits=64):
        where = (plan * self.c("plan_bytes") + self.c("metal_plan__window") + self.hart * 32 * self.c("window_bytes") +
                 self.c("metal_window__" + field))
        return expr(self.plans.get(z3.simplify(where // 8 + index * (self.c("window_bytes") // 8)))) & ((1 << bits) - 1)

    def window_end(self, plan, index):
        return self.window(plan, index, "start") + self.window(plan, index, "length")

    def sound(self, plan, index):
        """What the compiler promises of a window and the one before."""
        start, length = self.window(plan, index, "start"), self.window(plan, index, "length")
        inside = z3.And(length != 0, z3.ULE(start, self.frame(plan)), z3.ULE(length, self.frame(plan) - start))
        ordered = z3.Implies(index != 0, z3.ULE(self.window_end(plan, index - 1), start))
        return z3.Implies(z3.ULT(index, self.count(plan)), z3.And(inside, ordered))

    def before(self, plan, index):
        """Where windows up to index end."""
        return z3.If(index == 0, z3.BitVecVal(0, 64), self.window_end(plan, index - 1))

    def is_place(self, plan, k, frame_start, end):
        """A slot that ends there: after a window, before one, or with the frame."""
        n, frame, offset = self.count(plan), self.frame(plan), end - frame_start
        return z3.And(z3.ULE(k, n), z3.Or(z3.And(k != 0, offset == self.before(plan, k)),
                                          z3.And(z3.ULT(k, n), offset == self.window(plan, k, "start")),
                                          z3.And(k == n, offset == frame)))

    def assumptions(self):
        zero, limit = z3.BitVecVal(0, 64), 1 << 62
        valid = [z3.ULT(self.frame_start, limit), z3.ULE(self.k, 32)]
        for plan in {self.plan, self.next}:
            valid += [self.frame(plan) != 0, z3.ULT(self.frame(plan), limit), z3.ULE(self.count(plan), 32)]
            valid += [self.sound(plan, i) for i in (zero, zero + 1)]
        valid += [self.sound(self.plan, i) for i in (self.k - 1, self.k, self.k + 1)]
        return valid + [z3.ULE(self.k, self.count(self.plan)), self.place]


def schedule(program):
    for hart, plan, following in ((0, 0, 1), (7, 3, 3)):
        for place in PLACES:
            advance(program, Plans(program, hart, plan, following, place))


def by_plan(p, plan, claim):
    """claim of whichever plan it is."""
    return z3.And([z3.Implies(plan == n, claim(n)) for n in {p.plan, p.next}])


def advance(program, p):
    run = Run(program)
    args = [POOL, REGIONS, p.hart, p.next]
    c = program.constant
    for state in run.paths("schedule_advance", args, [p.plans, p.cycle], p.assumptions()):
        cycle = state.regions["cycle"]
        frame_start, end = expr(cycle.word(c("cycle__frame_start"))), expr(cycle.word(c("cycle__end")))
        packed = expr(cycle.word(c("cycle__plan")))
        plan, k = packed & 0xFFFFFFFF, z3.LShR(packed, 32)
        vcpu = expr(cycle.word(c("cycle__vcpu"))) & 0xFFFF
        new = p.end == p.frame_start + p.frame(p.plan)
        j = z3.If(new, z3.BitVecVal(0, 64), p.k)  # the window that is next
        want_plan = z3.If(new, expr(p.next), expr(p.plan))
        start, offset, gone = (p.end - frame_start), (end - frame_start), k != j

        def slot(n, gone=gone, start=start, offset=offset, vcpu=vcpu, j=j):
            """A window from its start to its end, or idle and no window's."""
            window = z3.And(vcpu == p.window(n, j, "vcpu", 16), z3.ULT(j, p.count(n)), start == p.window(n, j, "start"),
                            offset == p.window_end(n, j))
            idle = z3.And(vcpu == 0xFFFF, z3.UGE(start, p.before(n, j)),
                          z3.Implies(z3.ULT(j, p.count(n)), z3.ULE(offset, p.window(n, j, "start"))))
            return z3.If(gone, window, idle)

        for claim, what in (
                (z3.UGT(end, p.end), "the slot ends after it begins"),
                (frame_start == z3.If(new, p.end, p.frame_start), "frames follow each other without a gap"),
                (plan == want_plan, "a plan changes at a frame's end alone"),
                (z3.Or(k == j, k == j + 1), "no window is left out"),
                (by_plan(p, plan, lambda n: p.is_place(n, k, frame_start, end)), "the next slot begins at such a place again"),
                (by_plan(p, plan, slot), "the slot is the window, or no window's")):
            run.must(state, claim, "not so: " + what)


# --- src/metal/partition.c, src/base/checked.h, src/metal/decode.h

def ranges(program):
    run = Run(program)
    a, n, b, m = u64("a"), u64("n"), u64("b"), u64("m")
    ends = wide(a) + wide(n), wide(b) + wide(m)
    for state in run.paths("proof_within", [a, n, b, m], [], []):
        inside = z3.And(z3.ULE(wide(b), wide(a)), z3.ULE(ends[0], ends[1]))
        run.must(state, (expr(state.result) != 0) == inside, "range_within")
    limits = [z3.ULE(e, z3.BitVecVal(1 << 64, 66)) for e in ends]
    x = u64("x")
    for state in run.paths("proof_overlaps", [a, n, b, m], [], limits):
        shares = z3.And(z3.ULE(wide(a), wide(x)), z3.ULT(wide(x), ends[0]), z3.ULE(wide(b), wide(x)), z3.ULT(wide(x), ends[1]))
        run.must(state, z3.Implies(shares, expr(state.result) != 0), "ranges with a byte in common")
        first = z3.If(z3.UGE(a, b), a, b)
        run.must(state, z3.Implies(expr(state.result) != 0, z3.substitute(shares, (x, first))), "ranges without one")


def owns(program):
    """Three regions of any place: what is owned lies in one of them, which has the rights and is no device."""
    run, c = Run(program), program.constant
    count = 3
    partition, config = Region("partition", POOL, 64), Region("config", REGIONS, 64)
    board = Region("board", CONFIG, c("config_bytes"))
    partition.put(c("partition__config") // 8, REGIONS)
    config.put(c("metal_partition__region_first") // 8, expr(count << 16 | 5) << 8 * (c("metal_partition__region_first") % 8))
    gpa, length, flags = u64("gpa"), u64("len"), u64("flags")
    regions = []
    for i in range(5, 5 + count):
        base = (c("metal_config__region") + i * c("region_bytes")) // 8
        fields = [u64(f"{name}{i}") for name in ("gpa", "size", "flags")]
        for name, value in zip(("gpa", "size", "flags"), fields):
            board.put(base + c("metal_region__" + name) // 8, value)
        regions.append(fields)
    assume = [z3.ULT(flags, 32)] + [z3.And(z3.ULE(s, -g), z3.ULT(f, 32)) for g, s, f in regions]
    # "Within" in 64 bits, which the proof of range_within shows to be that of numbers.
    inside = [z3.And(z3.ULE(g, gpa), z3.ULE(gpa - g, s), z3.ULE(length, s - (gpa - g))) for g, s, _ in regions]
    right = [z3.And(i, f & flags == flags, f & 8 == 0) for i, (_, _, f) in zip(inside, regions)]
    only = z3.And([z3.Not(z3.And(a, b)) for n, a in enumerate(inside) for b in inside[:n]])
    for state in run.paths("partition_owns", [POOL, gpa, length, flags], [partition, config, board], assume):
        run.must(state, z3.Implies(expr(state.result) != 0, z3.Or(right)), "owned, but in no region with the rights")
        run.must(state, z3.Implies(z3.And(z3.Or(right), only), expr(state.result) != 0), "not owned, but in such a region")


def decoded(program):
    """Of all words: what the trap handler indexes with and advances by."""
    run = Run(program)
    insn = u64("insn")
    for function in ("proof_decode", "proof_transformed"):
        # struct access: width, reg, length, write, is_signed
        assume = [insn == z3.SignExt(32, z3.Extract(31, 0, insn))]
        for state in run.paths(function, [insn, POOL], [Region("access", POOL, 16)], assume):
            first, second = (expr(state.regions["access"].word(offset)) for offset in (0, 8))
            width, reg, length = first & 0xFFFFFFFF, z3.LShR(first, 32), second & 0xFFFFFFFF
            fine = z3.And(z3.ULT(reg, 32), z3.Or(length == 2, length == 4), z3.Or([width == 1 << n for n in range(4)]))
            run.must(state, z3.Implies(expr(state.result) & 0xFF != 0, fine), "out of range")
    word_loads(run, insn)


def word_loads(run, insn):
    """The quick decoder: a register below 32, a length of 2 or 4."""
    for transformed in (0, 1):
        assume = [insn == z3.SignExt(32, z3.Extract(31, 0, insn))]
        for state in run.paths("proof_word_load", [insn, transformed, POOL], [Region("access", POOL, 16)], assume):
            length = expr(state.regions["access"].word(8)) & 0xFFFFFFFF
            fine = z3.And(z3.ULT(expr(state.result), 32), z3.Or(length == 2, length == 4))
            run.must(state, fine, "a load of a word out of range")


# name: proof, source, breakages of the source as (what it says, what it then says)
PROOFS = {
    "g-stage: one region of up to three pages, or of superpages": (g_stage_one, "metal/gstage.c", [
        ("r->hpa + done) >> PAGE_SHIFT", "r->hpa) >> PAGE_SHIFT"), ("2047 : 511", "1023 : 511"),
        ("pool->used == pool->count", "pool->used > pool->count"), ("&& !(flags & METAL_REGION_DEVICE)", ""),
        ("(gpa | hpa) %", "gpa %"), ("bits |= PTE_R | PTE_W;", "bits |= PTE_R | PTE_W | PTE_X;")]),
    "g-stage: two regions, refused if and only if they overlap": (g_stage_two, "metal/gstage.c", [
        ("if (!entry || *entry)", "if (!entry)"), ("pool->used++", "pool->used")]),
    "cyclic plans: windows, frames and changes of plan": (schedule, "metal/schedule.c", [
        ("        c->plan = next;\n", ""), ("window->start + window->length", "window->length"),
        ("c->frame_start = c->end;", "c->frame_start += 1;"), ("    c->window++;\n", ""),
        ("window->start > c->end", "window->start >= c->end")]),
    "ranges: within and overlapping, all numbers": (ranges, "base/checked.h", [
        ("len <= size - (start - base)", "start + len <= base + size"), ("b - a < alen", "b - a <= alen")]),
    "partition_owns: three regions, all addresses and lengths": (owns, "metal/partition.c", [
        ("(r->flags & flags) == flags", "(r->flags & flags)"), (" && !(r->flags & METAL_REGION_DEVICE);", ";"),
        ("range_within(gpa, len,", "range_within(gpa, 1,")]),
    "configurations: a region alone": (audit.kept, "plan/audit.c", [
        ("(r->gpa | r->hpa | r->size) % PAGE", "(r->gpa | r->hpa) % PAGE"),
        ("range_within(r->gpa, r->size, 0, GPA_LIMIT)", "range_within(r->gpa, 1, 0, GPA_LIMIT)"),
        ("align_up(b->self_size, 2 * MIB)", "b->self_size"), ("b->uart_hpa ? PAGE : 0", "0"),
        ("b->iommu_hpa ? PAGE : 0", "0"), ("b->sswi_hpa ? PAGE : 0", "0"),
        ("h < b->hart_count; h++) {\n        if (range", "h < 1; h++) {\n        if (range"),
        ("METAL_REGION_DEVICE | METAL_REGION_SHARED", "METAL_REGION_DEVICE")]),
    "configurations: two regions, of one or of two partitions": (audit.apart, "plan/audit.c", [
        ("j < index", "j + 1 < index"), ("return !range_overlaps(a->hpa", "return !range_overlaps(a->gpa"),
        ("a->size != b->size", "false"), ("return (first &&", "return (second &&"),
        ("c->vdev[i].service == service &&", "")]),
    "configurations: windows of a hart": (audit.windows, "plan/audit.c", [
        ("end = w->start + w->length;", "end = w->start;"), ("w->vcpu < h->vcpu_first", "false"),
        ("range_within(w->start, w->length, 0", "range_within(w->start, 1, 0"), ("!w->length ||", ""),
        ("== METAL_HART_CYCLIC;", "!= METAL_HART_CYCLIC;")]),
    "loads and stores: registers, widths and lengths in range": (decoded, "metal/decode.h", [
        ("a->write ? 20 : 7, 5)", "a->write ? 20 : 7, 6)"), ("size & 3)", "size & 7)"),
        ("insn & 2 ? 4 : 2", "insn & 2 ? 4 : 3"), ("0x2003)\n        return decode_bits(insn, 7, 5)", "0x2003)\n        return insn >> 7"),
        ("(insn & 0xe003) == 0x4000 ? 8 +", "(insn & 0xe003) == 0x4000 ? 32 +"),
        ("a->length = 2;\n    a->width = is_half", "a->length = 1;\n    a->width = is_half")]),
}

FLAGS = {audit.kept: audit.FLAGS, audit.apart: audit.FLAGS}
LONG = g_stage_one, schedule, audit.kept, audit.apart, audit.windows  # minutes


def holds(proof, source):
    proof(build(source, ROOT, FLAGS.get(proof, ())))


def breaks(proof, source, before, after):
    text = (ROOT / "src" / source).read_text()
    tap.check(before in text, f"src/{source} no longer says: {before}")
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        shutil.copytree(ROOT / "src", tree / "src")
        (tree / "src" / source).write_text(text.replace(before, after, 1))
        program = build(source, tree, FLAGS.get(proof, ()))
    try:
        proof(program)
    except Unproved:
        return
    tap.check(False, f"it is proved, too, where src/{source} says '{after}' instead of '{before}'")


if not shutil.which(symbolic.CC):
    print(f"1..0 # SKIP no {symbolic.CC}")
    sys.exit(0)
for title, (proof, source, breakages) in PROOFS.items():
    is_long = proof in LONG
    tap.test(title, is_long)(functools.partial(holds, proof, source))
    for before, after in breakages:
        name = f"{title}: not with '{' '.join(after.split())}' for '{' '.join(before.split())}'"
        tap.test(name, is_long)(functools.partial(breaks, proof, source, before, after))
tap.main(sys.argv[1:])
