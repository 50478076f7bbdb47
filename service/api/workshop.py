"""What editors' requests share: rules given as text, entries given by hand, and bounds on the work that they cause.

Rules come from strangers and are tried in threads of this process: few at a time, each for a few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from service.api.deps import Deps
from service.api.own import find_rule
from service.api.problems import Kind, Refusal, absent, invalid
from service.api.texts import Code, Line, Moment
from service.config import read_rules_text
from service.domain.model import Entry, Evidence, Invalid, NearMiss, Problem, Step, Tier
from service.domain.own import is_own
from service.domain.rule import Rule
from service.domain.rulefile import may_be_shorthand, rule_of
from service.domain.text import LANGUAGES

AT_ONCE, WAITING = 2, 8
"""Requests that are worked on at the same time, and that may wait for their turn."""
SECONDS = 10.0
FILE = "rules.yaml"
"""What a text of rules is called in problems."""

MAX_TEXT, MAX_RULES_TEXT = 200_000, 500_000

T = TypeVar("T")


class OutOfTime(Exception):
    """A request has used the time that it may have."""


class Workshop:
    """Where editors' work is done: `run` waits for a place, and gives up at once when too many wait already."""

    def __init__(self) -> None:
        self._limiter: CapacityLimiter | None = None

    async def run(self, work: Callable[[Callable[[], None]], T]) -> T:
        """What `work` gives, done in a thread. It is handed a function to call often, which ends it in time."""
        limiter = self._limiter = self._limiter or CapacityLimiter(AT_ONCE)  # made on the loop that it belongs to
        if limiter.statistics().tasks_waiting >= WAITING:
            raise Refusal(Kind.TOO_MANY, "many rules are being tried; wait a little", headers={"retry-after": "5"})
        try:
            return await to_thread.run_sync(_timed(work), limiter=limiter)
        except OutOfTime as exc:
            detail = f"a request has {SECONDS:g} seconds; ask for a shorter time or fewer rules"
            raise Refusal(Kind.TOO_LONG, detail) from exc
        except Invalid as exc:
            raise invalid(exc.problems) from exc


def workshop_of(request: Request) -> Workshop:
    """The one of the application that was asked."""
    workshop = request.app.state.workshop
    assert isinstance(workshop, Workshop)
    return workshop


def _timed(work: Callable[[Callable[[], None]], T]) -> Callable[[], T]:
    def timed() -> T:
        end = time.monotonic() + SECONDS

        def go_on() -> None:
            if time.monotonic() > end:
                raise OutOfTime

        return work(go_on)

    return timed


# --- what is given --------------------------------------------------------------------------------------------------


def _is_text(text: str) -> str:
    if any("\ud800" <= sign <= "\udfff" or sign == "\x00" for sign in text):
        raise ValueError("holds a character that is no text")
    return text


Text = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_is_text)]
RulesText = Annotated[str, StringConstraints(max_length=MAX_RULES_TEXT), AfterValidator(_is_text)]
Wanted = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000), AfterValidator(_is_text)
]


def _is_language(value: str) -> str:
    if value not in LANGUAGES:
        raise ValueError(f"unknown language; one of {', '.join(LANGUAGES)}")
    return value


Spoken = Annotated[str, StringConstraints(max_length=20), AfterValidator(_is_language)]


class EntryIn(BaseModel):
    """An entry as it may come from a feed."""

    model_config = ConfigDict(extra="forbid")

    title: Text
    summary: Text = ""
    content: Text = ""
    source: Line = Field("", description="Who publishes it.")
    link: Line = ""
    language: Spoken | None = Field(None, description="Detected when it is left out.")
    published: Moment | None = None
    tier: Tier = Tier.UNKNOWN
    jurisdiction: Code | None = Field(None, description="Whose news its feed carries.")

    @property
    def entry(self) -> Entry:
        return Entry(
            id="text", title=self.title, summary=self.summary, content=self.content, source=self.source, link=self.link,
            lang=self.language, published=self.published, tier=self.tier,
        )  # fmt: skip


def chosen(deps: Deps, team: str, *, rule: str | None, rules: str | None, most: int) -> Sequence[Rule]:
    """The rule that is meant, by id or as a shorthand, or those of a text. Refusal, or Invalid with every fault."""
    book = deps.rulebook()
    if (rule is None) == (rules is None):
        raise invalid(
            (Problem(where="rule", what="give `rule` (an id or a shorthand) or `rules` (YAML), and not both"),)
        )
    if rules is not None:
        found, problems = read_rules_text(rules, book, shown=FILE)
        if problems:
            raise Refusal(Kind.INVALID_RULES, f"{len(problems)} faults were found", problems)
        if not 0 < len(found) <= most:
            raise invalid((Problem(where="rules", what=f"holds {len(found)} rules; give 1 to {most}"),))
        return found
    assert rule is not None
    if known := find_rule(deps, team, rule):
        return (known,)
    if is_own(rule) or not may_be_shorthand(rule):
        raise absent("rule", repr(rule))
    try:
        return (rule_of(rule, book.lexicon, book.groups),)
    except Invalid as exc:
        raise invalid([Problem(where="rule", what=p.what, hint=p.hint) for p in exc.problems]) from exc


# --- what is answered -----------------------------------------------------------------------------------------------


class MissOut(BaseModel):
    """A rule that does not fire: the first step that failed, and what came nearest."""

    rule: str
    step: Step
    detail: str
    missing: int = Field(description="How many things keep it from firing.")
    near: list[Evidence]

    @classmethod
    def of(cls, miss: NearMiss) -> MissOut:
        near = list(miss.near)
        return cls(rule=miss.rule_id, step=miss.step, detail=miss.detail, missing=miss.missing, near=near)


class FaultOut(BaseModel):
    """Something that is wrong in a text of rules."""

    line: int | None = Field(description="Where it stands in the text.")
    what: str
    hint: str

    @classmethod
    def of(cls, problem: Problem) -> FaultOut:
        line = problem.where.removeprefix(f"{FILE}:")
        return cls(line=int(line) if line.isdecimal() else None, what=problem.what, hint=problem.hint)
