"""Kill the worker within the approval of a tutor: one profile, one role, one welcome, whatever dies when."""

from collections import Counter

from sqlalchemy import select
from sqlmodel import col

from models.tables import ApplicationDecision, Mail, RoleGrant, TutorProfile
from tests.applying import ROSA, decide, handed_in, judge, look_for_tutors, read, until_asked
from tests.chaos.deaths import through_every_death
from tests.eventually import eventually
from tests.installation import Installation
from worker import running_workers
from workflows.deployment import make_current

STEPS = ("upsert_profile", "grant_role", "complete_approval")
APPLICANTS = ("lukasz", "layla", "aoife")


async def test_an_approval_lives_through_the_death_of_its_worker(idle_installation: Installation) -> None:
    installation, applications = idle_installation, list[str]()
    await look_for_tutors(installation)
    async with running_workers(installation.temporal, installation.settings):
        await make_current(installation.temporal, installation.settings.worker_build_id)
        for applicant in APPLICANTS:
            application_id, document = await handed_in(installation, applicant)
            await until_asked(installation, application_id)
            await judge(installation, application_id, document, {"verdict": "accepted"})
            applications.append(application_id)

    async def approve(number: int) -> None:
        application_id = applications[number]

        async def is_taken() -> bool:
            await decide(installation, application_id, ROSA, action="approve")
            return bool((await read(installation, application_id))["decisions"])

        await eventually(is_taken, within=60)
        await installation.temporal.get_workflow_handle(f"tutor-application-{application_id}").result()

    await through_every_death(installation, STEPS, approve)
    for application_id in applications:
        assert (await read(installation, application_id))["status"] == "approved"
    async with installation.sessions() as session:
        profiles = Counter((await session.execute(select(col(TutorProfile.status)))).scalars())
        assert profiles == {"approved": len(APPLICANTS)}
        grants = Counter((await session.execute(select(col(RoleGrant.role), col(RoleGrant.revoked_at)))).all())
        assert grants == {("tutor", None): len(APPLICANTS)}
        decisions = Counter((await session.execute(select(col(ApplicationDecision.action)))).scalars())
        assert decisions == {"approve": len(APPLICANTS)}
        welcomes = select(col(Mail.recipient_id)).where(col(Mail.template) == "application_approved")
        assert len((await session.execute(welcomes)).all()) == len(APPLICANTS)
