"""What the API's own description says of an answer, and where an answer says something else."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx
from pydantic import TypeAdapter, ValidationError

from models.errors import Reason
from routes.problems import KINDS, MEDIA_TYPE, ProblemDocument

METHODS = ("get", "post", "put", "patch", "delete")
_PROBLEM = TypeAdapter(ProblemDocument)


@dataclass(frozen=True)
class Operation:
    """One operation as `/openapi.json` has it."""

    method: str
    path: str
    description: dict[str, Any]

    @property
    def name(self) -> str:
        """How it is called here, e.g. `GET /v1/orders`."""
        return f"{self.method} {self.path}"

    @property
    def needs_token(self) -> bool:
        """Whether it is for known callers."""
        return "security" in self.description

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """Those of its path, its query and its headers."""
        found: list[dict[str, Any]] = self.description.get("parameters", [])
        return found

    @cached_property
    def bodies(self) -> dict[str, list[Any]]:
        """The examples of its body for each media type."""
        contents = self.description.get("requestBody", {}).get("content", {})
        return {
            media_type: [
                each["value"] for each in content.get("examples", {"": {"value": content.get("example")}}).values()
            ]
            for media_type, content in contents.items()
        }

    @property
    def examples(self) -> list[Any]:
        """Every example of its body."""
        return [example for examples in self.bodies.values() for example in examples]

    @cached_property
    def _reasons(self) -> dict[int, set[str]]:
        return {
            int(status): set(response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}))
            for status, response in self.description["responses"].items()
        }

    def fault_of(self, answer: httpx.Response) -> str | None:
        """What is wrong with the answer: a defect, or not as documented. None if it is in order."""
        response = self.description["responses"].get(str(int(answer.status_code)))
        media_type = answer.headers.get("content-type", "").split(";")[0]
        if answer.status_code == KINDS[Reason.INTERNAL].status:
            fault = "a defect"
        elif response is None:
            fault = "this status is not documented"
        elif answer.content and media_type not in response.get("content", {}):
            fault = f"the media type {media_type} is not documented"
        elif media_type == MEDIA_TYPE:
            fault = self._fault_of_problem(answer)
        else:
            fault = ""
        return f"{fault}: {int(answer.status_code)} {answer.text[:300]}" if fault else None

    def _fault_of_problem(self, answer: httpx.Response) -> str:
        try:
            problem = _PROBLEM.validate_json(answer.content)
        except ValidationError:
            return "this is no problem document"
        known = self._reasons[int(answer.status_code)]
        return "" if problem.reason in known else "the reason is not documented"


def operations_of(description: dict[str, Any]) -> list[Operation]:
    """Every operation of the description."""
    return [
        Operation(method.upper(), path, methods[method])
        for path, methods in description["paths"].items()
        for method in METHODS
        if method in methods
    ]
