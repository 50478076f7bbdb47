"""A channel's address as a person wrote it -> a checked destination. Connects to nothing; needs no web framework."""

from __future__ import annotations

from collections.abc import Callable

from service.config import Settings
from service.delivery.addresses import parse_channel
from service.delivery.signing import new_keys
from service.domain.model import ChannelKind, Secret
from service.egress import check_url
from service.storage.subscriptions import NewChannel


def checked_channel(
    text: str, settings: Settings, *, random: Callable[[int], bytes], where: str = "channel"
) -> NewChannel:
    """The destination that `text` names, with fresh signing keys if it is a webhook.

    Raises Invalid with what is wrong at `where`, and what to do.
    """

    def refused(url: str) -> str | None:
        return check_url(url, settings.egress.allow, userinfo=False)

    kind, shown = parse_channel(
        text,
        allow_schemas=settings.delivery.allow_schemas,
        smtp_configured=bool(settings.delivery.smtp.host),
        check_webhook=refused,
        where=where,
    )
    keys = (new_keys(random),) if kind is ChannelKind.WEBHOOK else ()
    return NewChannel(kind=kind, url=Secret(text), shown=shown, keys=keys)
