"""Applications of tutors, from a draft to each of their ends."""

from http import HTTPStatus

from pydantic import SecretStr

from models.vocabulary import Role
from tests.api.uploads import PNG
from tests.applying import (
    RITA,
    ROSA,
    begun,
    call,
    decide,
    handed_in,
    judge,
    look_for_tutors,
    show_identity,
    until_asked,
    until_status,
)
from tests.integration.learning_platform import SECRET, listening
from tests.ordering import until_mailed
from tests.paths.scene import Scene, path, path_that_brings_workers


@path
async def application_drafted(scene: Scene) -> None:
    await look_for_tutors(scene.installation)
    await scene.keep("application_drafted", f"tutor-application-{await begun(scene.installation, 'haruka')}")


@path
async def application_withdrawn(scene: Scene) -> None:
    installation = scene.installation
    await look_for_tutors(installation)
    application_id, document = await handed_in(installation)
    job = f"tutor-application-{application_id}"
    await until_asked(installation, application_id)
    await judge(installation, application_id, document, {"verdict": "rejected", "reason": "document_expired"})
    await decide(installation, application_id, ROSA, action="request_info", reasons=["document_expired"])
    await until_mailed(installation, "application_info_requested")
    await scene.keep("application_asked", job)
    again = await call(installation, "POST", f"/{application_id}/answer", "lukasz", body={})
    assert again.json()["reason"] == "application_incomplete"
    await call(installation, "POST", f"/{application_id}/withdraw", "lukasz")
    await until_mailed(installation, "application_closed")
    await scene.keep("application_withdrawn", job)


@path
async def application_answered(scene: Scene) -> None:
    installation = scene.installation
    await look_for_tutors(installation)
    application_id, document = await handed_in(installation)
    await until_asked(installation, application_id)
    await judge(installation, application_id, document, {"verdict": "rejected", "reason": "document_unreadable"})
    await decide(installation, application_id, ROSA, action="request_info", reasons=["document_unreadable"])
    await until_status(installation, application_id, "info_requested")
    await show_identity(installation, application_id, "lukasz", PNG, replaces=document["id"])
    answered = await call(installation, "POST", f"/{application_id}/answer", "lukasz", body={})
    answered.raise_for_status()
    await until_asked(installation, application_id)
    await scene.keep("application_answered", f"tutor-application-{application_id}")


@path_that_brings_workers
async def application_refused_by_the_platform(scene: Scene) -> None:
    """What was done is taken back, and done again once a person has talked to the platform."""
    installation = scene.installation
    await look_for_tutors(installation)
    async with listening() as platform:
        platform.status = HTTPStatus.UNPROCESSABLE_ENTITY
        async with scene.at_work(provisioning_url=platform.url, provisioning_secret=SecretStr(SECRET)):
            application_id, document = await handed_in(installation, "aoife")
            await until_asked(installation, application_id)
            await judge(installation, application_id, document, {"verdict": "accepted"})
            await decide(installation, application_id, ROSA, action="approve")
            [task] = await installation.tasks(application_id)
            platform.status = HTTPStatus.NO_CONTENT
            await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "retry"})
            await scene.keep_ended("application_refused_by_the_platform", f"tutor-application-{application_id}")


@path
async def application_approved(scene: Scene) -> None:
    installation = scene.installation
    await look_for_tutors(installation)
    application_id, document = await handed_in(installation, "aoife")
    await until_asked(installation, application_id)
    await judge(installation, application_id, document, {"verdict": "rejected", "reason": "name_differs"})
    await decide(installation, application_id, ROSA, action="approve")
    task_id = await until_asked(installation, application_id, "tutor_second_opinion")
    await decide(installation, application_id, RITA, action="approve", task_id=task_id)
    await scene.keep_ended("application_approved", f"tutor-application-{application_id}")


@path
async def application_rejected(scene: Scene) -> None:
    installation = scene.installation
    await look_for_tutors(installation)
    application_id, _ = await handed_in(installation, "grace")
    await until_asked(installation, application_id)
    await call(installation, "POST", f"/{application_id}/assign", RITA, Role.STAFF, {"reviewer": "me"})
    await decide(installation, application_id, RITA, action="reject_hard", reasons=["conduct"])
    task_id = await until_asked(installation, application_id, "tutor_second_opinion")
    await decide(installation, application_id, ROSA, action="approve", task_id=task_id)
    await until_status(installation, application_id, "rejected_hard")
    await until_mailed(installation, "application_rejected")
    await scene.keep("application_rejected", f"tutor-application-{application_id}")
    await scene.keep_run_of("reassign-reviews")
