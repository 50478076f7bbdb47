"""`python -m tests.fuzz --files 10000 --seed 1`: exit code 1 if a file was taken badly; such files are kept."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

from service.config import load_lexicon
from tests.fuzz.bombs import bombs, oversized
from tests.fuzz.run import BROKEN, Report, fuzz
from tests.fuzz.writer import mutated


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=20, help="how many files also go through the command")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-found"), help="where files that were taken badly go")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rules.yaml"
        report = fuzz(path, load_lexicon(), files=wanted.files, number=wanted.seed)
        through_the_command(path, wanted.processes, wanted.seed, report)
    print(", ".join(f"{kind} {count}" for kind, count in report.files.most_common(5)))
    print(f"{report.files.total():,} files, {report.problems:,} problems told, {report.rules:,} rules read")
    print(f"slowest: {report.slowest[1]}, {report.slowest[0]:.2f} s; taken badly: {len(report.complaints)}")
    for number, (what, raw) in enumerate(report.complaints):
        wanted.keep.mkdir(exist_ok=True)
        (wanted.keep / f"{number:04}.yaml").write_bytes(raw)
        print(f"{wanted.keep / f'{number:04}.yaml'}: {what}", file=sys.stderr)
    return 1 if report.complaints else 0


def through_the_command(path: Path, count: int, seed: int, report: Report) -> None:
    """A sample through `policywatch rules check`: exit code 0 or 1, and no traceback."""
    rng = Random(seed)
    broken = [mutated(file.read_bytes(), rng) for file in sorted(BROKEN.glob("*.yaml"))]
    harm = [raw for _, raw in (*bombs(), *oversized())]
    for raw in rng.sample([*broken, *harm], min(count, len(broken) + len(harm))):
        path.write_bytes(raw)
        command = [sys.executable, "-m", "service", "rules", "check", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        report.files["command"] += 1
        if done.returncode not in (0, 1) or "Traceback" in done.stderr or (done.returncode == 1) != bool(done.stderr):
            report.complaints.append((f"the command: exit code {done.returncode}: {done.stderr[-300:]}", raw))


if __name__ == "__main__":
    sys.exit(main())
