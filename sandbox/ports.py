"""Free ports on this machine, also when two stacks look for them at the same moment."""

import socket


def listen_on(preferred: int | None = None) -> socket.socket:
    """An open listening socket on 127.0.0.1, on the preferred port if it is free. Nobody else can have its port."""
    for port in (preferred, 0):
        if port is None:
            continue
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(128)
        except OSError:
            listener.close()
            continue
        return listener
    raise OSError("no free port on 127.0.0.1")


def free_port(preferred: int | None = None) -> int:
    """A port that is free now, the preferred one if possible. Whoever must not lose it keeps `listen_on` instead."""
    with listen_on(preferred) as listener:
        port: int = listener.getsockname()[1]
        return port
