"""Free ports on this machine, also when two stacks look for them at the same moment."""

import errno
import socket
import sys
from dataclasses import dataclass, field

HOST = "127.0.0.1"
_ATTEMPTS = 200


def listen_on(preferred: int | None = None) -> socket.socket:
    """An open listening socket on 127.0.0.1, on the preferred port if it is free. Nobody else can have its port."""
    for port in (preferred, 0):
        if port is None:
            continue
        try:
            return listen_exactly_on(port)
        except OSError:
            continue
    raise OSError(errno.EADDRINUSE, f"no free port on {HOST}")


def listen_exactly_on(port: int) -> socket.socket:
    """An open listening socket on this port of 127.0.0.1 and no other; 0 is any. Raises `OSError` when taken."""
    listener = _bound(port)
    try:
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def free_port(preferred: int | None = None) -> int:
    """A port that is free now, the preferred one if possible. Whoever must not lose it calls `reserve` instead."""
    with reserve(preferred) as reservation:
        return reservation.port


@dataclass
class Reservation:
    """A port kept free for a server that some other process will start on it, once or again and again.

    The UDP port of the same number is the token: it can be held once only, leaves nothing behind when its process
    dies, and never lingers after a connection as a TCP port does. Against everybody else the TCP port is bound too.
    """

    port: int
    _token: socket.socket
    _bound: socket.socket | None = field(default=None)

    def hand_over(self) -> None:
        """Let the server bind the port. Call it just before the server starts."""
        # Linux lets a server listen on a port that is bound, but not listened on, elsewhere. So the port stays ours
        # between two starts of that server. Other systems do not, and the token alone must do.
        if sys.platform != "linux" and self._bound is not None:
            self._bound.close()

    def release(self) -> None:
        """Give the port back."""
        self._token.close()
        if self._bound is not None:
            self._bound.close()

    def __enter__(self) -> "Reservation":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def reserve(preferred: int | None = None) -> Reservation:
    """Reserve the preferred port if it is free, else any. No two callers get the same, whatever their process."""
    for attempt in range(_ATTEMPTS):
        wanted = preferred if attempt == 0 and preferred is not None else _any_port()
        if (reservation := _try_to_reserve(wanted)) is not None:
            return reservation
    raise OSError(errno.EADDRINUSE, f"no free port on {HOST}")


def _try_to_reserve(port: int) -> Reservation | None:
    token = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        token.bind((HOST, port))
        # Only listening tells a port that is merely cooling down after its last connection from one in use.
        listen_exactly_on(port).close()
        return Reservation(port, token, _bound(port))
    except OSError:
        token.close()
        return None


def _any_port() -> int:
    with listen_exactly_on(0) as listener:
        port: int = listener.getsockname()[1]
        return port


def _bound(port: int) -> socket.socket:
    # Naming TCP makes asyncio switch Nagle's algorithm off, which would hold every greeting back for 40 ms.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound
