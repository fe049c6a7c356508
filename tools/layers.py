#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Checks the shape of the house against tools/layers.txt; prints TAP.

Usage: tools/layers.py [BUILD]: with a build folder, its objects are searched for mutable globals.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import tap  # noqa: E402

SRC = ROOT / "src"
FILE_LINES = 1000
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)
FREESTANDING_HEADERS = {"stdint.h", "stddef.h", "stdbool.h", "stdarg.h", "stdatomic.h", "limits.h", "stdalign.h",
                        "stdnoreturn.h", "float.h", "iso646.h"}
LIBGCC = re.compile(r"__\w+[sdt]i\d")  # what every compiler brings along
CROSS = ["riscv64-linux-gnu-gcc", "-std=gnu17", "-ffreestanding", "-nostdlib", "-march=rv64imac_zicsr_zifencei", "-mabi=lp64",
         "-mcmodel=medany", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
         "-Wno-missing-field-initializers", "-fno-strict-aliasing", "-fwrapv", "-I", str(SRC), "-I", str(ROOT)]


def read_layers():
    """tools/layers.txt: ({layer: layers it may include}, {freestanding layers}, {excused name: reason})."""
    allowed, free, excused = {}, set(), {}
    for line in (ROOT / "tools" / "layers.txt").read_text().splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        head, _, rest = line.partition(":")
        words = head.split()
        if words[0] == "excuse":
            excused[words[1]] = rest.strip()
            continue
        allowed[words[0]] = {words[0], *rest.split()}
        if "F" in words[1:]:
            free.add(words[0])
    return allowed, free, excused


ALLOWED, FREE, EXCUSED = read_layers()


def sources(*suffixes):
    return sorted(p for p in SRC.rglob("*") if p.suffix in suffixes)


def layer_of(path):
    return path.relative_to(SRC).parts[0]


def name_of(path):
    return str(path.relative_to(ROOT))


def includes(path):
    return INCLUDE.findall(path.read_text(errors="replace"))


def none(problems):
    tap.check(not problems, "\n".join(problems))


def run(command):
    return subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@tap.test("every file includes only what its layer may")
def _():
    problems = []
    for path in sources(".c", ".h", ".def", ".inc"):
        layer = layer_of(path)
        if layer not in ALLOWED:
            problems.append(f"{name_of(path)}: the layer '{layer}' is not in tools/layers.txt")
            continue
        for kind, included in includes(path):
            other = included.split("/")[0]
            if kind == "<":
                if layer in FREE and included not in FREESTANDING_HEADERS:
                    problems.append(f"{name_of(path)}: <{included}> in a freestanding layer")
            elif "/" not in included:
                problems.append(f'{name_of(path)}: "{included}" does not name its layer')
            elif other not in ALLOWED[layer] and other != "spec":
                problems.append(f"{name_of(path)}: '{layer}' may not include \"{included}\"")
    none(problems)


@tap.test("every .c includes its own header first, or that of its family in the same layer")
def _():
    problems = []
    for path in sources(".c"):
        relative = str(path.relative_to(SRC))
        own = relative[:-2] + ".h"
        first = next((name for kind, name in includes(path) if kind == '"'), "nothing")
        good = first == own if (SRC / own).exists() else first.startswith(layer_of(path) + "/")
        if relative not in EXCUSED and not good:
            problems.append(f'{name_of(path)}: the first include is "{first}"')
    none(problems)


@tap.test(f"no file is longer than {FILE_LINES} lines, and each opens with its licence")
def _():
    problems = []
    for path in sources(".c", ".h", ".def", ".inc"):
        lines = path.read_text(errors="replace").splitlines()
        if len(lines) > FILE_LINES and str(path.relative_to(SRC)) not in EXCUSED:
            problems.append(f"{name_of(path)}: {len(lines)} lines")
        if not lines or "SPDX-License-Identifier: BSD-2-Clause" not in lines[0]:
            problems.append(f"{name_of(path)}: the first line is not the licence")
    none(problems)


@tap.test("every header compiles alone")
def _():
    problems = []
    for path in sources(".h"):
        done = run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
                    "-Wno-unused-parameter", "-I", SRC, "-I", ROOT, "-include", path, "-x", "c", "/dev/null"])
        if done.returncode:
            problems.append(f"{name_of(path)}:\n{done.stdout[:600]}")
    none(problems)


@tap.test("the freestanding layers build for bare riscv64 and need nothing from outside")
def _():
    if run(["which", CROSS[0]]).returncode:
        raise tap.Skip(f"no {CROSS[0]}")
    problems, objects = [], []
    with tempfile.TemporaryDirectory() as folder:
        for path in sources(".c", ".S"):
            if layer_of(path) not in FREE:
                continue
            out = pathlib.Path(folder) / (str(path.relative_to(SRC)).replace("/", "_") + ".o")
            done = run([*CROSS, "-c", path, "-o", out])
            if done.returncode:
                problems.append(f"{name_of(path)}:\n{done.stdout[:1000]}")
            objects.append(out)
        none(problems)
        linked = pathlib.Path(folder) / "all.o"
        done = run(["riscv64-linux-gnu-ld", "-r", "-o", linked, *objects])
        tap.check(done.returncode == 0, done.stdout[:2000])
        undefined = run(["riscv64-linux-gnu-nm", "-u", linked]).stdout.split()
    placed = {name for path in sources(".ld") for name in re.findall(r"(\w+) = ", path.read_text())}
    none([f"'{name}' is used but not defined in a freestanding layer" for name in undefined
          if name != "U" and name not in EXCUSED and name not in placed and not LIBGCC.fullmatch(name)])


@tap.test("no mutable globals")
def _():
    if len(sys.argv) < 2:
        raise tap.Skip("no build folder given")
    problems = []
    for path in sorted((pathlib.Path(sys.argv[1]) / "src").rglob("*.o")):
        for line in run(["objdump", "-t", path]).stdout.splitlines():
            found = re.search(r"\s[O ]\s+(\.(?:data|bss|tdata|tbss)\S*|\*COM\*)\s+[0-9a-f]+\s+(?:\.hidden )?(\S+)$", line)
            if not found or ".rel.ro" in found[1] or found[2].startswith(".") or " d " in line:
                continue
            name = re.sub(r"\.\d+$", "", found[2])
            if name not in EXCUSED:
                problems.append(f"{path.name}: {name} in {found[1]}")
    none(problems)


@tap.test("every excuse in tools/layers.txt is still needed for a file or symbol that exists, and gives its reason")
def _():
    none([f"excuse {name}: no reason given" for name, reason in EXCUSED.items() if not reason]
         + [f"excuse {name}: there is no such file" for name in EXCUSED if name.endswith(".c") and not (SRC / name).exists()])


tap.main()
