"""English words for a development: `China: ban on stablecoins, proposed (tightening)`. Pure; no markup, no limits."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from babel import Locale

from service.delivery.text import harmless, phrase
from service.domain.model import Action, Alert, Development, Stage, Topic

TITLE_LIMIT = 200
"""Characters of a headline: what a mail's subject may have, and less than every other service's title."""

# `{}` is the topic.
_ACTIONS = {
    Action.BAN: "ban on {}",
    Action.RESTRICTION: "restriction on {}",
    Action.LICENSING: "licensing of {}",
    Action.LEGISLATION: "legislation on {}",
    Action.ENFORCEMENT: "enforcement over {}",
    Action.SANCTION: "sanction over {}",
    Action.COURT_RULING: "court ruling on {}",
    Action.CONSULTATION: "consultation on {}",
    Action.GUIDANCE: "guidance on {}",
    Action.WARNING: "warning about {}",
    Action.TAX_CHANGE: "tax change for {}",
    Action.ADOPTION: "adoption of {}",
    Action.SANDBOX: "sandbox for {}",
    Action.APPROVAL: "approval of {}",
    Action.EASING: "easing for {}",
    Action.ADVISORY: "advisory on {}",
    Action.DELAY: "delay for {}",
    Action.STATISTICS: "statistics on {}",
    Action.OTHER: "act on {}",
}
_TOPICS = {
    Topic.STABLECOIN: "stablecoins",
    Topic.EXCHANGE: "crypto exchanges",
    Topic.MINING: "crypto mining",
    Topic.CBDC: "central bank digital currency",
    Topic.TOKEN_OFFERING: "token offerings",
    Topic.TOKENIZATION: "tokenization",
    Topic.DEFI: "decentralised finance",
    Topic.CUSTODY: "custody",
    Topic.PAYMENTS: "payments",
    Topic.FUND_ETF: "funds and ETFs",
    Topic.RESERVE: "reserves",
    Topic.TAX: "taxes",
    Topic.AML: "money laundering",
    Topic.ADVERTISING: "advertising",
    Topic.CRYPTO_GENERAL: "crypto assets",
    Topic.AI: "artificial intelligence",
    Topic.PRIVACY: "privacy",
    Topic.TRADE: "trade",
    Topic.SANCTIONS_GENERAL: "sanctions",
    Topic.BANKING: "banking",
    Topic.OTHER: "another topic",
}
_STAGES = {
    Stage.RUMOURED: "rumoured",
    Stage.CONSIDERING: "being considered",
    Stage.PROPOSED: "proposed",
    Stage.CONSULTATION: "in consultation",
    Stage.PASSED: "passed",
    Stage.ENACTED: "enacted",
    Stage.IN_FORCE: "in force",
    Stage.ENFORCED: "enforced",
    Stage.REAFFIRMED: "reaffirmed",
    Stage.WITHDRAWN: "withdrawn",
    Stage.NOT_APPLICABLE: "",
}
# CLDR calls these by their full constitutional names or does not know them.
_PLACES = {"HK": "Hong Kong", "MO": "Macao", "EU": "European Union", "INTL": "International"}


def headline(alert: Alert) -> str:
    """Who does what about what, how far along, which way; the article's title where no development was read."""
    loud = f"[{alert.severity.upper()}] "
    if not alert.developments:
        return phrase(loud + (harmless(alert.title).strip() or "(no title)"), TITLE_LIMIT)
    first, *others = acts(alert.developments)
    return phrase(loud + first + (f" and {len(others)} more" if others else ""), TITLE_LIMIT)


def describe(development: Development) -> str:
    """One development in words: `China: ban on stablecoins, proposed (tightening)`."""
    act = _ACTIONS[development.action].format(_TOPICS[development.topic])
    stage = _STAGES[development.stage]
    return f"{place(development.jurisdiction)}: {act}{', ' + stage if stage else ''} ({development.direction})"


def place(jurisdiction: str) -> str:
    """The English name of a jurisdiction; an unknown code stands for itself."""
    return _PLACES.get(jurisdiction) or _territories().get(jurisdiction) or phrase(jurisdiction, 40)


@cache
def _territories() -> dict[str, str]:
    return dict(Locale("en").territories)


def acts(developments: Iterable[Development]) -> list[str]:
    """The developments in words, each once, in order."""
    return list(dict.fromkeys(describe(d) for d in developments))
