"""feed health: what a feed is and how it publishes, what its owner was told, and the gap ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feed", sa.Column("kind", sa.String(), nullable=True))
    op.add_column("feed", sa.Column("tags", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("feed", sa.Column("state_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("feed", sa.Column("validated_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("feed", sa.Column("move", sa.JSON(), nullable=True))
    op.add_column("feed", sa.Column("usual_seconds", sa.Float(), nullable=True))
    op.add_column("feed", sa.Column("longest_seconds", sa.Float(), nullable=True))
    op.add_column("feed", sa.Column("last_news_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("feed", sa.Column("pace_seconds", sa.Float(), nullable=True))
    op.add_column("feed", sa.Column("selectors", sa.JSON(), nullable=True))
    op.create_table(
        "feed_digests",
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("digests", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_feed_digests_feed_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("feed_id", name=op.f("pk_feed_digests")),
    )
    op.create_table(
        "feed_notice",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_feed_notice_feed_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_notice")),
    )
    op.create_index(op.f("ix_feed_notice_feed_id"), "feed_notice", ["feed_id"])
    op.create_index(op.f("ix_feed_notice_at"), "feed_notice", ["at"])
    op.create_table(
        "feed_gap",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_feed_gap_feed_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_gap")),
    )
    op.create_index(op.f("ix_feed_gap_feed_id"), "feed_gap", ["feed_id"])
    op.create_index(op.f("ix_feed_gap_opened_at"), "feed_gap", ["opened_at"])


def downgrade() -> None:
    op.drop_table("feed_gap")
    op.drop_table("feed_notice")
    op.drop_table("feed_digests")
    for column in (
        "selectors",
        "pace_seconds",
        "last_news_at",
        "longest_seconds",
        "usual_seconds",
        "move",
        "validated_at",
        "state_since",
        "tags",
        "kind",
    ):
        op.drop_column("feed", column)
