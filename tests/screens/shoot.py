"""Takes pictures of every job in every waiting state: `pytest tests/screens/shoot.py` writes `var/screens/*.png`.

Not collected by default; needs chromium (or `CHROMIUM`). Look at each picture after a change of what jobs say, and copy
those that docs/operators.md shows to `docs/images`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlmodel import col
from temporalio.client import Client

from models import search
from models.identifiers import finding_workflow_id, refund_watch_workflow_id
from models.messages.checks import LookInto
from models.saved_queries import SAVED_QUERIES
from models.tables import CourseCertificate, Refund
from models.vocabulary import CheckKind, FindingKind, FindingStatus, Role, WaitingFor
from sandbox.sample_academy import sample_id
from sandbox.temporal import EmbeddedTemporal
from schedules import SCHEDULES
from tests.api.test_cart_end_to_end import Shop
from tests.api.test_certificate_end_to_end import a_place, complete, file_of
from tests.api.test_learning_end_to_end import COURSE as WATERCOLOUR
from tests.api.test_learning_end_to_end import WATER, enter, prepare
from tests.api.uploads import PDF
from tests.applying import RITA, ROSA, begun, call, decide, handed_in, judge, look_for_tutors, until_asked
from tests.eventually import eventually
from tests.installation import Installation
from tests.ordering import (
    ASKS_THE_BANK,
    DISPUTED,
    NO_FUNDS,
    hold_left,
    invoice_order,
    order_shows,
    paid,
    pay_by_debit,
    pay_for_nothing,
    until_mailed,
)
from tests.screens.browser import Browser
from worker import running_workers
from workflows.connection import connect
from workflows.deployment import make_current
from workflows.finding import FindingWorkflow
from workflows.queues import REGISTRAR_QUEUE
from workflows.registration import register_search_attributes
from workflows.schedule_server import apply_schedules

FOLDER = Path("var") / "screens"
SIZE = (1400, 860)
_UI: list[str] = []


@pytest.fixture(scope="session")
async def real_temporal() -> AsyncIterator[Client]:
    """The real server of these pictures has its Web UI."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    async with EmbeddedTemporal(ui_port=0) as server:
        client = await connect(server.address, "default")
        await register_search_attributes(client)
        _UI[:] = [str(server.ui_url)]
        yield client


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all pictures."""
    with Browser.running() as opened:
        yield opened


class Camera:
    """Opens pages of the Web UI."""

    def __init__(self, installation: Installation, browser: Browser) -> None:
        self.installation, self._browser = installation, browser

    async def page(self, name: str, path: str, until: str, size: tuple[int, int] = SIZE, script: str = "") -> None:
        """A picture of a page, once it shows the words."""
        url = f"{_UI[0]}/namespaces/default/{path}"
        await asyncio.to_thread(self._browser.shoot, url, until, size, FOLDER / f"{name}.png", script)

    async def job(self, name: str, workflow_id: str, says: str, tab: str = "user-metadata") -> None:
        """A picture of a job, as soon as it says something."""
        handle = self.installation.temporal.get_workflow_handle(workflow_id)

        async def does_say() -> bool:
            return says in str(await handle.query("__temporal_workflow_metadata"))

        await eventually(does_say)
        await self.page(
            name, f"workflows/{quote(workflow_id)}/{(await handle.describe()).run_id}/{tab}", "Workflow SDK"
        )

    async def listed(self, name: str, saved_name: str) -> None:
        """A picture of what a saved query finds."""
        [saved] = [each for each in SAVED_QUERIES if each.name == saved_name]
        await self.page(name, f"workflows?query={quote(saved.at(datetime.now(UTC)))}", "Workflow ID")


@pytest.fixture
def camera(installation: Installation, browser: Browser) -> Camera:
    """Looks at an installation at work."""
    return Camera(installation, browser)


async def test_orders_that_wait_for_a_payment(installation: Installation, camera: Camera) -> None:
    order = (await installation.post_order("spanish-a1")).json()
    await camera.job("order-payment", f"order-{order['id']}", "has to pay")
    await camera.job("order-payment-timeline", f"order-{order['id']}", "has to pay", "timeline")
    await camera.job("order-payment-attributes", f"order-{order['id']}", "has to pay", "search-attributes")

    order = (await installation.post_order("spanish-a1", by="aoife")).json()
    await installation.pay(order, ASKS_THE_BANK)
    await camera.job("order-confirmation", f"order-{order['id']}", "confirm the payment")

    order = (await installation.post_order("spanish-a1", by="layla")).json()
    for _ in range(3):
        await installation.pay(order, NO_FUNDS)
    await camera.job("order-rest", f"order-{order['id']}", "Declined too often")

    order = (await installation.post_order("spanish-a1", by="grace", method="payment_intent")).json()
    await pay_by_debit(installation, order)
    await order_shows(installation, order["id"], lambda seen: hold_left(seen) > timedelta(days=13))
    await camera.job("order-bank", f"order-{order['id']}", "bank is working")


async def test_orders_that_wait_for_people(installation: Installation, camera: Camera) -> None:
    order = await invoice_order(installation)
    await installation.staff_posts(f"/v1/orders/{order['id']}/mark-paid", paid(100000))
    await camera.job("order-invoice", f"order-{order['id']}", "came in")
    await installation.staff_posts(f"/v1/orders/{order['id']}/mark-paid", paid(150000))
    await installation.tasks(order["id"])
    await camera.job("order-task", f"order-{order['id']}", "Task `")

    order = (await installation.post_order("teacher-training", by="aoife")).json()
    await camera.job("order-approval", f"order-{order['id']}", "Staff has to")

    await pay_for_nothing(installation)
    running: list[str] = []

    async def is_listed() -> bool:
        query = 'RegistrarJob="payment" AND ExecutionStatus="Running"'
        running[:] = [run.id async for run in installation.temporal.list_workflows(query)]
        return bool(running)

    await eventually(is_listed)
    await camera.job("payment-unmatched", running[0], "Task `")

    order = (await installation.post_order("thesis-seminar", by="aoife")).json()
    assert (await installation.post_order("thesis-seminar", by="grace")).json()["reason"] == "course_full"
    await camera.listed("list-refused", "refused")
    await camera.listed("list-needs-human", "needs_human")


async def test_refunds(installation: Installation, camera: Camera) -> None:
    control = installation.double.control
    order = (await installation.post_order("spanish-a1")).json()
    await installation.pay(order)
    enrollment_id = (await installation.order_ends(order["id"]))["lines"][0]["enrollment"]["id"]
    await installation.staff_posts(f"/v1/enrollments/{enrollment_id}/refunds", {"cause": "no_time"})
    # The second in twelve months is for a person to look at.
    order = (await installation.post_order("french-a2")).json()
    await installation.pay(order)
    enrollment_id = (await installation.order_ends(order["id"]))["lines"][0]["enrollment"]["id"]
    await camera.job("order-done", f"order-{order['id']}", "Done")
    await installation.staff_posts(f"/v1/enrollments/{enrollment_id}/refunds", {"cause": "no_time"})
    await camera.job("refund-review", f"refund-{enrollment_id}", "Task `")

    order = (await installation.post_order("spanish-a1", by="aoife")).json()
    await installation.pay(order)
    enrollment_id = (await installation.order_ends(order["id"]))["lines"][0]["enrollment"]["id"]
    await control.next_refunds("pending")
    part = {"cause": "goodwill", "terms": {"share": "amount", "amount": 900, "access": "kept"}}
    refund = (await installation.staff_posts(f"/v1/enrollments/{enrollment_id}/refunds", part)).json()
    await installation.temporal.get_workflow_handle(f"refund-{enrollment_id}").result()
    async with installation.sessions() as session:
        query = select(col(Refund.stripe_refund_id)).where(col(Refund.request_id) == UUID(refund["id"]))
        stripe_refund_id = (await session.execute(query)).scalar_one()
    assert stripe_refund_id is not None
    watch = refund_watch_workflow_id(stripe_refund_id)
    await camera.job("refund-watch-pending", watch, "On its way")
    await control.move_refund(stripe_refund_id, "failed", "declined")
    await camera.job("refund-watch-came-back", watch, "Task `")

    order = (await installation.post_order("spanish-a1", by="grace")).json()
    await installation.pay(order, DISPUTED)
    await installation.order_ends(order["id"])
    [task] = await installation.tasks(order["id"])
    await camera.job("dispute-answer", task["workflow_id"], "Task `")
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "dismiss"})
    await camera.job("dispute-bank", task["workflow_id"], "bank decides")
    await control.close_dispute(task["workflow_id"].removeprefix("dispute-"), "lost")
    await camera.job("dispute-lost", task["workflow_id"], "is lost")


async def test_a_cascade_that_is_paused(installation: Installation, camera: Camera) -> None:
    order = (await installation.post_order("watercolour", by="aoife")).json()
    await installation.pay(order)
    await installation.order_ends(order["id"])
    intent = (await installation.post_order("watercolour", by="grace", method="payment_intent")).json()
    await pay_by_debit(installation, intent)
    await order_shows(installation, intent["id"], lambda seen: hold_left(seen) > timedelta(days=13))
    gone = {"kind": "course_removed", "course_id": str(sample_id("course", "watercolour")), "reason": "It rains in."}
    headers = {**installation.caller("finance", Role.ADMIN), "Idempotency-Key": "gone"}
    cascade = (await installation.http.post("/v1/cascades", json=gone, headers=headers)).raise_for_status().json()
    await camera.job("cascade-waits", f"cascade-{cascade['id']}", "looks again")
    pausing = await installation.http.post(f"/v1/cascades/{cascade['id']}/pause", headers=headers)
    pausing.raise_for_status()
    await camera.job("cascade-paused", f"cascade-{cascade['id']}", "Paused")


async def test_applications(installation: Installation, camera: Camera) -> None:
    await look_for_tutors(installation)
    await camera.job(
        "application-draft", f"tutor-application-{await begun(installation, 'haruka')}", "writes the draft"
    )
    application_id, document = await handed_in(installation)
    job = f"tutor-application-{application_id}"
    await until_asked(installation, application_id)
    await camera.job("application-review", job, "Task `")
    await judge(installation, application_id, document, {"verdict": "rejected", "reason": "document_expired"})
    await decide(installation, application_id, ROSA, action="request_info", reasons=["document_expired"])
    await camera.job("application-applicant", job, "asked for")
    application_id, _ = await handed_in(installation, "grace")
    await until_asked(installation, application_id)
    await call(installation, "POST", f"/{application_id}/assign", RITA, Role.STAFF, {"reviewer": "me"})
    await decide(installation, application_id, RITA, action="reject_hard", reasons=["conduct"])
    task_id = await until_asked(installation, application_id, "tutor_second_opinion")
    await camera.job("application-second-opinion", f"tutor-application-{application_id}", "Task `")
    await decide(installation, application_id, ROSA, action="approve", task_id=task_id)
    await camera.job("application-erased-then", f"tutor-application-{application_id}", "erased then")


async def test_carts(idle_installation: Installation, browser: Browser) -> None:
    installation, (opened, left) = idle_installation, (uuid4(), uuid4())
    camera = Camera(installation, browser)
    async with running_workers(installation.temporal, installation.settings):
        await make_current(installation.temporal, installation.settings.worker_build_id)
        await Shop(installation).put(opened)
        await camera.job("cart-open", f"cart-{opened}", "Its owner")
        await camera.job("cart-timeline", f"cart-{opened}", "Its owner", "timeline")
    hasty = installation.settings.model_copy(update={"cart_clock_speed": 260_000.0})
    async with running_workers(installation.temporal, hasty):
        await Shop(installation).put(left)
        await camera.job("cart-abandoned", f"cart-{left}", "Mail 1")


async def test_learning(installation: Installation, camera: Camera) -> None:
    await prepare(installation)
    room = await enter(installation)
    job = f"drip-{room.path.rsplit('/', 1)[1]}"
    await camera.job("drip-learner", job, "lessons are open")
    await room.told(WATER, {"finished": True})
    await room.change({"change": "pause", "until": (datetime.now(UTC) + timedelta(days=7)).isoformat()})
    await camera.job("drip-paused", job, "Paused")
    path = f"/v1/courses/{sample_id('course', WATERCOLOUR)}/changes"
    change = (await installation.staff_posts(path, {"members": {"change": "release"}})).json()
    await camera.job("course-change", f"course-change-{change['id']}", "Over")


async def test_certificates(installation: Installation, camera: Camera) -> None:
    place, unnamed = [await a_place(installation, student) for student in ("grace", "lukasz")]
    granted = (
        await installation.staff_posts(f"/v1/enrollments/{place}/certificate", {"exception_note": "She taught it."})
    ).json()
    [certificate] = granted["certificates"]
    await file_of(installation, certificate["id"], "grace")
    form = {"name": (None, "Grace Murray"), "file": ("deed.pdf", PDF)}
    headers = {**installation.caller("grace"), "Idempotency-Key": "deed"}
    await installation.http.post(f"/v1/certificates/{certificate['id']}/corrections", files=form, headers=headers)  # type: ignore[arg-type]
    await camera.job("certificate-correction", f"certificate-{place}", "Task `")
    async with installation.sessions.begin() as session:
        await session.execute(update(CourseCertificate).values(valid_days=365, grace_days=30))
    certified = await a_place(installation, "layla")
    await complete(installation, certified, unnamed)
    path = f"/v1/courses/{sample_id('course', 'study-skills')}/certificates"
    batch = (await installation.staff_posts(path, {})).json()
    await camera.job("certificate-batch", f"certificate-batch-{batch['id']}", "Over")
    await until_mailed(installation, "certificate_name_needed")
    await camera.job("certificate-name", f"certificate-{unnamed}", "confirms the name")
    await camera.job("certificate-expires", f"certificate-{certified}", "validity")


async def test_what_checks_find_and_schedules(installation: Installation, camera: Camera) -> None:
    finding_id = uuid4()
    await installation.temporal.start_workflow(
        FindingWorkflow.run,
        LookInto(
            finding_id=finding_id,
            found_by=CheckKind.RECONCILIATION,
            kind=FindingKind.AMOUNT_MISMATCH,
            subject_kind="order",
            subject_id=uuid4(),
            reason="Stripe has 44.10 EUR, the record 49.00 EUR.",
            times=1,
        ),
        id=finding_workflow_id(finding_id),
        task_queue=REGISTRAR_QUEUE,
        search_attributes=search.at_start("finding", FindingStatus.OPEN, WaitingFor.OPERATOR),
        static_summary="Found: amount mismatch",
    )
    await camera.job("finding", finding_workflow_id(finding_id), "Task `")
    await apply_schedules(installation.temporal, SCHEDULES, "UTC")
    await camera.page("schedules", "schedules", "refund-sweep")
    await camera.page("schedule", "schedules/refund-sweep", "Recent Runs")
