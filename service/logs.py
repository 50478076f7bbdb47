"""How the service speaks about its work: one structured line per step, to people or to a collector."""

from __future__ import annotations

import logging
import sys
from typing import Literal

import structlog

_QUIET = (
    "apprise",
    "urllib3",
    "requests",
    "aiohttp",
    "asyncio",
    "apscheduler",
    "alembic",
    "procrastinate",
    "psycopg",
    "uvicorn.access",
    "trafilatura",
)
"""Libraries held at WARNING whatever level is set: some print secret addresses at DEBUG."""


def configure(level: Literal["debug", "info", "warning", "error"], form: Literal["console", "json"]) -> None:
    """Set up logging for the whole process; to standard error."""
    severity = getattr(logging, level.upper())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[structlog.typing.Processor]
    if form == "json":
        final = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # A traceback with the values of its variables would print addresses and keys.
        plain = structlog.dev.plain_traceback
        final = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=24, exception_formatter=plain)]
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(severity),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # as it is when something is said
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final]
        )
    )
    logging.basicConfig(handlers=[handler], level=severity, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns of a tick that is skipped because the one before still claims: harmless, and many on a loaded machine.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
