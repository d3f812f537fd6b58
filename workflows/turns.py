"""Giving many their turn, a page at a time, until all had it or somebody stops it."""

from collections.abc import Awaitable, Callable


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
