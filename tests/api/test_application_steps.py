"""The steps of tutors' applications over HTTP: what the workflow is told, and what stays in the record."""

from uuid import uuid4

import httpx
import pytest

from activities.database import Sessions
from models.errors import Reason, refusal
from models.identifiers import tutor_application_workflow_id
from models.messages.applications import AssignReview, ByApplicant, JudgeDocument
from models.messages.tasks import DecideTask
from models.tables import TutorApplication
from models.vocabulary import ApplicationStatus, DocumentVerdict, ReviewReason, Role, TaskAction, TaskKind
from settings import Settings
from tests.api.application_calls import as_staff_person, notes, post
from tests.api.applications_on_record import (
    Staffroom,
    write_application,
    write_document,
    write_staffroom,
    write_task,
)
from tests.api.callers import as_, as_student
from tests.api.recording_temporal import RecordingTemporal, not_found, unreachable


@pytest.fixture
async def room(sessions: Sessions) -> Staffroom:
    return await write_staffroom(sessions)


async def test_the_applicants_steps_are_told_and_their_refusals_say_what_is_missing(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    anna, application_id = as_student(settings, room.anna), await write_application(sessions, room.anna)
    workflow_id = tutor_application_workflow_id(application_id)
    for step in ("submit", "answer", "withdraw"):
        assert (await post(client, f"{application_id}/{step}", anna))[0] == 200
        assert recorder.updates[-1] == (workflow_id, step, ByApplicant(actor=f"student:{room.anna}"))
        for stranger in (as_student(settings, room.boris), as_staff_person(settings, room.rosa)):
            assert (await post(client, f"{application_id}/{step}", stranger))[0] == 404
    assert len(recorder.updates) == 3

    recorder.refused = refusal(
        Reason.APPLICATION_INCOMPLETE, "Something is missing.", "bio", "identity", "certification:spanish",
        "subject_closed:latin",
    )  # fmt: skip
    status, problem = await post(client, f"{application_id}/submit", anna)
    assert (status, problem["reason"]) == (422, "application_incomplete")
    assert [part["pointer"] for part in problem["errors"]] == [
        "#/bio",
        "#/documents/identity",
        "#/documents/certification:spanish",
        "#/subjects",
    ]
    assert all(part["detail"] for part in problem["errors"])

    recorder.refused, recorder.failure = None, not_found()
    assert (await post(client, f"{application_id}/withdraw", anna))[1]["reason"] == "application_over"
    recorder.failure = unreachable()
    assert (await post(client, f"{application_id}/withdraw", anna))[1]["reason"] == "unavailable"


async def test_the_words_of_an_answer_stay_unless_it_is_refused(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    anna = as_student(settings, room.anna)
    application_id = await write_application(sessions, room.anna, ApplicationStatus.INFO_REQUESTED)
    body = {"message": "The second page is readable now."}
    recorder.refused = refusal(Reason.APPLICATION_INCOMPLETE, "Something is missing.", "identity")
    assert (await post(client, f"{application_id}/answer", anna, body))[0] == 422
    assert await notes(sessions) == []
    recorder.refused, recorder.failure = None, unreachable()
    assert [(await post(client, f"{application_id}/answer", anna, body))[0] for _ in range(2)] == [503, 503]
    recorder.failure = None
    assert (await post(client, f"{application_id}/answer", anna, body))[0] == 200
    assert await notes(sessions) == [("applicant_message", body["message"])]
    assert body["message"] not in str(recorder.updates)
    async with sessions.begin() as session:
        application = await session.get_one(TutorApplication, application_id)
        application.status, application.info_due_at = ApplicationStatus.SUBMITTED, None
    assert (await post(client, f"{application_id}/answer", anna, {"message": "And more."}))[0] == 200
    assert len(await notes(sessions)) == 1


async def test_a_verdict_is_told_of_current_documents_by_reviewers(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    rosa = as_staff_person(settings, room.rosa)
    application_id = await write_application(sessions, room.anna, ApplicationStatus.IN_REVIEW)
    other = await write_document(sessions, await write_application(sessions, room.boris, ApplicationStatus.IN_REVIEW))
    document_id = await write_document(sessions, application_id)
    path = f"{application_id}/documents/{document_id}/verdict"
    rejected = {"verdict": "rejected", "reason": "document_expired"}
    assert (await post(client, path, rosa, rejected))[0] == 200
    judged = JudgeDocument(
        document_id=document_id,
        verdict=DocumentVerdict.REJECTED,
        reason=ReviewReason.DOCUMENT_EXPIRED,
        actor=f"staff:{room.rosa}",
    )
    assert recorder.updates == [(tutor_application_workflow_id(application_id), "judge_document", judged)]
    for body in ({"verdict": "rejected"}, {"verdict": "accepted", "reason": "conduct"}, {"verdict": "maybe"}):
        assert (await post(client, path, rosa, body))[1]["reason"] == "invalid_request"
    assert (await post(client, f"{application_id}/documents/{other}/verdict", rosa, rejected))[0] == 404
    for caller, reason in (
        (as_staff_person(settings, room.otto), "not_a_reviewer"),
        (as_(settings, "platform", Role.SERVICE), "role_not_allowed"),
        (as_student(settings, room.anna), "role_not_allowed"),
    ):
        status, problem = await post(client, path, caller, rejected)
        assert (status, problem["reason"]) == (403, reason)
    assert len(recorder.updates) == 1


async def test_a_decision_goes_to_the_open_task_with_words_that_stay_in_the_record(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    rosa = as_staff_person(settings, room.rosa)
    application_id = await write_application(sessions, room.anna, ApplicationStatus.IN_REVIEW)
    path = f"{application_id}/decision"
    assert (await post(client, path, rosa, {"action": "approve"}))[1]["reason"] == "task_not_open"
    task_id = await write_task(sessions, application_id)
    body = {
        "action": "request_info",
        "reasons": ["document_unreadable", "document_unreadable"],
        "note": "Anna again.",
        "message": "Anna again.",
    }
    recorder.refused = refusal(Reason.TOO_MANY_INFO_ROUNDS, "Information was asked for 3 times.")
    assert (await post(client, path, rosa, body))[1]["reason"] == "too_many_info_rounds"
    assert await notes(sessions) == []
    recorder.refused = None
    assert (await post(client, path, rosa, body))[0] == 200
    decision = DecideTask(
        task_id=task_id,
        action=TaskAction.REQUEST_INFO,
        actor=f"staff:{room.rosa}",
        reasons=(ReviewReason.DOCUMENT_UNREADABLE,),
    )
    assert recorder.updates[-1] == (tutor_application_workflow_id(application_id), "decide", decision)
    assert sorted(await notes(sessions)) == [("applicant_message", "Anna again."), ("task", "Anna again.")]
    assert (await post(client, path, as_staff_person(settings, room.otto), body))[1]["reason"] == "not_a_reviewer"

    draft = await write_application(sessions, room.boris)
    assert (await post(client, f"{draft}/decision", rosa, {"action": "approve"}))[0] == 404
    asked = await write_application(sessions, room.rita, ApplicationStatus.INFO_REQUESTED)
    status, problem = await post(client, f"{asked}/decision", rosa, {"action": "approve"})
    assert (status, problem["reason"]) == (409, "application_not_in_review")


async def test_nobody_gives_a_second_opinion_by_mistake(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    rita = as_staff_person(settings, room.rita)
    application_id = await write_application(sessions, room.anna, ApplicationStatus.IN_REVIEW)
    task_id = await write_task(sessions, application_id, TaskKind.TUTOR_SECOND_OPINION)
    path = f"{application_id}/decision"
    status, problem = await post(client, path, rita, {"action": "approve"})
    assert (status, problem["reason"]) == (409, "task_not_open")
    assert "second opinion" in problem["detail"]
    named = {"action": "approve", "task_id": str(task_id)}
    assert (await post(client, path, rita, {**named, "message": "Sorry."}))[1]["errors"][0]["pointer"] == "#/message"
    assert (await post(client, path, rita, {**named, "task_id": str(uuid4())}))[1]["reason"] == "task_not_open"
    assert recorder.updates == []
    recorder.refused = refusal(Reason.FOUR_EYES_REQUIRED, "Somebody else has to agree.")
    assert (await post(client, path, rita, named))[1]["reason"] == "four_eyes_required"
    recorder.refused = None
    assert (await post(client, path, rita, named))[0] == 200


async def test_an_application_is_given_to_a_reviewer_by_its_workflow_also_from_the_tasks(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    rosa, actor = as_staff_person(settings, room.rosa), f"staff:{room.rosa}"
    application_id = await write_application(sessions, room.anna, ApplicationStatus.IN_REVIEW)
    task_id = await write_task(sessions, application_id)
    for path, field in ((f"{application_id}/assign", "reviewer"), (f"/v1/tasks/{task_id}/assign", "assignee")):
        for whom, expected in (("me", room.rosa), (str(room.rita), room.rita), (None, None)):
            assert (await post(client, path, rosa, {field: whom}))[0] == 200
            told = AssignReview(reviewer_id=expected, actor=actor)
            assert recorder.updates[-1] == (tutor_application_workflow_id(application_id), "assign", told)
        recorder.refused = refusal(Reason.NOT_A_REVIEWER, "This person does not review applications.")
        assert (await post(client, path, rosa, {field: str(room.otto)}))[1]["reason"] == "not_a_reviewer"
        recorder.refused = None
        told_before = len(recorder.updates)
        for caller in (as_staff_person(settings, room.otto), as_(settings, "platform", Role.SERVICE)):
            assert (await post(client, path, caller, {field: "me"}))[0] == 403
        boss = as_(settings, "boss", Role.ADMIN)
        assert (await post(client, path, boss, {field: "me"}))[1]["reason"] == "not_a_reviewer"
        assert len(recorder.updates) == told_before


async def test_what_reviewers_say_of_an_applicant_is_theirs_alone_among_the_tasks(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    application_id = await write_application(sessions, room.anna, ApplicationStatus.IN_REVIEW)
    task_id, path = await write_task(sessions, application_id), "/v1/tasks"
    body = {"action": "request_info", "reasons": ["name_differs"], "note": "Who is Anna K.?"}
    assert (await post(client, f"{path}/{task_id}/decision", as_staff_person(settings, room.rosa), body))[0] == 200
    assert recorder.updates[-1][2] == DecideTask(
        task_id=task_id,
        action=TaskAction.REQUEST_INFO,
        actor=f"staff:{room.rosa}",
        reasons=(ReviewReason.NAME_DIFFERS,),
    )
    for caller, shown in ((room.rita, ["Who is Anna K.?"]), (room.otto, [])):
        task = (await client.get(f"{path}/{task_id}", headers=as_staff_person(settings, caller))).json()
        assert [note["text"] for note in task["notes"]] == shown
    for caller in (as_staff_person(settings, room.otto), as_(settings, "platform", Role.SERVICE)):
        status, problem = await post(client, f"{path}/{task_id}/decision", caller, body)
        assert (status, problem["reason"]) == (403, "not_a_reviewer")
    assert len(recorder.updates) == 1
