"""Pauses of an enrollment: time stands still, and access that counts days ends as much later."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.learning_facts import Learning, StandStill
from activities.learning_step import Step
from models.tables import EnrollmentPause


async def begin_pause(session: AsyncSession, learning: Learning, until: datetime, step: Step) -> None:
    """Let time stand still until then, unless somebody ends the pause before."""
    pause = EnrollmentPause(
        enrollment_id=learning.enrollment.id,
        paused_at=step.moment,
        until=until,
        actor=step.actor,
        created_at=step.moment,
    )
    session.add(pause)
    await session.flush()
    learning.pauses.append(StandStill(pause.id, step.moment, until))
    if learning.counts_days:
        await prolong_access(session, learning, step.moment)


async def end_pause(session: AsyncSession, learning: Learning, at: datetime, step: Step) -> None:
    """End the pause that goes on, not before it began. Access loses what is left of the time that it got for it."""
    pause = _going_on(learning)
    at = max(at, pause.paused_at)
    left = max(timedelta(), min(pause.prolonged_by, pause.until - at))
    if learning.enrollment.access_ends_at is not None:
        learning.enrollment.access_ends_at -= left
    await _write(session, learning, pause, replace(pause, resumed_at=at, prolonged_by=pause.prolonged_by - left))
    change = StateChange("enrollment_pause", pause.id, "open", "ended")
    await write_audit(session, [change], actor=step.actor, reason="resumed", workflow_id=step.workflow_id)


async def prolong_access(session: AsyncSession, learning: Learning, moment: datetime) -> None:
    """Access that has an end lasts longer by what is left at `moment` of the pause that goes on, if one does."""
    pause, ends_at = learning.open_pause(moment), learning.enrollment.access_ends_at
    if pause is not None and ends_at is not None:
        left = pause.until - moment
        learning.enrollment.access_ends_at = ends_at + left
        await _write(session, learning, pause, replace(pause, prolonged_by=left))


async def keep_end(session: AsyncSession, learning: Learning, moment: datetime) -> None:
    """The end of access is as staff says, whether the pause goes on or not."""
    pause = learning.open_pause(moment)
    if pause is not None:
        await _write(session, learning, pause, replace(pause, prolonged_by=timedelta()))


def _going_on(learning: Learning) -> StandStill:
    return next(each for each in learning.pauses if each.resumed_at is None)


async def _write(session: AsyncSession, learning: Learning, before: StandStill, after: StandStill) -> None:
    await session.execute(
        update(EnrollmentPause)
        .where(col(EnrollmentPause.id) == before.id)
        .values(resumed_at=after.resumed_at, prolonged_by=after.prolonged_by)
        .execution_options(synchronize_session=False)
    )
    learning.pauses[learning.pauses.index(before)] = after
