"""Reading tutors' applications: who sees which, the queue, and one with all that belongs to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from pydantic import Field
from sqlalchemy import ColumnElement, Select, and_, any_, false, func, literal, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlmodel import col

from activities.application_record import (
    APPLICANT_MESSAGE,
    APPLICATION,
    academy_day,
    application_facts,
    is_reviewer,
    message_with,
    was_shown,
)
from activities.task_record import TASK
from models.errors import Reason
from models.tables import ApplicationDecision, ApplicationDocument, HumanTask, Note, Person, TutorApplication
from models.tables.columns import now
from models.vocabulary import ApplicationStatus, TaskStatus
from routes.application_views import (
    ApplicationView,
    DecisionView,
    EarlierApplicationView,
    MessageView,
    ReviewView,
    WholeApplicationView,
    application_view,
    decision_view,
    document_view,
    message_view,
    note_view,
    review_view,
    told_decisions,
)
from routes.pagination import PageQuery, sorted_page, total_of
from routes.problems import ProblemError
from routes.refusals import missing_parts
from routes.tokens import Principal
from routes.validation import InvalidField, SubjectCode
from rules.tutor_application import EDITABLE


class ApplicationQuery(PageQuery):
    """Which applications to list."""

    sort: (
        Literal["due_at", "due_at:desc", "submitted_at", "submitted_at:desc", "created_at", "created_at:desc"] | None
    ) = Field(default=None, description="`due_at` is that of the open task; of the queue unless asked otherwise")
    status: ApplicationStatus | None = None
    subject: SubjectCode | None = Field(default=None, description="what they want to teach")
    reviewer: Literal["me", "nobody"] | UUID | None = Field(
        default=None, description="reviewers only: `me`, `nobody`, or the id of a reviewer"
    )
    overdue: bool | None = Field(default=None, description="reviewers only")
    applicant_id: UUID | None = None


@dataclass(frozen=True)
class Viewer:
    """Who looks, and whether as a reviewer."""

    person_id: UUID | None
    is_reviewer: bool

    @property
    def own(self) -> ColumnElement[bool]:
        """What they have applied for themselves: nobody is a reviewer of that."""
        return false() if self.person_id is None else col(TutorApplication.applicant_id) == self.person_id

    @property
    def reviewed(self) -> ColumnElement[bool]:
        """What they may review: what was handed in by others."""
        if not self.is_reviewer:
            return false()
        return and_(col(TutorApplication.submitted_at).is_not(None), ~self.own)

    def reviews(self, application: TutorApplication) -> bool:
        """Whether they see this one as a reviewer."""
        return self.is_reviewer and application.applicant_id != self.person_id


async def viewer_of(session: AsyncSession, principal: Principal) -> Viewer:
    """The caller as one who looks at applications."""
    return Viewer(principal.person_id, await is_reviewer(session, principal.actor))


async def visible_application(
    session: AsyncSession, application_id: UUID, principal: Principal
) -> tuple[TutorApplication, Viewer]:
    """The application, if the caller may see it. Raises the problem `not_found`."""
    viewer = await viewer_of(session, principal)
    query = select(TutorApplication).where(col(TutorApplication.id) == application_id, or_(viewer.own, viewer.reviewed))
    found = (await session.execute(query)).scalar_one_or_none()
    if found is None:
        raise unknown_application()
    return found, viewer


async def reviewed_application(session: AsyncSession, application_id: UUID, principal: Principal) -> TutorApplication:
    """The application, for a reviewer. Raises the problems `not_a_reviewer`, `own_application` and `not_found`."""
    viewer = await viewer_of(session, principal)
    if not viewer.is_reviewer:
        raise ProblemError(Reason.NOT_A_REVIEWER, "This is for those who review applications.")
    application = await session.get(TutorApplication, application_id)
    if application is not None and not viewer.reviews(application):
        raise ProblemError(Reason.OWN_APPLICATION, "Somebody else reviews your application.")
    if application is None or application.submitted_at is None:
        raise unknown_application()
    return application


async def list_applications(
    session: AsyncSession, asked: ApplicationQuery, principal: Principal
) -> tuple[int, list[ApplicationView]]:
    """How many there are, and one page of them: the queue for reviewers, for everybody else their own.

    Reviewers see their own as applicants when they ask for it by `applicant_id`.
    """
    viewer = await viewer_of(session, principal)
    is_queue = viewer.is_reviewer and (asked.applicant_id is None or asked.applicant_id != viewer.person_id)
    sort = asked.sort or ("due_at" if is_queue else "created_at:desc")
    if not is_queue and (asked.reviewer is not None or asked.overdue is not None or sort.startswith("due_at")):
        raise ProblemError(Reason.ROLE_NOT_ALLOWED, "Only reviewers ask by reviewer and by what is due.")
    rows = _queue().where(viewer.reviewed if is_queue else viewer.own, *_asked_for(asked, viewer))
    total = await total_of(session, rows)
    columns = {
        "due_at": col(_OPEN_TASK.due_at),
        "submitted_at": col(TutorApplication.submitted_at),
        "created_at": col(TutorApplication.created_at),
    }
    page = await session.execute(sorted_page(rows, asked, sort, columns, col(TutorApplication.id)))
    return total, [application_view(row[0], review_view(*row) if is_queue else None) for row in page.all()]


async def whole_application(session: AsyncSession, application_id: UUID, principal: Principal) -> WholeApplicationView:
    """One application with all that the caller may see of it. Raises the problem `not_found`."""
    application, viewer = await visible_application(session, application_id, principal)
    if viewer.reviews(application):
        return await _for_reviewer(session, application)
    return await _for_applicant(session, application)


def unknown_application() -> ProblemError:
    return ProblemError(Reason.NOT_FOUND, "There is no such application, or it is not yours.")


_OPEN_TASK = aliased(
    HumanTask,
    select(HumanTask)
    .where(
        col(HumanTask.subject_kind) == APPLICATION,
        col(HumanTask.subject_id) == col(TutorApplication.id),
        col(HumanTask.status) == TaskStatus.OPEN,
    )
    .order_by(col(HumanTask.due_at), col(HumanTask.id))
    .limit(1)
    .correlate(TutorApplication)
    .lateral("open_task"),
)


def _queue() -> Select[*tuple[Any, ...]]:
    """Applications, each with its open task, and how many of its documents have a verdict."""
    current = select(func.count(col(ApplicationDocument.verdict)), func.count()).where(
        col(ApplicationDocument.application_id) == col(TutorApplication.id),
        col(ApplicationDocument.replaced_at).is_(None),
    )
    judged, total = (current.with_only_columns(count).scalar_subquery() for count in current.selected_columns)
    return select(TutorApplication, _OPEN_TASK, judged, total).join(_OPEN_TASK, true(), isouter=True)


def _asked_for(asked: ApplicationQuery, viewer: Viewer) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if asked.status is not None:
        conditions.append(col(TutorApplication.status) == asked.status)
    if asked.subject is not None:
        conditions.append(literal(asked.subject) == any_(col(TutorApplication.subjects)))
    if asked.applicant_id is not None:
        conditions.append(col(TutorApplication.applicant_id) == asked.applicant_id)
    if asked.reviewer == "nobody":
        conditions.append(col(TutorApplication.reviewer_id).is_(None))
    elif asked.reviewer is not None:
        reviewer_id = viewer.person_id if asked.reviewer == "me" else asked.reviewer
        conditions.append(false() if reviewer_id is None else col(TutorApplication.reviewer_id) == reviewer_id)
    if asked.overdue is not None:
        late = func.coalesce(col(_OPEN_TASK.due_at) < now(), false())
        conditions.append(late if asked.overdue else ~late)
    return conditions


async def _for_applicant(session: AsyncSession, application: TutorApplication) -> WholeApplicationView:
    decisions = told_decisions(ApplicationStatus(application.status), await _decisions(session, [application.id]))
    notes = await _notes(session, [application.id, *(decision.id for decision in decisions)])
    messages = _messages(notes, application, decisions)
    return await _whole(
        session,
        application,
        None,
        decisions=tuple(decision_view(each, _message_of(notes, each), None) for each in decisions),
        messages=tuple(message_view(note, application, for_reviewer=False) for note in messages),
    )


async def _for_reviewer(session: AsyncSession, application: TutorApplication) -> WholeApplicationView:
    row = (await session.execute(_queue().where(col(TutorApplication.id) == application.id))).one()
    review = review_view(*row)
    earlier = await _earlier(session, application)
    ids = [application.id, *(each.id for each in earlier)]
    decisions = await _decisions(session, ids)
    open_ids = [] if review.task_id is None else [review.task_id]
    notes = await _notes(session, [application.id, *open_ids, *(decision.id for decision in decisions)])
    name = (
        await session.execute(select(col(Person.full_name)).where(col(Person.id) == application.applicant_id))
    ).scalar_one()
    own = [each for each in decisions if each.application_id == application.id]

    def views(application_id: UUID) -> tuple[DecisionView, ...]:
        return tuple(
            decision_view(each, _message_of(notes, each), _notes_about(notes, each.id))
            for each in decisions
            if each.application_id == application_id
        )

    return await _whole(
        session,
        application,
        review,
        name=name,
        decisions=views(application.id),
        messages=tuple(
            message_view(note, application, for_reviewer=True) for note in _messages(notes, application, own)
        ),
        notes=[note for task_id in open_ids for note in _notes_about(notes, task_id)],
        earlier=tuple(
            EarlierApplicationView(
                id=each.id,
                status=ApplicationStatus(each.status),
                submitted_at=each.submitted_at,
                decided_at=each.decided_at,
                decisions=views(each.id),
            )
            for each in earlier
        ),
    )


async def _whole(
    session: AsyncSession,
    application: TutorApplication,
    review: ReviewView | None,
    *,
    decisions: tuple[DecisionView, ...],
    messages: tuple[MessageView, ...],
    name: str | None = None,
    notes: Sequence[Note] | None = None,
    earlier: tuple[EarlierApplicationView, ...] | None = None,
) -> WholeApplicationView:
    for_reviewer = review is not None
    status = ApplicationStatus(application.status)
    documents = await _documents(session, application.id, with_replaced=for_reviewer)
    return WholeApplicationView(
        **dict(application_view(application, review)),
        applicant_name=name,
        certifications=application.certifications,
        qualifications=application.qualifications,
        bio=application.bio,
        missing=None if for_reviewer or status not in EDITABLE else await _missing(session, application.id),
        documents=tuple(document_view(each, status, for_reviewer=for_reviewer) for each in documents),
        decisions=decisions,
        messages=messages,
        notes=None if notes is None else tuple(map(note_view, notes)),
        earlier=earlier,
        erase_at=application.erase_at,
        erased_at=application.erased_at,
    )


async def _missing(session: AsyncSession, application_id: UUID) -> tuple[InvalidField, ...]:
    facts = await application_facts(session, application_id)
    return () if facts is None else missing_parts(facts.missing(await academy_day(session, now())))


async def _documents(
    session: AsyncSession, application_id: UUID, *, with_replaced: bool
) -> Sequence[ApplicationDocument]:
    query = select(ApplicationDocument).where(
        col(ApplicationDocument.application_id) == application_id,
        was_shown() if with_replaced else col(ApplicationDocument.replaced_at).is_(None),
    )
    found = await session.execute(query.order_by(col(ApplicationDocument.created_at), col(ApplicationDocument.id)))
    return found.scalars().all()


async def _earlier(session: AsyncSession, application: TutorApplication) -> Sequence[TutorApplication]:
    query = (
        select(TutorApplication)
        .where(
            col(TutorApplication.applicant_id) == application.applicant_id,
            col(TutorApplication.submitted_at).is_not(None),
            col(TutorApplication.created_at) < application.created_at,
        )
        .order_by(col(TutorApplication.created_at).desc())
    )
    return (await session.execute(query)).scalars().all()


async def _decisions(session: AsyncSession, application_ids: Sequence[UUID]) -> Sequence[ApplicationDecision]:
    query = (
        select(ApplicationDecision)
        .where(col(ApplicationDecision.application_id).in_(application_ids))
        .order_by(col(ApplicationDecision.created_at), col(ApplicationDecision.id))
    )
    return (await session.execute(query)).scalars().all()


async def _notes(session: AsyncSession, subject_ids: Sequence[UUID]) -> Sequence[Note]:
    query = (
        select(Note)
        .where(col(Note.subject_kind).in_((TASK, APPLICANT_MESSAGE)), col(Note.subject_id).in_(subject_ids))
        .order_by(col(Note.created_at), col(Note.id))
    )
    return (await session.execute(query)).scalars().all()


def _notes_about(notes: Sequence[Note], task_id: UUID) -> list[Note]:
    return [note for note in notes if note.subject_kind == TASK and note.subject_id == task_id]


def _message_of(notes: Sequence[Note], decision: ApplicationDecision) -> str | None:
    message = message_with(decision, notes)
    return None if message is None else message.text


def _messages(
    notes: Sequence[Note], application: TutorApplication, decisions: Sequence[ApplicationDecision]
) -> list[Note]:
    """What was said to and by the applicant, the oldest first; of a decision only what was sent with it."""
    sent = {message.id for each in decisions if (message := message_with(each, notes)) is not None}
    return [
        note
        for note in notes
        if note.subject_kind == APPLICANT_MESSAGE and (note.subject_id == application.id or note.id in sent)
    ]
