"""What an examination has found, for people and for programs."""

import json
from collections import Counter
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from doctor.examination import Finding, Health, is_well

_COLORS = {Health.OK: "green", Health.WARNING: "yellow", Health.WRONG: "red"}


def as_table(findings: Sequence[Finding]) -> Table:
    """A line for each check: what it is about, how it is, what was found and how to mend it."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    for heading in ("check", "", "found", "to mend it"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        health = Text(finding.health.value, style=_COLORS[finding.health])
        table.add_row(Text(finding.check), health, Text(finding.found), Text(finding.mend or ""))
    return table


def as_sentence(findings: Sequence[Finding]) -> str:
    """How it is on the whole."""
    counts = Counter(finding.health for finding in findings)
    return f"{counts[Health.WRONG]} wrong, {counts[Health.WARNING]} to think about, {counts[Health.OK]} in order."


def as_json(findings: Sequence[Finding]) -> str:
    """All of it as one object: `well`, and `findings` with `check`, `health`, `found` and `mend`."""
    told = [finding.model_dump(mode="json") for finding in findings]
    return json.dumps({"well": is_well(findings), "findings": told}, ensure_ascii=False, indent=2)
