"""What a run came to, as tables for whoever started it."""

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from chaos.soak import Outcome

_SENTENCES = 5


def show(console: Console, outcome: Outcome, command: str) -> None:
    """Print everything that was counted, and every invariant with a mark or its sentences."""
    _print(console, "Who came, and how it ended for them", ("Deed", "End", "Times"), _pairs(outcome.deeds))
    _print(console, "Jobs", ("Type", "Status", "Number"), _pairs(outcome.jobs))
    _print(
        console, "Faults", ("Fault", "Times"), [(name, f"{count}") for name, count in sorted(outcome.struck.items())]
    )
    mails = [(name, f"{count}") for name, count in sorted(outcome.mails.items())]
    _print(
        console, "Mails in the ledger", ("Status", "Number"), [*mails, ("copies in the mailbox", f"{outcome.copies}")]
    )
    _print(console, "Questions to people", ("Kind", "Status", "Number"), _pairs(outcome.tasks))
    invariants = Table(title="Invariants", title_justify="left")
    for column in ("", "Invariant"):
        invariants.add_column(column, overflow="fold")
    for name, sentences in outcome.invariants.items():
        told = "\n".join([name, *sentences[:_SENTENCES]])
        more = len(sentences) - _SENTENCES
        invariants.add_row(
            "[red]✗[/]" if sentences else "[green]✓[/]", told + (f"\n… and {more} more" if more > 0 else "")
        )
    console.print(invariants)
    unknown = outcome.mails["unknown"]
    console.print(
        f"Everything came to rest in {outcome.drained_in:.0f} s. {unknown} mails are `unknown`, as they may be;"
        f" {outcome.terminated} jobs were terminated on purpose.",
        highlight=False,
    )
    verdict = (
        f"[bold red]{len(outcome.wrong)} things are wrong.[/]" if outcome.wrong else "[bold green]All is right.[/]"
    )
    console.print(f"{verdict} Again: {command}", highlight=False)


def _pairs(counted: Counter[tuple[str, str]]) -> list[tuple[str, ...]]:
    return [(*names, f"{count}") for names, count in sorted(counted.items())]


def _each(counted: Counter[str]) -> list[tuple[str, ...]]:
    return [(name, f"{count}") for name, count in sorted(counted.items())]


def _print(console: Console, title: str, columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in ("Times", "Number") else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)
