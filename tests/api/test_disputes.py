"""Disputes over HTTP on real parts: webhooks in any order, people who decide, refunds that wait."""

import asyncio

import httpx
import pytest

from models.identifiers import dispute_workflow_id
from models.vocabulary import Role
from tests.eventually import eventually
from tests.installation import Installation, Json
from tests.ordering import DISPUTED, order_shows


async def disputes(installation: Installation, role: Role = Role.STAFF, **asked: str) -> httpx.Response:
    return await installation.http.get("/v1/disputes", params=asked, headers=installation.caller("finance", role))


async def disputed_order(installation: Installation, code: str = "spanish-a1") -> tuple[Json, Json]:
    """An order whose payment is disputed as soon as it is paid, and the dispute as staff see it."""
    order = (await installation.post_order(code)).json()
    await installation.pay(order, DISPUTED)
    done = await installation.order_ends(order["id"])
    await order_shows(installation, order["id"], lambda seen: seen["dispute_status"] == "needs_response")
    [found] = (await disputes(installation, order_id=order["id"])).raise_for_status().json()["items"]
    return done, found


async def task_of(installation: Installation, order: Json, kind: str, *, allows: str) -> Json:
    """The open task of this kind, as soon as there is one that allows this."""
    found: Json = {}

    async def is_asked() -> bool:
        about = {"subject_id": order["id"], "kind": kind}
        answer = await installation.http.get("/v1/tasks", params=about, headers=_staff(installation))
        for task in answer.raise_for_status().json()["items"]:
            if allows in task["allowed_actions"]:
                found.update(task)
        return bool(found)

    await eventually(is_asked)
    return found


async def decide(installation: Installation, task: Json, action: str) -> None:
    await installation.staff_posts(f"/v1/tasks/{task['id']}/decision", {"action": action})


async def is_over(installation: Installation, dispute: Json) -> object:
    handle = installation.temporal.get_workflow_handle(dispute_workflow_id(dispute["stripe_dispute_id"]))
    return await asyncio.wait_for(handle.result(), 60)


def _staff(installation: Installation) -> dict[str, str]:
    return installation.caller("finance", Role.STAFF)


async def test_a_refund_waits_until_the_dispute_is_won_and_is_paid_once(installation: Installation) -> None:
    order, dispute = await disputed_order(installation)
    assert (dispute["status"], dispute["is_open"], dispute["amount"]) == ("needs_response", True, order["total_amount"])
    assert (dispute["reason"], dispute["evidence_due_at"] is None) == ("fraudulent", False)
    by_id = await installation.http.get(f"/v1/disputes/{dispute['id']}", headers=_staff(installation))
    assert by_id.json() == dispute
    assert (await disputes(installation, status="won")).json()["items"] == []
    assert (await disputes(installation, Role.STUDENT)).status_code == 403
    task = await task_of(installation, order, "dispute", allows="dismiss")
    assert task["due_at"] == dispute["evidence_due_at"]

    await installation.staff_posts(f"/v1/orders/{order['id']}/cancel", {"reason": "course_changed"})
    refused = await task_of(installation, order, "refund_failed", allows="retry")
    assert "charge_disputed" in refused["reason"]
    assert (await installation.double.control.order(order["id"])).refunds == 0

    await installation.double.control.close_dispute(dispute["stripe_dispute_id"], "won")
    await is_over(installation, dispute)
    await order_shows(installation, order["id"], lambda seen: seen["dispute_status"] == "won")
    closed = (await installation.http.get(f"/v1/tasks/{task['id']}", headers=_staff(installation))).json()
    assert (closed["status"], closed["decided_by"]) == ("done", "system")
    await decide(installation, refused, "retry")
    await installation.order_becomes(order["id"], "refunded")
    money = await installation.double.control.order(order["id"])
    assert (money.refunds, money.refunded) == (1, order["total_amount"])


@pytest.mark.parametrize("seed", [1, 2])
async def test_news_that_come_twice_and_in_any_order_end_a_lost_dispute_once(
    installation: Installation, seed: int
) -> None:
    control = installation.double.control
    await control.configure_deliveries(copies=2, shuffle_seed=seed, window_seconds=0.3)
    order, dispute = await disputed_order(installation)
    await control.answer_dispute(dispute["stripe_dispute_id"])
    await control.close_dispute(dispute["stripe_dispute_id"], "lost")
    task = await task_of(installation, order, "dispute", allows="reject")
    await decide(installation, task, "reject")
    await installation.order_becomes(order["id"], "refunded")
    await is_over(installation, dispute)
    ended = await installation.order(order["id"])
    assert (ended["dispute_status"], ended["refunds"]) == ("lost", [])
    assert (ended["payment"]["captured_amount"], ended["payment"]["refunded_amount"]) == (order["total_amount"], 0)
    assert [line["enrollment"]["status"] for line in ended["lines"]] == ["canceled"]
    assert (await control.order(order["id"])).refunds == 0

    async def nothing_is_on_its_way() -> bool:
        return (await control.delivery_counts())["pending"] == 0

    await eventually(nothing_is_on_its_way)
    await is_over(installation, dispute)
    [again] = (await disputes(installation, order_id=order["id"])).json()["items"]
    assert again["status"] == "lost"
    tasks = await installation.http.get("/v1/tasks", params={"subject_id": order["id"]}, headers=_staff(installation))
    assert tasks.json()["items"] == []
