"""All benchmarks, one after another, each in a process of its own: ``make bench``.

python -m benchmarks            # print the tables
python -m benchmarks --write    # and put them into docs/performance.md
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "performance.md"
PARTS = {
    "All metrics at the size of a 7B model": ["benchmarks.metrics"],
    "One clip on the embedded model: the longest, 10 s": ["benchmarks.analysis"],
    "One clip on the embedded model: 3 s": [
        "benchmarks.analysis",
        "--seconds",
        "3",
        "--words",
        "8",
    ],
    "Interventions": ["benchmarks.interventions"],
    "A patching map": ["benchmarks.patching"],
    "A map fitted on 1,000 clips": ["benchmarks.fitting"],
    "A cached analysis on screen": ["benchmarks.page"],
    "A run of 100,000 clips": ["benchmarks.bigrun", "--page"],
}
START, END = "<!-- measured: start -->", "<!-- measured: end -->"


def machine() -> str:
    """What was measured on, in a line."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [ln for ln in info.read_text().splitlines() if ln.startswith("model name")]
        cpu = names[0].partition(":")[2].strip() if names else cpu
    packages = ", ".join(f"{p} {version(p)}" for p in ("torch", "transformers", "streamlit"))
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return (
        f"{datetime.date.today().isoformat()}; {cpu}, {os.cpu_count()} cores, load {load} at the "
        f"start; Python {platform.python_version()}, {packages}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Run all benchmarks.")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md, too")
    write = parser.parse_args().write
    out = [machine()]
    print(out[0], flush=True)
    for title, part in PARTS.items():
        done = subprocess.run(
            [sys.executable, "-m", *part], cwd=ROOT, capture_output=True, text=True, check=False
        )
        text = done.stdout.strip() if done.returncode == 0 else f"failed:\n\n{done.stderr.strip()}"
        command = f"`python -m {' '.join(part)}`"
        out.append(f"## {title}\n\n{command}\n\n{text}")
        print(f"\n{out[-1]}", flush=True)
    if write:
        before, _, rest = PAGE.read_text("utf-8").partition(START)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{START}\n" + "\n\n".join(out) + f"\n{END}{after}", "utf-8")


if __name__ == "__main__":
    main()
