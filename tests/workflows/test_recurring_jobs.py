"""Jobs that come back, on a simulated clock: whatever gets lost, and if a moment comes twice, there is one effect."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError

from models.identifiers import finding_workflow_id, mail_id_for
from models.messages.checks import (
    CheckCriticalMail,
    CriticalMailChecked,
    FindingOutcome,
    LookInto,
    LookOverMail,
    MailToSend,
    PursuedFindings,
    PursueFindings,
    PutRightAgain,
    SettleFinding,
    ToPutRight,
)
from models.messages.documents import RenderDocument, StoredFile
from models.messages.learning import DripsWoken, LateDrip
from models.messages.mail import MailReport, SendMail
from models.messages.recurring import (
    DeleteFiles,
    DocumentsRetained,
    DueReminder,
    DueReminders,
    ExpirySwept,
    FilesDeleted,
    FindReminders,
    RemindOfInvoices,
    RetainDocuments,
    SweepExpired,
    WakeExpired,
)
from models.messages.tasks import CloseTask, DecideTask, OpenTask
from models.vocabulary import CheckKind, FindingKind, FindingStatus, MailStatus, MailTemplate, TaskAction
from tests.workflows.simulation import Mishaps, Run, Simulation
from workflows.critical_mail import CriticalMailWorkflow
from workflows.document_retention import DocumentRetentionWorkflow
from workflows.expiry_sweep import PAGES, ExpirySweepWorkflow
from workflows.finding import FindingWorkflow
from workflows.invoice_reminders import InvoiceRemindersWorkflow

_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
_HARMLESS = Mishaps()
_MISHAPS = Mishaps(answer_lost=0.25, worker_away=0.1)


def ids(count: int) -> list[UUID]:
    return [UUID(int=number) for number in range(1, count + 1)]


def play(
    steps: Sequence[object],
    method: Callable[..., object],
    argument: object,
    *,
    seed: object = 0,
    mishaps: Mishaps = _HARMLESS,
    times: int = 1,
) -> list[Run]:
    """So many runs of one moment side by side, to their ends."""
    simulation = Simulation(steps, random.Random(str(seed)), mishaps)  # noqa: S311 - the same every time
    runs = [simulation.start(method, argument, f"run-{number}") for number in range(times)]
    simulation.run_until(lambda: all(run.latest.ended is not None for run in runs))
    return [run.latest for run in runs]


class Ledger:
    """Mails by their ids, and how often each was handed over."""

    def __init__(self) -> None:
        self.sent: Counter[UUID] = Counter()

    @activity.defn
    async def send_mail(self, request: SendMail) -> MailReport:
        mail_id = mail_id_for(request.recipient_id, request.template, request.subject_id, request.occasion)
        if not self.sent[mail_id]:
            self.sent[mail_id] += 1
        return MailReport(mail_id=mail_id, status=MailStatus.SENT)


# ---- expiry ----


@dataclass
class Late:
    """Places and certificates that wait to be woken."""

    places: list[UUID]
    certificates: list[UUID]
    woken: Counter[UUID] = field(default_factory=Counter)
    moments: set[datetime] = field(default_factory=set)

    @property
    def steps(self) -> list[object]:
        return [self.wake_ended_access, self.wake_ended_certificates]

    @activity.defn
    async def wake_ended_access(self, step: WakeExpired) -> DripsWoken:
        return self._wake(self.places, step)

    @activity.defn
    async def wake_ended_certificates(self, step: WakeExpired) -> DripsWoken:
        return self._wake(self.certificates, step)

    def _wake(self, late: list[UUID], step: WakeExpired) -> DripsWoken:
        self.moments.add(step.moment)
        page = [each for each in late if step.after is None or each > step.after.enrollment_id][:4]
        self.woken.update(page)
        last = LateDrip(since=_LONG_AGO, enrollment_id=page[-1]) if len(page) == 4 else None
        return DripsWoken(woken=len(page), last=last)


@pytest.mark.parametrize("number", range(8))
def test_everything_that_is_over_is_woken(number: int) -> None:
    late = Late(ids(number * 3), [UUID(int=1000 + each) for each in range(number)])
    [run] = play(late.steps, ExpirySweepWorkflow.run, SweepExpired(), seed=number, mishaps=_MISHAPS)
    assert set(late.woken) == {*late.places, *late.certificates}
    assert cast(ExpirySwept, run.result()) == ExpirySwept(places=number * 3, certificates=number)
    # However late its steps are, it is about the moment at which it was to start.
    assert late.moments == {run.simulation.started}


def test_a_sweep_over_many_goes_on_in_another_run() -> None:
    late = Late(ids(4 * PAGES + 3), [UUID(int=1000 + each) for each in range(2 * 4 * PAGES)])
    [run] = play(late.steps, ExpirySweepWorkflow.run, SweepExpired(), mishaps=_MISHAPS)
    assert run.number > 3
    assert set(late.woken) == {*late.places, *late.certificates}
    assert cast(ExpirySwept, run.result()) == ExpirySwept(places=4 * PAGES + 3, certificates=8 * PAGES)
    assert late.moments == {run.simulation.started}


# ---- reminders of invoices ----


class Invoices(Ledger):
    """Reminders that are due, in pages of three."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.due = [DueReminder(order_id=each, payer_id=UUID(int=7), occasion="after_1") for each in ids(count)]
        self.moments: set[datetime] = set()

    @property
    def steps(self) -> list[object]:
        return [self.find_reminders, self.send_mail]

    @property
    def keys(self) -> Counter[UUID]:
        return Counter(
            mail_id_for(each.payer_id, MailTemplate.INVOICE_REMINDER, each.order_id, each.occasion) for each in self.due
        )

    @activity.defn
    async def find_reminders(self, step: FindReminders) -> DueReminders:
        self.moments.add(step.moment)
        page = [each for each in self.due if step.after is None or each.order_id > step.after][:3]
        return DueReminders(reminders=tuple(page), last=page[-1].order_id if len(page) == 3 else None)


@pytest.mark.parametrize("number", range(8))
def test_each_reminder_goes_out_once_also_if_its_moment_comes_twice(number: int) -> None:
    invoices = Invoices(number * 6)
    play(
        invoices.steps,
        InvoiceRemindersWorkflow.run,
        RemindOfInvoices(),
        seed=number,
        mishaps=_MISHAPS,
        times=2,
    )
    assert +invoices.sent == invoices.keys
    # Also of a run that goes on as a new one.
    assert len(invoices.moments) == 1


# ---- critical mail ----


class Week(Ledger):
    """Papers that can be made, or not, and mails that wait for them."""

    def __init__(self, papers: int, mails: int, *, broken: int = 0) -> None:
        super().__init__()
        self.broken = set(ids(broken))
        self.papers = dict.fromkeys(ids(papers), False)
        self.mails = [
            MailToSend(recipient_id=UUID(int=7), template=MailTemplate.ORDER_CONFIRMATION, subject_id=each)
            for each in ids(mails)
        ]
        self.told: list[str] = []

    @property
    def steps(self) -> list[object]:
        return [self.check_papers, self.render_document, self.check_mails, self.send_mail, self.pursue_findings]

    @activity.defn
    async def check_papers(self, step: LookOverMail) -> ToPutRight:
        self.told.append("papers")
        missing = tuple(each for each, is_made in self.papers.items() if not is_made)
        return ToPutRight(document_ids=missing, found=len(missing))

    @activity.defn
    async def render_document(self, request: RenderDocument) -> StoredFile:
        if request.document_id in self.broken:
            raise ApplicationError("the store is away")
        self.papers[request.document_id] = True
        return StoredFile(key="receipts/1.pdf", sha256="a" * 64, size=1)

    @activity.defn
    async def check_mails(self, step: LookOverMail) -> ToPutRight:
        self.told.append(f"mails after {step.papers}")
        ready = [each for each in self.mails if self.papers.get(each.subject_id, True)]
        known = {each for each, count in self.sent.items() if count}
        missing = tuple(each for each in ready if key_of(each) not in known)
        return ToPutRight(mails=missing, found=len(missing))

    @activity.defn
    async def pursue_findings(self, step: PursueFindings) -> PursuedFindings:
        assert step.found_by is CheckKind.CRITICAL_MAIL
        self.told.append("people")
        return PursuedFindings()


def key_of(mail: MailToSend) -> UUID:
    return mail_id_for(mail.recipient_id, mail.template, mail.subject_id, mail.occasion)


def test_papers_are_made_before_the_mails_that_bring_them() -> None:
    week = Week(papers=3, mails=70)
    [run] = play(week.steps, CriticalMailWorkflow.run, CheckCriticalMail())
    assert week.told == ["papers", "mails after 3", "people"]
    assert all(week.papers.values())
    assert run.result() == CriticalMailChecked(papers=3, mails=70, found=73)


@pytest.mark.parametrize("number", range(8))
def test_each_mail_goes_out_once_also_if_its_moment_comes_twice(number: int) -> None:
    week = Week(papers=number, mails=number * 4)
    play(week.steps, CriticalMailWorkflow.run, CheckCriticalMail(), seed=number, mishaps=_MISHAPS, times=2)
    assert +week.sent == Counter(map(key_of, week.mails))


def test_a_paper_that_cannot_be_made_stops_no_other() -> None:
    week = Week(papers=3, mails=3, broken=1)
    [run] = play(week.steps, CriticalMailWorkflow.run, CheckCriticalMail())
    assert list(week.papers.values()) == [False, True, True]
    assert +week.sent == Counter(map(key_of, week.mails[1:]))
    assert run.simulation.now - run.simulation.started < timedelta(hours=1)


# ---- what a person wants sent once more ----


class Asked(Week):
    """A finding that is put before a person."""

    def __init__(self) -> None:
        super().__init__(papers=1, mails=1)
        self.task: OpenTask | None = None
        self.words: list[PutRightAgain] = []
        self.settled: list[SettleFinding] = []

    @property
    def steps(self) -> list[object]:
        steps = [self.open_task, self.close_task, self.put_right_again, self.settle_finding]
        return [*steps, self.render_document, self.send_mail]

    @activity.defn
    async def open_task(self, step: OpenTask) -> None:
        self.task = step

    @activity.defn
    async def close_task(self, step: CloseTask) -> None:
        pass

    @activity.defn
    async def put_right_again(self, step: PutRightAgain) -> ToPutRight:
        self.words.append(step)
        return ToPutRight(document_ids=tuple(self.papers), mails=tuple(self.mails))

    @activity.defn
    async def settle_finding(self, step: SettleFinding) -> None:
        # Only then it has gone out.
        if step.status is FindingStatus.RESOLVED:
            assert +self.sent == Counter(map(key_of, self.mails))
        self.settled.append(step)

    def decide(self, action: TaskAction, seed: int) -> Run:
        finding_id = UUID(int=5)
        look = LookInto(
            finding_id=finding_id, found_by=CheckKind.CRITICAL_MAIL, kind=FindingKind.MAIL_NOT_SENT,
            subject_kind="mail", subject_id=UUID(int=6), reason="It came back.", times=2,
        )  # fmt: skip
        simulation = Simulation(self.steps, random.Random(seed), _MISHAPS)  # noqa: S311 - the same every time
        run = simulation.start(FindingWorkflow.run, look, finding_workflow_id(finding_id))
        simulation.run_until(lambda: self.task is not None)
        simulation.run_for(timedelta(hours=2))
        assert self.task is not None
        run.update(FindingWorkflow.decide, DecideTask(task_id=self.task.task_id, action=action, actor="staff:7"))
        simulation.run_until(lambda: run.ended is not None)
        return run


@pytest.mark.parametrize("seed", range(6))
def test_what_a_person_wants_sent_again_goes_out_before_it_is_settled(seed: int) -> None:
    asked = Asked()
    run = asked.decide(TaskAction.RETRY, seed)
    assert {(each.actor, each.times, each.workflow_id) for each in asked.words} == {("staff:7", 2, run.workflow_id)}
    assert +asked.sent == Counter(map(key_of, asked.mails))
    assert {(each.status, each.actor) for each in asked.settled} == {(FindingStatus.RESOLVED, "staff:7")}
    assert run.result() == FindingOutcome(status=FindingStatus.RESOLVED)


def test_what_a_person_accepts_is_not_sent_again() -> None:
    asked = Asked()
    run = asked.decide(TaskAction.ACCEPT, seed=1)
    assert (asked.words, +asked.sent) == ([], Counter())
    assert run.result() == FindingOutcome(status=FindingStatus.ACCEPTED)


# ---- retention ----


class Cellar:
    """Files whose time is over, in pages of 200."""

    def __init__(self, exports: int, evidence: int) -> None:
        self.left = Counter(exports=exports, evidence=evidence)
        self.deleted: Counter[str] = Counter()

    @property
    def steps(self) -> list[object]:
        return [self.expire_exports, self.clear_exports, self.erase_evidence, self.delete_workbooks]

    @activity.defn
    async def expire_exports(self, step: DeleteFiles) -> FilesDeleted:
        return self._delete("exports", step)

    @activity.defn
    async def clear_exports(self, step: DeleteFiles) -> FilesDeleted:
        return self._delete("parts", step)

    @activity.defn
    async def erase_evidence(self, step: DeleteFiles) -> FilesDeleted:
        return self._delete("evidence", step)

    @activity.defn
    async def delete_workbooks(self, step: DeleteFiles) -> FilesDeleted:
        return self._delete("workbooks", step)

    def _delete(self, kind: str, step: DeleteFiles) -> FilesDeleted:
        count = min(step.limit, self.left[kind])
        self.left[kind] -= count
        self.deleted[kind] += count
        return FilesDeleted(deleted=count)


@pytest.mark.parametrize(("exports", "evidence"), [(0, 0), (1, 200), (200, 1), (1001, 399)])
def test_everything_whose_time_is_over_is_deleted(exports: int, evidence: int) -> None:
    cellar = Cellar(exports, evidence)
    [run] = play(cellar.steps, DocumentRetentionWorkflow.run, RetainDocuments())
    assert run.result() == DocumentsRetained(exports=exports, evidence=evidence)
    cellar = Cellar(exports, evidence)
    play(cellar.steps, DocumentRetentionWorkflow.run, RetainDocuments(), seed=exports, mishaps=_MISHAPS, times=2)
    assert (+cellar.left, +cellar.deleted) == (Counter(), +Counter(exports=exports, evidence=evidence))
