"""What a language must bring. Texts in braces are filled in; every language fills in the same ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.domain.dates import Meaning
from service.domain.links import LinkRefusal
from service.domain.model import Action, Direction, RouteReason, Severity, Stage, Topic, UpdateReason, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One language. `locale` names the countries (CLDR); `places` are those that CLDR names too officially or not."""

    locale: str
    tag: str  # BCP 47, for the lang attribute of HTML
    places: Mapping[str, str]
    actions: Mapping[Action, str]  # {} is the topic
    topics: Mapping[Topic, str]
    stages: Mapping[Stage, str]
    directions: Mapping[Direction, str]
    severities: Mapping[Severity, str]
    updates: Mapping[UpdateReason, str]

    # A development and a headline.
    act: str  # {place} {act} {direction}
    act_at_stage: str  # {place} {act} {stage} {direction}
    loud: str  # {severity} {headline}
    and_more: str  # {headline} {count}
    no_title: str
    update: str
    updated: str  # {kind} {headline}

    # Paragraphs.
    developments: str
    changed: str  # {kind} {detail}
    more: str  # {count}
    unclear: str  # {what}
    open_action: str
    open_direction: str
    open_stage: str
    open_and: str
    also_reported: str
    reported_by: str  # {sources}
    reported_in: str  # {sources} {languages}
    follows: str  # {title} {which}
    follows_with: str  # {title} {which} {changed}
    which_alert: str  # {alert} {date}
    quote: str  # {text}
    heading: str  # {text}: a line above a list

    # A digest.
    digest: str  # {count} {subscription}
    group: str  # {place} {direction} {week} {before}
    ungrouped: str
    item: str  # {severity} {act}
    rumour: str  # {act}
    item_updated: str  # {act} {detail}
    digest_total: str  # {count} {since} {until}
    digest_over: str  # {count}
    digest_rumours: str  # {count}
    held: str  # {held}
    held_reasons: Mapping[RouteReason, str]  # {count}
    digest_foot: str  # {subscription} {team}
    escalated: str  # {headline}
    undecided: str

    # A day in a calendar.
    days: Mapping[Meaning, str]  # {headline}

    # Under every message.
    matched_by: str  # {rules}
    matched_by_none: str
    raised: str  # {alert} {time} {subscription} {team}
    raised_late: str
    test_title: str
    test_body: str  # {subscription} {team}
    sent_again: str
    drill: str  # {headline}
    drill_body: str  # {subscription} {team}

    # Links in a message, and the pages that they lead to.
    decide: str
    decide_until: str  # {time}
    page_decide: str  # {alert}
    page_whose: str  # {subscription} {team}
    page_once: str  # {time}
    page_by: str
    buttons: Mapping[Verdict, str]
    verdicts: Mapping[Verdict, str]
    page_reason: str
    page_until: str
    page_later: str
    page_assignee: str
    page_stands: str
    page_decided: str  # {by} {time} {verdict}
    page_thanks: str
    page_used: str
    refusals: Mapping[LinkRefusal, str]
    missing: Mapping[str, str]  # by field of the form
    page_unsubscribe: str
    page_unsubscribe_ask: str  # {subscription} {team} {address}
    page_unsubscribe_button: str
    page_unsubscribed: str  # {subscription} {team} {address}
    left_title: str  # {subscription} {team}

    # What changed: our own short sentences (domain/updates, domain/stories), word for word in English.
    phrases: Mapping[str, str]
