"""Domain values to columns and back: JSON by field names, and ids that are the same each time they are made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from service.domain.model import (
    Alert,
    Answer,
    ChannelReport,
    Development,
    Digest,
    Evidence,
    FeedReport,
    Secret,
    SigningKeys,
    Timing,
    Watch,
)

_DEVELOPMENTS = TypeAdapter(tuple[Development, ...])
_EVIDENCE = TypeAdapter(tuple[Evidence, ...])
_ALERT = TypeAdapter(Alert)
_WATCH = TypeAdapter(Watch)
_TIMING = TypeAdapter(Timing)
_DIGEST = TypeAdapter(Digest)
_REPORTS = TypeAdapter(tuple[FeedReport, ...])
_CHANNEL_REPORTS = TypeAdapter(tuple[ChannelReport, ...])
_ANSWER = TypeAdapter(Answer)


def dump_developments(developments: Iterable[Development]) -> list[dict[str, Any]]:
    return list(_DEVELOPMENTS.dump_python(tuple(developments), mode="json"))


def load_developments(rows: object) -> tuple[Development, ...]:
    return _DEVELOPMENTS.validate_python(rows)


def dump_evidence(evidence: Iterable[Evidence]) -> list[dict[str, Any]]:
    return list(_EVIDENCE.dump_python(tuple(evidence), mode="json"))


def load_evidence(rows: object) -> tuple[Evidence, ...]:
    return _EVIDENCE.validate_python(rows)


def dump_alert(alert: Alert) -> dict[str, Any]:
    return dict(_ALERT.dump_python(alert, mode="json"))


def load_alert(row: object) -> Alert:
    return _ALERT.validate_python(row)


def dump_watch(watch: Watch) -> dict[str, Any]:
    return dict(_WATCH.dump_python(watch, mode="json"))


def load_watch(row: object) -> Watch:
    return _WATCH.validate_python(row)


def dump_timing(timing: Timing) -> dict[str, Any]:
    return dict(_TIMING.dump_python(timing, mode="json"))


def load_timing(row: object) -> Timing:
    return _TIMING.validate_python(row)


def dump_digest(digest: Digest) -> dict[str, Any]:
    return dict(_DIGEST.dump_python(digest, mode="json"))


def load_digest(row: object) -> Digest:
    return _DIGEST.validate_python(row)


def dump_reports(reports: Iterable[FeedReport]) -> list[dict[str, Any]]:
    return list(_REPORTS.dump_python(tuple(reports), mode="json"))


def load_reports(rows: object) -> tuple[FeedReport, ...]:
    return _REPORTS.validate_python(rows)


def dump_channel_reports(reports: Iterable[ChannelReport]) -> list[dict[str, Any]]:
    return list(_CHANNEL_REPORTS.dump_python(tuple(reports), mode="json"))


def load_channel_reports(rows: object) -> tuple[ChannelReport, ...]:
    return _CHANNEL_REPORTS.validate_python(rows)


def dump_answer(answer: Answer) -> dict[str, Any]:
    return dict(_ANSWER.dump_python(answer, mode="json"))


def load_answer(row: object) -> Answer:
    return _ANSWER.validate_python(row)


def dump_keys(keys: Iterable[SigningKeys]) -> Secret:
    """Signing keys as one text to be sealed."""
    rows = [
        {
            "secret": one.secret.reveal(),
            "private": one.private.reveal() if one.private else None,
            "until": one.until.isoformat() if one.until else None,
        }
        for one in keys
    ]
    return Secret(json.dumps(rows))


def load_keys(sealed: Secret) -> tuple[SigningKeys, ...]:
    """The signing keys of a text; one that was sealed before there were several is a secret alone."""
    text = sealed.reveal()
    if not text.startswith("["):
        return (SigningKeys(secret=sealed),)
    return tuple(
        SigningKeys(
            secret=Secret(row["secret"]),
            private=Secret(row["private"]) if row["private"] else None,
            until=datetime.fromisoformat(row["until"]) if row["until"] else None,
        )
        for row in json.loads(text)
    )


def alert_message_id(alert_id: int, channel_id: int) -> str:
    """The id under which a channel is told of an alert: what its updates refer to."""
    return message_id(f"alert:{alert_id}:{channel_id}")


def message_id(seed: str) -> str:
    """A stable id without dots, as the Standard Webhooks specification asks: the same row gives the same id."""
    return "msg_" + hashlib.sha256(seed.encode()).hexdigest()[:32]
