"""English words for a development: `China: ban on stablecoins, proposed (tightening)`. Pure; no markup, no limits."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from babel import Locale

from service.delivery.text import harmless, phrase
from service.domain.model import Action, Alert, Development, Stage, Topic, UpdateReason

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


_UPDATES = {
    UpdateReason.CORRECTION: "Correction",
    UpdateReason.RETRACTION: "Retraction",
    UpdateReason.CONFIRMED: "Confirmed",
}
"""What an update is called if it is of such a kind; "Update" otherwise. The first that applies is said."""


def update_headline(alert: Alert) -> str:
    """The alert's headline behind what has become of it."""
    reasons = {update.reason for update in alert.updates}
    kind = next((name for reason, name in _UPDATES.items() if reason in reasons), "Update")
    return phrase(f"{kind}: {headline(alert)}", TITLE_LIMIT)


def reported_by(alert: Alert) -> str:
    """How widely a story is told: `Reported by 14 sources in 5 languages`; nothing for a single report."""
    sources = len({source.source or source.link for source in alert.sources})
    languages = len({source.lang for source in alert.sources if source.lang})
    if sources < 2:
        return ""
    return f"Reported by {sources} sources" + (f" in {languages} languages" if languages > 1 else "")


def follows(alert: Alert) -> str:
    """Which step of the measure came before, and what changed: `Follows "…" (alert 3, 2026-03-02): stage …`."""
    before = alert.predecessor
    if before is None:
        return ""
    which = f"alert {before.alert_id}, " if before.alert_id else ""
    said = f": {before.changed}" if before.changed else ""
    return f"Follows “{phrase(before.title, 140) or '(no title)'}” ({which}{before.at:%Y-%m-%d}){said}"


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
