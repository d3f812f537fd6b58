"""Jobs over HTTP: found, explained and acted on, one by one and many at once; never one's own, never by students."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client

from activities.database import Sessions
from activities.job_reading import describe, job_of
from models.tables import AuditEntry
from models.vocabulary import ApplicationStatus, Role, TaskAction
from settings import Settings
from tests.api.applications_on_record import write_application, write_staffroom
from tests.api.callers import as_, as_staff, as_student
from tests.eventually import eventually
from tests.installation import Installation
from tests.integration.toy_jobs import SWITCHES, Asks, MailsOnce, Toys, open_task, playing

Json = dict[str, Any]


@pytest.fixture
def recorder(real_temporal: Client) -> Client:
    """Nothing stands in for Temporal here."""
    return real_temporal


@pytest.fixture
async def toys(real_temporal: Client) -> AsyncIterator[Toys]:
    async with playing(real_temporal) as toys:
        yield toys


async def test_an_operator_finds_a_job_learns_why_it_waits_and_has_it_try_again(
    toys: Toys, client: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    staff, job = as_staff(settings), f"document-copy-{uuid4()}"
    handle = await toys.start(MailsOnce, job, job="toy_mail")
    await toys.lists(job)

    async def rests() -> bool:
        run = await describe(toys.temporal, job, timedelta(seconds=5))
        return run is not None and any(step.waits for step in job_of(job, run).pending)

    await eventually(rests)
    listed: Json = (await client.get("/v1/jobs", params={"job": "toy_mail"}, headers=staff)).json()
    assert [each["workflow_id"] for each in listed["items"]] == [job]
    assert (listed["total"], listed["next_page_token"]) == (1, None)
    assert listed["query"] == 'RegistrarJob = "toy_mail" AND ExecutionStatus = "Running"'
    assert listed["href"] == (
        "http://temporal.test/namespaces/default/workflows"
        "?query=RegistrarJob%20%3D%20%22toy_mail%22%20AND%20ExecutionStatus%20%3D%20%22Running%22"
    )
    told: Json = (await client.get(f"/v1/jobs/{job}", headers=staff)).json()
    assert "send_mail has failed once, the last time with smtp_unreachable" in told["why"]
    assert (told["href"], told["stuck"]) == (f"http://temporal.test/namespaces/default/workflows/{job}", [])

    refused = await client.post(f"/v1/jobs/{job}/cancel", headers=staff)
    assert (refused.status_code, refused.json()["reason"]) == (409, "job_not_cancelable")
    for caller in (as_student(settings, uuid4()), as_(settings, "platform", Role.SERVICE)):
        assert (await client.post(f"/v1/jobs/{job}/retry", headers=caller)).json()["reason"] == "role_not_allowed"
    SWITCHES.is_mended = True
    acted: Json = (await client.post(f"/v1/jobs/{job}/retry", headers=staff)).json()
    assert (acted["action"], acted["did"]) == ("retry", "The step send_mail is tried now.")
    assert await handle.result() == "sent"
    over = await client.post(f"/v1/jobs/{job}/skip", headers=staff)
    assert (over.status_code, over.json()["reason"]) == (409, "job_over")
    async with sessions() as session:
        entries = select(col(AuditEntry.actor), col(AuditEntry.to_state)).where(col(AuditEntry.workflow_id) == job)
        assert (await session.execute(entries)).all() == [("staff:frida", "retry")]
    for wrong in ({"job": "Toy"}, {"state": "x' OR 'y"}, {"page_token": "é"}, {"run": "all"}):
        assert (await client.get("/v1/jobs", params=wrong, headers=staff)).json()["reason"] == "invalid_request"


async def test_nobody_finds_or_acts_on_the_job_of_their_own_application(
    toys: Toys, client: httpx.AsyncClient, settings: Settings, sessions: Sessions
) -> None:
    room = await write_staffroom(sessions)
    application_id = await write_application(sessions, room.rosa, ApplicationStatus.IN_REVIEW)
    job = f"tutor-application-{application_id}"
    await toys.start(Asks, job, job="toy_application")
    await toys.lists(job)
    await open_task(sessions, job, TaskAction.RETRY)
    hers, others = as_(settings, room.rosa, Role.ADMIN), as_(settings, room.rita, Role.STAFF)
    for caller, status, found in ((hers, 404, []), (others, 200, [job])):
        listed = (await client.get("/v1/jobs", params={"job": "toy_application"}, headers=caller)).json()
        assert [each["workflow_id"] for each in listed["items"]] == found
        assert (await client.post(f"/v1/jobs/{job}/retry", headers=caller)).status_code == status


async def test_many_jobs_are_tried_out_and_then_acted_on_once(installation: Installation) -> None:
    orders = [(await installation.post_order("python-cohort", by=by)).json()["id"] for by in ("lukasz", "layla")]
    mine = ", ".join(f"'order-{order}'" for order in orders)
    body = {"action": "cancel", "query": f"WorkflowId IN ({mine})"}
    staff = installation.caller("finance", Role.STAFF)

    async def tried() -> Json:
        answer = await installation.http.post("/v1/job-actions", json=body, params={"dry_run": True}, headers=staff)
        tried_out: Json = answer.raise_for_status().json()
        return tried_out

    async def are_listed() -> bool:
        return bool((await tried())["total"] == 2)

    await eventually(are_listed)
    preview = await tried()
    assert [each["outcome"] for each in preview["first"]] == ["done", "done"]
    assert "cancelled if it is unpaid" in preview["first"][0]["would"]
    assert {(await installation.order(order))["status"] for order in orders} == {"pending_payment"}

    begun: Json = (await installation.staff_posts("/v1/job-actions", body, key="k")).json()
    assert (await installation.staff_posts("/v1/job-actions", body, key="k")).json()["id"] == begun["id"]
    keyed = {**staff, "Idempotency-Key": "k"}
    reused = await installation.http.post("/v1/job-actions", json={**body, "action": "retry"}, headers=keyed)
    assert reused.json()["reason"] == "idempotency_key_reused"
    for order in orders:
        await installation.order_ends(order, "cancelled")
    where = f"/v1/job-actions/{begun['id']}"

    async def is_done() -> bool:
        return bool((await installation.http.get(where, headers=staff)).json()["status"] == "done")

    await eventually(is_done)
    done: Json = (await installation.http.get(where, headers=staff)).json()
    assert (done["total"], done["done"], done["outcomes"], done["reasons"]) == (2, 2, {"done": 2}, {})
    listed: Json = (await installation.http.get("/v1/job-actions", headers=staff)).json()
    assert listed["items"] == [done]
    stopped = await installation.http.post(f"{where}/stop", headers=staff)
    assert stopped.json()["reason"] == "job_action_not_running"

    again = (await installation.staff_posts("/v1/job-actions", body)).json()
    where = f"/v1/job-actions/{again['id']}"
    await eventually(is_done)
    late: Json = (await installation.http.get(where, headers=staff)).json()
    assert (late["outcomes"], late["reasons"]) == ({"gone": 2}, {"job_over": 2})
    for wrong in ("nonsense", "RegistrarJob='order') OR (WorkflowId IS NOT NULL"):
        for params in ({"dry_run": True}, {}):
            refused = await installation.http.post(
                "/v1/job-actions",
                json={"action": "retry", "query": wrong},
                params=params,
                headers={**staff, "Idempotency-Key": uuid4().hex},
            )
            assert refused.json()["reason"] == "invalid_request"
