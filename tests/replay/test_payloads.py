"""Yesterday's JSON decodes today: every payload of every saved history, with the types that today's code has for it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.message import Message as Proto
from pydantic import ValidationError

from models.vocabulary import OrderStatus
from tests.replay.messages import spoken
from tests.replay.payloads import CONVERTER, GONE, HISTORIES, UNTYPED, Found, UnknownMessageError, payloads, read

SAVED = sorted(HISTORIES.glob("*/*.json"))

# What today's types leave out of what was said once, on purpose: the field, and the release that took it away.
DROPPED: dict[str, str] = {}


def _decoded(found: Found) -> object:
    """Raises the first error if none of the types fits."""
    errors: list[Exception] = []
    for each in found.types:
        try:
            return CONVERTER.from_payload(found.payload, type(None) if each is None else each)  # type: ignore[arg-type]
        except (ValidationError, ValueError, TypeError, RuntimeError) as error:
            errors.append(error)
    raise errors[0]


def _troubles(file: Path) -> Iterator[str]:
    saved = read(file)
    for found in payloads(saved):
        where = f"{file.parent.name}/{file.stem}, event {found.event.event_id}, {found.place}"
        try:
            value = _decoded(found)
        except (ValidationError, ValueError, TypeError, RuntimeError) as error:
            yield f"{where}: {found.payload.data.decode()[:300]} is no {found.types} any more: {error}"
            continue
        again = CONVERTER.to_payload(value)
        if _decoded(Found(found.event, found.place, again, found.types)) != value:
            yield f"{where}: not the same after it was written and read once more"
        if found.types != (UNTYPED,):
            lost = set(_lost(_json(found.payload), _json(again))) - DROPPED.keys()
            yield from (f"{where}: today's types lose what it says of `{field}`" for field in sorted(lost))


def _json(payload: Proto) -> object:
    data: bytes = payload.data  # type: ignore[attr-defined]
    return json.loads(data) if data else None


def _lost(before: object, after: object, place: str = "") -> Iterator[str]:
    """The fields that were said and are not said again."""
    match before, after:
        case dict(), dict():
            for key, value in before.items():
                if key in after:
                    yield from _lost(value, after[key], f"{place}.{key}" if place else str(key))
                elif value is not None:
                    yield f"{place}.{key}" if place else str(key)
        case list(), list() if len(before) == len(after):
            for one, other in zip(before, after, strict=True):
                yield from _lost(one, other, place)
        case _ if isinstance(before, dict | list):
            yield place


@pytest.mark.parametrize("file", SAVED, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_what_was_said_is_understood_today(file: Path) -> None:
    try:
        troubles = list(_troubles(file))
    except UnknownMessageError as error:
        pytest.fail(f"{file.parent.name}/{file.stem}: {error}", pytrace=False)
    if troubles:
        advice = (
            "Messages only gain fields, and only such as have a default; nothing that they allow is forbidden later."
        )
        pytest.fail("\n".join([*troubles, "", advice]), pytrace=False)


def test_what_is_gone_is_really_gone() -> None:
    assert not GONE.keys() & spoken().keys(), "listed as gone, and there all the same"


# ---- and would it be noticed? ----

PAID = HISTORIES / "0.7.0" / "paid.json"


def _with(tmp_path: Path, before: str, after: str) -> Path:
    """The history of a paid order, with one word changed."""
    history = PAID.read_text()
    assert before in history
    (tmp_path / "0.7.0").mkdir()
    file = tmp_path / "0.7.0" / "paid.json"
    file.write_text(history.replace(before, after))
    return file


def test_a_step_that_is_no_more_is_named(tmp_path: Path) -> None:
    file = _with(tmp_path, '"render_receipt"', '"print_receipt"')
    with pytest.raises(UnknownMessageError, match="the activity print_receipt is no more"):
        list(_troubles(file))


def test_what_does_not_decode_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    name = ("activity", "request_payment")
    said = spoken()[name]
    monkeypatch.setitem(spoken(), name, type(said)((OrderStatus,), 1, said.answer))  # type: ignore[arg-type]
    [trouble] = list(_troubles(PAID))
    assert "is no" in trouble


def test_a_field_that_is_lost_is_told() -> None:
    before = {"a": {"b": 1, "c": None}, "d": [{"e": 1}], "f": 2}
    assert list(_lost(before, {"a": {}, "d": [{}]})) == ["a.b", "d.e", "f"]
    assert list(_lost(before, before | {"g": 3})) == []
