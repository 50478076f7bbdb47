"""What the API needs from the rest of the service, as one value given in by `app`; nothing here is global."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request

from service.config import Rulebook, Settings
from service.domain.links import Links
from service.domain.model import Problem, ServiceError
from service.feeds.found import Found
from service.pushing import Pushing
from service.storage.store import Store


def _nothing() -> list[str]:
    return []


def _nobody() -> None:
    return None


def _never() -> bool:
    return False


async def _nowhere(url: str) -> tuple[Found, ...]:
    raise ServiceError(f"{url} cannot be fetched: this process fetches nothing")


def _none() -> Sequence[Problem]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """`rulebook` is the one in force; `reload` reads its files again, and it stays if that raises Invalid.

    `links` reads the links of messages, None where there are none. `pushing` answers hubs, None where feeds are only
    polled; `pushed` is called when one has brought something. `discover` looks what could be polled at an address;
    ServiceError when nothing usable is there. `ready` says why not; `problems` are faults of the configuration, left
    out. `stopping` says that the process is about to end, and with it whatever would go on for ever.
    """

    store: Store
    rulebook: Callable[[], Rulebook]
    settings: Settings
    now: Callable[[], datetime]
    random: Callable[[int], bytes]
    reload: Callable[[], Rulebook]
    links: Links | None = None
    pushing: Callable[[], Pushing | None] = _nobody
    pushed: Callable[[], None] = _nobody
    ready: Callable[[], list[str]] = _nothing
    problems: Callable[[], Sequence[Problem]] = _none
    stopping: Callable[[], bool] = _never
    discover: Callable[[str], Awaitable[tuple[Found, ...]]] = _nowhere


def _given(request: Request) -> Deps:
    deps = request.app.state.deps
    assert isinstance(deps, Deps)
    return deps


Given = Annotated[Deps, Depends(_given)]
"""The value that the application was built with, as a parameter of a route."""
