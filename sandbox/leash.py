"""No process outlives the sandbox: what is on the leash is stopped when whoever holds it is gone, however it went.

The holder keeps the write end of a pipe to a small program (this file). Its end, be it `kill -9`, closes the pipe, and
the program stops everything that is still on the leash. That needs no help from the kernel, so it works alike on Linux
and macOS, for daemons as well as children, and from whichever thread they were started.
"""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

_GRACE_SECONDS = 8.0


class Leash:
    """The holder's side. There is one for each process; it starts with the first process put on it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[int, signal.Signals] = {}
        self._program: subprocess.Popen[bytes] | None = None

    def hold(self, pid: int, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        """Stop this process group when we are gone: by the signal, and by force if that takes too long."""
        with self._lock:
            self._held[pid] = stop_signal
            self._tell(f"+{pid} {stop_signal.value}\n")

    def let_go(self, pid: int) -> None:
        """It has ended by itself, and its number may soon be somebody else's."""
        with self._lock:
            if self._held.pop(pid, None) is not None:
                self._tell(f"-{pid}\n")

    def _tell(self, line: str) -> None:
        if self._program is None or self._program.poll() is not None:
            self._program = self._start()
            line = "".join(f"+{pid} {number.value}\n" for pid, number in self._held.items())
        assert self._program.stdin is not None  # noqa: S101 - it is a pipe
        # It may have been killed just now; then the next call starts another, which hears of everything.
        with contextlib.suppress(BrokenPipeError):
            self._program.stdin.write(line.encode())
            self._program.stdin.flush()

    def _start(self) -> subprocess.Popen[bytes]:
        atexit.register(self._close)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            bufsize=0,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # In a session of its own neither Ctrl-C nor a closed terminal reaches it.
            start_new_session=True,
        )

    def _close(self) -> None:
        with self._lock:
            if self._program is not None and self._program.stdin is not None:
                self._program.stdin.close()
                self._program.wait()
                self._program = None


def _watch() -> None:
    held: dict[int, int] = {}
    for line in sys.stdin:
        if line.startswith("+"):
            pid, stop_signal = line[1:].split()
            held[int(pid)] = int(stop_signal)
        else:
            held.pop(int(line[1:]), None)
    for pid, number in held.items():
        _signal(pid, number)
    deadline = time.monotonic() + _GRACE_SECONDS
    while any(_alive(pid) for pid in held) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in held:
        _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _alive(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    _watch()
else:
    LEASH = Leash()
