"""Ports: the preferred one if it is free, and never the same one twice."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.ports import free_port, listen_exactly_on, listen_on, reserve

RESERVER = """
import sys
from sandbox.ports import reserve
held = [reserve(int(sys.argv[1])) for _ in range(3)]
print(*(each.port for each in held), flush=True)
sys.stdin.read()
"""


def test_the_preferred_port_is_used_while_it_is_free() -> None:
    port = free_port()
    assert free_port(port) == port
    with listen_on(port):
        other = free_port(port)
        assert other != port
        assert 0 < other < 65536


def test_a_listening_port_is_nobody_elses() -> None:
    with listen_on() as first, listen_on(first.getsockname()[1]) as second:
        assert first.getsockname()[1] != second.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            listen_exactly_on(first.getsockname()[1])


def test_reservations_never_collide_in_one_process() -> None:
    preferred = free_port()
    with ThreadPoolExecutor(8) as threads:
        held = list(threads.map(lambda _: reserve(preferred), range(24)))
    try:
        assert len({each.port for each in held}) == 24
        assert preferred in {each.port for each in held}
    finally:
        for each in held:
            each.release()
    assert free_port(preferred) == preferred


def test_reservations_never_collide_between_processes() -> None:
    preferred = str(free_port())
    programs = [
        subprocess.Popen([sys.executable, "-c", RESERVER, preferred], stdin=-1, stdout=-1, text=True) for _ in range(3)
    ]
    ports: list[str] = []
    for program in programs:
        assert program.stdout is not None
        ports += program.stdout.readline().split()
    for program in programs:
        program.communicate()
    assert len(ports) == len(set(ports)) == 9
    assert preferred in ports


def test_a_server_can_be_started_again_and_again_on_a_reserved_port() -> None:
    with reserve() as reservation:
        reservation.hand_over()
        for _ in range(3):
            with (
                listen_exactly_on(reservation.port) as server,
                socket.create_connection(("127.0.0.1", reservation.port)) as client,
            ):
                # The server closes first, which leaves the port cooling down: the next start must not mind.
                connection, _ = server.accept()
                connection.close()
                assert client.recv(1) == b""
            with reserve(reservation.port) as other:
                assert other.port != reservation.port
        port = reservation.port
    assert free_port(port) == port
