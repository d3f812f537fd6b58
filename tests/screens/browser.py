"""A browser without a window, spoken to through a pipe (Chrome DevTools Protocol)."""

import base64
import io
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

_PATIENCE_SECONDS = 30


class Browser:
    """One page of a running chromium."""

    def __init__(self, to: int, answers: int) -> None:
        self._to, self._answers, self._read = to, answers, b""
        self._number = 0
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    @classmethod
    @contextmanager
    def running(cls) -> Iterator["Browser"]:
        """Start it, and end it; the program is `chromium`, or what `CHROMIUM` names."""
        program = os.environ.get("CHROMIUM") or shutil.which("chromium") or "chromium"
        theirs, to = os.pipe()
        answers, of_theirs = os.pipe()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            options = f"--headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir={profile}"
            command = f"exec {program} {options} --remote-debugging-pipe 3<&{theirs} 4>&{of_theirs} 2>/dev/null"
            child = subprocess.Popen(["/bin/bash", "-c", command], pass_fds=(theirs, of_theirs))
            try:
                yield cls(to, answers)
            finally:
                child.terminate()
                child.wait()
                for end in (theirs, to, answers, of_theirs):
                    os.close(end)

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """What the browser answers; what it reports meanwhile is passed over."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": params}
        asked |= {"sessionId": self._session} if self._session else {}
        os.write(self._to, json.dumps(asked).encode() + b"\0")
        while True:
            while b"\0" not in self._read:
                self._read += os.read(self._answers, 1 << 20)
            message, _, self._read = self._read.partition(b"\0")
            told = json.loads(message)
            if told.get("id") == self._number:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result

    def evaluate(self, expression: str) -> Any:
        """The value of some JavaScript."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def shoot(self, url: str, until: str, size: tuple[int, int], target: Path, script: str = "") -> str:
        """A picture of a page as soon as it shows the words; returns all that it says."""
        width, height = size
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=url)
        said, deadline = "", time.monotonic() + _PATIENCE_SECONDS
        while until not in said:
            assert time.monotonic() < deadline, f"{url} does not show {until!r}: {said[:2000]}"
            time.sleep(0.2)
            said = str(self.evaluate("document.body ? document.body.innerText : ''") or "")
        if script:
            self.evaluate(script)
        time.sleep(0.5)  # what fades in
        # Without the menu at the left and the bar above.
        clip = {"x": 264, "y": 60, "width": width - 264, "height": height - 60, "scale": 1}
        picture = self.call("Page.captureScreenshot", format="png", clip=clip)["data"]
        # As few colors as such a page has: a quarter of the size.
        Image.open(io.BytesIO(base64.b64decode(picture))).quantize(64).save(target, optimize=True)
        return said
