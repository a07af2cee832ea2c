"""How Alembic runs our migrations: on the connection that it is handed, in that connection's transaction."""

from alembic import context

from penstock.server.database.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, transactional_ddl=False)
context.run_migrations()
