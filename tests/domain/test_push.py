"""What a document offers of pushes, and leases at their borders."""

from __future__ import annotations

from datetime import timedelta

import pytest

from service.domain.model import Push, PushState
from service.domain.push import LEASE, LONGEST_LEASE, SHORTEST_LEASE, Offer, offer_in, verify
from tests.conftest import NOON

URL = "https://example.org/news/feed.xml"
HUB = "https://hub.example.org/"


@pytest.mark.parametrize(
    ("headers", "hubs", "topic", "offer"),
    [
        pytest.param((), (), None, None, id="nothing"),
        pytest.param((), (), "https://example.org/self", None, id="a name but no hub"),
        pytest.param((f"<{HUB}>; rel=hub",), (), None, (HUB, URL), id="its address where it does not name itself"),
        pytest.param((f'<{HUB}>; rel="hub"', '<../t>; rel="self"'), (), None, (HUB, "https://example.org/t"), id="two"),
        pytest.param((f'<{HUB}>; rel="hub", </t>; rel="self"',), (), None, (HUB, "https://example.org/t"), id="one"),
        pytest.param((f'<{HUB}>; title="a, \\"b\\"; rel=x"; rel="x HUB"',), (), None, (HUB, URL), id="quoted"),
        pytest.param(
            (f"<{HUB}a>; rel=hub",), (f"{HUB}b",), "https://e.org/d", (f"{HUB}a", "https://e.org/d"), id="first"
        ),
        pytest.param(("</t>; rel=self",), (HUB,), "https://e.org/d", (HUB, "https://e.org/d"), id="only the document"),
        pytest.param((), ("http://a.example/", HUB), None, (HUB, URL), id="tls before order"),
        pytest.param((), ("http://a.example/", "http://b.example/"), None, ("http://a.example/", URL), id="order"),
        pytest.param((), ("ftp://a.example/", "mailto:a@b", "http://[", ""), None, None, id="no web addresses"),
        pytest.param((f"<{HUB}>; rel=hub",), (), "javascript:1", (HUB, URL), id="a name that is no address"),
        pytest.param(("<" * 5000 + ";" * 5000,), (), None, None, id="nonsense"),
    ],
)
def test_offers(
    headers: tuple[str, ...], hubs: tuple[str, ...], topic: str | None, offer: tuple[str, str] | None
) -> None:
    expected = Offer(hub=offer[0], topic=offer[1]) if offer else None
    assert offer_in(headers, hubs, topic, url=URL) == expected


@pytest.mark.parametrize(
    ("said", "lease"),
    [
        pytest.param("864000", timedelta(days=10), id="as asked"),
        pytest.param("1", SHORTEST_LEASE, id="too short"),
        pytest.param("9999999999", LONGEST_LEASE, id="too long"),
        pytest.param("99999999999999", LEASE, id="no number of seconds"),
        pytest.param("-5", LEASE, id="negative"),
        pytest.param("", LEASE, id="none"),
        pytest.param("٣٦٠٠", LEASE, id="digits of another script"),
    ],
)
def test_leases(said: str, lease: timedelta) -> None:
    push = Push(id=1, feed_id=1, hub=HUB, topic=URL, state=PushState.REQUESTED, next_at=NOON)
    asked = {"hub.mode": "subscribe", "hub.topic": URL, "hub.challenge": "c", "hub.lease_seconds": said}
    verdict = verify(push, asked, NOON)
    assert verdict is not None
    assert verdict.push is not None
    assert verdict.push.lease_until == NOON + lease
    assert NOON < verdict.push.next_at < NOON + lease
