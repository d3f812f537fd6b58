"""Certificates that somebody else changes, by a refund or a hand-over, or a wish without its update: it is woken."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlmodel import col
from temporalio import workflow
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.certificate_corrections import WantedName, request_correction
from activities.certificate_jobs import changed_certificates
from activities.certificate_templates import AssignedTemplate
from activities.certificates import CertificateActivities
from activities.database import Sessions
from activities.drips import DripActivities
from activities.orders import OrderActivities
from activities.place_endings import end_with_all
from models.errors import Reason
from models.identifiers import certificate_workflow_id
from models.messages.certificates import CertificateStart, CertificateStep, CorrectName, RevokeCertificate
from models.messages.learning import WakeDrips
from models.tables import Academy, Enrollment, HumanTask, NameCorrection, Order, OrderLine
from models.tables.columns import now
from models.vocabulary import (
    CertificateStatus,
    EnrollmentStatus,
    MailTemplate,
    RevocationReason,
    TaskAction,
    TaskKind,
)
from tests.integration.certified_places import (
    NOON,
    a_place,
    all_certificates,
    blank,
    certify,
    confirm,
    issued,
    issuing,
    template,
    tended,
    the,
)
from tests.integration.learning_steps import advance
from tests.integration.order_steps import LUKASZ, enroll, enrollments_of, set_course
from tests.integration.test_learning_handed_over import standing

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def steps(orders: OrderActivities) -> CertificateActivities:
    """Spanish is certified for good, and refunds revoke what was certified."""
    await blank(orders.sessions)
    await certify(orders.sessions, "spanish-a1", AssignedTemplate(await template(orders.sessions, "for good")))
    await confirm(orders.sessions, "Łukasz Jan Żółciński")
    await set_course(orders.sessions, "spanish-a1", starts_at=None)
    async with orders.sessions.begin() as session:
        await session.execute(update(Academy).values(refund_revokes_certificate=True))
    return CertificateActivities(orders.sessions)


async def waiting(sessions: Sessions) -> Sequence[UUID]:
    async with sessions() as session:
        return await changed_certificates(session, 10)


async def refund(sessions: Sessions, place: UUID) -> None:
    """All places of its order end, as by a refund in full."""
    async with sessions.begin() as session:
        query = select(Order).join(OrderLine, col(OrderLine.order_id) == col(Order.id))
        query = query.join(Enrollment, col(Enrollment.order_line_id) == col(OrderLine.id))
        order = (await session.execute(query.where(col(Enrollment.id) == place).with_for_update(of=Order))).scalar_one()
        of_order = select(Enrollment).join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
        places = (await session.execute(of_order.where(col(OrderLine.order_id) == order.id))).scalars().all()
        await end_with_all(session, order, places)


async def handed_over(steps: CertificateActivities, orders: OrderActivities) -> tuple[UUID, UUID, UUID]:
    """A place that was certified, the place that it lives on as, and the certificate."""
    moment = now()
    [place] = await enrollments_of(steps.sessions, await enroll(steps.sessions, orders, "spanish-a1"))
    async with steps.sessions.begin() as session:
        values = {"status": EnrollmentStatus.COMPLETED, "completed_at": moment}
        await session.execute(update(Enrollment).where(col(Enrollment.id) == place.id).values(values))
    certificate_id = await issued(steps, place.id, moment)
    await enroll(steps.sessions, orders, "language-bundle")
    await refund(steps.sessions, place.id)
    return place.id, (await standing(steps.sessions)).id, certificate_id


async def test_a_certificate_goes_with_the_place_that_is_handed_over(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    old, new, certificate_id = await handed_over(steps, orders)
    assert (await the(steps.sessions, certificate_id)).enrollment_id == new
    assert await waiting(steps.sessions) == [new]
    moment = now() + MINUTE
    assert not (await advance(DripActivities(steps.sessions), new, moment)).wants_certificate
    assert await issued(steps, new, moment) == certificate_id
    assert len(await all_certificates(steps.sessions)) == 1
    # The job of the old place has nothing more to do.
    over = await tended(steps, old, moment)
    assert (over.wakes_at, over.unrendered, over.mails, over.corrections) == (None, (), (), ())
    assert (await tended(steps, new, moment)).unrendered == (certificate_id,)
    assert await waiting(steps.sessions) == []
    await refund(steps.sessions, new)
    assert (await the(steps.sessions, certificate_id)).status == CertificateStatus.REVOKED


async def test_a_wish_goes_with_it_and_is_asked_about_once(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    old, new, certificate_id = await handed_over(steps, orders)
    wish = await wished(steps.sessions, certificate_id, "Łukasz Nowak")
    [told] = (await tended(steps, new, now())).corrections
    assert (told.correction_id, told.certificate_id) == (wish.id, certificate_id)
    task = HumanTask(
        kind=TaskKind.NAME_CORRECTION,
        subject_kind="certificate",
        subject_id=certificate_id,
        reason="Another name",
        allowed_actions=[TaskAction.APPROVE],
        due_at=now(),
        workflow_id=certificate_workflow_id(old),
        queue="support",
    )
    async with steps.sessions.begin() as session:
        session.add(task)
    assert (await tended(steps, new, now())).corrections == ()


async def test_a_refund_wakes_the_job_that_tells_of_it(steps: CertificateActivities, orders: OrderActivities) -> None:
    place = await a_place(steps.sessions, orders)
    certificate_id = await issued(steps, place)
    assert (await tended(steps, place, NOON)).wakes_at is None
    assert await waiting(steps.sessions) == []
    await refund(steps.sessions, place)
    assert await waiting(steps.sessions) == [place]
    [mail] = (await tended(steps, place, now())).mails
    assert (mail.template, mail.certificate_id) == (MailTemplate.CERTIFICATE_REVOKED, certificate_id)
    assert await waiting(steps.sessions) == []


async def wished(sessions: Sessions, certificate_id: UUID, name: str) -> NameCorrection:
    wanted = WantedName(uuid4(), certificate_id, name, f"student:{LUKASZ}", "b" * 64, "application/pdf")
    async with sessions.begin() as session:
        found = await request_correction(session, wanted, now() - 3 * MINUTE)
        assert isinstance(found, NameCorrection)
        return found


async def test_a_wish_whose_update_never_came_is_taken_up(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    place = await a_place(steps.sessions, orders)
    certificate_id = await issued(steps, place)
    wish = await wished(steps.sessions, certificate_id, "Łukasz Nowak")
    # The same again is the same wish, so that its update can be sent again.
    assert (await wished(steps.sessions, certificate_id, " Łukasz  Nowak ")).id == wish.id
    assert await waiting(steps.sessions) == [place]
    told = CorrectName(certificate_id=certificate_id, correction_id=wish.id, actor=f"student:{LUKASZ}")
    assert (await tended(steps, place, now())).corrections == (told,)
    assert await waiting(steps.sessions) == []


async def test_the_job_of_one_place_changes_no_certificate_of_another(
    steps: CertificateActivities, orders: OrderActivities
) -> None:
    place = await a_place(steps.sessions, orders)
    certificate_id = await issued(steps, place)
    wish = RevokeCertificate(certificate_id=certificate_id, reason=RevocationReason.OTHER, actor="staff:7")
    for enrollment_id, reason in ((uuid4(), Reason.NOT_FOUND), (place, None)):
        step = CertificateStep(wish=wish, enrollment_id=enrollment_id, moment=NOON, workflow_id="of-a-test")
        assert (await steps.change_certificate(step)).refusal is reason


@workflow.defn(name="CertificateWorkflow", sandboxed=False)
class _Woken:
    """What waking needs of the workflow of certificates."""

    def __init__(self) -> None:
        self._is_woken = False

    @workflow.run
    async def run(self, start: CertificateStart) -> UUID:
        await workflow.wait_condition(lambda: self._is_woken)
        return start.enrollment_id

    @workflow.signal
    def facts_changed(self) -> None:
        self._is_woken = True


async def test_the_sweep_wakes_the_job_or_starts_it_anew(
    steps: CertificateActivities, orders: OrderActivities, real_temporal: Client
) -> None:
    place = await a_place(steps.sessions, orders)
    await steps.issue_certificates(issuing(place))
    await refund(steps.sessions, place)
    environment = ActivityEnvironment(client=real_temporal)
    drips = DripActivities(steps.sessions)
    handle = real_temporal.get_workflow_handle(certificate_workflow_id(place), result_type=UUID)
    async with Worker(real_temporal, task_queue=environment.info.task_queue, workflows=[_Woken]):
        for _ in range(2):
            await environment.run(drips.wake_drips, WakeDrips(limit=10))
            assert await handle.result() == place
