"""All rules, by their ids: importing this makes them known."""

from tests.determinism import (
    rules_of_commands,
    rules_of_money,
    rules_of_names,
    rules_of_order,
    rules_of_workflows,
)
from tests.determinism.lint import RULES, Rule

MODULES = (rules_of_commands, rules_of_money, rules_of_names, rules_of_order, rules_of_workflows)
EVERY: tuple[Rule, ...] = tuple(RULES[each] for each in sorted(RULES))
