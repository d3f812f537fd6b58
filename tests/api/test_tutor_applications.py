"""Tutors' applications over HTTP, on the record alone: who sees what, and what their workflow is told."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col

from activities.database import Sessions
from models.errors import Reason, refusal
from models.identifiers import tutor_application_id_for, tutor_application_workflow_id
from models.messages.applications import ApplicationRef, AssignReview, ByApplicant, JudgeDocument
from models.messages.tasks import DecideTask
from models.tables import Note, TutorApplication
from models.tables.columns import now
from models.vocabulary import ApplicationStatus, DocumentVerdict, ReviewReason, Role, TaskAction, TaskKind
from sandbox.sample_academy import sample_id
from settings import Settings
from tests.api.applications_on_record import (
    Staffroom,
    write_application,
    write_decision,
    write_document,
    write_staffroom,
    write_task,
)
from tests.api.callers import as_, as_student
from tests.api.recording_temporal import RecordingTemporal, not_found, unreachable
from tests.installation import Installation

PATH = "/v1/tutor-applications"


@pytest.fixture
async def room(sessions: Sessions) -> Staffroom:
    return await write_staffroom(sessions)


def as_staff_person(settings: Settings, person_id: UUID) -> dict[str, str]:
    return as_(settings, person_id, Role.STAFF)


async def get(client: httpx.AsyncClient, path: str, headers: dict[str, str], **asked: str) -> dict[str, Any]:
    answer = await client.get(f"{PATH}{path}", params=asked, headers=headers)
    body: dict[str, Any] = answer.raise_for_status().json()
    return body


async def post(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], body: object = None
) -> tuple[int, dict[str, Any]]:
    answer = await client.post(path if path.startswith("/v1") else f"{PATH}/{path}", headers=headers, json=body)
    return answer.status_code, answer.json()


async def notes(sessions: Sessions) -> list[tuple[str, str]]:
    async with sessions() as session:
        found = await session.execute(select(col(Note.subject_kind), col(Note.text)).order_by(col(Note.created_at)))
        return [(kind, text) for kind, text in found.all()]


# ---- beginning and writing ----


async def test_an_application_is_begun_by_its_applicant_once_for_a_key(
    client: httpx.AsyncClient,
    settings: Settings,
    sessions: Sessions,
    room: Staffroom,
    recorder: RecordingTemporal,
) -> None:
    anna = {**as_student(settings, room.anna), "Idempotency-Key": "k"}
    recorder.refused = refusal(Reason.APPLICATION_EXISTS, "Another application is under way; go on with that one.")
    earlier = uuid4()
    answer = await client.post(PATH, headers=anna, json={"copy_from": str(earlier)})
    assert (answer.status_code, answer.json()["reason"]) == (409, "application_exists")
    application_id = tutor_application_id_for(str(room.anna), "k")
    workflow_id = tutor_application_workflow_id(application_id)
    begun = ApplicationRef(
        application_id=application_id, applicant_id=room.anna, actor=f"student:{room.anna}", copy_from=earlier
    )
    assert recorder.started == [(workflow_id, begun)]
    assert recorder.updates == [(workflow_id, "begin", begun)]

    await write_application(sessions, room.anna, application_id=application_id)
    repeated = await client.post(PATH, headers=anna, json={})
    assert (repeated.status_code, repeated.headers["Location"]) == (201, f"{PATH}/{application_id}")
    assert len(recorder.started) == 1

    for caller in (as_(settings, "frida", Role.STAFF), as_(settings, room.anna, Role.SERVICE)):
        refused = await client.post(PATH, headers={**caller, "Idempotency-Key": "k"}, json={})
        assert refused.json()["reason"] in {"unknown_person", "role_not_allowed"}
    assert len(recorder.started) == 1


async def test_a_start_that_no_worker_answers_may_be_repeated(
    idle_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("routes.application_start._PATIENCE", timedelta(milliseconds=300))
    headers = {**idle_installation.caller(), "Idempotency-Key": uuid4().hex}
    for _ in range(2):
        answer = await idle_installation.http.post(PATH, headers=headers, json={})
        assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
    application_id = tutor_application_id_for(str(sample_id("person", "lukasz")), headers["Idempotency-Key"])
    handle = idle_installation.temporal.get_workflow_handle(tutor_application_workflow_id(application_id))
    run = await handle.describe()
    assert (run.workflow_type, await run.static_summary()) == ("TutorApplicationWorkflow", "Tutor application")
    await handle.terminate()


async def test_what_the_applicant_says_is_written_while_it_may_be(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    anna, application_id = as_student(settings, room.anna), await write_application(sessions, room.anna)
    path = f"{PATH}/{application_id}"
    said = {"bio": "  I teach.  ", "qualifications": None, "subjects": ["spanish", "latin"]}
    written = (await client.patch(path, json=said, headers=anna)).raise_for_status().json()
    assert (written["bio"], written["qualifications"], written["certifications"]) == ("I teach.", None, "DELE C2")
    assert [part["pointer"] for part in written["missing"]] == [
        "#/qualifications",
        "#/subjects",
        "#/documents/identity",
        "#/documents/video",
        "#/documents/certification:spanish",
    ]
    assert recorder.updates == []
    for body, reason in (
        ({"subjects": ["basket-weaving"]}, "unknown_subject"),
        ({"subjects": ["maths", "maths"]}, "invalid_request"),
        ({"bio": "a" * 4001}, "invalid_request"),
        ({"bio": "a\0b"}, "invalid_request"),
        ({"status": "approved"}, "invalid_request"),
        ({"reviewer_id": str(room.rosa)}, "invalid_request"),
    ):
        refused = await client.patch(path, json=body, headers=anna)
        assert (refused.status_code, refused.json()["reason"]) == (422, reason)
    for stranger in (room.boris, room.rosa):
        refused = await client.patch(path, json={"bio": "x"}, headers=as_staff_person(settings, stranger))
        assert refused.status_code == 404
    async with sessions.begin() as session:
        application = await session.get_one(TutorApplication, application_id)
        application.status, application.submitted_at = ApplicationStatus.SUBMITTED, now()
    refused = await client.patch(path, json={"bio": "x"}, headers=anna)
    assert (refused.status_code, refused.json()["reason"]) == (409, "application_not_editable")


# ---- who sees what ----


async def test_applicants_see_their_own_and_nothing_of_the_academys_side(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom
) -> None:
    anna, rosa = as_student(settings, room.anna), f"staff:{room.rosa}"
    application_id = await write_application(sessions, room.anna, ApplicationStatus.IN_REVIEW, reviewer_id=room.rosa)
    await write_document(sessions, application_id, verdict=DocumentVerdict.REJECTED)
    await write_task(sessions, application_id, TaskKind.TUTOR_SECOND_OPINION)
    await write_decision(sessions, application_id, TaskAction.REQUEST_INFO, rosa, message="Please.", note="Hm.")
    await write_decision(sessions, application_id, TaskAction.REJECT_HARD, rosa, message="Never.", note="A forgery?")
    seen = await get(client, f"/{application_id}", anna)
    [document] = seen["documents"]
    assert (document["verdict"], document["verdict_reason"], document["judged_by"]) == (None, None, None)
    assert [(each["action"], each["message"]) for each in seen["decisions"]] == [("request_info", "Please.")]
    assert [(each["by"], each["author"], each["text"]) for each in seen["messages"]] == [("academy", None, "Please.")]
    assert {seen[part] is None for part in ("review", "notes", "earlier", "applicant_name", "missing")} == {True}
    assert str(room.rosa) not in str(seen)
    for stranger in (
        as_student(settings, room.boris),
        as_staff_person(settings, room.otto),
        as_(settings, "platform", Role.SERVICE),
    ):
        assert (await client.get(f"{PATH}/{application_id}", headers=stranger)).status_code == 404
        assert (await get(client, "", stranger))["total"] == 0

    async with sessions.begin() as session:
        (await session.get_one(TutorApplication, application_id)).status = ApplicationStatus.REJECTED_HARD
    seen = await get(client, f"/{application_id}", anna)
    assert [each["message"] for each in seen["decisions"]] == ["Please.", "Never."]
    assert seen["documents"][0]["verdict_reason"] == "document_unreadable"


async def test_reviewers_see_all_that_they_have_to_know_also_of_earlier_applications(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom
) -> None:
    rosa, rita = f"staff:{room.rosa}", f"staff:{room.rita}"
    earlier = await write_application(sessions, room.anna, ApplicationStatus.REJECTED_SOFT, days_ago=90)
    await write_decision(sessions, earlier, TaskAction.REJECT_SOFT, rita, message="Not yet.", note="Too nervous.")
    application_id = await write_application(sessions, room.anna, ApplicationStatus.IN_REVIEW, reviewer_id=room.rosa)
    await write_document(sessions, application_id, verdict=DocumentVerdict.ACCEPTED)
    first = await write_decision(sessions, application_id, TaskAction.REJECT_HARD, rosa, note="A forgery?")
    await write_decision(sessions, application_id, TaskAction.REJECT, rita, note="No, just old.", seconds=first)
    task_id = await write_task(sessions, application_id)
    async with sessions.begin() as session:
        session.add(Note(subject_kind="task", subject_id=task_id, author=rita, text="Ask her again."))
        session.add(Note(subject_kind="applicant_message", subject_id=first, author="staff:late", text="Too late."))
        own_words = Note(subject_kind="applicant_message", subject_id=application_id, author="student:a", text="Here.")
        session.add(own_words)
    for reviewer in (as_staff_person(settings, room.rosa), as_(settings, "boss", Role.ADMIN)):
        seen = await get(client, f"/{application_id}", reviewer)
        assert seen["applicant_name"] == "anna"
        assert (seen["review"]["task_id"], seen["review"]["reviewer_id"]) == (str(task_id), str(room.rosa))
        assert (seen["review"]["documents_judged"], seen["review"]["documents_total"]) == (1, 1)
        assert seen["documents"][0]["judged_by"] == "staff:rosa"
        assert [(each["decided_by"], each["seconds"]) for each in seen["decisions"]] == [
            (rosa, None),
            (rita, str(first)),
        ]
        assert [note["text"] for each in seen["decisions"] for note in each["notes"]] == ["A forgery?", "No, just old."]
        assert [note["text"] for note in seen["notes"]] == ["Ask her again."]
        assert [(each["by"], each["text"]) for each in seen["messages"]] == [("applicant", "Here.")]
        [before] = seen["earlier"]
        assert (before["id"], before["status"]) == (str(earlier), "rejected_soft")
        [decision] = before["decisions"]
        assert (decision["message"], decision["reasons"]) == ("Not yet.", ["document_unreadable"])
        assert [note["text"] for note in decision["notes"]] == ["Too nervous."]


async def test_nobody_is_a_reviewer_of_their_own_application(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom
) -> None:
    application_id = await write_application(sessions, room.rosa, ApplicationStatus.IN_REVIEW, reviewer_id=room.rita)
    document_id = await write_document(sessions, application_id)
    task_id = await write_task(sessions, application_id)
    for rosa in (as_staff_person(settings, room.rosa), as_(settings, room.rosa, Role.ADMIN)):
        assert (await get(client, f"/{application_id}", rosa))["review"] is None
        assert (await get(client, "", rosa))["total"] == 0
        [own] = (await get(client, "", rosa, applicant_id=str(room.rosa)))["items"]
        assert own["review"] is None
        peeking = await client.get(PATH, params={"applicant_id": str(room.rosa), "reviewer": "me"}, headers=rosa)
        assert peeking.json()["reason"] == "role_not_allowed"
        for path, body in (
            (f"{application_id}/decision", {"action": "approve"}),
            (f"{application_id}/assign", {"reviewer": "me"}),
            (f"{application_id}/documents/{document_id}/verdict", {"verdict": "accepted"}),
        ):
            status, problem = await post(client, path, rosa, body)
            assert (status, problem["reason"]) == (403, "own_application")
        record = await client.get(f"{PATH}/{application_id}/decision-record.pdf", headers=rosa)
        assert record.json()["reason"] == "own_application"
        assert (await client.get(f"/v1/tasks/{task_id}", headers=rosa)).status_code == 404
        assert (await post(client, f"/v1/tasks/{task_id}/decision", rosa, {"action": "approve"}))[0] == 404
        assert (await client.get("/v1/tasks", headers=rosa)).json()["total"] == 0
    rita = as_staff_person(settings, room.rita)
    assert (await client.get("/v1/tasks", headers=rita)).json()["total"] == 1


async def test_the_queue_is_filtered_and_sorted_in_few_statements(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, engine: AsyncEngine, room: Staffroom
) -> None:
    rosa = as_staff_person(settings, room.rosa)
    late = await write_application(sessions, room.anna, ApplicationStatus.IN_REVIEW, reviewer_id=room.rosa, days_ago=9)
    await write_task(sessions, late, due_in=timedelta(days=-1))
    fresh = await write_application(sessions, room.boris, ApplicationStatus.SUBMITTED, subjects=("spanish",))
    await write_task(sessions, fresh)
    asked = await write_application(sessions, room.otto, ApplicationStatus.INFO_REQUESTED, days_ago=3)
    await write_application(sessions, room.rita)  # a draft is nobody else's business
    for query, expected in (
        ({}, [late, fresh, asked]),
        ({"sort": "created_at"}, [late, asked, fresh]),
        ({"sort": "submitted_at:desc"}, [fresh, asked, late]),
        ({"reviewer": "me"}, [late]),
        ({"reviewer": str(room.rosa)}, [late]),
        ({"reviewer": "nobody"}, [fresh, asked]),
        ({"overdue": "true"}, [late]),
        ({"overdue": "false"}, [fresh, asked]),
        ({"status": "info_requested"}, [asked]),
        ({"status": "draft"}, []),
        ({"subject": "spanish"}, [fresh]),
        ({"applicant_id": str(room.boris)}, [fresh]),
        ({"applicant_id": str(room.rita)}, []),
    ):
        found = await get(client, "", rosa, **query)
        assert [UUID(item["id"]) for item in found["items"]] == expected, query
        assert found["total"] == len(expected)
    [first, *_] = (await get(client, "", rosa))["items"]
    assert (first["review"]["is_overdue"], first["review"]["escalation"]) == (True, 0)
    for query in ({"reviewer": "nobody"}, {"overdue": "true"}, {"sort": "due_at"}):
        refused = await client.get(PATH, params=query, headers=as_student(settings, room.anna))
        assert (refused.status_code, refused.json()["reason"]) == (403, "role_not_allowed")

    counted: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        counted.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        await get(client, "", rosa)
        few = len(counted)
        await get(client, "", rosa, per_page="1")
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)
    assert (few, len(counted)) == (3, 6)


# ---- what the workflow is told ----


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
