"""channels: how each stands, the order of what it was sent, what receivers answered; drills and their receipts."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _channels()
    op.add_column("delivery", sa.Column("event", sa.Integer(), nullable=True))
    op.add_column("delivery", sa.Column("drill_id", sa.Integer(), nullable=True))
    op.add_column("attempt", sa.Column("answer", sa.JSON(), nullable=True))
    _events()
    op.create_index("ix_delivery_channel_id_event", "delivery", ["channel_id", "event"], unique=True)
    op.create_index("ix_delivery_drill_id", "delivery", ["drill_id"])
    _drills()


def _channels() -> None:
    for name in ("failing_since", "last_failed_at", "disabled_at", "rest_until"):
        op.add_column("channel", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("channel", sa.Column("failing_told", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("channel", sa.Column("disabled_because", sa.String(), nullable=True))
    op.add_column("channel", sa.Column("last_event", sa.Integer(), nullable=False, server_default="0"))


def _events() -> None:
    """What was sent already is numbered in the order in which it was stored."""
    op.execute(
        "UPDATE delivery SET event = numbered.place FROM ("
        "SELECT id, row_number() OVER (PARTITION BY channel_id ORDER BY id) AS place FROM delivery WHERE attempts > 0"
        ") AS numbered WHERE numbered.id = delivery.id"
    )
    op.execute(
        "UPDATE channel SET last_event = coalesce("
        "(SELECT max(event) FROM delivery WHERE delivery.channel_id = channel.id), 0)"
    )


def _drills() -> None:
    op.create_table(
        "drill",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=True),
        sa.Column("subscription_id", sa.Integer(), nullable=True),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=True),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_drill"),
        sa.UniqueConstraint("slot", name="uq_drill_slot"),
    )
    op.create_index("ix_drill_feed_id", "drill", ["feed_id"])
    op.create_index("ix_drill_ended_at_due_at", "drill", ["ended_at", "due_at"])


def downgrade() -> None:
    op.drop_table("drill")
    op.drop_index("ix_delivery_channel_id_event", "delivery")
    op.drop_index("ix_delivery_drill_id", "delivery")
    op.drop_column("attempt", "answer")
    for name in ("event", "drill_id"):
        op.drop_column("delivery", name)
    for name in ("failing_since", "last_failed_at", "disabled_at", "rest_until", "failing_told", "disabled_because",
                 "last_event"):  # fmt: skip
        op.drop_column("channel", name)
