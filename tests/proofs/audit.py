# SPDX-License-Identifier: BSD-2-Clause
"""Statements about src/plan/audit.c: what it lets pass keeps partitions apart in space and time."""

import z3

from symbolic import Region, Run, Unproved, expr, value_of

CONFIG = 0x6000_0000
EXEC, DEVICE, SHARED = 4, 8, 16


def u64(name):
    return z3.BitVec(name, 64)


# What range_within and range_overlaps say of numbers is the proof of ranges; here they are relations of which nothing else is
# known, but that the former bounds a range where its second one begins at 0.
SIGNATURE = [z3.BitVecSort(64)] * 4 + [z3.BoolSort()]
WITHIN, OVERLAPS = z3.Function("within", *SIGNATURE), z3.Function("overlaps", *SIGNATURE)


def bounded(base, size, limit):
    return z3.And(z3.ULE(base, limit), z3.ULE(size, limit - base))


def within(run, state, args):
    start, length, base, size = args[:4]
    claim = bounded(start, length, size) if value_of(base) == 0 else WITHIN(*args[:4])
    return z3.If(claim, z3.BitVecVal(1, 64), z3.BitVecVal(0, 64))


def overlaps(run, state, args):
    for base, size in (args[:2], args[2:4]):
        run.must(state, bounded(base, size, z3.BitVecVal(1 << 63, 64)), "range_overlaps is asked of ranges that wrap")
    return z3.If(OVERLAPS(*args[:4]), z3.BitVecVal(1, 64), z3.BitVecVal(0, 64))


MEANINGS = {"range_within": within, "range_overlaps": overlaps}
FLAGS = ["-fno-inline", "-fno-ipa-sra", "-fno-ipa-cp"]  # so that they are called as they are


class Config:
    """A configuration of zeros, but for what is put there."""

    def __init__(self, program):
        self.c = program.constant
        self.memory = Region("config", CONFIG, self.c("config_bytes"), zero=True)

    def put(self, offset, size, value):
        word, shift = offset // 8, offset % 8 * 8
        mask = ((1 << 8 * size) - 1) << shift
        self.memory.put(word, value_of(expr(self.memory.get(word)) & ~mask & ((1 << 64) - 1) | expr(value) << shift & mask))

    def top(self, **fields):
        for name, value in fields.items():
            self.put(self.c("metal_config__" + name), 2, value)

    def board(self, **fields):
        for name, value in fields.items():
            self.put(self.c("metal_config__board") + self.c("metal_board__" + name), 4 if name in ("intc", "hart_count") else 8, value)

    def entry(self, table, index, bits, **fields):
        base = self.c("metal_config__" + table) + index * self.c(table + "_bytes")
        for name, value in fields.items():
            self.put(base + self.c(f"metal_{table}__{name}"), bits // 8, value)


class World:
    """A board, and regions anywhere; partition_of says whose each is."""

    def __init__(self, program, partition_of, aia=False):
        self.config = c = Config(program)
        page = z3.BitVecVal(4096, 64)
        self.ram, self.self_, self.intc = ((u64(n), u64(n + "_size")) for n in ("ram", "self", "intc"))
        self.uart, self.iommu, self.sswi = ((u64(n), page) for n in ("uart", "iommu", "sswi"))
        c.board(ram_hpa=self.ram[0], ram_size=self.ram[1], self_hpa=self.self_[0], self_size=self.self_[1], uart_hpa=self.uart[0],
                iommu_hpa=self.iommu[0], sswi_hpa=self.sswi[0], intc=int(aia))
        controller = "aplic" if aia else "plic"
        c.board(**{controller + "_hpa": self.intc[0], controller + "_size": self.intc[1]})
        self.files = []
        if aia:  # two harts with three guest files each
            imsic = u64("imsic")
            c.board(imsic_hpa=imsic, hart_count=2)
            c.put(c.c("metal_config__board") + c.c("metal_board__imsic_guest_bits"), 4, 2)
            c.put(c.c("metal_config__board") + c.c("metal_board__imsic_hart_bits"), 4, 1)
            c.entry("hart", 1, 16, imsic_index=1)
            self.files = [(imsic + (hart << 14), page) for hart in (0, 1)]
        count = max(partition_of) + 1
        c.top(partition_count=count, region_count=len(partition_of))
        self.regions = []
        for p in range(count):
            own = [i for i, owner in enumerate(partition_of) if owner == p]
            c.entry("partition", p, 16, region_first=own[0], region_count=len(own))
        for i, owner in enumerate(partition_of):
            gpa, hpa, size, flags = (u64(f"{n}{i}") for n in ("gpa", "hpa", "size", "flags"))
            c.entry("region", i, 64, gpa=gpa, hpa=hpa, size=size)
            c.entry("region", i, 32, flags=flags, partition=owner)
            self.regions.append((gpa, hpa, size, flags))

    def assumptions(self):
        """audit_counts: the board's ranges do not wrap, the hypervisor is in memory."""
        sane = []
        for base, size in (self.ram, self.self_, self.uart, self.iommu, self.sswi, self.intc, *self.files):
            sane += [z3.ULE(base, 1 << 56), z3.ULE(size, (1 << 56) - base)]
        inside = [z3.UGE(self.self_[0], self.ram[0]), z3.ULE(self.self_[0] + self.self_[1], self.ram[0] + self.ram[1])]
        return sane + inside + [z3.ULT(f, 32) for *_, f in self.regions]

    def passes(self, program, assume, claims, **meanings):
        """Each way in which it says nothing; claims: what must hold there."""
        run, passed = Run(program, {**MEANINGS, **meanings}), 0
        for state in run.paths("audit_regions", [CONFIG], [self.config.memory], self.assumptions() + assume):
            if value_of(state.result) == 0:
                passed += 1
                for claim, what in claims:
                    run.must(state, claim, "it passes, but not so: " + what)
        if not passed:
            raise Unproved("nothing passes")


def one_region(program, aia):
    w = World(program, [0], aia)
    gpa, hpa, size, flags = w.regions[0]
    memory = (hpa, size)
    self_size = z3.If(z3.UGT(w.self_[1], 2 << 20), (w.self_[1] + (2 << 20) - 1) & -(2 << 20), w.self_[1])
    w.passes(program, [], [
        (z3.And(size != 0, (gpa | hpa | size) & 4095 == 0), "a region is of pages"),
        (bounded(gpa, size, z3.BitVecVal(1 << 41, 64)), "it is within Sv39x4"),
        (bounded(hpa, size, z3.BitVecVal(1 << 56, 64)), "it is within 56 bits of the board"),
        (z3.If(flags & DEVICE == 0, WITHIN(*memory, *w.ram), z3.Not(OVERLAPS(*memory, *w.ram))),
         "memory is in the board's, devices are not"),
        (z3.Implies(flags & EXEC != 0, flags & (DEVICE | SHARED) == 0), "what is shared or a device is not executable"),
        (z3.Or(w.uart[0] == 0, z3.Not(OVERLAPS(*memory, *w.uart))), "it does not meet the hypervisor's console"),
        (z3.Or(w.iommu[0] == 0, z3.Not(OVERLAPS(*memory, *w.iommu))), "it does not meet the IOMMU"),
        (z3.Or(aia, w.sswi[0] == 0, z3.Not(OVERLAPS(*memory, *w.sswi))), "it does not meet what harts are kicked by"),
        (z3.Not(OVERLAPS(*memory, w.self_[0], self_size)), "it does not meet the hypervisor"),
        *((z3.Not(OVERLAPS(*memory, *k)), "it does not meet an interrupt controller") for k in (w.intc, *w.files))])


def kept(program):
    one_region(program, False)
    one_region(program, True)


def any_kept(run, state, args):
    """Of is_kept nothing is to be known where two regions are looked at."""
    return z3.If(z3.Function("kept", z3.BitVecSort(64), z3.BoolSort())(args[1]), z3.BitVecVal(1, 64), z3.BitVecVal(0, 64))


def meet(w, a, b, which):
    """As it is asked: of the later one first."""
    (a, b) = sorted((a, b), reverse=True)
    first, second = w.regions[a], w.regions[b]
    return OVERLAPS(first[which], first[2], second[which], second[2])


def one_partition(program):
    w = World(program, [0, 0])
    w.passes(program, [], [(z3.Not(meet(w, 0, 1, 0)), "no address of a partition is in two regions"),
                           (z3.Not(meet(w, 0, 1, 1)), "no memory is at two of a partition's addresses")], is_kept=any_kept)


def two_partitions(program):
    w = World(program, [0, 1])
    driver, service = u64("driver"), u64("service")
    w.config.top(vdev_count=1)
    w.config.entry("vdev", 0, 16, partition=driver, service=service)
    first, second = (r[3] & SHARED != 0 for r in w.regions)
    whole = z3.And(w.regions[0][1] == w.regions[1][1], w.regions[0][2] == w.regions[1][2])
    served = z3.Or(z3.And(first, service == 0, driver == 1), z3.And(second, service == 1, driver == 0))
    declared = z3.And(whole, z3.Or(z3.And(first, second), served))
    small = [z3.ULT(driver, 1 << 16), z3.ULT(service, 1 << 16)]
    w.passes(program, small, [
        (z3.Or(z3.Not(meet(w, 0, 1, 1)), declared), "two partitions share a channel or a window, whole, or nothing")],
        is_kept=any_kept)


def apart(program):
    one_partition(program)
    two_partitions(program)


def windows(program):
    """Three windows of one hart."""
    c, run, count = Config(program), Run(program), 3
    frame, mode, first, vcpus = u64("frame"), u64("mode"), u64("first"), u64("vcpus")
    c.board(hart_count=1)
    c.top(plan_count=1)
    c.entry("hart", 0, 32, mode=mode)
    c.entry("hart", 0, 16, vcpu_first=first, vcpu_count=vcpus)
    plan = c.c("metal_config__plan")
    c.put(plan + c.c("metal_plan__frame"), 8, frame)
    c.put(plan + c.c("metal_plan__window_count"), 4, count)
    w = []
    for i in range(count):
        base = plan + c.c("metal_plan__window") + i * c.c("window_bytes")
        w.append((u64(f"start{i}"), u64(f"length{i}"), u64(f"vcpu{i}")))
        for (name, size), value in zip((("start", 8), ("length", 8), ("vcpu", 2)), w[-1]):
            c.put(base + c.c("metal_window__" + name), size, value)
    assume = [z3.ULT(mode, 1 << 32), z3.ULE(first, 16), z3.ULE(vcpus, 16 - first)] + [z3.ULT(v, 1 << 16) for *_, v in w]
    passed = 0
    claims = [(z3.And([z3.ULE(s, frame - l) for s, l, _ in w] + [z3.ULE(l, frame) for _, l, _ in w]), "windows are within the frame"),
              (z3.And(frame != 0, z3.ULT(frame, 1 << 62)), "a frame is below 2^62 ticks"),
              (z3.And([z3.ULE(a[0] + a[1], b[0]) for a, b in zip(w, w[1:])]), "windows are in order and apart"),
              (z3.And([z3.ULT(v - first, vcpus) for *_, v in w]), "a window is of a vCPU of its hart"),
              (z3.And(mode == 2, z3.And([length != 0 for _, length, _ in w])), "its hart is cyclic, it has a length")]
    for state in run.paths("audit_windows", [CONFIG], [c.memory], assume):
        if value_of(state.result) == 0:
            passed += 1
            for claim, what in claims:
                run.must(state, claim, "it passes, but not so: " + what)
    if not passed:
        raise Unproved("nothing passes")
