"""What commands share: the console, the settings, the way out."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn

import typer
from pydantic import ValidationError
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from settings import Settings
from settings import settings as settings_from_environment

console = Console()
if console.width < 120 and not console.is_terminal:
    console = Console(width=120)


def settings_or_exit() -> Settings:
    """The settings, or a line for each that is missing or wrong."""
    try:
        return settings_from_environment()
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            name = "_".join(str(part) for part in problem["loc"]).upper()
            typer.echo(f"{name}: {problem['msg']}", err=True)
        typer.echo("The README lists every setting.", err=True)
        raise typer.Exit(2) from None


def show(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table for people; for programs, lines with tabs between the values."""
    if not console.is_terminal:
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table(*columns, box=SIMPLE)
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)


def leave(code: int = 0) -> NoReturn:
    """End a short command that talked to Temporal: its native threads may outlive the interpreter and crash it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
