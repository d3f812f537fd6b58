"""Odd values in every field, query, path and header of every operation: refused with a reason, never a defect."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from models.errors import Reason
from models.vocabulary import Role
from tests.robustness.corpora import ODD_BODIES, ODD_HEADERS, ODD_JSON, ODD_PARTS, ODD_TEXTS, UNHOLDABLE
from tests.robustness.documented import Operation, operations_of
from tests.robustness.standing_app import StandingApp, requirement_of
from tests.thoroughness import IS_THOROUGH

_MARK = "\ue000"
# How many of a list are tried at each place in ten minutes; the next place goes on where this one ended.
_AT_A_PLACE = 1
_JSON = {"Content-Type": "application/json"}


class Wheel:
    """Some of the values for each place: all of them are tried somewhere, and at every place in a thorough run."""

    def __init__(self, values: list[Any]) -> None:
        self._values, self._at = values, 0

    def some(self, count: int = _AT_A_PLACE) -> list[Any]:
        """The next ones."""
        if IS_THOROUGH:
            return self._values
        chosen = [self._values[(self._at + each) % len(self._values)] for each in range(count)]
        self._at += count
        return chosen


def headers_of(standing: StandingApp, operation: Operation) -> dict[str, str]:
    """Of somebody who may call it."""
    requirement = requirement_of(standing.routes[operation.description["operationId"]])
    may = {} if requirement is None else standing.caller(*(requirement.roles or Role))
    return {**may, "Idempotency-Key": "k"}


def address(standing: StandingApp, operation: Operation, **odd: str) -> str:
    """About what is on record, but for what is odd."""
    known = {"mail_list": "cart", "report": "sales", "token": "x", **standing.known_at(operation.path), **odd}
    path = operation.path
    for name, value in known.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def marked(value: Any) -> Iterator[Any]:
    """The same again and again, each time with the mark in the place of another leaf, and one with an unknown field."""
    match value:
        case dict():
            yield {**value, "no_such_field": 1}
            for name, each in value.items():
                yield from ({**value, name: changed} for changed in marked(each))
        case list():
            yield _MARK
            for at, each in enumerate(value[:1]):
                yield from ([*value[:at], changed, *value[at + 1 :]] for changed in marked(each))
        case _:
            yield _MARK


@pytest.fixture(scope="module")
def operations(standing: StandingApp) -> list[Operation]:
    return operations_of(standing.app.openapi())


def play(standing: StandingApp, operation: Operation, url: str, faults: list[str], **options: Any) -> None:
    """Send it, and note what is wrong with the answer."""
    answer = standing.send(operation.method, url, **options)
    fault = operation.fault_of(answer)
    # A path that is another path is no operation's business.
    if fault is not None and answer.headers.get("content-type", "").endswith("problem+json"):
        reason = answer.json()["reason"]
        if reason in {Reason.NOT_FOUND, Reason.METHOD_NOT_ALLOWED} and "%" in url:
            return
    if fault is not None:
        faults.append(f"{operation.name} {url[:200]} {str(options)[-300:]}: {fault}")


def test_odd_values_in_bodies(standing: StandingApp, operations: list[Operation]) -> None:
    faults: list[str] = []
    texts = Wheel([json.dumps(each) for each in ODD_TEXTS] + ODD_JSON)
    for operation in operations:
        headers = {**headers_of(standing, operation), **_JSON}
        places = {
            json.dumps(body): None
            for example in operation.bodies.get("application/json", [])
            for body in marked(example)
        }
        for place in places:
            mark = json.dumps(_MARK)
            for odd in texts.some() if mark in place else [""]:
                play(
                    standing,
                    operation,
                    address(standing, operation),
                    faults,
                    content=place.replace(mark, odd),
                    headers=headers,
                )
            for odd in UNHOLDABLE if mark in place and IS_THOROUGH else UNHOLDABLE[1:3] if mark in place else []:
                content = place.replace(mark, json.dumps(odd))
                play(standing, operation, address(standing, operation), faults, content=content, headers=headers)
    assert not faults, "\n".join(faults)


def test_bodies_that_are_none(standing: StandingApp, operations: list[Operation]) -> None:
    faults: list[str] = []
    bodies = Wheel(list(ODD_BODIES.items()))
    for operation in operations:
        if not operation.bodies:
            continue
        for _, body in bodies.some():
            headers = {**headers_of(standing, operation), **_JSON}
            play(standing, operation, address(standing, operation), faults, content=body, headers=headers)
            if "multipart/form-data" in operation.bodies:
                form = {**headers, "Content-Type": "multipart/form-data; boundary=x"}
                play(standing, operation, address(standing, operation), faults, content=body, headers=form)
    assert not faults, "\n".join(faults)


def test_odd_values_in_queries(standing: StandingApp, operations: list[Operation]) -> None:
    faults: list[str] = []
    values = Wheel([*ODD_TEXTS, *(json.loads(each) if each[:1] == '"' else each for each in ODD_JSON)])
    for operation in operations:
        headers = headers_of(standing, operation)
        for parameter in (each["name"] for each in operation.parameters if each["in"] == "query"):
            for odd in [*values.some(), UNHOLDABLE[1]]:
                query = f"{parameter}={quote(str(odd), errors='surrogatepass')}"
                play(standing, operation, f"{address(standing, operation)}?{query}", faults, headers=headers)
            play(
                standing,
                operation,
                f"{address(standing, operation)}?{parameter}=%ff&{parameter}=1",
                faults,
                headers=headers,
            )
        if operation.needs_token and operation.method == "GET":
            answer = standing.send("GET", f"{address(standing, operation)}?no_such_parameter=1", headers=headers)
            assert operation.fault_of(answer) is None, operation.name
    assert not faults, "\n".join(faults)


def test_odd_parts_of_paths(standing: StandingApp, operations: list[Operation]) -> None:
    faults: list[str] = []
    parts = Wheel(ODD_PARTS)
    for operation in operations:
        for parameter in (each["name"] for each in operation.parameters if each["in"] == "path"):
            for odd in parts.some():
                url = address(standing, operation, **{parameter: odd})
                play(standing, operation, url, faults, headers=headers_of(standing, operation))
    assert not faults, "\n".join(faults)


def test_odd_headers(standing: StandingApp, operations: list[Operation]) -> None:
    faults: list[str] = []
    values = Wheel(ODD_HEADERS)
    general = Wheel(["Accept", "Accept-Language", "Content-Type", "X-Request-Id", "Host"])
    for operation in operations:
        headers = [(name.encode(), value.encode()) for name, value in headers_of(standing, operation).items()]
        own = [each["name"] for each in operation.parameters if each["in"] == "header"]
        for name in [*own, *general.some(1)]:
            kept = [each for each in headers if each[0].lower() != name.lower().encode()]
            for odd in values.some(1):
                for sent in ([(name.encode(), odd)], [(name.encode(), odd), (name.encode(), b"k")]):
                    play(standing, operation, address(standing, operation), faults, headers=[*kept, *sent])
    assert not faults, "\n".join(faults)
