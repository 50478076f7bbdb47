"""ways out: tokens of feeds, the days that entries name, and an index for what concerned a subscription."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "way",
        sa.Column("subscription_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("token_hash", sa.String(), nullable=True),
        sa.Column("seed", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subscription_id", name="pk_way"),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscription.id"], name="fk_way_subscription_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("token_hash", name="uq_way_token_hash"),
    )
    op.create_table(
        "entry_date",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("meaning", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "meaning", "day", name="pk_entry_date"),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name="fk_entry_date_entry_id", ondelete="CASCADE"),
    )
    op.create_index("ix_route_subscription_id_alert_id", "route", ["subscription_id", "alert_id"])
    op.drop_index("ix_route_subscription_id", "route")


def downgrade() -> None:
    op.create_index("ix_route_subscription_id", "route", ["subscription_id"])
    op.drop_index("ix_route_subscription_id_alert_id", "route")
    for table in ("entry_date", "way"):
        op.drop_table(table)
