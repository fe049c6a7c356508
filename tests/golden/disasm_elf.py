#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares what 'cosm disasm' lists of a program with objdump's list: each address, all bits, each text.

usage: disasm_elf.py COSM
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from disasm_compare import PREFIX, normal
import tap

PROGRAM = """
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    double x = argc > 1 ? atof(argv[1]) : 2;
    printf("%f %f %d\\n", sqrt(x), fma(x, x, 1), __atomic_fetch_add(&argc, 1, 5));
    return 0;
}
"""


def build(folder):
    """A static program: the C library is a sample of everything that a compiler makes."""
    if not shutil.which(PREFIX + "gcc") or not shutil.which(PREFIX + "objdump"):
        raise tap.Skip(f"no {PREFIX}gcc here")
    source, program = os.path.join(folder, "t.c"), os.path.join(folder, "t")
    with open(source, "w", encoding="ascii") as file:
        file.write(PROGRAM)
    subprocess.run([PREFIX + "gcc", "-O2", "-static", source, "-o", program, "-lm"], check=True)
    return program


def alike(ours, theirs):
    """Both by now without comments. Targets are the same number; hints and the like are spelt otherwise."""
    if ours == theirs:
        return True
    bare = re.sub(r"0x([0-9a-f]+)$", r"\1", ours)
    if bare == re.sub(r"0x([0-9a-f]+)$", r"\1", theirs) or ours == theirs + ",rne":
        return True
    return theirs.startswith((".", "unimp", "c.unimp")) or ours.startswith((".4byte", ".2byte", "c.nop"))


def compare(cosm):
    with tempfile.TemporaryDirectory() as folder:
        program = build(folder)
        ours = subprocess.run([cosm, "disasm", program], check=True, capture_output=True, text=True).stdout
        listed = json.loads(subprocess.run([cosm, "disasm", "--json", program], check=True,
                                           capture_output=True, text=True).stdout)
        theirs = subprocess.run([PREFIX + "objdump", "-d", "-M", "no-aliases", program],
                                check=True, capture_output=True, text=True).stdout
    mine = re.findall(r"^ +([0-9a-f]+): ([0-9a-f]+) +(.*)$", ours, re.M)
    other = {address: (bits, text) for address, bits, text in
             re.findall(r"^ *([0-9a-f]+):\t([0-9a-f]+) +\t(.*)$", theirs, re.M)}
    tap.check(len(mine) > 20000, f"only {len(mine)} instructions are listed")
    shown = [m for m in mine if m[0] in other or int(m[1], 16)]  # objdump passes over zeroes
    tap.check_equal(len(shown), len(other), "the number of instructions")
    wrong = [f"{address}: ours {bits} '{text}', objdump {other.get(address)}" for address, bits, text in shown
             if other.get(address, ("",))[0] != bits or not alike(normal(text), normal(other[address][1]))]
    for line in wrong[:20]:
        tap.say(line)
    tap.check(not wrong, f"{len(wrong)} of {len(mine)} lines differ")
    tap.check_equal([(int(o["address"], 16), o["bits"], o["text"]) for o in listed],
                    [(int(a, 16), b, t) for a, b, t in mine], "the JSON list")
    tap.check(re.search(r"^[0-9a-f]{16} <main>:$", ours, re.M), "main has no line of its own")
    tap.check(any(o.get("symbol") == "main" and o["offset"] == 0 for o in listed), "main is not in the JSON list")
    tap.say(f"{len(mine)} instructions compared")


tap.add("a static program is listed as by objdump", compare, sys.argv[1])
tap.main([])
