"""The scene of the demo about certificates: a name is confirmed, a certificate issued, checked, revoked, reinstated."""

from datetime import timedelta

import httpx

from models.identifiers import certificate_workflow_id
from models.vocabulary import Role
from sandbox.play import Json, Player, Scene
from sandbox.sample_academy import sample_id


async def certified(player: Player, scene: Scene) -> None:
    player.say("Łukasz takes the free course; he has passed the exam on paper, so staff makes an exception")
    order: Json = (await player.order("lukasz", "study-skills")).raise_for_status().json()
    await player.order_is(order["id"], "completed", "lukasz")
    [place] = (await player.get(f"/v1/enrollments?course_id={sample_id('course', 'study-skills')}", "lukasz"))["items"]
    scene.workflow_id = certificate_workflow_id(place["id"])
    exception = {"exception_note": "Passed the exam on paper."}
    path = f"/v1/enrollments/{place['id']}/certificate"
    waiting: Json = (await player.post(path, exception, "support", Role.STAFF)).json()
    player.say(f"It waits ({', '.join(waiting['grounds'])}): he is asked by mail how his name is to be printed")
    await player.told_of(place["title"], "lukasz", times=2)
    legal_name = f"/v1/people/{sample_id('person', 'lukasz')}/legal-name"
    await player.put(legal_name, {"name": "Łukasz Jan Żółciński"}, "lukasz")
    certificate = await player.certificate_is_rendered(place["id"], "lukasz")
    await player.told_of(certificate["number"], "lukasz")
    player.say(f"{certificate['number']} is issued, set and mailed; its QR code leads to {certificate['verify_url']}")
    await _page_says(certificate, "valid", "Łukasz Jan Żółciński")
    body = {"reason": "issued_in_error", "note": "The paper was somebody else's."}
    await player.post(f"/v1/certificates/{certificate['id']}/revoke", body, "support", Role.STAFF)
    await _page_says(certificate, "revoked", "issued in error")
    player.say("Revoked: the page says so at once, and why; he gets a mail")
    await player.told_of(certificate["number"], "lukasz", times=2)
    await player.post(f"/v1/certificates/{certificate['id']}/reinstate", {}, "support", Role.STAFF)
    await _page_says(certificate, "valid", certificate["number"])
    player.say("It was his after all: reinstated, and the page says that it is valid")
    scene.state = (await player.get(f"/v1/certificates/{certificate['id']}", "lukasz"))["status"]
    scene.to_open = f"certificates/{certificate['number']}.pdf"
    scene.facts = {"certificate_id": certificate["id"], "caller": "lukasz", "verify_url": certificate["verify_url"]}


async def _page_says(certificate: Json, validity: str, words: str) -> None:
    """Check the certificate as a program, and as somebody with a browser. Raises `AssertionError`."""
    async with httpx.AsyncClient(timeout=timedelta(seconds=30).total_seconds()) as anybody:
        told = (await anybody.get(certificate["verify_url"], headers={"Accept": "application/json"})).json()
        page = (await anybody.get(certificate["verify_url"], headers={"Accept": "text/html"})).text
    if told["validity"] != validity or words not in page:
        raise AssertionError(f"the page says {told['validity']}, not {validity}, or lacks “{words}”")


CERTIFICATE_SCENES = [Scene("A certificate, checked by anybody", certified)]
