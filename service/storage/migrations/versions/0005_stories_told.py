"""stories told: pages to look at again, rumours to mute, and indexes for a story that thousands of entries tell."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "page_look",
        sa.Column("entry_id", sa.Integer(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.Boolean(), nullable=False),
        sa.Column("missing", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["entry_id"], ["entry.id"], name=op.f("fk_page_look_entry_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_page_look")),
    )
    op.create_index(op.f("ix_page_look_due_at"), "page_look", ["due_at"])
    op.add_column("subscription", sa.Column("mute_rumours", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.drop_index("ix_story_handle_handle_at", "story_handle")
    op.create_index("ix_story_handle_handle_at_story_id", "story_handle", ["handle", "at", "story_id"])
    op.drop_index(op.f("ix_entry_story_id"), "entry")
    op.create_index("ix_entry_story_id_id", "entry", ["story_id", "id"])
    op.create_index("ix_entry_story_id_feed_id", "entry", ["story_id", "feed_id"])
    op.drop_index(op.f("ix_route_alert_id"), "route")
    op.create_index("ix_route_alert_id_reason", "route", ["alert_id", "reason"])


def downgrade() -> None:
    op.drop_index("ix_route_alert_id_reason", "route")
    op.create_index(op.f("ix_route_alert_id"), "route", ["alert_id"])
    op.drop_index("ix_entry_story_id_feed_id", "entry")
    op.drop_index("ix_entry_story_id_id", "entry")
    op.create_index(op.f("ix_entry_story_id"), "entry", ["story_id"])
    op.drop_index("ix_story_handle_handle_at_story_id", "story_handle")
    op.create_index("ix_story_handle_handle_at", "story_handle", ["handle", "at"])
    op.drop_column("subscription", "mute_rumours")
    op.drop_table("page_look")
