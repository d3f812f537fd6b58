"""Applications of tutors on the record: people, subjects and reviewers of their own, and the steps by short names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import delete, select, update
from sqlmodel import col

from activities.application_record import APPLICATION, files_of
from activities.application_reviews import ApplicationReviewActivities
from activities.applications import ApplicationActivities
from activities.database import Sessions
from activities.files import FileStore
from activities.tasks import TaskActivities
from models.errors import Reason
from models.identifiers import tutor_application_workflow_id
from models.messages.applications import (
    ApplicationRef,
    ApplicationStep,
    AssignedReview,
    AssignReview,
    BeginApplication,
    CheckDecision,
    CheckedApplication,
    EndApplication,
    EndedApplication,
    JudgeDocument,
    OpenedReview,
    OpenReview,
    ReassignAbsent,
    ReassignedReview,
    RecordAssignment,
    RecordDecision,
    RecordedDecision,
    RecordVerdict,
)
from models.messages.tasks import OpenTask
from models.tables import (
    ApplicationDocument,
    AuditEntry,
    HumanTask,
    Person,
    Reviewer,
    Subject,
    TutorApplication,
)
from models.tables.columns import now
from models.vocabulary import (
    ApplicationDocumentKind,
    ApplicationStatus,
    DocumentVerdict,
    ReviewReason,
    TaskAction,
    TaskKind,
    TaskQueue,
)
from rules.tasks import pace_of
from tests.fresh_record import load_academy

# Words that occur nowhere else.
NAME, BIO, QUALIFICATIONS, CERTIFICATIONS = "Zdzisława", "Brzęczyszczykiewicz", "Chrząszczyżewoszyce", "Łękołody"
FILE_NAME, LINK, NOTE = "Ausweis-Zdzislawa.pdf", "https://videos.test/zdzislawa", "Źdźbło"
SPANISH, DANCE, CLOSED = "spanish-of-tests", "dance-of-tests", "closed-of-tests"


@dataclass
class World:
    """The steps under test, on one record and one file store."""

    sessions: Sessions
    files: FileStore
    steps: ApplicationActivities
    reviews: ApplicationReviewActivities
    tasks: TaskActivities

    @classmethod
    async def build(cls, sessions: Sessions, folder: Path) -> "World":
        """The sample academy with subjects of these tests, and without reviewers."""
        await load_academy(sessions)
        files = FileStore(folder.as_uri())
        async with sessions.begin() as session:
            await session.execute(delete(Reviewer))
            session.add_all(
                [
                    Subject(code=SPANISH, title="Spanish", requires_certification=True),
                    Subject(code=DANCE, title="Dance", requires_video=True),
                    Subject(code=CLOSED, title="Latin", is_open=False),
                ]
            )
        return cls(
            sessions,
            files,
            ApplicationActivities(sessions, files),
            ApplicationReviewActivities(sessions),
            TaskActivities(sessions),
        )

    # ---- people ----

    async def person(self) -> UUID:
        person = Person(email=f"{uuid4().hex}@applicants.test", full_name=f"{NAME} Kowalska")
        async with self.sessions.begin() as session:
            session.add(person)
        return person.id

    async def reviewer(self, person_id: UUID | None = None) -> UUID:
        person_id = person_id or await self.person()
        async with self.sessions.begin() as session:
            session.add(Reviewer(person_id=person_id))
        return person_id

    async def away(self, person_id: UUID, since: datetime | None) -> None:
        async with self.sessions.begin() as session:
            await session.execute(update(Reviewer).where(col(Reviewer.person_id) == person_id).values(away_since=since))

    # ---- what the applicant does ----

    def beginning(self, applicant_id: UUID, copy_from: UUID | None = None) -> BeginApplication:
        wanted = ApplicationRef(
            application_id=uuid4(), applicant_id=applicant_id, actor=f"student:{applicant_id}", copy_from=copy_from
        )
        return BeginApplication(application=wanted, workflow_id=tutor_application_workflow_id(wanted.application_id))

    async def draft(self, applicant_id: UUID | None = None) -> UUID:
        step = self.beginning(applicant_id or await self.person())
        begun = await self.steps.begin_application(step)
        assert begun.refusal is None, begun.refusal_detail
        return step.application.application_id

    async def filled(self, applicant_id: UUID | None = None, *, subjects: Sequence[str] = (SPANISH,)) -> UUID:
        """A draft that lacks nothing for Spanish."""
        application_id = await self.draft(applicant_id)
        await self.change(
            application_id,
            bio=f"I am {BIO}.",
            qualifications=f"University of {QUALIFICATIONS}.",
            certifications=f"DELE of {CERTIFICATIONS}.",
            subjects=list(subjects),
        )
        await self.show(application_id, ApplicationDocumentKind.IDENTITY)
        await self.show(application_id, ApplicationDocumentKind.CERTIFICATION, subject=SPANISH)
        return application_id

    async def change(self, application_id: UUID, **values: object) -> None:
        async with self.sessions.begin() as session:
            await session.execute(
                update(TutorApplication).where(col(TutorApplication.id) == application_id).values(**values)
            )

    async def show(
        self, application_id: UUID, kind: ApplicationDocumentKind, *, subject: str | None = None, **more: object
    ) -> UUID:
        document_id, is_video = uuid4(), kind is ApplicationDocumentKind.VIDEO
        content = document_id.bytes
        document = ApplicationDocument(
            id=document_id, application_id=application_id, kind=kind, subject=subject, first_version_id=document_id,
            sha256=sha256(content).hexdigest(),
        )  # fmt: skip
        if is_video:
            document.link = LINK
        else:
            document.file_key, document.file_name = f"{files_of(application_id)}/{document_id}", FILE_NAME
            document.media_type, document.size = "application/pdf", len(content)
            await self.files.put(document.file_key, content, "application/pdf")
        for name, value in more.items():
            setattr(document, name, value)
        async with self.sessions.begin() as session:
            session.add(document)
        return document_id

    async def alter(self, document_id: UUID, **values: object) -> None:
        async with self.sessions.begin() as session:
            await session.execute(
                update(ApplicationDocument).where(col(ApplicationDocument.id) == document_id).values(**values)
            )

    def step(self, application_id: UUID, actor: str = "system") -> ApplicationStep:
        return ApplicationStep(
            application_id=application_id, actor=actor, workflow_id=tutor_application_workflow_id(application_id)
        )

    async def submit(self, application_id: UUID) -> CheckedApplication:
        return await self.steps.submit_application(self.step(application_id))

    async def answer(self, application_id: UUID) -> CheckedApplication:
        return await self.steps.answer_info(self.step(application_id))

    async def end(self, application_id: UUID, status: ApplicationStatus) -> EndedApplication:
        step = self.step(application_id)
        return await self.steps.end_application(
            EndApplication(application_id=application_id, status=status, actor=step.actor, workflow_id=step.workflow_id)
        )

    async def erase(self, application_id: UUID) -> None:
        await self.steps.erase_application(self.step(application_id))

    # ---- what reviewers do ----

    async def open(self, application_id: UUID, decided_by: str | None = None) -> OpenedReview:
        step = self.step(application_id)
        return await self.reviews.open_review(
            OpenReview(
                application_id=application_id, actor=step.actor, workflow_id=step.workflow_id, decided_by=decided_by
            )
        )

    async def reassign(self, run: str = "reassign-reviews-1") -> tuple[ReassignedReview, ...]:
        return (await self.reviews.reassign_absent(ReassignAbsent(workflow_id=run))).reviews

    async def in_review(self, applicant_id: UUID | None = None) -> UUID:
        """Submitted, and taken up by whoever is there."""
        application_id = await self.filled(applicant_id)
        assert (await self.submit(application_id)).refusal is None
        await self.open(application_id)
        return application_id

    async def assign(self, application_id: UUID, reviewer_id: UUID | None, actor: str = "staff:lead") -> AssignedReview:
        wanted = AssignReview(reviewer_id=reviewer_id, actor=actor)
        return await self.reviews.assign_review(
            RecordAssignment(
                assignment=wanted,
                application_id=application_id,
                workflow_id=tutor_application_workflow_id(application_id),
            )
        )

    async def judge(
        self,
        application_id: UUID,
        document_id: UUID,
        actor: str,
        verdict: DocumentVerdict = DocumentVerdict.ACCEPTED,
        reason: ReviewReason | None = None,
    ) -> CheckedApplication:
        said = JudgeDocument(document_id=document_id, verdict=verdict, reason=reason, actor=actor)
        return await self.reviews.judge_document(
            RecordVerdict(
                judgement=said,
                application_id=application_id,
                workflow_id=tutor_application_workflow_id(application_id),
            )
        )

    async def accept_all(self, application_id: UUID, actor: str) -> None:
        for document in await self.documents(application_id):
            assert (await self.judge(application_id, document.id, actor)).refusal is None

    async def check(
        self,
        application_id: UUID,
        action: TaskAction,
        actor: str,
        *reasons: ReviewReason,
        seconds: UUID | None = None,
    ) -> Reason | None:
        step = CheckDecision(
            application_id=application_id, action=action, reasons=reasons, actor=actor, seconds=seconds
        )
        return (await self.reviews.check_decision(step)).refusal

    def decision(
        self,
        application_id: UUID,
        action: TaskAction,
        outcome: ApplicationStatus | None = None,
        *,
        actor: str = "staff:somebody",
        reasons: Sequence[ReviewReason] = (ReviewReason.OTHER,),
        seconds: UUID | None = None,
    ) -> RecordDecision:
        return RecordDecision(
            application_id=application_id, task_id=uuid4(), action=action, reasons=tuple(reasons), actor=actor,
            seconds=seconds, outcome=outcome, workflow_id=tutor_application_workflow_id(application_id),
        )  # fmt: skip

    async def ask_for_info(self, application_id: UUID) -> RecordedDecision:
        step = self.decision(application_id, TaskAction.REQUEST_INFO, ApplicationStatus.INFO_REQUESTED)
        return await self.reviews.record_decision(step)

    async def open_task(
        self,
        application_id: UUID,
        assignee: UUID | None,
        *,
        kind: TaskKind = TaskKind.TUTOR_REVIEW,
        used_seconds: int = 0,
    ) -> UUID:
        task_id = uuid4()
        await self.tasks.open_task(
            OpenTask(
                task_id=task_id, kind=kind, subject_kind=APPLICATION, subject_id=application_id, reason="Decide.",
                allowed_actions=(TaskAction.APPROVE,), due_at=now(), queue=TaskQueue.REVIEW,
                working_days=pace_of(kind).decide_within, workflow_id=tutor_application_workflow_id(application_id),
                assignee=None if assignee is None else f"staff:{assignee}", used_seconds=used_seconds,
            )
        )  # fmt: skip
        return task_id

    # ---- what is on record ----

    async def row(self, application_id: UUID) -> TutorApplication:
        async with self.sessions() as session:
            return await session.get_one(TutorApplication, application_id)

    async def task(self, task_id: UUID) -> HumanTask:
        async with self.sessions() as session:
            return await session.get_one(HumanTask, task_id)

    async def documents(self, application_id: UUID) -> Sequence[ApplicationDocument]:
        query = (
            select(ApplicationDocument)
            .where(col(ApplicationDocument.application_id) == application_id)
            .order_by(col(ApplicationDocument.created_at), col(ApplicationDocument.id))
        )
        async with self.sessions() as session:
            return (await session.execute(query)).scalars().all()

    async def audited(self, subject_id: UUID) -> list[tuple[str | None, str, str]]:
        query = select(AuditEntry).where(col(AuditEntry.subject_id) == subject_id).order_by(col(AuditEntry.id))
        async with self.sessions() as session:
            entries = (await session.execute(query)).scalars().all()
        return [(entry.from_state, entry.to_state, entry.reason) for entry in entries]


def ago(**span: float) -> datetime:
    """So long before now."""
    return now() - timedelta(**span)
