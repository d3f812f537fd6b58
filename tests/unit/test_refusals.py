"""Whatever the steps of learning may refuse is a problem that their routes know: anything else would be a defect."""

import inspect
import re
from collections.abc import Callable, Collection, Sequence
from types import ModuleType

import pytest

from activities import course_changes, course_content, enrollment_changes, learning_record, lesson_attempts
from activities.holds import hold_seats
from activities.lesson_records import money_goes_back, not_learning, record_lesson
from models.errors import Reason
from routes.course_change_start import COURSE_CHANGE_REFUSALS
from routes.drip_start import CHANGE_REFUSALS, LESSON_REFUSALS


@pytest.mark.parametrize(
    ("refusals", "steps"),
    [
        (CHANGE_REFUSALS, (enrollment_changes, not_learning, money_goes_back, hold_seats)),
        (COURSE_CHANGE_REFUSALS, (course_changes, course_content)),
        (LESSON_REFUSALS, (learning_record, lesson_attempts, record_lesson, not_learning, money_goes_back)),
    ],
)
def test_every_refusal_of_a_step_is_one_of_its_route(
    refusals: Collection[Reason], steps: Sequence[ModuleType | Callable[..., object]]
) -> None:
    named = {word for step in steps for word in re.findall(r"\bReason\.([A-Z_]+)", inspect.getsource(step))}
    assert named
    assert {Reason[word] for word in named} <= set(refusals)
