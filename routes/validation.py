"""What is said about an invalid request: where, and what was expected. Never what was sent."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import params
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

IDEMPOTENCY_KEY = "Idempotency-Key"
# What somebody writes down for others to read. PostgreSQL knows no NUL in a text.
NoteText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000, pattern=r"^[^\x00]*$")
]
SubjectCode = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]

# Pydantic's own sentences, where they speak of our schema only. Others quote the input and are replaced.
_SPEAKS_OF_SCHEMA = re.compile(
    r"^(missing|enum|literal_error|greater_than.*|less_than.*|too_(long|short)|string_.*|(int|bool|list|tuple|model|date"
    r"|datetime|uuid)(_attributes)?_type|int_(parsing|from_float)|bool_parsing|timezone_.*|refused_here)$"
)
_PLAIN = {
    "extra_forbidden": "There is no such field.",
    "json_invalid": "The body is not valid JSON.",
    "uuid_parsing": "Input should be a UUID",
    "datetime_from_date_parsing": "Input should be a date and time as RFC 3339 has it, with an offset",
    "datetime_parsing": "Input should be a date and time as RFC 3339 has it, with an offset",
}
_FIELD_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,39}$")


class InvalidField(BaseModel):
    """One part of the request that is not valid."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pointer: str = Field(
        description="JSON Pointer into the body or what it is about (`#/…`), or `query/…`, `header/…`, `path/…`"
    )
    detail: str = Field(description="what was expected there")


def idempotency_header(description: str) -> params.Header:
    """The header of a request that may be repeated: `Annotated[str, idempotency_header("the same key is …")]`."""
    return params.Header(alias=IDEMPOTENCY_KEY, pattern=r"^[\x21-\x7e]{1,255}$", description=description)


def invalid_fields(errors: Sequence[Any]) -> tuple[InvalidField, ...]:
    """Pydantic's errors without the input they were about."""
    return tuple(
        InvalidField(pointer=_pointer(error["type"], error["loc"]), detail=_detail(error["type"], error["msg"]))
        for error in errors
    )


def lacks_idempotency_key(errors: Sequence[Any]) -> bool:
    """Whether the request came without an `Idempotency-Key`, which has a reason of its own."""
    return any(error["type"] == "missing" and error["loc"] == ("header", IDEMPOTENCY_KEY) for error in errors)


def _pointer(kind: str, location: Sequence[str | int]) -> str:
    source, *path = location
    if kind == "json_invalid":
        return "#"
    # An unknown field's name is the caller's own words: shown only if it looks like a name.
    steps = [str(step) if isinstance(step, int) or _FIELD_NAME.match(step) else "…" for step in path]
    return "/".join(["#" if source == "body" else str(source), *steps])


def _detail(kind: str, sentence: str) -> str:
    if kind in _PLAIN:
        return _PLAIN[kind]
    return sentence if _SPEAKS_OF_SCHEMA.match(kind) else "This is not valid."
