"""Alembic's entry: runs the migrations on the connection that `Database.migrate` opened."""

from alembic import context

from service.storage.tables import Row

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
