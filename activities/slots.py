"""A tutor's hours: held for a student without double booking, booked, and given back (TutorHub R3, R4, R6).

Slots are taken by their ids, but what must not overlap are the lessons of one person: the same hour of a tutor may be
on offer in several packs, and a student may learn with several tutors. So who takes slots first locks everybody who is
to meet, in the order of their ids; after that nobody else can take an hour of theirs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CTE,
    ColumnElement,
    FromClause,
    Integer,
    Uuid,
    bindparam,
    column,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from activities.audit import StateChange
from models.errors import Reason
from models.tables import LessonSlot, Person
from models.tables.columns import now
from models.vocabulary import SlotStatus
from rules.decision import Refused

_lesson_slots = SQLModel.metadata.tables["lesson_slots"]
_TAKEN = (SlotStatus.HELD, SlotStatus.BOOKED, SlotStatus.COMPLETED)


@dataclass(frozen=True)
class WantedSlots:
    """The slots that one line of an order asks for."""

    line_id: UUID
    course_id: UUID
    student_id: UUID
    slot_ids: tuple[UUID, ...]


async def lock_calendars(session: AsyncSession, wanted: Sequence[WantedSlots]) -> None:
    """Keep everybody else from taking hours of these students and tutors until the transaction ends.

    Rows that refer to the people can still be written.
    """
    slot_ids = [slot_id for line in wanted for slot_id in line.slot_ids]
    tutors = select(col(LessonSlot.tutor_id)).where(col(LessonSlot.id).in_(slot_ids))
    students = {line.student_id for line in wanted}
    await session.execute(
        select(col(Person.id))
        .where(col(Person.id).in_(tutors) | col(Person.id).in_(students))
        .order_by(col(Person.id))
        .with_for_update(key_share=True)
    )


async def hold_slots(session: AsyncSession, wanted: Sequence[WantedSlots]) -> dict[UUID, Refused]:
    """Hold the slots, for each line all of them or none, and answer why for each line that got none.

    Wants `lock_calendars` before. Slots have to be free, of the line's course and in the future, and nobody may be in
    two lessons at a time, those of the other lines included; one may begin when another ends.
    """
    chosen = _chosen(wanted)
    verdicts = (
        select(
            chosen.c.line_id,
            (func.count() == func.max(chosen.c.needed)).label("all_free"),
            func.bool_or(_is_busy(chosen, "tutor_id")).label("tutor_busy"),
            func.bool_or(_is_busy(chosen, "student_id")).label("student_busy"),
        )
        .group_by(chosen.c.line_id)
        .cte("verdicts")
    )
    held = (
        update(LessonSlot)
        .where(
            col(LessonSlot.id) == chosen.c.id,
            chosen.c.line_id == verdicts.c.line_id,
            verdicts.c.all_free & ~verdicts.c.tutor_busy & ~verdicts.c.student_busy,
        )
        .values(status=SlotStatus.HELD, order_line_id=chosen.c.line_id, student_id=chosen.c.student_id)
        .returning(col(LessonSlot.id))
        .cte("held")
    )
    told = {row.line_id: row for row in (await session.execute(select(verdicts).add_cte(held))).all()}
    refused: dict[UUID, Refused] = {}
    for line in wanted:
        verdict = told.get(line.line_id)
        if verdict is None or not verdict.all_free:
            refused[line.line_id] = Refused(
                Reason.SLOTS_UNAVAILABLE, f"Not every chosen slot of course {line.course_id} is free."
            )
        elif verdict.tutor_busy:
            refused[line.line_id] = Refused(
                Reason.TUTOR_DOUBLE_BOOKED, f"The tutor of course {line.course_id} has another lesson at that time."
            )
        elif verdict.student_busy:
            refused[line.line_id] = Refused(
                Reason.STUDENT_DOUBLE_BOOKED, f"The student has another lesson at a time chosen in {line.course_id}."
            )
    return refused


async def free_slots(session: AsyncSession, which: ColumnElement[bool]) -> list[StateChange]:
    """Give taken slots back to their tutor."""
    taken = (
        select(col(LessonSlot.id), col(LessonSlot.status))
        .where(which)
        .order_by(col(LessonSlot.id))
        .with_for_update(key_share=True)
        .subquery("taken")
    )
    freed = (
        update(LessonSlot)
        .where(col(LessonSlot.id) == taken.c.id)
        .values(status=SlotStatus.FREE, order_line_id=None, student_id=None)
        .returning(taken.c.id, taken.c.status)
        .execution_options(synchronize_session=False)
    )
    return [
        StateChange("lesson_slot", slot_id, status, SlotStatus.FREE)
        for slot_id, status in (await session.execute(freed)).all()
    ]


def slot_changes(slot_ids: Iterable[UUID], from_state: SlotStatus, to_state: SlotStatus) -> list[StateChange]:
    """The same step of several slots, for the audit log."""
    return [StateChange("lesson_slot", slot_id, from_state, to_state) for slot_id in slot_ids]


def _chosen(wanted: Sequence[WantedSlots]) -> CTE:
    """The slots that can be had, locked, with the line that each is wanted for and how many that line needs."""
    rows = [(line, slot_id) for line in wanted for slot_id in line.slot_ids]
    asked = (
        func.unnest(
            bindparam("slot_ids", [slot_id for _, slot_id in rows], type_=ARRAY(Uuid)),
            bindparam("line_ids", [line.line_id for line, _ in rows], type_=ARRAY(Uuid)),
            bindparam("course_ids", [line.course_id for line, _ in rows], type_=ARRAY(Uuid)),
            bindparam("student_ids", [line.student_id for line, _ in rows], type_=ARRAY(Uuid)),
            bindparam("needed", [len(line.slot_ids) for line, _ in rows], type_=ARRAY(Integer)),
        )
        .table_valued(
            column("slot_id", Uuid),
            column("line_id", Uuid),
            column("course_id", Uuid),
            column("student_id", Uuid),
            column("needed", Integer),
        )
        .render_derived("asked")
    )
    return (
        select(
            col(LessonSlot.id),
            col(LessonSlot.tutor_id),
            col(LessonSlot.starts_at),
            col(LessonSlot.ends_at),
            asked.c.line_id,
            asked.c.student_id,
            asked.c.needed,
        )
        .join(asked, asked.c.slot_id == col(LessonSlot.id))
        .where(
            col(LessonSlot.course_id) == asked.c.course_id,
            col(LessonSlot.status) == SlotStatus.FREE,
            col(LessonSlot.starts_at) > now(),
        )
        .order_by(col(LessonSlot.id))
        .with_for_update(of=LessonSlot, key_share=True)
        .cte("chosen")
    )


def _is_busy(chosen: CTE, who: str) -> ColumnElement[bool]:
    """Whether this tutor or student has a lesson during the chosen one: taken before, or chosen together with it."""
    taken = _lesson_slots.alias("taken")
    beside = chosen.alias(f"beside_{who}")
    before = exists().where(taken.c[who] == chosen.c[who], taken.c.status.in_(_TAKEN), _overlap(taken, chosen))
    together = exists().where(
        beside.c[who] == chosen.c[who],
        (beside.c.id != chosen.c.id) | (beside.c.line_id != chosen.c.line_id),
        _overlap(beside, chosen),
    )
    return before | together


def _overlap(one: FromClause, other: FromClause) -> ColumnElement[bool]:
    return (one.c.starts_at < other.c.ends_at) & (one.c.ends_at > other.c.starts_at)
