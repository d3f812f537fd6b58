"""Money that goes back: by rule, by staff, by a bank, and for a whole course."""

from uuid import UUID, uuid4

from sqlalchemy import select
from sqlmodel import col

from models.identifiers import refund_watch_workflow_id
from models.tables import Refund
from models.vocabulary import Role, WaitingFor
from sandbox.sample_academy import sample_id
from tests.eventually import eventually
from tests.ordering import DISPUTED
from tests.paths.scene import Scene, path


async def _place_of(scene: Scene, course: str, student: str) -> tuple[str, str]:
    """A paid place: the order and the enrollment."""
    order = (await scene.installation.post_order(course, by=student)).json()
    await scene.installation.pay(order)
    return order["id"], (await scene.installation.order_ends(order["id"]))["lines"][0]["enrollment"]["id"]


async def _watch_of(scene: Scene, order_id: str) -> str:
    """The job that watches the refund of an order at Stripe."""
    async with scene.installation.sessions() as session:
        query = select(col(Refund.stripe_refund_id)).where(col(Refund.order_id) == UUID(order_id))
        stripe_refund_id = (await session.execute(query)).scalar_one()
    assert stripe_refund_id is not None
    return refund_watch_workflow_id(stripe_refund_id)


async def _until_it_waits(scene: Scene, job: str, waiting_for: WaitingFor) -> None:
    """Until a job waits for somebody else than before."""

    async def waits() -> bool:
        headers = scene.installation.caller("finance", Role.STAFF)
        seen = (await scene.installation.http.get(f"/v1/jobs/{job}", headers=headers)).raise_for_status().json()
        return bool(seen["waiting_for"] == waiting_for)

    await eventually(waits)


async def _refunded_by_rule(scene: Scene) -> tuple[str, str]:
    """The order and the job of a refund that nobody is asked about."""
    order_id, enrollment_id = await _place_of(scene, "spanish-a1", "lukasz")
    await scene.installation.staff_posts(f"/v1/enrollments/{enrollment_id}/refunds", {"cause": "no_time"})
    await scene.installation.temporal.get_workflow_handle(f"refund-{enrollment_id}").result()
    return order_id, f"refund-{enrollment_id}"


@path
async def refunded_by_rule(scene: Scene) -> None:
    """It has arrived; the watch goes on for a month."""
    order_id, job = await _refunded_by_rule(scene)
    await scene.keep("refund_by_rule", job)
    watch = await _watch_of(scene, order_id)
    await _until_it_waits(scene, watch, WaitingFor.TIMER)
    await scene.keep("refund_watched", watch)


@path
async def refund_rejected(scene: Scene) -> None:
    """A person is asked about the second one."""
    await _refunded_by_rule(scene)
    _, enrollment_id = await _place_of(scene, "french-a2", "lukasz")
    await scene.installation.staff_posts(f"/v1/enrollments/{enrollment_id}/refunds", {"cause": "no_time"})
    [task] = await scene.installation.tasks(enrollment_id)
    await scene.installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "reject"})
    await scene.keep_ended("refund_rejected", f"refund-{enrollment_id}")


@path
async def dispute_won(scene: Scene) -> None:
    await _disputed(scene, "lukasz", "won")


@path
async def dispute_lost(scene: Scene) -> None:
    await _disputed(scene, "aoife", "lost")


async def _disputed(scene: Scene, student: str, outcome: str) -> None:
    installation = scene.installation
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
    await scene.keep_ended(f"dispute_{outcome}", task["workflow_id"])


@path
async def refund_came_back(scene: Scene) -> None:
    installation, control = scene.installation, scene.installation.double.control
    order_id, enrollment_id = await _place_of(scene, "spanish-a1", "aoife")
    await control.next_refunds("pending")
    part = {"cause": "goodwill", "terms": {"share": "amount", "amount": 900, "access": "kept"}}
    await installation.staff_posts(f"/v1/enrollments/{enrollment_id}/refunds", part)
    await scene.keep_ended("refund_by_staff", f"refund-{enrollment_id}")

    watch = await _watch_of(scene, order_id)
    stripe_refund_id = watch.removeprefix("refund-watch-")
    await control.move_refund(stripe_refund_id, "requires_action")
    await _until_it_waits(scene, watch, WaitingFor.PAYMENT)
    await scene.keep("refund_needs_the_payer", watch)
    await control.move_refund(stripe_refund_id, "failed", "declined")
    [task] = await installation.tasks(order_id)
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "accept"})
    await scene.keep_ended("refund_came_back", watch)
    await scene.keep_run_of("refund-sweep")


@path
async def cascade(scene: Scene) -> None:
    installation = scene.installation
    for student in ("aoife", "grace"):
        await _place_of(scene, "watercolour", student)
    await installation.post_order("watercolour", by="layla")
    gone = {"kind": "course_removed", "course_id": str(sample_id("course", "watercolour")), "reason": "It rains in."}
    headers = {**installation.caller("finance", Role.ADMIN), "Idempotency-Key": f"{uuid4()}"}
    begun = (await installation.http.post("/v1/cascades", json=gone, headers=headers)).raise_for_status().json()
    await scene.keep_ended("cascade", f"cascade-{begun['id']}")


@path
async def refund_tried_again(scene: Scene) -> None:
    """Stripe refuses it at first; then the bank sends it back, and it takes a third."""
    installation, control = scene.installation, scene.installation.double.control
    order_id, enrollment_id = await _place_of(scene, "spanish-a1", "grace")
    await control.next_refunds("failed", "pending", "succeeded")
    full = {"cause": "goodwill", "terms": {"share": "full", "access": "revoked"}}
    await installation.staff_posts(f"/v1/enrollments/{enrollment_id}/refunds", full)
    [task] = await installation.tasks(order_id)
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "retry"})
    await installation.temporal.get_workflow_handle(f"refund-{enrollment_id}").result()
    async with installation.sessions() as session:
        stripe_refund_id = (await session.execute(select(col(Refund.stripe_refund_id)))).scalar_one()
    assert stripe_refund_id is not None
    await control.move_refund(stripe_refund_id, "failed", "declined")
    [task] = await installation.tasks(order_id)
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": "retry"})
    await scene.keep_ended("refund_tried_again", refund_watch_workflow_id(stripe_refund_id))
