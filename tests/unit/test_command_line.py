"""What a person at a terminal is told."""

import json

import pytest
from typer.testing import CliRunner

import settings
from cli import app


def test_missing_settings_are_named_one_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "STRIPE_API_KEY", "SMTP_URL"):
        monkeypatch.delenv(name, raising=False)
    settings.settings.cache_clear()
    told = CliRunner().invoke(app, ["worker"])
    settings.settings.cache_clear()
    assert told.exit_code == 2
    assert "DATABASE_URL: Field required" in told.stderr.splitlines()
    assert "Traceback" not in told.stderr


def test_the_doctor_names_settings_that_are_missing_and_tells_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr("cli._leave", ended.append)
    for name in ("DATABASE_URL", "STRIPE_API_KEY", "SMTP_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LINK_SECRET", "hidden")
    told = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    found = {diagnosis["check"]: diagnosis for diagnosis in told["diagnoses"]}
    assert {"DATABASE_URL", "STRIPE_API_KEY", "SMTP_URL", "LINK_SECRET"} <= found.keys()
    assert all(diagnosis["health"] == "wrong" and diagnosis["mend"] for diagnosis in found.values())
    assert "hidden" not in str(told)
    assert ended == [1]
