"""desk: which alerts each team sees, what they are about, what was said of them; made from what is stored."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_SEEN = (
    "delivered", "quiet_hours", "in_digest", "for_digest", "over_budget", "already_told", "no_channel", "unconfirmed",
    "throttled", "silenced", "rumour_muted",
)  # fmt: skip
_ACT = ("jurisdiction", "topic", "action", "stage", "direction")


def upgrade() -> None:
    op.add_column("alert", sa.Column("version", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("alert", sa.Column("words", sa.Text(), nullable=False, server_default=""))
    _table("team_alert", ("team_id", "alert_id"), sa.Column("verdict", sa.String(), nullable=True))
    op.create_index("ix_team_alert_alert_id", "team_alert", ["alert_id"])
    _table("alert_act", ("alert_id",), *(sa.Column(name, sa.String(), nullable=False) for name in _ACT), keys=_ACT)
    for name in _ACT[:3]:
        op.create_index(f"ix_alert_act_{name}_alert_id", "alert_act", [name, "alert_id"])
    op.create_table(
        "comment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("team_id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_comment"),
        *_foreign("comment", "team_id", "alert_id"),
    )
    op.create_index("ix_comment_alert_id", "comment", ["alert_id"])
    op.create_index("ix_comment_team_id", "comment", ["team_id"])
    _fill()


def _table(name: str, ids: tuple[str, ...], *columns: sa.Column[str], keys: tuple[str, ...] = ()) -> None:
    op.create_table(
        name,
        *(sa.Column(column, sa.Integer(), nullable=False) for column in ids),
        *columns,
        sa.PrimaryKeyConstraint(*ids, *keys, name=f"pk_{name}"),
        *_foreign(name, *ids),
    )


def _foreign(table: str, *ids: str) -> list[sa.ForeignKeyConstraint]:
    return [
        sa.ForeignKeyConstraint([one], [f"{one.removesuffix('_id')}.id"], name=f"fk_{table}_{one}", ondelete="CASCADE")
        for one in ids
    ]


def _fill() -> None:
    connection = op.get_bind()
    seen = ", ".join(f"'{reason}'" for reason in _SEEN)
    connection.execute(
        sa.text(
            "INSERT INTO team_alert (team_id, alert_id, verdict) SELECT DISTINCT r.team_id, r.alert_id, "
            "(SELECT d.verdict FROM decision d WHERE d.team_id = r.team_id AND d.alert_id = r.alert_id "
            "ORDER BY d.id DESC LIMIT 1) "
            f"FROM route r WHERE r.team_id IS NOT NULL AND r.reason IN ({seen})"
        )
    )
    connection.execute(sa.text("UPDATE alert SET words = lower(title)"))
    names = ", ".join(_ACT)
    of_story = "FROM alert a JOIN entry e ON e.story_id = a.story_id JOIN development d ON d.entry_id = e.id"
    told = ", ".join(f"d.{name}" for name in _ACT)
    connection.execute(sa.text(f"INSERT INTO alert_act (alert_id, {names}) SELECT DISTINCT a.id, {told} {of_story}"))


def downgrade() -> None:
    for table in ("comment", "alert_act", "team_alert"):
        op.drop_table(table)
    for column in ("words", "version"):
        op.drop_column("alert", column)
