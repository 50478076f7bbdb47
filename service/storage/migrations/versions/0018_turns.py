"""turns: the host of each feed, and whose turn it is."""

import sqlalchemy as sa
from alembic import op

from service.storage.turns import host_of

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None

AT_ONCE = 1000


def upgrade() -> None:
    op.create_table(
        "host",
        sa.Column("host", sa.String(), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("host", name="pk_host"),
    )
    op.create_index("ix_host_ready_at", "host", ["ready_at"])
    op.add_column("feed", sa.Column("host", sa.Text(), nullable=False, server_default=""))
    feed = sa.table("feed", sa.column("id", sa.Integer), sa.column("url", sa.String), sa.column("host", sa.Text))
    connection = op.get_bind()
    named = feed.update().where(feed.c.id == sa.bindparam("of")).values(host=sa.bindparam("host_"))
    rows = [{"of": row.id, "host_": host_of(row.url)} for row in connection.execute(sa.select(feed.c.id, feed.c.url))]
    for start in range(0, len(rows), AT_ONCE):
        connection.execute(named, rows[start : start + AT_ONCE])
    connection.execute(
        sa.text(
            "INSERT INTO host (host, free_at, ready_at) "
            "SELECT host, min(created_at), min(next_due_at) FROM feed WHERE active GROUP BY host"
        )
    )
    op.create_index("ix_feed_host_next_due_at", "feed", ["host", "next_due_at"], postgresql_where=sa.text("active"))
    op.create_index("ix_feed_leased", "feed", ["host"], postgresql_where=sa.text("lease_until IS NOT NULL"))


def downgrade() -> None:
    op.drop_index("ix_feed_leased", "feed")
    op.drop_index("ix_feed_host_next_due_at", "feed")
    op.drop_column("feed", "host")
    op.drop_table("host")
