"""Files that mean harm: each by name, at most as large as a rule file may be, and some that are larger."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat

LIMIT = 512 * 1024


def _filled(line: str, head: str = "rules:\n", size: int = LIMIT - 1) -> bytes:
    """`head`, and as many of `line` as there is room for; {} in it is the number of the line."""
    out, room, number = [head], size - len(head.encode()), 0
    while (room := room - len((made := line.replace("{}", str(number))).encode())) > 0:
        out.append(made)
        number += 1
    return "".join(out).encode()


def _laughs() -> bytes:
    lines = ['a0: &a0 "lol"']
    lines += [f"a{n}: &a{n} [{', '.join(repeat(f'*a{n - 1}', 9))}]" for n in range(1, 12)]
    return "\n".join((*lines, "rules: *a11")).encode()


def _rule(match: str, more: str = "") -> str:
    return f"  - {{id: r{{}}, match: '{match}'{more}}}\n"


_ALTERNATION = "(" + " | ".join(f"w{n}x" for n in range(150)) + ")"
_TEST = "expect: {fire: false, because: when}"


def bombs() -> Iterator[tuple[str, bytes]]:
    """Every one of them, named."""
    yield "laughs", _laughs()
    yield "aliases", _filled("- *a\n")
    yield "anchors", _filled("- &a{} x\n", "")
    yield "merge", _filled("  - {<<: {a: 1}}\n")
    yield "tags", _filled("- !!python/object/apply:os.system [x]\n")
    yield "deep-list", b"[" * (LIMIT - 1)
    yield "deep-mapping", b"{a: " * (LIMIT // 5)
    yield "deep-block", "".join(f"{' ' * n}a:\n" for n in range(900)).encode()
    yield "dashes", b"- " * (LIMIT // 2 - 1)
    yield "questions", b"? " * (LIMIT // 2 - 1)
    yield "faults", _filled("- 1\n")
    yield "faults-far", _filled("  - matsch: x\n")
    yield "unknown-keys", _filled("k{}: 1\n")
    yield "unknown-keys-of-one", _filled("    k{}: 1\n", "rules:\n  - match: China\n")
    yield "unknown-topics", _filled("x{}, ", "rules:\n  - topics: [")[:-2] + b"]\n"
    yield "unknown-places", _filled("Atlantis{}, ", "rules:\n  - jurisdictions: [")[:-2] + b"]\n"
    yield "repeated-keys", _filled("  a: 1\n", "rules: []\npack:\n")
    yield "ids", _filled("  - {id: a, match: China}\n")
    yield "small-rules", _filled("- w{}\n", "")
    yield "concepts", _filled("- China + stablecoin + ban + w{}\n", "")
    yield "words", _filled(_rule("a{} " * 19))
    yield "long-words", _filled(_rule("x" * 1_900))
    yield "stars", _filled(_rule(" ".join(repeat("aaa*", 20))))
    yield "alternations", _filled(_rule(_ALTERNATION))
    yield "products", _filled(_rule(" + ".join(repeat("(ban | tax | China | mining)", 40))))
    yield "brackets", _filled(_rule("(" * 900))
    yield "minuses", _filled(_rule("a" + " -b" * 190))
    yield "quotes", _filled(_rule('"a" ' * 190))
    yield "codes", _filled(_rule("topik:x " * 190))
    yield "nested-when", _filled("  - when: " + "{all: [" * 14 + "a" + "]}" * 14 + "\n")
    yield "tests", _filled(_rule("China", f", tests: [{{text: China bans stablecoins, {_TEST}}}]"))
    yield (
        "long-test",
        _filled("China bans stablecoins. ", f"- match: x\n  tests: [{{{_TEST}, title: a, content: '")[:-1] + b"'}]",
    )
    yield "one-word-test", _filled("xyzzy", f"- match: x\n  tests: [{{{_TEST}, title: a, content: '")[:-5] + b"'}]"
    yield (
        "cjk-test",
        _filled("中国人民银行禁止稳定币交易", f"- match: x\n  tests: [{{{_TEST}, title: a, content: '") + b"'}]",
    )
    yield "hostile-tests", _hostile_tests()
    yield "scalar", b"- " + b"x" * 50_000
    yield "scalar-of-signs", b"- " + b"(" * 50_000
    yield "digits", b"- " + b"9" * (LIMIT - 10)
    yield "blank-lines", b"\n" * (LIMIT - 1)
    yield "comments", _filled("# {}\n")
    yield "right-to-left", ("- \u202e" + "قانون " * 50_000).encode()[: LIMIT - 1]
    yield "emoji", ("- " + "🚫" * 100_000).encode()


def _hostile_tests() -> bytes:
    """Rules as heavy as rules may be, each against a long text of its own words."""
    words = " ".join(f"w{n}x" for n in range(150))
    rule = _rule(
        f"({_ALTERNATION} + {_ALTERNATION}) within 9 words"[:1_990], f", tests: [{{text: '{words}', {_TEST}}}]"
    )
    return _filled(rule)


def oversized(size: int = 10 * 1024 * 1024) -> Iterator[tuple[str, bytes]]:
    """Files of ten megabytes, and one that is a byte too large."""
    yield "large-rules", b"- China + ban\n" * (size // 14)
    yield "large-nothing", b"\0" * size
    yield "large-text", bytes(chain(b"- ", repeat(0x78, size)))
    yield "a-byte-too-large", b"#" * (LIMIT + 1)
