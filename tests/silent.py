"""A child for the keeper's test: it imports next to nothing, so that it starts soon."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from service.keeper import NO_USE, Pulse


def work(pulse: Pulse, folder: str) -> None:
    """The first says that it works and then nothing more; the second ends; the third says that it is of no use."""
    number = len(os.listdir(folder))
    (Path(folder) / str(number)).write_text(str(os.getpid()))
    if number == 0:
        pulse.beat()
        signal.pause()
    sys.exit(0 if number == 1 else NO_USE)
