"""How the academy reminds of carts."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Body, Depends
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import select
from sqlmodel import col

from activities.cart_settings import keep_cart_settings
from models.errors import Reason
from models.messages.carts import MAX_REMINDERS
from models.tables import Academy, CartSettings
from models.vocabulary import ConsentMode, Role
from routes.authentication import REFUSALS, AuthenticatedRoute, require
from routes.documentation import answer, problems
from routes.parts import TheConnections
from routes.problems import ProblemError
from routes.tokens import Principal
from rules.cart import CUTOFF, DELAYS, LOST_AFTER

router = APIRouter(prefix="/v1/cart-settings", tags=["carts"], route_class=AuthenticatedRoute)

_MINUTE = 60
_LONGEST_DELAY = int(LOST_AFTER.total_seconds()) // _MINUTE - 1
_UtmWord = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
_Delay = Annotated[int, Field(ge=1, le=_LONGEST_DELAY)]


class CartSettingsView(BaseModel):
    """What holds for carts that are changed from now on."""

    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)

    is_enabled: bool = Field(default=True, description="whether carts are watched at all")
    tracks_staff: bool = Field(default=False, description="whether those of staff are too")
    cutoff_minutes: int = Field(
        default=int(CUTOFF.total_seconds()) // _MINUTE,
        ge=10,
        le=1440,
        description="without a change, until a cart is abandoned",
    )
    delays_minutes: tuple[_Delay, ...] = Field(
        default=tuple(int(delay.total_seconds()) // _MINUTE for delay in DELAYS),
        max_length=MAX_REMINDERS,
        description="of each mail, since the cart was abandoned; the shortest first, none for no mails",
    )
    coupon_percent: int | None = Field(
        default=None, ge=1, le=100, description="off in the last mail; none offers no coupon"
    )
    consent_mode: ConsentMode = Field(default=ConsentMode.OPT_IN, description="who may get these mails")
    utm_source: _UtmWord | None = None
    utm_medium: _UtmWord | None = None
    utm_campaign: _UtmWord | None = None

    @field_validator("delays_minutes")
    @classmethod
    def _one_after_another(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if list(value) != sorted(set(value)):
            raise PydanticCustomError("refused_here", "Each mail comes later than the one before.")
        return value


_DEFAULTS = CartSettingsView()
_EXAMPLES: dict[str, Example] = {
    "coupon": {
        "summary": "Two mails, a tenth off in the second, customers too",
        "value": {
            "delays_minutes": [60, 1440],
            "coupon_percent": 10,
            "consent_mode": "soft_opt_in",
            "utm_source": "registrar",
            "utm_medium": "email",
            "utm_campaign": "cart",
        },
    },
    "off": {"summary": "Carts are not watched", "value": {"is_enabled": False}},
}


@router.get(
    "",
    summary="Read how carts are reminded of",
    responses={
        **answer(HTTPStatus.OK, "The settings", _DEFAULTS),
        **problems(*REFUSALS, Reason.UNAVAILABLE),
    },
)
async def get_cart_settings(
    _principal: Annotated[Principal, Depends(require(Role.STAFF, Role.ADMIN))], connections: TheConnections
) -> CartSettingsView:
    """The defaults until somebody has set anything."""
    async with connections.sessions() as session:
        found = (await session.execute(select(CartSettings))).scalar_one_or_none()
    return _DEFAULTS if found is None else CartSettingsView.model_validate(found)


@router.put(
    "",
    summary="Set how carts are reminded of",
    responses={
        **answer(HTTPStatus.OK, "The settings", _DEFAULTS),
        **problems(*REFUSALS, Reason.INVALID_REQUEST, Reason.PAYLOAD_TOO_LARGE, Reason.NOT_FOUND, Reason.UNAVAILABLE),
    },
)
async def put_cart_settings(
    body: Annotated[CartSettingsView, Body(openapi_examples=_EXAMPLES)],
    principal: Annotated[Principal, Depends(require(Role.ADMIN))],
    connections: TheConnections,
) -> CartSettingsView:
    """All of them at once: what is left out gets its default. Mails that are planned already keep their times."""
    async with connections.sessions.begin() as session:
        academy_id = (await session.execute(select(col(Academy.id)))).scalar_one_or_none()
        if academy_id is None:
            raise ProblemError(Reason.NOT_FOUND, "There is no academy yet.")
        wanted = CartSettings(academy_id=academy_id, **body.model_dump(mode="json"))
        await keep_cart_settings(session, wanted, actor=principal.actor)
    return body
