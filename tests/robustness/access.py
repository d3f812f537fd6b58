"""Who may do what over HTTP: the one place where it is written down, for the tests to hold the routes to it.

A new route needs a line here. Say first who may call it, then whose things it is about.
"""

from enum import Enum
from typing import NamedTuple

from models.vocabulary import Role

Roles = frozenset[Role]

ADMIN = frozenset({Role.ADMIN})
OFFICE = frozenset({Role.STAFF, Role.ADMIN})
ACADEMY = frozenset({Role.STAFF, Role.ADMIN, Role.SERVICE})
CASCADERS = frozenset({Role.ADMIN, Role.SERVICE})
BUYERS = ACADEMY | {Role.STUDENT}
TEACHERS = ACADEMY | {Role.TUTOR}
PEOPLE = OFFICE | {Role.STUDENT, Role.TUTOR}
EVERYONE = frozenset(Role)
# Without a token: for everybody, or for whoever has what the address or a signature proves.
NO_TOKEN: Roles = frozenset()


class Whose(Enum):
    """Whose things a route is about, for callers who do not work for the academy."""

    NOBODYS = "nobody's: who has the role may have all of it"
    PERSONS = "a person's: to everybody else as if it were not there"
    TUTORS = "what the tutor of the course may see: to other tutors as if it were not there"
    LISTED = "a list: everybody sees their own lines"
    TO_BE_MADE = "one that the caller makes, under an id of their own choice; somebody else's is refused"


class Access(NamedTuple):
    """Who may call a route, and whose things it is about."""

    roles: Roles
    whose: Whose = Whose.NOBODYS


_OWN = Access(EVERYONE, Whose.PERSONS)
_OWN_LIST = Access(EVERYONE, Whose.LISTED)
_OWN_APPLICATION = Access(PEOPLE, Whose.PERSONS)
_OWN_COURSE = Access(TEACHERS, Whose.TUTORS)

ACCESS: dict[str, Access] = {
    # Orders
    "POST /v1/orders": Access(BUYERS),
    "GET /v1/orders": _OWN_LIST,
    "GET /v1/orders/{order_id}": _OWN,
    "POST /v1/orders/{order_id}/cancel": _OWN,
    "POST /v1/orders/{order_id}/approve": _OWN_COURSE,
    "POST /v1/orders/{order_id}/deny": _OWN_COURSE,
    "POST /v1/orders/{order_id}/mark-paid": Access(ACADEMY),
    "GET /v1/orders/{order_id}/receipt.pdf": _OWN,
    "GET /v1/orders/{order_id}/invoice.pdf": _OWN,
    "GET /v1/orders/{order_id}/calendar.ics": _OWN,
    "GET /v1/documents/{document_id}.pdf": _OWN,
    "POST /v1/documents/{document_id}/send": _OWN,
    # Tasks
    "GET /v1/tasks": Access(ACADEMY),
    "GET /v1/tasks/{task_id}": Access(ACADEMY),
    "POST /v1/tasks/{task_id}/assign": Access(ACADEMY),
    "POST /v1/tasks/{task_id}/decision": Access(ACADEMY),
    # Courses and learning
    "GET /v1/courses": Access(EVERYONE),
    "GET /v1/courses/{course_id}": Access(EVERYONE),
    "GET /v1/courses/{course_id}/lessons": _OWN_COURSE,
    "POST /v1/courses/{course_id}/changes": Access(OFFICE),
    "GET /v1/courses/{course_id}/changes/{change_id}": Access(ACADEMY),
    "POST /v1/courses/{course_id}/changes/{change_id}/stop": Access(OFFICE),
    "PUT /v1/courses/{course_id}/meetings/{meeting_id}/attendance": _OWN_COURSE,
    "GET /v1/courses/{course_id}/meetings/{meeting_id}/attendance": _OWN_COURSE,
    "GET /v1/enrollments": _OWN_LIST,
    "GET /v1/enrollments/{enrollment_id}": _OWN,
    "POST /v1/enrollments/{enrollment_id}/lessons/{lesson_id}": _OWN,
    "GET /v1/enrollments/{enrollment_id}/plan": _OWN,
    "POST /v1/enrollments/{enrollment_id}/changes": Access(ACADEMY),
    # Refunds and other money
    "GET /v1/enrollments/{enrollment_id}/refund-eligibility": _OWN,
    "POST /v1/enrollments/{enrollment_id}/refunds": Access(BUYERS, Whose.PERSONS),
    "GET /v1/refunds": _OWN_LIST,
    "GET /v1/refunds/{refund_id}": _OWN,
    "POST /v1/cascades": Access(CASCADERS),
    "GET /v1/cascades": Access(ACADEMY),
    "GET /v1/cascades/{cascade_id}": Access(ACADEMY),
    "POST /v1/cascades/{cascade_id}/pause": Access(CASCADERS),
    "POST /v1/cascades/{cascade_id}/resume": Access(CASCADERS),
    "GET /v1/disputes": Access(OFFICE),
    "GET /v1/disputes/{dispute_id}": Access(OFFICE),
    # Applications of tutors
    "POST /v1/tutor-applications": Access(PEOPLE),
    "GET /v1/tutor-applications": _OWN_LIST,
    "GET /v1/tutor-applications/{application_id}": _OWN,
    "PATCH /v1/tutor-applications/{application_id}": _OWN_APPLICATION,
    "POST /v1/tutor-applications/{application_id}/documents": _OWN_APPLICATION,
    "DELETE /v1/tutor-applications/{application_id}/documents/{document_id}": _OWN_APPLICATION,
    "GET /v1/tutor-applications/{application_id}/documents/{document_id}/file": _OWN,
    "POST /v1/tutor-applications/{application_id}/submit": _OWN_APPLICATION,
    "POST /v1/tutor-applications/{application_id}/answer": _OWN_APPLICATION,
    "POST /v1/tutor-applications/{application_id}/withdraw": _OWN_APPLICATION,
    "POST /v1/tutor-applications/{application_id}/documents/{document_id}/verdict": Access(OFFICE),
    "POST /v1/tutor-applications/{application_id}/assign": Access(OFFICE),
    "POST /v1/tutor-applications/{application_id}/decision": Access(OFFICE),
    "GET /v1/tutor-applications/{application_id}/decision-record.pdf": Access(OFFICE),
    "GET /v1/reviewers": Access(OFFICE),
    "PUT /v1/reviewers/{person_id}": Access(OFFICE),
    "GET /v1/subjects": Access(EVERYONE),
    # Carts and marketing mail
    "GET /v1/carts/report": Access(ACADEMY),
    "PUT /v1/carts/{cart_id}": Access(EVERYONE, Whose.TO_BE_MADE),
    "GET /v1/carts": Access(ACADEMY),
    "GET /v1/carts/{cart_id}": _OWN,
    "POST /v1/carts/{cart_id}/checkout": _OWN,
    "HEAD /v1/carts/recover/{token}": Access(NO_TOKEN),
    "GET /v1/carts/recover/{token}": Access(NO_TOKEN),
    "POST /v1/carts/recover/{token}": Access(NO_TOKEN),
    "HEAD /v1/carts/no-thanks/{token}": Access(NO_TOKEN),
    "GET /v1/carts/no-thanks/{token}": Access(NO_TOKEN),
    "POST /v1/carts/no-thanks/{token}": Access(NO_TOKEN),
    "GET /v1/cart-settings": Access(OFFICE),
    "PUT /v1/cart-settings": Access(ADMIN),
    "GET /v1/people/{person_id}/subscriptions/{mail_list}": _OWN,
    "PUT /v1/people/{person_id}/subscriptions/{mail_list}": _OWN,
    "POST /v1/people/{person_id}/complaints": Access(ACADEMY),
    "HEAD /v1/unsubscribe/{token}": Access(NO_TOKEN),
    "GET /v1/unsubscribe/{token}": Access(NO_TOKEN),
    "POST /v1/unsubscribe/{token}": Access(NO_TOKEN),
    "POST /v1/unsubscribe/{token}/undo": Access(NO_TOKEN),
    # Certificates
    "GET /v1/certificates": _OWN_LIST,
    "GET /v1/certificates/{certificate_id}.pdf": _OWN,
    "GET /v1/certificates/{certificate_id}": _OWN,
    "POST /v1/enrollments/{enrollment_id}/certificate": _OWN,
    "POST /v1/certificates/{certificate_id}/revoke": Access(OFFICE),
    "POST /v1/certificates/{certificate_id}/reinstate": Access(OFFICE),
    "POST /v1/certificates/{certificate_id}/renew": _OWN,
    "POST /v1/certificates/{certificate_id}/resend": Access(OFFICE),
    "POST /v1/certificates/{certificate_id}/corrections": _OWN,
    "GET /v1/certificates/{certificate_id}/corrections": _OWN,
    "GET /v1/certificates/{certificate_id}/corrections/{correction_id}/evidence": Access(OFFICE),
    "GET /v1/certificates/download/{token}": Access(NO_TOKEN),
    "GET /v1/certificate-templates": Access(OFFICE),
    "POST /v1/certificate-templates": Access(ADMIN),
    "GET /v1/certificate-templates/{template_id}": Access(OFFICE),
    "PUT /v1/certificate-templates/{template_id}": Access(ADMIN),
    "POST /v1/certificate-templates/{template_id}/preview": Access(OFFICE),
    "POST /v1/certificate-backgrounds": Access(ADMIN),
    "GET /v1/courses/{course_id}/certificate-templates": Access(OFFICE),
    "PUT /v1/courses/{course_id}/certificate-templates": Access(ADMIN),
    "POST /v1/courses/{course_id}/certificates": Access(ACADEMY),
    "GET /v1/certificate-batches": Access(ACADEMY),
    "GET /v1/certificate-batches/{batch_id}": Access(ACADEMY),
    "GET /v1/certificate-batches/{batch_id}/result.xlsx": Access(ACADEMY),
    "POST /v1/certificate-batches/{batch_id}/cancel": Access(ACADEMY),
    "GET /v1/people/{person_id}/legal-name": _OWN,
    "PUT /v1/people/{person_id}/legal-name": _OWN,
    "GET /verify/{code}": Access(NO_TOKEN),
    "POST /verify/{code}": Access(NO_TOKEN),
    "POST /verify": Access(NO_TOKEN),
    # Exports and reports
    "GET /v1/exports/reports": Access(ACADEMY),
    "POST /v1/exports": Access(ACADEMY),
    "GET /v1/exports": Access(ACADEMY),
    "GET /v1/exports/{export_id}": Access(ACADEMY),
    "POST /v1/exports/{export_id}/cancel": Access(ACADEMY),
    "POST /v1/exports/{export_id}/link": Access(ACADEMY),
    "GET /v1/exports/{export_id}/file": Access(ACADEMY),
    "GET /v1/exports/download/{token}": Access(NO_TOKEN),
    "GET /v1/custom-fields": Access(OFFICE),
    "PUT /v1/custom-fields": Access(OFFICE),
    "GET /v1/reports/{report}/recipients": Access(OFFICE),
    "PUT /v1/reports/{report}/recipients": Access(OFFICE),
    # Jobs and checks
    "GET /v1/jobs": Access(ACADEMY),
    "GET /v1/jobs/{workflow_id}": Access(ACADEMY),
    "POST /v1/jobs/{workflow_id}/retry": Access(OFFICE),
    "POST /v1/jobs/{workflow_id}/cancel": Access(OFFICE),
    "POST /v1/jobs/{workflow_id}/skip": Access(OFFICE),
    "POST /v1/job-actions": Access(OFFICE),
    "GET /v1/job-actions": Access(OFFICE),
    "GET /v1/job-actions/{job_action_id}": Access(OFFICE),
    "POST /v1/job-actions/{job_action_id}/stop": Access(OFFICE),
    "GET /v1/saved-queries": Access(ACADEMY),
    "GET /v1/checks": Access(ACADEMY),
    "GET /v1/checks/{check_id}": Access(ACADEMY),
    "GET /v1/checks/{check_id}/findings.xlsx": Access(ACADEMY),
    "GET /v1/findings": Access(ACADEMY),
    # Signed by Stripe, for browsers, and for monitoring
    "POST /v1/webhooks/stripe": Access(NO_TOKEN),
    "GET /checkout/return": Access(NO_TOKEN),
    "GET /checkout/cancelled": Access(NO_TOKEN),
    "GET /health/live": Access(NO_TOKEN),
    "GET /health/ready": Access(NO_TOKEN),
    "GET /metrics": Access(NO_TOKEN),
}
