"""when: schedules, quiet hours and budgets of subscriptions, what waits for digests, escalations and decisions."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscription", sa.Column("timing", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("subscription_channel", sa.Column("schedule", sa.String(), nullable=True))
    op.add_column("route", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("delivery", sa.Column("subscription_id", sa.Integer(), nullable=True))
    op.execute("UPDATE route SET due_at = decided_at WHERE reason = 'delivered'")
    _digest_items()
    _escalations()
    _decisions()


def _digest_items() -> None:
    op.create_table(
        "digest_item",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("update_id", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivery_id", sa.Integer(), nullable=True),
        *_keys("digest_item", "subscription", "channel", "alert"),
    )
    for name in ("subscription_id", "channel_id", "alert_id"):
        op.create_index(f"ix_digest_item_{name}", "digest_item", [name])
    waiting = sa.text("delivery_id IS NULL")
    op.create_index(
        "ix_digest_item_waiting",
        "digest_item",
        ["alert_id", "channel_id"],
        unique=True,
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index("ix_digest_item_delivery_id_due_at", "digest_item", ["delivery_id", "due_at"])


def _escalations() -> None:
    op.create_table(
        "escalation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.String(), nullable=True),
        *_keys("escalation", "subscription", "alert"),
        sa.UniqueConstraint("subscription_id", "alert_id", name="uq_escalation_subscription_id_alert_id"),
    )
    op.create_index("ix_escalation_alert_id", "escalation", ["alert_id"])
    op.create_index("ix_escalation_due_at", "escalation", ["due_at"])


def _decisions() -> None:
    op.create_table(
        "decision",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        *_keys("decision", "team", "alert"),
    )
    for name in ("team_id", "alert_id"):
        op.create_index(f"ix_decision_{name}", "decision", [name])


def _keys(table: str, *others: str) -> list[sa.Constraint]:
    foreign = [
        sa.ForeignKeyConstraint([f"{other}_id"], [f"{other}.id"], name=f"fk_{table}_{other}_id", ondelete="CASCADE")
        for other in others
    ]
    return [sa.PrimaryKeyConstraint("id", name=f"pk_{table}"), *foreign]


def downgrade() -> None:
    for table in ("decision", "escalation", "digest_item"):
        op.drop_table(table)
    for table, column in (
        ("delivery", "subscription_id"), ("route", "due_at"), ("subscription_channel", "schedule"),
        ("subscription", "timing"),
    ):  # fmt: skip
        op.drop_column(table, column)
