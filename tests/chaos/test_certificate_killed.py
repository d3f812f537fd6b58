"""Kill the worker while certificates are issued: one certificate, one number and one mail each, whatever dies when."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Select, delete, func, select, update
from sqlmodel import col

from models.identifiers import certificate_batch_workflow_id, certificate_workflow_id
from models.listing import batch_attributes, certificate_attributes
from models.messages.certificates import BatchProgress, BatchRequest, CertificateOutcome, CertificateStart
from models.tables import (
    Certificate,
    CertificateBatchLine,
    CertificateTemplate,
    CertificateTemplateVersion,
    CourseCertificate,
    Enrollment,
    Mail,
    Person,
)
from models.tables.columns import now
from models.vocabulary import BatchStatus, CertificateOrigin
from sandbox.sample_academy import sample_id
from tests.chaos.deaths import dying_worker, through_every_death
from tests.eventually import eventually
from tests.installation import Installation
from tests.integration.many_places import write_places
from worker import running_workers
from workflows.certificate import CertificateWorkflow
from workflows.certificate_batch import CertificateBatchWorkflow
from workflows.deployment import make_current
from workflows.queues import REGISTRAR_QUEUE

pytest.importorskip("activities.certificate_facts", reason="the steps on the record are not there yet")

STEPS = ("issue_certificates", "render_certificate", "send_mail")
COURSE = sample_id("course", "photography")
LEARNERS = 60
NAME = {"key": "student_full_name", "top": 200, "left": 50, "width": 742, "height": 60}
CANVAS: dict[str, object] = {"width": 842, "height": 595, "boxes": [NAME]}


async def completed_places(installation: Installation, count: int) -> Sequence[UUID]:
    """So many places of a course that certifies; it is completed, and every learner has confirmed their name."""
    _, places = await write_places(installation.sessions, count)
    template_id = uuid4()
    async with installation.sessions.begin() as session:
        session.add(CertificateTemplate(id=template_id, name=f"chaos-{template_id.hex[:8]}", title="Chaos"))
        await session.flush()
        session.add(CertificateTemplateVersion(template_id=template_id, version=1, canvas=CANVAS, created_by="staff:7"))
        await session.execute(delete(CourseCertificate).where(col(CourseCertificate.course_id) == COURSE))
        session.add(CourseCertificate(course_id=COURSE, template_id=template_id))
        whose = col(Enrollment.id).in_(places)
        await session.execute(update(Enrollment).where(whose).values(completed_at=now()))
        students = select(col(Enrollment.student_id)).where(whose)
        named = {"legal_name": "Zażółć Gęślą", "legal_name_confirmed_at": now()}
        await session.execute(update(Person).where(col(Person.id).in_(students)).values(**named))
    return places


async def check(installation: Installation, places: Sequence[UUID]) -> None:
    """Each place has one certificate, with its PDF and its mail, and no number is missing."""
    async with installation.sessions() as session:
        certificates = (await session.execute(select(Certificate))).scalars().all()
        sent = select(col(Mail.subject_id)).where(
            col(Mail.template) == "certificate_issued", col(Mail.status).in_(("sent", "unknown"))
        )
        mailed = Counter((await session.execute(sent)).scalars())
    ours = [each for each in certificates if each.enrollment_id in set(places)]
    assert Counter(each.enrollment_id for each in ours) == dict.fromkeys(places, 1)
    assert all(each.file_sha256 for each in ours)
    assert mailed == {each.id: 1 for each in ours}
    numbers = sorted(int(str(each.number).rpartition("-")[2]) for each in ours)
    assert numbers == list(range(numbers[0], numbers[0] + len(places)))


async def test_a_certificate_lives_through_the_death_of_its_worker(idle_installation: Installation) -> None:
    installation = idle_installation
    places = await completed_places(installation, len(STEPS))

    async def certify(number: int) -> CertificateOutcome:
        start = CertificateStart(enrollment_id=places[number], origin=CertificateOrigin.COMPLETION)
        handle = await installation.temporal.start_workflow(
            CertificateWorkflow.run,
            start,
            id=certificate_workflow_id(places[number]),
            task_queue=REGISTRAR_QUEUE,
            search_attributes=certificate_attributes(places[number]),
        )
        return await handle.result()

    outcomes = await through_every_death(installation, STEPS, certify)
    assert outcomes == [CertificateOutcome(certificates=1)] * len(STEPS)
    await check(installation, places)


async def test_a_run_that_is_killed_at_37_percent_certifies_exactly_everybody(idle_installation: Installation) -> None:
    installation = idle_installation
    places = await completed_places(installation, LEARNERS)
    request = BatchRequest(batch_id=uuid4(), course_id=COURSE, enrollment_ids=tuple(places), actor="staff:7")
    had_their_turn = select(func.count()).where(
        col(CertificateBatchLine.batch_id) == request.batch_id, col(CertificateBatchLine.outcome).is_not(None)
    )

    # Learners have their turn in groups, which are written down once all of a group had theirs.
    certified = select(func.count()).where(col(Certificate.enrollment_id).in_(places))

    async def count(query: Select[tuple[int]]) -> int:
        async with installation.sessions() as session:
            return (await session.execute(query)).scalar_one()

    async def is_far_enough() -> bool:
        return await count(certified) >= LEARNERS * 0.37

    async with dying_worker(installation.settings, "no step at all") as victim:
        await make_current(installation.temporal, installation.settings.worker_build_id)
        handle = await installation.temporal.start_workflow(
            CertificateBatchWorkflow.run,
            request,
            id=certificate_batch_workflow_id(request.batch_id),
            task_queue=REGISTRAR_QUEUE,
            search_attributes=batch_attributes(COURSE),
        )
        await eventually(is_far_enough, within=90)
        victim.kill()
        await victim.wait()
    assert await count(certified) < LEARNERS
    assert await count(had_their_turn) < LEARNERS

    async def are_all_over() -> bool:
        running = 'WorkflowType="CertificateWorkflow" AND ExecutionStatus="Running"'
        return (await installation.temporal.count_workflows(running)).count == 0

    async with running_workers(installation.temporal, installation.settings):
        progress = await handle.result()
        assert progress == BatchProgress(status=BatchStatus.DONE, total=LEARNERS, done=LEARNERS)
        await eventually(are_all_over, within=120)
    async with installation.sessions() as session:
        outcomes = Counter(
            await session.scalars(
                select(col(CertificateBatchLine.outcome)).where(col(CertificateBatchLine.batch_id) == request.batch_id)
            )
        )
    assert outcomes == {"issued": LEARNERS}
    await check(installation, places)
