"""The schedules on the Temporal server: read, and made those that are declared. Ours bear a mark in their memo."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from workflows.recurring import Facts, Recurring, facts_of
from workflows.schedule_plan import Known, Planned, Verb, plan

_MARK = "registrar"


@dataclass(frozen=True)
class Listed:
    """A schedule as the server has it: what it is, when it comes next (UTC) and when it came last."""

    id: str
    facts: Facts
    is_ours: bool
    next_at: datetime | None
    last_at: datetime | None

    @property
    def is_paused(self) -> bool:
        """Whether it stands still."""
        return Known(self.facts, self.is_ours).is_paused


async def read_schedules(client: Client, declared: Sequence[Recurring]) -> dict[str, Listed]:
    """Those of the declared ones that are there, in their order, and all others that bear our mark, by id."""
    # The list is late by a moment, so those declared are asked for by name.
    marked = [each.id async for each in await client.list_schedules() if _MARK in await each.memo()]
    ids = dict.fromkeys([*(each.id for each in declared), *sorted(marked)])
    found = await asyncio.gather(*(_described(client, each) for each in ids))
    return {each.id: await _listed(each) for each in found if each is not None}


async def apply_schedules(
    client: Client, declared: Sequence[Recurring], time_zone: str, *, is_dry_run: bool = False
) -> tuple[Planned, ...]:
    """Make the server's schedules those declared, on the clock of this (IANA) zone, and say what that has changed.

    A dry run says what it would change. Applying again changes nothing.
    """
    on_server = await read_schedules(client, declared)
    by_id = {each.id: each for each in declared}
    planned = plan(by_id, {each.id: Known(each.facts, each.is_ours) for each in on_server.values()}, time_zone)
    if not is_dry_run:
        for step in planned:
            await _carry_out(client, step, by_id, on_server, time_zone)
    return planned


async def _carry_out(
    client: Client, step: Planned, declared: Mapping[str, Recurring], on_server: Mapping[str, Listed], time_zone: str
) -> None:
    if step.verb is Verb.CREATE:
        await _create(client, step.id, declared[step.id].schedule(time_zone))
    elif step.verb is Verb.DELETE:
        await _delete(client, step.id)
    elif step.verb is Verb.UPDATE:
        handle, recurring = client.get_schedule_handle(step.id), declared[step.id]
        if on_server[step.id].is_ours:
            await handle.update(lambda known: ScheduleUpdate(_renewed(recurring, known, time_zone)))
            return
        # One of an older release, which set no mark; a memo is only written at the start.
        known = await handle.describe()
        await handle.delete()
        await _create(client, step.id, _renewed(recurring, ScheduleUpdateInput(known), time_zone))


# Two releases, or two hosts of one, may apply at the same time: what the other has done already is done.


async def _create(client: Client, schedule_id: str, schedule: Schedule) -> None:
    with suppress(ScheduleAlreadyRunningError):
        await client.create_schedule(schedule_id, schedule, memo={_MARK: schedule_id})


async def _delete(client: Client, schedule_id: str) -> None:
    try:
        await client.get_schedule_handle(schedule_id).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


def _renewed(recurring: Recurring, known: ScheduleUpdateInput, time_zone: str) -> Schedule:
    """As declared; operators' pause stays, with what they have said of it."""
    schedule, state = recurring.schedule(time_zone), known.description.schedule.state
    if recurring.is_paused is None:
        schedule.state.paused = state.paused
    if state.paused and schedule.state.paused:
        schedule.state.note = state.note
    return schedule


async def _described(client: Client, schedule_id: str) -> ScheduleDescription | None:
    try:
        return await client.get_schedule_handle(schedule_id).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise


async def _listed(described: ScheduleDescription) -> Listed:
    runs, coming = described.info.recent_actions, described.info.next_action_times
    assert isinstance(described.schedule.action, ScheduleActionStartWorkflow)  # noqa: S101 - Temporal knows no other
    return Listed(
        id=described.id,
        facts=facts_of(described.schedule),
        is_ours=_MARK in await described.memo(),
        # A paused one still says when it would come.
        next_at=None if described.schedule.state.paused or not coming else coming[0],
        last_at=runs[-1].started_at if runs else None,
    )
