"""languages: what our own words are written in, by subscription, and in each message that is on its way."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("subscription", "delivery"):
        op.add_column(table, sa.Column("language", sa.String(), nullable=False, server_default="en"))


def downgrade() -> None:
    for table in ("delivery", "subscription"):
        op.drop_column(table, "language")
