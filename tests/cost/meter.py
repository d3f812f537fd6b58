"""What each job of a path costs: counted while the path is played, so it is the same on every machine."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, Engine, event, func, select
from sqlmodel import col
from temporalio import activity

from bench.history import history_cost
from models.tables import Mail
from models.vocabulary import MailStatus
from tests.installation import Installation
from tests.paths import PATHS, Path, Scene

# Where a connection keeps what it was asked in its transaction.
_KNOWN = "asked in this transaction"

# How often carts look whose clock runs ahead is a matter of the machine (tests/workflows/test_cart_history.py).
MEASURED = [name for name, path in PATHS.items() if not path.brings_workers]


class JobCost(BaseModel):
    """One job, from its start until it was kept: at its end, or where it waits.

    Of workflow tasks, and so of events and bytes, the server makes as many as it has occasion to. `actions` are those
    that Temporal Cloud bills.
    """

    model_config = ConfigDict(frozen=True)

    workflow: str
    events: int
    workflow_tasks: int
    activities: int
    local_activities: int
    timers: int
    children: int
    messages: int
    actions: int
    history_bytes: int
    longest_payload: int
    statements: int
    transactions: int
    mails: int


@dataclass(frozen=True)
class Repeated:
    """A statement that a step has asked with the same parameters before, in the same transaction."""

    step: str
    statement: str


@dataclass
class Asked:
    """What the steps of each job have asked of PostgreSQL, and what of it they had just been told."""

    statements: Counter[str] = field(default_factory=Counter)
    transactions: Counter[str] = field(default_factory=Counter)
    repeated: set[Repeated] = field(default_factory=set)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Count on every engine of this process until the context is left."""

        def statement(connection: Connection, _: object, sql: str, parameters: object, *__: object) -> None:
            if activity.in_activity():
                self.statements[str(activity.info().workflow_id)] += 1
                known, question = connection.info.setdefault(_KNOWN, set()), (sql, repr(parameters))
                if question in known:
                    self.repeated.add(Repeated(activity.info().activity_type, sql))
                known.add(question)

        def transaction(connection: Connection) -> None:
            connection.info.pop(_KNOWN, None)
            if activity.in_activity():
                self.transactions[str(activity.info().workflow_id)] += 1

        event.listen(Engine, "before_cursor_execute", statement)
        event.listen(Engine, "begin", transaction)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", statement)
            event.remove(Engine, "begin", transaction)


async def costs_of(path: Path, installation: Installation) -> tuple[dict[str, JobCost], Asked]:
    """Play a path, and say what each job that it keeps has cost until then, and what all its steps have asked."""
    asked, costs = Asked(), dict[str, JobCost]()

    async def keep(name: str, workflow_id: str) -> None:
        described = await installation.temporal.get_workflow_handle(workflow_id).describe()
        history = await history_cost(installation.temporal, workflow_id)
        costs[name] = JobCost(
            workflow=described.workflow_type,
            events=history.total,
            workflow_tasks=history.workflow_tasks,
            activities=history.events.get("ACTIVITY_TASK_SCHEDULED", 0),
            local_activities=history.events.get("MARKER_RECORDED", 0),
            timers=history.events.get("TIMER_STARTED", 0),
            children=history.events.get("START_CHILD_WORKFLOW_EXECUTION_INITIATED", 0),
            messages=sum(
                history.events.get(name, 0)
                for name in ("WORKFLOW_EXECUTION_SIGNALED", "WORKFLOW_EXECUTION_UPDATE_ACCEPTED")
            ),
            actions=history.actions,
            history_bytes=history.size_bytes,
            longest_payload=history.longest_payload_bytes,
            statements=asked.statements[workflow_id],
            transactions=asked.transactions[workflow_id],
            mails=await _mails(installation, workflow_id),
        )

    with asked.listening():
        await path.play(Scene(installation, keep))
    return costs, asked


async def _mails(installation: Installation, workflow_id: str) -> int:
    query = select(func.count()).where(col(Mail.workflow_id) == workflow_id, col(Mail.status) == MailStatus.SENT)
    async with installation.sessions() as session:
        return (await session.execute(query)).scalar_one()
