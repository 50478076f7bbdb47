"""Named places where a crash test may kill the process. Inert unless POLICYWATCH_FAILPOINT names one.

`POLICYWATCH_FAILPOINT=deliver.response_read:3` ends the process with SIGKILL the third time that place is reached:
no clean-up, no flush, what a pulled plug looks like to the database.
"""

from __future__ import annotations

import os
import signal
import threading

POINTS = (
    "poll.claimed",  # F1: lease committed, nothing sent
    "poll.body_half",  # F2: some of the body read
    "poll.parsing",  # F3: body complete, parse child running
    "poll.before_commit",  # F4: rows written, transaction open
    "poll.committed",  # F5: entries and feed state committed
    "process.claimed",  # lease on an entry committed
    "hold.before_commit",  # an alert was put off, to the end of quiet hours or into a digest, not committed
    "update.before_commit",  # an update of an alert and its messages are written, not committed
    "process.before_commit",  # F4 of the placing transaction: story, alert and outbox rows written, not committed
    "process.committed",  # F5 of the placing transaction
    "update.committed",  # the same, where the transaction held an update
    "digest.before_commit",  # F13: the digest and what it settles are written, not committed
    "digest.committed",
    "escalate.before_commit",  # an escalation's messages are written, not committed
    "escalate.committed",
    "deliver.claimed",  # F7: delivery leased
    "deliver.attempt_written",  # F8: attempt row committed, nothing sent
    "deliver.request_written",  # F9: request written, answer unread: a duplicate is allowed
    "deliver.response_read",  # F10: answer read, not committed: a duplicate is allowed if it was 2xx
    "deliver.settled",  # F11: outcome committed
)
"""Every place, in the order an entry passes them (numbers of the crash test's table in docs/promises.md)."""

_lock = threading.Lock()
_target, _, _count = os.environ.get("POLICYWATCH_FAILPOINT", "").partition(":")
_left = int(_count or 1)


def reach(name: str) -> None:
    """Die here if the environment says so; otherwise nothing at all happens."""
    if name != _target:
        return
    global _left
    with _lock:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
