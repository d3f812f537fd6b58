"""The clock of carts: real time, but in demonstrations on the Stripe double."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rules.cart import CUTOFF, DELAYS, hastened
from rules.marketing import QUIET_FROM, QUIET_UNTIL
from sandbox.cart_scenes import CLOCK_SPEED, awake_zone
from settings import Settings

NEEDED = {
    "database_url": "postgresql+asyncpg://x",
    "stripe_api_key": "sk_test_sandbox",
    "stripe_webhook_secrets": "whsec_x",
    "smtp_url": "smtp://localhost",
    "files_url": "file:///tmp",
}


@given(st.timedeltas(min_value=timedelta(0)))
def test_a_clock_of_speed_one_is_the_real_one(wait: timedelta) -> None:
    assert hastened(wait, 1) == wait


def test_a_demonstration_takes_seconds() -> None:
    assert hastened(CUTOFF, CLOCK_SPEED) == timedelta(seconds=1.5)
    assert hastened(DELAYS[0], CLOCK_SPEED) == timedelta(seconds=3)


@pytest.mark.parametrize(
    "changed",
    [
        {"stripe_api_base": None},
        {"stripe_api_key": "sk_live_x"},
        {"cart_clock_speed": 0.5},
        {"cart_clock_speed": "inf"},
        {"cart_clock_speed": "nan"},
    ],
)
def test_nobody_hastens_real_carts(changed: dict[str, object]) -> None:
    of_a_demonstration = {**NEEDED, "stripe_api_base": "http://127.0.0.1:1", "cart_clock_speed": 1200}
    assert Settings.model_validate(of_a_demonstration).cart_clock_speed == 1200
    with pytest.raises(ValidationError):
        Settings.model_validate({**of_a_demonstration, **changed})
    assert Settings.model_validate({**NEEDED, "stripe_api_key": "sk_live_x"}).cart_clock_speed == 1


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - made aware
def test_the_demonstration_is_never_held_up_by_the_night(moment: datetime) -> None:
    clock = moment.astimezone(ZoneInfo(awake_zone(moment))).time()
    assert QUIET_UNTIL <= clock < QUIET_FROM
