"""Saves the histories of this release: `pytest tests/replay/record.py` writes `histories/<version>/*.json`.

Not collected by default. Run it when a release is made, and never change a file of an older one. With the histories
goes what a release has promised to understand: `python -m tests.replay.contract` writes `contracts/<version>.json`.
"""

import re
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import select, update
from sqlmodel import col
from temporalio.client import ScheduleActionExecutionStartWorkflow

from models import search
from models.identifiers import finding_workflow_id, new_id, refund_watch_workflow_id
from models.messages.checks import LookInto
from models.tables import CourseCertificate, Enrollment, Refund
from models.tables.columns import now
from models.vocabulary import CheckKind, FindingKind, FindingStatus, Role, WaitingFor
from sandbox.sample_academy import sample_id
from schedules import SCHEDULES
from tests.api.test_cart_end_to_end import COURSE, Shop
from tests.api.test_certificate_end_to_end import a_place, complete, file_of, is_over
from tests.api.test_learning_end_to_end import COLOUR as PAINT
from tests.api.test_learning_end_to_end import COURSE as WATERCOLOUR
from tests.api.test_learning_end_to_end import WATER, enter, prepare
from tests.api.test_recurring_jobs import order_of_a_lost_job
from tests.api.uploads import PDF
from tests.applying import RITA, ROSA, begun, call, decide, handed_in, judge, look_for_tutors, until_asked, until_status
from tests.eventually import eventually
from tests.installation import Installation, Json
from tests.ordering import (
    ASKS_THE_BANK,
    DISPUTED,
    NO_FUNDS,
    confirm_at_the_bank,
    hold_left,
    invoice_order,
    order_shows,
    paid,
    pay_by_debit,
    pay_for_nothing,
    until_mailed,
)
from worker import running_workers
from workflows.deployment import make_current
from workflows.finding import FindingWorkflow
from workflows.queues import REGISTRAR_QUEUE
from workflows.recurring import UTC
from workflows.schedule_server import apply_schedules

TARGET = Path(__file__).parent / "histories" / version("registrar")


async def _save(installation: Installation, name: str, workflow_id: str) -> None:
    history = await installation.temporal.get_workflow_handle(workflow_id).fetch_history()
    TARGET.mkdir(parents=True, exist_ok=True)
    # Which machine and process ran it, and from which folder, is nobody's business.
    told = re.sub(r'"\d+@[^"]*"', '"worker"', history.to_json())
    (TARGET / f"{name}.json").write_text(re.sub(r'"stackTrace": *"(?:[^"\\]|\\.)*"', '"stackTrace": ""', told))


async def _save_order(installation: Installation, name: str, order: Json, status: str = "completed") -> None:
    """When it is over."""
    await installation.order_ends(order["id"], status)
    await _save(installation, name, f"order-{order['id']}")


async def _save_scheduled(installation: Installation, schedule_id: str) -> None:
    """One run of a recurring job."""
    recurring = [each for each in SCHEDULES if each.id == schedule_id]
    await apply_schedules(installation.temporal, recurring, UTC)
    schedule = installation.temporal.get_schedule_handle(schedule_id)
    await schedule.trigger()

    async def has_run() -> bool:
        return bool((await schedule.describe()).info.recent_actions)

    await eventually(has_run)
    [started] = (await schedule.describe()).info.recent_actions
    run = started.action
    assert isinstance(run, ScheduleActionExecutionStartWorkflow)
    await installation.temporal.get_workflow_handle(run.workflow_id).result()
    await _save(installation, schedule_id.replace("-", "_"), run.workflow_id)
    await schedule.delete()


async def test_by_card_and_free(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1", "study-skills", coupon_code="WELCOME10")).json()
    await installation.pay(order)
    await _save_order(installation, "paid", order)
    receipt = (await installation.order(order["id"]))["documents"][0]
    copy = await installation.staff_posts(f"/v1/documents/{receipt['id']}/send", {})
    await until_mailed(installation, "document_copy")
    await _save(installation, "document_copy", f"document-copy-{copy.json()['copy_id']}")
    await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "course_changed"})
    cancellation = f"order-cancellation-{order['id']}"
    await installation.temporal.get_workflow_handle(cancellation).result()
    await _save(installation, "paid_order_cancelled", cancellation)

    order = (await installation.post_order("study-skills", by="grace")).json()
    await _save_order(installation, "free", order)


async def test_refused_and_cancelled(installation: Installation) -> None:
    waiting = (await installation.post_order("thesis-seminar", by="aoife")).json()
    await _save(installation, "waiting", f"order-{waiting['id']}")
    before = [run.id async for run in installation.temporal.list_workflows()]
    assert (await installation.post_order("thesis-seminar", by="grace")).json()["reason"] == "course_full"
    [refused] = [run.id async for run in installation.temporal.list_workflows() if run.id not in before]
    await _save(installation, "refused", refused)
    await installation.staff_posts(f"/v1/orders/{waiting['id']}/cancel", {"reason": "changed_mind"})
    await _save_order(installation, "cancelled", waiting, "cancelled")


async def test_banks(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1")).json()
    page = await installation.pay(order, ASKS_THE_BANK)
    await order_shows(installation, order["id"], lambda seen: hold_left(seen) > timedelta(hours=23))
    await confirm_at_the_bank(page)
    await _save_order(installation, "confirmed", order)

    order = (await installation.post_order("spanish-a1", by="layla")).json()
    for _ in range(3):
        await installation.pay(order, NO_FUNDS)
    await until_mailed(installation, "payment_declined")
    await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "payment_trouble"})
    await _save_order(installation, "declined", order, "cancelled")

    for student, outcome, status in (("aoife", "succeeded", "completed"), ("grace", "failed", "cancelled")):
        order = (await installation.post_order("spanish-a1", by=student, method="payment_intent")).json()
        intent = await pay_by_debit(installation, order)
        await order_shows(installation, order["id"], lambda seen: hold_left(seen) > timedelta(days=13))
        if status == "cancelled":
            await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "course_changed"})
        await installation.double.control.settle(intent, outcome)
        await _save_order(installation, f"debit_{outcome}", order, status)


async def test_invoice_and_approval(installation: Installation) -> None:
    order = await invoice_order(installation)
    for amount in (100000, 150000):
        await installation.staff_posts(f"/v1/orders/{order['id']}/mark-paid", paid(amount))
    [task] = await installation.tasks(order["id"])
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "accept"})
    await _save_order(installation, "invoice", order)

    order = (await installation.post_order("teacher-training", by="aoife")).json()
    await until_mailed(installation, "approval_requested")
    await installation.staff_posts(f"/v1/orders/{order['id']}/approve", {})
    await until_mailed(installation, "order_approved")
    await installation.pay(await installation.payable(order["id"], "aoife"))
    await _save_order(installation, "approved", order)

    order = (await installation.post_order("teacher-training", by="grace")).json()
    await installation.staff_posts(f"/v1/orders/{order['id']}/deny", {"reason": "not_eligible"})
    await _save_order(installation, "denied", order, "cancelled")


async def test_money_of_nobody(installation: Installation) -> None:
    await pay_for_nothing(installation)
    [task] = await installation.tasks()
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "refund"})
    await installation.temporal.get_workflow_handle(task["workflow_id"]).result()
    await _save(installation, "unmatched_payment", task["workflow_id"])


async def test_refunds(installation: Installation) -> None:
    for name, student, action in (("refund_by_rule", "lukasz", None), ("refund_rejected", "lukasz", "reject")):
        order = (await installation.post_order("spanish-a1" if action is None else "french-a2", by=student)).json()
        await installation.pay(order)
        enrollment_id = (await installation.order_ends(order["id"]))["lines"][0]["enrollment"]["id"]
        await installation.staff_posts(f"/v1/enrollments/{enrollment_id}/refunds", {"cause": "no_time"})
        if action is not None:
            [task] = await installation.tasks(enrollment_id)
            await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": action})
        await installation.temporal.get_workflow_handle(f"refund-{enrollment_id}").result()
        await _save(installation, name, f"refund-{enrollment_id}")


async def test_disputes(installation: Installation) -> None:
    for outcome, student in (("won", "lukasz"), ("lost", "aoife")):
        order = (await installation.post_order("spanish-a1", by=student)).json()
        await installation.pay(order, DISPUTED)
        await installation.order_ends(order["id"])
        [task] = await installation.tasks(order["id"])
        if outcome == "lost":
            await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "dismiss"})
        await installation.double.control.close_dispute(task["workflow_id"].removeprefix("dispute-"), outcome)
        if outcome == "lost":
            [task] = await installation.tasks(order["id"])
            await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "reject"})
        await installation.temporal.get_workflow_handle(task["workflow_id"]).result()
        await _save(installation, f"dispute_{outcome}", task["workflow_id"])


async def test_refunds_that_do_not_end_where_they_should(installation: Installation) -> None:
    control = installation.double.control
    order = (await installation.post_order("spanish-a1", by="aoife")).json()
    await installation.pay(order)
    enrollment_id = (await installation.order_ends(order["id"]))["lines"][0]["enrollment"]["id"]
    await control.next_refunds("pending")
    part = {"cause": "goodwill", "terms": {"share": "amount", "amount": 900, "access": "kept"}}
    refund = await installation.staff_posts(f"/v1/enrollments/{enrollment_id}/refunds", part)
    await installation.temporal.get_workflow_handle(f"refund-{enrollment_id}").result()
    await _save(installation, "refund_by_staff", f"refund-{enrollment_id}")

    async with installation.sessions() as session:
        query = select(col(Refund.stripe_refund_id)).where(col(Refund.request_id) == UUID(refund.json()["id"]))
        stripe_refund_id = (await session.execute(query)).scalar_one()
    assert stripe_refund_id is not None
    watch = refund_watch_workflow_id(stripe_refund_id)
    await control.move_refund(stripe_refund_id, "failed", "declined")
    [task] = await installation.tasks(order["id"])
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "accept"})
    await installation.temporal.get_workflow_handle(watch).result()
    await _save(installation, "refund_came_back", watch)

    await _save_scheduled(installation, "refund-sweep")


async def test_a_cascade(installation: Installation) -> None:
    for student in ("aoife", "grace"):
        order = (await installation.post_order("watercolour", by=student)).json()
        await installation.pay(order)
        await installation.order_ends(order["id"])
    await installation.post_order("watercolour", by="layla")
    gone = {"kind": "course_removed", "course_id": str(sample_id("course", "watercolour")), "reason": "It rains in."}
    headers = {**installation.caller("finance", Role.ADMIN), "Idempotency-Key": "gone"}
    cascade = (await installation.http.post("/v1/cascades", json=gone, headers=headers)).raise_for_status().json()
    await installation.temporal.get_workflow_handle(f"cascade-{cascade['id']}").result()
    await _save(installation, "cascade", f"cascade-{cascade['id']}")


async def test_applications(installation: Installation) -> None:
    await look_for_tutors(installation)
    await _save(installation, "application_drafted", f"tutor-application-{await begun(installation, 'haruka')}")

    application_id, document = await handed_in(installation)
    job = f"tutor-application-{application_id}"
    await until_asked(installation, application_id)
    await judge(installation, application_id, document, {"verdict": "rejected", "reason": "document_expired"})
    await decide(installation, application_id, ROSA, action="request_info", reasons=["document_expired"])
    await until_mailed(installation, "application_info_requested")
    await _save(installation, "application_asked", job)
    again = await call(installation, "POST", f"/{application_id}/answer", "lukasz", body={})
    assert again.json()["reason"] == "application_incomplete"
    await call(installation, "POST", f"/{application_id}/withdraw", "lukasz")
    await until_mailed(installation, "application_closed")
    await _save(installation, "application_withdrawn", job)

    application_id, document = await handed_in(installation, "aoife")
    await until_asked(installation, application_id)
    await judge(installation, application_id, document, {"verdict": "rejected", "reason": "name_differs"})
    await decide(installation, application_id, ROSA, action="approve")
    task_id = await until_asked(installation, application_id, "tutor_second_opinion")
    await decide(installation, application_id, RITA, action="approve", task_id=task_id)
    await installation.temporal.get_workflow_handle(f"tutor-application-{application_id}").result()
    await _save(installation, "application_approved", f"tutor-application-{application_id}")

    application_id, _ = await handed_in(installation, "grace")
    await until_asked(installation, application_id)
    await call(installation, "POST", f"/{application_id}/assign", RITA, Role.STAFF, {"reviewer": "me"})
    await decide(installation, application_id, RITA, action="reject_hard", reasons=["conduct"])
    task_id = await until_asked(installation, application_id, "tutor_second_opinion")
    await decide(installation, application_id, ROSA, action="approve", task_id=task_id)
    await until_status(installation, application_id, "rejected_hard")
    await until_mailed(installation, "application_rejected")
    await _save(installation, "application_rejected", f"tutor-application-{application_id}")
    await _save_scheduled(installation, "reassign-reviews")


async def test_carts(idle_installation: Installation) -> None:
    """A month of a cart passes in ten seconds, but for who has agreed to mails: one in sixteen hours is the most."""
    installation, carts = idle_installation, [uuid4() for _ in range(5)]
    bought, cleared, older, left, lost = carts
    shop = Shop(installation)
    hasty = installation.settings.model_copy(update={"cart_clock_speed": 260_000.0})
    async with running_workers(installation.temporal, installation.settings):
        await make_current(installation.temporal, installation.settings.worker_build_id)
        headers = installation.caller()
        body = {"course_ids": [COURSE]}
        (await installation.http.put(f"/v1/carts/{bought}", json=body, headers=headers)).raise_for_status()
        (await installation.http.put(f"/v1/carts/{bought}", json=body, headers=headers)).raise_for_status()
        await _save(installation, "cart_open", f"cart-{bought}")
        order = (await installation.http.post(f"/v1/carts/{bought}/checkout", headers=headers)).json()
        await installation.pay(order)
        await _save_order(installation, "paid_from_a_cart", order)
        await installation.temporal.get_workflow_handle(f"cart-{bought}").result()
        await _save(installation, "cart_ordered", f"cart-{bought}")
        late = await installation.http.put(f"/v1/carts/{bought}", json=body, headers=headers)
        assert late.json()["reason"] == "cart_over"
        await installation.temporal.get_workflow_handle(f"cart-{bought}").result()
        await _save(installation, "cart_refused", f"cart-{bought}")
        await shop.put(cleared)
        await installation.temporal.get_workflow_handle(f"cart-{cleared}").execute_update("clear")
        await installation.temporal.get_workflow_handle(f"cart-{cleared}").result()
        await _save(installation, "cart_cleared", f"cart-{cleared}")
        await shop.agree((await shop.put(older))["person_id"])
    async with running_workers(installation.temporal, hasty):
        await shop.put(left)
        await until_mailed(installation, "cart_reminder")
        await _save(installation, "cart_reminded", f"cart-{left}")
        await _save(installation, "cart_superseded", f"cart-{older}")
        await Shop(installation).put(lost)
        await installation.temporal.get_workflow_handle(f"cart-{lost}").result()
        await _save(installation, "cart_lost", f"cart-{lost}")


async def test_learning(installation: Installation) -> None:
    await prepare(installation)
    room = await enter(installation)
    job = f"drip-{room.path.rsplit('/', 1)[1]}"
    await room.told(WATER, {"finished": True})
    await room.told(PAINT, {"finished": True, "score": 9}, room.platform)
    await room.change({"change": "pause", "until": (now() + timedelta(days=7)).isoformat()})
    await room.change({"change": "resume"})
    await _save(installation, "drip_asleep", job)

    path, added = f"/v1/courses/{sample_id('course', WATERCOLOUR)}/changes", {"title": "Framing"}
    for name, body in (
        ("course_changed", {"content": "add_lesson", "lesson": added}),
        ("members_changed", {"members": {"change": "release"}}),
    ):
        change = (await installation.staff_posts(path, body)).json()
        await installation.temporal.get_workflow_handle(f"course-change-{change['id']}").result()
        await _save(installation, name, f"course-change-{change['id']}")
    for lesson in await room.lessons():
        if lesson not in (WATER, PAINT):
            await room.told(lesson, {"finished": True})
    await _save(installation, "drip_completed", job)

    gone = (await enter(installation, by="aoife")).path.rsplit("/", 1)[1]
    full = {"cause": "goodwill", "terms": {"share": "full", "access": "revoked"}}
    await installation.staff_posts(f"/v1/enrollments/{gone}/refunds", full)
    await installation.temporal.get_workflow_handle(f"refund-{gone}").result()
    async with installation.sessions.begin() as session:
        ended = update(Enrollment).where(col(Enrollment.id) == UUID(gone))
        await session.execute(ended.values(wakes_at=now() - timedelta(hours=1)))
    await _save_scheduled(installation, "wake-drips")
    await installation.temporal.get_workflow_handle(f"drip-{gone}").result()
    await _save(installation, "drip_ended", f"drip-{gone}")


async def test_certificates(installation: Installation) -> None:
    place, unnamed = [await a_place(installation, student) for student in ("grace", "lukasz")]
    exception = {"exception_note": "She has taught this course before."}
    granted = (await installation.staff_posts(f"/v1/enrollments/{place}/certificate", exception)).json()
    [certificate] = granted["certificates"]
    await file_of(installation, certificate["id"], "grace")
    await until_mailed(installation, "certificate_issued")
    await _save(installation, "certificate_issued", f"certificate-{place}")
    steps = f"/v1/certificates/{certificate['id']}"
    await installation.staff_posts(f"{steps}/revoke", {"reason": "misconduct", "note": "An essay was copied."})
    await until_mailed(installation, "certificate_revoked")
    await installation.staff_posts(f"{steps}/reinstate", {})
    form = {"name": (None, "Grace Murray"), "file": ("deed.pdf", PDF)}
    headers = {**installation.caller("grace"), "Idempotency-Key": "deed"}
    await installation.http.post(f"{steps}/corrections", files=form, headers=headers)  # type: ignore[arg-type]
    [task] = await installation.tasks(certificate["id"])
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "approve"})
    await is_over(installation, place)
    await _save(installation, "certificate_corrected", f"certificate-{place}")

    async with installation.sessions.begin() as session:
        await session.execute(update(CourseCertificate).values(valid_days=365, grace_days=30))
    certified = await a_place(installation, "layla")
    await complete(installation, certified, unnamed)
    path = f"/v1/courses/{sample_id('course', 'study-skills')}/certificates"
    batch = (await installation.staff_posts(path, {})).json()
    await installation.temporal.get_workflow_handle(f"certificate-batch-{batch['id']}").result()
    await _save(installation, "certificate_batch", f"certificate-batch-{batch['id']}")
    await until_mailed(installation, "certificate_name_needed")
    await _save(installation, "certificate_waits_for_a_name", f"certificate-{unnamed}")
    await _save(installation, "certificate_expires", f"certificate-{certified}")


async def test_what_runs_by_itself(installation: Installation) -> None:
    await order_of_a_lost_job(installation)
    for schedule_id in (
        "critical-mail",
        "expiry-sweep",
        "invoice-reminders",
        "document-retention",
        "reconcile-nightly",
        "stripe-events",
        "stuck-jobs",
        "daily-sales",
    ):
        await _save_scheduled(installation, schedule_id)


async def test_findings(installation: Installation) -> None:
    for name, check in (("asked_about", CheckKind.RECONCILIATION), ("decided", CheckKind.STUCK_JOBS)):
        finding_id = new_id()
        look = LookInto(
            finding_id=finding_id,
            found_by=check,
            kind=FindingKind.FULFILLED_NOT_PAID,
            subject_kind="order",
            subject_id=finding_id,
            reason="It counts as paid, and Stripe has no money for it.",
            job_id="order-of-nobody",
        )
        handle = await installation.temporal.start_workflow(
            FindingWorkflow.run,
            look,
            id=finding_workflow_id(finding_id),
            task_queue=REGISTRAR_QUEUE,
            search_attributes=search.at_start("finding", FindingStatus.OPEN, WaitingFor.OPERATOR),
            static_summary="Found: fulfilled not paid",
        )
        [task] = await installation.tasks(str(finding_id))
        if name == "decided":
            await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "retry"})
            await handle.result()
        await _save(installation, f"finding_{name}", handle.id)


async def test_exports_and_actions(installation: Installation) -> None:
    order = (await installation.post_order("spanish-a1")).json()
    await installation.pay(order)
    await installation.order_ends(order["id"])
    for report in ("orders", "sales"):
        span = {"date_from": "2026-01-01", "date_until": "2030-01-01"}
        body = {"report": report, "format": "pdf", "filters": span}
        export = (await installation.staff_posts("/v1/exports", body, report)).json()
        await installation.temporal.get_workflow_handle(f"export-{export['id']}").result()
        await _save(installation, f"export_of_{report}", f"export-{export['id']}")
    waiting = (await installation.post_order("spanish-a1", by="aoife")).json()
    query = f'RegistrarOrderId="{waiting["id"]}"'

    async def is_listed() -> bool:
        return [each async for each in installation.temporal.list_workflows(query)] != []

    await eventually(is_listed)
    body = {"action": "cancel", "query": query}
    action = (await installation.staff_posts("/v1/job-actions", body, "all")).json()
    await installation.temporal.get_workflow_handle(f"job-action-{action['id']}").result()
    await _save(installation, "job_action", f"job-action-{action['id']}")
