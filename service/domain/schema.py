"""The form of a rule file as a JSON Schema, for editors: made of the same words and bounds that the reader uses.

What the reader accepts the schema accepts. It sees form alone: what a shorthand says, which jurisdictions and groups
there are, ids used twice, a number in words out of bounds and terms that no development can meet are the reader's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from service.domain.model import Action, Direction, Severity, Stage, Step, Tier, Topic
from service.domain.rule import Exempt, Per, Reach, Status, Unclear
from service.domain.rulefile import ENTRY_KEYS, KEYS, MAX_ID, PACK_KEYS, TEXT_KEYS
from service.domain.shorthand import MAX_CHARS
from service.domain.text import LANGUAGES

Json = dict[str, object]


def file_schema() -> Json:
    """The schema of a whole file; plain values that JSON can hold, in a fixed order."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "policywatch rules",
        "description": "A list of rules, or a mapping with `rules:` and an optional `pack:`.",
        "anyOf": [_ref("rules"), _mapping({"pack": _PACK, "rules": _RULES}, required=("rules",))],
        "$defs": {
            "rules": {"type": "array", "items": _ref("rule")},
            "rule": {"anyOf": [_ref("shorthand"), _rule()]},
            "shorthand": _SHORTHAND,
            "condition": {"anyOf": [_ref("shorthand"), _ref("group")]},
            "group": _GROUP,
            "text": _TEXT,
            "texts": _several(_TEXT),
            "jurisdictions": _several({"type": "string", "pattern": _SAYS_SOMETHING, "examples": ["SG", "Nordics"]}),
            "topics": _several(_one_of(Topic)),
            "actions": _several(_one_of(Action)),
            "stages": _several(_one_of(Stage)),
            "directions": _several(_one_of(Direction)),
            "tiers": _several(_one_of(Tier)),
            "severity": _one_of(Severity),
        },
    }


# --- building blocks ----------------------------------------------------------------------------------------------

_SAYS_SOMETHING = r"\S"
_DURATION = r"^[0-9]{1,12}(\.[0-9]{1,6})?\s*[smhd]$"
_TEXT: Json = {"type": "string", "pattern": _SAYS_SOMETHING}


def _ref(name: str) -> Json:
    return {"$ref": f"#/$defs/{name}"}


def _one_of(names: Iterable[str]) -> Json:
    return {"enum": [str(name) for name in names]}


def _several(one: Json) -> Json:
    """One, or a list of them: a key that takes a list also takes a single text."""
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _about(form: Json, description: str, example: object) -> Json:
    """What an editor shows beside a key."""
    return {"description": description, "examples": [example], **form}


def _mapping(keys: Mapping[str, object], *, required: Iterable[str] = (), **more: object) -> Json:
    needed: Json = {"required": list(required)} if required else {}
    return {"type": "object", "properties": dict(keys), "additionalProperties": False, **needed, **more}


_RULES = _about(
    _ref("rules"), "The rules: each a shorthand, or a mapping with more to it.", ["China + stablecoin + ban"]
)


def _any_key_of(keys: Iterable[str]) -> list[Json]:
    return [{"required": [key]} for key in keys]


# --- conditions ---------------------------------------------------------------------------------------------------

_SHORTHAND = _about(
    {"type": "string", "pattern": _SAYS_SOMETHING, "maxLength": MAX_CHARS},
    "A shorthand: concepts and words joined by +, alternatives (a | b) in brackets, exclusions with a minus.",
    "China + stablecoin + (ban | restriction) -Japan",
)
_LISTED: Json = {"type": "array", "items": _ref("condition"), "minItems": 1}
_GROUP = _mapping(
    {
        "all": _about(_LISTED, "Each of these must be met.", ["China", "stablecoin"]),
        "any": _about(_LISTED, "One of these must be met.", ["ban", "restriction"]),
        "none": _about(_LISTED, "None of these may be met.", ["Japan"]),
        "within": _about(
            {"type": "string", "pattern": r"^(sentence|paragraph|0*([2-9]|[1-9][0-9]{1,2}|1000) words?)$"},
            "All of this group stands together: in one sentence, one paragraph or so many words.",
            "12 words",
        ),
    },
    anyOf=_any_key_of(("all", "any", "none")),
)

# --- parts of a rule ----------------------------------------------------------------------------------------------

_SCOPE: dict[str, Json] = {
    "jurisdictions": _about(
        _ref("jurisdictions"),
        "Codes (ISO 3166-1, HK, MO, EU, INTL) or names of groups such as Central Asia; any without it.",
        ["SG", "HK", "AE"],
    ),
    "topics": _about(_ref("topics"), "What the act is about; any without it.", ["stablecoin", "exchange"]),
    "actions": _about(_ref("actions"), "What was done; any without it.", ["ban", "licensing"]),
    "stage": _about(_ref("stages"), "How far the measure has come: one stage or a list.", ["enacted", "in-force"]),
    "direction": _about(_ref("directions"), "Which way it goes: one direction or a list.", "tightening"),
}
_TIERS = _about(_ref("tiers"), "How close the source is to the act it reports.", ["official", "wire"])
_LANGUAGE_NAMES = tuple(dict.fromkeys(name for lang in LANGUAGES for name in (lang.partition("-")[0], lang)))

_PACK_SAYS = {
    "id": ("A short name.", "apac"),
    "title": ("What it is called.", "Asia and the Pacific"),
    "description": ("Whom it is for.", "Licences and bans where we have clients."),
    "version": ("In quotes: 1.10 is a number.", "1.10"),
}
_PACK = _about(
    _mapping({key: _about(_TEXT, *_PACK_SAYS[key]) for key in PACK_KEYS}),
    "What this file is, for files that are passed on.",
    {"id": "apac", "title": "Asia and the Pacific", "version": "1"},
)
_SOURCES = _about(
    _mapping(
        {
            "tiers": _TIERS,
            "include": _about(_ref("texts"), "Only these outlets or hosts; * stands for anything.", "*.gov.sg"),
            "exclude": _about(_ref("texts"), "None of these outlets or hosts.", ["example-aggregator"]),
        },
        minProperties=1,
    ),
    "Which sources the rule believes; any without it.",
    {"tiers": ["official", "wire"], "exclude": ["example-aggregator"]},
)
_ESCALATION = _mapping(
    {
        "when": _about(
            _mapping({**_SCOPE, "tier": _TIERS}, minProperties=1),
            "What the development or its source must be.",
            {"stage": "in-force", "tier": "official"},
        ),
        "severity": _about(_ref("severity"), "The severity then.", "critical"),
    },
    required=("when", "severity"),
)
_THROTTLE = _about(
    _mapping(
        {
            "per": _about(_one_of(Per), "What is counted by; story without it.", "story"),
            "every": _about({"type": "string", "pattern": _DURATION}, "A number and a unit of s, m, h or d.", "24h"),
            "except": _about(_several(_one_of(Exempt)), "News that passes all the same.", ["stage-change"]),
        },
        required=("every",),
    ),
    "At most one alert of this rule in that time.",
    {"per": "story", "every": "24h", "except": ["stage-change"]},
)

# --- tests --------------------------------------------------------------------------------------------------------

_FIRES: Json = {"properties": {"fire": {"const": True}}}
_EXPECT = _mapping(
    {
        "fire": _about({"type": "boolean"}, "Whether the rule must fire on this text.", True),
        "because": _about(_one_of(Step), "The step that must say no, for a text that must not fire.", "jurisdictions"),
        **_SCOPE,
        "severity": _about(_ref("severity"), "The severity with which it must fire.", "high"),
    },
    required=("fire",),
    **{"if": _FIRES, "then": {"not": {"required": ["because"]}}, "else": {"required": ["because"]}},
)
_ENTRY: dict[str, Json] = {
    "text": _about(_TEXT, "What to read, as a headline.", "China bans stablecoins"),
    "title": _about(_TEXT, "The headline, where the test also has a summary or content.", "China bans stablecoins"),
    "summary": _about(_TEXT, "What the feed says below the headline.", "The central bank said on Friday …"),
    "content": _about(_TEXT, "The text of the page.", "The central bank said on Friday …"),
    "lang": _about(_TEXT, "The language that the feed declares; recognised without it.", "en"),
    "source": _about(_TEXT, "The name of the outlet.", "example-aggregator"),
    "link": _about(_TEXT, "The address of the page.", "https://news.example/1"),
    "tier": _about(_one_of(Tier), "How close the source is to the act; unknown without it.", "official"),
    "feed": _about(_ref("jurisdictions"), "The code of the jurisdiction whose news the feed carries.", "SG"),
}
_TEST = _mapping(
    {
        **{key: _ENTRY[key] for key in (*TEXT_KEYS, *ENTRY_KEYS)},
        "expect": _about(_EXPECT, "What the rule must say of it.", {"fire": False, "because": "jurisdictions"}),
    },
    required=("expect",),
    anyOf=_any_key_of(TEXT_KEYS),
    **{"not": {"required": ["text", "title"]}},
)

# --- a rule -------------------------------------------------------------------------------------------------------

# As the reader's \w, which JSON Schema has for ASCII alone: nothing of ASCII but letters, digits, - _ and .
_ID = r"^[^\x00-/:-@\[-^`{-\x7f][^\x00-,/:-@\[-^`{-\x7f]*$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_CONFIRM = r"^\s*(official(\s+or\s+[2-9]\s+independent)?|[2-9]\s+independent)\s*$"
_AT_LEAST = rf"^\s*at\s+least\s+[1-9][0-9]{{0,5}}\s+per\s+{_DURATION[1:-1]}\s*$"


def _rule() -> Json:
    """A rule in full: every key of the language, each with what it is for."""
    described: dict[str, Json] = {
        "id": _about(
            {"type": "string", "pattern": _ID, "maxLength": MAX_ID},
            "Letters, digits, - _ and . only; once in all files. Made of the title or the match without it.",
            "apac-licensing",
        ),
        "title": _about(_TEXT, "What an alert is headed with; the match without it.", "New licences in the region"),
        "status": _about(_one_of(Status), "Only active rules fire; active without it.", "draft"),
        "owner": _about(_TEXT, "Who answers for the rule.", "team-apac"),
        "severity": _about(_ref("severity"), "How loud an alert is; medium without it.", "high"),
        "reason": _about(_TEXT, "Why you have this rule.", "We hold a licence there."),
        "references": _about(_ref("texts"), "Such as sections of your policies.", ["internal policy 4.2"]),
        "review-by": _about({"type": "string", "pattern": _DATE}, "A day; you are reminded after it.", "2027-06-30"),
        "languages": _about(
            _several(_one_of(_LANGUAGE_NAMES)), "Only entries in these languages; any without it.", ["en", "zh"]
        ),
        "sources": _SOURCES,
        **_SCOPE,
        "match": _ref("shorthand"),
        "when": _about(_ref("group"), "The condition in full, instead of a match.", {"all": ["China", "(ban | tax)"]}),
        "scope": _about(
            _one_of(Reach),
            "Developments reported as news, or any mention of the terms; reported without it.",
            "mention",
        ),
        "direction": _about(_one_of((*Direction, "any")), "Which way it goes; any without it.", "tightening"),
        "unclear": _about(
            _one_of(Unclear), "What becomes of news that leaves the asked stage or direction open; hold.", "pass"
        ),
        "confirm": _about(
            {"type": "string", "pattern": _CONFIRM},
            "What a story needs before this alerts.",
            "official or 2 independent",
        ),
        "escalate": _about(
            {"type": "array", "items": _ESCALATION, "minItems": 1},
            "When an alert is louder; the loudest that applies counts.",
            [{"when": {"stage": "in-force"}, "severity": "critical"}],
        ),
        "throttle": _THROTTLE,
        "expect": _about(
            {"type": "string", "pattern": _AT_LEAST}, "A rule that is silent for longer is blind.", "at least 1 per 60d"
        ),
        "tests": _about(
            {"type": "array", "items": _TEST, "minItems": 1},
            "Texts that must fire the rule, and texts that must not; run whenever it is loaded.",
            [{"text": "China bans stablecoins", "expect": {"fire": True}}],
        ),
    }
    looks_for = ("match", "when", "jurisdictions", "topics", "actions")
    return _mapping(
        {key: described[key] for key in KEYS},
        anyOf=_any_key_of(looks_for),
        **{"not": {"required": ["match", "when"]}},
    )
