"""What has to change so that the server's schedules are those declared: found out without touching any."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from workflows.recurring import NOTE, PAUSED, Facts, Recurring, facts_of

_OURS = "known as ours"
# Of a new one this is told.
_AT_FIRST = ("when", "time zone")


class Verb(StrEnum):
    """What becomes of a schedule."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class Known:
    """A schedule that is on the server. `is_ours` says whether it bears the mark of Registrar."""

    facts: Facts
    is_ours: bool

    @property
    def is_paused(self) -> bool:
        """Whether it stands still."""
        return self.facts[PAUSED] == "yes"


@dataclass(frozen=True)
class Difference:
    """What is otherwise on the server than declared."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Planned:
    """What becomes of one schedule, and why."""

    id: str
    verb: Verb
    differences: tuple[Difference, ...] = ()


def plan(declared: Mapping[str, Recurring], known: Mapping[str, Known], time_zone: str) -> tuple[Planned, ...]:
    """What becomes of each schedule: first those declared, in their order, then those of ours that are not any more.

    Whether one is paused is left as operators have it unless it is declared; the note of a paused one is theirs, too.
    Whoever bears neither a declared id nor our mark is left alone.
    """
    wanted = tuple(_planned(each, known.get(each.id), time_zone) for each in declared.values())
    gone = sorted(each for each, schedule in known.items() if schedule.is_ours and each not in declared)
    return (*wanted, *(Planned(each, Verb.DELETE) for each in gone))


def _planned(recurring: Recurring, known: Known | None, time_zone: str) -> Planned:
    wanted = facts_of(recurring.schedule(time_zone))
    if known is None:
        return Planned(recurring.id, Verb.CREATE, tuple(Difference(name, "", wanted[name]) for name in _AT_FIRST))
    left_alone = set() if recurring.is_paused is not None else {PAUSED}
    if known.is_paused and recurring.is_paused is not False:
        left_alone.add(NOTE)
    differences = [
        Difference(name, known.facts.get(name, ""), told)
        for name, told in wanted.items()
        if name not in left_alone and known.facts.get(name) != told
    ]
    if not known.is_ours:
        differences.append(Difference(_OURS, "no", "yes"))
    return Planned(recurring.id, Verb.UPDATE if differences else Verb.UNCHANGED, tuple(differences))
