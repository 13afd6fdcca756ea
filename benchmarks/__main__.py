"""Runs every benchmark in a process of its own, and with `--write` puts the results into docs/performance.md.

    python -m benchmarks [--quick] [--threads 2] [--write] [name …]

The output of a benchmark replaces its section between the two marks in docs/performance.md; the rest stays.
"""

import argparse
import os
import subprocess
import sys
import textwrap
from datetime import date
from pathlib import Path

NAMES = ("inference", "training", "memory", "startup", "growth", "loading", "evaluation", "levers", "runtimes")
PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
START, END = "<!-- figures -->\n", "<!-- end of figures -->"


def write(parts: list[str]) -> None:
    before, _, rest = PAGE.read_text().partition(START)
    old, _, after = rest.partition(END)
    sections = {part.split()[0]: part.strip() for part in old.split("### ")[1:]}
    sections |= {part.removeprefix("### ").split()[0]: part.removeprefix("### ").strip() for part in parts}
    text = "\n\n".join(f"### {wrapped(sections[name])}" for name in NAMES if name in sections)
    PAGE.write_text(f"{before}{START}\n{text}\n\n{END}{after}")


def wrapped(section: str) -> str:
    """The section with its notes in lines of the documentation's width."""
    lines = section.splitlines()
    notes = [textwrap.fill(line, 120, subsequent_indent="  ") if line.startswith("- ") else line for line in lines]
    return "\n".join(notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="name", help=", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="one round: checks that it runs, measures nothing")
    parser.add_argument("--rounds", type=int, help="instead of the default of each benchmark")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--write", action="store_true", help=f"put the results into {PAGE.name}")
    given = parser.parse_args()
    environment = os.environ | {"OMP_NUM_THREADS": str(given.threads), "HF_HUB_OFFLINE": "1"}
    parts, failed = [], []
    for name in given.names:
        flags = ["--rounds", str(given.rounds)] if given.rounds else []
        if given.quick:
            flags = ["--quick"]
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *flags], env=environment, stdout=subprocess.PIPE, text=True
        )
        failed += [name] * bool(done.returncode)
        shown = done.stdout if "|---" in done.stdout else f"```\n{done.stdout.rstrip()}\n```"
        first, _, rest = shown.partition("\n") if "|---" in shown else ("", "", shown)
        parts.append(f"### {name}\n\n`python -m benchmarks.{name}`, {date.today()}. {first}\n\n{rest.strip()}\n")
        print(parts[-1], flush=True)
        if done.returncode:
            parts.pop()
    if given.write:
        write(parts)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
