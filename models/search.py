"""Search attributes: the only registry. Registered by `registrar migrate`, set by workflows, used by saved queries.

They are stored in plain text and hold ids and states only.
"""

from temporalio.common import SearchAttributeKey

JOB = SearchAttributeKey.for_keyword("RegistrarJob")
STATE = SearchAttributeKey.for_keyword("RegistrarState")
WAITING_FOR = SearchAttributeKey.for_keyword("RegistrarWaitingFor")
ORDER_ID = SearchAttributeKey.for_keyword("RegistrarOrderId")
ENROLLMENT_ID = SearchAttributeKey.for_keyword("RegistrarEnrollmentId")
COURSE_ID = SearchAttributeKey.for_keyword_list("RegistrarCourseId")
DUE_AT = SearchAttributeKey.for_datetime("RegistrarDueAt")
NEEDS_HUMAN = SearchAttributeKey.for_bool("RegistrarNeedsHuman")

ALL = (JOB, STATE, WAITING_FOR, ORDER_ID, ENROLLMENT_ID, COURSE_ID, DUE_AT, NEEDS_HUMAN)
