"""A letter in each service's own markup, within its limits. Pure.

Strangers' text is never read as markup: Slack takes a tree of blocks in which text is only text, HTML and Markdown are
escaped here. A letter that is too long is cut before it is written, so that no tag and no link is ever broken.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping

from service.delivery.letter import Letter, Line, Part, PartKind, Run, Style, bare, length, shortened

MAIL_LIMIT = 20_000
TELEGRAM_LIMIT = 4_096  # Bot API, sendMessage: UTF-16 units of what is shown
SLACK_HEADER = 150  # characters of a header block
SLACK_LIMIT = 9_000  # of a message's blocks; a whole message may have 40,000 (chat.postMessage), one text 3,000
SLACK_WHOLE = 39_000  # of the message as it is sent
SLACK_TEXT = 3_000
SLACK_BLOCKS = 40  # of 50 that a message may have; more paragraphs than that share one
MARKDOWN_LIMIT = 1_000  # with the title: what Apprise gives Webex and Teams; Discord has 2,000
_LOUD = (Style.STRONG, Style.MARKED)
PLAIN_LIMIT = 1_500  # smaller services are cut again by the sender


def fitted(letter: Letter, limit: int, measure: Callable[[Letter], int]) -> Letter:
    """The letter, or without what is spare in it, or as much of its beginning (and its foot) as `measure` finds
    within `limit`."""
    if measure(letter) <= limit:
        return letter
    letter = bare(letter)
    if measure(letter) <= limit:
        return letter
    low, high = 0, length(letter)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(shortened(letter, middle)) <= limit:
            low = middle
        else:
            high = middle - 1
    return shortened(letter, low)


# --- plain text -----------------------------------------------------------------------------------------------------


def plain(letter: Letter) -> str:
    """Text without any markup: the words that fired in «», items with a bullet, links as they are."""
    return "\n\n".join("\n".join(_plain_lines(part, letter.quotation)) for part in letter.parts)


def _plain_lines(part: Part, quotation: tuple[str, str]) -> Iterator[str]:
    around = {PartKind.QUOTE: quotation, PartKind.LIST: ("• ", "")}.get(part.kind, ("", ""))
    if part.heading:
        yield part.heading
    for line in part.lines:
        yield "".join(map(_plain_run, line)).strip().join(around)


def _plain_run(run: Run) -> str:
    return f"«{run.text}»" if run.style is Style.MARKED else run.href or run.text


# --- HTML for mail --------------------------------------------------------------------------------------------------


def mail_html(letter: Letter) -> str:
    """A page for a mail: no style sheet, no picture, nothing that a reader's program would load."""
    title = html.escape(letter.title)
    return (
        f'<!DOCTYPE html><html lang="{letter.lang}"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{title}</h1>{html_parts(letter)}</body></html>"
    )


def html_parts(letter: Letter) -> str:
    """The same without the page around it, and without its title."""
    return "".join(map(_mail_part, letter.parts))


def _mail_part(part: Part) -> str:
    lines = [_mail_line(line) for line in part.lines]
    heading = f"<p>{html.escape(part.heading)}</p>" if part.heading else ""
    match part.kind:
        case PartKind.LEAD:
            return f"<h2>{lines[0]}</h2>" + "".join(f"<p>{line}</p>" for line in lines[1:])
        case PartKind.QUOTE:
            return "".join(f"<blockquote>{line}</blockquote>" for line in lines)
        case PartKind.LIST:
            return f"{heading}<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"
        case PartKind.FOOT:
            return f"<p><small>{'<br>'.join(lines)}</small></p>"
        case PartKind.TEXT | PartKind.ACTION:
            return f"<p>{'<br>'.join(lines)}</p>"


def _mail_line(line: Line) -> str:
    return "".join(map(_mail_run, line))


def _mail_run(run: Run) -> str:
    text = html.escape(run.text)
    if run.href:
        return f'<a href="{html.escape(run.href)}" rel="noreferrer">{text}</a>'
    return {Style.MARKED: f"<mark>{text}</mark>", Style.STRONG: f"<b>{text}</b>"}.get(run.style, text)


# --- Telegram -------------------------------------------------------------------------------------------------------


def telegram(letter: Letter) -> dict[str, object]:
    """The members of `sendMessage` that hold our text, in Telegram's HTML, which knows a few tags only."""
    return {"text": _telegram_html(fitted(letter, TELEGRAM_LIMIT, _telegram_units)), "parse_mode": "HTML"}


def _telegram_html(letter: Letter) -> str:
    return f"<b>{_escaped(letter.title)}</b>\n\n" + "\n\n".join(map(_telegram_part, letter.parts))


def _telegram_part(part: Part) -> str:
    lines = ["".join(map(_telegram_run, line)) for line in part.lines]
    match part.kind:
        case PartKind.QUOTE:
            return f"<blockquote>{chr(10).join(lines)}</blockquote>"
        case PartKind.LIST:
            heading = [_escaped(part.heading)] if part.heading else []
            return "\n".join([*heading, *(f"• {line}" for line in lines)])
        case PartKind.FOOT:
            return f"<i>{chr(10).join(lines)}</i>"
        case _:
            return "\n".join(lines)


def _telegram_run(run: Run) -> str:
    text = _escaped(run.text)
    if run.href:
        return f'<a href="{html.escape(run.href)}">{text}</a>'
    return f"<b>{text}</b>" if run.style in _LOUD else text


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _telegram_units(letter: Letter) -> int:
    # What is shown, with a little room for what separates the parts; links count by their text.
    shown = [letter.title, *(part.heading for part in letter.parts)]
    shown += [run.text for part in letter.parts for line in part.lines for run in line]
    breaks = sum(len(part.lines) + 4 for part in letter.parts)
    return len("".join(shown).encode("utf-16-le", "surrogatepass")) // 2 + 2 * breaks


# --- Slack ----------------------------------------------------------------------------------------------------------


def slack(letter: Letter) -> dict[str, object]:
    """Block Kit: a header, rich text for the parts, the foot as context; `text` is what a notification shows.

    In rich text nothing is parsed (docs.slack.dev, rich text block): a title cannot mention, format or link. The text
    objects of header, context and notification are plain text in which & < > are escaped.
    """
    shown = fitted(letter, SLACK_LIMIT, length)
    # As JSON a letter of many short items, or of few Latin letters, is far longer than its text.
    return _slack_message(fitted(shown, SLACK_WHOLE, lambda one: len(json.dumps(_slack_message(one)))))


def _slack_message(letter: Letter) -> dict[str, object]:
    blocks: list[Mapping[str, object]] = [{"type": "header", "text": _slack_text(letter.title, SLACK_HEADER)}]
    texts = [list(_slack_part(part)) for part in letter.parts[:-1]]
    rest = [element for elements in texts[SLACK_BLOCKS:] for element in elements]
    for elements in (*texts[:SLACK_BLOCKS], *([rest] if rest else ())):
        blocks.append({"type": "rich_text", "elements": elements})
    foot = "\n".join(_plain_lines(letter.parts[-1], letter.quotation))
    blocks.append({"type": "context", "elements": [_slack_text(foot, SLACK_TEXT)]})
    return {"text": _slack_fit(letter.title, SLACK_TEXT), "blocks": blocks}


def _slack_text(text: str, limit: int) -> dict[str, object]:
    return {"type": "plain_text", "text": _slack_fit(text, limit), "emoji": False}


def _slack_fit(text: str, limit: int) -> str:
    # Escaping lengthens, and Slack counts what it is sent.
    while len(_escaped(text)) > limit:
        over = len(_escaped(text)) - limit
        text = text[: -max(over // 5, 2)].rstrip() + "…"
    return _escaped(text)


def _slack_part(part: Part) -> Iterator[dict[str, object]]:
    if part.kind is PartKind.LIST:
        if part.heading:
            yield {"type": "rich_text_section", "elements": [{"type": "text", "text": part.heading}]}
        items = [{"type": "rich_text_section", "elements": _slack_runs(line)} for line in part.lines]
        yield {"type": "rich_text_list", "style": "bullet", "elements": items}
        return
    elements: list[dict[str, object]] = []
    for number, line in enumerate(part.lines):
        elements += _slack_runs((Run(text="\n"), *line) if number else line)
    kind = "rich_text_quote" if part.kind is PartKind.QUOTE else "rich_text_section"
    yield {"type": kind, "elements": elements}


def _slack_runs(line: Line) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for run in line:
        if not run.text:
            continue
        element: dict[str, object] = {"type": "text", "text": run.text}
        if run.href:
            element = {"type": "link", "url": run.href, "text": run.text}
        elif run.style in _LOUD:
            element["style"] = {"bold": True}
        found.append(element)
    return found


# --- Markdown -------------------------------------------------------------------------------------------------------

# What CommonMark and Discord (||spoiler||) may take for markup inside a line; a backslash makes it text again.
_INLINE = re.compile(r"([\\`*_\[\]<>|~&])")
_OPENING = re.compile(r"^(\s*)([-+#=]|\d+[.)])")  # what only means something where a line begins: headings, items


def markdown(letter: Letter) -> str | None:
    """Title and parts in what the Markdown of Discord, Webex, Teams and Google Chat has in common.

    None where the operator's own names (rules, team, subscription) alone are too long for that.
    """
    text = _markdown(fitted(letter, MARKDOWN_LIMIT, lambda one: len(_markdown(one))))
    return text if len(text) <= MARKDOWN_LIMIT else None


def _markdown(letter: Letter) -> str:
    parts = ("\n".join(_markdown_lines(part)) for part in letter.parts)
    return "\n\n".join((f"**{_literal(letter.title)}**", *parts))


def _markdown_lines(part: Part) -> Iterator[str]:
    if part.heading:
        yield f"{_literal(part.heading)}\n"
    opening = {PartKind.LIST: "- ", PartKind.QUOTE: "> "}.get(part.kind, "")
    for number, line in enumerate(part.lines):
        text = "".join(map(_markdown_run, line)).strip()
        last = number == len(part.lines) - 1 or part.kind is PartKind.LIST
        yield f"{opening}{text}{'' if last else '  '}"  # two blanks: the line ends here


def _markdown_run(run: Run) -> str:
    if run.href:
        return f"[{_literal(run.text)}]({run.href.replace('(', '%28').replace(')', '%29')})"
    if run.style not in _LOUD or not run.text.strip():
        return _literal(run.text)
    inner = run.text.strip()  # ** next to a blank is no markup
    before, after = run.text[: len(run.text) - len(run.text.lstrip())], run.text[len(run.text.rstrip()) :]
    return f"{before}**{_literal(inner)}**{after}"


def _literal(text: str) -> str:
    return _OPENING.sub(lambda m: f"{m[1]}{m[2][:-1]}\\{m[2][-1]}", _INLINE.sub(r"\\\1", text))
