"""readings: what is kept of an entry's annotations, and what a match left open."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reading",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("lexicon", sa.String(), nullable=False),
        sa.Column("lang", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("concepts", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_reading_entry_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_reading")),
    )
    with op.batch_alter_table("reading", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_reading_at"), ["at"], unique=False)

    # Added in place, without batch mode: copying these tables would take long and touch every row.
    op.add_column("development", sa.Column("quotes", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("development", sa.Column("stated", sa.String(), nullable=True))
    op.add_column("development", sa.Column("named", sa.String(), nullable=True))
    op.add_column("match", sa.Column("unclear", sa.JSON(), nullable=False, server_default="[]"))


def downgrade() -> None:
    op.drop_column("match", "unclear")
    op.drop_column("development", "named")
    op.drop_column("development", "stated")
    op.drop_column("development", "quotes")
    with op.batch_alter_table("reading", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_reading_at"))

    op.drop_table("reading")
