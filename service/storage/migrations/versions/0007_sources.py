"""sources: what came of the pages of entries."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("entry", sa.Column("page_fate", sa.String(), nullable=True))
    op.add_column("entry", sa.Column("page_detail", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("entry", "page_detail")
    op.drop_column("entry", "page_fate")
