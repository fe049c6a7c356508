#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Compares the virt board's device tree with QEMU's, against the table in docs/device-tree.md.

usage: dtb_compare.py COSM TABLE
"""

import argparse
import fnmatch
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import tap  # noqa: E402

QEMU = "qemu-system-riscv64"
QEMU_VERSION = "7.2"
HARTS = (1, 2, 4)
NODE = "(node)"
DIFFERENCES = ("differs", "QEMU only", "cosm only")


def parse_dtb(blob):
    """The tree as {path: {property: bytes}} (Devicetree Specification 0.4, chapter 5)."""
    magic, _, structure, strings = struct.unpack_from(">4I", blob)
    tap.check(magic == 0xD00DFEED, "not a device tree")
    nodes, path, at = {}, [], structure
    while True:
        token, = struct.unpack_from(">I", blob, at)
        at += 4
        if token == 1:  # FDT_BEGIN_NODE
            end = blob.index(b"\0", at)
            path.append(blob[at:end].decode())
            nodes["/".join(path) or "/"] = {}
            at = (end + 4) & ~3
        elif token == 2:  # FDT_END_NODE
            path.pop()
        elif token == 3:  # FDT_PROP
            length, name_at = struct.unpack_from(">2I", blob, at)
            at += 8
            name_at += strings
            name = blob[name_at:blob.index(b"\0", name_at)].decode()
            nodes["/".join(path) or "/"][name] = blob[at:at + length]
            at = (at + length + 3) & ~3
        elif token == 9:  # FDT_END
            return nodes
        else:
            tap.check(token == 4, f"unknown token {token}")


def differences(qemu, cosm):
    """(node, property, difference) for all that is not the same; a lone node counts once."""
    def lone(path, other):
        return path not in other and (path.rpartition("/")[0] or "/") in other

    found = [(p, NODE, "QEMU only") for p in qemu if lone(p, cosm)]
    found += [(p, NODE, "cosm only") for p in cosm if lone(p, qemu)]
    for path in qemu.keys() & cosm.keys():
        left, right = qemu[path], cosm[path]
        found += [(path, name, "QEMU only") for name in left.keys() - right.keys()]
        found += [(path, name, "cosm only") for name in right.keys() - left.keys()]
        found += [(path, name, "differs") for name in left.keys() & right.keys()
                  if left[name] != right[name]]
    return sorted(found)


def read_table(path):
    """The rows of the document's table as (node pattern, property, difference)."""
    rows = []
    with open(path, encoding="utf-8") as text:
        for line in text:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) == 4 and cells[0].startswith("`"):
                row = (cells[0].strip("`"), cells[1].strip("`"), cells[2])
                tap.check(row[2] in DIFFERENCES, f"{path}: unknown difference {row[2]!r}")
                tap.check(cells[3], f"{path}: no reason for {row}")
                rows.append(row)
    tap.check(rows, f"{path}: no table")
    return rows


def compare(qemu, cosm, rows):
    found = differences(qemu, cosm)
    met, wrong = set(), []
    for difference in found:
        matching = [row for row in rows if row[1:] == difference[1:]
                    and fnmatch.fnmatchcase(difference[0], row[0])]
        met.update(matching)
        if not matching:
            wrong.append("not listed: {} {} {}".format(*difference))
    wrong += ["listed, but does not occur: {} {} {}".format(*row)
              for row in rows if row not in met]
    tap.check(not wrong, "\n".join(wrong))


def qemu_tree(harts, folder):
    if not shutil.which(QEMU):
        raise tap.Skip(f"{QEMU} is not installed")
    version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True)
    if not re.search(rf"version {re.escape(QEMU_VERSION)}\b", version.stdout):
        raise tap.Skip(f"the table is for QEMU {QEMU_VERSION}, not {version.stdout.split()[3]}")
    path = os.path.join(folder, f"qemu{harts}.dtb")
    subprocess.run([QEMU, "-M", f"virt,dumpdtb={path}", "-smp", str(harts), "-m", "128",
                    "-display", "none"], check=True, capture_output=True, timeout=60)
    with open(path, "rb") as file:
        return parse_dtb(file.read())


def cosm_tree(options, harts, folder):
    path = os.path.join(folder, f"cosm{harts}.dtb")
    command = [options.cosm, "run", "--dump-dtb", path, "-m", "128M", "--smp", str(harts)]
    subprocess.run(command, check=True, timeout=60)
    with open(path, "rb") as file:
        return parse_dtb(file.read())


def test_harts(options, harts):
    rows = read_table(options.table)
    with tempfile.TemporaryDirectory() as folder:
        compare(qemu_tree(harts, folder), cosm_tree(options, harts, folder), rows)


def test_differences_are_found():
    """The comparison itself notices what it must."""
    left = {"/": {"a": b"1", "b": b"2"}, "/x": {}, "/x/y": {}}
    right = {"/": {"a": b"3", "c": b"4"}}
    tap.check_equal(differences(left, right),
                    [("/", "a", "differs"), ("/", "b", "QEMU only"), ("/", "c", "cosm only"),
                     ("/x", NODE, "QEMU only")], "list")
    for rows in ([], [("/", "a", "differs"), ("/", "z", "differs")]):
        try:
            compare({"/": {"a": b"1"}}, {"/": {"a": b"2"}}, rows)
        except AssertionError:
            continue
        raise AssertionError(f"rows {rows} passed")


def main():
    parser = argparse.ArgumentParser(description="compare device trees")
    parser.add_argument("cosm")
    parser.add_argument("table")
    options = parser.parse_args()
    tap.add("the comparison finds differences", test_differences_are_found)
    for harts in HARTS:
        tap.add(f"virt with {harts} hart(s) has QEMU's device tree", test_harts, options, harts)
    tap.main()


main()
