"""Types of fields that several nouns share: one-line texts, ids, durations and times, each with its bounds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Path
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from starlette.convertors import Convertor, register_url_convertor

from service.api.pages import MAX_ID
from service.config import Duration
from service.domain.own import MAX_LENGTH

_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line breaks and what turns the direction of writing: in a name they only serve to deceive."""


def _one_line(text: str) -> str:
    if _UNWANTED.search(text):
        raise ValueError("holds a control character or a line break")
    return text


Line = Annotated[str, StringConstraints(strip_whitespace=True, max_length=300), AfterValidator(_one_line)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_one_line)]
Expression = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_LENGTH),
    AfterValidator(_one_line),
]
"""What a subscription matches by itself, as it stands in the `match` of a rule."""
Code = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=60),
    AfterValidator(_one_line),
    WithJsonSchema({"type": "string", "pattern": "^([A-Z]{2}|INTL)$", "examples": ["KZ"]}),
]
"""A jurisdiction's code. Whether it exists is checked against the lexicon, which also knows whose name was meant."""


class _IdConvertor(Convertor[str]):
    """What looks like an id at all, for addresses below which there are words too: `/alerts/export`."""

    regex = "-?[0-9]{1,12}"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", _IdConvertor())

Id = Annotated[int, Path(ge=1, le=MAX_ID)]


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("is outside of the calendar") from exc


def _written(value: object) -> object:
    if not isinstance(value, str) or not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]", value):
        raise ValueError("write a time as RFC 3339 has it: 2026-03-02T12:00:00Z")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_in_utc)]
"""A time with its zone. A bare number is none: whether it means seconds or milliseconds nobody can tell."""

MIN_INTERVAL, MAX_INTERVAL = timedelta(minutes=1), timedelta(days=7)


def _short(value: object) -> object:
    if isinstance(value, timedelta):  # a default
        return value
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?\s?[smhd]", value):
        raise ValueError("write a duration as a number and a unit: 30s, 15m, 48h, 3d")
    return value


_SCHEMA = WithJsonSchema({"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?[smhd]$", "examples": ["15m"]})
Interval = Annotated[Duration, BeforeValidator(_short), Field(ge=MIN_INTERVAL, le=MAX_INTERVAL), _SCHEMA]
"""A duration as it is written in a request."""
Overlap = Annotated[Duration, BeforeValidator(_short), Field(ge=timedelta(0), le=timedelta(days=30)), _SCHEMA]
"""A duration that may be none at all."""
Span = Annotated[Duration, BeforeValidator(_short), Field(ge=timedelta(minutes=1), le=timedelta(days=366)), _SCHEMA]
"""How far back to look."""
Shown = Annotated[Duration, _SCHEMA]
"""A duration as it stands in an answer."""
