"""The one request that we make of a WebSub hub: to begin, renew or end its pushes of a feed (section 5.1).

Never raises for what a hub does; what it answers is a value. The egress guard holds here as for every connect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urljoin

import aiohttp

from service import egress
from service.domain.push import HubAnswer
from service.feeds.fetch import unreachable, verbatim

_REDIRECTS = frozenset({307, 308})
_MOST_REDIRECTS = 3
_READ_OF_AN_ERROR = 2048


async def ask_hub(client: aiohttp.ClientSession, hub: str, form: Mapping[str, str], *, seconds: float) -> HubAnswer:
    """What the hub says within `seconds`; a redirect to another hub (307, 308) is followed with the same form."""
    try:
        async with asyncio.timeout(seconds):
            return await _ask(client, hub, form)
    except TimeoutError:
        return HubAnswer(accepted=False, detail=f"{hub} did not answer within {seconds:g} s")
    except (aiohttp.InvalidURL, ValueError):
        return HubAnswer(accepted=False, detail=f"{hub} is no usable address")
    except (aiohttp.ClientError, OSError) as exc:
        return HubAnswer(accepted=False, detail=f"{hub}: {unreachable(hub, exc).detail}")


async def _ask(client: aiohttp.ClientSession, hub: str, form: Mapping[str, str]) -> HubAnswer:
    for _ in range(_MOST_REDIRECTS + 1):
        if reason := egress.check_url(hub, egress.ANYWHERE):
            return HubAnswer(accepted=False, detail=f"{hub}: {reason}")
        async with client.post(verbatim(hub), data=form, allow_redirects=False) as answer:
            if 200 <= answer.status < 300:
                return HubAnswer(accepted=True)
            if answer.status not in _REDIRECTS or not answer.headers.get("Location"):
                said = (await answer.content.read(_READ_OF_AN_ERROR)).decode("utf-8", "replace")
                words = " ".join("".join(sign for sign in said if sign.isprintable() or sign.isspace()).split())[:200]
                return HubAnswer(accepted=False, detail=f"{hub} refuses (HTTP {answer.status}): {words}".rstrip(": "))
            hub = urljoin(hub, answer.headers["Location"].strip())
    return HubAnswer(accepted=False, detail=f"{hub}: more than {_MOST_REDIRECTS} redirects")
