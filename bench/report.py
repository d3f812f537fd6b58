"""What was measured, for people and for programs."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.cost import JobCost
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
    cost: JobCost
    refund_cost: JobCost
    floor_history: HistoryCost
    average_events: dict[str, float]


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
    for name, cost in (("order", measured.cost), ("refund", measured.refund_cost)):
        console.print(_statement_table(name, cost))
        calls = ", ".join(f"{route} ×{count}" for route, count in cost.stripe_calls.items())
        console.print(
            f"Calls to Stripe: {calls}. Webhooks taken: {cost.webhooks}. Mails: {cost.mails}.", highlight=False
        )


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
    averages = measured.average_events
    runs = (measured.cost.history, measured.refund_cost.history, measured.floor_history)
    table = Table(title="What one order and one refund cost Temporal", title_justify="left")
    table.add_column("")
    for title in ("order", "refund", "floor"):
        table.add_column(title, justify="right")
    for name in dict.fromkeys(name for run in runs for name in run.events):
        table.add_row(name.lower().replace("_", " "), *(str(run.events.get(name, 0)) for run in runs))
    table.add_section()
    table.add_row("events", *(str(run.total) for run in runs))
    under_load = (f"{averages['registrar']:.1f}", "", f"{averages['floor']:.1f}")
    table.add_row("events under load, on average", *under_load)
    table.add_row("workflow tasks", *(str(run.workflow_tasks) for run in runs))
    table.add_row("Temporal Cloud actions", *(str(run.actions) for run in runs))
    table.add_row("history, bytes", *(f"{run.size_bytes:,}" for run in runs))
    table.add_row("longest payload, bytes", *(f"{run.longest_payload_bytes:,}" for run in runs))
    table.add_row("in", *(run.longest_payload_in.lower().replace("_", " ") for run in runs))
    return table


def _statement_table(job: str, cost: JobCost) -> Table:
    table = Table(title=f"What one {job} asks of PostgreSQL", title_justify="left")
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
