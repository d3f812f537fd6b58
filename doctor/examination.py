"""How an examination goes: every check by itself, within a time limit, and what each has found."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.database import open_database
from activities.redaction import kind_and_place
from settings import Settings
from workflows.connection import connect

PATIENCE_SECONDS = 10.0
_CONNECT_SECONDS = 3


class Health(StrEnum):
    """How bad it is: nothing, something to think about, or something that stops work."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "wrong"


class Diagnosis(BaseModel):
    """What a check has found, and what to do about it. Never a secret, and never what an error says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    health: Health
    found: str
    mend: str | None = None


@dataclass
class Patient:
    """The installation that is examined, by its settings. `schedules` are the ids of those that are declared."""

    settings: Settings
    schedules: frozenset[str] = frozenset()

    @cached_property
    def engine(self) -> AsyncEngine:
        """The database; whether it answers is not known yet."""
        return open_database(self.settings.database_url.get_secret_value(), 4)

    @cached_property
    def temporal(self) -> "asyncio.Task[Client]":
        """The connection to Temporal that all checks wait for, which fails soon if there is none."""
        how = {**self.settings.temporal_connection, "give_up_after": _CONNECT_SECONDS}
        return asyncio.ensure_future(connect(**how))  # type: ignore[arg-type]

    async def leave(self) -> None:
        """Close what was opened."""
        if "engine" in self.__dict__:
            await self.engine.dispose()
        if "temporal" in self.__dict__:
            self.temporal.cancel()
            await asyncio.gather(self.temporal, return_exceptions=True)


Result = tuple[Health, str, str | None]
Check = Callable[[Patient], Awaitable[Result]]


def ok(found: str) -> Result:
    """All is well."""
    return Health.OK, found, None


def warning(found: str, mend: str) -> Result:
    """It works, but somebody should know."""
    return Health.WARNING, found, mend


def wrong(found: str, mend: str) -> Result:
    """Something does not work."""
    return Health.WRONG, found, mend


async def examine(
    patient: Patient, checks: Mapping[str, Check], *, patience: float = PATIENCE_SECONDS
) -> list[Diagnosis]:
    """Make every check at once; one that fails or takes longer than `patience` seconds stops no other."""
    try:
        return await asyncio.gather(*(_made(name, check, patient, patience) for name, check in checks.items()))
    finally:
        await patient.leave()


async def _made(name: str, check: Check, patient: Patient, patience: float) -> Diagnosis:
    try:
        async with asyncio.timeout(patience) as limit:
            health, found, mend = await check(patient)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other checks go on
        if isinstance(error, TimeoutError) and limit.expired():
            found = f"no answer within {patience:g} seconds"
        else:
            found = f"could not be checked: {kind_and_place(error)}"
        health, mend = Health.WRONG, "See whether it runs, and whether this machine may reach it."
    return Diagnosis(check=name, health=health, found=found, mend=mend)


def of_settings(error: ValidationError) -> list[Diagnosis]:
    """A diagnosis for each setting that is missing or not valid. What it was set to is not told."""
    return [
        Diagnosis(
            check="_".join(str(part) for part in problem["loc"]).upper() or "settings",
            health=Health.WRONG,
            found=problem["msg"],
            mend="Set the environment variable; the README and docs/production.md list them all.",
        )
        for problem in error.errors(include_input=False, include_url=False, include_context=False)
    ]


def is_well(diagnoses: Sequence[Diagnosis]) -> bool:
    """Whether nothing is wrong; warnings are no illness."""
    return all(diagnosis.health is not Health.WRONG for diagnosis in diagnoses)
