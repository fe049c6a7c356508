# SPDX-License-Identifier: BSD-2-Clause
"""The image of Debian that tests and benchmarks of the store take: trixie's, or forky's while the mirror has no whole trixie."""

import os
import subprocess
import sys

IMAGE, STAND_IN = "debian", "debian:forky"
SUITES = {IMAGE: "trixie", STAND_IN: "forky"}
MISMATCH = "not those that its release is signed for"


class Failure(Exception):
    """No image can be made; one sentence."""


class Unavailable(Failure):
    """As the archive cannot be had here or now."""


def cosm_image(cosm, env, *words):
    return subprocess.run([cosm, "image", *words], env=os.environ | (env or {}), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, check=False)


def is_there(cosm, env, image):
    return cosm_image(cosm, env, "info", image).returncode == 0


def pull(cosm, env, image):
    """What went wrong; "": nothing."""
    done = cosm_image(cosm, env, "pull", "-q", image)
    return done.stderr.strip() or f"status {done.returncode}" if done.returncode else ""


def obtain(cosm, env=None):
    """Its name. It is made if it is not there."""
    if is_there(cosm, env, IMAGE):
        return IMAGE
    error = pull(cosm, env, IMAGE)
    if not error:
        return IMAGE
    if MISMATCH not in error and "apt-get" not in error:
        raise Failure(error)
    if is_there(cosm, env, STAND_IN) or MISMATCH in error and not (error := pull(cosm, env, STAND_IN)):
        print(f"# the mirror has no whole {SUITES[IMAGE]} now: the image '{STAND_IN}' stands in", file=sys.stderr, flush=True)
        return STAND_IN
    raise (Unavailable if MISMATCH in error or "apt-get" in error else Failure)(error)
