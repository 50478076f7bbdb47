"""The forms of a word: one key for law and laws, рынок and рынка, Gesetz and Gesetzen, ustawa and ustawy.

The language of the text decides. English is stemmed with care of our own, since Snowball takes a regulator for a
regulation; other languages by Snowball with small repairs. Dictionaries of lemmas were measured and left out: a
gigabyte for these languages, and new words ("stablecoins") are in none of them.
"""

from __future__ import annotations

import re
from functools import lru_cache

import Stemmer

MIN_STEM = 3  # letters

_SNOWBALL = {
    "ar": "arabic", "de": "german", "es": "spanish", "fr": "french", "hi": "hindi", "id": "indonesian",
    "it": "italian", "nl": "dutch", "pl": "polish", "pt": "portuguese", "ru": "russian",
}  # fmt: skip
_SCRIPTS = (
    (re.compile("[\u0400-\u04ff]"), ("ru", "uk")),
    (re.compile("[\u0600-\u06ff]"), ("ar",)),
    (re.compile("[\u0900-\u097f]"), ("hi",)),
    (re.compile(""), ("en", "de", "es", "fr", "id", "it", "nl", "pl", "pt", "tr")),
)
"""The languages whose forms are known, by script; the first of a script takes in words that stray into other texts."""
_VOWEL = re.compile("[aeiouy]")


def _by_form(forms_of: dict[str, str]) -> dict[str, str]:
    return {form: base for base, forms in forms_of.items() for form in forms.split()}


_IRREGULAR = {
    "en": _by_form({
        "buy": "bought", "hold": "held", "sell": "sold", "forbid": "forbade forbidden", "take": "took taken",
        "withdraw": "withdrew withdrawn", "pay": "paid", "give": "gave given", "make": "made", "bring": "brought",
        "seek": "sought", "find": "found", "lose": "lost", "lay": "laid", "lead": "led", "leave": "left",
        "overthrow": "overthrew overthrown", "uphold": "upheld", "withhold": "withheld", "undergo": "underwent",
        "begin": "began begun", "freeze": "froze frozen", "choose": "chose chosen", "write": "wrote written",
        "send": "sent", "spend": "spent", "lend": "lent", "build": "built", "keep": "kept", "meet": "met",
        "child": "children", "man": "men", "woman": "women", "criterion": "criteria", "bind": "bound",
    }),
    "de": _by_form({"erlassen": "erließ erliess", "nehmen": "nahm genommen"}),
    "fr": _by_form({"interdire": "interdit interdits interdite interdites interdisent interdisant"}),
    "nl": _by_form({"verbod": "verboden", "beurs": "beurzen"}),
}  # fmt: skip
_SPELLED = {
    "licenc": "licens", "defenc": "defens", "offenc": "offens", "practic": "practis", "centr": "center",
    "metr": "meter", "analyz": "analys", "chequ": "check",
}  # fmt: skip
_IZE = re.compile(r"(?<=\w{3})iz(?=$|ation$|er$|abl$)")
_UKRAINIAN_ENDING = re.compile(
    r"(?:ськими|ського|ському|ування|ювання|ами|ями|ими|іми|ого|ього|ому|ьому|ій|ої|ою|ею|єю|ів|їв|ах|ях|ам|ям|ом|ем"
    r"|єм|их|іх|им|ий|ая|ає|[аяоеєиіїуюьй])$"
)
_TURKISH_ENDING = re.compile(r"(?:l[ae]r)?(?:s?[iuü])?(?:n?d[ae]n?|t[ae]n?|n?[iuü]n|[ny]?[iuü]|[ny]?[ae]|yl[ae])?$")
"""Plural, possessive and case, by the letters that folding leaves: it makes ı an i."""
_POLISH_VOWELS = str.maketrans("óą", "oę")
_ARABIC_ARTICLE = re.compile(r"^[وف]?(?:[بك]?ال|لل)(?=\w{3})")
_FLEETING = {
    "ru": re.compile(r"(?<=[бвгджзклмнпрстфхцчшщ])[оеё](?=[кцн]$)"),
    "uk": re.compile(r"(?<=[бвгджзклмнпрстфхцчшщ])[ое](?=[кцн]$)"),
    "pl": re.compile(r"(?<=[bcdfghjklmnprstwzłńśźż])e(?=[kc]$)"),
}
"""Vowels that come and go: рынок, рынка; rynek, rynku."""


@lru_cache(maxsize=200_000)
def keys(word: str, lang: str) -> tuple[str, ...]:
    """What all forms of a folded word have in common in a text of this language: by its own rules, and by English."""
    at_home = next(languages for script, languages in _SCRIPTS if script.search(word))
    own = _key(word, lang if lang in at_home else at_home[0])
    english = _key(word, "en") if at_home[0] == "en" else own
    return (own,) if own == english else (own, english)


@lru_cache(maxsize=20_000)
def all_keys(word: str) -> frozenset[str]:
    """The keys that a folded word can have in a text of any language."""
    at_home = next(languages for script, languages in _SCRIPTS if script.search(word))
    return frozenset(_key(word, lang) for lang in at_home)


def _key(word: str, lang: str) -> str:
    word = word.removesuffix("'s")
    word = _IRREGULAR.get(lang, {}).get(word, word)
    match lang:
        case "en":
            return _english(word)
        case "uk":
            stem = _cut(_UKRAINIAN_ENDING, word)
        case "tr":
            stem = _turkish(word)
        case "ar":
            stem = _snowball(_ARABIC_ARTICLE.sub("", word), lang)
        case "pt":
            stem = _snowball(re.sub("ções$", "ção", word), lang)
        case "pl":
            stem = _snowball(word, lang).translate(_POLISH_VOWELS)
        case _:
            stem = _snowball(word, lang)
    fleeting = _FLEETING.get(lang)
    return fleeting.sub("", stem) if fleeting and len(stem) > MIN_STEM else stem


def _snowball(word: str, lang: str) -> str:
    # A stemmer keeps state while it works, so threads may not share one; a new one costs less than a lock.
    return str(Stemmer.Stemmer(_SNOWBALL[lang], 0).stemWord(word))


def _cut(ending: re.Pattern[str], word: str) -> str:
    stem = ending.sub("", word)
    return stem if len(stem) >= MIN_STEM else word


def _turkish(word: str) -> str:
    stem = word
    while (cut := _cut(_TURKISH_ENDING, stem)) != stem:
        stem = cut
    return f"{stem[:-1]}k" if stem[-1] in "gğ" else stem


def _english(word: str) -> str:
    if len(word) <= MIN_STEM or not word.isalpha():
        return word
    stem = _without_mute_ending(_without_verb_ending(_singular(word)))
    return _one_spelling(_SPELLED.get(stem, stem))


def _one_spelling(stem: str) -> str:
    """British and American spelling as one: authoris, authoriz; labour, labor."""
    stem = _IZE.sub("is", stem)
    return f"{stem[:-2]}r" if stem.endswith("our") and len(stem) > 5 else stem


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zzes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _without_verb_ending(word: str) -> str:
    for ending in ("ing", "ied", "ed"):
        cut = word.removesuffix(ending)
        if cut != word and len(cut) >= MIN_STEM and not word.endswith("eed") and _VOWEL.search(cut):
            return cut + "y" if ending == "ied" else cut
    return word


def _without_mute_ending(word: str) -> str:
    if len(word) > MIN_STEM and word[-1] == "e":
        word = word[:-1]
    if len(word) > MIN_STEM and word[-1] == word[-2] and word[-1] not in "aeious":
        word = word[:-1]
    return word[:-1] + "i" if len(word) > MIN_STEM and word[-1] == "y" and word[-2] not in "aeiou" else word
