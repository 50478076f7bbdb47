"""One run of the service as the crash test wants it: with a clock that may be ahead, and perhaps without its outbox.

Otherwise it is what `policywatch serve` runs. As a program it begins from nothing, as every start of an operator does.
"""

from __future__ import annotations

import asyncio
import faulthandler
import signal
import sys
from datetime import UTC, datetime, timedelta
from multiprocessing.context import BaseContext
from pathlib import Path

from service import logs
from service.app import Server, Service
from service.config import Rulebook, Settings, load
from service.sandbox import FROM_NOTHING
from tests.crash.control import trusting

CONTROL = "control"


def live(
    settings: Settings,
    kind: str,
    ahead: float,
    *,
    rulebook: Rulebook | None = None,
    children: BaseContext = FROM_NOTHING,
) -> None:
    """Serve until a signal ends it. The clock is `ahead` seconds fast: the machine was off for so long, in all."""
    faulthandler.register(signal.SIGUSR1)  # the harness asks a service that does nothing where it stands
    logs.configure(settings.logging.level, settings.logging.format)
    fast = timedelta(seconds=ahead)
    service = Service(settings, rulebook=rulebook, now=lambda: datetime.now(UTC) + fast, children=children)
    asyncio.run(Server(trusting(service) if kind == CONTROL else service).run())


if __name__ == "__main__":
    live(load(Path(sys.argv[1])), sys.argv[2], float(sys.argv[3]))
