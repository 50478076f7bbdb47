"""The news of the crash test: a table of countries and acts, each pair one event with a jurisdiction, topic and action
of its own, in two wordings; and texts that report nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from service.domain.model import Action, Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One act of one country on one topic: one alert is due for it, however often it is reported."""

    id: str
    jurisdiction: str
    topic: Topic
    action: Action

    def told(self, wording: int) -> tuple[str, str]:
        """Title and text of a report, in one of two wordings."""
        title, text = ACTIONS[self.action][wording]
        country, about = COUNTRIES[self.jurisdiction], TOPICS[self.topic]
        return title.format(country, about), text.format(country, about)


COUNTRIES = {
    "AL": "Albania", "AM": "Armenia", "AO": "Angola", "AR": "Argentina", "AT": "Austria", "AU": "Australia",
    "AZ": "Azerbaijan", "BB": "Barbados", "BD": "Bangladesh", "BE": "Belgium", "BG": "Bulgaria", "BH": "Bahrain",
    "BN": "Brunei", "BO": "Bolivia", "BR": "Brazil", "BT": "Bhutan", "BW": "Botswana", "BY": "Belarus",
    "CA": "Canada", "CH": "Switzerland", "CL": "Chile", "CM": "Cameroon", "CO": "Colombia", "CR": "Costa Rica",
    "CU": "Cuba", "CY": "Cyprus", "DE": "Germany", "DK": "Denmark", "DZ": "Algeria", "EC": "Ecuador",
    "EE": "Estonia", "EG": "Egypt", "ES": "Spain", "ET": "Ethiopia", "FI": "Finland", "FJ": "Fiji",
    "FR": "France", "GH": "Ghana", "GR": "Greece", "GT": "Guatemala", "HN": "Honduras", "HR": "Croatia",
    "HU": "Hungary", "ID": "Indonesia", "IE": "Ireland", "IL": "Israel", "IS": "Iceland", "IT": "Italy",
    "JM": "Jamaica", "JP": "Japan", "KE": "Kenya", "KG": "Kyrgyzstan", "KH": "Cambodia", "KW": "Kuwait",
    "KZ": "Kazakhstan", "LK": "Sri Lanka", "LT": "Lithuania", "LV": "Latvia", "MA": "Morocco", "MD": "Moldova",
    "MN": "Mongolia", "MT": "Malta", "MU": "Mauritius", "MX": "Mexico", "MY": "Malaysia", "MZ": "Mozambique",
    "NG": "Nigeria", "NO": "Norway", "NP": "Nepal", "PE": "Peru", "PK": "Pakistan", "PL": "Poland",
    "PT": "Portugal", "PY": "Paraguay", "RO": "Romania", "RS": "Serbia", "RW": "Rwanda", "SE": "Sweden",
    "SI": "Slovenia", "SK": "Slovakia", "TH": "Thailand", "TN": "Tunisia", "TZ": "Tanzania", "UA": "Ukraine",
    "UG": "Uganda", "UY": "Uruguay", "UZ": "Uzbekistan", "VN": "Vietnam", "ZA": "South Africa", "ZM": "Zambia",
}  # fmt: skip

TOPICS = {
    Topic.STABLECOIN: "stablecoins",
    Topic.MINING: "crypto mining",
    Topic.EXCHANGE: "crypto exchanges",
    Topic.DEFI: "decentralised finance",
    Topic.CUSTODY: "crypto custody",
    Topic.TOKEN_OFFERING: "initial coin offerings",
    Topic.CRYPTO_GENERAL: "cryptocurrencies",
    Topic.CBDC: "central bank digital currency",
    Topic.ADVERTISING: "crypto advertising",
    Topic.TOKENIZATION: "tokenised securities",
}

ACTIONS = {
    Action.BAN: (
        ("{0} bans {1}", "The government of {0} banned {1} on Monday."),
        ("Government of {0} prohibits {1}", "{0} prohibited {1}, the finance ministry said on Monday."),
    ),
    Action.LICENSING: (
        ("{0} introduces licensing regime for {1}", "The government of {0} introduced a licensing regime for {1}."),
        ("Government of {0} introduces licensing rules for {1}", "{0} introduced licensing rules for {1} on Monday."),
    ),
    Action.CONSULTATION: (
        ("{0} launches consultation on {1}", "The government of {0} launched a public consultation on {1} on Monday."),
        ("Government of {0} begins consultation on {1}", "{0} began a public consultation on {1}, the ministry said."),
    ),
    Action.GUIDANCE: (
        ("{0} issues guidance on {1}", "The government of {0} issued guidance on {1} on Monday."),
        ("Government of {0} publishes guidance on {1}", "{0} published guidance on {1}, the finance ministry said."),
    ),
    Action.WARNING: (
        ("{0} warns public about {1}", "The government of {0} warned the public about {1} on Monday."),
        ("Government of {0} issues warning about {1}", "{0} warned about {1}, the finance ministry said on Monday."),
    ),
}
"""What a government may do, told in two ways; `{0}` is the country and `{1}` what it is about."""

NOTHING = (
    ("Bitcoin price steadies after quiet week", "Traders in {0} saw little movement; the price stayed where it was."),
    ("Football club from {0} signs new goalkeeper", "The contract runs for three seasons, the club said."),
    ("Rain expected in most of {0}", "Umbrellas will be useful until the weekend, forecasters say."),
    ("Bakery in {0} wins prize for its bread", "The jury praised the crust."),
)
"""Texts that must raise nothing."""

STATED, MENDED = "Fines reach 20 million dollars.", "Fines reach 50 million dollars."
"""What a report says at first and what it says when it is corrected: those who were told must hear of it."""

PLACEHOLDER = ("Developing story from {0}", "Details will follow.")
"""What a site publishes before it knows; the entry is corrected into news later."""


def events() -> Iterator[Event]:
    """Every event of the table once; neighbours are of different countries and mostly of different acts."""
    acts = [(topic, action) for action in ACTIONS for topic in TOPICS]
    for round_ in range(len(acts)):
        for place, code in enumerate(COUNTRIES):
            topic, action = acts[(7 * place + round_) % len(acts)]
            yield Event(id=f"e{round_ * len(COUNTRIES) + place:05d}", jurisdiction=code, topic=topic, action=action)
