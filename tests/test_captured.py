"""docs/messages.md and docs/webhook.md show what goes out today, not on the day when they were written."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from jsonschema import Draft202012Validator

from service.delivery.payload import PAYLOAD_SCHEMA
from tests.captured import DOCS, page, with_schema


def test_the_page_of_messages_is_what_services_receive() -> None:
    written = (DOCS / "messages.md").read_text(encoding="utf-8")
    assert asyncio.run(page()) == written, "python -m tests.captured writes it anew"


def test_the_page_of_webhooks_holds_the_schema() -> None:
    written = (DOCS / "webhook.md").read_text(encoding="utf-8")
    assert json.loads(re.findall(r"<!-- schema -->\n```json\n(.*?)```", written, re.DOTALL)[0]) == PAYLOAD_SCHEMA
    assert with_schema(written) == written, "python -m tests.captured writes it anew"


@pytest.mark.parametrize("saying", ["An alert", "An update", "A correction"])
def test_payloads_are_as_the_schema_says(saying: str) -> None:
    Draft202012Validator.check_schema(PAYLOAD_SCHEMA)
    written = (DOCS / "messages.md").read_text(encoding="utf-8").split(f"### {saying} (Webhook)")[1]
    payload = json.loads(re.findall(r"```json\n(.*?)```", written, re.DOTALL)[0])
    Draft202012Validator(PAYLOAD_SCHEMA).validate(payload)
    assert not list(Draft202012Validator(strict(PAYLOAD_SCHEMA)).iter_errors(payload)), "a key the schema does not name"


def strict(schema: object) -> object:
    """The schema without room for keys that it does not name."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if "properties" in schema else {}
    return closed | {key: strict(one) for key, one in schema.items()}
