"""``python -m tests.fuzz NAME --minutes 5 --seed 0``: random inputs until the time is over.

Not part of the tests: each run tries other inputs. What it finds becomes a test.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time

TARGETS = ("audio", "scoring")


def main() -> int:
    """Run one target, or all that are here; 1 if something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", choices=[*TARGETS, "all"], default="all")
    parser.add_argument("--minutes", type=float, default=5.0, help="for each target")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    found = 0
    for name in TARGETS if given.target == "all" else (given.target,):
        try:
            module = importlib.import_module(f"tests.fuzz.{name}")
        except ModuleNotFoundError as problem:
            if given.target != "all" or problem.name != f"tests.fuzz.{name}":
                raise
            continue
        found += module.main(given.minutes, given.seed)
    return int(found > 0)


if __name__ == "__main__":
    sys.exit(main())
