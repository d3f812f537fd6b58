"""The mails to learners: what they say, and when they are not sent because it is not true any more."""

import re
from datetime import timedelta

import pytest

from activities.errand import Draft, PublicPages, Skipped
from activities.learning_letters import learner_of
from activities.letters import LEARNING_LETTERS
from models.vocabulary import ConsentMode, EnrollmentStatus, MailList, MailTemplate
from rules.marketing import LISTS, Standing, refused_because
from sandbox.learning_mail_samples import LESSON_PAGE, learning_errand, write_about_learning
from sandbox.mail_samples import (
    LANGUAGES,
    NOW,
    PUBLIC,
    an_id,
)
from sandbox.sample_mails import write

RELEASED, ENDING, ENDED = MailTemplate.LESSONS_RELEASED, MailTemplate.ACCESS_ENDING, MailTemplate.ACCESS_ENDED


def text(template: MailTemplate, **told: object) -> str:
    mail = write_about_learning(template, **told)
    return mail.text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{NO-BREAK SPACE}", " ")


def written(template: MailTemplate, **told: object) -> Draft | Skipped:
    return LEARNING_LETTERS[template].write(learning_errand(template, **told))  # type: ignore[arg-type]


def test_what_has_opened_is_listed_with_its_module_and_its_page() -> None:
    told = text(RELEASED, lessons=2)
    assert "the next lessons of Spanish for beginners are open for you:" in told
    for number in (1, 2):
        page = LESSON_PAGE.replace("{lesson_id}", str(an_id(f"lesson {number}")))
        assert f"- Lesson {number}: Spanish for beginners (Getting around)\n  {page}\n" in told
    assert "No more mails about my learning: https://academy.test/back-office/v1/unsubscribe/" in told
    assert "placed an order" not in told


def test_one_lesson_is_told_as_one_and_many_are_cut() -> None:
    assert "the next lesson of Spanish for beginners is open" in text(RELEASED, lessons=1)
    many = text(RELEASED, lessons=14)
    assert many.count("\n- Lesson") == 12
    assert "And 2 more." in many
    assert "more." not in text(RELEASED, lessons=12)


def test_without_pages_of_lessons_there_are_no_links_and_without_modules_none_is_named() -> None:
    mail = write_about_learning(RELEASED, page=None, module=None, lessons=1)
    assert re.findall(r'href="(?!.*unsubscribe)[^"]+"', mail.html) == []
    assert "- Lesson 1: Spanish for beginners\n" in mail.text


def test_the_end_is_told_where_the_reader_is() -> None:
    told = text(ENDING, zone="Asia/Tokyo")
    assert "open for you until Sunday, March 8, 2026, 9:00 PM (Tokyo time)." in told
    assert "please do it before then" in told
    assert "You have completed the course" in text(ENDED, completed_at=NOW, status=EnrollmentStatus.COMPLETED)


@pytest.mark.parametrize(
    ("template", "changed", "reason"),
    [
        (RELEASED, {"lessons": 0}, "nothing_to_tell"),
        (RELEASED, {"occasion": "r-20260302t0800"}, "nothing_to_tell"),
        (RELEASED, {"pages": PublicPages("", PUBLIC.link_secret)}, "no_public_url"),
        (ENDING, {"occasion": "202603090000-7d"}, "end_moved"),
        (ENDING, {"moment": NOW + timedelta(days=7)}, "too_late"),
        (ENDING, {"status": EnrollmentStatus.CANCELED}, "enrollment_not_active"),
        (ENDING, {"status": EnrollmentStatus.SUSPENDED}, "enrollment_not_active"),
        (ENDED, {"status": EnrollmentStatus.ACTIVE}, "open_again"),
        (ENDED, {"occasion": "202603090000"}, "end_moved"),
    ],
)
def test_what_is_not_true_any_more_is_not_sent(
    template: MailTemplate, changed: dict[str, object], reason: str
) -> None:  # fmt: skip
    assert written(template, **changed) == Skipped(reason)


def test_only_the_learner_is_told() -> None:
    facts = learning_errand(RELEASED).facts
    assert learner_of(facts) == (facts.recipient.id,)


def test_what_has_opened_is_news_about_learning_and_the_rest_is_not_marketing() -> None:
    assert LISTS[RELEASED] is MailList.LEARNING
    assert {ENDING, ENDED}.isdisjoint(LISTS)
    draft = written(RELEASED)
    assert isinstance(draft, Draft)
    assert draft.mailing is not None
    assert draft.mailing.list is MailList.LEARNING


@pytest.mark.parametrize("mode", ConsentMode)
def test_who_learns_is_told_of_it_unless_they_said_no(mode: ConsentMode) -> None:
    learner = Standing(consented=False, withdrawn=False, complained=False, bounced=False, is_customer=True)
    assert refused_because(learner, mode, MailList.LEARNING) is None
    no = Standing(consented=False, withdrawn=True, complained=False, bounced=False, is_customer=True)
    assert refused_because(no, mode, MailList.LEARNING) == "unsubscribed"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(("template", "occasion"), [(RELEASED, "1"), (RELEASED, "14"), (ENDING, ""), (ENDED, "")])
def test_every_mail_is_whole_in_every_language(language: str, template: MailTemplate, occasion: str) -> None:
    mail = write(template, locale=language, occasion=occasion)
    assert mail.language == language
    assert not re.search(r"[{}]|\bNone\b", mail.subject + mail.text)
