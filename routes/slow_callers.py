"""Connections whose other side is slow, or means to be: each wait for it has an end.

The body of a request is waited for in `routes/envelope.py`, where there is somebody to answer.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def patient_for(seconds: float) -> type[asyncio.Protocol]:
    """HTTP/1.1 for uvicorn over connections that end if the caller lets one of these wait for longer:

    the head of a request, what is left of a body after its answer, and taking in what was sent.
    """

    class PatientProtocol(H11Protocol):
        """A connection, and what its caller is waited for to do."""

        _waits_for: tuple[str, object] | None = None
        _end: asyncio.TimerHandle | None = None
        _is_behind = False

        def connection_made(self, transport: Any) -> None:
            """It has begun."""
            super().connection_made(transport)
            self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            """It is over."""
            self._wait_for(None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Some bytes have come, which may be too few."""
            super().data_received(data)
            self._look()

        def on_response_complete(self) -> None:
            """An answer is written, though not necessarily taken in."""
            super().on_response_complete()
            self._look()

        def timeout_keep_alive_handler(self) -> None:
            """Nothing more was asked."""
            super().timeout_keep_alive_handler()
            self._look()

        def pause_writing(self) -> None:
            """More waits to be taken in than the transport likes to hold."""
            super().pause_writing()
            self._is_behind = True
            self._look()

        def resume_writing(self) -> None:
            """It was taken in."""
            super().resume_writing()
            self._is_behind = False
            self._look()

        def _look(self) -> None:
            if self._is_behind or self.transport.is_closing():
                self._wait_for(("taking in", None))
            elif self.conn.their_state is h11.IDLE:
                self._wait_for(("a head", self.cycle))
            elif self.conn.their_state is h11.SEND_BODY and self.cycle.response_complete:
                self._wait_for(("the rest", self.cycle))
            else:
                self._wait_for(None)

        def _wait_for(self, wanted: tuple[str, object] | None) -> None:
            # Whoever sends a byte now and then is waited for no longer than who sends none.
            if wanted == self._waits_for:
                return
            if self._end is not None:
                self._end.cancel()
            self._waits_for = wanted
            self._end = None if wanted is None else self.loop.call_later(seconds, self.transport.abort)

    return PatientProtocol
