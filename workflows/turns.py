"""Giving many their turn, a page at a time, until all had it or somebody stops it."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from models.errors import Reason, refusal


class Begun(Protocol):
    """What the step answers that writes down whose turn it will be."""

    @property
    def refusal(self) -> Reason | None: ...

    @property
    def refusal_detail(self) -> str | None: ...


_Begun = TypeVar("_Begun", bound=Begun)


def unless_refused(begun: _Begun | None) -> _Begun:
    """What was begun. Raises the refusal that the step has answered with."""
    if begun is None or begun.refusal is not None:
        reason = Reason.INTERNAL if begun is None or begun.refusal is None else begun.refusal
        raise refusal(reason, (begun.refusal_detail if begun is not None else None) or "It was refused.")
    return begun


class Turns:
    """How many had their turn. Who did is on record, so a page that is begun again goes on exactly there."""

    def __init__(self) -> None:
        self.total = 0
        self.done = 0
        self._is_to_stop = False

    def stop(self) -> None:
        """Give nobody else a turn; what is under way ends."""
        self._is_to_stop = True

    async def taken(self, give_page: Callable[[], Awaitable[int]], tell: Callable[[str], None]) -> bool:
        """Give everybody their turn; false if it was stopped before. `give_page` is how many a page had."""
        is_left = True
        while is_left and not self._is_to_stop:
            tell(f"{self.done} of {self.total}")
            count = await give_page()
            # A page whose answer got lost was not counted.
            self.done = min(self.done + count, self.total) if count else self.total
            is_left = count > 0
        return not is_left or self.done >= self.total
