"""What can go wrong between us and a mail server, on demand."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

FaultKind = Literal[
    "refuse_connection", "reject_recipient", "reject_data", "drop_before_data", "drop_before_storing",
    "drop_after_storing", "delay",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(FaultKind)


@dataclass
class Fault:
    """One fault, and how often it has struck.

    - `refuse_connection`: the connection is closed before the greeting (`recipient` means nothing here)
    - `reject_recipient`: `reply` answers RCPT TO
    - `reject_data`: `reply` answers the end of the mail, which is not stored
    - `drop_before_data`: the connection is lost when the mail's content should begin
    - `drop_before_storing`: it is lost after the content, which is not stored
    - `drop_after_storing`: it is lost after the mail was stored, so the sender cannot know
    - `delay`: the answer to the end of the mail comes `seconds` late; the mail is stored then
    """

    kind: FaultKind
    reply: str = "451 4.3.0 Try again later"
    recipient: str | None = None
    times: int | None = None
    seconds: float = 0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no fault is called {self.kind!r}; there are {', '.join(KINDS)}")
        if not (
            len(self.reply) > 3 and self.reply[:3].isdigit() and self.reply[0] in "45" and self.reply.isprintable()
        ):
            raise ValueError(f"{self.reply!r} is no refusal of SMTP, as '451 4.3.0 Try again later' is")

    def strikes(self, kind: FaultKind, recipients: list[str]) -> bool:
        """Whether it strikes now; counts when it does."""
        if self.kind != kind or (self.times is not None and self.hits >= self.times):
            return False
        if self.recipient is not None and self.recipient.lower() not in (each.lower() for each in recipients):
            return False
        self.hits += 1
        return True


class Faults:
    """The faults that are switched on; of several of one kind the first that strikes counts.

    The usual ones can be named at once: `Faults(reply_to_recipient="550 5.1.1 Unknown", times=1)`.
    """

    def __init__(
        self,
        *,
        reply_to_recipient: str | None = None,
        reply_to_data: str | None = None,
        drop_after_storing: bool = False,
        times: int | None = None,
    ) -> None:
        self._on: list[Fault] = []
        if reply_to_recipient is not None:
            self.add("reject_recipient", reply=reply_to_recipient, times=times)
        if reply_to_data is not None:
            self.add("reject_data", reply=reply_to_data, times=times)
        if drop_after_storing:
            self.add("drop_after_storing", times=times)

    def add(
        self,
        kind: FaultKind,
        *,
        reply: str = "451 4.3.0 Try again later",
        recipient: str | None = None,
        times: int | None = None,
        seconds: float = 0,
    ) -> Fault:
        """Switch a fault on: for one recipient or all, for so many times or until `clear`."""
        fault = Fault(kind, reply, recipient, times, seconds)
        self._on.append(fault)
        return fault

    def add_described(self, described: dict[str, Any]) -> Fault:
        """Switch on a fault that came as JSON. Raises `ValueError` or `TypeError` where it makes no sense."""
        return self.add(**{name: value for name, value in described.items() if name != "hits"})

    def striking(self, kind: FaultKind, recipients: list[str]) -> Fault | None:
        """The fault of this kind that strikes now."""
        return next((fault for fault in self._on if fault.strikes(kind, recipients)), None)

    def all(self) -> list[Fault]:
        """Every fault that was switched on, also those that have struck often enough."""
        return list(self._on)

    def clear(self) -> None:
        """Switch all off."""
        self._on.clear()
