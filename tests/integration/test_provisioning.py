"""The learning platform is told of an enrollment in a way it can trust, and told again until it says yes."""

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy import update
from sqlmodel import col
from standardwebhooks import Webhook
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from activities.provisioning import LearningPlatform, ProvisioningActivities
from models.messages.provisioning import ProvisionEnrollment
from models.tables import Enrollment
from sandbox.ports import listen_on
from sandbox.sample_academy import sample_id
from tests.fresh_record import load_academy
from tests.integration.completed_orders import complete_order
from tests.integration.learning_platform import SECRET, Platform, listening


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with listening() as built:
        yield built


async def one_enrollment(sessions: Sessions) -> ProvisionEnrollment:
    await load_academy(sessions)
    order_id, completed = await complete_order(sessions, courses=[("spanish-a1", "lukasz")])
    return ProvisionEnrollment(enrollment_id=completed.enrollment_ids[0], workflow_id=f"order-{order_id}")


async def test_the_platform_gets_a_signed_message_and_its_yes_is_written_down(
    sessions: Sessions, platform: Platform
) -> None:
    step = await one_enrollment(sessions)
    steps = ProvisioningActivities(sessions, LearningPlatform(platform.url, SECRET))
    done = await steps.provision_enrollment(step)
    [(headers, body)] = platform.came
    told = Webhook(SECRET).verify(body, headers)
    assert told["type"] == "enrollment.activated"
    assert told["data"]["student_id"] == str(sample_id("person", "lukasz"))
    assert told["data"]["course_id"] == str(sample_id("course", "spanish-a1"))
    assert headers["webhook-id"] == str(step.enrollment_id)
    async with sessions() as session:
        assert (await session.get_one(Enrollment, step.enrollment_id)).provisioned_at == done.provisioned_at


async def test_no_personal_data_is_sent(sessions: Sessions, platform: Platform) -> None:
    step = await one_enrollment(sessions)
    await ProvisioningActivities(sessions, LearningPlatform(platform.url, SECRET)).provision_enrollment(step)
    assert set(json.loads(platform.came[0][1])["data"]) == {
        "enrollment_id", "course_id", "student_id", "order_id", "access_ends_at", "is_test",
    }  # fmt: skip


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500, 503])
async def test_every_other_answer_is_tried_again(sessions: Sessions, platform: Platform, status: int) -> None:
    step = await one_enrollment(sessions)
    steps = ProvisioningActivities(sessions, LearningPlatform(platform.url, SECRET))
    platform.status = status
    with pytest.raises(ApplicationError) as failed:
        await steps.provision_enrollment(step)
    assert (failed.value.type, failed.value.non_retryable) == (f"platform_{status}", False)
    platform.status = 200
    assert (await steps.provision_enrollment(step)).provisioned_at is not None
    assert len({headers["webhook-id"] for headers, _ in platform.came}) == 1


async def test_a_platform_that_is_not_there_is_tried_again(sessions: Sessions) -> None:
    step = await one_enrollment(sessions)
    listener = listen_on()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    listener.close()
    with pytest.raises(ApplicationError) as failed:
        await ProvisioningActivities(sessions, LearningPlatform(address, SECRET)).provision_enrollment(step)
    assert failed.value.type == "platform_unreachable"


async def test_a_place_that_has_ended_is_not_opened(sessions: Sessions, platform: Platform) -> None:
    step = await one_enrollment(sessions)
    async with sessions.begin() as session:
        await session.execute(
            update(Enrollment).where(col(Enrollment.id) == step.enrollment_id).values(status="canceled")
        )
    steps = ProvisioningActivities(sessions, LearningPlatform(platform.url, SECRET))
    assert (await steps.provision_enrollment(step)).provisioned_at is None
    unknown = step.model_copy(update={"enrollment_id": uuid4()})
    assert (await steps.provision_enrollment(unknown)).provisioned_at is None
    assert platform.came == []


def test_the_secret_never_shows() -> None:
    shown = repr(LearningPlatform("http://platform.test", SECRET))
    assert "platform.test" in shown
    assert SECRET not in shown
