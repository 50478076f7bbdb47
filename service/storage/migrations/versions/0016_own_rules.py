"""What subscriptions match by themselves, and whose matches and rules of alerts that are.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscription", sa.Column("match", sa.JSON(none_as_null=True), nullable=True))
    # Without a foreign key: on SQLite that would copy the tables, which have a row for each match there ever was.
    op.add_column("match", sa.Column("team_id", sa.Integer(), nullable=True))
    op.add_column("alert_rule", sa.Column("team_id", sa.Integer(), nullable=True))
    made = op.create_table(
        "own_rules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_own_rules")),
    )
    op.bulk_insert(made, [{"id": 1, "version": 0}])


def downgrade() -> None:
    op.drop_table("own_rules")
    op.drop_column("alert_rule", "team_id")
    op.drop_column("match", "team_id")
    op.drop_column("subscription", "match")
