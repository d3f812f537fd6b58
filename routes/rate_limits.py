"""How often one caller may ask for what needs no login."""

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address, ip_network
from math import ceil

from starlette.requests import Request

A_MINUTE = 30
# More callers than this in one minute push out those who were not heard of for longest.
MAX_CALLERS = 50_000

_SECONDS = 60
_IPV6_CUSTOMER = 64


@dataclass(frozen=True)
class RateLimit:
    """So many requests in any minute from one address, counted by each API process; of IPv6 from one /64, of which
    every customer has one.

    Behind a proxy the address is the one that it forwards, if the proxy is trusted (`FORWARDED_ALLOW_IPS`).
    """

    clock: Callable[[], float] = time.monotonic
    # When each caller was let through within the last minute; whoever was heard of last comes last.
    _passed: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def wait_of(self, request: Request) -> int | None:
        """Count the request. None if it may go on, else after how many seconds to try again."""
        moment, caller = self.clock(), _caller(request.client.host if request.client else "")
        self._forget(moment)
        passed = self._passed.setdefault(caller, deque(maxlen=A_MINUTE))
        if len(passed) == A_MINUTE and (wait := passed[0] + _SECONDS - moment) > 0:
            return max(1, ceil(wait))
        passed.append(moment)
        self._passed.move_to_end(caller)
        return None

    def __len__(self) -> int:
        """Of how many callers something is remembered."""
        return len(self._passed)

    def _forget(self, moment: float) -> None:
        while self._passed:
            caller, passed = next(iter(self._passed.items()))
            if passed[-1] + _SECONDS > moment and len(self._passed) < MAX_CALLERS:
                return
            del self._passed[caller]


def _caller(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host[:64]
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), _IPV6_CUSTOMER), strict=False))
