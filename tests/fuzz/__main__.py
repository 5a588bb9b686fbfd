"""``python -m tests.fuzz audio|scoring --minutes N --seed S``."""

from __future__ import annotations

import argparse
import importlib
import sys


def main() -> int:
    """Run one of the targets; 0 if it found nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("target", choices=("audio", "scoring"))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    found = importlib.import_module(f"tests.fuzz.{given.target}").main(given.minutes, given.seed)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
