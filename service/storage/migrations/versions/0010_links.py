"""links: decisions made with the link in a message, and channels that were unsubscribed by their readers."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("decision", sa.Column("until", sa.Date(), nullable=True))
    op.add_column("decision", sa.Column("assignee", sa.String(), nullable=False, server_default=""))
    op.add_column("decision", sa.Column("delivery_id", sa.Integer(), nullable=True))
    # Decisions without a link have no delivery, and nulls differ from each other on both databases.
    op.create_index("ix_decision_delivery_id_alert_id", "decision", ["delivery_id", "alert_id"], unique=True)
    op.create_table(
        "unsubscribed",
        sa.Column("subscription_id", sa.Integer(), nullable=False),
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subscription_id", "channel_id", name="pk_unsubscribed"),
        *(
            sa.ForeignKeyConstraint(
                [f"{other}_id"], [f"{other}.id"], name=f"fk_unsubscribed_{other}_id", ondelete="CASCADE"
            )
            for other in ("subscription", "channel")
        ),
    )
    op.create_index("ix_unsubscribed_channel_id", "unsubscribed", ["channel_id"])


def downgrade() -> None:
    op.drop_table("unsubscribed")
    op.drop_index("ix_decision_delivery_id_alert_id", "decision")
    for column in ("delivery_id", "assignee", "until"):
        op.drop_column("decision", column)
