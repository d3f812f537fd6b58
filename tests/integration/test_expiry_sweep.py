"""What should have expired and has not: found by the sweep, and by none once its job has looked."""

from datetime import datetime, timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.certificate_templates import AssignedTemplate
from activities.certificates import CertificateActivities
from activities.drips import DripActivities
from activities.expiry_sweep import ExpirySweepActivities, ended_access, ended_certificates
from activities.orders import OrderActivities
from models.identifiers import drip_workflow_id
from models.messages.learning import DripStart, DripsWoken
from models.messages.recurring import WakeExpired
from models.tables import Certificate
from models.vocabulary import CertificateStatus, EnrollmentStatus
from tests.integration.certified_places import NOON, a_place, blank, certify, confirm, issued, template, tended, the
from tests.integration.learning_steps import BEGAN, DAY, advance, enrolled, set_place

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ENDS = BEGAN + 30 * DAY


async def ended(steps: ExpirySweepActivities, moment: datetime, limit: int = 10) -> list[UUID]:
    """The places that are late, page by page."""
    found: list[UUID] = []
    page = WakeExpired(moment=moment, limit=limit)
    async with steps.sessions() as session:
        while late := await ended_access(session, page):
            found += [each.enrollment_id for each, _ in late]
            page = page.model_copy(update={"after": late[-1][0]})
    return found


@workflow.defn(name="DripWorkflow", sandboxed=False)
class _Woken:
    @workflow.run
    async def run(self, start: DripStart) -> UUID:
        return start.enrollment_id

    @workflow.signal
    def replan(self) -> None:
        pass


async def test_a_place_whose_access_is_over_is_found_until_it_has_expired(
    orders: OrderActivities, real_temporal: Client
) -> None:
    steps, drips = ExpirySweepActivities(orders.sessions), DripActivities(orders.sessions)
    place = (await enrolled(orders.sessions)).id
    await advance(drips, place, BEGAN)
    # The platform has set an end, and told nobody: its job sleeps for good.
    await set_place(orders.sessions, place, access_ends_at=ENDS, wakes_at=None)
    assert await ended(steps, ENDS) == await ended(steps, ENDS + 9 * MINUTE) == []
    assert await ended(steps, ENDS + 10 * MINUTE, limit=1) == [place]
    environment = ActivityEnvironment(client=real_temporal)
    handle = real_temporal.get_workflow_handle(drip_workflow_id(place), result_type=UUID)
    async with Worker(real_temporal, task_queue=environment.info.task_queue, workflows=[_Woken]):
        woken = await environment.run(steps.wake_ended_access, WakeExpired(moment=ENDS + HOUR))
        assert (await handle.result(), woken) == (place, DripsWoken(woken=1))
    assert (await advance(drips, place, ENDS + HOUR)).status is EnrollmentStatus.EXPIRED
    assert await ended(steps, ENDS + DAY) == []


async def test_a_place_that_waits_for_what_was_held_is_left_alone_for_three_days(orders: OrderActivities) -> None:
    steps = ExpirySweepActivities(orders.sessions)
    place = (await enrolled(orders.sessions)).id
    # Its job has looked after the end, and has let it live.
    await set_place(orders.sessions, place, access_ends_at=ENDS, planned_at=ENDS + MINUTE)
    assert await ended(steps, ENDS + 3 * DAY) == []
    assert await ended(steps, ENDS + 3 * DAY + HOUR) == [place]
    for status in (EnrollmentStatus.COMPLETED, EnrollmentStatus.CANCELED, EnrollmentStatus.EXPIRED):
        await set_place(orders.sessions, place, status=status)
        assert await ended(steps, ENDS + 30 * DAY) == []


async def test_a_certificate_whose_time_is_over_is_found_until_it_has_expired(orders: OrderActivities) -> None:
    await blank(orders.sessions)
    yearly = AssignedTemplate(await template(orders.sessions, "yearly"), valid_days=365)
    await certify(orders.sessions, "spanish-a1", yearly)
    await confirm(orders.sessions, "Łukasz Żółciński")
    steps = CertificateActivities(orders.sessions)
    place = await a_place(orders.sessions, orders)
    certificate_id = await issued(steps, place)
    expires_at = (await the(orders.sessions, certificate_id)).expires_at
    assert expires_at is not None

    async def late(moment: datetime) -> list[UUID]:
        async with orders.sessions() as session:
            return [each.enrollment_id for each in await ended_certificates(session, WakeExpired(moment=moment))]

    assert await late(expires_at) == []
    assert await late(expires_at + HOUR) == [place]
    # What the learning platform certified is its own.
    async with orders.sessions.begin() as session:
        session.add(Certificate(enrollment_id=place, issued_at=NOON, expires_at=NOON + DAY))
    assert await late(expires_at - HOUR) == []
    await tended(steps, place, expires_at + HOUR)
    assert (await the(orders.sessions, certificate_id)).status == CertificateStatus.EXPIRED
    assert await late(expires_at + DAY) == []
