"""The database schema over time. `upgrade` and `downgrade` run Alembic without an ini file."""

from pathlib import Path

from alembic import command
from alembic.config import Config


def _config(database_url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the schema up to `revision`. Two processes at once are safe: the second waits, then finds nothing to do."""
    command.upgrade(_config(database_url), revision)


def downgrade(database_url: str, revision: str = "base") -> None:
    """Take the schema down to `revision`; `base` is empty."""
    command.downgrade(_config(database_url), revision)


def check(database_url: str) -> None:
    """Raise `alembic.util.CommandError` if the tables in `models` and the migrated schema differ."""
    command.check(_config(database_url))
