"""Tutors' applications over HTTP, on the record alone: begun, written, seen by few."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.database import Sessions
from models.errors import Reason, refusal
from models.identifiers import tutor_application_id_for, tutor_application_workflow_id
from models.messages.applications import ApplicationRef
from models.tables import Note, TutorApplication
from models.tables.columns import now
from models.vocabulary import ApplicationStatus, DocumentVerdict, Role, TaskAction, TaskKind
from sandbox.sample_academy import sample_id
from settings import Settings
from tests.api.application_calls import PATH, as_staff_person, get, post
from tests.api.applications_on_record import (
    Staffroom,
    write_application,
    write_decision,
    write_document,
    write_staffroom,
    write_task,
)
from tests.api.callers import as_, as_student
from tests.api.recording_temporal import RecordingTemporal
from tests.installation import Installation


@pytest.fixture
async def room(sessions: Sessions) -> Staffroom:
    return await write_staffroom(sessions)


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
    unknown = await client.get(PATH, params={"subject": "\0"}, headers=rosa)
    assert (unknown.status_code, unknown.json()["reason"]) == (422, "invalid_request")

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
