"""What a person at a terminal is told."""

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
