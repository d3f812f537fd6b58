"""Moments as callers write them."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError


def _as_written(value: object) -> object:
    # Pydantic takes a number, or what looks like one, for the seconds since 1970.
    if isinstance(value, int | float) or (isinstance(value, str) and "T" not in value.upper() and " " not in value):
        raise PydanticCustomError("refused_here", "Input should be a date and time as RFC 3339 has it, with an offset")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("refused_here", "The moment lies outside of the calendar.") from None


WrittenMoment = Annotated[AwareDatetime, BeforeValidator(_as_written, json_schema_input_type=AwareDatetime)]
Moment = Annotated[WrittenMoment, AfterValidator(_in_utc)]
