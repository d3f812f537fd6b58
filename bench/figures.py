"""What a run has measured, as it is kept: rows, each with its sides, each with its rounds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from bench.machine import Busyness
from bench.timing import Timing


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Round(_Kept):
    """So many pieces of work in so many seconds; what single pieces took, where each was timed, in milliseconds."""

    pieces: int
    seconds: float
    milliseconds: tuple[float, ...] = ()

    @classmethod
    def of(cls, timing: Timing) -> Self:
        """A round in which every piece was timed."""
        return cls(pieces=len(timing.milliseconds), seconds=timing.seconds, milliseconds=timing.milliseconds)

    @property
    def per_second(self) -> float:
        """Pieces a second."""
        return self.pieces / self.seconds


class Side(_Kept):
    """One way to do the work: Registrar's, the floor's, or that of another engine.

    `processor_ms` is what one piece took of the processors, by program; `worker_mib` what was resident in the process
    that did the work, when it was done. `notes` are what no other row has.
    """

    name: str
    rounds: tuple[Round, ...]
    processor_ms: dict[str, float] = {}
    worker_mib: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def per_second(self) -> float:
        """Pieces a second, over all rounds."""
        return sum(each.pieces for each in self.rounds) / sum(each.seconds for each in self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """The slowest and the fastest round, in pieces a second: how much to believe the rest."""
        rates = [each.per_second for each in self.rounds]
        return min(rates), max(rates)

    @property
    def total_processor_ms(self) -> float | None:
        """What one piece took of the processors, all programs together; none where nobody looked."""
        return sum(self.processor_ms.values()) if self.processor_ms else None

    def percentile(self, percent: int) -> float | None:
        """The time that this many percent of the pieces stayed within (nearest rank), in ms; none if none was timed."""
        ranked = sorted(time for each in self.rounds for time in each.milliseconds)
        return ranked[max(0, -(-len(ranked) * percent // 100) - 1)] if ranked else None


class Row(_Kept):
    """One kind of work: Registrar first, then the floor, which is the same work with nothing of ours in it, then what
    a team would use instead.
    """

    name: str
    piece: str
    registrar: Side
    floor: Side
    others: tuple[Side, ...] = ()

    @property
    def sides(self) -> tuple[Side, ...]:
        """All of them, Registrar first."""
        return (self.registrar, self.floor, *self.others)

    def ratio(self, side: Side) -> float:
        """Registrar's rate as a part of the other side's."""
        return self.registrar.per_second / side.per_second


class Run(_Kept):
    """One run, whole. `failures` says by row what went wrong with it."""

    form: str
    machine: dict[str, str]
    before: Busyness
    after: Busyness
    seconds: float
    rows: tuple[Row, ...]
    failures: dict[str, str] = {}

    @property
    def by_name(self) -> dict[str, Row]:
        """The rows by their names."""
        return {row.name: row for row in self.rows}

    def write(self, folder: Path) -> Path:
        """Keep it in the folder under its time and version, and say where."""
        folder.mkdir(parents=True, exist_ok=True)
        moment = self.machine["date"].removesuffix(" UTC").replace(" ", "T").replace(":", "")
        file = folder / f"{moment}Z-{self.machine['registrar']}.json"
        file.write_text(self.model_dump_json(indent=1) + "\n")
        return file

    @classmethod
    def read(cls, file: Path) -> Self:
        """What `write` kept. Raises `ValidationError` for another file."""
        return cls.model_validate_json(file.read_text())


def rounds_of(timings: Sequence[Timing]) -> tuple[Round, ...]:
    """Rounds in which every piece was timed."""
    return tuple(Round.of(timing) for timing in timings)
