#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Counts what of cosm-metal has to be trusted: lines of source, and bytes of the program.

Usage: tools/metal_size.py [--check] [COSM-METAL.ELF]

Lines: every file that the compiler reads for the core (sources of src/metal/meson.build, their headers, tables and the
linker's script), without blank lines and comments. Bytes: of the sections of cosm-metal.elf that are code, and constants.
--check: also compares both with the floors of docs/metal.md, prints TAP.
"""

import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
LINES_MAX = 7000
TEXT_MAX = 32 * 1024
COMPILER = "riscv64-linux-gnu-gcc"
FLAGS = ["-std=gnu17", "-ffreestanding", "-march=rv64imac_zicsr_zifencei", "-mabi=lp64", "-I", str(SRC),
         '-DSBI_EXTENSIONS="metal/sbi.def"']
# A comment, or what looks like the start of one but is text.
TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)


def code_lines(text):
    """Lines with more on them than comments and blanks."""
    def keep(match):
        token = match[0]
        return "\n" * token.count("\n") if token.startswith("/") else token
    return sum(1 for line in TOKEN.sub(keep, text).splitlines() if line.strip())


def sources():
    """What src/metal/meson.build compiles into the core."""
    folder = SRC / "metal"
    lists = re.findall(r"metal\w*_src = files\((.*?)\)", (folder / "meson.build").read_text(), re.S)
    names = [name for listed in lists for name in re.findall(r"'([^']+)'", listed)]
    if not names:
        sys.exit("metal_size: src/metal/meson.build has no list 'metal_src = files(...)'")
    return [(folder / name).resolve() for name in [*names, "entry.S"]]


def read_by_compiler(paths):
    """These and all files of ours that they include."""
    rules = subprocess.run([COMPILER, *FLAGS, "-MM", *map(str, paths)], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = {pathlib.Path(word).resolve() for word in rules.replace("\\\n", " ").split() if not word.endswith(":")}
    return sorted(path for path in found if ROOT in path.parents)


def section_bytes(elf):
    listing = subprocess.run(["riscv64-linux-gnu-size", "-A", str(elf)], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {line.split()[0]: int(line.split()[1]) for line in listing.splitlines() if line.startswith(".")}


def measure(elf):
    by_folder = {}
    for path in [*read_by_compiler(sources()), SRC / "metal" / "link.ld"]:
        folder = str(path.parent.relative_to(ROOT))
        by_folder[folder] = by_folder.get(folder, 0) + code_lines(path.read_text())
    return by_folder, section_bytes(elf) if elf else {}


def report(by_folder, sections):
    for folder, lines in sorted(by_folder.items()):
        print(f"{lines:7,} lines  {folder}")
    print(f"{sum(by_folder.values()):7,} lines  trusted, blank and comment lines out")
    for name in sections and (".text", ".rodata"):
        print(f"{sections[name]:7,} bytes  {name}")


def check(by_folder, sections):
    lines = sum(by_folder.values())
    print("1..3")
    samples = {"a; /* b\n c */ d;\n": 2, "/* a */\n\n// b\n": 0, 'x("/*"); // y\n/* z\n */\n': 1, "'\"' /* a */\n": 1}
    wrong = [text for text, want in samples.items() if code_lines(text) != want]
    print(f"{'not ' if wrong else ''}ok 1 - lines of code are known from comments {wrong or ''}")
    print(f"{'not ' if lines > LINES_MAX else ''}ok 2 - {lines} trusted lines, at most {LINES_MAX}")
    text = sections.get(".text", TEXT_MAX + 1)
    print(f"{'not ' if text > TEXT_MAX else ''}ok 3 - {text} bytes of code, at most {TEXT_MAX}")
    return 1 if wrong or lines > LINES_MAX or text > TEXT_MAX else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the floors and print TAP")
    parser.add_argument("elf", nargs="?", help="cosm-metal.elf, for its bytes")
    args = parser.parse_args()
    if args.check and not args.elf:
        parser.error("--check needs cosm-metal.elf")
    measured = measure(args.elf)
    sys.exit(check(*measured) if args.check else report(*measured))


if __name__ == "__main__":
    main()
