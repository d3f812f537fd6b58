"""Applications of tutors, from a draft to each of their ends."""

from models.vocabulary import Role
from tests.applying import RITA, ROSA, begun, call, decide, handed_in, judge, look_for_tutors, until_asked, until_status
from tests.ordering import until_mailed
from tests.paths.scene import Scene, path


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
