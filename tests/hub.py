"""A WebSub hub as a process of its own: the hub of Flask-WebSub, which is nobody's stub of ours.

`python -m tests.hub FOLDER` prints its address and serves until it is stopped; it forgets nothing while it lives.
Flask-WebSub leaves its slow work to Celery, of which it needs no more than tasks that can be delayed and tried again:
a thread pool does that here, so that no broker is needed. Verification, leases, signatures, distribution and storage
are the library's own.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Flask
from flask_websub.hub import Hub, SQLite3HubStorage
from werkzeug.serving import make_server


class Tasks:
    """What the hub asks of Celery, on threads: `task` makes a function that `delay` runs soon, and may `retry`."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(4)

    def task(self, *, bind: bool = False, max_retries: int = 0) -> Callable[[Callable[..., object]], Task]:
        return lambda work: Task(self._threads, work, bind=bind, most=max_retries)


class Task:
    def __init__(self, threads: ThreadPoolExecutor, work: Callable[..., object], *, bind: bool, most: int) -> None:
        self._threads, self._work, self._bind, self._most = threads, work, bind, most

    def delay(self, *args: Any) -> None:
        self._threads.submit(self.run, args, 0)

    def run(self, args: tuple[Any, ...], retries: int) -> None:
        try:
            self._work(*((_Attempt(self, args, retries), *args) if self._bind else args))
        except Exception:
            logging.exception("task failed")

    def again(self, args: tuple[Any, ...], retries: int, countdown: float) -> None:
        if retries <= self._most:
            threading.Timer(countdown, self.run, (args, retries)).start()


class _Attempt:
    """The running task as Celery shows it to a bound one."""

    def __init__(self, task: Task, args: tuple[Any, ...], retries: int) -> None:
        self._task, self._args, self.request = task, args, self
        self.retries = retries

    def retry(self, *, countdown: float) -> None:
        self._task.again(self._args, self.retries + 1, countdown)


def main(folder: Path) -> None:
    app = Flask(__name__)
    app.config |= {"PUBLISH_SUPPORTED": True, "HUB_MIN_LEASE_SECONDS": 1, "BACKOFF_BASE": 0.05}
    hub = Hub(SQLite3HubStorage(str(folder / "hub.db")), Tasks(), **app.config)

    def unwelcome(callback: str, topic: str, *_: object) -> str | None:
        return "this topic is not for you" if topic.endswith("/secret.xml") else None

    hub.register_validator(unwelcome)
    app.register_blueprint(hub.build_blueprint(url_prefix="/hub"))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"http://127.0.0.1:{server.port}/hub", flush=True)
    server.serve_forever()


@contextmanager
def running_hub(folder: Path) -> Iterator[str]:
    """The address of a hub that lives as long as the block."""
    command = [sys.executable, "-m", "tests.hub", str(folder)]
    with (folder / "hub.log").open("w") as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            assert address, (folder / "hub.log").read_text()
            yield address
        finally:
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
