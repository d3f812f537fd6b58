"""Two runs side by side: what has changed, in ratios, and whether by more than their rounds differ among themselves.

Ratios to the floor are compared, not rates, since the machine of two runs was never equally busy.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from bench.figures import Row, Run
from bench.table import number

# Of what has no rounds to tell how far it spreads.
_TOLERANCE = 0.25


@dataclass(frozen=True)
class Change:
    """One figure of one row, before and after. `is_beyond` the spread of the rounds."""

    row: str
    figure: str
    before: float
    after: float
    is_beyond: bool

    @property
    def ratio(self) -> float:
        """After as a multiple of before."""
        return self.after / self.before


def changes(before: Run, after: Run) -> Iterator[Change]:
    """Every figure that both runs have."""
    for name, old in before.by_name.items():
        if (new := after.by_name.get(name)) is not None:
            yield from _of_row(old, new)


def only_in_one(before: Run, after: Run) -> list[str]:
    """Rows that cannot be compared, since one of the runs has not got them."""
    return sorted(before.by_name.keys() ^ after.by_name.keys())


def _of_row(old: Row, new: Row) -> Iterator[Change]:
    was, is_ = old.ratio(old.floor), new.ratio(new.floor)
    (was_least, was_most), (least, most) = _span(old), _span(new)
    yield Change(old.name, "rate, of the floor's", was, is_, least > was_most or most < was_least)
    spent, spends = _spent(old), _spent(new)
    if spent and spends:
        beyond = not 1 - _TOLERANCE < spends / spent < 1 + _TOLERANCE
        yield Change(old.name, "processor time, of the floor's", spent, spends, beyond)


def _span(row: Row) -> tuple[float, float]:
    """The ratio at its worst and at its best: round by round, since both sides of a round had the same machine."""
    pairs = zip(row.registrar.rounds, row.floor.rounds, strict=False)
    ratios = [ours.per_second / floor.per_second for ours, floor in pairs]
    if len(ratios) == 1:
        return ratios[0] * (1 - _TOLERANCE), ratios[0] * (1 + _TOLERANCE)
    return min(ratios), max(ratios)


def _spent(row: Row) -> float | None:
    ours, floor = row.registrar.total_processor_ms, row.floor.total_processor_ms
    return ours / floor if ours and floor else None


def show_changes(out: Console, before: Run, after: Run) -> None:
    """Print what has changed; what is beyond the spread is marked."""
    table = Table(title=f"{before.machine['date']} → {after.machine['date']}", title_justify="left")
    for heading in ("row", "figure", "before", "after", "×", ""):
        table.add_column(heading, justify="left" if heading in {"row", "figure", ""} else "right")
    for each in changes(before, after):
        mark = "beyond the spread" if each.is_beyond else ""
        style = "bold" if each.is_beyond else None
        table.add_row(
            each.row, each.figure, number(each.before), number(each.after), f"{each.ratio:.2f}", mark, style=style
        )
    out.print(table)
    if missing := only_in_one(before, after):
        out.print(f"In one of the runs only: {', '.join(missing)}.", highlight=False)
