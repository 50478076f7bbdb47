"""Teams, their subscriptions and the channels these lead to. Addresses and signing secrets are sealed on the way in."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import delete, select, update
from sqlmodel import Session

from service.domain.model import (
    AT_ONCE,
    ChangeKind,
    Channel,
    ChannelKind,
    DeliveryKind,
    DeliveryState,
    Language,
    Notices,
    RouteReason,
    Schedule,
    Secret,
    SigningKeys,
    Subscription,
    Timing,
    Watch,
)
from service.domain.routing import told_of_leaving
from service.storage import audit, digests
from service.storage.database import Database
from service.storage.mapping import dump_timing, dump_watch, load_timing, load_watch, message_id
from service.storage.outbox import open_channel, seal_keys
from service.storage.tables import (
    CHANNEL,
    OWN_RULES,
    SUBSCRIPTION,
    SUBSCRIPTION_CHANNEL,
    TEAM,
    UNSUBSCRIBED,
    ChannelRow,
    DeliveryRow,
    OwnRulesRow,
    SubscriptionChannelRow,
    SubscriptionRow,
    TeamRow,
    UnsubscribedRow,
)
from service.storage.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChannel:
    """A checked destination, and when it hears. `keys` are to sign with if this address is new (webhooks only)."""

    kind: ChannelKind
    url: Secret
    shown: str
    keys: tuple[SigningKeys, ...] = ()
    schedule: Schedule | None = None  # the subscription's


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSubscription:
    """A subscription as a person writes it."""

    name: str
    watch: Watch
    channels: tuple[NewChannel, ...]
    active: bool = True
    managed: bool = False
    mute_rumours: bool = False
    notices: Notices = Notices.GAPS
    language: Language = Language.ENGLISH
    timing: Timing = AT_ONCE
    match: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSubscription:
    """A stored subscription, and the ids of those of its channels that did not exist before."""

    subscription: Subscription
    created_channels: frozenset[int]


NOUN = "subscription"
MAX_FORMER = 2  # each adds two signatures to every request


Tags = Collection[str] | None
"""Any of these will do; None: whatever it is."""


class NameTaken(Exception):
    """The team has a subscription of this name."""


class Stale(Exception):
    """What was to be changed has been changed since it was read."""


def tag(subscription: Subscription) -> str:
    """Tells how a subscription stands from how it stood before any change that the audit log would tell."""
    return hashlib.sha256(repr(audit.plain(subscription)).encode()).hexdigest()[:16]


class Subscriptions:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def create(self, team: str, new: NewSubscription, *, now: datetime) -> SavedSubscription:
        """Store a subscription and those of its channels that are new. NameTaken when the name is in use."""
        with self._database.write() as session:
            team_id = ensure_team(session, team, now)
            _locked(session, team_id)
            if self._named(session, team_id, new.name) is not None:
                raise NameTaken(new.name)
            row = SubscriptionRow(team_id=team_id, name=new.name, created_at=now)
            session.add(row)
            return self._save(session, row, new, now)

    def replace(
        self,
        team: str,
        subscription_id: int,
        new: NewSubscription,
        *,
        now: datetime,
        expected: Tags = None,
    ) -> SavedSubscription | None:
        """Overwrite a subscription; None when the team has none of this id.

        Stale when it is not, or not any more, one whose `tag` is among `expected`.
        """
        with self._database.write() as session:
            row = self._own(session, team, subscription_id)
            if row is None:
                return None
            _locked(session, row.team_id)
            self._check(session, row, team, expected)
            taken = self._named(session, row.team_id, new.name)
            if taken is not None and taken.id != row.id:
                raise NameTaken(new.name)
            return self._save(session, row, new, now)

    def remove(self, team: str, subscription_id: int, *, now: datetime, expected: Tags = None) -> bool:
        """Delete a subscription; Stale as with `replace`.

        Deliveries already in the outbox still go out; what waits for a digest does not.
        """
        with self._database.write() as session:
            row = self._own(session, team, subscription_id)
            if row is None:
                return False
            _locked(session, row.team_id)
            old = self._check(session, row, team, expected)
            audit.note(session, ChangeKind.REMOVED, NOUN, row.id, team_id=row.team_id, now=now, before=old)
            digests.drop(session, subscription_id, RouteReason.INACTIVE)
            session.execute(
                delete(SubscriptionChannelRow).where(SUBSCRIPTION_CHANNEL.subscription_id == subscription_id)
            )
            session.execute(delete(UnsubscribedRow).where(UNSUBSCRIBED.subscription_id == subscription_id))
            session.delete(row)
            if row.match:
                _count_change(session)
            return True

    def apply(self, declared: Sequence[tuple[str, NewSubscription]], *, now: datetime) -> None:
        """Make the managed subscriptions equal to those declared in the configuration, in one transaction."""
        with self._database.write() as session:
            kept = set()
            for team, new in declared:
                team_id = ensure_team(session, team, now)
                row = self._named(session, team_id, new.name)
                if row is None:
                    row = SubscriptionRow(team_id=team_id, name=new.name, created_at=now)
                    session.add(row)
                self._save(session, row, new, now)
                kept.add(row.id)
            managed = session.execute(select(SubscriptionRow).where(SUBSCRIPTION.managed)).scalars().all()
            for row in managed:
                if row.id not in kept:  # taken out of the configuration: kept, but silent
                    team = session.get_one(TeamRow, row.team_id).name
                    old = self._subscription(session, row, team)
                    row.active = row.managed = False
                    new_ = self._subscription(session, row, team)
                    audit.note(
                        session, ChangeKind.CHANGED, NOUN, row.id, team_id=row.team_id, now=now, before=old, after=new_
                    )

    def get(self, team: str, subscription_id: int) -> Subscription | None:
        with self._database.read() as session:
            row = self._own(session, team, subscription_id)
            return self._subscription(session, row, team) if row is not None else None

    def page(self, team: str, *, after: int = 0, limit: int = 100) -> tuple[Subscription, ...]:
        statement = (
            select(SubscriptionRow)
            .join(TeamRow, TEAM.id == SUBSCRIPTION.team_id)
            .where(TEAM.name == team, SUBSCRIPTION.id > after)
            .order_by(SUBSCRIPTION.id)
            .limit(limit)
        )
        with self._database.read() as session:
            rows = session.execute(statement).scalars().all()
            return tuple(self._subscription(session, row, team) for row in rows)

    def channels(self) -> tuple[tuple[str, Channel], ...]:
        """Every channel with the team it belongs to, in the order in which they were made."""
        statement = select(ChannelRow, TEAM.name).join(TeamRow, TEAM.id == CHANNEL.team_id).order_by(CHANNEL.id)
        with self._database.read() as session:
            return tuple((team, open_channel(row, self._vault)) for row, team in session.execute(statement))

    def rotate(
        self, channel_id: int, new: SigningKeys, *, team: str | None, overlap: timedelta, now: datetime
    ) -> Channel | None:
        """Sign a webhook's messages with `new` from now on, and with what signed until now for `overlap` longer.

        None when there is no webhook of this id (of this team, unless that is None). Keys whose time is over, and all
        but the newest two that were replaced, are forgotten.
        """
        with self._database.write() as session:
            row = session.get(ChannelRow, channel_id, with_for_update=True)
            if row is None or row.secret_cipher is None:
                return None
            if team is not None and session.get_one(TeamRow, row.team_id).name != team:
                return None
            ends = now + overlap
            former = [
                replace(keys, until=min(keys.until or ends, ends)) for keys in open_channel(row, self._vault).keys
            ]
            kept = tuple(keys for keys in former if keys.until and keys.until > now)[:MAX_FORMER]
            row.secret_cipher = seal_keys((new, *kept), self._vault, context=f"channel:{row.fingerprint}")
            session.flush()
            rotated = {"address": row.shown, "new_keys": True, "old_keys_sign_until": ends}
            audit.note(session, ChangeKind.CHANGED, "channel", row.id, team_id=row.team_id, now=now, after=rotated)
            return open_channel(row, self._vault)

    def unsubscribe(self, subscription_id: int, channel_id: int, *, now: datetime) -> bool:
        """Tell the channel no more of the subscription, whatever else changes in either, and tell the team by other
        channels that it is so; False when it is so already.

        Deliveries in the outbox still go out; what waits for a digest of the channel does not.
        """
        with self._database.write() as session:
            row = session.get(SubscriptionRow, subscription_id, with_for_update=True)
            known = session.get(UnsubscribedRow, (subscription_id, channel_id))
            if row is None or known is not None:
                return False
            before = self.one(session, subscription_id)
            session.add(UnsubscribedRow(subscription_id=subscription_id, channel_id=channel_id, at=now))
            session.flush()
            after = self.one(session, subscription_id)
            audit.note(
                session, ChangeKind.CHANGED, NOUN, row.id, team_id=row.team_id, now=now, before=before, after=after
            )
            self._tell_of_leaving(session, after, channel_id, now)
            return True

    def resubscribe(self, team: str, subscription_id: int, channel_id: int, *, now: datetime) -> bool:
        """Undo `unsubscribe`; False when the team's subscription has no such channel."""
        with self._database.write() as session:
            row = self._own(session, team, subscription_id)
            known = session.get(UnsubscribedRow, (subscription_id, channel_id))
            if row is None or known is None:
                return False
            before = self.one(session, subscription_id)
            session.delete(known)
            session.flush()
            after = self.one(session, subscription_id)
            audit.note(
                session, ChangeKind.CHANGED, NOUN, row.id, team_id=row.team_id, now=now, before=before, after=after
            )
            return True

    def _tell_of_leaving(self, session: Session, subscription: Subscription, channel_id: int, now: datetime) -> None:
        team = [one for one in self.all(session) if one.team == subscription.team]
        left = session.get_one(ChannelRow, channel_id)
        for other in told_of_leaving(channel_id, subscription, team):
            session.add(
                DeliveryRow(
                    message_id=message_id(f"left:{subscription.id}:{channel_id}:{now.isoformat()}:{other}"),
                    kind=DeliveryKind.UNSUBSCRIBED,
                    team_id=left.team_id,
                    channel_id=other,
                    subscription=subscription.name,
                    language=subscription.language,
                    content={"left": left.shown},
                    state=DeliveryState.PENDING,
                    due_at=now,
                    created_at=now,
                )
            )

    def one(self, session: Session, subscription_id: int) -> Subscription:
        """A subscription that exists, read in the caller's transaction."""
        row = session.get_one(SubscriptionRow, subscription_id)
        return self._subscription(session, row, session.get_one(TeamRow, row.team_id).name)

    def all(self, session: Session) -> tuple[Subscription, ...]:
        """Every team's subscriptions, read in the caller's transaction: who may have to be told."""
        rows = session.execute(
            select(SubscriptionRow, TeamRow).join(TeamRow, TEAM.id == SUBSCRIPTION.team_id).order_by(SUBSCRIPTION.id)
        )
        found = rows.all()
        linked: dict[int, list[Any]] = {}
        for link in session.execute(_LINKED):
            linked.setdefault(link.subscription_id, []).append(link)
        return tuple(self._of(row, team.name, linked.get(cast(int, row.id), ())) for row, team in found)

    def own(self, known: int | None = None) -> tuple[int, Mapping[int, tuple[str, ...]]] | None:
        """What all subscriptions match by themselves, by their id, and the count of changes by which to ask again; None
        while that is `known`."""
        with self._database.read() as session:
            version = session.execute(select(OWN_RULES.version)).scalar_one()
            if version == known:
                return None
            rows = session.execute(select(SUBSCRIPTION.id, SUBSCRIPTION.match).where(SUBSCRIPTION.match.is_not(None)))
            return version, {number: tuple(texts) for number, texts in rows}

    def own_of(self, team: str | None) -> Mapping[int, tuple[str, ...]]:
        """What the subscriptions of a team match by themselves, by their id; None: those of all teams."""
        own = select(SUBSCRIPTION.id, SUBSCRIPTION.match).join(TeamRow, TEAM.id == SUBSCRIPTION.team_id)
        own = own.where(SUBSCRIPTION.match.is_not(None)).order_by(SUBSCRIPTION.id)
        with self._database.read() as session:
            rows = session.execute(own if team is None else own.where(TEAM.name == team))
            return {number: tuple(texts) for number, texts in rows}

    def _save(self, session: Session, row: SubscriptionRow, new: NewSubscription, now: datetime) -> SavedSubscription:
        known = row.id is not None
        team = session.get_one(TeamRow, row.team_id).name
        old = self._subscription(session, row, team) if known else None
        row.name, row.watch, row.active, row.managed = new.name, dump_watch(new.watch), new.active, new.managed
        row.mute_rumours = new.mute_rumours
        row.notices = new.notices
        row.language, row.timing = new.language, dump_timing(new.timing)
        if tuple(row.match or ()) != new.match:
            row.match = list(new.match) or None
            _count_change(session)
        session.flush()
        used = set(session.execute(select(SUBSCRIPTION_CHANNEL.channel_id)).scalars())
        session.execute(delete(SubscriptionChannelRow).where(SUBSCRIPTION_CHANNEL.subscription_id == row.id))
        created = set()
        linked: set[int] = set()
        for channel in new.channels:
            channel_id, is_new = self._channel(session, row.team_id, channel, used, now)
            if is_new:
                created.add(channel_id)
            if channel_id not in linked:
                linked.add(channel_id)
                session.add(
                    SubscriptionChannelRow(
                        subscription_id=cast(int, row.id), channel_id=channel_id, schedule=channel.schedule
                    )
                )
        session.flush()
        saved = self._subscription(session, row, team)
        kind = ChangeKind.CHANGED if known else ChangeKind.CREATED
        audit.note(session, kind, NOUN, row.id, team_id=row.team_id, now=now, before=old, after=saved)
        digests.reschedule(session, saved, now)
        return SavedSubscription(subscription=saved, created_channels=frozenset(created))

    def _channel(
        self, session: Session, team_id: int, new: NewChannel, used: Container[int], now: datetime
    ) -> tuple[int, bool]:
        """The channel of this address, and whether its secret is new: also where nobody uses the old one any more."""
        fingerprint = self._vault.fingerprint(new.url, context=f"team:{team_id}")
        known = session.execute(
            select(ChannelRow).where(CHANNEL.team_id == team_id, CHANNEL.fingerprint == fingerprint)
        ).scalar_one_or_none()
        context = f"channel:{fingerprint}"
        if known is not None:
            if known.id in used or not new.keys:
                return cast(int, known.id), False
            known.secret_cipher = seal_keys(new.keys, self._vault, context=context)
            return cast(int, known.id), True
        row = ChannelRow(
            team_id=team_id,
            kind=new.kind,
            shown=new.shown,
            fingerprint=fingerprint,
            url_cipher=self._vault.seal(new.url, context=f"{context}:url"),
            secret_cipher=seal_keys(new.keys, self._vault, context=context) if new.keys else None,
            created_at=now,
        )
        session.add(row)
        session.flush()
        return cast(int, row.id), True

    def _subscription(self, session: Session, row: SubscriptionRow, team: str) -> Subscription:
        linked = session.execute(_LINKED.where(SUBSCRIPTION_CHANNEL.subscription_id == row.id)).all()
        return self._of(row, team, linked)

    def _of(self, row: SubscriptionRow, team: str, linked: Sequence[Any]) -> Subscription:
        return Subscription(
            id=cast(int, row.id),
            team=team,
            name=row.name,
            watch=load_watch(row.watch),
            channels=tuple(open_channel(channel, self._vault) for channel, *_ in linked),
            created_at=row.created_at,
            active=row.active,
            managed=row.managed,
            mute_rumours=row.mute_rumours,
            notices=Notices(row.notices),
            language=Language(row.language),
            timing=load_timing(row.timing),
            schedules={channel.id: Schedule(own) for channel, _, own, _ in linked if own is not None},
            unsubscribed={channel.id: at for channel, _, _, at in linked if at is not None},
            match=tuple(row.match or ()),
        )

    def _check(self, session: Session, row: SubscriptionRow, team: str, expected: Tags) -> Subscription:
        found = self._subscription(session, row, team)
        if expected is not None and tag(found) not in expected:
            raise Stale(row.id)
        return found

    def _own(self, session: Session, team: str, subscription_id: int) -> SubscriptionRow | None:
        row = session.get(SubscriptionRow, subscription_id)
        if row is None or session.get_one(TeamRow, row.team_id).name != team:
            return None
        return row

    def _named(self, session: Session, team_id: int, name: str) -> SubscriptionRow | None:
        return session.execute(
            select(SubscriptionRow).where(SUBSCRIPTION.team_id == team_id, SUBSCRIPTION.name == name)
        ).scalar_one_or_none()


_LINKED = (
    select(ChannelRow, SUBSCRIPTION_CHANNEL.subscription_id, SUBSCRIPTION_CHANNEL.schedule, UNSUBSCRIBED.at)
    .join(SubscriptionChannelRow, SUBSCRIPTION_CHANNEL.channel_id == CHANNEL.id)
    .outerjoin(
        UnsubscribedRow,
        (UNSUBSCRIBED.channel_id == CHANNEL.id)
        & (UNSUBSCRIBED.subscription_id == SUBSCRIPTION_CHANNEL.subscription_id),
    )
    .order_by(CHANNEL.id)
)
"""The channels of subscriptions, each with its own schedule and since when its reader wants none of it."""


def _count_change(session: Session) -> None:
    """From here on nobody else changes what subscriptions match by themselves until this transaction ends."""
    session.execute(update(OwnRulesRow).values(version=OWN_RULES.version + 1))


def _locked(session: Session, team_id: int) -> None:
    """From here on nobody else saves a subscription of this team: names and channels are looked up, then written."""
    session.execute(select(TEAM.id).where(TEAM.id == team_id).with_for_update(key_share=True))


def ensure_team(session: Session, name: str, now: datetime) -> int:
    """The id of the team of this name, which is made when it is new."""
    row = session.execute(select(TeamRow).where(TEAM.name == name)).scalar_one_or_none()
    if row is None:
        row = TeamRow(name=name, created_at=now)
        session.add(row)
        session.flush()
    return cast(int, row.id)
