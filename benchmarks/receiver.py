"""Webhook receivers for a benchmark, as a process of its own: one TLS server on many loopback addresses.

    python -m benchmarks.receiver FOLDER ADDRESS…     (benchmarks.delivery starts it)

It also serves feeds: GET /feed/N is a document of what FOLDER/news.json lists for feed N so far (lines of time of day,
feed, guid, title, text); when an item was first handed out is written to FOLDER/served.jsonl.

It takes requests by as little HTTP as senders ask for. A path that begins with /hang never gets an answer, one with
/fail a 500; every other message is accepted and written to FOLDER/came.jsonl: time of day, path, `webhook-id`, body.
It loads nothing but the standard library, so that it is there at once.
"""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import IO

NO = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: IO[str], feeds: Feeds) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            path, fields = read(head)
            if path.startswith("/feed/"):
                writer.write(feeds.document(int(path.split("/")[2])))
                continue
            body = await reader.readexactly(int(fields[b"content-length"]))
            if path.startswith("/hang"):
                await reader.read()
                break
            if not path.startswith("/fail"):
                message = fields.get(b"webhook-id", b"").decode()
                log.write(json.dumps([time.time(), path, message, body.decode()]) + "\n")
            writer.write(NO if path.startswith("/fail") else OK)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


class Feeds:
    """What the feeds say at the time at which they are asked."""

    def __init__(self, folder: Path) -> None:
        self._news = folder / "news.json"
        self._served = (folder / "served.jsonl").open("w", buffering=1)
        self._known: set[str] = set()

    @functools.cached_property
    def news(self) -> list[tuple[float, int, str, str, str]]:
        return json.loads(self._news.read_text())  # type: ignore[no-any-return]

    def document(self, feed: int) -> bytes:
        now, items = time.time(), []
        for at, where, guid, title, text in self.news:
            if where == feed and at <= now:
                items.append(
                    f"<item><title>{title}</title><guid isPermaLink='false'>{guid}</guid>"
                    f"<link>https://feed.example/{guid}</link><pubDate>{formatdate(at)}</pubDate>"
                    f"<description>{text}</description></item>"
                )
                if guid not in self._known:
                    self._known.add(guid)
                    self._served.write(json.dumps([now, guid]) + "\n")
        body = f"<rss version='2.0'><channel><title>{feed}</title>{''.join(items)}</channel></rss>".encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def read(head: bytes) -> tuple[str, dict[bytes, bytes]]:
    """The path, and the fields by their names in lower case."""
    first, *rest = head.rstrip().split(b"\r\n")
    pairs = (line.partition(b":") for line in rest)
    return first.split(b" ")[1].decode(), {name.lower(): value.strip() for name, _, value in pairs}


async def serve(folder: Path, addresses: list[str]) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    feeds = Feeds(folder)
    with (folder / "came.jsonl").open("w", buffering=1) as log:

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await answer(reader, writer, log, feeds)

        port = 0
        for address in addresses:
            server = await asyncio.start_server(accept, address, port, ssl=tls, backlog=256)
            port = server.sockets[0].getsockname()[1]
        print(port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2:]))
