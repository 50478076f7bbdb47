"""Imported by the server from which the children of forked services are forked: loads what each would load itself.

It parses a feed and a page and opens a mail channel; nothing is connected to, and no thread is left.
"""

from __future__ import annotations

from service.delivery import apprise_child, transport
from service.delivery.addresses import instantiate
from service.feeds.apart import EMPTY_FEED, main_text, parse_feeds

__all__ = ["apprise_child", "transport"]

main_text(b"<html><body><article><p>Nothing yet.</p></article></body></html>", "", "text/html")
parse_feeds([(EMPTY_FEED, "text/xml", "", None, frozenset())])
instantiate("mailto://localhost:25/?to=desk@example.org&from=desk@example.org&smtp=localhost&mode=insecure")
