"""Every error as an RFC 9457 problem document: one table of reasons, and what the application does with exceptions."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from temporalio.client import RPCTimeoutOrCancelledError
from temporalio.service import RPCError

from activities.redaction import kind_and_place
from models.errors import Reason
from routes.outages import is_outage, takes_no_more
from routes.validation import InvalidField, invalid_fields, lacks_idempotency_key

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

_log = logging.getLogger("registrar.api")


class Kind(NamedTuple):
    """What a reason means over HTTP."""

    status: HTTPStatus
    title: str


KINDS: Mapping[Reason, Kind] = {
    Reason.INVALID_REQUEST: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The request is not valid"),
    Reason.IDEMPOTENCY_KEY_MISSING: Kind(HTTPStatus.BAD_REQUEST, "The Idempotency-Key header is missing"),
    Reason.IDEMPOTENCY_KEY_REUSED: Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The Idempotency-Key belongs to another request"
    ),
    Reason.NOT_FOUND: Kind(HTTPStatus.NOT_FOUND, "There is no such resource"),
    Reason.METHOD_NOT_ALLOWED: Kind(HTTPStatus.METHOD_NOT_ALLOWED, "The resource has no such method"),
    Reason.PAYLOAD_TOO_LARGE: Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large"),
    Reason.REQUEST_TOO_SLOW: Kind(HTTPStatus.REQUEST_TIMEOUT, "The body did not come in time"),
    Reason.TOKEN_MISSING: Kind(HTTPStatus.UNAUTHORIZED, "An access token is needed"),
    Reason.TOKEN_INVALID: Kind(HTTPStatus.UNAUTHORIZED, "The access token is not valid"),
    Reason.TOKEN_EXPIRED: Kind(HTTPStatus.UNAUTHORIZED, "The access token has expired"),
    Reason.ROLE_NOT_ALLOWED: Kind(HTTPStatus.FORBIDDEN, "The caller's role may not do this"),
    Reason.NOT_YOURS: Kind(HTTPStatus.FORBIDDEN, "It belongs to somebody else"),
    Reason.UNKNOWN_COURSE: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "There is no such course"),
    Reason.UNKNOWN_PERSON: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "There is no such person"),
    Reason.COURSE_NOT_PUBLISHED: Kind(HTTPStatus.CONFLICT, "The course is not on sale"),
    Reason.COURSE_FULL: Kind(HTTPStatus.CONFLICT, "The course is full"),
    Reason.ENROLLMENT_CLOSED: Kind(HTTPStatus.CONFLICT, "Enrollment in the course has closed"),
    Reason.ALREADY_ENROLLED: Kind(HTTPStatus.CONFLICT, "The student already has a place in the course"),
    Reason.MIXED_CURRENCIES: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The courses have different currencies"),
    Reason.UNKNOWN_COUPON: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "There is no such coupon"),
    Reason.COUPON_EXPIRED: Kind(HTTPStatus.CONFLICT, "The coupon has expired"),
    Reason.COUPON_USED_UP: Kind(HTTPStatus.CONFLICT, "The coupon has been used up"),
    Reason.COUPON_CURRENCY: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The coupon is in another currency"),
    Reason.COUPON_NOT_YOURS: Kind(HTTPStatus.CONFLICT, "The coupon is for other people"),
    Reason.COUPON_NOT_APPLICABLE: Kind(HTTPStatus.CONFLICT, "The coupon is not good for these courses"),
    Reason.COUPON_MINIMUM: Kind(HTTPStatus.CONFLICT, "The order is too small for the coupon"),
    Reason.COUPON_USED_BY_YOU: Kind(HTTPStatus.CONFLICT, "The payer has used the coupon as often as a person may"),
    Reason.AMOUNT_TOO_SMALL: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The amount is too small to be paid"),
    Reason.SLOTS_REQUIRED: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "Lesson slots have to be chosen"),
    Reason.SLOTS_NOT_ALLOWED: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The course has no lesson slots"),
    Reason.SLOTS_UNAVAILABLE: Kind(HTTPStatus.CONFLICT, "A chosen lesson slot is not free"),
    Reason.TOO_MANY_LESSONS_A_DAY: Kind(HTTPStatus.CONFLICT, "There are too many lessons on one day"),
    Reason.TOO_FEW_LESSONS_A_WEEK: Kind(HTTPStatus.CONFLICT, "There are too few lessons in a week"),
    Reason.LESSONS_TOO_FAR_APART: Kind(HTTPStatus.CONFLICT, "The lessons take longer than the pack may last"),
    Reason.STUDENT_DOUBLE_BOOKED: Kind(HTTPStatus.CONFLICT, "The student has another lesson at that time"),
    Reason.TUTOR_DOUBLE_BOOKED: Kind(HTTPStatus.CONFLICT, "The tutor has another lesson at that time"),
    Reason.SCREENING_REQUIRED: Kind(HTTPStatus.CONFLICT, "The tutor has to approve the student first"),
    Reason.INVOICE_NOT_ALLOWED: Kind(HTTPStatus.FORBIDDEN, "The payer may not pay by invoice"),
    Reason.PAYMENT_REFUSED: Kind(HTTPStatus.PAYMENT_REQUIRED, "The payment was refused"),
    Reason.ORDER_NOT_CANCELABLE: Kind(HTTPStatus.CONFLICT, "The order can no longer be cancelled"),
    Reason.ORDER_NOT_WAITING_FOR_APPROVAL: Kind(HTTPStatus.CONFLICT, "The order does not wait for approval"),
    Reason.INVOICE_NOT_OPEN: Kind(HTTPStatus.CONFLICT, "The order has no open invoice"),
    Reason.ENROLLMENT_NOT_ACTIVE: Kind(HTTPStatus.CONFLICT, "The enrollment is not active"),
    Reason.LESSON_NOT_BEGUN: Kind(HTTPStatus.CONFLICT, "The lesson has not begun"),
    Reason.LESSON_ALREADY_RECORDED: Kind(HTTPStatus.CONFLICT, "The lesson is recorded otherwise; staff may correct it"),
    Reason.REFUND_NOT_ELIGIBLE: Kind(HTTPStatus.CONFLICT, "The refund policy of the purchase does not allow it"),
    Reason.REFUND_IN_PROGRESS: Kind(HTTPStatus.CONFLICT, "The money is on its way back already"),
    Reason.CASCADE_NOT_RUNNING: Kind(HTTPStatus.CONFLICT, "The cascade is over"),
    Reason.ALREADY_TUTOR: Kind(HTTPStatus.CONFLICT, "The person is a tutor already"),
    Reason.APPLICATION_EXISTS: Kind(HTTPStatus.CONFLICT, "Another application of the person is under way"),
    Reason.REAPPLY_TOO_SOON: Kind(HTTPStatus.CONFLICT, "It is too soon for another application"),
    Reason.TOO_MANY_APPLICATIONS: Kind(HTTPStatus.CONFLICT, "The person has sent too many applications"),
    Reason.APPLICATION_INCOMPLETE: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The application is not complete"),
    Reason.APPLICATION_NOT_EDITABLE: Kind(HTTPStatus.CONFLICT, "The application cannot be changed now"),
    Reason.APPLICATION_NOT_IN_REVIEW: Kind(HTTPStatus.CONFLICT, "The application is not with the reviewers"),
    Reason.APPLICATION_OVER: Kind(HTTPStatus.CONFLICT, "The application is over"),
    Reason.NO_INFO_REQUESTED: Kind(HTTPStatus.CONFLICT, "No information was asked for"),
    Reason.TOO_MANY_INFO_ROUNDS: Kind(HTTPStatus.CONFLICT, "Information was asked for too often"),
    Reason.UNKNOWN_SUBJECT: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "There is no such subject"),
    Reason.UNSUPPORTED_FILE: Kind(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Files of this kind are not taken"),
    Reason.TOO_MANY_DOCUMENTS: Kind(HTTPStatus.CONFLICT, "The application has too many documents"),
    Reason.VERDICTS_MISSING: Kind(HTTPStatus.CONFLICT, "Not every document has a verdict"),
    Reason.REASONS_REQUIRED: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The decision needs a reason"),
    Reason.NOT_A_REVIEWER: Kind(HTTPStatus.FORBIDDEN, "The person does not review applications"),
    Reason.OWN_APPLICATION: Kind(HTTPStatus.FORBIDDEN, "Nobody reviews their own application"),
    Reason.FOUR_EYES_REQUIRED: Kind(HTTPStatus.FORBIDDEN, "Another reviewer has to decide this"),
    Reason.CART_OVER: Kind(HTTPStatus.CONFLICT, "The cart was bought, or what was in it is deleted"),
    Reason.CART_EMPTY: Kind(HTTPStatus.CONFLICT, "There is nothing in the cart"),
    Reason.LINK_INVALID: Kind(HTTPStatus.NOT_FOUND, "The link is not one of ours"),
    Reason.LINK_EXPIRED: Kind(HTTPStatus.GONE, "The link has expired"),
    Reason.LINK_USED: Kind(HTTPStatus.GONE, "The link has served its purpose"),
    Reason.ENROLLMENT_EXPIRED: Kind(HTTPStatus.CONFLICT, "Access to the course is over"),
    Reason.ENROLLMENT_SUSPENDED: Kind(HTTPStatus.CONFLICT, "The enrollment is suspended"),
    Reason.ENROLLMENT_PAUSED: Kind(HTTPStatus.CONFLICT, "The enrollment is paused"),
    Reason.ENROLLMENT_NOT_PAUSED: Kind(HTTPStatus.CONFLICT, "The enrollment is not paused"),
    Reason.PAUSE_TOO_LONG: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The pause is too long, or ends before it begins"),
    Reason.LESSON_NOT_OPEN: Kind(HTTPStatus.CONFLICT, "The lesson is not open yet"),
    Reason.ATTEMPTS_USED_UP: Kind(HTTPStatus.CONFLICT, "There are no more attempts at the lesson"),
    Reason.SCORE_REQUIRED: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The lesson is graded, so a score is needed"),
    Reason.SCORE_NOT_ALLOWED: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The lesson has no such score"),
    Reason.NOT_JUDGED: Kind(HTTPStatus.CONFLICT, "The course is not one that staff judges"),
    Reason.DRIP_RULE_INVALID: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The rule by which a lesson opens cannot hold"),
    Reason.MEETING_OVER: Kind(HTTPStatus.CONFLICT, "The meeting is over, or was canceled"),
    Reason.COURSE_CHANGE_NOT_RUNNING: Kind(HTTPStatus.CONFLICT, "The change of the course is over"),
    Reason.CERTIFICATE_NOT_ELIGIBLE: Kind(HTTPStatus.CONFLICT, "There is no certificate to be had yet"),
    Reason.CERTIFICATE_NOT_ISSUED: Kind(HTTPStatus.CONFLICT, "The certificate does not count (any more)"),
    Reason.CERTIFICATE_NOT_REVOKED: Kind(HTTPStatus.CONFLICT, "The certificate is not revoked"),
    Reason.CERTIFICATE_NOT_RENEWABLE: Kind(HTTPStatus.CONFLICT, "The certificate cannot be renewed now"),
    Reason.TEMPLATE_INVALID: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The template cannot be printed"),
    Reason.NAME_INVALID: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "This cannot be printed as a name"),
    Reason.NAME_UNCHANGED: Kind(HTTPStatus.CONFLICT, "The certificate bears this name already"),
    Reason.NAME_ALREADY_CONFIRMED: Kind(HTTPStatus.CONFLICT, "The name is confirmed; it is corrected on a certificate"),
    Reason.EVIDENCE_REQUIRED: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The new name has to be proven"),
    Reason.CORRECTION_IN_PROGRESS: Kind(HTTPStatus.CONFLICT, "Another correction is being looked at"),
    Reason.TOO_MANY_CORRECTIONS: Kind(HTTPStatus.CONFLICT, "The name was corrected too often of late"),
    Reason.BATCH_NOT_RUNNING: Kind(HTTPStatus.CONFLICT, "The run is over"),
    Reason.TOO_MANY_REQUESTS: Kind(HTTPStatus.TOO_MANY_REQUESTS, "There were too many requests"),
    Reason.DOCUMENT_NOT_READY: Kind(HTTPStatus.NOT_FOUND, "The document is not ready yet"),
    Reason.RECEIPT_NOT_READY: Kind(HTTPStatus.NOT_FOUND, "There is no receipt yet"),
    Reason.FORMAT_NOT_AVAILABLE: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The report is not to be had in this format"),
    Reason.TOO_MANY_ROWS: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "There are more rows than the file can have"),
    Reason.EXPORT_NOT_RUNNING: Kind(HTTPStatus.CONFLICT, "The export is over"),
    Reason.EXPORT_EXPIRED: Kind(HTTPStatus.GONE, "The file of the export is deleted"),
    Reason.JOB_OVER: Kind(HTTPStatus.CONFLICT, "The job is over"),
    Reason.NOTHING_TO_RETRY: Kind(HTTPStatus.CONFLICT, "Nothing of the job can be tried again"),
    Reason.NOTHING_TO_SKIP: Kind(HTTPStatus.CONFLICT, "Nothing of the job can be skipped"),
    Reason.JOB_NOT_CANCELABLE: Kind(HTTPStatus.CONFLICT, "Jobs of this kind are not canceled"),
    Reason.TOO_MANY_JOBS: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The query finds too many jobs"),
    Reason.JOB_ACTION_NOT_RUNNING: Kind(HTTPStatus.CONFLICT, "The action is over"),
    Reason.TASK_NOT_OPEN: Kind(HTTPStatus.CONFLICT, "The task has been decided"),
    Reason.ACTION_NOT_ALLOWED: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "The task does not allow this action"),
    Reason.SIGNATURE_INVALID: Kind(HTTPStatus.BAD_REQUEST, "The signature is not valid"),
    Reason.SIGNATURE_TOO_OLD: Kind(HTTPStatus.BAD_REQUEST, "The signature is too old"),
    Reason.WRONG_MODE: Kind(HTTPStatus.BAD_REQUEST, "The event is of the other mode, live or test"),
    Reason.UNAVAILABLE: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "Something we depend on cannot be reached"),
    Reason.INTERNAL: Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side"),
}


class ProblemDocument(BaseModel):
    """An error, as RFC 9457 has it. Programs decide by `reason`; `detail` is for people."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str = Field(description="`urn:registrar:problem:` and the reason")
    title: str = Field(description="what this kind of problem is, always the same for a reason")
    status: int = Field(description="the HTTP status")
    detail: str = Field(description="what happened this time")
    instance: str = Field(description="`urn:registrar:request:` and the request's id, to be found in our log")
    reason: Reason
    errors: tuple[InvalidField, ...] | None = Field(
        default=None,
        description="which parts of the request or a template are not valid, or of an application are missing, or what "
        "stands between an enrollment and its certificate; only with `invalid_request`, `template_invalid`, "
        "`application_incomplete` and `certificate_not_eligible`",
    )
    opens_at: datetime | None = Field(
        default=None, description="when the lesson opens, if that is known; only with `lesson_not_open`"
    )
    paused_until: datetime | None = Field(
        default=None, description="when the pause ends by itself; only with `enrollment_paused`"
    )
    access_ended_at: datetime | None = Field(
        default=None, description="when access has ended; only with `enrollment_expired`"
    )


class ProblemError(Exception):
    """Raise it anywhere below a route: the caller gets the problem document of the reason.

    `moment` (UTC) is what some refusals are about: when a lesson opens, a pause ends, or access has ended.
    """

    def __init__(
        self, reason: Reason, detail: str, *, errors: Sequence[InvalidField] = (), moment: datetime | None = None
    ) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.detail = detail
        self.errors = tuple(errors)
        self.moment = moment


def document(
    reason: Reason,
    detail: str,
    request_id: str,
    errors: Sequence[InvalidField] | None = None,
    moment: datetime | None = None,
) -> ProblemDocument:
    """The problem document of a reason."""
    kind = KINDS[reason]
    return ProblemDocument(
        type=f"urn:registrar:problem:{reason}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=f"urn:registrar:request:{request_id}",
        reason=reason,
        errors=tuple(errors) if errors else None,
        opens_at=moment if reason is Reason.LESSON_NOT_OPEN else None,
        paused_until=moment if reason is Reason.ENROLLMENT_PAUSED else None,
        access_ended_at=moment if reason is Reason.ENROLLMENT_EXPIRED else None,
    )


def problem_response(
    request: Request,
    reason: Reason,
    detail: str,
    *,
    errors: Sequence[InvalidField] | None = None,
    moment: datetime | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The answer that carries the problem document."""
    request.state.refused_with = reason  # counted where every answer is
    problem = document(reason, detail, request.state.request_id, errors, moment)
    return JSONResponse(
        problem.model_dump(mode="json", exclude_none=True),
        status_code=problem.status,
        media_type=MEDIA_TYPE,
        headers={**_headers(reason), **(headers or {})},
    )


def unexpected(request: Request, error: Exception) -> JSONResponse:
    """The answer to an exception nobody expected. The log gets where and what kind, not what it says:
    error texts of libraries quote the values they choked on."""
    if is_outage(error):
        _log.warning("outage: %s", type(error).__qualname__)
        return problem_response(request, Reason.UNAVAILABLE, "Please try again in a moment.")
    if takes_no_more(error):
        _log.error("update_limit: the workflow takes no more updates, see docs/operators.md path=%s", request.url.path)
        return problem_response(request, Reason.INTERNAL, "It takes no more messages; an operator has to look at it.")
    _log.error("unexpected %s", kind_and_place(error))
    return problem_response(request, Reason.INTERNAL, "The error has been logged under the request's id.")


def install(app: FastAPI) -> None:
    """Make the application answer every exception with a problem document."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)
    for outside in (RPCError, RPCTimeoutOrCancelledError, SQLAlchemyError, OSError):
        app.add_exception_handler(outside, _outside)


def _headers(reason: Reason) -> dict[str, str]:
    match KINDS[reason].status:
        case HTTPStatus.UNAUTHORIZED if reason is Reason.TOKEN_MISSING:
            return {"WWW-Authenticate": 'Bearer realm="registrar"'}
        case HTTPStatus.UNAUTHORIZED:
            return {"WWW-Authenticate": 'Bearer realm="registrar", error="invalid_token"'}
        case HTTPStatus.SERVICE_UNAVAILABLE:
            return {"Retry-After": str(RETRY_AFTER_SECONDS)}
        case _:
            return {}


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this class only
    return problem_response(request, error.reason, error.detail, errors=error.errors, moment=error.moment)


async def _not_valid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    found = error.errors()
    if lacks_idempotency_key(found):
        return problem_response(
            request, Reason.IDEMPOTENCY_KEY_MISSING, "Send an Idempotency-Key header, one per purchase."
        )
    return problem_response(
        request, Reason.INVALID_REQUEST, "See `errors` for what is not valid.", errors=invalid_fields(found)
    )


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    match error.status_code:
        case HTTPStatus.NOT_FOUND:
            reason, detail = Reason.NOT_FOUND, "There is nothing at this address."
        case HTTPStatus.METHOD_NOT_ALLOWED:
            reason, detail = Reason.METHOD_NOT_ALLOWED, "See the `Allow` header."
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            reason, detail = Reason.PAYLOAD_TOO_LARGE, error.detail
        case HTTPStatus.REQUEST_TIMEOUT:
            reason, detail = Reason.REQUEST_TOO_SLOW, error.detail
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            reason, detail = Reason.INTERNAL, "The request could not be served."
        case _:
            reason, detail = Reason.INVALID_REQUEST, "The request could not be read."
    return problem_response(request, reason, detail, headers=error.headers)


async def _outside(request: Request, error: Exception) -> JSONResponse:
    return unexpected(request, error)
