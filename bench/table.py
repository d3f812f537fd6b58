"""The one table of a run, on a terminal or as Markdown."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from bench.figures import Row, Run, Side
from bench.machine import steal_percent

_HEADINGS = ("per s (rounds)", "Registrar ×", "p50 ms", "p95 ms", "p99 ms", "worker MiB", "processor ms", "besides")
_PRECISE_BELOW = 10


def console() -> Console:
    """A console that is wide enough for tables where nobody sees it."""
    found = Console()
    return found if found.is_terminal and found.width >= 120 else Console(width=max(found.width, 180))


def show(out: Console, run: Run) -> None:
    """Print the table, what it was measured on, and what failed."""
    out.print("\n" + about(run), highlight=False)
    table = Table(show_lines=False)
    table.add_column("what")
    for heading in _HEADINGS:
        table.add_column(heading, justify="left" if heading == "besides" else "right", no_wrap=heading != "besides")
    for row in run.rows:
        for side in row.sides:
            table.add_row(*cells(row, side))
        table.add_section()
    out.print(table)
    for name, failure in run.failures.items():
        out.print(f"{name} failed: {failure}", style="bold red", highlight=False, markup=False)


def markdown(run: Run) -> str:
    """The same for a document."""
    lines = [f"| what | {' | '.join(_HEADINGS)} |", "|---" * (len(_HEADINGS) + 1) + "|"]
    for row in run.rows:
        lines += [f"| {' | '.join(cells(row, side))} |" for side in row.sides]
    return "\n".join(lines)


def about(run: Run) -> str:
    """One line: machine, versions, and how busy it was."""
    facts = ", ".join(f"{name} {value}" for name, value in run.machine.items() if name != "load_before")
    steal = steal_percent(run.before, run.after)
    return (
        f"{run.form} run of {run.seconds / 60:.1f} min, {facts}; "
        f"load {run.before.load:.1f} before and {run.after.load:.1f} after, steal {steal:.1f} %"
    )


def cells(row: Row, side: Side) -> tuple[str, ...]:
    """One line of the table. The ratio is Registrar's rate as a part of that of the side."""
    is_ours = side is row.registrar
    name = f"{row.name}: {side.name}" if is_ours else f"… {side.name}"
    slowest, fastest = side.spread
    rounds = f" ({number(slowest)}–{number(fastest)})" if len(side.rounds) > 1 else ""
    return (
        name,
        f"{number(side.per_second)}{rounds}",
        "" if is_ours else f"{row.ratio(side):.2f}",
        *_percentiles(side),
        "" if side.worker_mib is None else f"{side.worker_mib:.0f}",
        "" if side.total_processor_ms is None else number(side.total_processor_ms),
        "; ".join(side.notes),
    )


def _percentiles(side: Side) -> Iterator[str]:
    for percent in (50, 95, 99):
        found = side.percentile(percent)
        yield "" if found is None else number(found)


def number(value: float) -> str:
    """As precise as it deserves."""
    if value < 1:
        return f"{value:.2g}"
    return f"{value:.1f}" if value < _PRECISE_BELOW else f"{value:,.0f}"
