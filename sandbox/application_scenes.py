"""The scenes about people who want to become tutors, and who reviews them."""

import struct
import zlib
from datetime import UTC, datetime, timedelta
from io import BytesIO
from zoneinfo import ZoneInfo

from reportlab.pdfgen.canvas import Canvas

from models.vocabulary import Role
from sandbox.play import Json, Player, Scene
from sandbox.sample_academy import read_academy, sample_id

_APPLICATIONS = "/v1/tutor-applications"


async def tutor_approved(player: Player, scene: Scene) -> None:
    player.say("Ελένη wants to teach Spanish; she begins an application and sends it too early")
    path = await _begun(player, scene, "eleni", bio="I have taught Spanish in Athens for nine years.")
    problem = (await player.ask(f"{path}/submit", {}, "eleni")).json()
    if problem.get("reason") != "application_incomplete":
        raise AssertionError(f"expected the refusal application_incomplete, got {problem}")
    missing = ", ".join(each["pointer"].removeprefix("#/") for each in problem["errors"])
    player.say(f"Refused with {problem['status']} {problem['reason']}: {missing}")
    player.say("She says what is missing, shows who she is and what she has learned, and sends it again")
    said = {"qualifications": "Hispanic studies, University of Athens", "certifications": "DELE C2", "bio": "Hola."}
    await player.patch(path, {**said, "subjects": ["spanish"]}, "eleni")
    identity = await _shown(player, path, "eleni", ("passport.png", _picture()), kind="identity")
    expires_on = (datetime.now(UTC).date() + timedelta(days=3 * 365)).isoformat()
    diploma: Json = {"kind": "certification", "subject": "spanish", "expires_on": expires_on}
    first = await _shown(player, path, "eleni", ("dele.pdf", _paper("DELE C2, page 1 of 2")), **diploma)
    await player.post(f"{path}/submit", {}, "eleni")
    reviewer = await _taken_up(player, path)

    player.say("The reviewer accepts the passport; the second page of the diploma is missing, so more is asked for")
    await _judged(player, path, identity, reviewer, verdict="accepted")
    await _judged(player, path, first, reviewer, verdict="rejected", reason="document_unreadable")
    asked = {"action": "request_info", "reasons": ["document_unreadable"], "message": "Please send both pages."}
    await player.post(f"{path}/decision", asked, reviewer, Role.STAFF)
    waiting = await player.application_is(path, "info_requested", "eleni")
    player.say(f"The reviewers' clock stops; Ελένη has until {_moment(waiting['info_due_at'])}")

    player.say("She sends a new version and answers; the same reviewer goes on")
    both = ("dele.pdf", _paper("DELE C2, page 1 of 2", "DELE C2, page 2 of 2"))
    second = await _shown(player, path, "eleni", both, replaces=first["id"], **diploma)
    await player.post(f"{path}/answer", {"message": "Both pages, sorry!"}, "eleni")
    reviewer = await _taken_up(player, path)
    await _judged(player, path, second, reviewer, verdict="accepted")
    await player.post(f"{path}/decision", {"action": "approve", "note": "A pleasure."}, reviewer, Role.STAFF)
    done = await player.application_is(path, "approved", "eleni")
    scene.state = done["status"]
    # That it arrived, what is asked for, the welcome; and to the reviewer for each of the two reviews.
    await player.told_of_application(done["id"], "eleni", times=5)
    player.say("Approved: the profile is shown, she has the role of a tutor, and is welcomed by mail")


async def tutor_rejected(player: Player, scene: Scene) -> None:
    player.say("अर्जुन applies to teach mathematics with a passport that is not his")
    said = {"bio": "Trust me.", "qualifications": "Many.", "subjects": ["mathematics"]}
    path = await _begun(player, scene, "arjun", **said)
    identity = await _shown(player, path, "arjun", ("passport.pdf", _paper("Passport")), kind="identity")
    await player.post(f"{path}/submit", {}, "arjun")
    reviewer = await _taken_up(player, path)
    await _judged(player, path, identity, reviewer, verdict="rejected", reason="document_forged")
    hard = {"action": "reject_hard", "reasons": ["document_forged"], "note": "The photo was pasted in."}
    await player.post(f"{path}/decision", hard, reviewer, Role.STAFF)
    seen = await player.review_is(path, "tutor_second_opinion")
    agreed = {"action": "approve", "task_id": seen["review"]["task_id"]}
    player.say("A hard rejection needs two people, and the first is not the second")
    problem = (await player.ask(f"{path}/decision", agreed, reviewer, Role.STAFF)).json()
    if problem.get("reason") != "four_eyes_required":
        raise AssertionError(f"expected the refusal four_eyes_required, got {problem}")
    player.say(f"Refused with {problem['status']} {problem['reason']}: {problem['detail']}")
    colleague = next(key for key in _reviewers().values() if key != reviewer)
    player.say(f"{_name(colleague)} looks too, and agrees")
    await player.post(f"{path}/decision", agreed, colleague, Role.STAFF)
    done = await player.application_is(path, "rejected_hard", "arjun")
    again = (await player.ask(_APPLICATIONS, {}, "arjun")).json()
    if again.get("reason") != "reapply_too_soon":
        raise AssertionError(f"expected the refusal reapply_too_soon, got {again}")
    # That it arrived, the decision; and to the reviewer.
    await player.told_of_application(done["id"], "arjun", times=3)
    player.say(f"He is told why, and may apply again from {_moment(done['reapply_at'])} on")
    scene.state = done["status"]


async def _begun(player: Player, scene: Scene, applicant: str, **said: object) -> str:
    begun: Json = (await player.post(_APPLICATIONS, {}, applicant)).json()
    scene.workflow_id = f"tutor-application-{begun['id']}"
    scene.to_open = f"records/{applicant}.pdf"
    scene.facts = {"application_id": begun["id"], "web_ui": player.link(scene.workflow_id)}
    path = f"{_APPLICATIONS}/{begun['id']}"
    await player.patch(path, said, applicant)
    return path


async def _shown(player: Player, path: str, applicant: str, file: tuple[str, bytes], **fields: str) -> Json:
    """The document as the academy has it now."""
    document: Json = (await player.upload(f"{path}/documents", fields, file, applicant)).json()
    return document


async def _taken_up(player: Player, path: str) -> str:
    """Wait for a reviewer, and say who it is and until when they have time."""
    review = (await player.review_is(path, "tutor_review"))["review"]
    reviewer = _reviewers()[review["reviewer_id"]]
    player.say(f"It is {_name(reviewer)}'s turn to review it, until {_moment(review['due_at'])}")
    return reviewer


async def _judged(player: Player, path: str, document: Json, reviewer: str, **verdict: str) -> None:
    await player.post(f"{path}/documents/{document['id']}/verdict", dict(verdict), reviewer, Role.STAFF)


def _reviewers() -> dict[str, str]:
    """The keys of the sample academy's reviewers, by id."""
    return {str(sample_id("person", each.person)): each.person for each in read_academy().reviewers}


def _name(key: str) -> str:
    return next(person.full_name for person in read_academy().people if person.key == key)


def _moment(moment: str) -> str:
    """The moment on the academy's clocks."""
    return f"{datetime.fromisoformat(moment).astimezone(ZoneInfo(read_academy().academy.time_zone)):%Y-%m-%d %H:%M}"


def _paper(*pages: str) -> bytes:
    """A small PDF with a line on each page."""
    pdf = BytesIO()
    canvas = Canvas(pdf)
    for line in pages:
        canvas.drawString(72, 720, line)
        canvas.showPage()
    canvas.save()
    return pdf.getvalue()


def _picture(side: int = 32) -> bytes:
    """A small PNG, all of one color."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = (b"\0" + b"\x2f\x4b\xdd" * side) * side
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
