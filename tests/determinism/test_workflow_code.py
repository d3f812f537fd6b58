"""Today's workflow code keeps every rule, and docs/determinism.md lists them all."""

import re

import pytest

from tests.determinism.every_rule import EVERY
from tests.determinism.lint import code_of, findings
from tests.determinism.program import ROOT
from tests.determinism.rules_of_money import money_steps
from tests.determinism.workflow_code import classes, modules, program, walker
from worker import WORKFLOWS


def test_workflow_code_keeps_the_rules() -> None:
    found = findings(code_of(program(), classes(), walker()))
    if found:
        advice = (
            "If it is all right there, say why on the line: `# lint: W007 <reason>`. docs/determinism.md has all rules."
        )
        pytest.fail("\n".join([*map(str, found), "", advice]), pytrace=False)


def test_all_workflow_code_is_read() -> None:
    assert [each.node.name for each in classes()] == [each.__name__ for each in WORKFLOWS]
    assert {each.name for each in modules()} >= {"workflows.order", "workflows.waiting", "workflows.policies"}


def test_money_steps_are_known() -> None:
    """Found from the code of the port: what it does not find is not guarded."""
    code = code_of(program(), classes(), walker())
    assert money_steps(code) >= {"request_payment", "cancel_payment", "refund_payment", "refund_places", "pay_back"}
    assert not money_steps(code) & {"read_payment", "read_refund", "compare_books", "catch_up", "send_mail"}


def test_the_document_lists_every_rule_as_it_is() -> None:
    rows = re.findall(r"^\| (W\d{3}) \| (.+) \| (.+) \|$", (ROOT / "docs" / "determinism.md").read_text(), re.MULTILINE)
    listed = [(rule_id, sentence, instead) for rule_id, sentence, instead in rows]
    assert listed == [(each.id, each.sentence, each.instead) for each in EVERY], (
        "docs/determinism.md has to say:\n"
        + "\n".join(f"| {each.id} | {each.sentence} | {each.instead} |" for each in EVERY)
    )
