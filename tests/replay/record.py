"""Saves the histories of this release: `pytest tests/replay/record.py` writes `histories/<version>/*.json`.

Not collected by default. Run it when a release is made, and never change a file of an older one. With the histories
goes what a release has promised to understand: `python -m tests.replay.contract` writes `contracts/<version>.json`.
"""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.installation import Installation
from tests.paths import PATHS, Scene

TARGET = Path(__file__).parent / "histories" / version("registrar")


@pytest.mark.parametrize("name", PATHS)
async def test_record(name: str, idle_installation: Installation) -> None:
    installation = idle_installation

    async def save(job: str, workflow_id: str) -> None:
        history = await installation.temporal.get_workflow_handle(workflow_id).fetch_history()
        TARGET.mkdir(parents=True, exist_ok=True)
        # Which machine and process ran it, and from which folder, is nobody's business.
        told = re.sub(r'"\d+@[^"]*"', '"worker"', history.to_json())
        (TARGET / f"{job}.json").write_text(re.sub(r'"stackTrace": *"(?:[^"\\]|\\.)*"', '"stackTrace": ""', told))

    await PATHS[name].play(Scene(installation, keep=save))
