"""The jobs that move no money, on paths of theirs; and those that only do their steps, with answers of nothing."""

import random
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from temporalio import activity, workflow

from models.errors import Reason
from models.identifiers import cart_workflow_id, drip_workflow_id, tutor_application_workflow_id
from models.messages.carts import CartStart, ChangeCart
from models.messages.documents import SendCopy
from models.messages.reconciliation import Reconcile, Scope
from models.messages.tasks import DecideTask
from models.money import Money
from models.vocabulary import ApplicationStatus, EnrollmentChange, TaskAction
from tests.replay.messages import Said, spoken
from tests.workflows import (
    application_world,
    cart_world,
    certificate_world,
    drip_world,
    test_certificate_batch,
    test_course_change,
    test_export,
    test_finding,
    test_job_action,
    test_reconciliation,
    test_scheduled_report,
)
from tests.workflows.money_scenes import done_steps, is_left_by
from tests.workflows.order_world import OrderWorld, Worlds
from tests.workflows.simulation import Run, Simulation
from tests.workflows.strikes import Path, Scene
from worker import WORKFLOWS
from workflows.cart import CartWorkflow
from workflows.certificate import CertificateWorkflow
from workflows.course_change import CourseChangeWorkflow
from workflows.critical_mail import CriticalMailWorkflow
from workflows.document_copy import DocumentCopyWorkflow
from workflows.document_retention import DocumentRetentionWorkflow
from workflows.expiry_sweep import ExpirySweepWorkflow
from workflows.finding import FindingWorkflow
from workflows.invoice_reminders import InvoiceRemindersWorkflow
from workflows.reassign_reviews import ReassignReviewsWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.refund_sweep import RefundSweepWorkflow
from workflows.stripe_catch_up import StripeCatchUpWorkflow
from workflows.stuck_jobs import StuckJobsWorkflow
from workflows.wake_drips import WakeDripsWorkflow

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


# ---- answers made of nothing ----


def made_of_nothing(kind: Any) -> Any:  # noqa: PLR0911 - one for each sort of type
    """The emptiest value of a type: none, nothing in it, the first of its words."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return made_of_nothing(parts[0])
    if origin in (Union, UnionType):
        return None if NoneType in parts else made_of_nothing(parts[0])
    if origin is Literal:
        return parts[0]
    if origin is not None:
        return origin() if isinstance(origin, type) and origin is not tuple else ()
    if kind in (None, NoneType):
        return None
    if kind is Money:
        return Money(amount=1, currency="EUR")
    if kind is UUID:
        return UUID(int=1)
    if kind is datetime:
        return datetime(2026, 3, 2, 8, tzinfo=UTC)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        needed = {
            name: made_of_nothing(each.annotation) for name, each in kind.model_fields.items() if each.is_required()
        }
        return kind.model_validate(needed)
    return kind()


@cache
def _empty_steps() -> tuple[object, ...]:
    """Every step that a worker has, which does nothing and answers as little as its type allows."""
    return tuple(_empty(name, said) for (kind, name), said in spoken().items() if kind == "activity")


def _empty(name: str, said: Said) -> object:
    async def nothing(*given: object) -> object:
        return made_of_nothing(said.answer)

    made = activity._Definition(
        name=name, fn=nothing, is_async=True, no_thread_cancel_exception=False,
        arg_types=list(said.takes), ret_type=cast(Any, said.answer),
    )  # fmt: skip
    setattr(nothing, "__temporal_activity_definition", made)
    return nothing


def _plain(job: type) -> Path:
    """A job that does its steps and waits for nobody."""
    made = workflow._Definition.must_from_class(job)

    def begin() -> Scene:
        simulation = Simulation(_empty_steps(), _same(), workflows=WORKFLOWS)
        assert made.arg_types
        simulation.start(made.run_fn, made_of_nothing(made.arg_types[0]), "plain")
        return Scene(simulation, "plain")

    return Path(str(made.name), "nothing to do", begin)


def _same() -> random.Random:
    return random.Random("the same every time")  # noqa: S311


def _copy() -> Scene:
    worlds, document_id = Worlds(), UUID(int=3)
    worlds.of[document_id] = world = OrderWorld()
    simulation = Simulation(worlds.activities, _same())
    wish = SendCopy(document_id=document_id, payer_id=UUID(int=4), copy_id=UUID(int=5))
    simulation.start(DocumentCopyWorkflow.run, wish, "copy")
    return Scene(simulation, "copy", wrongs=lambda: ["mailed twice"] if len(world.sent) > 1 else [])


def _report() -> Scene:
    academy = test_scheduled_report.Academy()
    run = test_scheduled_report._start(test_scheduled_report._simulated(academy))
    return Scene(run.simulation, run.workflow_id)


# ---- pages and parts ----


def _bulk(run: Run, job: str, *, ends: Callable[[], object], turns: Callable[[], Iterable[int]], **more: Any) -> Scene:
    """A job that gives everybody a turn, then writes down that it is over."""
    scene = Scene(run.simulation, run.workflow_id, **more)
    done = done_steps(run.simulation)
    scene.wrongs = lambda: ["somebody had two turns"] if any(turn > 1 for turn in turns()) else []
    scene.owed = lambda: ["its row is not closed"] if done and not ends() else []
    scene.is_found = lambda: is_left_by(job, "running")
    return scene


def _batch() -> Scene:
    learners = test_certificate_batch.Learners(250)
    run = test_certificate_batch._start(learners)
    return _bulk(run, "CertificateBatchWorkflow", ends=lambda: learners.ends, turns=learners.lines.values)


def _change(count: int, stop: timedelta | None = None) -> Callable[[], Scene]:
    def begin() -> Scene:
        members = test_course_change.Members(count)
        _, run = test_course_change.changing(members)
        scene = _bulk(run, "CourseChangeWorkflow", ends=lambda: members.ended, turns=list)
        if stop is not None:
            scene.acts = [(stop, lambda: scene.run.signal(CourseChangeWorkflow.stop))]
        return scene

    return begin


def _export(**facts: Any) -> Callable[[], Scene]:
    def begin() -> Scene:
        files = test_export.Files(**facts)
        run = test_export.begin(files)

        def ends() -> object:
            # What is refused has no row.
            return files.ends or files.refusal

        return _bulk(run, "ExportWorkflow", ends=ends, turns=files.written.values)

    return begin


def _job_action() -> Scene:
    jobs = test_job_action.Jobs(250)
    return _bulk(test_job_action.start(jobs), "JobActionWorkflow", ends=lambda: jobs.ends, turns=jobs.turns.values)


def _finding(action: TaskAction) -> Callable[[], Scene]:
    def begin() -> Scene:
        office = test_finding.Office()
        run = test_finding.begin(office)
        scene = Scene(run.simulation, run.workflow_id)

        def decide() -> None:
            # What was asked before it began anew is asked again.
            for task_id in office.tasks:
                scene.run.update(FindingWorkflow.decide, DecideTask(task_id=task_id, action=action, actor="staff:7"))

        scene.decide = decide
        scene.wrongs = lambda: ["settled twice"] if len({each.status for each in office.settled}) > 1 else []
        scene.owed = lambda: [] if office.settled else ["nobody has settled it"]
        scene.is_found = lambda: is_left_by("FindingWorkflow", "open")
        return scene

    return begin


def _reconciliation() -> Scene:
    books = test_reconciliation.Books(5, 2)
    simulation = Simulation(books.steps, _same())
    simulation.start(ReconciliationWorkflow.run, Reconcile(scope=get_args(Scope)[0]), "reconcile")
    return Scene(simulation, "reconcile")


# ---- people who come and go ----


def _cart(*turns: tuple[timedelta, str]) -> Callable[[], Scene]:
    def begin() -> Scene:
        job = cart_world.shopping()
        cart_id, person = UUID(int=1), cart_world.PERSON
        start = CartStart(cart_id=cart_id, person_id=person)
        run = job.simulation.start(CartWorkflow.run, start, cart_workflow_id(cart_id))
        courses = (cart_world.COURSE,)
        wish = ChangeCart(cart_id=cart_id, person_id=person, course_ids=courses, actor=f"student:{person}")
        run.send(CartWorkflow.change, wish, with_start=True)
        scene = Scene(job.simulation, run.workflow_id)
        ways: dict[str, Callable[[], object]] = {
            "buy": job.buy,
            "change": lambda: scene.run.update(CartWorkflow.change, wish),
            "clear": lambda: scene.run.update(CartWorkflow.clear),
        }
        scene.acts = [(wait, ways[what]) for wait, what in turns]
        scene.wrongs = lambda: job.world.wrongs
        row = job.world.carts
        scene.owed = lambda: ["it is live"] if any(each.status in cart_world.LIVE for each in row.values()) else []
        scene.is_found = lambda: is_left_by("CartWorkflow", row[cart_id].status)
        return scene

    return begin


def _certificate(
    *turns: tuple[timedelta, Callable[[certificate_world.Certifying], object]], **facts: Any
) -> Callable[[], Scene]:
    def begin() -> Scene:
        certificates = certificate_world.certifying(certificate_world.CertificateWorld(**facts))
        run = certificates.start()
        scene = Scene(certificates.simulation, run.workflow_id)
        world = certificates.world

        def decide() -> None:
            for task in world.open_tasks():
                decision = DecideTask(task_id=task.task_id, action=task.allowed_actions[-1], actor="staff:7")
                scene.run.update(CertificateWorkflow.decide, decision)

        def wrongs() -> list[str]:
            numbers = [row.number for row in world.by_number()]
            gap = [] if numbers == list(range(1, len(numbers) + 1)) else [f"numbered {numbers}"]
            return [*world.wrongs, *gap]

        scene.acts = [(wait, partial(act, certificates)) for wait, act in turns]
        scene.decide, scene.wrongs = decide, wrongs
        return scene

    return begin


def _drip(*turns: tuple[timedelta, Callable[[drip_world.Learning], object]], lessons: int = 2) -> Callable[[], Scene]:
    def begin() -> Scene:
        job = drip_world.learning(drip_world.course(*[None] * lessons))
        scene = Scene(job.simulation, drip_workflow_id(job.place.id), is_revived=True)
        scene.acts = [(wait, partial(act, job)) for wait, act in turns]
        scene.wrongs = lambda: job.world.wrongs
        # What is tried again was thought of earlier than what has happened since.
        scene.begins_anew = lambda: setattr(job.place, "last_moment", drip_world.START)
        return scene

    return begin


def _application(*turns: tuple[timedelta, Callable[[application_world.Played], object]]) -> Callable[[], Scene]:
    def begin() -> Scene:
        played = application_world.begun()
        scene = Scene(
            played.simulation, tutor_application_workflow_id(application_world.APPLICATION_ID), step=10 * _DAY
        )

        def by(act: Callable[[application_world.Played], object]) -> Callable[[], object]:
            def happen() -> object:
                played.run = scene.run
                return act(played)

            return happen

        def wrongs() -> list[str]:
            world = played.world
            is_approved = world.status is ApplicationStatus.APPROVED
            return [] if is_approved == world.is_shown else ["shown, and not approved, or the other way round"]

        def owed() -> list[str]:
            world = played.world
            ends = (*application_world.REJECTED, ApplicationStatus.WITHDRAWN, ApplicationStatus.EXPIRED)
            if world.status is None or world.status is ApplicationStatus.APPROVED or world.erased_at is not None:
                return []
            return ["it is not erased"] if world.status in ends else [f"it is {world.status}"]

        scene.acts = [(wait, by(act)) for wait, act in turns]
        scene.wrongs, scene.owed = wrongs, owed
        # What is over and not erased is found by the moment at which it should be.
        scene.is_found = lambda: (
            is_left_by("TutorApplicationWorkflow", played.world.status) or played.world.erase_at is not None
        )
        return scene

    return begin


def _decided(action: TaskAction) -> Callable[[application_world.Played], object]:
    def decide(played: application_world.Played) -> None:
        if played.world.open_tasks:
            played.decide(action)

    return decide


PATHS = (
    *map(_plain, (
        CriticalMailWorkflow, DocumentRetentionWorkflow, ExpirySweepWorkflow,
        InvoiceRemindersWorkflow, ReassignReviewsWorkflow, RefundSweepWorkflow,
        StripeCatchUpWorkflow, StuckJobsWorkflow, WakeDripsWorkflow,
    )),
    Path("DocumentCopyWorkflow", "mailed", _copy),
    Path("ScheduledReportWorkflow", "two files", _report),
    Path("ReconciliationWorkflow", "some can be healed", _reconciliation),
    Path("CertificateBatchWorkflow", "three pages", _batch),
    Path("CourseChangeWorkflow", "three pages", _change(1200)),
    Path("CourseChangeWorkflow", "stopped", _change(100_000, timedelta(seconds=5))),
    Path("JobActionWorkflow", "three pages", _job_action),
    Path("ExportWorkflow", "three parts", _export()),
    Path("ExportWorkflow", "refused", _export(refusal=Reason.PAYLOAD_TOO_LARGE)),
    Path("ExportWorkflow", "broken", _export(broken_at=1)),
    Path("FindingWorkflow", "mended", _finding(TaskAction.RETRY)),
    Path("FindingWorkflow", "accepted", _finding(TaskAction.ACCEPT)),
    Path("CartWorkflow", "lost", _cart()),
    Path("CartWorkflow", "bought", _cart((2 * _DAY, "buy"))),
    Path("CartWorkflow", "changed, then cleared", _cart((_DAY, "change"), (_DAY, "clear"))),
    Path("CertificateWorkflow", "issued", _certificate()),
    Path("CertificateWorkflow", "the name is confirmed later", _certificate(
        (3 * _DAY, lambda job: job.confirm_name()), is_name_confirmed=False,
    )),
    Path("CertificateWorkflow", "the name is never confirmed", _certificate(is_name_confirmed=False)),
    Path("DripWorkflow", "finished", _drip(
        (_HOUR, lambda job: job.report(0)), (_HOUR, lambda job: job.report(1)),
    )),
    Path("DripWorkflow", "suspended", _drip(
        (_HOUR, lambda job: job.change(EnrollmentChange.SUSPEND)),
        (_DAY, lambda job: job.change(EnrollmentChange.REACTIVATE)),
    )),
    Path("TutorApplicationWorkflow", "approved", _application(
        (_HOUR, lambda job: job.submit()), (_DAY, _decided(TaskAction.APPROVE)),
    )),
    Path("TutorApplicationWorkflow", "rejected", _application(
        (_HOUR, lambda job: job.submit()), (_DAY, _decided(TaskAction.REJECT_SOFT)),
    )),
    Path("TutorApplicationWorkflow", "withdrawn", _application(
        (_HOUR, lambda job: job.submit()), (_DAY, lambda job: job.withdraw()),
    )),
)  # fmt: skip
