"""What was worked out before from files that have not changed since: kept between starts, as JSON in the user's cache.

It saves time and nothing else: whatever cannot be read, written or trusted is worked out anew. Nothing kept is ever
run as code, and a folder into which others may write is left alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_cache_path

_MOST = 32
"""Files kept of one kind; the oldest go first."""


def mark(*parts: bytes) -> str:
    """What tells these contents, read by this very code, from any others."""
    sha = hashlib.sha256(_code())
    for part in parts:
        sha.update(len(part).to_bytes(8, "big"))
        sha.update(part)
    return sha.hexdigest()[:32]


def recall(kind: str, key: str) -> object | None:
    """What was kept under `key`, or None."""
    with suppress(OSError, ValueError):
        return json.loads((_folder() / f"{kind}-{key}.json").read_bytes())  # type: ignore[no-any-return]
    return None


def keep(kind: str, key: str, value: object) -> None:
    """Keep a JSON value; where that cannot be done it is not."""
    with suppress(OSError):
        folder = _folder()
        handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
            os.replace(name, folder / f"{kind}-{key}.json")
        except BaseException:
            os.unlink(name)
            raise
        _forget_oldest(folder.glob(f"{kind}-*.json"))


def _folder() -> Path:
    """Our folder, which is made for its owner alone; OSError where there is none that only its owner can change."""
    folder = user_cache_path("policywatch")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix":
        found = folder.stat()
        if found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"{folder} can be changed by others")
    return folder


def _forget_oldest(paths: Iterable[Path]) -> None:
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True)[_MOST:]:
        path.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def _code() -> bytes:
    """A digest of what reads and judges: our sources, the interpreter and the tables of names it comes with."""
    sha = hashlib.sha256(f"{platform.python_version()} {version('babel')} {version('PyYAML')}".encode())
    root = Path(__file__).parent
    for path in sorted([*(root / "domain").glob("*.py"), root / "documents.py", root / "config.py"]):
        sha.update(path.read_bytes())
    return sha.digest()
