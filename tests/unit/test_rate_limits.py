"""Who asks often waits, whoever else asks; what is remembered of callers has an end."""

import pytest
from starlette.requests import Request

from routes import rate_limits
from routes.rate_limits import A_MINUTE, RateLimit


def of(host: str) -> Request:
    return Request({"type": "http", "client": (host, 1)})


class Clock:
    """A clock that stands still unless it is moved."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_so_many_in_any_minute() -> None:
    clock = Clock()
    limit = RateLimit(clock)
    for _ in range(A_MINUTE):
        clock.seconds += 1
        assert limit.wait_of(of("192.0.2.1")) is None
    assert limit.wait_of(of("192.0.2.1")) == 61 - A_MINUTE
    assert limit.wait_of(of("192.0.2.2")) is None
    clock.seconds = 61
    assert [limit.wait_of(of("192.0.2.1")) for _ in range(2)] == [None, 1]


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("unix", "unix", True),
    ],
)
def test_who_is_one_caller(first: str, second: str, *, is_one: bool) -> None:
    limit = RateLimit(Clock())
    for _ in range(A_MINUTE):
        limit.wait_of(of(first))
    assert (limit.wait_of(of(second)) is not None) == is_one


def test_callers_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    limit = RateLimit(clock)
    for number in range(200):
        limit.wait_of(of(f"192.0.2.{number}"))
    assert len(limit) == 200
    clock.seconds = 60
    limit.wait_of(of("198.51.100.1"))
    assert len(limit) == 1
    monkeypatch.setattr(rate_limits, "MAX_CALLERS", 10)
    for number in range(200):
        limit.wait_of(of(f"192.0.2.{number}"))
    assert len(limit) == 10
