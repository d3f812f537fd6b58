"""Carts over HTTP: whose they are, what may be in them, and how they become one order."""

from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, update
from sqlmodel import col
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from models.errors import Reason, refusal
from models.identifiers import cart_order_id
from models.messages.carts import ChangeCart
from models.messages.orders import OrderRequest
from models.tables import Cart, CartLine, Course, Mail, Order, Payment, Person
from models.tables.columns import now
from models.vocabulary import (
    CartStatus,
    CourseKind,
    CourseStatus,
    MailStatus,
    MailTemplate,
    OrderStatus,
    PaymentStatus,
    Role,
)
from settings import Settings
from tests.api.callers import as_, as_staff, as_student
from tests.api.carts_on_record import TakingTemporal, write_academy, write_cart, write_cart_order, written_by
from tests.api.orders_on_record import School, write_school
from tests.api.recording_temporal import not_found

GUEST = {"email": "Greta@Example.org", "full_name": "Greta Guest", "locale": "de", "time_zone": "Europe/Berlin"}


@pytest.fixture
async def school(sessions: Sessions) -> School:
    await write_academy(sessions)
    return await write_school(sessions)


@pytest.fixture
def recorder(sessions: Sessions) -> TakingTemporal:
    return TakingTemporal(work=written_by(sessions))


def changes(recorder: TakingTemporal) -> list[ChangeCart]:
    return [argument for _, argument in recorder.updates if isinstance(argument, ChangeCart)]


async def test_a_student_fills_their_cart(
    client: httpx.AsyncClient, settings: Settings, school: School, recorder: TakingTemporal
) -> None:
    cart_id = uuid4()
    answer = await client.put(
        f"/v1/carts/{cart_id}",
        json={"course_ids": [str(school.course), str(school.pack)], "coupon_code": "WELCOME10"},
        headers=as_student(settings, school.anna),
    )
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert [line["title"] for line in shown["lines"]] == ["Course", "Pack"]
    assert (shown["person_id"], shown["status"], shown["mails"]) == (str(school.anna), "open", None)
    assert shown["cutoff_at"] > shown["changed_at"]
    [(workflow_id, change)] = recorder.updates
    assert workflow_id == f"cart-{cart_id}"
    assert change == ChangeCart(
        cart_id=cart_id,
        person_id=school.anna,
        course_ids=(school.course, school.pack),
        coupon_code="WELCOME10",
        is_staff=False,
        actor=f"student:{school.anna}",
    )


@pytest.mark.parametrize(
    ("roles", "is_staff"),
    [
        ([Role.STUDENT], False),
        ([Role.TUTOR], False),
        ([Role.SERVICE], False),
        ([Role.STAFF], True),
        ([Role.ADMIN], True),
    ],
)
async def test_who_works_there_follows_from_the_token(
    client: httpx.AsyncClient,
    settings: Settings,
    school: School,
    recorder: TakingTemporal,
    roles: list[Role],
    is_staff: bool,
) -> None:
    whose = {} if roles[0] in (Role.STUDENT, Role.TUTOR) else {"person_id": str(school.anna)}
    answer = await client.put(
        f"/v1/carts/{uuid4()}",
        json={"course_ids": [str(school.course)], **whose},
        headers=as_(settings, school.anna, *roles),
    )
    assert answer.status_code == 200, answer.text
    [change] = changes(recorder)
    assert (change.person_id, change.is_staff) == (school.anna, is_staff)


async def test_a_guest_is_a_person_of_the_record_and_of_nothing_else(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    platform = as_(settings, "platform", Role.SERVICE)
    for email in ("Greta@Example.org", "greta@example.ORG"):
        answer = await client.put(
            f"/v1/carts/{uuid4()}",
            json={"course_ids": [str(school.course)], "guest": {**GUEST, "email": email}},
            headers=platform,
        )
        # The second of the same person is refused by the database here; its workflow would end the first.
        await _end_all(sessions)
        assert answer.status_code == 200, answer.text
    async with sessions() as session:
        [greta] = (await session.execute(select(Person).where(col(Person.is_guest)))).scalars()
    assert (greta.full_name, greta.locale, greta.time_zone) == ("Greta Guest", "de", "Europe/Berlin")
    assert {change.person_id for change in changes(recorder)} == {greta.id}
    assert "reta" not in "".join(change.model_dump_json() for change in changes(recorder))


async def test_a_guest_with_the_address_of_an_account_is_that_account(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    guest = {**GUEST, "email": "ANNA@example.org"}
    body = {"course_ids": [str(school.course)], "guest": guest}
    answer = await client.put(f"/v1/carts/{uuid4()}", json=body, headers=as_(settings, "platform", Role.SERVICE))
    assert answer.json()["person_id"] == str(school.anna)
    async with sessions() as session:
        assert (await session.get_one(Person, school.anna)).full_name == "anna"
        assert (await session.execute(select(func.count()).where(col(Person.is_guest)))).scalar_one() == 0


async def test_no_guest_is_left_whose_cart_came_to_nothing(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    platform, filled = as_(settings, "platform", Role.SERVICE), [str(school.course)]

    async def put(course_ids: list[str]) -> tuple[int, str]:
        body = {"course_ids": course_ids, "guest": GUEST}
        answer = await client.put(f"/v1/carts/{uuid4()}", json=body, headers=platform)
        return answer.status_code, answer.json()["reason"]

    async def guests() -> list[Person]:
        async with sessions() as session:
            return list((await session.execute(select(Person).where(col(Person.is_guest)))).scalars())

    assert await put([]) == (404, "not_found")
    assert (await guests(), recorder.updates) == ([], [])
    recorder.failures = [WorkflowUpdateFailedError(refusal(Reason.CART_OVER, "It was bought."))]
    assert await put(filled) == (409, "cart_over")
    recorder.work = None
    assert await put(filled) == (503, "unavailable")
    assert {(greta.full_name, greta.email) for greta in await guests()} == {
        ("erased", f"{greta.id}@erased.invalid") for greta in await guests()
    }


async def test_who_began_as_a_guest_is_none_with_a_token(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    no, body = {"is_subscribed": False}, {"course_ids": [str(school.course)]}

    async def is_guest() -> bool:
        async with sessions() as session:
            return (await session.get_one(Person, school.anna)).is_guest

    subscription = f"/v1/people/{school.anna}/subscriptions/cart"
    for address, said in ((f"/v1/carts/{uuid4()}", body), (subscription, no)):
        async with sessions.begin() as session:
            await session.execute(update(Person).where(col(Person.id) == school.anna).values(is_guest=True))
        await client.put(subscription, json=no, headers=as_(settings, "platform", Role.SERVICE))
        assert await is_guest()
        answer = await client.put(address, json=said, headers=as_student(settings, school.anna))
        assert (answer.status_code, await is_guest()) == (200, False), answer.text


@pytest.mark.parametrize(
    ("body", "as_whom", "reason"),
    [
        ({"person_id": str(uuid4())}, Role.STUDENT, Reason.ROLE_NOT_ALLOWED),
        ({"guest": GUEST}, Role.STUDENT, Reason.ROLE_NOT_ALLOWED),
        ({"guest": GUEST}, Role.TUTOR, Reason.ROLE_NOT_ALLOWED),
        ({}, Role.SERVICE, Reason.INVALID_REQUEST),
        ({"person_id": str(uuid4()), "guest": GUEST}, Role.SERVICE, Reason.INVALID_REQUEST),
        ({"guest": {**GUEST, "email": "nobody"}}, Role.SERVICE, Reason.INVALID_REQUEST),
        ({"guest": {**GUEST, "time_zone": "Mars/Olympus"}}, Role.SERVICE, Reason.INVALID_REQUEST),
        ({"total_amount": 1}, Role.STUDENT, Reason.INVALID_REQUEST),
        ({"is_staff": False}, Role.STUDENT, Reason.INVALID_REQUEST),
        ({"course_ids": [str(uuid4()) for _ in range(21)]}, Role.STUDENT, Reason.INVALID_REQUEST),
        ({"course_ids": [str(UUID(int=1)), str(UUID(int=1))]}, Role.STUDENT, Reason.INVALID_REQUEST),
        ({"course_ids": [str(uuid4())]}, Role.STUDENT, Reason.UNKNOWN_COURSE),
    ],
)
async def test_what_cannot_be_said_of_a_cart(
    client: httpx.AsyncClient,
    settings: Settings,
    sessions: Sessions,
    school: School,
    recorder: TakingTemporal,
    body: dict[str, object],
    as_whom: Role,
    reason: Reason,
) -> None:
    answer = await client.put(
        f"/v1/carts/{uuid4()}",
        json={"course_ids": [str(school.course)], **body},
        headers=as_(settings, school.anna, as_whom),
    )
    assert answer.json()["reason"] == reason
    assert recorder.updates == []
    async with sessions() as session:
        assert (await session.execute(select(func.count()).where(col(Person.is_guest)))).scalar_one() == 0


async def test_a_draft_is_no_course_and_a_retired_one_stays_in_the_cart(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    for status, expected in ((CourseStatus.DRAFT, 422), (CourseStatus.RETIRED, 200)):
        async with sessions.begin() as session:
            await session.execute(update(Course).where(col(Course.id) == school.course).values(status=status))
        answer = await client.put(
            f"/v1/carts/{uuid4()}",
            json={"course_ids": [str(school.course)]},
            headers=as_student(settings, school.anna),
        )
        assert answer.status_code == expected, answer.text


async def test_a_cart_is_one_persons_for_good(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    boris, body = as_student(settings, school.boris), {"course_ids": [str(school.course)]}
    for answer in (
        await client.put(f"/v1/carts/{cart_id}", json=body, headers=boris),
        await client.get(f"/v1/carts/{cart_id}", headers=boris),
        await client.post(f"/v1/carts/{cart_id}/checkout", headers=boris),
        await client.post(f"/v1/carts/{cart_id}/checkout", headers=as_staff(settings)),
        await client.put(
            f"/v1/carts/{cart_id}", json={**body, "person_id": str(school.boris)}, headers=as_staff(settings)
        ),
        await client.get(f"/v1/carts/{uuid4()}", headers=boris),
    ):
        assert (answer.status_code, answer.json()["reason"]) == (404, "not_found"), answer.text
    assert recorder.updates == []
    mine = await client.get(f"/v1/carts/{cart_id}", headers=as_student(settings, school.anna))
    assert (mine.status_code, mine.json()["mails"], mine.json()["workflow_url"]) == (200, None, None)


async def test_a_run_that_ends_under_way_is_followed_by_another(
    client: httpx.AsyncClient, settings: Settings, school: School, recorder: TakingTemporal
) -> None:
    recorder.failures = [not_found(), _closed()]
    answer = await client.put(
        f"/v1/carts/{uuid4()}", json={"course_ids": [str(school.course)]}, headers=as_student(settings, school.anna)
    )
    assert answer.status_code == 200, answer.text
    assert len(recorder.updates) == 3


async def test_a_refusal_of_the_job_is_the_callers_to_hear_and_silence_is_an_outage(
    client: httpx.AsyncClient, settings: Settings, school: School, recorder: TakingTemporal
) -> None:
    async def put() -> httpx.Response:
        body = {"course_ids": [str(school.course)]}
        return await client.put(f"/v1/carts/{uuid4()}", json=body, headers=as_student(settings, school.anna))

    recorder.failures = [WorkflowUpdateFailedError(refusal(Reason.CART_OVER, "It was bought."))]
    refused = await put()
    assert (refused.status_code, refused.json()["reason"]) == (409, "cart_over")
    recorder.work = None
    silent = await put()
    assert (silent.status_code, silent.json()["reason"]) == (503, "unavailable")


async def test_staff_sees_all_carts_and_why_a_mail_did_not_go_out(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School
) -> None:
    annas = await write_cart(sessions, school.anna, school.course)
    await write_cart(sessions, school.boris, school.course, status=CartStatus.OPEN)
    async with sessions.begin() as session:
        session.add(
            Mail(
                recipient_id=school.anna,
                template=MailTemplate.CART_REMINDER,
                subject_id=annas,
                occasion="1",
                status=MailStatus.SKIPPED,
                status_reason="no_consent",
                workflow_id=f"cart-{annas}",
            )
        )
    headers = as_staff(settings)
    everybody = (await client.get("/v1/carts?sort=changed_at", headers=headers)).json()
    assert everybody["total"] == 2
    [left] = (await client.get("/v1/carts?status=abandoned", headers=headers)).json()["items"]
    assert (left["id"], left["total"], left["workflow_url"]) == (
        str(annas),
        "€50.00",
        f"http://temporal.test/namespaces/default/workflows/cart-{annas}",
    )
    [mail] = left["mails"]
    assert (mail["number"], mail["status"], mail["reason"]) == ("1", "skipped", "no_consent")
    for query, expected in (
        (f"person_id={school.boris}", 1),
        ("from=2001-01-01T00:00:00Z&to=2002-01-01T00:00:00Z", 0),
        ("from=2001-01-01T00:00:00Z", 2),
    ):
        assert (await client.get(f"/v1/carts?{query}", headers=headers)).json()["total"] == expected
    student = await client.get("/v1/carts", headers=as_student(settings, school.anna))
    assert (student.status_code, student.json()["reason"]) == (403, "role_not_allowed")


class Cashier:
    """Places the orders that come, as the workflow's step does."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.requests: list[OrderRequest] = []

    async def __call__(self, request: object) -> object:
        if isinstance(request, str):  # the end of an order that was cancelled
            async with self.sessions.begin() as session:
                order_id = UUID(request.removeprefix("order-"))
                await session.execute(
                    update(Order).where(col(Order.id) == order_id).values(status=OrderStatus.CANCELLED)
                )
            return None
        assert isinstance(request, OrderRequest)
        self.requests.append(request)
        await write_cart_order(self.sessions, request, f"https://stripe.test/{len(self.requests)}")
        return None


@pytest.fixture
def cashier(sessions: Sessions, recorder: TakingTemporal) -> Cashier:
    recorder.work = cashier = Cashier(sessions)
    return cashier


async def test_a_cart_is_one_order_until_that_comes_to_nothing(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, cashier: Cashier
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)

    async def check_out() -> httpx.Response:
        return await client.post(f"/v1/carts/{cart_id}/checkout", headers=as_student(settings, school.anna))

    first, again = await check_out(), await check_out()
    assert (first.status_code, again.status_code) == (201, 200), first.text
    assert first.json()["id"] == again.json()["id"] == str(cart_order_id(cart_id, 1))
    assert again.headers["Location"] == f"/v1/orders/{first.json()['id']}"
    assert first.json()["payment"]["checkout_url"] == "https://stripe.test/1"
    async with sessions.begin() as session:
        await session.execute(update(Order).values(status=OrderStatus.FAILED, status_reason="payment_refused"))
    anew = await check_out()
    assert (anew.status_code, anew.json()["id"]) == (201, str(cart_order_id(cart_id, 2)))
    async with sessions() as session:
        assert (await session.get_one(Cart, cart_id)).attempts == 2
    [request, _] = cashier.requests
    assert (request.payer_id, request.payment_method, request.requested_by) == (
        school.anna,
        "checkout",
        f"student:{school.anna}",
    )


async def test_a_refused_order_can_be_tried_again_under_another_id(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    recorder.work = Cashier(sessions)
    recorder.failures = [WorkflowUpdateFailedError(refusal(Reason.COURSE_FULL, "It is full."))]
    headers = as_student(settings, school.anna)
    refused = await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    assert (refused.status_code, refused.json()["reason"]) == (409, "course_full")
    placed = await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    assert (placed.status_code, placed.json()["id"]) == (201, str(cart_order_id(cart_id, 2)))


async def test_an_order_of_what_was_in_the_cart_before_makes_way(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, cashier: Cashier
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    headers = as_student(settings, school.anna)
    await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    other = Course(
        code="OTHER",
        title="Other",
        category="test",
        kind=CourseKind.SELF_PACED,
        status=CourseStatus.PUBLISHED,
        price_amount=1,
        currency="EUR",
    )
    async with sessions.begin() as session:
        session.add(other)
        await session.flush()
        await session.execute(update(CartLine).where(col(CartLine.cart_id) == cart_id).values(course_id=other.id))
        await session.execute(update(Cart).values(changed_at=now()))
    placed = await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    assert placed.status_code == 201, placed.text
    async with sessions() as session:
        rows = (await session.execute(select(col(Order.id), col(Order.status)))).all()
        statuses = {row[0]: row[1] for row in rows}
    assert statuses == {cart_order_id(cart_id, 1): "cancelled", cart_order_id(cart_id, 2): "pending_payment"}
    assert [line.course_id for line in cashier.requests[1].lines] == [other.id]


async def test_an_order_at_another_price_makes_way(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, cashier: Cashier
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    headers = as_student(settings, school.anna)
    await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    async with sessions.begin() as session:
        await session.execute(update(Course).where(col(Course.id) == school.course).values(price_amount=4000))
    placed = await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    assert (placed.status_code, placed.json()["id"]) == (201, str(cart_order_id(cart_id, 2)))
    async with sessions.begin() as session:
        await session.execute(update(Course).where(col(Course.id) == school.course).values(status="retired"))
    refused = await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    assert (refused.status_code, refused.json()["reason"]) == (409, "course_not_published")
    async with sessions() as session:
        assert (await session.get_one(Order, cart_order_id(cart_id, 2))).status == "pending_payment"


async def test_an_order_that_a_bank_works_on_is_left_alone(
    client: httpx.AsyncClient,
    settings: Settings,
    sessions: Sessions,
    school: School,
    cashier: Cashier,
    recorder: TakingTemporal,
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    headers = as_student(settings, school.anna)
    first = await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    async with sessions.begin() as session:
        await session.execute(update(Payment).values(status=PaymentStatus.PROCESSING))
    again = await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    async with sessions.begin() as session:
        session.add(CartLine(cart_id=cart_id, course_id=school.pack, position=2))
    refused = await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    assert (refused.status_code, refused.json()["reason"]) == (409, "order_not_cancelable")
    assert recorder.signals == []
    assert len(cashier.requests) == 1


async def test_a_bank_that_is_faster_than_the_wish_to_make_way_is_told(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    async def bank_was_faster(request: object) -> object:
        if isinstance(request, OrderRequest):
            return await Cashier(sessions)(request)
        async with sessions.begin() as session:
            await session.execute(update(Payment).values(status=PaymentStatus.PROCESSING))
        raise TimeoutError

    recorder.work = bank_was_faster
    cart_id = await write_cart(sessions, school.anna, school.course)
    headers = as_student(settings, school.anna)
    await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    async with sessions.begin() as session:
        await session.execute(update(Course).where(col(Course.id) == school.course).values(price_amount=4000))
    refused = await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    assert (refused.status_code, refused.json()["reason"]) == (409, "order_not_cancelable")
    assert recorder.signals == [(f"order-{cart_order_id(cart_id, 1)}", "cancel")]


async def test_another_click_that_ordered_something_else_is_not_taken_for_this_one(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, recorder: TakingTemporal
) -> None:
    cart_id = await write_cart(sessions, school.anna, school.course)
    recorder.work = Cashier(sessions)
    recorder.failures = [WorkflowUpdateFailedError(refusal(Reason.IDEMPOTENCY_KEY_REUSED, "Another request."))]
    headers = as_student(settings, school.anna)
    refused = await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
    assert (refused.status_code, refused.json()["reason"]) == (503, "unavailable")


async def test_what_is_over_or_empty_is_not_ordered(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, school: School, cashier: Cashier
) -> None:
    lost = await write_cart(sessions, school.anna, status=CartStatus.LOST)
    empty = await write_cart(sessions, school.anna)
    headers = as_student(settings, school.anna)
    for cart_id, reason in ((lost, "cart_over"), (empty, "cart_empty")):
        refused = await client.post(f"/v1/carts/{cart_id}/checkout", headers=headers)
        assert (refused.status_code, refused.json()["reason"]) == (409, reason)
    assert cashier.requests == []


def _closed() -> Exception:
    return WorkflowUpdateFailedError(ApplicationError("the run closed", type="AcceptedUpdateCompletedWorkflow"))


async def _end_all(sessions: Sessions) -> None:
    async with sessions.begin() as session:
        await session.execute(update(Cart).values(status=CartStatus.CLEARED))
