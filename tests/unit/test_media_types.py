"""What a file is, by its content alone."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.media_types import EXTENSIONS, media_type_of
from tests.api.uploads import BAD, GOOD, PDF, ZIP


def found(data: bytes) -> str | None:
    return media_type_of(io.BytesIO(data), len(data))


@pytest.mark.parametrize("media_type", GOOD)
def test_what_is_taken(media_type: str) -> None:
    assert found(GOOD[media_type]) == media_type
    assert media_type in EXTENSIONS


@pytest.mark.parametrize("name", BAD)
def test_what_is_not(name: str) -> None:
    assert found(BAD[name]) is None


def test_only_the_beginning_and_the_end_of_a_large_file_count() -> None:
    padding = b"\x00" * 3_000_000
    assert found(PDF[:20] + padding + PDF[20:]) == "application/pdf"
    assert found(PDF[:20] + padding + PDF[20:] + ZIP) is None


@given(st.binary(max_size=300))
def test_anything_has_an_answer(data: bytes) -> None:
    assert found(data) in {None, *EXTENSIONS}
    assert found(b"x" + data) is None or not data.startswith(b"%PDF")
