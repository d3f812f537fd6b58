"""Saves the histories of this release: `pytest tests/replay/record.py` writes `histories/<version>/*.json`.

Not collected by default. Run it when a release is made, and never change a file of an older one.
"""

import re
from importlib.metadata import version
from pathlib import Path

from models.vocabulary import Role
from tests.installation import Installation

TARGET = Path(__file__).parent / "histories" / version("registrar")


async def _save(installation: Installation, name: str, order_id: str) -> None:
    history = await installation.temporal.get_workflow_handle(f"order-{order_id}").fetch_history()
    TARGET.mkdir(parents=True, exist_ok=True)
    # Which machine and process ran it, and from which folder, is nobody's business.
    told = re.sub(r'"\d+@[^"]*"', '"worker"', history.to_json())
    (TARGET / f"{name}.json").write_text(re.sub(r'"stackTrace": *"(?:[^"\\]|\\.)*"', '"stackTrace": ""', told))


async def test_record(installation: Installation) -> None:
    paid = (await installation.post_order("spanish-a1", "study-skills", coupon_code="WELCOME10")).json()
    await installation.pay(paid)
    await installation.order_ends(paid["id"])
    await _save(installation, "paid", paid["id"])

    free = (await installation.post_order("study-skills", by="grace")).json()
    await installation.order_ends(free["id"])
    await _save(installation, "free", free["id"])

    waiting = (await installation.post_order("thesis-seminar", by="aoife")).json()
    await _save(installation, "waiting", waiting["id"])

    refused = [run.id async for run in installation.temporal.list_workflows()]
    assert (await installation.post_order("thesis-seminar", by="grace")).json()["reason"] == "course_full"
    [new] = [run.id async for run in installation.temporal.list_workflows() if run.id not in refused]
    await _save(installation, "refused", new.removeprefix("order-"))

    await installation.http.post(
        f"/v1/orders/{waiting['id']}/cancel",
        json={"reason": "changed_mind"},
        headers=installation.caller("finance", Role.STAFF),
    )
    await installation.order_ends(waiting["id"], "cancelled")
    await _save(installation, "cancelled", waiting["id"])
