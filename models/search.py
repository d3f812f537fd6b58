"""Search attributes: the only registry. Registered by `registrar migrate`, set by workflows, used by saved queries.

They are stored in plain text and hold ids and states only.
"""

from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from models.vocabulary import WaitingFor

JOB = SearchAttributeKey.for_keyword("RegistrarJob")
STATE = SearchAttributeKey.for_keyword("RegistrarState")
WAITING_FOR = SearchAttributeKey.for_keyword("RegistrarWaitingFor")
ORDER_ID = SearchAttributeKey.for_keyword("RegistrarOrderId")
ENROLLMENT_ID = SearchAttributeKey.for_keyword("RegistrarEnrollmentId")
COURSE_ID = SearchAttributeKey.for_keyword_list("RegistrarCourseId")
DUE_AT = SearchAttributeKey.for_datetime("RegistrarDueAt")
NEEDS_HUMAN = SearchAttributeKey.for_bool("RegistrarNeedsHuman")

ALL = (JOB, STATE, WAITING_FOR, ORDER_ID, ENROLLMENT_ID, COURSE_ID, DUE_AT, NEEDS_HUMAN)


def at_start(job: str, state: str, waiting_for: WaitingFor, *others: SearchAttributePair[Any]) -> TypedSearchAttributes:
    """How a job is listed from its start on, before it has said anything itself: no human has to act yet."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(JOB, job),
            SearchAttributePair(STATE, str(state)),
            SearchAttributePair(WAITING_FOR, str(waiting_for)),
            SearchAttributePair(NEEDS_HUMAN, False),
            *others,
        ]
    )
