#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes C of text files, at build time: embed.py OUTPUT FILE... defines a string for each, named by the file.

With --bytes SYMBOL OUTPUT [FILE] it makes assembly of any one file: the array SYMBOL, and SYMBOL_size, 0 without a file.
"""

import pathlib
import re
import sys


def literal(text):
    lines = []
    for line in text.splitlines(keepends=True):
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\n", "\\n")
        lines.append(f'    "{escaped}"')
    return "\n".join(lines)


def embed_bytes(symbol, output, *file):
    lines = ["/* Made by tools/embed.py. */", ".section .rodata", f".global {symbol}, {symbol}_size", ".balign 8",
             f"{symbol}:", *(f'.incbin "{name}"' for name in file), "1: .balign 8", f"{symbol}_size: .quad 1b - {symbol}",
             '.section .note.GNU-stack, "", %progbits']
    pathlib.Path(output).write_text("\n".join(lines) + "\n")


def main():
    if sys.argv[1] == "--bytes":
        return embed_bytes(*sys.argv[2:])
    out = ["/* Made by tools/embed.py. */"]
    for name in map(pathlib.Path, sys.argv[2:]):
        symbol = re.sub(r"\W", "_", name.name)
        out.append(f"static const char {symbol}[] =\n{literal(name.read_text())};")
    pathlib.Path(sys.argv[1]).write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
