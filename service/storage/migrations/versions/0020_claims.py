"""claims: what a claim of deliveries looks at stands in indexes, however much is waiting."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

LEASED = sa.text("lease_until IS NOT NULL")


def upgrade() -> None:
    op.create_index(
        "ix_delivery_lease_until_channel_id",
        "delivery",
        ["lease_until", "channel_id"],
        sqlite_where=LEASED,
        postgresql_where=LEASED,
    )
    op.create_index("ix_delivery_state_due_at_channel_id", "delivery", ["state", "due_at", "channel_id"])
    op.drop_index("ix_delivery_state_due_at", "delivery")


def downgrade() -> None:
    op.create_index("ix_delivery_state_due_at", "delivery", ["state", "due_at"])
    op.drop_index("ix_delivery_state_due_at_channel_id", "delivery")
    op.drop_index("ix_delivery_lease_until_channel_id", "delivery")
