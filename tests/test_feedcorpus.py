"""The run over feedparser's own test feeds: that it sees what it is there to see."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.feedcorpus import run


def write(folder: Path, name: str, expect: str, item: str) -> Path:
    path = folder / f"{name}.xml"
    path.write_text(f"<!--\nDescription: x\nExpect: {expect}\n--><rss version='2.0'><channel>{item}</channel></rss>")
    return path


async def test_what_agrees_and_what_differs_for_a_reason_is_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    item = "<item><title>a &lt;b&gt;ban&lt;/b&gt;</title><link>ftp://a.example/</link></item>"
    expect = "not bozo and entries[0]['title'] == 'a <b>ban</b>' and entries[0]['link'] == 'ftp://a.example/'"
    paths = [write(tmp_path, "good", expect, item), write(tmp_path, "bare", "entries[0]['title'] == 'x'", "x")]
    assert await run(tmp_path, paths)
    said = capsys.readouterr().out
    assert "2 files: 2 read" in said
    assert "good.xml: entries[0].title: our titles and names are plain text" in said
    assert "good.xml: entries[0].link: only http and https addresses are links" in said


async def test_what_differs_without_a_reason_is_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    item = "<item><title>ban</title><pubDate>Mon, 02 Mar 2026 10:00:00 GMT</pubDate></item>"
    wrong = write(tmp_path, "wrong", "entries[0]['published_parsed'] == (2026, 3, 3, 10, 0, 0, 1, 62, 0)", item)
    assert not await run(tmp_path, [wrong])
    assert "(2026, 3, 2, 10, 0, 0)" in capsys.readouterr().err
