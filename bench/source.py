#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes the C file that the compiler row compiles: functions of many kinds, the same text on every machine."""

import string
import sys

LINES = 2800
TYPES = ["int", "unsigned", "long", "unsigned long", "short", "unsigned char"]
WIDE = ["unsigned", "unsigned long", "long"]
FIELDS = ["count", "limit", "first", "last", "weight", "flags", "serial", "delta"]
HEAD = """typedef unsigned long size;
extern void *obtain(size bytes);
extern void release(void *memory);
extern int report(const char *text, long value);

static unsigned long mix(unsigned long a, unsigned long b)
{
    a ^= b + 0x9e3779b97f4a7c15ul + (a << 6) + (a >> 2);
    return (a << 13) | (a >> 51);
}

static size length(const char *text)
{
    size n = 0;
    while (text[n])
        n++;
    return n;
}
"""
WORDS = ["begin", "end", "while", "return", "record", "array", "loop", "yield", "none", "value"]
RECORDS = """
long $function(struct $record **list, long key, int mode)
{
    long sum = 0, best = -1;
    for (struct $record *item = *list; item; item = item->next) {
        if ((long)item->$one == key && mode) {
            item->$two += (unsigned char)($m + mode);
            sum += item->history[key & 3] * $n;
            continue;
        }
        for (size i = 0; i < sizeof item->history / sizeof item->history[0]; i++)
            sum += item->history[i] $op (long)item->$three;
        if ((long)item->$two > best)
            best = (long)item->$two;
    }
    if (sum > key) {
        struct $record *fresh = obtain(sizeof *fresh);
        if (!fresh)
            return -1;
$set
        for (size i = 0; i < sizeof fresh->label; i++)
            fresh->label[i] = (char)('a' + (sum + (long)i) % $letters);
        fresh->next = *list;
        *list = fresh;
    } else if (*list && (*list)->$one) {
        struct $record *gone = *list;
        *list = gone->next;
        release(gone);
    }
    return sum + best * $o;
}"""
SCAN = r"""
int $function(const char *in, char *out, size room)
{
    static const char *const words[] = {
$words
    };
    size used = 0;
    long number = 0;
    int state = $state, found = 0;
    while (*in && used + 2 < room) {
        char c = *in++;
        if (c >= '0' && c <= '9') {
            number = number * $base + (c - '0');
            state = 1;
        } else if ((c >= 'a' && c <= 'z') || c == '$sign') {
            out[used++] = (char)(c - $case);
            state = 2;
        } else if (c == '\\') {
            c = *in ? *in++ : 0;
            out[used++] = c == 'n' ? '\n' : c == 't' ? '\t' : c;
        } else {
            if (state == 1)
                found += number > $limit;
            out[used] = 0;
            for (size w = 0; state == 2 && w < sizeof words / sizeof words[0]; w++) {
                size n = length(words[w]), i = 0;
                while (i < n && out[i] == words[w][i])
                    i++;
                if (i == n && used == n)
                    found += (int)w + $m;
            }
            used = state == 2 ? 0 : used;
            state = 0;
            number = 0;
        }
    }
    out[used] = 0;
    return found * $n + state;
}"""
GRID = """
$type $function($type a[$n][$n], const $type b[$n][$n], int rounds)
{
    $type sum = 0;
    for (int r = 0; r < rounds; r++) {
        for (int i = 1; i < $last; i++) {
            for (int j = 1; j < $last; j++) {
                $type t = a[i - 1][j] + a[i + 1][j] $one a[i][j - 1] * $k + a[i][j + 1];
                for (int k = 0; k < $count; k++)
                    t += b[i][k] $two a[k][j];
                a[i][j] = t > $limit ? t / $l : t + b[j][i];
                sum += a[i][j] * $m;
            }
        }
    }
    return sum;
}"""
TABLE = """
static $type ${name}_slots[$n];
static unsigned char ${name}_used[$n];

int ${name}_put($type key)
{
    size at = mix((unsigned long)key, $salt) % $n;
    for (size tries = 0; tries < $n; tries++, at = (at + $step) % $n) {
        if (!${name}_used[at]) {
            ${name}_used[at] = 1;
            ${name}_slots[at] = key;
            return (int)tries;
        }
        if (${name}_slots[at] == key)
            return -1;
    }
    return report("$name", (long)key);
}

void ${name}_sort(void)
{
    for (size gap = $half; gap; gap /= 2) {
        for (size i = gap; i < $n; i++) {
            $type held = ${name}_slots[i];
            size j = i;
            for (; j >= gap && ${name}_slots[j - gap] > held; j -= gap)
                ${name}_slots[j] = ${name}_slots[j - gap];
            ${name}_slots[j] = held;
        }
    }
}"""


class Writer:
    """Draws choices from a generator of its own, so that no version of Python's changes the text."""

    def __init__(self, seed):
        self.state = seed
        self.lines = HEAD.splitlines()
        self.structs = []  # (name, its fields)
        self.callable = []  # functions of the one type that others call
        self.serial = 0

    def below(self, limit):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        return (self.state >> 33) % limit

    def pick(self, items):
        return items[self.below(len(items))]

    def name(self, stem):
        self.serial += 1
        return f"{stem}_{self.serial}"

    def put(self, depth, *lines):
        self.lines += ["    " * depth + line if line else "" for line in lines]

    def expression(self, names, depth):
        """Of unsigned longs; division is only by what cannot be zero."""
        if depth == 0 or self.below(8) == 0:
            return self.pick(names) if self.below(4) else f"{self.below(5000) + 1}ul"
        left, right = self.expression(names, depth - 1), self.expression(names, depth - 1)
        kind = self.below(12)
        if kind < 5:
            return f"({left} {self.pick(['+', '-', '*', '^', '&', '|'])} {right})"
        if kind < 7:
            return f"({left} {self.pick(['<<', '>>'])} ({right} & {self.pick([7, 15, 31])}))"
        if kind == 7:
            return f"({left} {self.pick(['/', '%'])} ({right} | 1))"
        if kind == 8:
            return f"({left} / {self.below(90) + 3})"
        if kind == 9 and self.callable:
            return f"{self.pick(self.callable)}({left}, {right})"
        if kind == 10:
            return f"mix({left}, {right})"
        return f"({left} {self.pick(['<', '>', '==', '!='])} {self.below(900)} ? {self.pick(names)} : {right})"

    def statements(self, depth, names, count):
        """Assignments, conditions and inner loops on the variables."""
        for _ in range(count):
            kind = self.below(6)
            target = self.pick(names)
            if kind < 3 or depth > 4:
                self.put(depth, f"{target} {self.pick(['=', '+=', '^=', '-='])} {self.expression(names, 2)};")
            elif kind < 5:
                left, right = self.expression(names, 2), self.expression(names, 1)
                self.put(depth, f"if ({left} {self.pick(['<', '>', '!='])} {right}) {{")
                self.statements(depth + 1, names, 2)
                if self.below(2):
                    self.put(depth, "} else {")
                    self.statements(depth + 1, names, 1)
                self.put(depth, "}")
            else:
                index = self.name("i")
                self.put(depth, f"for (unsigned long {index} = 0; {index} < {self.below(60) + 4}; {index}++) {{")
                self.statements(depth + 1, [*names, index], 2)
                self.put(depth, "}")

    def fill(self, template, **words):
        """Adds a function written out as C, with $words to be filled in."""
        self.lines += string.Template(template).substitute(words).splitlines()

    def struct(self):
        name = self.name("record")
        fields = [(field, self.pick(TYPES)) for field in FIELDS[:4 + self.below(5)]]
        self.put(0, "", f"struct {name} {{", f"    struct {name} *next;")
        self.put(1, *(f"{kind} {field};" for field, kind in fields), "char label[24];")
        self.put(1, f"long history[{4 + self.below(12)}];")
        self.put(0, "};")
        self.structs.append((name, [field for field, _ in fields]))

    def arithmetic(self):
        name = self.name("compute")
        self.put(0, "", f"{self.pick(['static ', '', ''])}unsigned long {name}(unsigned long a, unsigned long b)", "{")
        self.put(1, f"unsigned long c = {self.expression(['a', 'b'], 2)}, d = a ^ b;")
        self.statements(1, ["a", "b", "c", "d"], 4 + self.below(4))
        self.put(1, "return a + b * c - d;")
        self.put(0, "}")
        self.callable.append(name)

    def selection(self):
        """An interpreter of small programs: a switch within a loop."""
        name = self.name("execute")
        self.put(0, "", f"long {name}(const unsigned char *code, size count, long *stack, unsigned long a)", "{")
        self.put(1, "unsigned long b = count, top = 0, c = 1;", "for (size at = 0; at < count; at++) {")
        self.put(2, f"switch (code[at] % {12 + self.below(9)}) {{")
        for case in range(8 + self.below(5)):
            self.put(2, f"case {case}:")
            if self.below(3) == 0:
                self.put(3, f"stack[top++ & 31] = (long){self.expression(['a', 'b', 'c', 'at'], 2)};")
            elif self.below(2):
                self.put(3, f"a = (unsigned long)stack[--top & 31] + {self.expression(['b', 'c'], 2)};")
            else:
                self.statements(3, ["a", "b", "c"], 1)
            if self.below(3) == 0:
                self.put(3, f"if ({self.expression(['a', 'b'], 1)} == 0)", "    return (long)c;")
            self.put(3, "break;")
        self.put(2, "default:", f"    report(\"{name}\", (long)a);", "    break;", "}")
        self.put(1, "}", "return (long)(a ^ b ^ c);")
        self.put(0, "}")

    def records(self):
        """Lists of records: searched, summed, made and released."""
        name, fields = self.pick(self.structs)
        self.fill(RECORDS, function=self.name("records"), record=name, one=self.pick(fields), two=self.pick(fields),
                  three=self.pick(fields), op=self.pick(["+", "-", "^"]), m=self.below(100) + 1, n=self.below(30) + 2,
                  o=self.below(9) + 1, letters=self.below(20) + 5,
                  set="\n".join(f"        fresh->{field} = ({self.pick(['sum', 'key'])} >> {self.below(9)}) & 63;"
                                for field in fields))

    def text(self):
        """Scans text: numbers, words, escapes, comparison with key words."""
        words = [self.pick(WORDS) + (str(self.below(90)) if self.below(2) else "") for _ in range(4 + self.below(4))]
        self.fill(SCAN, function=self.name("scan"), words="\n".join(f'        "{word}",' for word in words),
                  state=self.below(3), base=self.pick([8, 10, 16]), sign=self.pick("_.@"), case=self.pick([0, 32]),
                  limit=self.below(1000), m=self.below(9) + 1, n=self.below(7) + 1)

    def matrix(self):
        """Nested loops over arrays, of integers or of doubles."""
        size = self.pick([8, 12, 16, 24])
        kind = self.pick(["double", "long", "int", "float"])
        self.fill(GRID, function=self.name("grid"), n=size, last=size - 1, type=kind, one=self.pick("+-"),
                  two=self.pick("*+"), count=self.pick([1, 4, size]), limit=self.below(900), k=self.below(5) + 2,
                  l=self.below(6) + 2, m=self.below(4) + 1)

    def table(self):
        """A hash table of fixed size, and its values sorted."""
        size = self.pick([64, 128, 256])
        self.fill(TABLE, name=self.name("table"), n=size, half=size // 2, type=self.pick(WIDE), salt=self.below(9999),
                  step=self.pick([1, 3, 5, 7]))


def text(lines=LINES, seed=2800):
    """A file of about that many lines."""
    writer = Writer(seed)
    for _ in range(6):
        writer.struct()
    kinds = [writer.arithmetic, writer.selection, writer.records, writer.text, writer.matrix, writer.table]
    turn = 0
    while len(writer.lines) < lines:
        kinds[turn % len(kinds)]()
        turn += 1
    return "\n".join(writer.lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
