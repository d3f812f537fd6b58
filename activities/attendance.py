"""Hours and meetings that nobody spoke about: held, three days after their end (rules/refund.py counts them so too)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from activities.audit import StateChange, write_audit
from activities.learning_facts import Learning
from activities.slots import slot_changes
from models.identifiers import new_id
from models.tables import LessonRecord, LessonSlot
from models.vocabulary import Attendance, LessonOutcome, SlotStatus
from rules.refund import CONFIRMED_AFTER

OUTCOMES: Mapping[Attendance, LessonOutcome] = {
    Attendance.ATTENDED: LessonOutcome.COMPLETED,
    Attendance.LATE: LessonOutcome.COMPLETED,
    Attendance.ABSENT: LessonOutcome.STUDENT_NO_SHOW,
    Attendance.EXCUSED: LessonOutcome.CANCELED,
    Attendance.TUTOR_NO_SHOW: LessonOutcome.TUTOR_NO_SHOW,
}


async def confirm_held(session: AsyncSession, learning: Learning, moment: datetime, workflow_id: str) -> None:
    """Record as attended, by `system`, what ended 72 hours ago without a word. Wants the enrollment locked.

    The hours also pass in a pause: a booked hour was held or not, and its tutor may say so meanwhile. A meeting in a
    pause is nobody's.
    """
    silent = [each for each in learning.silent() if each.ends_at + CONFIRMED_AFTER <= moment]
    if not silent:
        return
    rows = [
        {
            "id": new_id(),
            "created_at": moment,
            "updated_at": moment,
            "enrollment_id": learning.enrollment.id,
            "slot_id": each.id if each.is_hour else None,
            "meeting_id": None if each.is_hour else each.id,
            "outcome": LessonOutcome.COMPLETED,
            "attendance": Attendance.ATTENDED,
            "recorded_by": "system",
        }
        for each in silent
    ]
    await session.execute(insert(LessonRecord).values(rows))
    changes = [StateChange("lesson_record", UUID(str(row["id"])), None, LessonOutcome.COMPLETED) for row in rows]
    hours = [each.id for each in silent if each.is_hour]
    if hours:
        held = (
            update(LessonSlot)
            .where(col(LessonSlot.id).in_(hours), col(LessonSlot.status) == SlotStatus.BOOKED)
            .values(status=SlotStatus.COMPLETED)
            .returning(col(LessonSlot.id))
            .execution_options(synchronize_session=False)
        )
        completed = (await session.execute(held)).scalars().all()
        changes += slot_changes(completed, SlotStatus.BOOKED, SlotStatus.COMPLETED)
    await write_audit(session, changes, actor="system", reason="confirmed after 72 hours", workflow_id=workflow_id)
    done = {each.id for each in silent}
    learning.held = [
        replace(each, outcome=LessonOutcome.COMPLETED) if each.id in done else each for each in learning.held
    ]


def next_confirmation(learning: Learning, moment: datetime) -> datetime | None:
    """When the next hour or meeting counts as held unless somebody speaks."""
    waiting = [each.ends_at + CONFIRMED_AFTER for each in learning.silent()]
    return min((at for at in waiting if at > moment), default=None)
