"""What students and tutors see of a refund, and what only the academy knows."""

from uuid import UUID

import pytest

from models.tables import RefundRequest
from models.tables.columns import now
from models.vocabulary import RefundCause
from routes.refund_views import refund_view


def seen(cause: RefundCause, actor: str, *, is_staff: bool) -> tuple[str, str, str | None]:
    request = RefundRequest(
        enrollment_id=UUID(int=1), cause=cause, status="approved", grounds=[], amount=4500, currency="EUR",
        requested_by=actor, decided_by=actor, decided_at=now(), workflow_id="w",
    )  # fmt: skip
    view = refund_view((request, UUID(int=2), None), [] if is_staff else None)  # type: ignore[arg-type]
    return view.cause, view.requested_by, view.decided_by


@pytest.mark.parametrize("cause", [RefundCause.TUTOR_BANNED, RefundCause.TUTOR_SUSPENDED])
def test_why_a_tutor_is_gone_is_known_to_staff_alone(cause: RefundCause) -> None:
    assert seen(cause, "admin:frida", is_staff=True) == (cause, "admin:frida", "admin:frida")
    assert seen(cause, "admin:frida", is_staff=False) == ("other", "admin", "admin")


def test_who_asked_for_themselves_is_named_as_they_are() -> None:
    assert seen(RefundCause.NO_TIME, "student:7", is_staff=False) == ("no_time", "student:7", "student:7")
