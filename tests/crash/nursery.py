"""A process that has everything imported and read, and forks services on request: a start costs no imports then.

It reads `name:count ahead` from its input (failpoint, or `-` for none, and the clock's lead in seconds), a line each,
and answers with the child's pid and, in a second line, with how it ended. Nothing of a service has run before the
fork: no database, no socket, no thread. The service's own children are forked too, from a server that is warm.
"""

from __future__ import annotations

import gc
import importlib
import multiprocessing
import os
import select
import signal
import sys
from multiprocessing import forkserver
from pathlib import Path

import alembic.command
import alembic.config
from sqlalchemy.orm import configure_mappers

from service import failpoint
from service.config import Rulebook, Settings, load, load_rulebook
from service.domain.developments import read
from service.domain.model import Entry
from tests.crash.life import live

IMPORTED_LATE = (alembic.command, alembic.config)
"""What a service imports when it first needs it."""

LOOK = 0.01  # seconds between two looks at the child


def main() -> None:
    """Fork a service for each line of input, one after the other, until the input ends."""
    settings = load(Path(sys.argv[1]))
    rulebook = load_rulebook(settings.rules)
    read(Entry(id="0", title="Nothing yet", summary="The first reading loads what tells languages."), rulebook.lexicon)
    configure_mappers()
    multiprocessing.set_forkserver_preload(["tests.crash.warm"])
    forkserver.ensure_running()
    gc.collect()
    gc.freeze()  # or each child would look through the lexicon for garbage, and copy its memory
    for line in sys.stdin:
        target, ahead = line.split()
        pid = os.fork()
        if pid == 0:
            _serve(settings, rulebook, target, float(ahead))
        _say(pid)
        _say(_end_of(pid))


def _serve(settings: Settings, rulebook: Rulebook, target: str, ahead: float) -> None:
    """Be the service; never returns."""
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)
    os.environ["POLICYWATCH_FAILPOINT"] = target
    sys.modules["__main__"].__spec__ = None  # or the service's own children would begin by importing this program
    importlib.reload(failpoint)  # it reads the environment once, when it is imported
    # Python would ask whether the server still runs as only its parent can, and that is the nursery.
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]
    code = 1
    try:
        live(settings, sys.argv[2], ahead, rulebook=rulebook, children=multiprocessing.get_context("forkserver"))
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def _end_of(pid: int) -> int:
    """The exit code of the child, negative for a signal; it is killed when whoever asked for it is gone."""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        asked, _, _ = select.select([sys.stdin], [], [], LOOK)
        if asked:  # nobody asks for a second child while there is one: this is the end of the input
            os.kill(pid, signal.SIGKILL)


def _say(number: int) -> None:
    print(number, flush=True)


if __name__ == "__main__":
    main()
