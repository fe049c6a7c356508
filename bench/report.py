# SPDX-License-Identifier: BSD-2-Clause
"""What all figures share: progress on the error stream, and median and spread of several runs."""

import statistics
import sys


def say(text):
    print(text, file=sys.stderr, flush=True)


def summary(values):
    """Median and spread (smallest to largest), in the unit of the values."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "runs": len(values)}
