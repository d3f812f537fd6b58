"""The application that the tests of this folder are hard on."""

from collections.abc import Iterator

import pytest

from tests.robustness.standing_app import StandingApp, standing_app


@pytest.fixture(scope="module")
def standing(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandingApp]:
    """The application with an academy on record; what one test does to it, the next one finds."""
    with standing_app(database_url, tmp_path_factory.mktemp("files")) as opened:
        yield opened
