"""A world for the certificate workflow: one enrollment with its certificates, tasks and mails, as the record has them.

The steps keep the contracts of `activities/certificates.py`: each is one transaction, and doing it again finds it done.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.errors import Reason
from models.identifiers import certificate_id_for, certificate_workflow_id, task_id_for
from models.messages.certificates import (
    CertificateAnswer,
    CertificateMail,
    CertificateOutcome,
    CertificatesIssued,
    CertificateStart,
    CertificatesTended,
    CertificateStep,
    CorrectName,
    DecideCorrection,
    IssueCertificates,
    IssuedCertificate,
    ReinstateCertificate,
    RenderCertificate,
    RenderedCertificate,
    RenewCertificate,
    ResendCertificate,
    RevokeCertificate,
    TendCertificates,
)
from models.messages.mail import MailReport, SendMail
from models.messages.tasks import CloseTask, DecideTask, EscalatedTask, EscalateTask, OpenedTask, OpenTask
from models.vocabulary import (
    CertificateGround,
    CertificateOrigin,
    CertificateStatus,
    MailStatus,
    MailTemplate,
    RevocationReason,
    TaskAction,
)
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.certificate import CertificateWorkflow

ENROLLMENT, STUDENT, TEMPLATE = UUID(int=1), UUID(int=2), UUID(int=3)
ID = certificate_workflow_id(ENROLLMENT)
STAFF, HOLDER = "staff:7", f"student:{STUDENT}"
ISSUED, EXPIRED, SUPERSEDED, REVOKED = (
    CertificateStatus.ISSUED,
    CertificateStatus.EXPIRED,
    CertificateStatus.SUPERSEDED,
    CertificateStatus.REVOKED,
)
_WARNING_DAYS = (60, 30, 7)
_DAY = timedelta(days=1)


@dataclass
class Row:
    """One row of `certificates`."""

    id: UUID
    number: int
    origin: CertificateOrigin
    issued_at: datetime
    expires_at: datetime | None
    name: str
    predecessor_id: UUID | None = None
    status: CertificateStatus = ISSUED
    is_rendered: bool = False


@dataclass
class CertificateWorld:
    """The record of one enrollment, and what must never happen to it (`wrongs`)."""

    is_completed: bool = True
    is_canceled: bool = False
    is_name_confirmed: bool = True
    name_on_file: str | None = "on file"
    is_certified: bool = True
    is_known: bool = True
    valid_days: int | None = None
    is_render_broken: bool = False
    is_renderer_away: bool = False
    is_mail_down: bool = False
    needs_person: bool = True
    rows: dict[UUID, Row] = field(default_factory=dict)
    corrections: dict[UUID, str] = field(default_factory=dict)
    corrected: dict[UUID, UUID] = field(default_factory=dict)
    mails: dict[tuple[MailTemplate, UUID, str], datetime] = field(default_factory=dict)
    tasks: dict[UUID, OpenTask] = field(default_factory=dict)
    closed: dict[UUID, DecideTask] = field(default_factory=dict)
    # How often each was asked for, by whichever run; what is tried again was asked for once.
    rendered: Counter[UUID] = field(default_factory=Counter)
    posted: Counter[tuple[str, MailTemplate, UUID, str]] = field(default_factory=Counter)
    wrongs: list[str] = field(default_factory=list)
    steps_done: Counter[str] = field(default_factory=Counter)
    # Called before each step with its name: what happens at that very moment.
    meanwhile: Callable[[str], None] = lambda _: None

    @property
    def steps(self) -> list[object]:
        return [
            self.issue_certificates, self.tend_certificates, self.change_certificate, self.decide_correction,
            self.render_certificate, self.send_mail, self.open_task, self.escalate_task, self.close_task,
        ]  # fmt: skip

    def by_number(self) -> list[Row]:
        return sorted(self.rows.values(), key=lambda row: row.number)

    def statuses(self) -> list[CertificateStatus]:
        """How they stand, in the order of their numbers."""
        return [row.status for row in self.by_number()]

    def sent(self) -> list[tuple[MailTemplate, str]]:
        """The mails that went out, in order."""
        return [(key[0], key[2]) for key, _ in sorted(self.mails.items(), key=lambda each: each[1])]

    def check_posts(self) -> None:
        """No run has posted a mail twice, and what the record asks for no two of them."""
        assert set(self.posted.values()) <= {1}
        in_all = Counter(key[1:] for key in self.posted)
        assert {mail for mail, runs in in_all.items() if runs > 1 and not _is_for_each_run(*mail)} == set()

    def open_tasks(self) -> list[OpenTask]:
        return [task for task_id, task in self.tasks.items() if task_id not in self.closed]

    def check(self) -> None:
        """What is always true."""
        assert self.wrongs == []
        assert [row.number for row in self.by_number()] == list(range(1, len(self.rows) + 1))
        assert sum(row.status in (ISSUED, REVOKED) for row in self.rows.values()) <= 1

    # ---- certificates ----

    def _insert(self, about: str, origin: CertificateOrigin, moment: datetime, name: str, after: Row | None) -> Row:
        expires_at = moment + self.valid_days * _DAY if self.valid_days is not None else None
        made = certificate_id_for(ENROLLMENT, TEMPLATE, about)
        if made not in self.rows:
            number = len(self.rows) + 1
            self.rows[made] = Row(made, number, origin, moment, expires_at, name, after.id if after else None)
        return self.rows[made]

    @activity.defn
    async def issue_certificates(self, step: IssueCertificates) -> CertificatesIssued:
        self._begin("issue")
        if not self.is_known:
            return CertificatesIssued()
        grounds = self._grounds(step)
        if not grounds and not self.rows:
            self._insert("first", step.origin, step.moment, self.name_on_file or "", None)
        latest = self.by_number()[-1:]
        return CertificatesIssued(
            student_id=STUDENT, grounds=tuple(grounds), certificates=tuple(_told(row) for row in latest)
        )

    def _grounds(self, step: IssueCertificates) -> list[CertificateGround]:
        if self.rows:
            counts = self.by_number()[-1].status in (ISSUED, EXPIRED)
            return [] if counts else [CertificateGround.REVOKED_BEFORE]
        has_name = self.is_name_confirmed or (step.takes_name_on_file and self.name_on_file is not None)
        stands = {
            CertificateGround.NOT_COMPLETED: not self.is_completed and step.origin is not CertificateOrigin.EXCEPTION,
            CertificateGround.NO_TEMPLATE: not self.is_certified,
            CertificateGround.ENROLLMENT_CANCELED: self.is_canceled,
            CertificateGround.NAME_UNCONFIRMED: not has_name,
        }
        return [ground for ground, is_so in stands.items() if is_so]

    @activity.defn
    async def tend_certificates(self, step: TendCertificates) -> CertificatesTended:
        self._begin("tend")
        if not self.is_known:
            return CertificatesTended()
        moments: list[datetime] = []
        mails: list[CertificateMail] = []
        for row in self.by_number():
            if row.status is ISSUED and row.expires_at is not None and row.expires_at <= step.moment:
                row.status = EXPIRED
            if row.status is ISSUED and row.is_rendered:
                mails.append(_mail(MailTemplate.CERTIFICATE_ISSUED, row))
            if row.status is REVOKED:
                mails.append(_mail(MailTemplate.CERTIFICATE_REVOKED, row))
            if row.status is EXPIRED:
                mails.append(_mail(MailTemplate.CERTIFICATE_EXPIRED, row))
            if row.status is ISSUED and row.expires_at is not None:
                notices = [(row.expires_at - days * _DAY, f"{days}d") for days in _WARNING_DAYS]
                past = [occasion for at, occasion in notices if at <= step.moment]
                mails += [_mail(MailTemplate.CERTIFICATE_EXPIRING, row, past[-1])] if past else []
                moments += [at for at, _ in notices if at > step.moment] + [row.expires_at]
        last = self.by_number()[-1].status if self.rows else None
        return CertificatesTended(
            student_id=STUDENT,
            wakes_at=min(moments, default=None),
            unrendered=tuple(
                row.id for row in self.rows.values() if not row.is_rendered and row.status is not SUPERSEDED
            ),
            mails=tuple(
                mail for mail in mails if (mail.template, mail.certificate_id, mail.occasion) not in self.mails
            ),
            status=last,
            corrections=tuple(
                CorrectName(certificate_id=self.corrected[each], correction_id=each, actor=HOLDER)
                for each, said in self.corrections.items()
                if said == "requested"
            ),
        )

    @activity.defn
    async def change_certificate(self, step: CertificateStep) -> CertificateAnswer:
        self._begin("change")
        wish, row = step.wish, self.rows.get(step.wish.certificate_id)
        if row is None:
            return CertificateAnswer(refusal=Reason.NOT_FOUND, refusal_detail="There is no such certificate.")
        match wish:
            case RevokeCertificate():
                if row.status is ISSUED:
                    row.status = REVOKED
                return _answer(row, Reason.CERTIFICATE_NOT_ISSUED if row.status is not REVOKED else None)
            case ReinstateCertificate():
                if row.status is REVOKED:
                    row.status = ISSUED
                return _answer(row, Reason.CERTIFICATE_NOT_REVOKED if row.status is not ISSUED else None)
            case RenewCertificate():
                return self._renew(row, step.moment)
            case CorrectName():
                return self._correct(wish, row, step.moment)

    def _renew(self, row: Row, moment: datetime) -> CertificateAnswer:
        made = self.rows.get(certificate_id_for(ENROLLMENT, TEMPLATE, str(row.id)))
        if made is not None:
            return _answer(made)
        is_early = row.expires_at is None or moment < row.expires_at - 60 * _DAY
        if row.status not in (ISSUED, EXPIRED) or is_early:
            return _answer(row, Reason.CERTIFICATE_NOT_RENEWABLE)
        row.status = SUPERSEDED if row.status is ISSUED else row.status
        return _answer(self._insert(str(row.id), CertificateOrigin.RENEWAL, moment, row.name, row))

    def _correct(self, wish: CorrectName, row: Row, moment: datetime) -> CertificateAnswer:
        said = self.corrections.setdefault(wish.correction_id, "requested")
        self.corrected[wish.correction_id] = row.id
        if said == "rejected":
            return _answer(row)
        if said == "requested" and row.status is not ISSUED:
            return _answer(row, Reason.CERTIFICATE_NOT_ISSUED)
        if said == "requested" and self.needs_person:
            return _answer(row).model_copy(update={"needs_person": True})
        return self._corrected(wish.correction_id, row, moment)

    def _corrected(self, correction_id: UUID, row: Row, moment: datetime) -> CertificateAnswer:
        if row.status is not ISSUED and self.corrections[correction_id] == "requested":
            return _answer(row, Reason.CERTIFICATE_NOT_ISSUED)
        self.corrections[correction_id] = "approved"
        row.status = SUPERSEDED
        return _answer(self._insert(str(row.id), CertificateOrigin.CORRECTION, moment, "corrected", row))

    @activity.defn
    async def decide_correction(self, step: DecideCorrection) -> CertificateAnswer:
        self._begin("decide")
        row = self.rows[self.corrected[step.correction_id]]
        if self.corrections[step.correction_id] != "requested":
            return _answer(row)
        if step.is_approved:
            return self._corrected(step.correction_id, row, step.moment)
        self.corrections[step.correction_id] = "rejected"
        return _answer(row)

    @activity.defn
    async def render_certificate(self, step: RenderCertificate) -> RenderedCertificate:
        self._begin("render")
        self.rendered[step.certificate_id] += activity.info().attempt == 1
        if self.is_render_broken:
            raise ApplicationError("cannot be made again", type="document_differs", non_retryable=True)
        if self.is_renderer_away:
            raise ApplicationError("the files are away")
        row = self.rows[step.certificate_id]
        row.is_rendered = True
        return RenderedCertificate(sha256="0" * 64)

    # ---- mails and tasks ----

    @activity.defn
    async def send_mail(self, request: SendMail) -> MailReport:
        moment, about = self._begin("send"), activity.info()
        key = (request.template, request.subject_id, request.occasion)
        self.posted[str(about.workflow_run_id), *key] += about.attempt == 1
        if self.is_mail_down:
            raise ApplicationError("the mail server is down", type="smtp_unreachable")
        assert request.recipient_id == STUDENT
        row = self.rows.get(request.subject_id)
        if request.template is MailTemplate.CERTIFICATE_ISSUED and (row is None or not row.is_rendered):
            self.wrongs.append("a mail went out before its PDF was there")
        self.mails.setdefault(key, moment)
        return MailReport(mail_id=UUID(int=9), status=MailStatus.SENT)

    @activity.defn
    async def open_task(self, step: OpenTask) -> OpenedTask:
        moment = self._begin("open")
        task_id = step.task_id
        while task_id in self.closed:
            task_id = task_id_for(str(task_id), "again")
        self.tasks.setdefault(task_id, step.model_copy(update={"task_id": task_id}))
        return OpenedTask(task_id=task_id, due_at=moment + 2 * _DAY)

    @activity.defn
    async def escalate_task(self, step: EscalateTask) -> EscalatedTask:
        self._begin("escalate")
        return EscalatedTask()

    @activity.defn
    async def close_task(self, step: CloseTask) -> None:
        self._begin("close")
        self.closed.setdefault(step.decision.task_id, step.decision)

    def _begin(self, step: str) -> datetime:
        self.steps_done[step] += 1
        self.meanwhile(step)
        return activity.info().started_time


def _told(row: Row) -> IssuedCertificate:
    return IssuedCertificate(certificate_id=row.id, status=row.status, is_rendered=row.is_rendered)


def _is_for_each_run(template: MailTemplate, _: UUID, occasion: str) -> bool:
    """Whether a run posts it without asking the record: the ledger knows whether it was sent."""
    return template is MailTemplate.CERTIFICATE_NAME_NEEDED or occasion.startswith("copy_")


def _mail(template: MailTemplate, row: Row, occasion: str = "") -> CertificateMail:
    return CertificateMail(template=template, certificate_id=row.id, occasion=occasion)


def _answer(row: Row, reason: Reason | None = None) -> CertificateAnswer:
    detail = None if reason is None else f"It is {row.status}."
    return CertificateAnswer(certificate_id=row.id, status=row.status, refusal=reason, refusal_detail=detail)


@dataclass
class Certifying:
    """An enrollment and those who have something to say about its certificates, on a simulated clock."""

    world: CertificateWorld
    simulation: Simulation

    @property
    def run(self) -> Run:
        return self.simulation.runs[ID].latest

    @property
    def only(self) -> UUID:
        """The id of the one certificate."""
        [row] = self.world.rows
        return row

    def start(self, origin: CertificateOrigin | None = CertificateOrigin.COMPLETION) -> Run:
        """As a child of the job that follows the learning."""
        start = CertificateStart(enrollment_id=ENROLLMENT, origin=origin)
        return self.simulation.start(CertificateWorkflow.run, start, ID)

    def tell(self, method: object, message: object) -> CertificateAnswer:
        """An update, with a start where no run is there. Raises `WorkflowUpdateFailedError` if it is refused."""
        while True:
            running = self.simulation.runs.get(ID)
            is_new = running is None or running.latest.ended is not None
            if is_new:
                running = self.start(origin=None)
            assert running is not None
            try:
                return cast(CertificateAnswer, running.latest.update(method, message, with_start=is_new))
            except WorkflowUpdateFailedError as failed:
                # It ended at that very moment: the caller asks again.
                if "the workflow is over" not in str(failed.cause):
                    raise

    def issue(self, origin: CertificateOrigin = CertificateOrigin.COMPLETION) -> CertificateAnswer:
        wish = CertificateStart(enrollment_id=ENROLLMENT, origin=origin, actor=STAFF)
        return self.tell(CertificateWorkflow.issue, wish)

    def revoke(self, certificate_id: UUID) -> CertificateAnswer:
        wish = RevokeCertificate(certificate_id=certificate_id, reason=RevocationReason.MISCONDUCT, actor=STAFF)
        return self.tell(CertificateWorkflow.revoke, wish)

    def reinstate(self, certificate_id: UUID) -> CertificateAnswer:
        wish = ReinstateCertificate(certificate_id=certificate_id, actor=STAFF)
        return self.tell(CertificateWorkflow.reinstate, wish)

    def renew(self, certificate_id: UUID) -> CertificateAnswer:
        return self.tell(CertificateWorkflow.renew, RenewCertificate(certificate_id=certificate_id, actor=HOLDER))

    def correct(self, certificate_id: UUID, number: int = 1) -> CertificateAnswer:
        wish = CorrectName(certificate_id=certificate_id, correction_id=UUID(int=100 + number), actor=HOLDER)
        return self.tell(CertificateWorkflow.correct, wish)

    def resend(self, certificate_id: UUID, copy: int = 1) -> CertificateAnswer:
        wish = ResendCertificate(certificate_id=certificate_id, copy_id=UUID(int=copy), actor=STAFF)
        return self.tell(CertificateWorkflow.resend, wish)

    def decide(self, action: TaskAction) -> None:
        [task] = self.world.open_tasks()
        self.tell(CertificateWorkflow.decide, DecideTask(task_id=task.task_id, action=action, actor=STAFF))

    def confirm_name(self, *, told: bool = True) -> None:
        """The learner says how they are called; the signal may get lost."""
        self.world.is_name_confirmed = True
        if told:
            self.run.signal(CertificateWorkflow.facts_changed)

    def wait(self, **time: float) -> None:
        """Let time pass: `days=3`."""
        self.simulation.run_for(timedelta(**time))

    def outcome(self) -> CertificateOutcome:
        """What the last run ended with, with nothing left open."""
        self.world.check()
        assert self.world.open_tasks() == []
        return cast(CertificateOutcome, self.run.result())


def certifying(world: CertificateWorld | None = None, seed: str = "", mishaps: Mishaps | None = None) -> Certifying:
    """An enrollment without certificates yet."""
    world = world or CertificateWorld()
    chance = random.Random(seed)  # noqa: S311 - the same every time
    return Certifying(world, Simulation(world.steps, chance, mishaps))
