"""What a path leaves behind, counted in words that are the same whenever and however it is played.

`facts/<path>.json` has it of an undisturbed play, with the steps that were taken and what each of them did outside.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from sqlalchemy import Column, func, select
from sqlmodel import SQLModel
from temporalio.client import WorkflowExecutionStatus

from chaos.invariants import what_is_wrong
from models.tables.columns import MINOR_UNITS, now
from models.vocabulary import MailStatus
from tests.eventually import eventually
from tests.installation import Installation
from tests.paths.scene import Scene

KEPT = Path(__file__).parent / "facts"
Facts = dict[str, int]

# The columns that say what a row is about, and how it stands.
_WORDS = (
    "subject_kind", "kind", "type", "template", "list", "action", "role", "access", "cause", "to_state", "status",
    "outcome",
)  # fmt: skip


# Each try to act on a job is in the log, the checks also find jobs of other tests, and what becomes of a mail, a task
# or a finding is in its own table.
_NOT_OF_THE_PATH = {
    *(("audit_log", subject) for subject in ("mail", "task", "finding", "job")), ("findings", "job"),
    ("human_tasks", "job"),
}  # fmt: skip
_AS_USUAL = {
    WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED, WorkflowExecutionStatus.CONTINUED_AS_NEW
}  # fmt: skip
# Mails about something that may be over before their turn comes, which skips them.
_OF_THE_MOMENT = {"application_assigned", "approval_requested", "invoice", "payment_processing", "refund_returned"}


class Kept(TypedDict):
    """The steps that were taken with the doors that their effects went through, and what there was more of then."""

    steps: dict[str, list[str]]
    world: Facts


def kept_facts(path: str) -> Kept:
    """What an undisturbed play of the path left. Raises `AssertionError` if nobody has written it down yet."""
    file = KEPT / f"{path}.json"
    assert file.exists(), f"nobody knows how {path} ends undisturbed: KEEP_FACTS=1 pytest tests/chaos/test_crashes.py"
    facts: Kept = json.loads(file.read_text())
    return facts


def keep_facts(path: str, facts: Kept) -> None:
    """Write down what an undisturbed play of the path left."""
    KEPT.mkdir(exist_ok=True)
    (KEPT / f"{path}.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


class World:
    """The record, the jobs, Stripe and the mailbox of an installation, compared to how they were when a path began."""

    def __init__(self, installation: Installation, rows: Facts, runs: frozenset[str]) -> None:
        self._installation = installation
        self._since = now()
        self._rows = rows
        self._runs = runs

    @classmethod
    async def before(cls, installation: Installation) -> "World":
        """As it is now."""
        runs = frozenset([str(run.run_id) async for run in installation.temporal.list_workflows()])
        return cls(installation, await _rows(installation), runs)

    async def comes_to_rest(self) -> None:
        """Wait until no webhook is on its way and no job has anything to do but wait."""
        temporal = self._installation.temporal
        await self._installation.double.control.webhooks_settled()

        async def waits() -> bool:
            async for run in temporal.list_workflows('ExecutionStatus="Running"'):
                described = (await temporal.get_workflow_handle(run.id, run_id=run.run_id).describe()).raw_description
                if described.pending_activities or described.HasField("pending_workflow_task"):
                    return False
            return True

        # Twice: what one has just ended may have woken another that was looked at before.
        for _ in range(2):
            await eventually(waits, within=60)

    async def facts(self) -> Facts:
        """What there is more of than before: rows by their words, money, and jobs that have failed.

        How often a job was woken, and whether it has come to its last timer, are no facts.
        """
        installation = self._installation
        rows = Counter(await _rows(installation))
        rows.subtract(self._rows)
        jobs: Counter[str] = Counter()
        async for run in installation.temporal.list_workflows():
            if run.run_id not in self._runs and run.status is not None and run.status not in _AS_USUAL:
                jobs[f"job: {run.workflow_type} {run.status.name.lower()}"] += 1
        at_stripe: Counter[str] = Counter()
        for order in await installation.double.control.orders():
            at_stripe.update(
                {f"stripe: {word}": count for word, count in order.model_dump(exclude={"order_id"}).items()}
            )
        return {fact: count for fact, count in sorted({**rows, **jobs, **at_stripe}.items()) if count}

    async def wrongs(self) -> list[str]:
        """A sentence for each invariant of an installation at rest that does not hold."""
        installation = self._installation
        ids = [mail.header("Message-ID") for mail in installation.mailbox.mails()]
        return await what_is_wrong(
            installation.sessions,
            installation.double.control,
            installation.temporal,
            since=self._since,
            message_ids=ids,
        )


async def _rows(installation: Installation) -> Facts:
    counted: Counter[str] = Counter()
    async with installation.sessions() as session:
        for table in SQLModel.metadata.sorted_tables:
            words = [table.c[word] for word in _WORDS if word in table.c]
            sums = [each for each in table.c if _is_of_the_books(each)]
            query = select(*words, func.count(), *(func.sum(column) for column in sums)).group_by(*words)
            for row in await session.execute(query):
                values = [str(value) for value in row[: len(words)]]
                if (table.name, *values[:1]) in _NOT_OF_THE_PATH:
                    continue
                values[-1:] = [_without_chance(table.name, *values)] if values else []
                name = f"{table.name}: {' '.join(values)}".rstrip(": ")
                counted[name] += row[len(words)]
                for column, total in zip(sums, row[len(words) + 1 :], strict=True):
                    counted[f"{name}, {column.name}"] += int(total or 0)
    return dict(counted)


def _is_of_the_books(column: Column[Any]) -> bool:
    """Whether it is money or the last number of a series: how large a file is depends on the day."""
    return column.name == "last_number" or (isinstance(column.type, MINOR_UNITS) and "size" not in column.name)


def _without_chance(table: str, *values: str) -> str:
    """The status (or the last word) of a row, as it is whenever things happen."""
    status = values[-1]
    if table == "stripe_events" and status in {"signaled", "ignored"}:
        # Whether the job that it was for is still there to be told.
        return "read"
    if table == "mails":
        # Whether a mail was sent is not known to a worker that died over it, and then it is not sent again.
        is_settled = status == MailStatus.UNKNOWN or (status == MailStatus.SKIPPED and values[0] in _OF_THE_MOMENT)
        return MailStatus.SENT if is_settled else status
    return status


@dataclass
class RestingScene(Scene):
    """A scene whose workers go home only once there is nothing left to do."""

    world: World | None = None

    @asynccontextmanager
    async def at_work(self, **settings: object) -> AsyncIterator[None]:
        """Workers at work until everything is at rest."""
        async with super().at_work(**settings):
            yield
            if self.world is not None:
                await self.world.comes_to_rest()
