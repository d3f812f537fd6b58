"""How often one caller may ask for what needs no login."""

from dataclasses import dataclass, field
from math import ceil
from time import time

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import Request

A_MINUTE = 30


@dataclass(frozen=True)
class RateLimit:
    """So many requests in any minute from one address, counted by each API process.

    Behind a proxy the address is the one that uvicorn is told to believe (`--forwarded-allow-ips`).
    """

    item: RateLimitItem = field(default_factory=lambda: RateLimitItemPerMinute(A_MINUTE))
    _limiter: MovingWindowRateLimiter = field(default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()))

    def wait_of(self, request: Request) -> int | None:
        """Count the request. None if it may go on, else after how many seconds to try again."""
        address = request.client.host if request.client else "unknown"
        if self._limiter.hit(self.item, address):
            return None
        return max(1, ceil(self._limiter.get_window_stats(self.item, address).reset_time - time()))
