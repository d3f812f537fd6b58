"""What is said about learning has moments that every zone, wait and pause can be reckoned from."""

from uuid import UUID

import pytest
from pydantic import ValidationError

from models.messages.learning import ChangeEnrollment

NOBODY = UUID(int=0)


def wish(**said: str) -> ChangeEnrollment:
    return ChangeEnrollment.model_validate(
        {"change_id": NOBODY, "enrollment_id": NOBODY, "change": "set_access", "actor": "staff:7", **said}
    )


@pytest.mark.parametrize("field", ["until", "starts_at", "access_ends_at"])
@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-03-02T11:00:00"])
def test_a_moment_is_within_reach_and_has_a_zone(field: str, moment: str) -> None:
    assert wish(**{field: "2026-03-02T11:00:00+01:00"})
    with pytest.raises(ValidationError):
        wish(**{field: moment})
