"""Documents as a careless person types them, and files as an accident leaves them."""

from __future__ import annotations

import json
from random import Random
from typing import Any


def written(value: object, rng: Random, indent: int = 0) -> str:
    """YAML of a document, in a style that changes from line to line: flow or block, quoted or not."""
    if rng.random() < 0.1 or not isinstance(value, dict | list) or not value:
        return _flow(value, rng)
    step = rng.choice((1, 2, 2, 2, 4))
    lines = []
    for key, child in value.items() if isinstance(value, dict) else ((None, item) for item in value):
        head = "-" if key is None else f"{_flow(key, rng)}:"
        inner = written(child, rng, indent + step)
        block = isinstance(child, dict | list) and child and inner[:1] == "\n"
        lines.append(
            f"{' ' * indent}{head}{inner if block else ' ' + inner}{rng.choice(('', '', '', '  # said', ' #'))}"
        )
    return "\n" + "\n".join(lines)


def strict(value: object) -> bytes:
    """YAML of a document that means exactly this value."""
    return json.dumps(value, ensure_ascii=False).replace("\u2028", "\\u2028").encode()


def _flow(value: object, rng: Random) -> str:
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    style = rng.random()
    if style < 0.5 and "\n" not in value:
        return value  # may be anything: a list, an alias, a comment
    return f"'{value.replace(chr(39), chr(39) * 2)}'" if style < 0.75 else json.dumps(value, ensure_ascii=False)


def mutated(raw: bytes, rng: Random) -> bytes:
    """One to three accidents in a file."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        raw = rng.choice(_ACCIDENTS)(raw, rng)
    return raw


def _byte(raw: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(raw) + 1)
    sign = bytes((rng.randrange(256),)) if rng.random() < 0.5 else rng.choice(_SIGNS)
    return raw[:at] + sign + raw[at + rng.randrange(2) :]


_SIGNS = (
    b"\t", b"\0", b"\r", b"\n", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xff\xfe", b"\x85", b"\xe2\x80\xa8", b":",
    b": ", b" #", b"'", b'"', b"[", b"]", b"{", b"}", b"&a ", b"*a ", b"!!python/object:os.system ", b"- ", b"? ", b"|",
    b">", b"%", b"@", b"---\n", b"...\n", b"<<: ", b"\xf0\x9f\x9a\xab", b"\xd8\xa7", b"\x1b[31m",
)  # fmt: skip


def _lines(raw: bytes, rng: Random) -> bytes:
    """A line lost, doubled, swapped with another, or moved to the left or the right."""
    lines = raw.split(b"\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(5):
        case 0:
            del lines[a]
        case 1:
            lines.insert(b, lines[a])
        case 2:
            lines[a], lines[b] = lines[b], lines[a]
        case 3:
            lines[a] = b" " * rng.choice((1, 2, 3)) + lines[a]
        case _:
            lines[a] = lines[a][rng.choice((1, 2)) :]
    return b"\n".join(lines)


def _cut(raw: bytes, rng: Random) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def _encoded(raw: bytes, rng: Random) -> bytes:
    text = raw.decode("utf-8", "replace")
    return text.encode(rng.choice(("utf-16", "utf-16-le", "utf-8-sig", "cp1252", "shift_jis", "utf-32")), "replace")


def _ends(raw: bytes, rng: Random) -> bytes:
    return raw.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\n\n")))


_ACCIDENTS: tuple[Any, ...] = (_byte, _byte, _byte, _lines, _lines, _lines, _cut, _encoded, _ends)
