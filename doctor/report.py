"""What an examination has found, for people and for programs."""

import json
from collections import Counter
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from doctor.examination import Diagnosis, Health, is_well

_COLORS = {Health.OK: "green", Health.WARNING: "yellow", Health.WRONG: "red"}


def as_table(diagnoses: Sequence[Diagnosis]) -> Table:
    """A line for each check: what it is about, how it is, what was found and how to mend it."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    for heading in ("check", "", "found", "to mend it"):
        table.add_column(heading, overflow="fold")
    for diagnosis in diagnoses:
        health = Text(diagnosis.health.value, style=_COLORS[diagnosis.health])
        table.add_row(Text(diagnosis.check), health, Text(diagnosis.found), Text(diagnosis.mend or ""))
    return table


def as_sentence(diagnoses: Sequence[Diagnosis]) -> str:
    """How it is on the whole."""
    counts = Counter(diagnosis.health for diagnosis in diagnoses)
    return f"{counts[Health.WRONG]} wrong, {counts[Health.WARNING]} to think about, {counts[Health.OK]} in order."


def as_json(diagnoses: Sequence[Diagnosis]) -> str:
    """All of it as one object: `well`, and `diagnoses` with `check`, `health`, `found` and `mend`."""
    told = [diagnosis.model_dump(mode="json") for diagnosis in diagnoses]
    return json.dumps({"well": is_well(diagnoses), "diagnoses": told}, ensure_ascii=False, indent=2)
