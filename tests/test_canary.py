"""The canary: a secret in every place that takes one, a whole service at DEBUG whose every delivery fails, and none of
them in what it logs, answers, measures or keeps on disk."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from service import logs
from service.api.app import build
from service.api.deps import Deps
from service.app import Service
from service.config import Rulebook, Settings
from service.domain.concepts import Lexicon
from service.domain.model import Scope
from service.domain.rules import Ruleset
from tests.conftest import Clock
from tests.fakes_delivery import Answers, Got, Mailbox, receiving, serving
from tests.test_api import raise_alerts

SECRETS = {
    "Slack": "C3canarySLACKcanary000001",
    "Telegram": "AAcanaryTELEGRAMcanary0000000000002",
    "Discord": "canaryDISCORD" + "c" * 50,
    "webhook path": "canaryPATHcanary0003",
    "webhook query": "canaryQUERYcanary0004",
    "mail password": "canaryMAILcanary0005",
    "refused address": "canaryREFUSEDcanary0007",
    "wrong key": "canaryKEYcanary0008",
}


class Echo(Answers):
    """Says no to everything, and repeats in it all that it was sent: addresses, headers, bodies."""

    def judge(self, got: Got) -> tuple[int, dict[str, str], str]:
        return 500, {}, f"{got.path} {got.headers} {got.body.decode()[:200]}"


def config(folder: Path, *, echo: str, port: int) -> dict[str, Any]:
    channels = [
        f"slack://T1CANARYA/B2CANARYB/{SECRETS['Slack']}",
        f"tgram://123456789:{SECRETS['Telegram']}/4321",
        f"discord://444444444444444444444444/{SECRETS['Discord']}",
        f"{echo}/{SECRETS['webhook path']}?token={SECRETS['webhook query']}",
        "mailto:desk@example.org",
    ]
    services = ("https://hooks.slack.com", "https://api.telegram.org", "https://discord.com")
    mail = {"host": "127.0.0.1", "port": port, "sender": "a@example.net", "security": "none", "user": "desk"}
    return {
        "storage": {"url": f"sqlite:///{folder}/p.db"},
        "secrets": {"key_file": f"{folder}/secret.key"},
        "egress": {"allow": ["127.0.0.1/32"]},
        "delivery": {
            "timeout": "60s",
            "base_urls": dict.fromkeys(services, echo),
            "smtp": mail | {"password": SECRETS["mail password"]},
        },
        "subscriptions": [{"name": "desk", "team": "t", "channels": channels}],
    }


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[[], str]]:
    """The service's own logging at DEBUG, as an operator sets it: gives all that it and its children have said."""
    before, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    path = tmp_path / "log"
    with path.open("w", encoding="utf-8", buffering=1) as log:
        monkeypatch.setattr(sys, "stderr", log)
        logs.configure("debug", "json")
        yield lambda: path.read_text(encoding="utf-8") + "".join(capfd.readouterr())
    structlog.configure(**before)
    logging.root.handlers[:], logging.root.level = handlers, level


async def test_no_secret_is_logged_answered_or_kept_in_clear(
    tmp_path: Path, clock: Clock, said: Callable[[], str]
) -> None:
    mailbox, echo = Mailbox(), Echo()
    mailbox.data_answer = "554 not today"
    no_rules = Rulebook(lexicon=(nothing := Lexicon.build([])), ruleset=Ruleset.compile([], nothing))
    async with serving(echo) as receiver, receiving(mailbox, log_in=True) as port:
        settings = Settings.model_validate(
            config(tmp_path, echo=receiver.url.replace("localhost", "127.0.0.1"), port=port)
        )
        service = Service(settings, rulebook=no_rules, now=clock)
        await service.start()
        scopes, now = [Scope.ADMIN], service.now()
        key, secret = service.store.keys.create(team="t", name="n", scopes=scopes, random=os.urandom, now=now)
        raise_alerts(service.store, "KE")
        await service.runner.drain()
        app = build(
            Deps(
                store=service.store,
                rulebook=lambda: no_rules,
                settings=settings,
                now=service.now,
                random=os.urandom,
                reload=service.reload_rules,
            )
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api.test") as client:
            answers = [answer async for answer in api_answers(client, secret.reveal())]
        channels = [channel for _, channel in service.store.subscriptions.channels()]
        signing = [k.reveal() for one in channels for keys in one.keys for k in (keys.secret, keys.private) if k]
        await service.stop()
    shown = {"log": said(), "API": "\n".join(answers), "disk": "\n".join(kept_by(tmp_path))}
    assert len(echo.got) == 4, "Slack, Telegram, Discord and the webhook"
    assert mailbox.logins == [("desk", SECRETS["mail password"])]
    assert len(re.findall(r"answered 5\d\d", shown["log"])) == 6, "all five said no, and one was given up by that"
    assert '"level": "debug"' in shown["log"], "a log that says little shows little"
    hidden = {**SECRETS, "API key": secret.reveal().removeprefix(f"pw_{key.prefix}")}
    hidden |= {f"signing key {n}": one.partition("_")[2] for n, one in enumerate(signing)}
    assert len(hidden) == len(SECRETS) + 3
    assert [(name, place) for name, value in hidden.items() for place, text in shown.items() if value in text] == []


def kept_by(folder: Path) -> Iterator[str]:
    """All that is on the disk, as far as it can hold a secret in clear: the database and its log."""
    for path in folder.glob("p.db*"):
        yield path.read_bytes().decode("utf-8", errors="replace")


async def api_answers(client: httpx.AsyncClient, key: str) -> AsyncIterator[str]:
    """What the API says about all of it, to whom may read it and to whom may not."""
    mine = {"authorization": f"Bearer {key}"}
    for path in ("/v1/subscriptions", "/v1/deliveries", "/v1/deliveries/1", "/v1/alerts", "/v1/feeds", "/v1/problems"):
        yield (await client.get(path, headers=mine)).text
    refused = {"name": "x", "channels": [f"slack://T1/B2/{SECRETS['refused address']}?format=html"]}
    yield (await client.post("/v1/subscriptions", headers=mine, json=refused)).text
    yield (await client.get("/v1/alerts", headers={"authorization": f"Bearer pw_{SECRETS['wrong key']}"})).text
    yield (await client.get("/metrics")).text
