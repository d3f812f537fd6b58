"""Certificates: issued, revoked, corrected, and for many at once."""

from sqlalchemy import update

from models.tables import CourseCertificate
from sandbox.sample_academy import sample_id
from tests.api.test_certificate_end_to_end import a_place, complete, file_of, is_over
from tests.api.uploads import PDF
from tests.ordering import until_mailed
from tests.paths.scene import Scene, path


@path
async def certificate_corrected(scene: Scene) -> None:
    installation = scene.installation
    place = await a_place(installation, "grace")
    exception = {"exception_note": "She has taught this course before."}
    granted = (await installation.staff_posts(f"/v1/enrollments/{place}/certificate", exception)).json()
    [certificate] = granted["certificates"]
    await file_of(installation, certificate["id"], "grace")
    await until_mailed(installation, "certificate_issued")
    await scene.keep("certificate_issued", f"certificate-{place}")
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
    await scene.keep("certificate_corrected", f"certificate-{place}")


@path
async def certificates_for_many(scene: Scene) -> None:
    installation = scene.installation
    async with installation.sessions.begin() as session:
        await session.execute(update(CourseCertificate).values(valid_days=365, grace_days=30))
    unnamed, certified = [await a_place(installation, student) for student in ("lukasz", "layla")]
    await complete(installation, certified, unnamed)
    at = f"/v1/courses/{sample_id('course', 'study-skills')}/certificates"
    batch = (await installation.staff_posts(at, {})).json()
    await scene.keep_ended("certificate_batch", f"certificate-batch-{batch['id']}")
    await until_mailed(installation, "certificate_name_needed")
    await scene.keep("certificate_waits_for_a_name", f"certificate-{unnamed}")
    await scene.keep("certificate_expires", f"certificate-{certified}")
