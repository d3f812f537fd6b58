"""Tasks over HTTP: found, taken, decided with a note that is kept once."""

from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select, update
from sqlmodel import col

from activities.database import Sessions
from activities.tasks import TaskActivities
from models.messages.payments import UnmatchedPayment
from models.messages.tasks import OpenTask
from models.tables import AuditEntry, HumanTask, Note
from models.tables.columns import now
from models.vocabulary import Role, TaskAction, TaskKind, TaskQueue
from rules.tasks import queue_of
from sandbox.sample_academy import sample_id
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.certificates_on_record import place_of, write_academy, write_certificate
from tests.api.orders_on_record import write_order, write_school
from tests.eventually import eventually
from tests.fresh_record import load_academy
from tests.installation import Installation, Json
from tests.ordering import pay_for_nothing
from workflows.queues import REGISTRAR_QUEUE
from workflows.unmatched_payment import UnmatchedPaymentWorkflow

FINANCE, LEAD, GRACE = (sample_id("person", key) for key in ("finance", "lead", "grace"))
NOTE = "Grace Hopper rang: the bank has kept a fee."


async def test_a_task_is_found_taken_and_decided_with_a_note(installation: Installation) -> None:
    await pay_for_nothing(installation)
    [task] = await installation.tasks()
    assert (task["queue"], task["assignee"], task["escalation"]) == ("finance", None, 0)
    path = f"/v1/tasks/{task['id']}"
    headers = installation.caller("finance", Role.STAFF)

    async def job_shows_it() -> bool:
        job = (await installation.http.get(f"/v1/jobs/{task['workflow_id']}", headers=headers)).json()
        return bool(job["task_id"] == task["id"])

    await eventually(job_shows_it)
    taken = (await installation.staff_posts(f"{path}/assign", {"assignee": "me"})).json()
    assert taken["assignee"] == f"staff:{FINANCE}"
    assert taken["created_at"] < taken["remind_at"] < taken["escalate_at"] < taken["escalate_again_at"]

    refused = await installation.http.post(f"{path}/decision", json={"action": "retry", "note": NOTE}, headers=headers)
    assert (refused.status_code, refused.json()["reason"]) == (422, "action_not_allowed")
    assert (await installation.http.get(path, headers=headers)).json()["notes"] == []

    decided = (await installation.staff_posts(f"{path}/decision", {"action": "refund", "note": f" {NOTE}\n"})).json()
    assert (decided["status"], decided["decision"], decided["decided_by"]) == ("done", "refund", f"staff:{FINANCE}")
    [note] = decided["notes"]
    assert (note["text"], note["author"]) == (NOTE, f"staff:{FINANCE}")
    late = await installation.http.post(
        f"{path}/decision", json={"action": "refund", "note": "Too late."}, headers=headers
    )
    assert (late.status_code, late.json()["reason"]) == (409, "task_not_open")
    assert len((await installation.http.get(path, headers=headers)).json()["notes"]) == 1
    handle = installation.temporal.get_workflow_handle(task["workflow_id"])
    await handle.result()
    assert "Hopper" not in (await handle.fetch_history()).to_json()


# ---- without a workflow ----


@pytest.fixture
async def tasks(sessions: Sessions) -> dict[str, UUID]:
    """A task of finance about an order, one about its cancellation, and one of support that is overdue."""
    await load_academy(sessions)
    steps = TaskActivities(sessions)
    made: dict[str, UUID] = {}
    for name, kind, workflow_id in (
        ("order", TaskKind.AMOUNT_DIFFERS, f"order-{uuid4()}"),
        ("cancellation", TaskKind.REFUND_FAILED, f"order-cancellation-{uuid4()}"),
        ("support", TaskKind.PROVISIONING_FAILED, f"refund-{uuid4()}"),
    ):
        made[name] = uuid4()
        await steps.open_task(
            OpenTask(
                task_id=made[name], kind=kind, subject_kind="order", subject_id=uuid4(), reason="Look at it.",
                allowed_actions=(TaskAction.ACCEPT,), due_at=now(), workflow_id=workflow_id, queue=queue_of(kind),
                working_days=None if kind is TaskKind.PROVISIONING_FAILED else 2,
            )
        )  # fmt: skip
    return made


async def found(client: httpx.AsyncClient, headers: dict[str, str], **asked: str) -> set[UUID]:
    answer = await client.get("/v1/tasks", params=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    return {UUID(item["id"]) for item in answer.json()["items"]}


async def assign(
    client: httpx.AsyncClient, task_id: UUID, assignee: str | None, headers: dict[str, str]
) -> tuple[int, Json]:
    answer = await client.post(f"/v1/tasks/{task_id}/assign", json={"assignee": assignee}, headers=headers)
    return answer.status_code, answer.json()


async def test_tasks_are_found_by_queue_job_kind_lateness_and_taker(
    client: httpx.AsyncClient, settings: Settings, tasks: dict[str, UUID]
) -> None:
    frida, service = as_staff(settings), as_(settings, "platform", Role.SERVICE)
    order, cancellation, support = tasks["order"], tasks["cancellation"], tasks["support"]
    for asked, expected in (
        ({}, {order, cancellation, support}),
        ({"queue": TaskQueue.FINANCE.value}, {order, cancellation}),
        ({"queue": "support"}, {support}),
        ({"job": "order"}, {order, cancellation}),
        ({"job": "order_cancellation"}, {cancellation}),
        ({"job": "refund"}, {support}),
        ({"job": "ord"}, set()),
        ({"kind": "refund_failed"}, {cancellation}),
        ({"overdue": "true"}, {support}),
        ({"overdue": "false", "job": "order"}, {order, cancellation}),
        ({"assignee": "nobody"}, {order, cancellation, support}),
        ({"assignee": "me"}, set()),
    ):
        assert await found(client, frida, **asked) == expected, asked
    await assign(client, order, "me", frida)
    await assign(client, support, str(LEAD), service)
    assert await found(client, frida, assignee="me") == {order}
    assert await found(client, service, assignee=str(LEAD)) == {support}
    assert await found(client, as_(settings, LEAD, Role.ADMIN), assignee="me") == {support}
    assert await found(client, frida, assignee="nobody") == {cancellation}
    for wrong in ({"job": "order-%"}, {"assignee": "frida"}, {"queue": "kitchen"}):
        assert (await client.get("/v1/tasks", params=wrong, headers=frida)).status_code == 422


async def test_nobody_decides_about_their_own_name(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    await write_academy(sessions)
    school = await write_school(sessions)
    order_id = await write_order(sessions, school, school.anna, 1, paid=True)
    place, certificate_id = await place_of(sessions, order_id), await write_certificate(sessions, order_id)
    steps, made = TaskActivities(sessions), {}
    for kind, about, subject_id in (
        (TaskKind.NAME_CORRECTION, "certificate", certificate_id),
        (TaskKind.CERTIFICATE_NAME_MISSING, "enrollment", place.id),
        (TaskKind.PROVISIONING_FAILED, "enrollment", place.id),
    ):
        made[kind] = uuid4()
        await steps.open_task(
            OpenTask(
                task_id=made[kind], kind=kind, subject_kind=about, subject_id=subject_id, reason="Look at it.",
                allowed_actions=(TaskAction.APPROVE,), due_at=now(), workflow_id="w", queue=queue_of(kind),
            )
        )  # fmt: skip
    own = as_(settings, place.student, Role.STAFF)
    assert await found(client, own) == {made[TaskKind.PROVISIONING_FAILED]}
    for kind in (TaskKind.NAME_CORRECTION, TaskKind.CERTIFICATE_NAME_MISSING):
        path = f"/v1/tasks/{made[kind]}"
        assert (await client.get(path, headers=own)).status_code == 404
        decided = await client.post(f"{path}/decision", json={"action": "approve"}, headers=own)
        assert (decided.status_code, decided.json()["reason"]) == (404, "not_found")
    assert await found(client, as_staff(settings)) == set(made.values())


async def test_who_takes_a_task_is_on_record_and_the_same_again_changes_nothing(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, tasks: dict[str, UUID]
) -> None:
    frida, task_id = as_staff(settings), tasks["order"]
    for assignee, shown in (("me", "staff:frida"), ("me", "staff:frida"), (str(LEAD), f"staff:{LEAD}"), (None, None)):
        status, body = await assign(client, task_id, assignee, frida)
        assert (status, body["assignee"]) == (200, shown)
    query = select(AuditEntry).where(col(AuditEntry.subject_id) == task_id).order_by(col(AuditEntry.id))
    async with sessions() as session:
        entries = (await session.execute(query)).scalars().all()
    assert [(entry.actor, entry.reason) for entry in entries[1:]] == [
        ("staff:frida", "assigned to staff:frida"),
        ("staff:frida", f"assigned to staff:{LEAD}"),
        ("staff:frida", "assigned to nobody"),
    ]


async def test_whom_a_task_cannot_be_given_to(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, tasks: dict[str, UUID]
) -> None:
    frida, task_id = as_staff(settings), tasks["order"]
    for assignee, headers, status, reason in (
        (str(GRACE), frida, 422, "unknown_person"),
        (str(uuid4()), frida, 422, "unknown_person"),
        ("frida", frida, 422, "invalid_request"),
        ("me", as_(settings, "platform", Role.SERVICE), 403, "role_not_allowed"),
        ("me", as_student(settings, GRACE), 403, "role_not_allowed"),
        ("me", as_(settings, uuid4(), Role.TUTOR), 403, "role_not_allowed"),
    ):
        answered = await assign(client, task_id, assignee, headers)
        assert (answered[0], answered[1]["reason"]) == (status, reason)
    assert (await assign(client, uuid4(), "me", frida))[1]["reason"] == "not_found"
    async with sessions.begin() as session:
        await session.execute(update(HumanTask).values(status="done", decided_at=now()))
    answered = await assign(client, task_id, "me", frida)
    assert (answered[0], answered[1]["reason"]) == (409, "task_not_open")


@pytest.mark.parametrize("note", ["", "  ", "a" * 2001, "a\0b", 7])
async def test_what_is_no_note(
    client: httpx.AsyncClient, settings: Settings, tasks: dict[str, UUID], note: object
) -> None:
    answer = await client.post(
        f"/v1/tasks/{tasks['order']}/decision", json={"action": "accept", "note": note}, headers=as_staff(settings)
    )
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")


async def test_a_note_stays_while_its_decision_may_count_and_goes_when_it_cannot(
    idle_installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions, task_id, payment = idle_installation.sessions, uuid4(), f"payment-pi_{uuid4().hex}"
    monkeypatch.setattr("routes.task_decisions._PATIENCE", timedelta(milliseconds=300))
    await TaskActivities(sessions).open_task(
        OpenTask(
            task_id=task_id, kind=TaskKind.UNKNOWN_PAYMENT, subject_kind="payment", subject_id=uuid4(),
            reason="Look at it.", allowed_actions=(TaskAction.REFUND,), due_at=now(), workflow_id=payment,
            working_days=2,
        )
    )  # fmt: skip

    async def decided() -> str:
        answer = await idle_installation.http.post(
            f"/v1/tasks/{task_id}/decision",
            json={"action": "refund", "note": NOTE},
            headers=idle_installation.caller("finance", Role.STAFF),
        )
        return str(answer.json()["reason"])

    async def notes() -> list[str]:
        async with sessions() as session:
            return list((await session.execute(select(col(Note.text)))).scalars())

    # Nobody waits for it.
    assert (await decided(), await notes()) == ("task_not_open", [])
    # Somebody does, but no worker is there to say whether it counts.
    request = UnmatchedPayment(payment_intent_id="pi_1")
    await idle_installation.temporal.start_workflow(
        UnmatchedPaymentWorkflow.run, request, id=payment, task_queue=REGISTRAR_QUEUE
    )
    assert [await decided() for _ in range(2)] == ["unavailable", "unavailable"]
    assert await notes() == [NOTE]
