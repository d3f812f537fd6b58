"""The steps of tutors' applications over HTTP: what the workflow is told, and what stays in the record."""

import asyncio
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col
from temporalio.service import RPCError, RPCStatusCode

from activities.database import Sessions
from models.errors import Reason, refusal
from models.identifiers import tutor_application_workflow_id
from models.messages.applications import AssignReview, ByApplicant, JudgeDocument
from models.messages.tasks import DecideTask
from models.tables import (
    ApplicationDecision,
    ApplicationDocument,
    HumanTask,
    RoleGrant,
    TaskContact,
    TutorApplication,
    TutorProfile,
)
from models.tables.columns import now
from models.vocabulary import (
    ApplicationStatus,
    DocumentVerdict,
    ReviewReason,
    Role,
    TaskAction,
    TaskKind,
    TaskQueue,
    TutorProfileStatus,
)
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
from tests.eventually import eventually


@pytest.fixture
async def room(sessions: Sessions) -> Staffroom:
    return await write_staffroom(sessions)


async def set_application(sessions: Sessions, application_id: UUID, **values: object) -> None:
    async with sessions.begin() as session:
        await session.execute(
            update(TutorApplication).where(col(TutorApplication.id) == application_id).values(**values)
        )


async def test_the_applicants_steps_are_told_where_they_change_something(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    anna, application_id = as_student(settings, room.anna), await write_application(sessions, room.anna)
    await write_document(sessions, application_id)
    told = (tutor_application_workflow_id(application_id), ByApplicant(actor=f"student:{room.anna}"))

    async def steps(step: str) -> int:
        """How often the workflow is told of a step that is taken three times."""
        before = len(recorder.updates)
        assert [(await post(client, f"{application_id}/{step}", anna))[0] for _ in range(3)] == [200] * 3
        assert all((who, by, what) == (*told, step) for who, what, by in recorder.updates[before:])
        return len(recorder.updates) - before

    # The recorder writes nothing down: what is not on record yet is told each time.
    assert await steps("submit") == 3
    await set_application(sessions, application_id, status="submitted", submitted_at=now())
    assert await steps("submit") == 0
    assert (await post(client, f"{application_id}/answer", anna))[1]["reason"] == "no_info_requested"
    await set_application(sessions, application_id, status="info_requested", info_due_at=now(), rounds=1)
    assert await steps("answer") == 3
    await set_application(sessions, application_id, status="in_review", info_due_at=None)
    assert (await steps("answer"), await steps("withdraw")) == (0, 3)
    for step in ("submit", "answer", "withdraw"):
        for stranger in (as_student(settings, room.boris), as_staff_person(settings, room.rosa)):
            assert (await post(client, f"{application_id}/{step}", stranger))[0] == 404

    recorder.failure = unreachable()
    assert (await post(client, f"{application_id}/withdraw", anna))[1]["reason"] == "unavailable"
    recorder.failure = not_found()
    assert (await post(client, f"{application_id}/withdraw", anna))[1]["reason"] == "application_over"
    # The run has closed: how it stands is on record.
    await set_application(sessions, application_id, status="withdrawn")
    assert (await steps("withdraw"), await steps("submit")) == (0, 0)
    assert (await post(client, f"{application_id}/answer", anna))[1]["reason"] == "application_over"


async def test_what_is_missing_is_said_from_the_record(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    anna = as_student(settings, room.anna)
    application_id = await write_application(sessions, room.anna, subjects=("spanish", "latin"))
    await set_application(sessions, application_id, bio=None)
    pointers = [
        "#/bio",
        "#/subjects",
        "#/documents/identity",
        "#/documents/video",
        "#/documents/certification:spanish",
    ]
    for step, status in (("submit", "draft"), ("answer", "info_requested")):
        due_at = now() if status == "info_requested" else None
        await set_application(
            sessions, application_id, status=status, info_due_at=due_at, submitted_at=due_at, rounds=1 if due_at else 0
        )
        answered, problem = await post(client, f"{application_id}/{step}", anna)
        assert (answered, problem["reason"]) == (422, "application_incomplete")
        assert [part["pointer"] for part in problem["errors"]] == pointers
        assert all(part["detail"] for part in problem["errors"])
    assert recorder.updates == []
    await set_application(sessions, application_id, status="draft", info_due_at=None, submitted_at=None)
    for _ in range(3):
        await write_application(sessions, room.anna, ApplicationStatus.WITHDRAWN)
    assert (await post(client, f"{application_id}/submit", anna))[1]["reason"] == "too_many_applications"
    # What has changed since the look is refused by the workflow, in the same words.
    boris, other = as_student(settings, room.boris), await write_application(sessions, room.boris)
    await write_document(sessions, other)
    recorder.refused = refusal(Reason.APPLICATION_INCOMPLETE, "Something is missing.", "identity")
    problem = (await post(client, f"{other}/submit", boris))[1]
    assert (problem["reason"], problem["errors"][0]["pointer"]) == ("application_incomplete", "#/documents/identity")


async def test_what_is_being_approved_is_not_withdrawn(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    for person_id in (room.anna, room.boris):
        application_id = await write_application(sessions, person_id, ApplicationStatus.IN_REVIEW)
        profile = TutorProfile(
            person_id=person_id, application_id=application_id, status=TutorProfileStatus.PENDING,
            display_name="Anna", bio="", subjects=[], experience="", certifications="",
        )  # fmt: skip
        grant = RoleGrant(
            person_id=person_id, role=Role.TUTOR, granted_by=f"staff:{room.rosa}", application_id=application_id
        )
        async with sessions.begin() as session:
            session.add(profile if person_id == room.anna else grant)
        _, problem = await post(client, f"{application_id}/withdraw", as_student(settings, person_id))
        assert problem["reason"] == "application_over"
    assert recorder.updates == []
    async with sessions.begin() as session:
        await session.execute(update(RoleGrant).values(revoked_at=now()))
    assert (await post(client, f"{application_id}/withdraw", as_student(settings, room.boris)))[0] == 200


async def test_a_workflow_that_takes_no_more_updates_is_no_outage(
    client: httpx.AsyncClient,
    settings: Settings,
    sessions: Sessions,
    room: Staffroom,
    recorder: RecordingTemporal,
    caplog: pytest.LogCaptureFixture,
) -> None:
    application_id = await write_application(sessions, room.anna, ApplicationStatus.IN_REVIEW)
    text = "The limit on the total number of distinct updates in this workflow has been reached (2000). Make sure …"
    recorder.failure = RPCError(text, RPCStatusCode.FAILED_PRECONDITION, b"")
    status, problem = await post(client, f"{application_id}/withdraw", as_student(settings, room.anna))
    assert (status, problem["reason"]) == (500, "internal")
    assert "again" not in problem["detail"]
    assert "update_limit" in caplog.text
    assert str(application_id) in caplog.text
    recorder.failure = RPCError("The workflow is paused.", RPCStatusCode.FAILED_PRECONDITION, b"")
    assert (await post(client, f"{application_id}/withdraw", as_student(settings, room.anna)))[0] == 503


async def test_the_words_of_an_answer_stay_unless_it_is_refused(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    anna = as_student(settings, room.anna)
    application_id = await write_application(sessions, room.anna, ApplicationStatus.INFO_REQUESTED)
    await write_document(sessions, application_id)
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
    # What is on record already is not told again, unless somebody else says it.
    async with sessions.begin() as session:
        document = await session.get_one(ApplicationDocument, document_id)
        document.verdict, document.verdict_reason = DocumentVerdict.REJECTED, "document_expired"
        document.judged_by, document.judged_at = f"staff:{room.rosa}", now()
    assert (await post(client, path, rosa, rejected))[0] == 200
    assert len(recorder.updates) == 1
    assert (await post(client, path, as_staff_person(settings, room.rita), rejected))[0] == 200
    assert (await post(client, path, rosa, {"verdict": "accepted"}))[0] == 200
    assert len(recorder.updates) == 3
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
    assert len(recorder.updates) == 3


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


ASKED = {"action": "request_info", "reasons": ["name_differs"], "note": "Who is Anna K.?", "message": "Who is it?"}


async def decided(sessions: Sessions, task_id: UUID, by: UUID, action: TaskAction = TaskAction.REQUEST_INFO) -> None:
    """Write down, as a workflow does, what was decided of the task."""
    async with sessions.begin() as session:
        task = await session.get_one(HumanTask, task_id)
        task.status, task.decision, task.decided_by, task.decided_at = "done", action, f"staff:{by}", now()
        session.add(
            ApplicationDecision(
                id=task_id, application_id=task.subject_id, action=action, reasons=["name_differs"],
                decided_by=f"staff:{by}", documents=[],
            )
        )  # fmt: skip


async def test_the_very_same_decision_again_is_answered_as_the_first_was(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    rosa, rita = as_staff_person(settings, room.rosa), as_staff_person(settings, room.rita)
    application_id = await write_application(sessions, room.anna, ApplicationStatus.IN_REVIEW)
    task_id = await write_task(sessions, application_id)
    path, task_path = f"{application_id}/decision", f"/v1/tasks/{task_id}/decision"
    said = [("applicant_message", "Who is it?"), ("task", "Who is Anna K.?")]
    assert (await post(client, path, rosa, ASKED))[0] == 200
    await decided(sessions, task_id, room.rosa)
    await set_application(sessions, application_id, status="info_requested", info_due_at=now(), rounds=1)
    named = {**ASKED, "task_id": str(task_id)}
    for caller, body, status in (
        (rosa, ASKED, 200),
        (rosa, named, 200),
        (rosa, {**named, "message": "Who are you?"}, 409),
        (rosa, {**named, "note": "Who?"}, 409),
        (rosa, {**named, "reasons": ["conduct"]}, 409),
        (rosa, {**named, "action": "approve"}, 409),
        (rita, named, 409),
    ):
        assert (await post(client, path, caller, body))[0] == status, body
    plain = {"action": "request_info", "reasons": ["name_differs"], "note": "Who is Anna K.?"}
    for caller, body, status in ((rosa, plain, 200), (rosa, {**plain, "note": "?"}, 409), (rita, plain, 409)):
        assert (await post(client, task_path, caller, body))[0] == status, body
    assert sorted(await notes(sessions)) == said
    assert len(recorder.updates) == 1


@pytest.mark.parametrize("winner", ["rosa", "rita"])
async def test_a_doubled_click_loses_no_words(
    client: httpx.AsyncClient,
    settings: Settings,
    sessions: Sessions,
    room: Staffroom,
    recorder: RecordingTemporal,
    winner: str,
) -> None:
    application_id = await write_application(sessions, room.anna, ApplicationStatus.IN_REVIEW)
    task_id = await write_task(sessions, application_id)
    # Somebody was faster, and what they decided is being written down.
    recorder.refused = refusal(Reason.TASK_NOT_OPEN, "There is no such open task in this job.")
    slower = asyncio.create_task(
        post(client, f"{application_id}/decision", as_staff_person(settings, room.rosa), ASKED)
    )

    async def is_told() -> bool:
        return bool(recorder.updates)

    await eventually(is_told)
    await decided(sessions, task_id, getattr(room, winner))
    status, _ = await slower
    is_repeat = winner == "rosa"
    assert (status, len(await notes(sessions))) == ((200, 2) if is_repeat else (409, 0))


async def test_only_the_words_of_the_decision_that_counts_remain(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom, recorder: RecordingTemporal
) -> None:
    rosa, rita = as_staff_person(settings, room.rosa), as_staff_person(settings, room.rita)
    application_id = await write_application(sessions, room.anna, ApplicationStatus.IN_REVIEW)
    task_id = await write_task(sessions, application_id)
    path = f"{application_id}/decision"

    async def messages() -> list[str]:
        return [text for kind, text in await notes(sessions) if kind == "applicant_message"]

    recorder.failure = unreachable()
    assert (await post(client, path, rita, {**ASKED, "message": "Rita asks."}))[0] == 503
    assert (await post(client, path, rosa, ASKED))[0] == 503
    recorder.failure, recorder.refused = None, refusal(Reason.VERDICTS_MISSING, "Not every document has a verdict.")
    assert (await post(client, path, rosa, {"action": "approve"}))[0] == 409
    assert await messages() == ["Rita asks.", "Who is it?"]  # it may still count
    recorder.refused = None
    assert (await post(client, path, rosa, {**ASKED, "message": "Who are you?"}))[0] == 200
    assert await messages() == ["Rita asks.", "Who are you?"]
    # A decision without words has none, whichever way it is sent.
    assert (await post(client, f"/v1/tasks/{task_id}/decision", rosa, {"action": "approve"}))[0] == 200
    assert await messages() == ["Rita asks."]


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
            # Whose it is already is not told again.
            for had_by, times in ((room.otto, 1), (expected, 0)):
                await set_application(sessions, application_id, reviewer_id=had_by)
                async with sessions.begin() as session:
                    task = await session.get_one(HumanTask, task_id)
                    task.assignee = None if had_by is None else f"staff:{had_by}"
                told_before = len(recorder.updates)
                assert (await post(client, path, rosa, {field: whom}))[0] == 200
                assert len(recorder.updates) == told_before + times
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


async def test_a_second_opinion_is_given_to_listed_reviewers_who_are_not_the_applicant(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, room: Staffroom
) -> None:
    application_id = await write_application(sessions, room.rita, ApplicationStatus.IN_REVIEW)
    rosa, boss = as_staff_person(settings, room.rosa), as_(settings, "boss", Role.ADMIN)
    opinion = await write_task(sessions, application_id, TaskKind.TUTOR_SECOND_OPINION)
    async with sessions.begin() as session:
        contacts = TaskContact(queue=TaskQueue.REVIEW, remind_id=room.otto)
        session.add(contacts)  # of the staff on record, and yet no reviewer
    path = f"/v1/tasks/{opinion}/assign"
    for caller, assignee, reason in (
        (rosa, str(room.otto), "not_a_reviewer"),
        (rosa, str(room.boris), "not_a_reviewer"),
        (rosa, str(room.rita), "own_application"),
        (boss, "me", "not_a_reviewer"),
    ):
        status, problem = await post(client, path, caller, {"assignee": assignee})
        assert (status, problem["reason"]) == (403, reason)
    for caller, assignee, shown in (
        (boss, str(room.rosa), f"staff:{room.rosa}"),  # who has never taken a task
        (rosa, None, None),
        (rosa, "me", f"staff:{room.rosa}"),
    ):
        status, task = await post(client, path, caller, {"assignee": assignee})
        assert (status, task["assignee"]) == (200, shown)


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
