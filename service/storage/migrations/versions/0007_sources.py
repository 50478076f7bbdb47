"""sources: what came of the pages of entries and of gaps, and who hears about the feeds themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("entry", sa.Column("page_fate", sa.String(), nullable=True))
    op.add_column("entry", sa.Column("page_detail", sa.Text(), nullable=False, server_default=""))
    op.add_column("subscription", sa.Column("notices", sa.String(), nullable=False, server_default="gaps"))
    op.add_column("feed_gap", sa.Column("fate", sa.String(), nullable=False, server_default="open"))
    op.add_column("feed_gap", sa.Column("recovered", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("feed_gap", sa.Column("detail", sa.Text(), nullable=False, server_default=""))
    op.add_column("feed_gap", sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("feed_gap", sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE feed_gap SET fate = 'unfilled', detail = 'noticed before gaps were filled'")
    op.create_index(op.f("ix_feed_gap_next_attempt_at"), "feed_gap", ["next_attempt_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_feed_gap_next_attempt_at"), "feed_gap")
    for column in ("next_attempt_at", "attempts", "detail", "recovered", "fate"):
        op.drop_column("feed_gap", column)
    op.drop_column("subscription", "notices")
    op.drop_column("entry", "page_detail")
    op.drop_column("entry", "page_fate")
