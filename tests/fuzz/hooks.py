"""What Schemathesis does beside its own: it leaves alone the key that it asks with."""

from __future__ import annotations

import os
from typing import Any

import schemathesis

OWN_KEY = "POLICYWATCH_FUZZ_KEY"
"""The variable with the prefix of that key. Whoever lists the team's keys finds it, and a run that has revoked it gets
nothing but 401 from then on, which looks like success."""


@schemathesis.hook
def before_call(_: Any, case: Any, __: Any) -> None:
    """Another key is replaced or revoked in its place: there is none of this prefix."""
    if case.path_parameters and case.path_parameters.get("prefix") == os.environ[OWN_KEY]:
        case.path_parameters["prefix"] = "0" * 8
