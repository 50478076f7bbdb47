"""A clock that all processes of a test share, and that the test may move on: leases end at once."""

from __future__ import annotations

import mmap
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path


class SharedClock:
    """The real time and a lead, which stands in a file. Forward only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            path.write_bytes(struct.pack("d", 0.0))
        with path.open("r+b") as file:
            self._lead = mmap.mmap(file.fileno(), 8)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=struct.unpack("d", self._lead[:])[0])

    def move(self, by: timedelta) -> None:
        (lead,) = struct.unpack("d", self._lead[:])
        self._lead[:] = struct.pack("d", lead + by.total_seconds())
