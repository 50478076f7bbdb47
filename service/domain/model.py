"""The nouns of policywatch as frozen dataclasses and closed sets, and the errors a person gets to read.

Nothing here reads a clock, a file, a socket or a setting. Times are aware and in UTC; durations are `timedelta`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple

# --- errors -------------------------------------------------------------------------------------------------------


class ServiceError(Exception):
    """A mistake that a person can mend. The message says what was wrong, where, and what to do."""


class EgressRefused(ServiceError, PermissionError):
    """A connection to an address that the operator has not allowed (see `egress` in the configuration)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault in something a person wrote: `where` is `file:line` or a field's path.

    A line that any terminal can show, whatever it quotes: without control characters, and of a bounded length.
    """

    where: str
    what: str
    hint: str = ""

    def __post_init__(self) -> None:
        for name in ("where", "what", "hint"):
            object.__setattr__(self, name, _readable(getattr(self, name)))

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" ({self.hint})" if self.hint else "")


_MAX_SAID = 600


def _readable(text: str) -> str:
    """The text with its middle left out if it is long, and a mark for each sign that a terminal may obey."""
    if len(text) > _MAX_SAID:
        half = _MAX_SAID // 2
        text = f"{text[:half]} … {text[-half:]}"
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


class Invalid(ServiceError):
    """Every fault found in one go, so that a person mends them in one go."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


class Secret:
    """A value that does not print: only `reveal()` gives it out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))


# --- the vocabulary of a development -------------------------------------------------------------------------------


class Topic(StrEnum):
    STABLECOIN = "stablecoin"
    EXCHANGE = "exchange"
    MINING = "mining"
    CBDC = "cbdc"
    TOKEN_OFFERING = "token-offering"
    TOKENIZATION = "tokenization"
    DEFI = "defi"
    CUSTODY = "custody"
    PAYMENTS = "payments"
    FUND_ETF = "fund-etf"
    RESERVE = "reserve"
    TAX = "tax"
    AML = "aml"
    ADVERTISING = "advertising"
    CRYPTO_GENERAL = "crypto-general"
    AI = "ai"
    PRIVACY = "privacy"
    TRADE = "trade"
    SANCTIONS_GENERAL = "sanctions-general"
    BANKING = "banking"
    OTHER = "other"


class Action(StrEnum):
    BAN = "ban"
    RESTRICTION = "restriction"
    LICENSING = "licensing"
    LEGISLATION = "legislation"
    ENFORCEMENT = "enforcement"
    SANCTION = "sanction"
    COURT_RULING = "court-ruling"
    CONSULTATION = "consultation"
    GUIDANCE = "guidance"
    WARNING = "warning"
    TAX_CHANGE = "tax-change"
    ADOPTION = "adoption"
    SANDBOX = "sandbox"
    APPROVAL = "approval"
    EASING = "easing"
    ADVISORY = "advisory"
    DELAY = "delay"
    STATISTICS = "statistics"
    OTHER = "other"


class Direction(StrEnum):
    TIGHTENING = "tightening"
    EASING = "easing"
    NEUTRAL = "neutral"


class Stage(StrEnum):
    RUMOURED = "rumoured"
    CONSIDERING = "considering"
    PROPOSED = "proposed"
    CONSULTATION = "consultation"
    PASSED = "passed"
    ENACTED = "enacted"
    IN_FORCE = "in-force"
    ENFORCED = "enforced"
    REAFFIRMED = "reaffirmed"
    WITHDRAWN = "withdrawn"
    NOT_APPLICABLE = "n/a"


class Severity(StrEnum):
    """From quiet to loud; compare with `rank`."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


class SourceKind(StrEnum):
    """What publishes a feed."""

    REGULATOR = "regulator"
    CENTRAL_BANK = "central-bank"
    LEGISLATURE = "legislature"
    INTERNATIONAL = "international"
    NEWS = "news"


class Tier(StrEnum):
    """How close a source is to the act it reports."""

    OFFICIAL = "official"
    WIRE = "wire"
    TRADE = "trade"
    BLOG = "blog"
    UNKNOWN = "unknown"


# --- what comes in ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What a server gave us to ask "has it changed?" with, stored and sent back as received (RFC 9110 section 8.8)."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedEntry:
    """One item of a feed document, cleaned but not judged. Title is text; summary and content may hold HTML."""

    guid: str | None = None
    link: str | None = None
    title: str = ""
    summary: str = ""
    content: str = ""
    published: datetime | None = None
    updated: datetime | None = None
    authors: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedFeed:
    """A feed document after parsing. `warning` says what was repaired on the way, if anything; `older` is the address
    of the document that holds what came before (RFC 5005, JSON Feed's next_url)."""

    title: str = ""
    link: str | None = None
    language: str | None = None
    entries: tuple[ParsedEntry, ...] = ()
    warning: str | None = None
    older: str | None = None
    hubs: tuple[str, ...] = ()
    topic: str | None = None
    """Its hubs, and its own name for itself (WebSub section 4)."""


class FetchReason(StrEnum):
    """Why a fetch or a parse brought nothing."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REFUSED_ADDRESS = "refused_address"
    BAD_URL = "bad_url"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    HTTP_STATUS = "http_status"
    TOO_LARGE = "too_large"
    BAD_ENCODING = "bad_encoding"
    EMPTY = "empty"
    NOT_A_FEED = "not_a_feed"
    UNPARSABLE = "unparsable"
    TOO_COMPLEX = "too_complex"
    ROBOTS = "robots"
    STORAGE = "storage"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A body was received whole. `url` is where it came from after redirects.

    `moved`: every redirect on the way was permanent (301, 308), so `url` is the new address. `fresh_for` is how long
    the server says that nothing will change. `links` are its Link headers.
    """

    url: str
    body: bytes
    content_type: str = ""
    validators: Validators = Validators()
    moved: bool = False
    fresh_for: timedelta | None = None
    links: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NotModified:
    """The server says that nothing changed (304). `moved` and `fresh_for` as in `Fetched`."""

    url: str
    moved: bool = False
    fresh_for: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """The server asks us to come back later (429, 503 with Retry-After)."""

    url: str
    status: int
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """The server says that this address is retired for good (410)."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Nothing usable was received; `detail` is for a person."""

    url: str
    reason: FetchReason
    detail: str
    status: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Nothing was asked: the turn at this address's host did not come in time, or the host had asked us, over another
    address, to leave it alone for `wait`."""

    url: str
    wait: timedelta | None = None


FetchResult = Fetched | NotModified | Limited | Gone | Failed | Busy


class FeedState(StrEnum):
    """What the last polls say of a feed.

    QUIET answers well and has published nothing for longer than its rhythm explains; MOVED is answered from another
    address, which is not trusted yet; LIMITED is asked by its server to wait. None of them ends the polling.
    """

    NEW = "new"
    HEALTHY = "healthy"
    QUIET = "quiet"
    FAILING = "failing"
    LIMITED = "limited"
    MOVED = "moved"
    GONE = "gone"


class NoticeKind(StrEnum):
    """What the owner of a feed is told about it."""

    FAILING = "failing"
    LIMITED = "limited"
    GONE = "gone"
    QUIET = "quiet"
    MOVED = "moved"
    ADDRESS_LEARNED = "address_learned"
    ADDRESS_DROPPED = "address_dropped"
    GAP = "gap"
    GAP_CLOSED = "gap_closed"
    RECOVERED = "recovered"
    PUSH_STARTED = "push_started"
    PUSH_LOST = "push_lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One operational notice about a feed; `detail` is for a person."""

    kind: NoticeKind
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedNotice:
    """A notice as it is kept."""

    id: int
    feed_id: int
    at: datetime
    kind: NoticeKind
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A permanent redirect as it was seen: where to, how often, since when; `learned` once `to` is asked directly.

    Until then `via` is asked, an address learned before, or the feed's own.
    """

    to: str
    seen: int
    since: datetime
    learned: bool = False
    via: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """How a feed publishes, learned from its newest entries: the usual and the longest pause between two of them."""

    usual: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Entries may have come and gone unseen between two polls; `missing` is an estimate, None without a rhythm."""

    since: datetime
    until: datetime
    missing: int | None


class GapFate(StrEnum):
    """What became of a gap: OPEN until archive pages and the sitemap have been tried.

    FILLED: what was found joins up with what was known, so that nothing is missing; PARTLY: something was found, and it
    does not; UNFILLED: nothing was found.
    """

    OPEN = "open"
    FILLED = "filled"
    PARTLY = "partly"
    UNFILLED = "unfilled"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedGap:
    """A gap as it is kept; `recovered` entries of it were found later, and `detail` says how it went."""

    id: int
    feed_id: int
    opened_at: datetime
    gap: Gap
    fate: GapFate = GapFate.OPEN
    recovered: int = 0
    detail: str = ""
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Selectors:
    """CSS selectors that find the entries of an HTML list page. Within an item, `link` is the link with the longest
    text and `title` that text when they are empty; without `date` the entries have none."""

    item: str
    link: str = ""
    title: str = ""
    date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """JMESPath expressions that find the entries of a JSON document: `items` the list, the others within an item.

    Empty ones find nothing; without `id` an entry is known by its link.
    """

    items: str
    id: str = ""
    title: str = ""
    link: str = ""
    date: str = ""
    text: str = ""


Recipe = Selectors | Paths
"""How the entries are found in a source that is no feed."""


class FullText(StrEnum):
    """Whether an entry's page is fetched for its main text: `auto` when the feed carries only a summary."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class PageFate(StrEnum):
    """What came of the page or document that an entry leads to, where its text was wanted."""

    READ = "read"
    SHORTER = "shorter"
    ROBOTS = "robots"
    UNFETCHED = "unfetched"
    NO_TEXT = "no_text"
    ENCRYPTED = "encrypted"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageNote:
    """The fate of an entry's page; `detail` is for a person. Other than READ, the feed's own words were read."""

    fate: PageFate
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A source that we poll, with what we must remember to poll it politely."""

    id: int
    url: str
    title: str
    state: FeedState
    tier: Tier
    full_text: FullText
    interval: timedelta
    next_due_at: datetime
    jurisdiction: str | None = None
    language: str | None = None
    validators: Validators = Validators()
    body_hash: str | None = None
    failures: int = 0
    reason: FetchReason | None = None
    problem: str | None = None
    last_polled_at: datetime | None = None
    last_ok_at: datetime | None = None
    entries: int = 0
    managed: bool = False
    polled_once: bool = False
    lease_token: int = 0
    kind: str | None = None
    tags: tuple[str, ...] = ()
    added_at: datetime | None = None
    state_since: datetime | None = None
    validated_at: datetime | None = None
    """When the validators came with a document: a server that answers 304 to anything is not believed for ever."""
    move: Move | None = None
    rhythm: Rhythm | None = None
    last_news_at: datetime | None = None
    pace: timedelta | None = None
    """How often it is polled at present; `interval` is what a person asked for."""
    gaps: int = 0
    recipe: Recipe | None = None
    pushed_until: datetime | None = None
    """Until when its hub has promised to push it; polling is a safety net meanwhile."""
    sends: tuple[str, ...] = ()
    """Names of the headers that its server wants to be shown; their values are sealed."""

    @property
    def address(self) -> str:
        """Where it is fetched from: its new address once that is learned."""
        if self.move is None:
            return self.url
        return self.move.to if self.move.learned else self.move.via or self.url


class PushState(StrEnum):
    """How far a hub's promise to push a feed (WebSub) has come.

    REQUESTED: the hub was asked and has not asked back; DENIED and FAILED are tried again; LEAVING is being ended.
    """

    WANTED = "wanted"
    REQUESTED = "requested"
    ACTIVE = "active"
    DENIED = "denied"
    FAILED = "failed"
    LEAVING = "leaving"


class PushRefusal(StrEnum):
    """Why a document that was sent to a push's address was not taken."""

    NO_SIGNATURE = "no_signature"
    UNKNOWN_ALGORITHM = "unknown_algorithm"
    BAD_SIGNATURE = "bad_signature"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """A feed's documents as its hub sends them: what was agreed, and what came of it. Holds no secret.

    `next_at` is when the hub is asked next; `fence` tells an answer from one that was overtaken.
    """

    id: int
    feed_id: int
    hub: str
    topic: str
    state: PushState
    next_at: datetime
    lease_until: datetime | None = None
    asked_at: datetime | None = None
    attempts: int = 0
    problem: str | None = None
    taken: int = 0
    last_taken_at: datetime | None = None
    refused: int = 0
    last_refusal: PushRefusal | None = None
    fence: int = 0

    def is_live(self, now: datetime) -> bool:
        """Whether the hub has promised to push now."""
        return self.state is PushState.ACTIVE and self.lease_until is not None and now < self.lease_until


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedUpdate:
    """What one poll changes in a feed: the decision of `polling.after_poll`."""

    state: FeedState
    next_due_at: datetime
    failures: int
    validators: Validators
    body_hash: str | None
    reason: FetchReason | None = None
    problem: str | None = None
    title: str | None = None
    ok: bool = False
    validated_at: datetime | None = None
    move: Move | None = None
    rhythm: Rhythm | None = None
    last_news_at: datetime | None = None
    pace: timedelta | None = None
    gap: Gap | None = None
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One item of a feed as text: what the reading floor sees. `lang` is None until it is detected."""

    id: str
    title: str
    summary: str = ""
    content: str = ""
    source: str = ""
    link: str = ""
    lang: str | None = None
    published: datetime | None = None
    tier: Tier = Tier.UNKNOWN


class EntryState(StrEnum):
    """NEW waits to be processed; HISTORY was already old when its feed was added and raises nothing."""

    NEW = "new"
    DONE = "done"
    HISTORY = "history"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedEntry:
    """An entry leased to one process step, with what it needs to know of its feed; with `drill` it is made up."""

    entry: Entry
    feed_id: int
    tier: Tier
    full_text: FullText
    jurisdiction: str | None
    received_at: datetime
    attempts: int
    lease_token: int
    drill: bool = False


# --- what is read -------------------------------------------------------------------------------------------------


class ConceptKind(StrEnum):
    __hash__ = str.__hash__  # an enum's own hash is slow, and concepts are looked up everywhere

    JURISDICTION = "jurisdiction"
    TOPIC = "topic"
    ACTION = "action"
    STAGE = "stage"
    DIRECTION = "direction"
    CUE = "cue"


class Concept(NamedTuple):
    """A node of the lexicon: kind and name, such as jurisdiction:CN, topic:stablecoin, cue:denial.

    A tuple, since concepts are looked up everywhere: a dataclass takes five times as long to be hashed and compared.
    """

    kind: ConceptKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A stretch of the original text: `entry.<field>[start:end] == text`."""

    field: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Development:
    """One policy act that an entry reports as news: who does what about which topic, how far along, which way.

    `evidence` are the words it was read from, `quotes` the sentences that say it, for a person. `is_likely` where no
    word that is listed says what is done: the text as a whole makes this act likely.
    """

    jurisdiction: str
    topic: Topic
    action: Action
    direction: Direction
    stage: Stage
    evidence: tuple[Evidence, ...] = ()
    quotes: tuple[Evidence, ...] = ()
    is_likely: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read in one entry: its language and the developments it reports as news."""

    lang: str
    developments: tuple[Development, ...] = ()


class Step(StrEnum):
    """The step at which a rule said no, in the order in which they are taken: named as the key of the rule at fault."""

    STATUS = "status"
    LANGUAGES = "languages"
    SOURCES = "sources"
    DEVELOPMENT = "no_development"
    JURISDICTIONS = "jurisdictions"
    TOPICS = "topics"
    ACTIONS = "actions"
    WHEN = "when"
    NONE = "none"
    STAGE = "stage"
    DIRECTION = "direction"
    UNCLEAR = "unclear"

    @property
    def rank(self) -> int:
        return list(Step).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A rule that fired on an entry, with what made it fire. `digest` is of the rule as it stood.

    `severity` is the rule's, or a louder one that its `escalate` gives for this entry. `unclear` names the keys of
    the rule ("direction", "stage") that the entry left open and the rule lets pass.
    """

    rule_id: str
    digest: str
    severity: Severity
    developments: tuple[Development, ...]
    evidence: tuple[Evidence, ...]
    unclear: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """A rule that did not fire: the first step that failed and what was missing there.

    `near` are the places in the entry that came nearest: the terms of the rule that it does say, and those that it
    says elsewhere than where the rule needs them. `missing` counts what keeps the rule from firing.
    """

    rule_id: str
    step: Step
    detail: str
    near: tuple[Evidence, ...] = ()
    missing: int = 1


# --- what is remembered -------------------------------------------------------------------------------------------


class PlacementReason(StrEnum):
    """Why an entry stands in its story: what it shares with the story it joined, or why its event is a new one."""

    SAME_LINK = "same_link"
    SAME_TEXT = "same_text"
    SAME_ACT = "same_act"
    RELATED_ACT = "related_act"  # told as another act or topic, but names, figures, dates or wording agree
    SAME_FACTS = "same_facts"  # no act to compare: names, figures, dates and wording agree
    FIRST_REPORT = "first_report"
    LATER_STEP = "later_step"
    REVERSAL = "reversal"
    OTHER_PLACE = "other_place"
    OTHER_LAW = "other_law"
    OTHER_DATE = "other_date"
    OTHER_FIGURE = "other_figure"
    OTHER_NAME = "other_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a text names that tells its event from others like it.

    `head` are the terms of the headline, `whole` those of headline and lead, each with its kind before a colon:
    `n:` number of a law or case, `a:` amount, `m:` month, `d:` day, `w:` name,
    `b:` body. `words` are the headline's stems, to be
    compared within one language; `lead` the stems and bare numbers of headline and lead; `places` the jurisdictions
    that the headline names; `denies` tells that it denies what others report.
    """

    lang: str = ""
    head: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    lead: frozenset[str] = frozenset()
    places: frozenset[str] = frozenset()
    denies: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryKey:
    """What is compared when deciding whether two entries report one event."""

    developments: tuple[Development, ...]
    link: str
    sketch: tuple[int, ...]
    title: str
    traits: Traits = Traits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A story with the keys of its entries: the first ones and the newest, however many there are."""

    id: int
    opened_at: datetime
    last_at: datetime
    members: tuple[StoryKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where an entry goes: into `story_id`, or into a new story when that is None.

    `predecessor` is the story of the same measure that a new story comes after; `rival` the story that looked alike
    and was told apart for `reason`.
    """

    story_id: int | None
    reason: PlacementReason
    predecessor: int | None = None
    rival: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One report of a story, as shown to a reader."""

    entry_id: int
    title: str
    source: str
    link: str
    lang: str | None
    published: datetime | None


class UpdateReason(StrEnum):
    """Why those who were told of a story hear of it again; whatever else joins it is counted as a further source."""

    CONFIRMED = "confirmed"
    OFFICIAL_SOURCE = "official_source"
    DIRECTION_CLARIFIED = "direction_clarified"
    SEVERITY_RAISED = "severity_raised"
    JURISDICTION_ADDED = "jurisdiction_added"
    CORRECTION = "correction"
    RETRACTION = "retraction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What changed in an alert after it was raised; `detail` says it to a person, `entry_id` brought it."""

    id: int
    reason: UpdateReason
    detail: str
    entry_id: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Predecessor:
    """The story of the same measure's step before: its alert, if it raised one, and what has changed since."""

    story_id: int
    alert_id: int | None
    title: str
    at: datetime
    changed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A story that some rule matched: raised once, and listing every rule that matched it.

    `unclear` names what a rule asked for and the text leaves open: "direction", "stage".
    """

    id: int
    story_id: int
    raised_at: datetime
    title: str
    severity: Severity
    rules: tuple[str, ...]
    developments: tuple[Development, ...]
    evidence: tuple[Evidence, ...]
    sources: tuple[Source, ...]
    unclear: tuple[str, ...] = ()
    predecessor: Predecessor | None = None
    updates: tuple[Update, ...] = ()
    reports: int = 0
    """How many reports the story has, where `sources` holds the first of them only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What a member of a team says of an alert."""

    by: str
    text: str
    at: datetime


# --- who is told --------------------------------------------------------------------------------------------------


class Scope(StrEnum):
    """What an API key may do: each includes those before it. `decide` adds decisions about alerts to `read`."""

    READ = "read"
    DECIDE = "decide"
    WRITE = "write"
    ADMIN = "admin"


class ChangeKind(StrEnum):
    """What was done to a thing."""

    CREATED = "created"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of the audit log: who did what to which thing, and how it stood before and after.

    `thing` is its noun and `number` its id; `team` is None where the thing is shared by all. What is secret in
    `before` and `after` is hidden.
    """

    id: int
    at: datetime
    team: str | None
    actor: str
    kind: ChangeKind
    thing: str
    number: int | None
    before: Mapping[str, object] | None
    after: Mapping[str, object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An API key without its secret part."""

    id: int
    team: str
    name: str
    prefix: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class Language(StrEnum):
    """What our own words may be written in; titles and evidence stay as they were published."""

    ENGLISH = "en"
    CHINESE = "zh"
    KOREAN = "ko"
    JAPANESE = "ja"
    SPANISH = "es"


class ChannelKind(StrEnum):
    WEBHOOK = "webhook"
    SLACK = "slack"
    TELEGRAM = "telegram"
    EMAIL = "email"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeys:
    """What signs a webhook's messages (Standard Webhooks): `secret` (`whsec_…`, HMAC-SHA256, the receiver has it too)
    and `private` (`whsk_…`, Ed25519, of which the receiver has the public half only), if there is one.

    Keys that were replaced sign beside the new ones before `until`; None for the current ones.
    """

    secret: Secret
    private: Secret | None = None
    until: datetime | None = None


class DisabledReason(StrEnum):
    """Why nothing is sent to a channel until a person enables it again."""

    GONE = "gone"  # it answered 410
    FAILING = "failing"  # nothing but failures for five days


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelHealth:
    """How a channel stands. `failing_since` is its first failure since it last accepted something, `told` whether
    somebody was told that it fails; `disabled_at` is set while nothing is sent to it, and `disabled_because` says why.
    """

    failing_since: datetime | None = None
    last_failed_at: datetime | None = None
    told: bool = False
    disabled_at: datetime | None = None
    disabled_because: DisabledReason | None = None


HEALTHY = ChannelHealth()


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A destination: a signed webhook (http, https), a mail address (mailto:), or another Apprise URL.

    `keys` are a webhook's, the current ones first; empty for other kinds.
    `shown` is the address with its secrets masked: the only form that leaves the service.
    """

    id: int
    kind: ChannelKind
    url: Secret
    shown: str
    keys: tuple[SigningKeys, ...] = ()
    health: ChannelHealth = HEALTHY


class ChannelNoticeKind(StrEnum):
    """What is told about a channel, over another one."""

    FAILING = "failing"
    RECOVERED = "recovered"
    DISABLED = "disabled"
    GIVEN_UP = "given_up"
    DRILL_MISSED = "drill_missed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelReport:
    """Something about a channel that somebody is told; `shown` is its masked address."""

    channel_id: int
    shown: str
    kind: ChannelNoticeKind
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """What a watch does not want: developments of any of these, and matches of any of these rules."""

    jurisdictions: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    topics: tuple[Topic, ...] = ()
    actions: tuple[Action, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a report came from, as far as watches ask: its feed's tier and tags, and the language it is in."""

    tier: Tier
    language: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What a subscription selects. An empty set means "any"; `rules` are ids or shell patterns, and `packs` names of
    shipped files of rules: a rule is selected by either.

    `groups` are names of groups of jurisdictions, which stand for their members as they are at the time. `tiers`,
    `languages` and `tags` are those of the report; `exclude` takes out of what all the others let in.
    """

    jurisdictions: tuple[str, ...] = ()
    topics: tuple[Topic, ...] = ()
    actions: tuple[Action, ...] = ()
    rules: tuple[str, ...] = ()
    min_severity: Severity = Severity.INFO
    groups: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()
    directions: tuple[Direction, ...] = ()
    tiers: tuple[Tier, ...] = ()
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    exclude: Exclusion = Exclusion()
    packs: tuple[str, ...] = ()


class Schedule(StrEnum):
    """When a channel hears of an alert. `escalation`: only of those that nobody decided in time."""

    IMMEDIATE = "immediate"
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    ESCALATION = "escalation"


class Weekday(StrEnum):
    """In the order of `date.weekday`."""

    MONDAY = "mon"
    TUESDAY = "tue"
    WEDNESDAY = "wed"
    THURSDAY = "thu"
    FRIDAY = "fri"
    SATURDAY = "sat"
    SUNDAY = "sun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quiet:
    """Hours of each day in which nothing is sent, by the clock of the subscription's zone; `until` may be tomorrow."""

    since: time
    until: time


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When a subscription's alerts are told. Times are those of `zone` (IANA).

    `budget` alerts a day are told at once, None: any number. From `urgent` on an alert waits for nothing; None: every
    alert may have to. `escalate_after` is the time after which an alert that nobody decided is told elsewhere.
    """

    schedule: Schedule = Schedule.IMMEDIATE
    at: time = time(8)
    on: Weekday = Weekday.MONDAY
    zone: str = "UTC"
    quiet: Quiet | None = None
    budget: int | None = None
    urgent: Severity | None = Severity.CRITICAL
    escalate_after: timedelta | None = None


AT_ONCE = Timing()


class Notices(StrEnum):
    """What a subscription hears about the feeds themselves: of gaps, of everything, or of that and no alerts at all."""

    OFF = "off"
    GAPS = "gaps"
    ALL = "all"
    ONLY = "only"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedReport:
    """A notice about a feed as a reader is told it."""

    feed_id: int
    name: str
    url: str
    kind: NoticeKind
    detail: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Who wants which alerts, and where, and when; with `mute_rumours`, no rumour of what an official text has told.

    `schedules` are those of channels that have one of their own, by channel id; `unsubscribed` says since when a
    channel hears no more because its reader asked for that. `match` are expressions of its own (see `domain.own`): with
    them, of the rules that all share it hears of those that its watch names.
    """

    id: int
    team: str
    name: str
    watch: Watch
    channels: tuple[Channel, ...]
    created_at: datetime
    active: bool = True
    managed: bool = False
    mute_rumours: bool = False
    notices: Notices = Notices.GAPS
    language: Language = Language.ENGLISH
    timing: Timing = AT_ONCE
    schedules: Mapping[int, Schedule] = field(default_factory=dict)
    unsubscribed: Mapping[int, datetime] = field(default_factory=dict)
    match: tuple[str, ...] = ()

    @property
    def hearing(self) -> tuple[Channel, ...]:
        """The channels that may be told of something."""
        return tuple(channel for channel in self.channels if channel.id not in self.unsubscribed)

    def schedule_of(self, channel_id: int) -> Schedule:
        return self.schedules.get(channel_id, self.timing.schedule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """What a team does not want to hear of until `expires_at`: somebody answers for it, and says why."""

    id: int
    team: str
    owner: str
    reason: str
    watch: Watch
    made_at: datetime
    expires_at: datetime


class RouteReason(StrEnum):
    """What became of one match for one subscription: every match ends in exactly one of these each time."""

    DELIVERED = "delivered"
    QUIET_HOURS = "quiet_hours"  # in the outbox, to be sent when they end
    IN_DIGEST = "in_digest"  # a digest with it is in the outbox
    FOR_DIGEST = "for_digest"  # waits for the next digest, as the schedule says
    OVER_BUDGET = "over_budget"  # waits for the next digest, because the day's budget is spent
    ALREADY_TOLD = "already_told"
    NOT_WATCHED = "not_watched"
    BELOW_SEVERITY = "below_severity"
    UNCONFIRMED = "unconfirmed"
    THROTTLED = "throttled"
    SILENCED = "silenced"
    RUMOUR_MUTED = "rumour_muted"  # an official text has told of the act, and the subscription asks for no rumours then
    INACTIVE = "inactive"
    NO_CHANNEL = "no_channel"
    NO_SUBSCRIPTION = "no_subscription"

    @property
    def is_told(self) -> bool:
        """Whether a message with it is in the outbox, or was: the ledger counts it as delivered."""
        return self in (RouteReason.DELIVERED, RouteReason.QUIET_HOURS, RouteReason.IN_DIGEST)

    @property
    def waits(self) -> bool:
        """Whether a digest will tell it."""
        return self in (RouteReason.FOR_DIGEST, RouteReason.OVER_BUDGET)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How one channel hears of it: at `due_at` by itself, or in the digest of that time (also a rumour)."""

    channel_id: int
    reason: RouteReason
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The decision for one rule's match and one subscription (None: nobody subscribes to anything)."""

    rule_id: str
    subscription_id: int | None
    reason: RouteReason
    tellings: tuple[Telling, ...] = ()

    @property
    def channel_ids(self) -> tuple[int, ...]:
        return tuple(telling.channel_id for telling in self.tellings)


class ItemReason(StrEnum):
    """Why something stands in a digest."""

    SCHEDULE = "schedule"
    OVER_BUDGET = "over_budget"
    UNCONFIRMED = "unconfirmed"  # a rumour: its rule waits for confirmation
    UPDATED = "updated"  # an earlier digest had it, and it has changed since


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestItem:
    """An alert as a digest lists it; `updates` are those since an earlier digest had it."""

    alert_id: int
    title: str
    severity: Severity
    developments: tuple[Development, ...]
    source: Source | None
    sources: int
    reason: ItemReason
    updates: tuple[Update, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many alerts of a jurisdiction concerned the subscription in the last seven days, and in the seven before."""

    jurisdiction: str
    week: int
    week_before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What one channel is told of at once. `held` are the matches of this time that nobody is told of, by reason."""

    since: datetime
    until: datetime
    items: tuple[DigestItem, ...]
    tallies: tuple[Tally, ...]
    held: tuple[tuple[RouteReason, int], ...]


class Verdict(StrEnum):
    """What a person decided about an alert."""

    APPLICABLE = "applicable"
    NOT_APPLICABLE = "not_applicable"
    DEFERRED = "deferred"
    ASSIGNED = "assigned"  # somebody is to decide: not a decision yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A team's decision about an alert: who, why and when; `until` of one deferred, `assignee` of one assigned.

    `delivery_id` is the message whose link it was made with, if it was.
    """

    verdict: Verdict
    by: str
    reason: str
    at: datetime
    until: date | None = None
    assignee: str = ""
    delivery_id: int | None = None


class EscalationEnd(StrEnum):
    """What became of an alert's escalation when its time had come."""

    ESCALATED = "escalated"
    DECIDED = "decided"
    DEFERRED = "deferred"  # a person put it off: it is looked at again on that day
    INACTIVE = "inactive"  # the subscription was switched off meanwhile
    NO_CHANNEL = "no_channel"  # none of its channels has the schedule "escalation", or all have been told


class DeliveryKind(StrEnum):
    ALERT = "alert"
    UPDATE = "update"
    DIGEST = "digest"
    ESCALATION = "escalation"
    NOTICE = "notice"
    CHANNEL_NOTICE = "channel_notice"
    DRILL = "drill"
    UNSUBSCRIBED = "unsubscribed"  # another channel hears no more
    TEST = "test"


class DeliveryState(StrEnum):
    """PENDING waits for its due time or for a worker's lease to end; the other states are final."""

    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One alert, update or escalation of it, digest, message about feeds or about channels, drill or test message to
    one channel: a row of the outbox.

    `message_id` is the same on every attempt and holds no dot, so that a receiver can discard a repeat. `attempts`
    counts this one too; `tries` counts since the schedule of attempts last began. `thread` is the `message_id` by which
    this channel was told of the alert that an update belongs to. `repeat`: an earlier attempt may have been accepted.
    `left` is the masked address of the channel that hears no more of the subscription, of a message that tells of such.
    """

    id: int
    message_id: str
    kind: DeliveryKind
    channel: Channel
    alert: Alert | None
    team: str
    subscription: str
    subscription_id: int | None = None  # None where it belongs to none: a test
    attempts: int
    tries: int = 1
    created_at: datetime
    lease_token: int
    reports: tuple[FeedReport, ...] = ()
    channel_reports: tuple[ChannelReport, ...] = ()
    language: Language = Language.ENGLISH
    thread: str | None = None
    digest: Digest | None = None
    repeat: bool = False
    left: str = ""


class OutcomeStatus(StrEnum):
    SENT = "sent"
    RETRY = "retry"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a receiver said: the headers that explain an answer, and the beginning of its body, without secrets."""

    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one attempt. `detail` is for a person and holds no secret; nor does `answer`, if there was one."""

    status: OutcomeStatus
    detail: str = ""
    http_status: int | None = None
    retry_after: timedelta | None = None
    answer: Answer | None = field(default=None, compare=False)  # it only explains what was decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What a delivery becomes after an attempt: the decision of `routing.after_attempt`. Until `rest_until` its channel
    is sent nothing."""

    state: DeliveryState
    due_at: datetime
    outcome: Outcome
    rest_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A rendered message for one kind of channel.

    `title` and `body` are plain text. `html` is only for mail, and so are `thread`, the id of the message that this one
    follows, and `unsubscribe`, the link that ends such mails; `payload` only for webhooks (JSON bytes). `fields` are
    members of the JSON that a chat service is sent, in its own markup; `markdown` is for the services that show it.
    """

    title: str
    body: str
    html: str | None = None
    payload: bytes | None = None
    thread: str | None = None
    unsubscribe: str | None = None
    fields: Mapping[str, object] | None = None
    markdown: str | None = None
