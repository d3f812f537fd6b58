"""Requests made up from the API's own description, good ones and bad ones: each is answered as the description says."""

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from models.vocabulary import Role
from tests.robustness.documented import Operation, operations_of
from tests.robustness.standing_app import StandingApp, requirement_of
from tests.thoroughness import IS_THOROUGH

# What is asked for is often not to be had (404, 409, 422), and nobody is at work (503).
_ALWAYS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
_CHECKS = {GenerationMode.POSITIVE: _ALWAYS, GenerationMode.NEGATIVE: [*_ALWAYS, negative_data_rejection]}
_EXAMPLES = 100 if IS_THOROUGH else 1
# Tokens have tests of their own.
_config = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
_settings = hypothesis.settings(
    max_examples=_EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    # What they find is small enough to be read as it is.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def _with_known_ids(value: Any, known: dict[str, str]) -> Any:
    """The same, about things that are on record."""
    if isinstance(value, dict):
        return {
            name: known[name] if name in known and isinstance(each, str) else _with_known_ids(each, known)
            for name, each in value.items()
        }
    return [_with_known_ids(each, known) for each in value] if isinstance(value, list) else value


def _can_be_wrong(operation: Operation) -> bool:
    """Whether anything can be sent that its description forbids; paths and headers take most texts."""
    return bool(operation.bodies) or any(each["in"] == "query" for each in operation.parameters)


@pytest.mark.timeout(1800 if IS_THOROUGH else 180)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value)
def test_every_operation_answers_as_it_is_described(standing: StandingApp, mode: GenerationMode) -> None:
    description = standing.app.openapi()
    documented = {operation.name: operation for operation in operations_of(description)}
    faults: list[str] = []
    asked: dict[str, int] = dict.fromkeys(documented, 0)

    def play(operation: Any, headers: dict[str, str]) -> Callable[[Any], None]:
        def played(case: Any) -> None:
            if mode is GenerationMode.POSITIVE:
                case.path_parameters.update(_with_known_ids(dict(case.path_parameters), standing.known))
                case.body = _with_known_ids(case.body, standing.known)
            asks = case.as_transport_kwargs(base_url="http://registrar.test", headers=headers)
            request = requests.Request(**asks).prepare()
            content = request.body.encode(errors="surrogatepass") if isinstance(request.body, str) else request.body
            answer = standing.send(str(request.method), str(request.url), headers=request.headers, content=content)
            asked[operation.label] += 1
            sent = f"{request.method} {request.url} {asks.get('data') or asks.get('json') or asks.get('files')}"
            if (fault := documented[operation.label].fault_of(answer)) is not None:
                faults.append(f"{sent}: {fault}")
            try:
                case.validate_response(answer, checks=_CHECKS[mode], headers=headers)
            except BaseExceptionGroup as found:
                faults.append(f"{sent}: {found}")

        return played

    for found in schemathesis.openapi.from_dict(description, config=_config).get_all_operations():
        operation = found.ok()
        route = standing.routes[operation.definition.raw["operationId"]]
        requirement = requirement_of(route)
        headers = {} if requirement is None else standing.caller(*(requirement.roles or Role))
        if mode is GenerationMode.POSITIVE or _can_be_wrong(documented[operation.label]):
            _settings(hypothesis.given(case=operation.as_strategy(generation_mode=mode))(play(operation, headers)))()
    assert not faults, "\n\n".join(faults)
    if mode is GenerationMode.POSITIVE:
        assert min(asked.values()) > 0
