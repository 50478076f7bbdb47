"""Content codings (RFC 9110 section 8.4.1): a body as it was sent -> as it was meant, never more than was asked for.

The bound is on what comes out, chunk by chunk, before it is in memory: a kilobyte on the wire can mean a gigabyte.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import brotli

from service.domain.model import FetchReason

ACCEPT_ENCODING = "gzip, deflate, br"
_MOST_GZIP_MEMBERS = 64


class BadBody(Exception):
    """The body is not what its headers say, or more than may come out of it."""

    def __init__(self, reason: FetchReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Decoder(Protocol):
    """One body's decoding; BadBody from either method."""

    def feed(self, chunk: bytes) -> bytes:
        """What the next bytes of the body mean."""

    def finish(self) -> None:
        """To be called at the body's end: something may be missing."""


class _Plain:
    """A body without an encoding."""

    def feed(self, chunk: bytes) -> bytes:
        return chunk

    def finish(self) -> None:
        """Nothing can be missing."""


class _Inflate:
    """gzip or deflate, chunk by chunk, giving out at most `most` bytes in total."""

    def __init__(self, most: int, *, bare: bool) -> None:
        self._most = most
        self._left = most
        self._bare = bare  # may still turn out to be deflate without the zlib header (RFC 9110 section 8.4.1.2)
        self._members = 0
        self._stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # gzip or zlib, told apart by the header

    def feed(self, chunk: bytes) -> bytes:
        out = []
        while chunk:
            if self._stream.eof and not self._next_member(chunk):
                break
            out.append(self._some(chunk))
            chunk = self._stream.unused_data
        return b"".join(out)

    def finish(self) -> None:
        if not self._stream.eof:
            raise BadBody(FetchReason.BAD_ENCODING, "the compressed body breaks off")

    def _next_member(self, chunk: bytes) -> bool:
        """Whether another gzip member follows the one that ended; anything else there is ignored, as gzip does."""
        if not chunk.startswith(b"\x1f\x8b"):
            return False
        self._members += 1
        if self._members >= _MOST_GZIP_MEMBERS:
            raise BadBody(FetchReason.BAD_ENCODING, "the compressed body has too many parts")
        self._stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        return True

    def _some(self, chunk: bytes) -> bytes:
        with _zlib_errors():
            try:
                out = self._stream.decompress(chunk, self._left + 1)
            except zlib.error:
                if not self._bare:
                    raise
                self._stream = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
                out = self._stream.decompress(chunk, self._left + 1)
        self._bare = False
        self._left -= len(out)
        if self._left < 0:
            raise BadBody(FetchReason.TOO_LARGE, f"the body inflates to more than {self._most} bytes")
        return out


class _Unbrotli:
    """brotli (RFC 7932), chunk by chunk, giving out at most `most` bytes in total; its window is at most 16 MiB."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._stream = brotli.Decompressor()

    def feed(self, chunk: bytes) -> bytes:
        out = [self._some(chunk)]
        while not self._stream.can_accept_more_data():  # it stopped at the limit: ask for the rest, or for one too many
            out.append(self._some(b""))
        return b"".join(out)

    def finish(self) -> None:
        if not self._stream.is_finished():
            raise BadBody(FetchReason.BAD_ENCODING, "the compressed body breaks off")

    def _some(self, chunk: bytes) -> bytes:
        try:
            out: bytes = self._stream.process(chunk, output_buffer_limit=self._left + 1)
        except brotli.error as exc:
            raise BadBody(FetchReason.BAD_ENCODING, "the body is not what its Content-Encoding says") from exc
        self._left -= len(out)
        if self._left < 0:
            raise BadBody(FetchReason.TOO_LARGE, f"the body inflates to more than {self._most} bytes")
        return out


@contextmanager
def _zlib_errors() -> Iterator[None]:
    try:
        yield
    except zlib.error as exc:
        raise BadBody(FetchReason.BAD_ENCODING, "the body is not what its Content-Encoding says") from exc


def decoder(encodings: Iterable[str], most: int) -> Decoder:
    """A decoder for a Content-Encoding that we asked for, giving out at most `most` bytes.

    BadBody for any other, and for stacked ones: those are how small bodies become huge.
    """
    names = [name for value in encodings for part in value.split(",") if (name := part.strip().lower())]
    match [name for name in names if name != "identity"]:
        case []:
            return _Plain()
        case ["gzip" | "x-gzip" | "deflate" as name]:
            return _Inflate(most, bare=name == "deflate")
        case ["br"]:
            return _Unbrotli(most)
        case _:
            shown = ", ".join(names)[:100]
            raise BadBody(FetchReason.BAD_ENCODING, f"the body is encoded as {shown}, which was not asked for")
