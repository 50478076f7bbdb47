"""A story's keys as a column holds them."""

from __future__ import annotations

from dataclasses import replace

from service.domain.model import Entry, StoryKey
from service.domain.text import sketch
from service.domain.traits import traits_of
from service.storage.shelf import dump_key, load_key

ENTRY = Entry(id="1", title="Reservoir above Marlow overflows", summary="In Marlow 340 homes were left on Friday.")
KEY = StoryKey(
    developments=(),
    link="https://a.example/1",
    sketch=sketch(ENTRY.summary),
    title=ENTRY.title,
    traits=traits_of(ENTRY, "en"),
)


def test_a_key_is_read_as_it_was_written() -> None:
    assert load_key(dump_key(KEY)) == KEY


def test_a_key_written_before_leads_were_kept_has_none() -> None:
    row = dump_key(KEY)
    del row["traits"]["lead"]
    assert load_key(row) == replace(KEY, traits=replace(KEY.traits, lead=frozenset()))
