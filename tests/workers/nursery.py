"""A process that has everything imported and read, and forks workers on request: a start costs no imports then.

It reads the name of a worker from its input, a line each, and answers with the pid. A worker that ends by itself is
told of on standard error; those that live when the input ends are killed.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import multiprocessing
import os
import select
import signal
import sys
from multiprocessing import forkserver
from pathlib import Path

from sqlalchemy.orm import configure_mappers

from service import logs
from service.app import Service
from service.config import Rulebook, Settings, load, load_rulebook
from service.domain.developments import read
from service.domain.model import Entry
from service.storage import wakes
from service.workers import Worker
from tests.workers.clock import SharedClock

LOOK = 0.02  # seconds between two looks at the children

ENDED = "ended by itself"


def main() -> None:
    settings, clock = load(Path(sys.argv[1])), SharedClock(Path(sys.argv[2]))
    rulebook = load_rulebook(settings.rules)
    read(Entry(id="0", title="Nothing yet", summary="The first reading loads what tells languages."), rulebook.lexicon)
    configure_mappers()
    wakes._app()
    multiprocessing.set_forkserver_preload(["tests.crash.warm"])
    forkserver.ensure_running()
    gc.collect()
    gc.freeze()  # or each child would look through the lexicon for garbage, and copy its memory
    children: set[int] = set()
    while True:
        asked, _, _ = select.select([sys.stdin], [], [], LOOK)
        if asked:
            name = sys.stdin.readline().strip()
            if not name:
                break
            pid = os.fork()
            if pid == 0:
                _work(settings, rulebook, clock, name)
            children.add(pid)
            print(pid, flush=True)
        _bury(children)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def _bury(children: set[int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        children.discard(pid)
        code = os.waitstatus_to_exitcode(status)
        if code not in (0, -signal.SIGKILL):
            print(f"worker {pid} {ENDED} with {code}", file=sys.stderr, flush=True)


def _work(settings: Settings, rulebook: Rulebook, clock: SharedClock, name: str) -> None:
    """Be a worker; never returns."""
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)
    sys.modules["__main__"].__spec__ = None  # or the worker's own children would begin by importing this program
    # Python would ask whether the server still runs as only its parent can, and that is the nursery.
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]
    faulthandler.register(signal.SIGUSR1)
    logs.configure(settings.logging.level, settings.logging.format)
    named = settings.model_copy(update={"feeds": settings.feeds.model_copy(update={"contact": name})})
    code = 1
    try:
        children = multiprocessing.get_context("forkserver")
        service = Service(named, rulebook=rulebook, now=clock, children=children, leads=False)
        asyncio.run(Worker(service).run())
        code = 0
    except BaseException:
        import traceback  # noqa: PLC0415

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
