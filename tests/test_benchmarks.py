"""The benchmarks run, and what they measure is right; how fast it is depends on the machine and is not judged here."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_matching() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.matching", "--quick"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 missing, 0 extra" in run.stdout


def test_reading() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.reading", "--quick"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "whole" in run.stdout


def test_delivery() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.delivery", "--quick", "--only", "burst"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "10 % sick" in run.stdout
