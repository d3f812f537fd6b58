"""How carts are reminded of: read by staff, set by admins, and only within what makes sense."""

import httpx
import pytest
from sqlalchemy import select

from activities.database import Sessions
from models.tables import AuditEntry, CartSettings
from models.vocabulary import Role
from settings import Settings
from tests.api.callers import as_, as_staff
from tests.api.carts_on_record import write_academy

ADDRESS = "/v1/cart-settings"
DEFAULTS = {
    "is_enabled": True,
    "tracks_staff": False,
    "cutoff_minutes": 30,
    "delays_minutes": [60, 1440, 4320],
    "coupon_percent": None,
    "consent_mode": "opt_in",
    "utm_source": None,
    "utm_medium": None,
    "utm_campaign": None,
}


@pytest.fixture
def admin(settings: Settings) -> dict[str, str]:
    return as_(settings, "ada", Role.ADMIN)


async def test_the_defaults_hold_until_somebody_sets_them(
    client: httpx.AsyncClient, settings: Settings, sessions: Sessions, admin: dict[str, str]
) -> None:
    academy_id = await write_academy(sessions)
    assert (await client.get(ADDRESS, headers=as_staff(settings))).json() == DEFAULTS
    wanted = {**DEFAULTS, "delays_minutes": [60, 600], "coupon_percent": 10, "utm_source": "registrar"}
    for _ in range(2):
        answer = await client.put(ADDRESS, json=wanted, headers=admin)
        assert (answer.status_code, answer.json()) == (200, wanted)
    assert (await client.get(ADDRESS, headers=as_staff(settings))).json() == wanted
    off = await client.put(ADDRESS, json={"is_enabled": False}, headers=admin)
    assert off.json() == {**DEFAULTS, "is_enabled": False}
    async with sessions() as session:
        [row] = (await session.execute(select(CartSettings))).scalars()
        assert (row.academy_id, row.delays_minutes, row.coupon_percent) == (academy_id, [60, 1440, 4320], None)
        entries = (await session.execute(select(AuditEntry).order_by(AuditEntry.created_at))).scalars().all()
    assert [(entry.actor, entry.from_state, entry.to_state) for entry in entries] == [
        ("admin:ada", None, "enabled"),
        ("admin:ada", "enabled", "disabled"),
    ]


async def test_only_admins_set_them(client: httpx.AsyncClient, settings: Settings, sessions: Sessions) -> None:
    await write_academy(sessions)
    for headers in (as_staff(settings), as_(settings, "platform", Role.SERVICE)):
        assert (await client.put(ADDRESS, json={}, headers=headers)).json()["reason"] == "role_not_allowed"
    platform = await client.get(ADDRESS, headers=as_(settings, "platform", Role.SERVICE))
    assert platform.json()["reason"] == "role_not_allowed"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"cutoff_minutes": 9}, "#/cutoff_minutes"),
        ({"cutoff_minutes": 1441}, "#/cutoff_minutes"),
        ({"delays_minutes": [60, 60]}, "#/delays_minutes"),
        ({"delays_minutes": [120, 60]}, "#/delays_minutes"),
        ({"delays_minutes": [1, 2, 3, 4, 5, 6]}, "#/delays_minutes"),
        ({"delays_minutes": [0]}, "#/delays_minutes/0"),
        ({"delays_minutes": [43200]}, "#/delays_minutes/0"),
        ({"coupon_percent": 0}, "#/coupon_percent"),
        ({"coupon_percent": 101}, "#/coupon_percent"),
        ({"consent_mode": "always"}, "#/consent_mode"),
        ({"utm_source": "a b"}, "#/utm_source"),
        ({"academy_id": "x"}, "#/academy_id"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    client: httpx.AsyncClient, sessions: Sessions, admin: dict[str, str], body: dict[str, object], pointer: str
) -> None:
    await write_academy(sessions)
    answer = await client.put(ADDRESS, json=body, headers=admin)
    assert (answer.status_code, [error["pointer"] for error in answer.json()["errors"]]) == (422, [pointer])
    async with sessions() as session:
        assert (await session.execute(select(CartSettings))).all() == []


async def test_no_mails_at_all_can_be_wanted(
    client: httpx.AsyncClient, sessions: Sessions, admin: dict[str, str]
) -> None:
    await write_academy(sessions)
    answer = await client.put(ADDRESS, json={"delays_minutes": [], "cutoff_minutes": 1440}, headers=admin)
    assert answer.json()["delays_minutes"] == []
