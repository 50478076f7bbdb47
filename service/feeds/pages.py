"""The page or document that an entry leads to -> its main text, or why there is none."""

from __future__ import annotations

from datetime import datetime, timedelta

from service.domain.model import Busy, Failed, Fetched, FetchReason, PageFate, PageNote, ServiceError
from service.feeds.apart import main_text
from service.feeds.extract import Page
from service.feeds.fetch import Fetcher
from service.feeds.robots import Robots
from service.sandbox import Sandbox


class Pages:
    """Fetches pages and reads them; knows nothing of entries."""

    def __init__(self, fetcher: Fetcher, sandbox: Sandbox, robots: Robots) -> None:
        self._fetcher = fetcher
        self._sandbox = sandbox
        self._robots = robots

    async def read(self, url: str, *, now: datetime, patience: timedelta | None = None) -> Page | PageNote:
        """The main text behind `url`, a page or a PDF document, or the fate that it has instead of one."""
        fetched = await self._fetcher.get(url, now=now, patience=patience, refusal=self._robots.refusal)
        match fetched:
            case Fetched():
                pass
            case Failed(reason=FetchReason.ROBOTS, detail=detail):
                return PageNote(fate=PageFate.ROBOTS, detail=detail)
            case Failed(detail=detail):
                return PageNote(fate=PageFate.UNFETCHED, detail=detail)
            case Busy():
                return PageNote(fate=PageFate.UNFETCHED, detail="its host has no time for us")
            case other:
                return PageNote(fate=PageFate.UNFETCHED, detail=f"the server answered {type(other).__name__}")
        try:
            return await self._sandbox.run(main_text, fetched.body, fetched.url, fetched.content_type)
        except ServiceError as exc:
            return PageNote(fate=PageFate.BROKEN, detail=str(exc))
