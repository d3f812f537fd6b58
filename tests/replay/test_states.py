"""Every state in which a job may wait, by docs/jobs.md, is one that a saved history of this release rests in.

A job that slept there when a release was made is what the next release has to follow, so a state that no history rests
in is one that no release is known to follow. A history of a job that is over rests in all the states it went through:
it is replayed up to there, too (`test_upgrades.py`).
"""

import re

import pytest

from tests.docs.test_jobs_page import QUOTES
from tests.paths import PATHS
from tests.replay.saved import LATEST, SAVED, history_of, release_of
from tests.replay.told import stories_of

# What is on the page, by its first words, and why no history of this release rests there: the name of the path that
# keeps one from the next release on, or a reason.
_LATE = "it takes days of the real clock"
_REFUSED = "the double would have to refuse what it does at the other steps of the same path"
_PASSES = "it is left within a moment unless there is much to do"
NOT_YET = {
    "The bank has not answered for 14 days": _LATE,
    "Stripe has not cancelled the payment yet": _LATE,
    "… came in, … was due.": "a payer who pays another amount; simulated in tests/workflows/test_wedges.py",
    "The learning platform has not opened a course": _LATE,
    "Stripe has refused a refund…": _REFUSED,
    "Done, but the confirmation mail is …": "the job is over by then",
    "The payer has to tell Stripe where the money": "refund_came_back",
    "Paid back. It is watched for 30 days": "refunded_by_rule",
    "… of … places have ended. On their way": "refunds of a cascade that a bank holds; tests/workflows/test_cascade.py",
    "The money of … waits for a person": "tests/workflows/test_cascade.py",
    "Paused: …. The signal `resume`": _PASSES,
    "Approved, but the tutor could not be set up": _LATE,
    "Nothing is due by itself": "a drip without moments; tests/workflows/test_drip.py",
    "Suspended: nothing opens until": "learned",
    "Everything is done. Decide the task": "a course that is judged; tests/workflows/test_drip.py",
    "The name is not confirmed": _LATE,
    "A certificate cannot be rendered": _REFUSED,
    "… of … rows are written": _PASSES,
    "Failed. …": "the job is over by then",
}


def rests_there(quote: str, waits_for: str, states: set[tuple[str | None, str]]) -> bool:
    """Whether one of the states is what the page describes, sentence by sentence."""
    sentences = [each for each in re.split(r"(?<=[.;]) (?=[A-Z…])", quote) if each != "…"]
    patterns = [re.compile(".*".join(map(re.escape, each.split("…"))), re.DOTALL) for each in sentences]
    return any(waits == waits_for and all(each.search(said) for each in patterns) for waits, said in states)


@pytest.fixture(scope="module")
async def states() -> set[tuple[str | None, str]]:
    """Whom the jobs of this release waited for each time that they had nothing more to do, and what they said."""
    histories = [history_of(file) for file in SAVED if release_of(file) == LATEST]
    told = [story.told[rest - 1] for story in await stories_of(histories) for rest in story.rests]
    return {(None if each.waits_for is None else str(each.waits_for), each.details) for each in told}


@pytest.mark.parametrize(("waits_for", "quote"), QUOTES)
def test_a_history_rests_in_every_state(waits_for: str, quote: str, states: set[tuple[str | None, str]]) -> None:
    excused = [words for words in NOT_YET if quote.startswith(words)]
    if rests_there(quote, waits_for, states):
        assert not excused, f"a history rests there now: take {excused} out of NOT_YET"
    else:
        assert excused, (
            f"no history of this release rests where a job waits for {waits_for} and says {quote!r}: let a path in"
            " tests/paths/ keep it there (`scene.keep`), and name it in NOT_YET until the next release is recorded"
        )


def test_what_is_excused_is_on_the_page_and_what_is_named_exists() -> None:
    assert [words for words in NOT_YET if not any(quote.startswith(words) for _, quote in QUOTES)] == []
    paths = [reason for reason in NOT_YET.values() if re.fullmatch(r"[a-z_]+", reason)]
    assert set(paths) <= set(PATHS)
    assert len(paths) >= 3
