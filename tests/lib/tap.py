# SPDX-License-Identifier: BSD-2-Clause
"""Test Anything Protocol for tests in Python: @test functions run in order, one line each."""

import sys
import traceback

_tests = []
_long = []
plain_errors = []  # kinds of exception whose text says it all


class Skip(Exception):
    pass


def test(name, long=False):
    """Registers a function as one test: of the long suite alone, which asks for these by --long, or of the other."""
    def register(function):
        (_long if long else _tests).append((name, function))
        return function
    return register


def add(name, function, *arguments):
    _tests.append((name, lambda: function(*arguments)))


def add_long(name, function, *arguments):
    _long.append((name, lambda: function(*arguments)))


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def check_equal(got, want, what="value"):
    check(got == want, f"{what} is {got!r}, want {want!r}")


def say(line):
    """One line, for the report: each opens with '#'."""
    print("\n".join(f"# {part}" for part in str(line).splitlines()), flush=True)


def main(selected=None):
    words = [word for word in selected or [] if word != "--long"]
    known = _long if "--long" in (selected or []) else _tests + _long if words else _tests
    chosen = [t for t in known if not words or any(word in t[0] for word in words)]
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, (name, function) in enumerate(chosen, 1):
        try:
            function()
            result = f"ok {number} - {name}"
        except Skip as reason:
            result = f"ok {number} - {name} # SKIP {reason}"
        except Exception as error:  # pylint: disable=broad-except
            failed += 1
            plain = isinstance(error, (AssertionError, *plain_errors))
            say(error if plain else "".join(traceback.format_exception(error)))
            result = f"not ok {number} - {name}"
        print(result, flush=True)
    sys.exit(failed != 0)
