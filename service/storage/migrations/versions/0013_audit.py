"""audit: who changed what; and requests that may be repeated."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("thing", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], name="fk_audit_team_id", ondelete="CASCADE"),
    )
    for name in ("team_id", "at"):
        op.create_index(f"ix_audit_{name}", "audit", [name])
    op.create_index("ix_audit_thing_number", "audit", ["thing", "number"])
    op.create_table(
        "request",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key_id", sa.Integer(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("effect", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_request"),
        sa.ForeignKeyConstraint(["key_id"], ["api_key.id"], name="fk_request_key_id", ondelete="CASCADE"),
        sa.UniqueConstraint("key_id", "token", name="uq_request_key_id_token"),
    )
    op.create_index("ix_request_begun_at", "request", ["begun_at"])


def downgrade() -> None:
    for table in ("request", "audit"):
        op.drop_table(table)
