"""A PDF document's bytes -> its text in paragraphs. Runs in a sandbox child: a PDF is a program that a stranger wrote.

Text only: nothing in the document is run, drawn or followed. Documents that are pictures of paper have none.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from io import BytesIO
from statistics import quantiles
from typing import Any

from service.domain.model import PageFate, PageNote
from service.feeds import clean
from service.feeds.extract import MAX_TEXT, Page

logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it comments on every flaw that it works around

MAX_PAGES = 200
MAX_INFLATED = 32 * 1024 * 1024
"""Bytes that one stream of a document may inflate to."""
_LIMITS: dict[str, Any] = {
    "maximum_declared_stream_length": MAX_INFLATED,
    "array_based_stream_maximum_output_length": MAX_INFLATED,
    "brotli_maximum_output_length": MAX_INFLATED,
    "lzw_maximum_output_length": MAX_INFLATED,
    "run_length_maximum_output_length": MAX_INFLATED,
    "zlib_maximum_output_length": MAX_INFLATED,
    "stream_parsing_work_maximum_count": 400_000,
    "jbig2dec_binary": None,
}

PATIENCE = 6.0
"""Seconds of CPU time after which the pages read so far have to do; the sandbox ends what is stuck in one page."""
EDGE = 2
"""Lines at the top and the bottom of a page that may be its furniture."""

_LEAST = 25
_ENDS = tuple(".!?:;。！？؟।")
_NUMBER_ONLY = re.compile(
    r"\W*(?:(?:page|seite|página|pagina|стр\.?|第)\s*)?\d{1,4}(?:\s*(?:/|of|von|de|из)\s*\d{1,4})?\W*[頁页]?\W*"
)
_BEGINS = re.compile(r"(?:[-•▪●–—*]|\(?(?:\d{1,3}|[a-z]|[ivx]{1,4})[.)]|[§第])\s*\S")


def is_pdf(body: bytes) -> bool:
    """Whether a body is a PDF document, whatever its Content-Type says: readers look for the mark in the first KiB."""
    return b"%PDF-" in body[:1024]


def extract_pdf(body: bytes) -> Page | PageNote:
    """The text of a PDF document, or why there is none. Never raises for what a document holds.

    Of a long document the first pages: 200 of them, 256 KiB of text, or what is read in six seconds.
    """
    import pypdf  # heavy, and needed in the child process only  # noqa: PLC0415
    from pypdf.errors import FileNotDecryptedError, WrongPasswordError  # noqa: PLC0415

    try:
        with pypdf.apply_configuration(**_LIMITS):
            reader = pypdf.PdfReader(BytesIO(body))
            # Many are encrypted against changes only, with an empty password for readers.
            if reader.is_encrypted and not reader.decrypt(""):
                return PageNote(fate=PageFate.ENCRYPTED, detail="the PDF asks for a password")
            pages = list(_pages(reader))
            title = clean.plain_text(str(reader.metadata.title or "")) if reader.metadata else ""
    except (FileNotDecryptedError, WrongPasswordError):
        return PageNote(fate=PageFate.ENCRYPTED, detail="the PDF asks for a password")
    except Exception as exc:  # pypdf raises some twenty kinds of error on broken documents, Python's own among them
        return PageNote(fate=PageFate.BROKEN, detail=f"the PDF cannot be read: {type(exc).__name__}: {exc}"[:200])
    text = "\n\n".join(_paragraphs(_without_furniture(pages)))[:MAX_TEXT]
    if sum(letter.isalnum() for letter in text) < _LEAST:
        return PageNote(fate=PageFate.NO_TEXT, detail="the PDF holds no text: pictures of paper, perhaps")
    return Page(title=title, text=text)


def _pages(reader: Any) -> Iterator[list[str]]:
    """The lines of each page; a page that cannot be read costs its own text only."""
    started, letters = time.process_time(), 0
    for number, page in enumerate(reader.pages):
        if number == MAX_PAGES or letters > MAX_TEXT or time.process_time() - started > PATIENCE:
            return
        try:
            text = clean.without_controls(page.extract_text())
        except Exception:  # as above; the pages before and after it are as good as they were
            continue
        letters += len(text)
        yield [" ".join(line.split()) for line in text.splitlines()]


# --- lines into paragraphs ------------------------------------------------------------------------------------------


def _without_furniture(pages: list[list[str]]) -> Iterator[str]:
    """The lines of all pages without page numbers and without what stands at the edge of most of them."""
    edges = Counter(mark for page in pages for mark in {_mark(line) for line in (*page[:EDGE], *page[-EDGE:]) if line})
    often = {mark for mark, times in edges.items() if times >= 3 and 2 * times > len(pages)}
    for page in pages:
        last = len(page) - 1
        for place, line in enumerate(page):
            at_edge = place < EDGE or place > last - EDGE
            if not (at_edge and line and (_NUMBER_ONLY.fullmatch(line) or _mark(line) in often)):
                yield line


def _mark(line: str) -> str:
    return re.sub(r"\d+", "#", line.casefold())


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Lines joined to paragraphs: one ends at a blank line, before a list item, or after a sentence that ends early."""
    every = list(lines)
    lengths = [len(line) for line in every if line]
    early = 0.8 * (quantiles(lengths, n=10)[8] if len(lengths) > 1 else 0)
    paragraph = ""
    for line in every:
        if paragraph and (not line or _BEGINS.match(line)):
            yield paragraph
            paragraph = ""
        paragraph = _joined(paragraph, line)
        if line.endswith(_ENDS) and len(line) < early:
            yield paragraph
            paragraph = ""
    if paragraph:
        yield paragraph


def _joined(before: str, line: str) -> str:
    if not before or not line:
        return before or line
    if before.endswith(("-", "\u2010")) and before[-2:-1].isalpha() and line[0].islower():
        return before[:-1] + line  # a word divided at the margin
    between = "" if before[-1] >= "\u2e80" and line[0] >= "\u2e80" and not "\uac00" <= line[0] <= "\ud7a3" else " "
    return before + between + line
