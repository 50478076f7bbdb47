"""The floors hold, and the check that holds them can fail: a planted wrong import breaks it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
IGNORED = shutil.ignore_patterns("__pycache__", "*.yaml")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "service", tmp_path / "service", ignore=IGNORED)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_floors_hold(copy: Path) -> None:
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("domain/rules.py", "from service.storage.store import Store", "Floors"),
        ("domain/text.py", "import socket", "The ground floor is pure"),
        ("feeds/fetch.py", "from service.storage.feeds import Feeds", "Floors"),
        ("pipeline.py", "from service.app import Service", "Floors"),
        ("api/alerts.py", "from sqlmodel import select", "Only storage knows SQL"),
        ("pipeline.py", "import feedparser", "Only the feed parser knows feedparser"),
        ("newcomer.py", "x = 1", "Missing layer|undeclared|not listed|Floors"),
    ],
)
def test_a_planted_wrong_import_breaks_them(copy: Path, file: str, line: str, broken: str) -> None:
    path = copy / "service" / file
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(old + f"\n{line}\n", encoding="utf-8")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert any(part in done.stdout + done.stderr for part in broken.split("|"))
