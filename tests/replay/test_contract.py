"""What a release has promised to understand is understood for good."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tests.replay.contract import COLUMNS, WRITE, Contract, broken, contract_of, json_columns, released, todays
from tests.replay.messages import Said
from tests.replay.payloads import HISTORIES


class Word(StrEnum):
    ONE = "one"
    TWO = "two"


class Wider(StrEnum):
    ONE = "one"
    TWO = "two"
    THREE = "three"


class Inner(BaseModel):
    name: str


class InnerWithMore(BaseModel):
    name: str
    note: str | None = None


class Refusing(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str


Bounded = Annotated[int, Field(ge=0, le=10)]
Longer = Annotated[int, Field(ge=0, le=20)]
Coded = Annotated[str, Field(pattern="^[a-z]+$")]

# The type of a field yesterday, and what it may become.
WIDENED = {
    "the same": (int, int),
    "a number of any kind": (int, float),
    "or nothing": (int, int | None),
    "another bound": (Bounded, Longer),
    "no bound": (Bounded, int),
    "any form": (Coded, str),
    "a word more": (Word, Wider),
    "a literal more": (Literal["a"], Literal["a", "b"]),
    "one kind more": (Inner, Inner | int),
    "any item": (tuple[int, int], tuple[int, ...]),
    "an optional field more": (Inner, InnerWithMore),
    "anything": (Inner, object),
    "a text for a time": (datetime, str),
}
NARROWED = {
    "another type": (int, str, "was integer, is string"),
    "never nothing": (int | None, int, "was null"),
    "another bound": (Longer, Bounded, "maximum was 20, is 10"),
    "a bound": (int, Bounded, "minimum was none, is 0"),
    "a form": (str, Coded, "pattern was none"),
    "a word less": (Wider, Word, "the words three are gone"),
    "only some words": (str, Word, "only one, two"),
    "a literal less": (Literal["a", "b"], Literal["a"], "the words b are gone"),
    "one kind less": (int | str, str, "was integer, is string"),
    "a time for a text": (str, AwareDatetime, "format was none, is date-time"),
    "other items": (tuple[str, ...], tuple[UUID, ...], "format was none, is uuid"),
    "fewer items": (tuple[int, ...], tuple[int, int], "any number of items"),
    "other values": (dict[str, str], dict[str, int], "was string, is integer"),
    "a field less": (InnerWithMore, Inner, "note: the field is gone"),
    "no unknown fields": (Inner, Refusing, "refuses fields"),
    "none of the kinds": (str, int | None, "is not allowed any more"),
}


def _contract(kept: object, needs: int = 1) -> Contract:
    said = Said((kept,), needs, None)
    return contract_of({("activity", "step"): said}, {})


@pytest.mark.parametrize(("before", "after"), WIDENED.values(), ids=WIDENED)
def test_what_is_wider_keeps_the_promise(before: object, after: object) -> None:
    assert list(broken(_contract(before), _contract(after))) == []


@pytest.mark.parametrize(("before", "after", "told"), NARROWED.values(), ids=NARROWED)
def test_what_is_narrower_is_told(before: object, after: object, told: str) -> None:
    assert told in "\n".join(broken(_contract(before), _contract(after)))


def test_fields_are_added_only_where_they_are_optional() -> None:
    class Before(BaseModel):
        name: str | None = None

    class After(BaseModel):
        name: str | None
        more: int

    told = "\n".join(broken(_contract(Before), _contract(After)))
    assert "more: is new, and is required" in told
    assert "name: was optional, and is required" in told


def test_what_is_not_said_any_more_and_what_needs_more_is_told() -> None:
    before = _contract(Inner)
    assert list(broken(before, contract_of({}, {}))) == [
        f"activity step {what}: is not said any more, and sleeping jobs may still say it"
        for what in ("answers", "takes")
    ]
    assert list(broken(before, _contract(Inner, needs=2))) == [
        "activity step: cannot do without 2 arguments, and could with 1"
    ]


@pytest.mark.parametrize("release", released())
def test_what_a_release_has_promised_is_kept(release: str) -> None:
    troubles = list(broken(released()[release], todays()))
    if troubles:
        advice = (
            f"Jobs and rows of {release} say it as it was. Give a new field a default, let an old one stay "
            "(unused, if need be), add words and never take one away, loosen bounds only; what has to mean something "
            "else gets a name of its own. An activity or message that surely nobody says any more is listed in `GONE` "
            "(tests/replay/payloads.py) with the release that took it away. Never change the contract of a release."
        )
        pytest.fail("\n".join([f"{release} was promised more than this:", *troubles, "", advice]), pytrace=False)


def test_every_release_has_a_contract() -> None:
    """From the first one on that had."""
    first = min(released(), key=_in_order)
    releases = {folder.name for folder in HISTORIES.iterdir() if _in_order(folder.name) >= _in_order(first)}
    missing = releases - released().keys()
    assert not missing, f"No contract of {missing}: `{WRITE}` writes that of the release that is being made."


def _in_order(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split("."))


def test_every_json_column_says_what_it_holds() -> None:
    unknown, gone = json_columns() - COLUMNS.keys(), COLUMNS.keys() - json_columns()
    assert not unknown, f"As which type are these read? Say so in `COLUMNS` of tests/replay/contract.py: {unknown}"
    assert not gone, f"There is no such JSON column: {gone}"
