"""stories: the handles under which they are found, their dossiers, updates of alerts, and silences."""

from datetime import timedelta

import sqlalchemy as sa
from alembic import op
from sqlalchemy.orm import load_only
from sqlmodel import Session

from service.domain.model import Entry, StoryKey
from service.domain.stories import WINDOW
from service.domain.text import canonical_url
from service.domain.traits import traits_of
from service.storage.mapping import load_developments

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Added in place, without batch mode: copying these tables would take long and touch every row.
    op.add_column("story", sa.Column("predecessor_id", sa.Integer(), nullable=True))
    op.add_column("story", sa.Column("because", sa.String(), nullable=True))
    op.add_column("story", sa.Column("members", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("entry", sa.Column("trace", sa.JSON(), nullable=True))
    op.create_table(
        "story_handle",
        sa.Column("handle", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["story_id"], ["story.id"], name=op.f("fk_story_handle_story_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("handle", "story_id", name=op.f("pk_story_handle")),
    )
    op.create_index("ix_story_handle_handle_at", "story_handle", ["handle", "at"], unique=False)
    op.create_index(op.f("ix_story_handle_until"), "story_handle", ["until"], unique=False)
    op.create_table(
        "alert_update",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name=op.f("fk_alert_update_alert_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_alert_update_entry_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_update")),
        sa.UniqueConstraint("alert_id", "what", name=op.f("uq_alert_update_alert_id_what")),
    )
    op.create_index(op.f("ix_alert_update_entry_id"), "alert_update", ["entry_id"], unique=False)
    op.create_table(
        "silence",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("watch", sa.JSON(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name=op.f("fk_silence_team_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_silence")),
    )
    op.create_index(op.f("ix_silence_team_id"), "silence", ["team_id"], unique=False)
    op.create_index(op.f("ix_silence_expires_at"), "silence", ["expires_at"], unique=False)
    op.add_column("delivery", sa.Column("update_id", sa.Integer(), nullable=True))
    op.create_index("ix_delivery_update_id_channel_id", "delivery", ["update_id", "channel_id"], unique=True)
    _shelve_recent_stories()


def _shelve_recent_stories() -> None:
    """What was told in the last days is found again after the upgrade, so that nothing is told twice."""
    from service.storage import shelf  # noqa: PLC0415  (its tables must be there)
    from service.storage.tables import DEVELOPMENT, ENTRY, STORY, EntryRow, StoryRow  # noqa: PLC0415

    session = Session(op.get_bind())
    newest = session.execute(sa.select(sa.func.max(STORY.last_at))).scalar()
    if newest is None:
        return
    for story in session.execute(
        sa.select(StoryRow).where(STORY.last_at >= newest - WINDOW - timedelta(days=1))
    ).scalars():
        # Only the columns of this revision: the table's class already has those of later ones.
        columns = ("title", "summary", "content", "link", "sketch", "lang", "published", "received_at", "trace")
        known = load_only(*(getattr(ENTRY, name) for name in columns))
        entries = sa.select(EntryRow).options(known).where(ENTRY.story_id == story.id).order_by(ENTRY.id)
        for row in session.execute(entries).scalars():
            fields = ("jurisdiction", "topic", "action", "direction", "stage")
            read = sa.select(*(getattr(DEVELOPMENT, name) for name in fields)).where(DEVELOPMENT.entry_id == row.id)
            found = session.execute(read.order_by(DEVELOPMENT.id)).mappings()
            entry = Entry(id=str(row.id), title=row.title, summary=row.summary, content=row.content)
            key = StoryKey(
                developments=load_developments([dict(development) for development in found]),
                link=canonical_url(row.link) if row.link else "",
                sketch=tuple(row.sketch),
                title=row.title,
                traits=traits_of(entry, row.lang or "en"),
            )
            row.trace = shelf.dump_key(key)
            shelf.join_story(session, story.id, key, row.published or row.received_at)
    session.flush()


def downgrade() -> None:
    op.drop_index("ix_delivery_update_id_channel_id", table_name="delivery")
    op.drop_column("delivery", "update_id")
    op.drop_table("silence")
    op.drop_table("alert_update")
    op.drop_table("story_handle")
    op.drop_column("entry", "trace")
    op.drop_column("story", "members")
    op.drop_column("story", "because")
    op.drop_column("story", "predecessor_id")
