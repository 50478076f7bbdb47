"""A process that has everything imported and forks services on request: a start costs no imports then.

It reads `name:count` failpoints from its input, a line each, and answers with the child's pid and, in a second line,
with how it ended. Nothing of a service has run before the fork: no database, no socket, no thread.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import select
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from service import failpoint, logs
from service.app import Server, Service
from service.config import Rulebook, Settings, load, load_rulebook
from tests.crash.control import build_control

LOOK = 0.01  # seconds between two looks at the child


def main() -> None:
    """Fork a service for each line of input, one after the other, until the input ends."""
    config, kind = Path(sys.argv[1]), sys.argv[2]
    settings = load(config)
    rulebook = load_rulebook(settings.rules)
    build: Callable[..., Service] = build_control if kind == "control" else Service
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _serve(build, settings, rulebook, line.strip())
        _say(pid)
        _say(_end_of(pid))


def _serve(build: Callable[..., Service], settings: Settings, rulebook: Rulebook, target: str) -> None:
    """Be the service; never returns."""
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)
    os.environ["POLICYWATCH_FAILPOINT"] = target
    sys.modules["__main__"].__spec__ = None  # or the service's own children would begin by importing this program
    importlib.reload(failpoint)  # it reads the environment once, when it is imported
    logs.configure(settings.logging.level, settings.logging.format)
    code = 1
    try:
        asyncio.run(Server(build(settings, rulebook=rulebook)).run())
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
