# SPDX-License-Identifier: BSD-2-Clause
"""What all figures share: progress on the error stream, and median and spread of several runs."""

import statistics
import sys


def say(text):
    print(text, file=sys.stderr, flush=True)


def summary(values):
    """Median and spread (smallest to largest), in the unit of the values, one a round; None: none in that round."""
    found = [value for value in values if value is not None]
    return {"median": statistics.median(found), "min": min(found), "max": max(found), "runs": len(found),
            "values": list(values)}


def ratio(figure, peer):
    """The summary of the ratios of each round, whose two values were taken shortly after each other; or None."""
    if not figure or not peer:
        return None
    found = [mine / other if mine and other else None for mine, other in zip(figure["values"], peer["values"])]
    return summary(found) if any(found) else None
