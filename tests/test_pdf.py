"""PDF documents: their text in paragraphs, and documents that mean no good, each with the reason why it has no text."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BytesIO

import pytest
from pypdf import PdfReader, PdfWriter

from service.domain.model import PageFate, PageNote, ServiceError
from service.feeds.extract import Page
from service.feeds.pages import main_text
from service.feeds.pdf import extract_pdf, is_pdf
from service.sandbox import Sandbox

LETTER = (
    "Circular No. 12 of 2026",
    "The authority has decided that issuers of stable-",
    "coins must hold reserves in full from 1 June 2026.",
    "1. This circular applies to every licensed issuer.",
    "2. Issuers report monthly. Late reports are fined.",
)


def stream(lines: tuple[str, ...]) -> bytes:
    shown = "".join(f"({line}) Tj T*\n" for line in lines)
    return f"BT /F1 12 Tf 14 TL 72 720 Td\n{shown}ET".encode()


def document(*objects: bytes, trailer: bytes = b"/Root 1 0 R") -> bytes:
    """A PDF file of these objects, numbered from 1, with its table of places."""
    out, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    end = b"trailer <</Size %d %s>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, trailer, len(out))
    return out + head + table + end


def pages(*contents: bytes, extra: bytes = b"") -> bytes:
    """A document of a page for each content stream (with its dictionary)."""
    kids = b" ".join(b"%d 0 R" % (4 + 2 * n) for n in range(len(contents)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(contents)),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for n, content in enumerate(contents):
        resources = b"<</Font<</F1 3 0 R>>%s>>" % extra
        objects.append(b"<</Type/Page/Parent 2 0 R/Resources%s/Contents %d 0 R>>" % (resources, 5 + 2 * n))
        objects.append(content)
    return document(*objects)


def plain(body: bytes) -> bytes:
    return b"<</Length %d>>stream\n%s\nendstream" % (len(body), body)


def deflated(body: bytes) -> bytes:
    packed = zlib.compress(body, 9)
    return b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(packed), packed)


GOOD = pages(deflated(stream(LETTER)))


def test_lines_become_paragraphs() -> None:
    page = extract_pdf(GOOD)
    assert isinstance(page, Page)
    assert page.text.split("\n\n") == [
        "Circular No. 12 of 2026 The authority has decided that issuers of stablecoins must hold reserves in full from "
        "1 June 2026.",
        "1. This circular applies to every licensed issuer.",
        "2. Issuers report monthly. Late reports are fined.",
    ]


def test_what_stands_on_every_page_is_left_out() -> None:
    each = [
        stream((f"Ministry of Finance - {n}", f"This page says its own thing about {what}.", f"Page {n} of 4"))
        for n, what in enumerate(("banks", "coins", "funds", "brokers"), 1)
    ]
    page = extract_pdf(pages(*(deflated(content) for content in each)))
    assert isinstance(page, Page)
    assert "Ministry" not in page.text
    assert "of 4" not in page.text
    assert page.text.count("says its own thing") == 4


def encrypted(password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(BytesIO(GOOD)))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="AES-256")
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def test_a_document_encrypted_against_changes_only_is_read() -> None:
    assert isinstance(extract_pdf(encrypted("")), Page)


LOOPED_FORM = b"/XObject<</X 6 0 R>>"
HOSTILE = {
    "asks-for-a-password": (encrypted("secret"), PageFate.ENCRYPTED),
    "not-a-pdf-after-its-mark": (b"%PDF-1.7\n" + b"hello " * 1000, PageFate.BROKEN),
    "mark-only": (b"%PDF-1.4", PageFate.BROKEN),
    "cut-in-half": (GOOD[: len(GOOD) // 2], PageFate.BROKEN),
    "no-text": (pages(plain(b"0 0 m 10 10 l S")), PageFate.NO_TEXT),
    "bomb": (pages(deflated(b" " * 64 * 1024 * 1024)), PageFate.NO_TEXT),
    "bomb-in-bomb": (pages(deflated(zlib.compress(b" " * 64 * 1024 * 1024)).replace(
        b"/FlateDecode", b"[/FlateDecode/FlateDecode]")), PageFate.NO_TEXT),
    "a-length-that-lies": (pages(b"<</Length 99999999999>>stream\nx\nendstream"), PageFate.NO_TEXT),
    "pages-in-a-ring": (document(b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 9>>"),
                        PageFate.BROKEN),
    "catalogue-is-itself": (document(b"1 0 R"), PageFate.BROKEN),
    "tables-in-a-ring": (GOOD.replace(b"/Root 1 0 R", b"/Root 1 0 R/Prev %d" % GOOD.rindex(b"xref\n0")), None),
    "a-form-that-draws-itself": (pages(plain(b"/X Do"), plain(b"x"), extra=LOOPED_FORM), PageFate.NO_TEXT),
    "deep-brackets": (pages(plain(b"[" * 200_000)), PageFate.NO_TEXT),
    "deep-dictionary": (document(b"<</A" * 100_000), PageFate.BROKEN),
    "a-million-operators": (pages(deflated(b"BT /F1 9 Tf (a) Tj ET\n" * 500_000)), None),
}  # fmt: skip


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    sandbox = Sandbox(workers=1)
    yield sandbox
    sandbox.close()


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_document_ends_in_bounds_and_with_its_reason(name: str, box: Sandbox) -> None:
    body, fate = HOSTILE[name]
    assert is_pdf(body)
    try:
        found: Page | PageNote | ServiceError = await box.run(main_text, body, "https://gov.example/a.pdf", "")
    except ServiceError as exc:
        found = exc
    if fate is not None:
        assert isinstance(found, PageNote)
        assert found.fate is fate
        assert found.detail
    assert isinstance(await box.run(main_text, GOOD, "https://gov.example/b.pdf", "text/html"), Page)


def test_what_is_no_pdf_is_told_by_its_bytes() -> None:
    assert not is_pdf(b"<html>")
    assert is_pdf(b"\n\n" + GOOD)
    page = main_text(b"<p>short", "https://gov.example/a.pdf", "application/pdf")
    assert page == PageNote(fate=PageFate.NO_TEXT, detail="the page has no main text")
