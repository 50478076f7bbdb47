"""A delivery -> the words that go out, in the markup of its kind of channel and within that service's limits.

Pure: the same delivery gives the same message, but for a line that says when it is late. Never sends, and never lets a
stranger's title ping a room, become markup or pose as our words.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from service.delivery.letter import Letter, as_repeat, compose, digest_letter, left_letter, test_letter
from service.delivery.markup import MAIL_LIMIT, PLAIN_LIMIT, fitted, mail_html, markdown, plain, slack, telegram
from service.delivery.notices import channel_notice_letter, notice_letter
from service.delivery.payload import (
    alert_payload,
    channel_notice_payload,
    digest_payload,
    left_payload,
    notice_payload,
    test_payload,
)
from service.delivery.words import words_of
from service.domain.links import Links
from service.domain.model import ChannelKind, Delivery, DeliveryKind, Message

LATE = timedelta(minutes=15)
"""An alert that leaves this long after it was raised says so."""


def render(delivery: Delivery, *, now: datetime, links: Links | None = None) -> Message:
    """The message for the delivery's kind of channel, in the subscription's language.

    With `links` it says where to decide about its alerts, and a mail where to end such mails.

    Title and body are plain text for every kind; the rest is as `Message` says. Raises ValueError for a delivery
    without an alert or a digest.
    """
    words = words_of(delivery.language)
    may_decide = links is not None and links.decide_for and delivery.kind is not DeliveryKind.DRILL
    decide = links if may_decide else None
    if delivery.kind is DeliveryKind.TEST:
        letter, payload = test_letter(delivery, words), test_payload(words.test_title, delivery)
    elif delivery.digest is not None:
        letter = digest_letter(delivery.digest, delivery, words, decide)
        webhook = delivery.channel.kind is ChannelKind.WEBHOOK
        payload = digest_payload(letter.title, delivery.digest, delivery, words, decide) if webhook else b""
    elif delivery.kind is DeliveryKind.UNSUBSCRIBED:
        letter = left_letter(delivery, words)
        payload = left_payload(letter.title, delivery)
    elif delivery.kind is DeliveryKind.NOTICE:
        letter = notice_letter(delivery, words)
        payload = notice_payload(letter.title, delivery)
    elif delivery.kind is DeliveryKind.CHANNEL_NOTICE:
        letter = channel_notice_letter(delivery, words)
        payload = channel_notice_payload(letter.title, delivery)
    elif delivery.alert is None:
        raise ValueError(f"delivery {delivery.id} has no alert")
    else:
        since = delivery.alert.raised_at if delivery.kind is DeliveryKind.ALERT else delivery.created_at
        letter = compose(delivery.alert, delivery, words, late=now - since > LATE, links=decide)
        payload = b""
        if delivery.channel.kind is ChannelKind.WEBHOOK:  # building it takes as long as all the rest
            payload = alert_payload(delivery.alert, delivery, words, decide)
    return _message(as_repeat(letter, words) if delivery.repeat else letter, delivery, payload, links)


def _message(letter: Letter, delivery: Delivery, payload: bytes, links: Links | None) -> Message:
    match delivery.channel.kind:
        case ChannelKind.WEBHOOK:
            return Message(title=letter.title, body="", payload=payload)
        case ChannelKind.EMAIL:
            whole = fitted(letter, MAIL_LIMIT, lambda one: len(plain(one)))
            return Message(
                title=letter.title,
                body=plain(whole),
                html=mail_html(whole),
                thread=delivery.thread,
                unsubscribe=links.unsubscribe(delivery) if links and delivery.subscription_id is not None else None,
            )
        case ChannelKind.SLACK:
            return Message(title=letter.title, body=_short(letter), fields=slack(letter))
        case ChannelKind.TELEGRAM:
            return Message(title=letter.title, body=_short(letter), fields=telegram(letter))
        case ChannelKind.OTHER:
            return Message(title=letter.title, body=_short(letter), markdown=markdown(letter))


def _short(letter: Letter) -> str:
    return plain(fitted(letter, PLAIN_LIMIT, lambda one: len(plain(one))))
