#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares our disassembler with objdump on random encodings of every instruction.

usage: disasm_compare.py DUMP_DISASM [SEED [COUNT]]
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import tap  # noqa: E402

PREFIX = "riscv64-linux-gnu-"
PC = 0x1000  # where DUMP_DISASM lets each stand
ARCH = ("rv64gch_zba_zbb_zbs_zbc_zbkb_zbkx_zbkc_zknd_zkne_zknh_zksed_zksh_zicbom_zicboz_zicbop_zfh_zawrs_svinval"
        "_zihintpause")

# What binutils 2.40 does not know: it prints the bits. A later one may, so nothing is compared then.
UNKNOWN = {
    "Zicond came with 2.41": r"czero\.",
    "Zfa came with 2.41": r"fli\.|fminm\.|fmaxm\.|fround|fleq\.|fltq\.|fcvtmod\.",
    "Zcb came with 2.42": r"c\.(lbu|lhu?|s[bh]|mul|not|[sz]ext\..)$",
    "Zacas came with 2.42": r"amocas\.",
    "Zabha came with 2.43": r"amo\w+\.[bh]$",
    "Zimop and Zcmop came with 2.43": r"(c\.)?mop",
}
# Where the names of objdump mean more, or less, than those of riscv.def.
OTHERWISE = {
    "a conversion that is always exact is known with rounding mode 0 alone": r"fcvt\.(d\.(s|h|wu?)|s\.h)$",
    "prefetch hints are ORI to x0, which is what we call them": r"ori (zero)",
    "a CSR's number that we do not have may have a name there, and the reverse": r"csrr\S+ \S+,0x",
    "compressed shifts by 0 are RV128's shifts by 64, to objdump": r"c\.s(rl|ra|ll)i \w+,0x0$",
    "hints that objdump gives names": r"(add|slti) zero|c\.(add|mv|slli) zero",
}


def normal(text):
    """Without comments, symbols and tabs."""
    return re.sub(r"\s+", " ", re.sub(r"\s*(#.*|<.*)$", "", text.strip()))


def objdump(encodings, folder):
    """objdump's text for each (length, bits), every one at the same address."""
    source, linked = os.path.join(folder, "t.s"), os.path.join(folder, "t.o")
    with open(source, "w", encoding="ascii") as file:
        file.write(f'.attribute arch, "{ARCH}"\n')
        for length, bits in encodings:
            file.write(f".insn {length}, 0x{bits}\n")
    subprocess.run([PREFIX + "as", "-march=rv64gc", source, "-o", linked], check=True)
    listing = subprocess.run([PREFIX + "objdump", "-d", "-M", "no-aliases", linked],
                             check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^\s*([0-9a-f]+):\s+([0-9a-f]+)\s+(.*)$", listing, re.M)
    tap.check_equal(len(found), len(encodings), "the number of instructions that objdump lists")
    return [(int(address, 16), text) for address, _, text in found]


def matching(rules, name, text):
    return next((why for why, rule in rules.items() if re.match(rule, name) or re.match(rule, text)), None)


def same(ours, theirs, address):
    theirs, ours = normal(theirs), normal(ours)
    if ours == theirs or (ours == "c.nop" and theirs.startswith("c.addi zero,")):
        return True
    if ours.startswith("fcvt.") and ours == theirs + ",rne":  # exact, so objdump sees no mode in it
        return True
    # A target: the same distance from where each stands.
    mine, other = re.fullmatch(r"(.*[ ,])0x([0-9a-f]+)", ours), re.fullmatch(r"(.*[ ,])([0-9a-f]+)", theirs)
    if not mine or not other or mine[1] != other[1]:
        return False
    mask = 2 ** 64 - 1
    return (int(mine[2], 16) - PC) & mask == (int(other[2], 16) - address) & mask


def compare(dump, seed, count):
    lines = subprocess.run([dump, seed, count], check=True, capture_output=True, text=True).stdout.splitlines()
    ours = [line.split(" ", 3) for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        theirs = objdump([(length, bits) for _, length, bits, _ in ours], folder)
    compared, wrong, left = set(), [], set()
    for (name, _, bits, text), (address, other) in zip(ours, theirs):
        if same(text, other, address):
            compared.add(name)
        elif other.startswith((".4byte", ".2byte")) and matching(UNKNOWN, name, text):
            left.add(name)
        elif not matching(OTHERWISE, name, text):
            wrong.append(f"{bits}: ours '{normal(text)}', objdump '{normal(other)}'")
    names = {name for name, *_ in ours}
    tap.say(f"{len(compared)} of {len(names)} instructions compared, {len(left)} unknown to objdump")
    for line in wrong[:20]:
        tap.say(line)
    tap.check(not wrong, f"{len(wrong)} encodings are disassembled differently")
    lost = names - compared - left
    tap.check(not lost, f"never alike: {', '.join(sorted(lost))}")


def main():
    dump, seed, count = (sys.argv[1:] + ["1", "40"][len(sys.argv) - 2:])

    @tap.test(f"disassembly as objdump's, seed {seed}")
    def _():
        for tool in ("as", "objdump"):
            if not shutil.which(PREFIX + tool):
                raise tap.Skip(f"{PREFIX}{tool} is not installed")
        compare(dump, seed, count)
    tap.main()


if __name__ == "__main__":
    main()
