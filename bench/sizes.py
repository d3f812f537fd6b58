"""How much of everything a run does: the quick form, about two minutes on a quiet machine, and the full one."""

from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True)
class Size:
    """Counts are per side; those of rows with rounds are all rounds together."""

    form: str
    rounds: int
    lanes: tuple[int, ...]
    orders: int
    kills: int
    webhooks: int
    sleepers: int
    watch_seconds: int
    releases: int
    mails: int
    certificates: int
    export_rows: int

    @property
    def students(self) -> int:
        """How many people the rows need, each for one order; `rows/` takes them in turn."""
        warm_up = 200
        return warm_up + len(self.lanes) * self.orders + self.kills * 10 + self.webhooks + self.sleepers + self.releases

    def scaled(self, by: float) -> Self:
        """So many times as much of everything that is counted, in as many rounds."""
        same = {"form", "rounds", "lanes", "watch_seconds"}
        changed = {
            each.name: max(1, round(by * getattr(self, each.name))) for each in fields(self) if each.name not in same
        }
        kept = {name: getattr(self, name) for name in same}
        return type(self)(**(kept | changed))


QUICK = Size(
    form="quick",
    rounds=2,
    lanes=(4,),
    orders=24,
    kills=2,
    webhooks=60,
    sleepers=100,
    watch_seconds=4,
    releases=60,
    mails=60,
    certificates=24,
    export_rows=10_000,
)

FULL = Size(
    form="full",
    rounds=4,
    lanes=(1, 20),
    orders=160,
    kills=8,
    webhooks=400,
    sleepers=1000,
    watch_seconds=15,
    releases=1000,
    mails=400,
    certificates=160,
    export_rows=100_000,
)
