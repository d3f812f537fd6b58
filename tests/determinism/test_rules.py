"""Every rule finds what it is for, and leaves alone what is right."""

import pytest

from tests.determinism.every_rule import EVERY
from tests.determinism.examples import BAD, GOOD
from tests.determinism.lint import Finding, code_of, findings
from tests.determinism.small import class_of, small


def _found(source: str) -> list[Finding]:
    program = small(source, head="")
    return findings(code_of(program, [class_of(program)]))


def _cases(examples: dict[str, list[str]]) -> list[object]:
    return [
        pytest.param(rule_id, source, id=f"{rule_id}-{number}")
        for rule_id, sources in examples.items()
        for number, source in enumerate(sources, start=1)
    ]


def test_every_rule_has_examples() -> None:
    ids = {each.id for each in EVERY}
    assert ids == BAD.keys() == GOOD.keys(), "each rule needs an example that it finds and one that it does not"


@pytest.mark.parametrize(("rule_id", "source"), _cases(BAD))
def test_what_is_wrong_is_found(rule_id: str, source: str) -> None:
    found = _found(source)
    assert rule_id in {each.rule for each in found}, f"found only {found} in\n{source}"


@pytest.mark.parametrize(("rule_id", "source"), _cases(GOOD))
def test_what_is_right_is_not(rule_id: str, source: str) -> None:
    assert [each for each in _found(source) if each.rule == rule_id] == [], source


def test_a_finding_says_where_what_why_and_what_to_do() -> None:
    [found] = _found(BAD["W008"][1])
    assert str(found).startswith("workflows.small.py:")
    assert "W008 `temporalio.workflow.sleep`: Nobody sees in the Web UI what the timer is for. Instead: " in str(found)


def test_rules_are_looked_through_too() -> None:
    """What a workflow calls of `rules/` and `models/` is workflow code as well."""
    found = _found(BAD["W001"][-1])
    assert [each.file for each in found if each.rule == "W001"] == ["models/tables/columns.py"]


SLEEPS = "await workflow.sleep(5)"


@pytest.mark.parametrize(
    ("comment", "left"),
    [
        ("  # lint: W008 it is a second", []),
        ("  # lint: W008", ["say why"]),
        ("  # lint: W007 it is a second", ["W008 `temporalio", "nothing to put up with"]),
        ("  # lint: W999 it is a second", ["W008 `temporalio", "no such rule"]),
    ],
)
def test_a_finding_is_put_up_with_by_a_comment_that_says_why(comment: str, left: list[str]) -> None:
    told = " ".join(map(str, _found(BAD["W008"][1].replace(SLEEPS, SLEEPS + comment))))
    assert all(each in told for each in left)
    assert bool(told) is bool(left)


def test_a_comment_may_stand_above() -> None:
    above = f"# lint: W008 it is a second\n        {SLEEPS}"
    assert _found(BAD["W008"][1].replace(SLEEPS, above)) == []
