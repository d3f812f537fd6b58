"""Every role at every route, about one's own things and about somebody else's: as tests/robustness/access.py has it."""

import re
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi.routing import APIRoute

from models.errors import Reason
from models.vocabulary import Role
from routes.authentication import AuthenticatedRoute
from routes.problems import MEDIA_TYPE
from tests.api.uploads import PDF
from tests.robustness.access import ACADEMY, ACCESS, NO_TOKEN, Access, Whose
from tests.robustness.documented import Operation, operations_of
from tests.robustness.standing_app import StandingApp, requirement_of, routes_of

_NO_TOKEN = {Reason.TOKEN_MISSING, Reason.TOKEN_INVALID, Reason.TOKEN_EXPIRED}
_UNKNOWN = "7f000000-0000-4000-8000-000000000000"


def _routes(standing: StandingApp) -> dict[str, APIRoute]:
    return {f"{method} {route.path}": route for route in routes_of(standing.app) for method in route.methods}


def _operations(standing: StandingApp) -> dict[str, Operation]:
    return {operation.name: operation for operation in operations_of(standing.app.openapi())}


def _reason(answer: httpx.Response) -> str | None:
    if answer.headers.get("content-type") != MEDIA_TYPE:
        return None
    return str(answer.json()["reason"])


def _about(whose: Whose) -> list[str]:
    return [name for name, access in ACCESS.items() if access.whose is whose]


def _subjects(name: str) -> list[str]:
    """What the address of a route names."""
    return re.findall(r"{(\w+)}", name)


def _address(name: str, ids: dict[str, str]) -> str:
    """The address of a route, about these things; what they do not name is unknown."""
    known = {"mail_list": "cart", "report": "sales", **ids}
    return re.sub(r"{(\w+)}", lambda found: known.get(found[1], _UNKNOWN), name.split(" ")[1])


def test_every_route_says_who_may_call_it(standing: StandingApp) -> None:
    routes = _routes(standing)
    missing = sorted(routes.keys() - ACCESS.keys())
    assert not missing, (
        f"Nobody has said who may call {', '.join(missing)}. Give each a line in tests/robustness/access.py: the roles"
        " that its `require(…)` names (or NO_TOKEN), and whose things it is about."
    )
    assert not ACCESS.keys() - routes.keys(), "tests/robustness/access.py has lines for routes that are gone."


def test_what_a_route_requires_is_what_was_said(standing: StandingApp) -> None:
    for name, route in _routes(standing).items():
        said, requirement = ACCESS[name].roles, requirement_of(route)
        if said == NO_TOKEN:
            assert requirement is None, f"{name} is said to need no token, and has a `require(…)`."
        else:
            assert requirement is not None, f"{name} has no `require(…)`."
            assert frozenset(requirement.roles or Role) == said, f"{name}: {requirement.roles} is not {sorted(said)}"
            assert isinstance(route, AuthenticatedRoute), f"{name} parses what strangers send: use AuthenticatedRoute."


def test_the_description_says_it_too(standing: StandingApp) -> None:
    for name, operation in _operations(standing).items():
        named = [next(iter(each.values())) for each in operation.description.get("security", [])]
        if ACCESS[name].roles == NO_TOKEN:
            assert named == [], name
        else:
            assert {Role(role) for (role,) in named} == ACCESS[name].roles, name
            assert set(operation.description["responses"]) >= {"401", "403"}, name


_CALLERS: dict[str, frozenset[Role] | None] = {
    "nobody": None,
    "without roles": frozenset(),
    **{role.value: frozenset({role}) for role in Role},
}


@pytest.mark.parametrize("caller", _CALLERS)
def test_roles_open_the_doors_that_were_said_and_no_other(standing: StandingApp, caller: str) -> None:
    roles, wrong = _CALLERS[caller], []
    headers = {} if roles is None else standing.caller(*roles, person=standing.people.boris)
    for name, access in ACCESS.items():
        method = name.split(" ")[0]
        answer = standing.send(method, _address(name, {}), headers=headers)
        reason = _reason(answer)
        if access.roles == NO_TOKEN:
            expected = reason not in {*_NO_TOKEN, Reason.ROLE_NOT_ALLOWED}
        elif roles is None:
            expected = (answer.status_code, reason) == (401, Reason.TOKEN_MISSING)
        elif roles & access.roles:
            expected = reason not in {*_NO_TOKEN, Reason.ROLE_NOT_ALLOWED}
        else:
            expected = (answer.status_code, reason) == (403, Reason.ROLE_NOT_ALLOWED)
        if not expected or answer.status_code == 500:
            wrong.append(f"{name}: {answer.status_code} {reason}")
    assert not wrong, "\n".join(wrong)


def _strangers(access: Access) -> list[Role]:
    """The roles by which a stranger may call, without working for the academy."""
    return sorted(access.roles - ACADEMY)


def _asked(standing: StandingApp, name: str, headers: dict[str, str]) -> list[tuple[httpx.Response, httpx.Response]]:
    """For each example of its body: what is said of what is on record, and of what does not exist."""
    operation = _operations(standing)[name]
    known = standing.known_at(operation.path)
    return [
        (_one(standing, operation, known, headers, body), _one(standing, operation, {}, headers, body))
        for body in operation.examples or [None]
    ]


def _one(
    standing: StandingApp, operation: Operation, ids: dict[str, str], headers: dict[str, str], body: Any
) -> httpx.Response:
    options: dict[str, Any] = {}
    if body is not None and "application/json" in operation.bodies:
        options["json"] = body
    elif body is not None:
        options["data"] = {name: value for name, value in body.items() if name != "file"}
        options["files"] = {"file": ("passport.pdf", PDF)}
    key = {"Idempotency-Key": uuid4().hex}
    return standing.send(operation.method, _address(operation.name, ids), headers={**headers, **key}, **options)


def _told(answer: httpx.Response) -> tuple[int, object]:
    """All that an answer tells, but for the request's own id."""
    if answer.headers.get("content-type") != MEDIA_TYPE:
        return answer.status_code, answer.content
    return answer.status_code, {name: value for name, value in answer.json().items() if name != "instance"}


@pytest.mark.parametrize("name", _about(Whose.PERSONS))
def test_what_is_somebody_elses_is_not_there(standing: StandingApp, name: str) -> None:
    lacking = set(_subjects(name)) - {"mail_list"} - standing.known.keys()
    assert not lacking, f"There is no {lacking} on record: write one in tests/robustness/standing_app.py."
    seen_by_owner = []
    for role in _strangers(ACCESS[name]):
        told = _asked(standing, name, standing.caller(role, person=standing.people.boris))
        for foreign, unknown in told:
            assert _told(foreign) == _told(unknown), f"A {role} can tell that it exists."
            # Some words are not theirs to say, about nobody's things.
            assert foreign.status_code in {403, 404, 422}
        assert 404 in {foreign.status_code for foreign, _ in told}
        own = _asked(standing, name, standing.caller(role))
        assert not {answer.status_code for answer, _ in own} & {401, 500}
        seen_by_owner += [_told(answer) != _told(unknown) for answer, unknown in own]
    # What is there may lack its file, but is not unknown.
    assert any(seen_by_owner), "To its owner it looks as if it were not there."


@pytest.mark.parametrize("name", _about(Whose.TUTORS))
def test_a_tutor_sees_nothing_of_other_tutors_courses(standing: StandingApp, name: str) -> None:
    for foreign, unknown in _asked(standing, name, standing.caller(Role.TUTOR, person=standing.people.boris)):
        assert _told(foreign) == _told(unknown)
        assert foreign.status_code == 404
    for own, unknown in _asked(standing, name, standing.caller(Role.TUTOR, person=standing.people.tutor)):
        assert _told(own) != _told(unknown)
        assert own.status_code not in {401, 403, 500}


@pytest.mark.parametrize("name", _about(Whose.LISTED))
def test_lists_show_ones_own(standing: StandingApp, name: str) -> None:
    for role in _strangers(ACCESS[name]):
        own = standing.send("GET", name.split(" ")[1], headers=standing.caller(role)).json()
        assert own["total"] > 0, f"Nothing on record for {name}: write one in tests/robustness/standing_app.py."
        others = standing.send("GET", name.split(" ")[1], headers=standing.caller(role, person=standing.people.boris))
        assert (others.json()["items"], others.json()["total"]) == ([], 0)
        narrowed = [
            each["name"]
            for each in _operations(standing)[name].parameters
            if each["in"] == "query" and each["name"] in standing.known
        ]
        for parameter in narrowed:
            # Asking for what is somebody else's tells no more than asking for what does not exist.
            foreign, unknown = (
                standing.send(
                    "GET", name.split(" ")[1], params={parameter: value},
                    headers=standing.caller(role, person=standing.people.boris),
                )
                for value in (standing.known[parameter], _UNKNOWN)
            )  # fmt: skip
            assert _told(foreign) == _told(unknown)


@pytest.mark.parametrize("name", _about(Whose.TO_BE_MADE))
def test_what_somebody_else_has_made_is_not_made_again(standing: StandingApp, name: str) -> None:
    for role in _strangers(ACCESS[name]):
        for answer, _ in _asked(standing, name, standing.caller(role, person=standing.people.boris)):
            assert answer.status_code in {403, 404, 422}, answer.text
