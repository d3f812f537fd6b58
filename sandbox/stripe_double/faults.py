"""The fault switchboard: which requests are delayed, refused, cut off or answered wrongly although they worked."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class FaultKind(StrEnum):
    """What goes wrong."""

    DELAY = "delay"
    """The request waits before anything happens."""
    DELAY_AFTER = "delay_after"
    """The effect happens at once, the answer comes late."""
    ERROR = "error"
    """An error status, nothing happened."""
    ERROR_AFTER = "error_after"
    """The effect happened, the caller sees an error status."""
    DROP = "drop"
    """The connection is cut, nothing happened."""
    DROP_AFTER = "drop_after"
    """The effect happened, the connection is cut before the answer."""


class FaultRequest(BaseModel):
    """One fault to inject into matching API requests."""

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    method: str | None = None
    """GET, POST or DELETE; any when absent."""
    path: str = "/v1/"
    """The beginning of the path."""
    status: int = Field(default=500, ge=400, le=599)
    seconds: float = Field(default=1.0, ge=0, le=600)
    """For delays."""
    times: int | None = Field(default=1, ge=1)
    """How many requests it hits; all when null."""
    skip: int = Field(default=0, ge=0)
    """How many matching requests pass unharmed first."""
    recorded: bool = False
    """For ``error``: keep the answer under the idempotency key, as Stripe keeps its own 500s."""


class Fault(FaultRequest):
    """A fault on the switchboard."""

    id: str
    hits: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Whether this fault is about such a request."""
        return (self.method is None or self.method.upper() == method) and path.startswith(self.path)

    @property
    def spent(self) -> bool:
        """Whether it has hit as often as it should."""
        return self.times is not None and self.hits >= self.times


class Switchboard:
    """All faults of one double."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._count = 0

    def add(self, request: FaultRequest) -> Fault:
        """Switch a fault on."""
        self._count += 1
        fault = Fault(id=f"fault_{self._count}", **request.model_dump())
        self._faults[fault.id] = fault
        return fault

    def all(self) -> list[Fault]:
        """Every fault, spent ones included."""
        return list(self._faults.values())

    def clear(self, fault_id: str | None = None) -> None:
        """Switch one fault off, or all."""
        if fault_id is None:
            self._faults.clear()
        else:
            self._faults.pop(fault_id, None)

    def hit(self, method: str, path: str) -> dict[FaultKind, Fault]:
        """The faults this request suffers, at most one of each kind; each counts as hit."""
        suffered: dict[FaultKind, Fault] = {}
        for fault in self._faults.values():
            if fault.spent or fault.kind in suffered or not fault.matches(method, path):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            fault.hits += 1
            suffered[fault.kind] = fault
        return suffered
