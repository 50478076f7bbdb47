"""Where a channel points: what may be written as its address, which kind it is, and how it is shown without secrets.

An allow-list, never a deny-list: Apprise gains services with every release, and some of them run programs, read files
or connect wherever the address says. Nothing is connected to here.
"""

from __future__ import annotations

import functools
import logging
import re
import warnings
from collections.abc import Callable, Collection
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from service.delivery.schemas import NEVER, REACH
from service.domain.model import ChannelKind, Invalid, Problem

MAX_ADDRESS = 2000

# Parameters that a channel may carry, by service. Others read files (template, keyfile), switch off verification,
# follow redirects, change the format that keeps text from becoming markup, or add targets.
_PARAMETERS: dict[str, frozenset[str]] = {
    "slack": frozenset({"footer", "image", "timestamp"}),
    "discord": frozenset({"avatar", "footer", "thread"}),
    "tgram": frozenset({"topic", "thread", "silent", "preview"}),
    "workflows": frozenset({"pa", "ver", "image"}),
    "gchat": frozenset({"thread"}),
    "wxteams": frozenset(),
    "pover": frozenset({"priority", "sound"}),
    "pbul": frozenset(),
    "opsgenie": frozenset({"region", "priority"}),
    "pagerduty": frozenset({"region"}),
    "ntfys": frozenset({"priority", "tags"}),
}
_ALIASES = {"ntfy": "ntfys", "workflow": "workflows", "webex": "wxteams"}
# For services that the operator has added: everything but these.
_FORBIDDEN = frozenset(
    {"template", "keyfile", "subfile", "pgp", "pgppub", "pgpprv", "pgpkey", "wkd", "cert", "key", "attach"}
    | {"include", "config", "verify", "redirect", "rto", "cto", "store", "tz", "format", "overflow", "emojis"}
    | {"retry", "wait", "optional", "batch", "detect", "url", "smtp", "to", "cc", "bcc", "targets"}
)
_MICROSOFT = (".logic.azure.com", ".api.powerplatform.com", ".logic.azure.us")
# Addresses that these services hand out: pasted as they are, they would be webhooks that cannot read our payload.
_NATIVE = {
    "hooks.slack.com": "slack",
    "discord.com": "discord",
    "discordapp.com": "discord",
    "chat.googleapis.com": "gchat",
}
_NATIVE_PARAMETERS = {
    "gchat": frozenset({"key", "token"}),
    "workflows": frozenset({"api-version", "sp", "sv", "sig"}),
}
_KINDS = {"slack": ChannelKind.SLACK, "tgram": ChannelKind.TELEGRAM}
# Narrower than RFC 5321: the rest has a meaning to some parser on the way, and nobody's desk has such an address.
_MAIL = re.compile(r"[A-Za-z0-9._+'~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)*[A-Za-z0-9-]{1,63}")
_TOKEN = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[\w~.=+-]{12,}|[\w-]{24,}")


def parse_channel(
    url: str,
    *,
    allow_schemas: Collection[str],
    smtp_configured: bool,
    check_webhook: Callable[[str], str | None],
    where: str = "channel",
) -> tuple[ChannelKind, str]:
    """What kind of channel `url` is, and its form without secrets; Invalid says what is wrong with it and what to do.

    `http(s)://` is a signed webhook (unless it is an address handed out by Slack, Discord, Google Chat or Teams),
    `mailto:desk@example.org` mail through the operator's server, anything else an Apprise URL of an allowed service.
    `check_webhook` says why an address may not be connected to, or None. `where` is the place named in problems.
    """
    try:
        return _parse(url, allow_schemas=allow_schemas, smtp_configured=smtp_configured, check_webhook=check_webhook)
    except _Wrong as wrong:
        raise Invalid((Problem(where=where, what=wrong.what, hint=wrong.hint),)) from None


def refusal(url: str, *, allow_schemas: Collection[str]) -> str | None:
    """Why an Apprise URL that was stored may not be used any more, or None. Quick: Apprise is not loaded."""
    try:
        _check_written(url, allow_schemas)
    except _Wrong as wrong:
        return wrong.what
    return None


class _Wrong(Exception):
    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint


def _parse(
    url: str, *, allow_schemas: Collection[str], smtp_configured: bool, check_webhook: Callable[[str], str | None]
) -> tuple[ChannelKind, str]:
    if not url.isprintable() or re.search(r"\s", url) or "\\" in url or len(url) > MAX_ADDRESS:
        raise _Wrong(
            f"an address has no blanks, control characters or backslashes and at most {MAX_ADDRESS} characters"
        )
    schema = _schema(url)
    if schema == "mailto":
        return ChannelKind.EMAIL, _mail(url, smtp_configured=smtp_configured)
    if schema in ("http", "https") and _native(url) is None:
        return ChannelKind.WEBHOOK, _webhook(url, check_webhook)
    return _KINDS.get(_check_written(url, allow_schemas), ChannelKind.OTHER), _check_read(url)


def _schema(url: str) -> str:
    schema, colon, rest = url.partition(":")
    schema = schema.lower()
    if (
        not colon
        or not re.fullmatch(r"[a-z][a-z0-9+.-]*", schema)
        or (schema != "mailto" and not rest.startswith("//"))
    ):
        raise _Wrong(
            "this is no address", "write https://…, mailto:desk@example.org or an Apprise URL such as slack://…"
        )
    return schema


# --- mail and webhooks ----------------------------------------------------------------------------------------------


def _mail(url: str, *, smtp_configured: bool) -> str:
    address = url.partition(":")[2]
    if not _MAIL.fullmatch(address) or len(address) > 254:
        hint = "the mail server is set once by the operator (delivery.smtp), not in a channel"
        raise _Wrong("mail goes to one plain address, written mailto:desk@example.org", hint)
    if not smtp_configured:
        raise _Wrong("mail is not set up here", "the operator sets delivery.smtp.host and delivery.smtp.sender")
    return f"mailto:{address}"


def _webhook(url: str, check: Callable[[str], str | None]) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise _Wrong("this is not a valid URL") from exc
    if not parts.hostname:
        raise _Wrong("the URL names no host")
    if "@" in parts.netloc:
        raise _Wrong("a webhook's URL holds no user and password", "the signature shows that a request is ours")
    if parts.fragment:
        raise _Wrong("a webhook's URL has no part after #")
    reason = check(url)
    if reason is not None:
        raise _Wrong(reason)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = "/".join(f"{piece[:3]}…" if _TOKEN.fullmatch(unquote(piece)) else piece for piece in parts.path.split("/"))
    query = urlencode([(key, "***") for key, _ in parse_qsl(parts.query, keep_blank_values=True)], safe="*")
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}{'?' + query if query else ''}"


# --- Apprise --------------------------------------------------------------------------------------------------------


def _native(url: str) -> str | None:
    """The service that hands out this https address, if it is one that we reach by Apprise."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme != "https":
        return None
    if host.endswith(_MICROSOFT) and "/workflows/" in parts.path:
        return "workflows"
    if host in ("discord.com", "discordapp.com") and not parts.path.startswith("/api/webhooks/"):
        return None
    return _NATIVE.get(host)


def _check_written(url: str, allow_schemas: Collection[str]) -> str:
    """The service's schema, when it is allowed and so are its parameters."""
    written = _schema(url)
    native = _native(url) if written in ("http", "https") else None
    schema = native or _ALIASES.get(written, written)
    allowed = {_ALIASES.get(name, name) for name in allow_schemas}
    usable = {name for name in allowed if name in REACH and REACH[name] not in NEVER}
    if schema not in usable:
        why = f"{NEVER[REACH[schema]]}; " if schema in REACH and REACH[schema] in NEVER else ""
        hint = f"{why}allowed here: {', '.join(sorted(usable))}; the operator sets delivery.allow_schemas"
        raise _Wrong(f"channels of the kind {written}:// are not allowed here", hint)
    _check_parameters(url, schema, also=_NATIVE_PARAMETERS.get(schema, frozenset()) if native else frozenset())
    return schema


def _check_parameters(url: str, schema: str, *, also: frozenset[str]) -> None:
    _, mark, query = url.partition("?")
    if "?" in query:
        raise _Wrong("an address has one ? at most")
    known = _PARAMETERS.get(schema)
    for pair in re.split("[&;]", query) if mark else ():
        name = unquote(pair.partition("=")[0]).lower()
        if not pair:
            continue
        # A prefix (+ - :) makes headers, payload keys and template tokens.
        listed = name in known | also if known is not None else name not in _FORBIDDEN
        fine = re.fullmatch("[a-z][a-z_-]*", name) and listed
        if not fine:
            hint = f"allowed for {schema}: {', '.join(sorted(known)) or 'none'}" if known is not None else ""
            raise _Wrong(f"the parameter {name!r} may not be set in a channel's address", hint)


def _check_read(url: str) -> str:
    """The masked form of a URL that Apprise can read and that has exactly one target."""
    service = instantiate(url)
    if service is None:
        raise _Wrong(
            "Apprise cannot read this address", "compare it with the service's page in Apprise's documentation"
        )
    if not service.enabled:
        raise _Wrong("Apprise needs a package for this service that is not installed")
    detects = getattr(service, "detect_owner", False) and not getattr(service, "targets", True)
    if len(service) != 1 or detects:
        raise _Wrong("a channel has exactly one target", "name one chat or room; make one channel for each")
    if service.schema.startswith("ntfy") and service.mode != "cloud":
        raise _Wrong("only the hosted ntfy is reached by this service", "write ntfys://topic, or use a webhook")
    if service.schema.startswith("workflow") and not str(service.host).endswith(_MICROSOFT):
        raise _Wrong("a Teams workflow is at Microsoft's address", "its URL ends in .logic.azure.com before the path")
    return str(service.url(privacy=True)).partition("?")[0]


def instantiate(url: str) -> Any | None:
    """Apprise's service for one URL, or None when it cannot read it. Connects to nothing."""
    return load_apprise().Apprise.instantiate(url, asset=apprise_asset(), suppress_exceptions=True)


@functools.cache
def apprise_asset() -> Any:
    """Apprise's settings here: no redirects, no storage, no key files, no pictures from its own site, no time limits
    (the sandbox has them)."""
    return load_apprise().AppriseAsset(
        app_id="policywatch",
        app_desc="policy alerts",
        app_url="",
        image_url_mask="",
        image_path_mask="",
        http_redirects=False,
        async_mode=False,
        default_service_retry=0,
        pgp_autogen=False,
        pem_autogen=False,
        storage_mode="memory",
        service_timeout=0,
        timezone="UTC",
    )


@functools.cache
def load_apprise() -> Any:
    """The package with its plugins, loaded on first use (330 ms) and silent."""
    # Its warnings quote tokens ("An invalid Slack (first) Token (…)"), its debug lines whole URLs, urllib3's the paths.
    for name in ("apprise", "urllib3", "requests"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a plugin's own deprecated imports (imghdr in 2.2.0)
        import apprise  # noqa: PLC0415

        apprise.Apprise.instantiate("ntfys://any")  # the first one loads every plugin
    return apprise
