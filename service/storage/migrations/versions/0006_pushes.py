"""pushes: what was agreed with a feed's hub (WebSub), and what a feed's server wants to be shown (sealed)."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feed", sa.Column("pushed_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("feed", sa.Column("credentials", sa.String(), nullable=True))
    op.add_column("feed", sa.Column("sends", sa.JSON(), nullable=False, server_default="[]"))
    op.create_table(
        "push",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("feed_id", sa.Integer(), nullable=False),
        sa.Column("hub", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("public_url", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(), nullable=True),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("last_taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refused", sa.Integer(), nullable=False),
        sa.Column("last_refusal", sa.String(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["feed_id"], ["feed.id"], name=op.f("fk_push_feed_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push")),
        sa.UniqueConstraint("feed_id", name=op.f("uq_push_feed_id")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_push_token_hash")),
    )
    op.create_index(op.f("ix_push_next_at"), "push", ["next_at"])


def downgrade() -> None:
    op.drop_table("push")
    for column in ("sends", "credentials", "pushed_until"):
        op.drop_column("feed", column)
