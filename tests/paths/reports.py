"""Files for the office, and what is done to many jobs at once."""

from tests.eventually import eventually
from tests.paths.scene import Scene, path


@path
async def exports(scene: Scene) -> None:
    installation = scene.installation
    order = (await installation.post_order("spanish-a1")).json()
    await installation.pay(order)
    await installation.order_ends(order["id"])
    for report, format_ in (("orders", "pdf"), ("sales", "pdf"), ("enrollments", "csv")):
        span = {"date_from": "2026-01-01", "date_until": "2030-01-01"}
        body = {"report": report, "format": format_, "filters": span}
        export = (await installation.staff_posts("/v1/exports", body, report)).json()
        await scene.keep_ended(f"export_of_{report}", f"export-{export['id']}")


@path
async def job_action(scene: Scene) -> None:
    installation = scene.installation
    waiting = (await installation.post_order("spanish-a1", by="aoife")).json()
    query = f'RegistrarOrderId="{waiting["id"]}"'

    async def is_listed() -> bool:
        return [each async for each in installation.temporal.list_workflows(query)] != []

    await eventually(is_listed)
    action = (await installation.staff_posts("/v1/job-actions", {"action": "cancel", "query": query}, "all")).json()
    await scene.keep_ended("job_action", f"job-action-{action['id']}")
