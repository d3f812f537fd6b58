"""What staff gives back over HTTP on real parts: parts and the rest, against the policy, never more than came in."""

import asyncio
from uuid import UUID, uuid4

import httpx
from sqlalchemy import func, select, update
from sqlmodel import col

from models.tables import Certificate, Course, Dispute, Mail, Note, Payment, RefundRequest
from models.tables.columns import now
from models.vocabulary import Role
from sandbox.sample_academy import sample_id
from tests.api.test_refunds import ask, eligibility, enrolled
from tests.eventually import eventually
from tests.installation import Installation, Json
from tests.ordering import until_mailed

FULL: Json = {"cause": "goodwill", "terms": {}}


def part(amount: int) -> Json:
    return {"cause": "goodwill", "terms": {"share": "amount", "amount": amount, "access": "kept"}}


async def staff_asks(
    installation: Installation, enrollment: Json, body: Json, key: str | None = None
) -> httpx.Response:
    headers = {**installation.caller("finance", Role.STAFF), "Idempotency-Key": key or uuid4().hex}
    return await installation.http.post(f"/v1/enrollments/{enrollment['id']}/refunds", json=body, headers=headers)


async def until_over(installation: Installation, enrollment: Json) -> None:
    """Until the job of the enrollment's refund has come to its end, so that another may begin."""
    await asyncio.wait_for(installation.temporal.get_workflow_handle(f"refund-{enrollment['id']}").result(), 60)


async def test_staff_gives_a_part_back_and_later_the_rest(installation: Installation) -> None:
    maya, finance = sample_id("person", "maya"), sample_id("person", "finance")
    async with installation.sessions.begin() as session:
        hers = update(Course).where(col(Course.id) == sample_id("course", "photography"))
        await session.execute(hers.values(tutor_id=maya))
    enrollment = await enrolled(installation, "photography")
    said = "Łukasz could not see the videos for a day."
    first = await staff_asks(installation, enrollment, {**part(1000), "note": said}, key="goodwill")
    assert first.status_code == 201, first.text
    granted = first.json()
    assert (granted["status"], granted["share"], granted["access"]) == ("approved", "amount", "kept")
    assert (granted["amount"], granted["grounds"], granted["decided_by"][:6]) == (1000, ["overridden"], "staff:")
    assert [note["text"] for note in granted["notes"]] == [said]
    await until_over(installation, enrollment)
    again = await staff_asks(installation, enrollment, {**part(1000), "note": "Another text."}, key="goodwill")
    assert (again.json()["id"], len(again.json()["notes"])) == (granted["id"], 1)
    seen = (await installation.http.get(first.headers["Location"], headers=installation.caller())).json()
    assert (seen["refund_status"], seen["refunded_amount"], seen["notes"]) == ("succeeded", 1000, None)
    order = await installation.order(enrollment["order_id"])
    assert (order["status"], order["lines"][0]["enrollment"]["status"]) == ("partially_refunded", "active")

    rest = await staff_asks(installation, enrollment, {**FULL, "cause": "tutor_banned"})
    assert (rest.json()["amount"], rest.json()["access"]) == (3500, "revoked")
    await until_over(installation, enrollment)
    await installation.order_becomes(enrollment["order_id"], "refunded")
    money = await installation.double.control.order(enrollment["order_id"])
    assert (money.refunds, money.refunded) == (2, 4500)
    listed = (await installation.http.get("/v1/refunds", headers=installation.caller())).json()["items"]
    assert [(item["amount"], item["refunded_amount"]) for item in listed] == [(3500, 3500), (1000, 1000)]

    late = await staff_asks(installation, enrollment, part(1000), key="goodwill")
    assert (late.status_code, late.json()["id"]) == (201, granted["id"])
    refused = await staff_asks(installation, enrollment, FULL)
    assert (refused.status_code, refused.json()["reason"]) == (409, "refund_in_progress")

    async with installation.sessions() as session:
        to = select(col(Mail.recipient_id), func.count()).where(col(Mail.template) == "refund_notice")
        told = (await session.execute(to.group_by(col(Mail.recipient_id)))).all()
    assert {(row[0], row[1]) for row in told} == {(maya, 2), (finance, 2)}
    texts = [mail.text or "" for mail in installation.mailbox.mails()]
    for_maya = [text for text in texts if "because you teach this course" in text]
    assert all("Łukasz" in text and "10.00" not in text for text in for_maya)
    for_finance = [text for text in texts if "um die Finanzen" in text]
    assert not any("Łukasz" in text for text in for_finance)
    assert sum("10,00" in text for text in for_finance) == 1
    assert (len(for_maya), len(for_finance)) == (2, 2)
    history = await installation.temporal.get_workflow_handle(f"refund-{enrollment['id']}").fetch_history()
    assert "videos" not in history.to_json()


async def test_twenty_members_of_staff_at_once_never_give_more_than_came_in(installation: Installation) -> None:
    enrollment = await enrolled(installation, "photography")
    answers = await asyncio.gather(*(staff_asks(installation, enrollment, part(1000)) for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    granted = sum(answer.json()["amount"] for answer in answers if answer.status_code == 201)
    assert 0 < granted <= 4500
    await until_over(installation, enrollment)

    async def is_all_asked_for() -> bool:
        return bool((await installation.double.control.order(enrollment["order_id"])).refunded == granted)

    await eventually(is_all_asked_for)


async def test_a_certificate_and_a_dispute_stand_in_the_way(installation: Installation) -> None:
    enrollment = await enrolled(installation, "spanish-a1")
    async with installation.sessions.begin() as session:
        session.add(Certificate(enrollment_id=UUID(enrollment["id"])))
        intent = (await session.execute(select(Payment.payment_intent_id))).scalar_one()
    told = await eligibility(installation, enrollment)
    assert (told["is_eligible"], told["grounds"]) == (False, ["certificate_issued"])
    assert (await ask(installation, enrollment)).json()["reason"] == "refund_not_eligible"
    without = await staff_asks(installation, enrollment, FULL)
    assert (without.status_code, without.json()["reason"]) == (409, "refund_not_eligible")
    assert "note" in without.json()["detail"]
    dispute = Dispute(
        stripe_dispute_id="dp_1", order_id=UUID(enrollment["order_id"]), payment_intent_id=intent, amount=4900,
        currency="EUR", reason="fraudulent", status="needs_response", opened_at=now(),
    )  # fmt: skip
    async with installation.sessions.begin() as session:
        session.add(dispute)
    disputed = await staff_asks(installation, enrollment, {**FULL, "note": "It was issued by mistake."})
    assert "dispute_open" in disputed.json()["detail"]
    async with installation.sessions.begin() as session:
        await session.execute(update(Dispute).values(status="won"))
    granted = await staff_asks(installation, enrollment, {**FULL, "note": "It was issued by mistake."})
    assert granted.json()["grounds"] == ["overridden", "certificate_issued"]
    await installation.order_becomes(enrollment["order_id"], "refunded")
    await until_mailed(installation, "refund")


async def test_terms_are_for_staff_alone(installation: Installation) -> None:
    enrollment = await enrolled(installation, "spanish-a1")
    path = f"/v1/enrollments/{enrollment['id']}"
    mine = {**installation.caller(), "Idempotency-Key": uuid4().hex}
    for body in (FULL, {"cause": "goodwill"}, {"cause": "other", "terms": {"share": "pro_rata"}}):
        refused = await installation.http.post(f"{path}/refunds", json=body, headers=mine)
        assert (refused.status_code, refused.json()["reason"]) == (403, "role_not_allowed")
    wrong: tuple[Json, ...] = ({"share": "amount"}, {"share": "full", "amount": 1}, {"share": "amount", "amount": 0})
    for terms in wrong:
        answer = await staff_asks(installation, enrollment, {"cause": "goodwill", "terms": terms})
        assert (answer.status_code, answer.json()["reason"]) == (422, "invalid_request")
    for note in ("", "x" * 2001, "a\0b"):
        answer = await staff_asks(installation, enrollment, {"cause": "goodwill", "terms": {}, "note": note})
        assert answer.status_code == 422
    dry = f"{path}/refund-eligibility"
    assert (await installation.http.get(f"{dry}?share=full", headers=installation.caller())).status_code == 403
    staff = installation.caller("finance", Role.STAFF)
    tried = (await installation.http.get(f"{dry}?share=amount&amount=700", headers=staff)).json()
    assert (tried["is_eligible"], tried["grounds"], tried["amount"]) == (True, ["overridden"], 700)
    async with installation.sessions() as session:
        for table in (RefundRequest, Note):
            assert (await session.execute(select(func.count()).select_from(table))).scalar_one() == 0


async def test_who_bought_a_course_twice_keeps_it_when_one_is_paid_back(installation: Installation) -> None:
    enrollment = await enrolled(installation, "spanish-a1")
    second = (await installation.post_order("language-bundle")).json()
    await installation.pay(second)
    await installation.order_ends(second["id"])
    assert (await ask(installation, enrollment)).json()["status"] == "approved"
    await installation.order_becomes(enrollment["order_id"], "refunded")
    await until_mailed(installation, "refund")
    mine = (await installation.http.get("/v1/enrollments", headers=installation.caller())).json()["items"]
    course = str(sample_id("course", "spanish-a1"))
    assert {(item["status"], item["order_id"]) for item in mine if item["course_id"] == course} == {
        ("canceled", enrollment["order_id"]),
        ("active", second["id"]),
    }
    assert any("dostęp trwa nadal" in (mail.text or "") for mail in installation.mailbox.mails())
    assert (await installation.order(second["id"]))["status"] == "completed"
