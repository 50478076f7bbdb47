"""The same rules for yara-x, in both forms that its users write."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import yara_x

from benchmarks.world import Wanted
from service.domain.model import Concept

_AT_ONCE = 500
_DENSE = re.compile("[\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3\u0e01-\u0e5b]")

Scan = Callable[[bytes], list[str]]
Phrases = Mapping[Concept, Sequence[str]]


def flat(rules: Sequence[Wanted], phrases: Phrases) -> Scan:
    """Each rule has every phrase of each of its concepts as strings of its own."""
    return _scanner(_flat_rule(rule, phrases) for rule in rules)


def shared(rules: Sequence[Wanted], phrases: Phrases) -> Scan:
    """Each concept is a private rule; the rules refer to those."""
    concepts = (
        f"private rule {_name(concept)} {{ strings: {_strings('p', known)} condition: any of them }}"
        for concept, known in phrases.items()
    )
    plain = (f"rule {rule.id} {{ condition: {_condition(rule, _name)} }}" for rule in rules)
    return _scanner([*concepts, *plain])


def _flat_rule(rule: Wanted, phrases: Phrases) -> str:
    concepts = dict.fromkeys((*(concept for among in rule.all for concept in among), *rule.none))
    names = {concept: f"c{number}_" for number, concept in enumerate(concepts)}
    strings = " ".join(_strings(name, phrases[concept]) for concept, name in names.items())
    condition = _condition(rule, lambda concept: f"any of (${names[concept]}*)")
    return f"rule {rule.id} {{ strings: {strings} condition: {condition} }}"


def _condition(rule: Wanted, term: Callable[[Concept], str]) -> str:
    wanted = [f"({' or '.join(map(term, among))})" for among in rule.all]
    return " and ".join([*wanted, *(f"not {term(concept)}" for concept in rule.none)])


def _name(concept: Concept) -> str:
    return re.sub(r"\W", "_", str(concept))


def _strings(prefix: str, phrases: Sequence[str]) -> str:
    return " ".join(f'${prefix}{number} = "{_bytes(p)}" nocase{_whole(p)}' for number, p in enumerate(phrases))


def _bytes(phrase: str) -> str:
    plain = (chr(byte) if chr(byte).isalnum() or byte == 32 else f"\\x{byte:02x}" for byte in phrase.encode())
    return "".join(letter if letter.isascii() else f"\\x{ord(letter):02x}" for letter in plain)


def _whole(phrase: str) -> str:
    return "" if _DENSE.search(phrase) else " fullword"


def _scanner(sources: Iterable[str]) -> Scan:
    compiler = yara_x.Compiler()
    for batch in _batches(sources):
        compiler.add_source("\n".join(batch))
    scanner = yara_x.Scanner(compiler.build())
    scanner.fast_scan(True)
    return lambda text: [rule.identifier for rule in scanner.scan(text).matching_rules]


def _batches(sources: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for source in sources:
        batch.append(source)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    yield batch
