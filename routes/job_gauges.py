"""What Temporal says about how the work goes, for Prometheus: counts of its list of jobs, and its schedules.

The server groups by the status of a run alone, so each number is a question of its own. There are some thirty, asked
once a minute, which is far below the ten a second that a server allows by default.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.client import Client, WorkflowExecutionStatus

from models.saved_queries import overdue
from models.vocabulary import WaitingFor
from routes.gauges import Gauge, Reading, Series
from rules.jobs import OVERDUE_BY

KEPT_SECONDS = 60
_AT_ONCE = 5
_PATIENCE = timedelta(seconds=4)
_DAY = timedelta(days=1)
_RUNNING = 'ExecutionStatus = "Running"'

# The jobs that last. Those of schedules come and go too fast to be counted.
LASTING: Final = (
    "cart",
    "cascade",
    "certificate",
    "certificate_batch",
    "course_change",
    "dispute",
    "document_copy",
    "drip",
    "export",
    "finding",
    "job_action",
    "order",
    "order_cancellation",
    "payment",
    "refund",
    "refund_watch",
    "tutor_application",
)
_ENDS = {
    WorkflowExecutionStatus.COMPLETED: "completed",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.CANCELED: "canceled",
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed_out",
}
_WORDS = {f"{status.name.title().replace('_', '')}": word for status, word in _ENDS.items()}

RUNNING = Gauge("registrar_jobs_running", "Jobs that run", ("job",), tuple((job,) for job in LASTING))
WAITING = Gauge(
    "registrar_jobs_waiting",
    "Jobs that run, by whom they wait for",
    ("waiting_for",),
    tuple((w.value,) for w in WaitingFor),
)
NEEDING_HUMAN = Gauge("registrar_jobs_needing_human", "Jobs that wait for a person to act")
OVERDUE = Gauge("registrar_jobs_overdue", "Jobs that do not go on although their time came an hour ago or earlier")
ENDED = Gauge(
    "registrar_jobs_ended",
    "Jobs that ended in the last 24 hours, by how",
    ("status",),
    tuple((word,) for word in _ENDS.values()),
)
SCHEDULE_RAN = Gauge(
    "registrar_schedule_last_run_timestamp_seconds",
    "When a schedule last started its job",
    ("schedule",),
    open_ended=True,
)
SCHEDULE_PAUSED = Gauge(
    "registrar_schedule_paused",
    "1 while somebody keeps a schedule from starting its job",
    ("schedule",),
    open_ended=True,
)

GAUGES = (RUNNING, WAITING, NEEDING_HUMAN, OVERDUE, ENDED, SCHEDULE_RAN, SCHEDULE_PAUSED)


async def read_jobs(temporal: Client) -> Reading:
    """All the gauges, read within a moment. Raises `TemporalError` if the server is away."""
    moment = datetime.now(UTC)
    questions: dict[tuple[Gauge, Series], str] = {
        **{(RUNNING, (job,)): f'RegistrarJob = "{job}" AND {_RUNNING}' for job in LASTING},
        **{(WAITING, (word.value,)): f'RegistrarWaitingFor = "{word.value}" AND {_RUNNING}' for word in WaitingFor},
        (NEEDING_HUMAN, ()): f"RegistrarNeedsHuman = true AND {_RUNNING}",
        (OVERDUE, ()): overdue(moment - OVERDUE_BY),
    }
    few_at_once = asyncio.Semaphore(_AT_ONCE)

    async def counted(question: str) -> int:
        async with few_at_once:
            return (await temporal.count_workflows(question, rpc_timeout=_PATIENCE)).count

    counts = await asyncio.gather(*map(counted, questions.values()))
    read: dict[str, dict[Series, float]] = {gauge.name: {} for gauge in GAUGES}
    for (gauge, series), count in zip(questions, counts, strict=True):
        read[gauge.name][series] = count
    since = (moment - _DAY).isoformat()
    of_late = f'RegistrarJob IS NOT NULL AND CloseTime >= "{since}" GROUP BY ExecutionStatus'
    ended = await temporal.count_workflows(of_late, rpc_timeout=_PATIENCE)
    for group in ended.groups:
        if (word := _WORDS.get(str(group.group_values[0]))) is not None:
            read[ENDED.name][(word,)] = group.count
    async for schedule in await temporal.list_schedules(rpc_timeout=_PATIENCE):
        if schedule.info is not None and schedule.info.recent_actions:
            read[SCHEDULE_RAN.name][(schedule.id,)] = schedule.info.recent_actions[-1].started_at.timestamp()
        if schedule.schedule is not None:
            read[SCHEDULE_PAUSED.name][(schedule.id,)] = float(schedule.schedule.state.paused)
    return read
