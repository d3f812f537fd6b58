"""The two that carry orders: Registrar as its callers know it, and the floor of the same Temporal server."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import httpx
from sqlalchemy import text
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from activities.database import Sessions
from bench.floor_workflow import FLOOR_QUEUE, FloorWorkflow
from models.identifiers import order_workflow_id, refund_workflow_id
from models.tables import Course
from models.vocabulary import CourseKind, CourseStatus, Role
from routes.tokens import issue_token
from sandbox.processes import Program, Supervisor, says
from sandbox.sample_academy import sample_id
from settings import Settings

COURSE_ID = sample_id("course", "benchmark")
_VISA = "4242424242424242"
_TOKEN_LIFETIME = timedelta(hours=3)

# Names, languages and zones of the sample people in turn, so that receipts and mails are set in as many scripts.
_STUDENTS = text(
    """
    INSERT INTO people (id, created_at, updated_at, email, full_name, locale, time_zone, country, may_pay_by_invoice)
    SELECT student.id, now(), now(), 'student' || student.n || '@benchmark.registrar.test',
           sample.full_name, sample.locale, sample.time_zone, sample.country, false
    FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS student (id, n)
    JOIN (SELECT people.*, row_number() OVER (ORDER BY email) - 1 AS place, count(*) OVER () AS places FROM people)
      AS sample ON sample.place = student.n % sample.places
    """
)


class OrderNotCompletedError(Exception):
    """An order was not placed, or its workflow ended in another state than it should."""


async def enlist(sessions: Sessions, count: int) -> list[UUID]:
    """Write this many students and one course without a limit of seats. Returns the students' ids."""
    ids = [uuid4() for _ in range(count)]
    async with sessions.begin() as session:
        session.add(
            Course(
                id=COURSE_ID,
                code="benchmark",
                title="Benchmark",
                category="Benchmark",
                kind=CourseKind.SELF_PACED,
                status=CourseStatus.PUBLISHED,
                price_amount=4900,
                currency="EUR",
            )
        )
        await session.execute(_STUDENTS, {"ids": ids})
    return ids


@dataclass
class Registrar:
    """Places orders over HTTP as students do, pays them on Stripe's page, watches their workflows close."""

    http: httpx.AsyncClient
    temporal: Client
    tokens: list[str]
    _pages: dict[str, str] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def reached_at(
        cls, api: str, temporal: Client, settings: Settings, students: list[UUID]
    ) -> AsyncIterator[Self]:
        """A caller of the API at this address, on behalf of these students, one order each."""
        tokens = [issue_token(settings, str(student), (Role.STUDENT,), _TOKEN_LIFETIME) for student in students]
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=200)
        async with httpx.AsyncClient(base_url=api, timeout=60, limits=limits, trust_env=False) as http:
            yield cls(http, temporal, tokens)

    async def place(self, number: int) -> str:
        """One call: priced, held, its payment prepared."""
        answer = await self.http.post(
            "/v1/orders",
            json={"lines": [{"course_id": str(COURSE_ID)}], "payment_method": "checkout"},
            headers={"Authorization": f"Bearer {self.tokens[number]}", "Idempotency-Key": f"benchmark-{number}"},
        )
        if answer.status_code != httpx.codes.CREATED:
            raise OrderNotCompletedError(f"order {number} was answered {answer.status_code}: {answer.text}")
        order: dict[str, Any] = answer.json()
        workflow_id = order_workflow_id(UUID(order["id"]))
        self._pages[workflow_id] = order["payment"]["checkout_url"]
        return workflow_id

    async def pay(self, workflow_id: str) -> None:
        """Pay on the hosted page."""
        paid = await self.http.post(self._pages.pop(workflow_id), data={"card_number": _VISA})
        if paid.status_code != httpx.codes.SEE_OTHER:
            raise OrderNotCompletedError(f"the payment of {workflow_id} was answered {paid.status_code}")

    async def finish(self, workflow_id: str) -> None:
        """Pay on the hosted page and wait: webhook, signal, payment read, seat, receipt, mail."""
        await self.pay(workflow_id)
        outcome = await self.temporal.get_workflow_handle(workflow_id, result_type=dict).result()
        if outcome["status"] != "completed":
            raise OrderNotCompletedError(f"{workflow_id} ended as {outcome['status']}")

    async def pay_back(self, number: int, order_workflow: str) -> str:
        """The student wants the money back within the window, and gets it by rule; the workflow that did it."""
        headers = {"Authorization": f"Bearer {self.tokens[number]}", "Idempotency-Key": f"benchmark-refund-{number}"}
        order = await self.http.get(f"/v1/orders/{order_workflow.removeprefix('order-')}", headers=headers)
        enrollment_id = order.raise_for_status().json()["lines"][0]["enrollment"]["id"]
        path = f"/v1/enrollments/{enrollment_id}/refunds"
        answer = await self.http.post(path, json={"cause": "changed_mind"}, headers=headers)
        if answer.status_code != httpx.codes.CREATED:
            raise OrderNotCompletedError(f"refund {number} was answered {answer.status_code}: {answer.text}")
        workflow_id = refund_workflow_id(UUID(enrollment_id))
        await self.temporal.get_workflow_handle(workflow_id).result()
        return workflow_id


@dataclass
class Floor:
    """Starts, signals and awaits `FloorWorkflow` with the client library alone."""

    temporal: Client

    async def place(self, number: int) -> str:
        """Update-with-start, with the policies that an order is started with."""
        workflow_id = f"floor-{uuid4()}"
        start = WithStartWorkflowOperation(
            FloorWorkflow.run,
            id=workflow_id,
            task_queue=FLOOR_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
        await self.temporal.execute_update_with_start_workflow(FloorWorkflow.checkout, start_workflow_operation=start)
        return workflow_id

    async def finish(self, workflow_id: str) -> None:
        """One signal instead of Stripe and its webhooks."""
        handle = self.temporal.get_workflow_handle_for(FloorWorkflow.run, workflow_id)
        await handle.signal(FloorWorkflow.paid)
        await handle.result()


async def start_floor_worker(
    supervisor: Supervisor, python: str, address: str, log: Path, database_url: str | None = None
) -> None:
    """One process, equal to that of `registrar worker`."""
    command = [python, "-m", "bench.floor_worker", address, *([database_url] if database_url else [])]
    plain = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    await supervisor.start(Program("floor-worker", command, plain, log), says(log, "floor worker polls"))
