"""Wishes for another name on a certificate that a person has to decide."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from temporalio import workflow

from models.messages.certificates import CorrectName
from models.messages.tasks import DecideTask, TaskDecided
from models.vocabulary import TaskAction, TaskKind
from workflows.human_tasks import HumanTasks
from workflows.mailing import Outbox


class NameCorrections:
    """Those of one run. What was decided is carried out by `settle` before whoever decided it gets an answer."""

    def __init__(self, outbox: Outbox, settle: Callable[[CorrectName, DecideTask], Awaitable[None]]) -> None:
        self.tasks = HumanTasks(outbox)
        self._settle = settle
        self._open: dict[UUID, CorrectName] = {}
        self._asking: dict[UUID, asyncio.Task[None]] = {}

    @property
    def open(self) -> tuple[CorrectName, ...]:
        """What is still to be decided, or to be carried out."""
        return tuple(self._open.values())

    def is_open(self, correction_id: UUID) -> bool:
        """Whether this run has it."""
        return correction_id in self._open

    def ask(self, wish: CorrectName) -> None:
        """Put it before a person, unless they have it already."""
        if wish.correction_id not in self._open:
            self._open[wish.correction_id] = wish
            self._asking[wish.correction_id] = asyncio.create_task(self._have_decided(wish))

    async def _have_decided(self, wish: CorrectName) -> None:
        about = f"correction-{wish.correction_id}"
        await self.tasks.ask(
            TaskKind.NAME_CORRECTION,
            about,
            "The holder of a certificate wants another name on it. Look at what they show for it.",
            (TaskAction.APPROVE, TaskAction.REJECT),
            subject=("certificate", wish.certificate_id),
        )
        if (decision := self.tasks.decision(about)) is not None:
            await self._settle(wish, decision)
        del self._open[wish.correction_id], self._asking[wish.correction_id]

    async def decide(self, decision: DecideTask) -> TaskDecided:
        """Take a decision that was checked, and answer once it is carried out."""
        decided = await self.tasks.decide(decision)
        await workflow.wait_condition(lambda: not self._is_settling(decision))
        return decided

    def _is_settling(self, decision: DecideTask) -> bool:
        return any(self.tasks.decision(f"correction-{open_id}") == decision for open_id in self._open)
