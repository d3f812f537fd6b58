"""A course that is completed while its certificate's run is open about something else: it is issued all the same."""

import random
from uuid import UUID

import pytest
from temporalio import workflow

from models.messages.certificates import CertificateStart
from models.vocabulary import CertificateOrigin
from tests.thoroughness import parts
from tests.workflows.certificate_world import ENROLLMENT, ID, ISSUED, STAFF, CertificateWorld, Certifying
from tests.workflows.simulation import Mishaps, Simulation
from workflows.certificate import CertificateWorkflow
from workflows.certificate_start import start_certificate


@workflow.defn
class Completing:
    """A job that completes a course."""

    @workflow.run
    async def run(self, enrollment_id: UUID) -> None:
        await start_certificate(enrollment_id)


@pytest.mark.parametrize("part", parts(1, 2))
@pytest.mark.parametrize("asked", [None, CertificateOrigin.COMPLETION, CertificateOrigin.EXCEPTION])
def test_a_completion_is_never_lost_whatever_the_run_is_about(asked: CertificateOrigin | None, part: int) -> None:
    """A run looks after nothing, has just refused to issue, or waits for a name: and ends, or goes on, meanwhile."""
    for number in range(part * 40, part * 40 + 40):
        chance = random.Random(number)  # noqa: S311 - the same race every time
        world = CertificateWorld(is_completed=False, is_name_confirmed=chance.random() < 0.5)
        mishaps = Mishaps(worker_away=0.1 * (number % 2))
        certificates = Certifying(world, Simulation(world.steps, chance, mishaps, workflows=[CertificateWorkflow]))
        first = certificates.start(origin=None)
        if asked is not None:
            first.send(
                CertificateWorkflow.issue,
                CertificateStart(enrollment_id=ENROLLMENT, origin=asked, actor=STAFF),
                with_start=True,
            )
        certificates.wait(seconds=chance.uniform(0, 20))
        world.is_completed = True
        parent = certificates.simulation.start(Completing.run, ENROLLMENT, "completing")
        certificates.wait(days=1)
        assert parent.ended is not None, number
        world.is_name_confirmed = True
        if certificates.simulation.is_running(ID):
            certificates.run.signal(CertificateWorkflow.facts_changed)
        certificates.wait(days=1)
        certificates.outcome()
        assert world.statuses() == [ISSUED], number
