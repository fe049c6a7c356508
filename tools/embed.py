#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes C of text files, at build time: embed.py OUTPUT FILE... defines a string for each, named by the file."""

import pathlib
import re
import sys


def literal(text):
    lines = []
    for line in text.splitlines(keepends=True):
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n")
        lines.append(f'    "{escaped}"')
    return "\n".join(lines)


def main():
    out = ["/* Made by tools/embed.py. */"]
    for name in map(pathlib.Path, sys.argv[2:]):
        symbol = re.sub(r"\W", "_", name.name)
        out.append(f"static const char {symbol}[] =\n{literal(name.read_text())};")
    pathlib.Path(sys.argv[1]).write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
