"""The mail about a task that waits too long: what it says at each level, and when it is not sent."""

from datetime import timedelta

import pytest

from activities.errand import Skipped
from activities.letters import TASK_LETTERS
from activities.task_letters import lookers_after
from models.tables.columns import now
from models.vocabulary import MailTemplate, TaskKind, TaskStatus
from sandbox.mail_samples import JOB, LANGUAGES, NOW, ORDER, an_id, task_errand, write_about_task

READER = an_id("Grace Hopper")


def plain(text: str) -> str:
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{NO-BREAK SPACE}", " ")


def test_a_reminder_says_what_waits_why_and_what_can_be_decided() -> None:
    mail = write_about_task()
    assert plain(mail.subject) == (
        "Reminder: Another amount came in than was due, due Monday, March 2, 2026, 12:00 PM (Dublin time)"
    )
    told = plain(mail.text)
    for line in (
        "Hello Grace Hopper,",
        "134.00 EUR came in for an order of 134.10 EUR.",
        "Open since: Saturday, February 28, 2026, 12:00 PM (Dublin time)",
        "To be decided by: Monday, March 2, 2026, 12:00 PM (Dublin time)",
        "What can be decided: accept · refund",
        f"See the job and decide: {JOB.replace('{workflow_id}', f'order-{ORDER}')}",
        f"Task {an_id('task')}",
    ):
        assert line in told.splitlines()
    assert "You have taken this task" not in told
    assert "placed an order" not in told


@pytest.mark.parametrize(
    ("occasion", "begins"),
    [
        ("", "Reminder:"),
        ("reminder", "Reminder:"),
        ("escalation", "Escalation:"),
        ("second_escalation", "Second escalation:"),
    ],
)
def test_the_subject_tells_a_reminder_from_an_escalation(occasion: str, begins: str) -> None:
    assert write_about_task(occasion=occasion).subject.startswith(begins)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("occasion", ["reminder", "escalation", "second_escalation"])
def test_every_level_is_whole_in_every_language(language: str, occasion: str) -> None:
    kinds = {write_about_task(locale=language, occasion=occasion, kind=kind).subject for kind in TaskKind}
    assert len(kinds) == len(TaskKind)


def test_what_is_late_and_what_is_ones_own_is_said() -> None:
    late = write_about_task(moment=NOW + timedelta(days=2), assignee=f"admin:{READER}")
    assert "Was to be decided by" in late.text
    assert "You have taken this task." in late.text
    assert "You have taken this task." not in write_about_task(assignee=f"staff:{an_id('somebody else')}").text


def test_a_reason_is_text_whatever_it_looks_like() -> None:
    mail = write_about_task(reason="<b>a</b>\n\u202e{{ 7 * 7 }}")
    assert "&lt;b&gt;a&lt;/b&gt; {{ 7 * 7 }}" in mail.html
    assert "\u202e" not in mail.html + mail.text


def test_without_a_page_of_jobs_there_is_no_link() -> None:
    assert "href" not in write_about_task(job_page=None).html


def test_nobody_is_reminded_of_what_was_decided() -> None:
    errand = task_errand()
    errand.facts.task.status, errand.facts.task.decided_at = TaskStatus.DONE, now()
    assert TASK_LETTERS[MailTemplate.TASK_REMINDER].write(errand) == Skipped("task_done")


def test_it_is_for_who_has_taken_the_task_and_who_looks_after_the_queue() -> None:
    other = an_id("somebody else")
    assert lookers_after(task_errand().facts) == {READER}
    assert lookers_after(task_errand(assignee=f"staff:{other}").facts) == {READER, other}
    for nobody in ("staff:frida", "service:platform", f"student:{other}", f"staff:{other}x"):
        assert lookers_after(task_errand(assignee=nobody).facts) == {READER}
