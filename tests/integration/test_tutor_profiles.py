"""The approval of a tutor, step by step against a real platform, and each step taken back without harm to others."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlmodel import col
from standardwebhooks import Webhook
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from activities.provisioning import LearningPlatform
from activities.tutor_profiles import TutorProfileActivities
from models.identifiers import tutor_profile_id_for
from models.tables import AuditEntry, RoleGrant, TutorProfile
from models.vocabulary import ApplicationStatus, Role, TaskAction, TutorProfileStatus
from sandbox.ports import listen_on
from tests.integration.learning_platform import SECRET, Platform, listening
from tests.integration.test_applications import words_left
from tests.integration.tutor_applications import BIO, CERTIFICATIONS, NAME, QUALIFICATIONS, SPANISH, World

S = ApplicationStatus


@pytest.fixture
async def world(sessions: Sessions, tmp_path: Path) -> World:
    built = await World.build(sessions, tmp_path)
    await built.reviewer()
    return built


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with listening() as built:
        yield built


@pytest.fixture
def tutors(world: World, platform: Platform) -> TutorProfileActivities:
    return TutorProfileActivities(world.sessions, LearningPlatform(platform.url, SECRET))


async def profile_of(world: World, person_id: UUID) -> TutorProfile | None:
    query = select(TutorProfile).where(col(TutorProfile.person_id) == person_id)
    async with world.sessions() as session:
        return (await session.execute(query)).scalar_one_or_none()


async def grants_of(world: World, person_id: UUID) -> list[RoleGrant]:
    query = select(RoleGrant).where(col(RoleGrant.person_id) == person_id).order_by(col(RoleGrant.created_at))
    async with world.sessions() as session:
        return list((await session.execute(query)).scalars())


async def reasons_of(world: World, kind: str) -> list[tuple[str | None, str]]:
    query = select(AuditEntry).where(col(AuditEntry.subject_kind) == kind).order_by(col(AuditEntry.id))
    async with world.sessions() as session:
        return [(each.from_state, each.to_state) for each in (await session.execute(query)).scalars()]


def told(platform: Platform) -> list[tuple[str, str]]:
    """The kind and the id of each message."""
    return [(json.loads(body)["type"], headers["webhook-id"]) for headers, body in platform.came]


# ---- forwards ----


async def test_an_approval_makes_a_tutor_exactly_once(
    world: World, tutors: TutorProfileActivities, platform: Platform
) -> None:
    application_id = await world.in_review()
    applicant = (await world.row(application_id)).applicant_id
    step = world.step(application_id, "staff:1")
    for _ in range(2):
        await tutors.upsert_profile(step)
        pending = await profile_of(world, applicant)
        assert pending is not None
        assert pending.status == TutorProfileStatus.PENDING
    for _ in range(2):
        await tutors.grant_role(step)
    for _ in range(2):
        await tutors.tell_platform(step)
    answers = [await tutors.complete_approval(step) for _ in range(2)]
    assert answers[0] == answers[1]
    assert (answers[0].status, answers[0].erase_at) == (S.APPROVED, None)
    profile = await profile_of(world, applicant)
    assert profile is not None
    # TutorHub R103.
    assert (profile.id, profile.status) == (tutor_profile_id_for(applicant), "approved")
    assert profile.display_name == f"{NAME} Kowalska"
    assert profile.bio == f"I am {BIO}."
    assert profile.subjects == [SPANISH]
    assert profile.experience == f"University of {QUALIFICATIONS}."
    assert profile.certifications == f"DELE of {CERTIFICATIONS}."
    [grant] = await grants_of(world, applicant)
    assert (grant.role, grant.granted_by, grant.revoked_at) == ("tutor", "staff:1", None)
    row = await world.row(application_id)
    assert row.decided_at is not None
    assert (row.status, row.clock_started_at, row.erase_at) == ("approved", None, None)
    assert len(platform.came) == 2
    assert len(set(told(platform))) == 1
    assert await reasons_of(world, "tutor_profile") == [(None, "pending"), ("pending", "approved")]
    assert await reasons_of(world, "role_grant") == [(None, "granted")]
    assert (await world.audited(application_id))[-1] == ("in_review", "approved", "approval")


async def test_the_platform_is_told_ids_in_a_signed_message(
    world: World, tutors: TutorProfileActivities, platform: Platform
) -> None:
    application_id = await world.in_review()
    applicant = (await world.row(application_id)).applicant_id
    await tutors.grant_role(world.step(application_id))
    await tutors.tell_platform(world.step(application_id))
    [(headers, body)] = platform.came
    said = Webhook(SECRET).verify(body, headers)
    assert said["type"] == "tutor.approved"
    assert said["data"] == {
        "person_id": str(applicant),
        "application_id": str(application_id),
        "profile_id": str(tutor_profile_id_for(applicant)),
        "role": "tutor",
        "subjects": [SPANISH],
    }
    assert NAME not in body.decode()


@pytest.mark.parametrize("status", [302, 408, 409, 425, 429, 500, 503])
async def test_not_now_is_tried_again(
    world: World, tutors: TutorProfileActivities, platform: Platform, status: int
) -> None:
    step = world.step(await world.in_review())
    await tutors.grant_role(step)
    platform.status = status
    with pytest.raises(ApplicationError) as failed:
        await tutors.tell_platform(step)
    assert (failed.value.type, failed.value.non_retryable) == (f"platform_{status}", False)
    platform.status = 200
    await tutors.tell_platform(step)
    assert len(set(told(platform))) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 410, 422])
async def test_a_no_is_final(world: World, tutors: TutorProfileActivities, platform: Platform, status: int) -> None:
    step = world.step(await world.in_review())
    await tutors.grant_role(step)
    platform.status = status
    with pytest.raises(ApplicationError) as failed:
        await tutors.tell_platform(step)
    assert (failed.value.type, failed.value.non_retryable) == ("platform_refused", True)


async def test_a_platform_that_is_not_there_is_tried_again(world: World) -> None:
    step = world.step(await world.in_review())
    listener = listen_on()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    listener.close()
    tutors = TutorProfileActivities(world.sessions, LearningPlatform(address, SECRET))
    await tutors.grant_role(step)
    for attempt in (tutors.tell_platform, tutors.revoke_role):
        with pytest.raises(ApplicationError) as failed:
            await attempt(step)
        assert (failed.value.type, failed.value.non_retryable) == ("platform_unreachable", False)
    [grant] = await grants_of(world, (await world.row(step.application_id)).applicant_id)
    assert grant.revoked_at is not None


async def test_without_a_platform_nobody_is_told(world: World) -> None:
    step = world.step(await world.in_review())
    tutors = TutorProfileActivities(world.sessions, None)
    await tutors.grant_role(step)
    await tutors.tell_platform(step)
    await tutors.revoke_role(step)
    [grant] = await grants_of(world, (await world.row(step.application_id)).applicant_id)
    assert grant.revoked_at is not None


async def test_an_application_nobody_had_taken_up_passes_through_the_review(
    world: World, tutors: TutorProfileActivities
) -> None:
    resting = await world.in_review()
    await world.end(resting, S.INACTIVE)
    assert (await tutors.complete_approval(world.step(resting))).status is S.APPROVED
    given_back = await world.in_review()
    await world.assign(given_back, None)
    assert (await tutors.complete_approval(world.step(given_back))).status is S.APPROVED
    assert [entry[:2] for entry in await world.audited(given_back)][-2:] == [
        ("submitted", "in_review"),
        ("in_review", "approved"),
    ]


async def test_what_has_ended_is_not_approved(world: World, tutors: TutorProfileActivities) -> None:
    application_id = await world.in_review()
    await tutors.upsert_profile(world.step(application_id))
    await world.end(application_id, S.WITHDRAWN)
    answer = await tutors.complete_approval(world.step(application_id))
    assert (answer.status, answer.erase_at) == (S.WITHDRAWN, (await world.row(application_id)).erase_at)
    profile = await profile_of(world, (await world.row(application_id)).applicant_id)
    assert profile is not None
    assert profile.status == TutorProfileStatus.PENDING


async def test_twenty_at_once_make_one_tutor(world: World, tutors: TutorProfileActivities) -> None:
    application_id = await world.in_review()
    step = world.step(application_id)
    await asyncio.gather(*(take(step) for take in (tutors.upsert_profile, tutors.grant_role) for _ in range(10)))
    answers = await asyncio.gather(*(tutors.complete_approval(step) for _ in range(10)))
    assert {answer.status for answer in answers} == {S.APPROVED}
    assert await reasons_of(world, "role_grant") == [(None, "granted")]
    assert await reasons_of(world, "tutor_profile") == [(None, "pending"), ("pending", "approved")]


# ---- backwards ----


async def test_everything_is_taken_back_and_can_be_made_again(
    world: World, tutors: TutorProfileActivities, platform: Platform
) -> None:
    application_id = await world.in_review()
    applicant = (await world.row(application_id)).applicant_id
    step = world.step(application_id)
    for _ in range(2):
        await tutors.upsert_profile(step)
        await tutors.grant_role(step)
        await tutors.tell_platform(step)
        for _ in range(2):
            await tutors.revoke_role(step)
        for _ in range(2):
            await tutors.withdraw_profile(step)
        # A step that comes late, out of turn, tells nobody of a tutor who is none.
        await tutors.tell_platform(step)
    profile = await profile_of(world, applicant)
    assert profile is not None
    assert profile.status == TutorProfileStatus.WITHDRAWN
    grants = await grants_of(world, applicant)
    assert [grant.revoked_at is not None for grant in grants] == [True, True]
    kinds = [kind for kind, _ in told(platform)]
    assert kinds == ["tutor.approved", "tutor.withdrawn", "tutor.withdrawn"] * 2
    # To be approved again, after it was taken back, is news: each fact has an id of its own.
    assert len(set(told(platform))) == 4
    assert await reasons_of(world, "tutor_profile") == [
        (None, "pending"),
        ("pending", "withdrawn"),
        ("withdrawn", "pending"),
        ("pending", "withdrawn"),
    ]


async def test_what_is_complete_is_not_taken_back(
    world: World, tutors: TutorProfileActivities, platform: Platform
) -> None:
    application_id = await world.in_review()
    applicant = (await world.row(application_id)).applicant_id
    step = world.step(application_id)
    for take in (tutors.upsert_profile, tutors.grant_role, tutors.complete_approval):
        await take(step)
    await tutors.revoke_role(step)
    await tutors.withdraw_profile(step)
    profile = await profile_of(world, applicant)
    assert profile is not None
    assert profile.status == TutorProfileStatus.APPROVED
    assert [grant.revoked_at for grant in await grants_of(world, applicant)] == [None]
    assert platform.came == []


async def test_what_an_earlier_application_made_stays_as_it_is(
    world: World, tutors: TutorProfileActivities, platform: Platform
) -> None:
    """A tutor by an earlier application, whose next one is approved and comes to nothing."""
    application_id = await world.in_review()
    applicant = (await world.row(application_id)).applicant_id
    earlier = await world.in_review()
    async with world.sessions.begin() as session:
        session.add(
            TutorProfile(
                person_id=applicant, application_id=earlier, status=TutorProfileStatus.APPROVED,
                display_name="As it was", bio="As it was", subjects=[], experience="As it was",
                certifications="As it was",
            )
        )  # fmt: skip
        session.add(RoleGrant(person_id=applicant, role=Role.TUTOR, granted_by="staff:2", application_id=earlier))
    before = (await profile_of(world, applicant), await grants_of(world, applicant))
    step = world.step(application_id)
    for take in (
        tutors.upsert_profile,
        tutors.grant_role,
        tutors.tell_platform,
        tutors.revoke_role,
        tutors.withdraw_profile,
    ):
        await take(step)
    assert (await profile_of(world, applicant), await grants_of(world, applicant)) == before
    assert [kind for kind, _ in told(platform)] == ["tutor.approved"]
    # Once it is complete, it shows what the later one says.
    await tutors.complete_approval(step)
    profile = await profile_of(world, applicant)
    assert profile is not None
    assert (profile.application_id, profile.bio, profile.status) == (application_id, f"I am {BIO}.", "approved")
    assert await grants_of(world, applicant) == before[1]


async def test_a_profile_that_was_taken_back_is_made_anew_by_the_next_application(
    world: World, tutors: TutorProfileActivities
) -> None:
    first = await world.in_review()
    applicant = (await world.row(first)).applicant_id
    await tutors.upsert_profile(world.step(first))
    await tutors.withdraw_profile(world.step(first))
    await world.reviews.record_decision(world.decision(first, TaskAction.REJECT_SOFT, S.REJECTED_SOFT))
    second = await world.in_review(applicant)
    await tutors.upsert_profile(world.step(second))
    # The first one has nothing to take back any more.
    await tutors.withdraw_profile(world.step(first))
    await world.erase(first)
    profile = await profile_of(world, applicant)
    assert profile is not None
    assert (profile.application_id, profile.status, profile.bio) == (second, "pending", f"I am {BIO}.")


@pytest.mark.parametrize("status", [404, 410])
async def test_a_platform_that_does_not_know_the_tutor_has_nothing_to_take_back(
    world: World, tutors: TutorProfileActivities, platform: Platform, status: int
) -> None:
    step = world.step(await world.in_review())
    await tutors.grant_role(step)
    platform.status = 503
    with pytest.raises(ApplicationError) as failed:
        await tutors.revoke_role(step)
    assert not failed.value.non_retryable
    platform.status = status
    await tutors.revoke_role(step)
    assert len(set(told(platform))) == 1


async def test_nothing_is_taken_back_that_was_never_made(
    world: World, tutors: TutorProfileActivities, platform: Platform
) -> None:
    step = world.step(await world.in_review())
    await tutors.revoke_role(step)
    await tutors.withdraw_profile(step)
    await tutors.tell_platform(step)
    assert platform.came == []
    assert await reasons_of(world, "tutor_profile") == []


async def test_erasing_leaves_no_word_in_a_profile_that_was_taken_back(
    world: World, tutors: TutorProfileActivities
) -> None:
    application_id = await world.in_review()
    step = world.step(application_id)
    await tutors.upsert_profile(step)
    await tutors.withdraw_profile(step)
    await world.end(application_id, S.WITHDRAWN)
    words = (NAME, BIO, QUALIFICATIONS, CERTIFICATIONS)
    assert "tutor_profiles" in await words_left(world, *words)
    await world.erase(application_id)
    assert await words_left(world, *words) == []
