"""Every operation of the API, asked in every way that its OpenAPI document allows and in ways that it does not.

    python -m tests.fuzz.api --calls 20000

Schemathesis draws the requests, keeps to the links between operations (what was made is read, changed and deleted) and
applies all of its checks to each answer. Requests are counted where they come in.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.app import Deps, build
from service.config import Rulebook, Settings, load_rulebook, read_rules
from service.domain.model import Scope as KeyScope
from service.storage.store import Store
from service.storage.vault import new_key
from tests.fuzz.hooks import OWN_KEY

RULES = """
rules:
  - id: cn-ban
    match: China + ban
  - id: licensing
    match: new licensing regime
"""

CONFIG = """
# What a schema cannot say (a jurisdiction that there is, a time to come) is refused with 422, which is no fault; nor is
# 429 to who reads one feed more often than once a second.
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "400", "401", "403", "404", "409", "412", "422", "429"]

# A subscription just made has no token to end, and no channel that has unsubscribed: there 404 is right.
[[operations]]
include-name = [
    "DELETE /v1/subscriptions/{subscription_id}/feed-token",
    "DELETE /v1/subscriptions/{subscription_id}/channels/{channel_id}/unsubscribed",
]
checks.ensure_resource_availability.enabled = false

# What is too long for a field may be too much for a body before that.
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "429"]
"""


class Counted:
    """An application that counts what it answers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.statuses: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.statuses[message["status"]] += 1
            await send(message)

        await self._app(scope, receive, counting if scope["type"] == "http" else send)


@contextmanager
def served(folder: Path, rulebook: Rulebook) -> Iterator[tuple[str, str, Counted]]:
    """The API on loopback over an empty database: its address, an admin's key, and what was counted."""
    store = Store(f"sqlite:///{folder}/policywatch.db", keys=(new_key(),))
    settings = Settings.model_validate({"api": {"rate": 0}})
    _, key = store.keys.create(
        team="desk", name="fuzz", scopes=[KeyScope.ADMIN], random=secrets.token_bytes, now=datetime.now(UTC)
    )
    deps = Deps(
        store=store,
        rulebook=lambda: rulebook,
        settings=settings,
        now=lambda: datetime.now(UTC),
        random=secrets.token_bytes,
        reload=lambda: rulebook,
    )
    app = Counted(build(deps))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}", key.reveal(), app
    finally:
        server.should_exit = True
        thread.join()
        store.close()


def ask(address: str, key: str, folder: Path, *, seed: int, examples: int, phases: str) -> int:
    """One run; gives the exit code of its command, whose report goes to standard output."""
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG, encoding="utf-8")
    command = [
        "schemathesis", "--config-file", str(config), "run", f"{address}/openapi.json",
        "--header", f"Authorization: Bearer {key}",
        "--checks", "all", "--phases", phases,
        "--request-timeout", "60",  # a busy machine is no fault of the API
        "--max-examples", str(examples), "--seed", str(seed), "--no-color", "--suppress-health-check", "all",
        "--exclude-path", "/v1/rules/reload", "--exclude-path", "/v1/alerts/stream", "--warnings", "off",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
        OWN_KEY: key.split("_")[1],
    }
    return subprocess.run(command, check=False, env=environment, cwd=folder).returncode


def a_rulebook(folder: Path) -> Rulebook:
    """A few rules, written to the folder."""
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    return load_rulebook(read_rules(folder / "rules.yaml"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=20_000, help="how many requests at least")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=30, help="for each operation in a round")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rulebook = a_rulebook(folder)
        failed, seed, total = False, given.seed, 0
        statuses: Counter[int] = Counter()
        while total < given.calls and not failed:
            (folder / str(seed)).mkdir()
            with served(folder / str(seed), rulebook) as (address, key, app):
                phases = "examples,coverage,fuzzing,stateful"
                failed = ask(address, key, folder, seed=seed, examples=given.examples, phases=phases) != 0
            statuses += app.statuses
            total, seed = statuses.total(), seed + 1
    told = ", ".join(f"{count} × {status}" for status, count in sorted(statuses.items()))
    print(f"{total} calls, seeds {given.seed} to {seed - 1}: {told}; {'FAILED' if failed else 'no failure'}")
    return 1 if failed or any(status >= 500 for status in statuses) else 0


if __name__ == "__main__":
    sys.exit(main())
