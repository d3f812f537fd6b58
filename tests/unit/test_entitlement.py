"""What a student has already, and what an order still has to bring."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import Reason
from models.messages.orders import MAX_PLACES, OrderLineRequest
from models.quote import Quote, QuotedLine, Share
from models.vocabulary import CourseKind, EnrollmentStatus
from rules.decision import Refused
from rules.entitlement import Place, WantedPlaces, share_out, wanted_places
from rules.offers import CourseOnSale, IncludedCourse
from tests.unit.offers import NOW, a_course

STUDENT = uuid4()


def a_bundle(*weights: int, currency: str = "EUR") -> CourseOnSale:
    included = tuple(IncludedCourse(uuid4(), weight) for weight in weights)
    return a_course(currency=currency, kind=CourseKind.BUNDLE, included=included)


def a_place(course_id: UUID, status: EnrollmentStatus = EnrollmentStatus.ACTIVE, days_left: int | None = None) -> Place:
    ends_at = None if days_left is None else NOW + timedelta(days=days_left)
    return Place(uuid4(), course_id, STUDENT, status, ends_at)


def decide(*courses: CourseOnSale, places: tuple[Place, ...] = ()) -> WantedPlaces | Refused:
    lines = [OrderLineRequest(course_id=course.id, student_id=STUDENT) for course in courses]
    return wanted_places(lines, {course.id: course for course in courses}, places, NOW)


@pytest.mark.parametrize(
    ("status", "days_left", "has"),
    [
        (EnrollmentStatus.ACTIVE, None, True),
        (EnrollmentStatus.ACTIVE, 1, True),
        (EnrollmentStatus.ACTIVE, 0, False),
        (EnrollmentStatus.COMPLETED, 1, True),
        (EnrollmentStatus.COMPLETED, -1, False),
        (EnrollmentStatus.CANCELED, None, False),
        (EnrollmentStatus.EXPIRED, None, False),
    ],
)
def test_valid_access_is_what_one_has(status: EnrollmentStatus, days_left: int | None, has: bool) -> None:
    course = a_course()
    place = a_place(course.id, status, days_left)
    wanted = decide(course, places=(place,))
    assert isinstance(wanted, WantedPlaces)
    assert wanted.entitled == ({(course.id, STUDENT)} if has else set())
    assert wanted.missing == (() if has else (course.id,),)
    makes_room = status is EnrollmentStatus.ACTIVE and not has
    assert wanted.over == ((place.enrollment_id,) if makes_room else ())


@pytest.mark.parametrize("kind", [CourseKind.SELF_PACED, CourseKind.TUTOR_PACK])
@pytest.mark.parametrize("status", ["pending_approval", "waitlisted", "pending_payment", "suspended"])
def test_a_place_on_its_way_refuses_another(kind: CourseKind, status: str) -> None:
    course = a_course(kind=kind)
    # Access of an earlier purchase does not help: the other place would still be in the way.
    places = (a_place(course.id, EnrollmentStatus(status)), a_place(course.id, EnrollmentStatus.COMPLETED))
    refused = decide(course, places=places)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.ALREADY_ENROLLED


def test_places_of_other_students_do_not_count() -> None:
    course = a_course()
    other = Place(uuid4(), course.id, uuid4(), EnrollmentStatus.ACTIVE, None)
    wanted = decide(course, places=(other,))
    assert wanted == WantedPlaces(entitled=frozenset(), missing=((course.id,),), over=())


def test_courses_that_are_not_known_are_left_to_pricing() -> None:
    line = OrderLineRequest(course_id=uuid4(), student_id=STUDENT)
    assert wanted_places([line], {}, (), NOW) == WantedPlaces(entitled=frozenset(), missing=((),), over=())


def test_a_bundle_that_is_not_on_sale_entitles_nobody() -> None:
    assert decide(a_bundle()) == WantedPlaces(entitled=frozenset(), missing=((),), over=())


def test_an_order_brings_a_limited_number_of_places() -> None:
    bundles = [a_bundle(*[1] * (MAX_PLACES // 2)) for _ in range(3)]
    assert isinstance(decide(*bundles[:2]), WantedPlaces)
    refused = decide(*bundles)
    assert isinstance(refused, Refused)
    assert refused.reason is Reason.INVALID_REQUEST


@given(
    weights=st.lists(st.integers(0, 10**6), min_size=1, max_size=6),
    held=st.sets(st.integers(0, 5)),
    total=st.integers(0, 10**6),
    currency=st.sampled_from(["EUR", "KWD"]),
)
def test_the_shares_of_the_rest_make_up_the_line(weights: list[int], held: set[int], total: int, currency: str) -> None:
    step = 10 if currency == "KWD" else 1
    total *= step
    bundle = a_bundle(*weights, currency=currency)
    owned = [each.course_id for number, each in enumerate(bundle.included) if number in held]
    wanted = decide(bundle, places=tuple(a_place(course_id) for course_id in owned))
    assert isinstance(wanted, WantedPlaces)
    rest = [each.course_id for each in bundle.included if each.course_id not in owned]
    assert wanted.missing == (tuple(rest),)
    everything = tuple(Share(course_id=each.course_id, amount=0) for each in bundle.included)
    line = QuotedLine(
        course_id=bundle.id, student_id=STUDENT, title="A bundle", list_amount=total, discount_amount=0,
        total_amount=total, shares=everything if rest else (), already_entitled=not rest,
    )  # fmt: skip
    quote = Quote(
        currency=currency, lines=(line,), list_amount=total, discount_amount=0, total_amount=total, reasons=()
    )
    [shared] = share_out(quote, wanted, {bundle.id: bundle}).lines
    assert [share.course_id for share in shared.shares] == rest
    if owned and rest:
        assert sum(share.amount for share in shared.shares) == total
        assert all(share.amount % step == 0 for share in shared.shares)
