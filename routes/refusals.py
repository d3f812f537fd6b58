"""What a workflow's refusal means for the caller, also where it says one by one what is missing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

from temporalio.client import RPCTimeoutOrCancelledError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from models.errors import Reason
from models.vocabulary import CertificateGround
from routes.outages import RUN_CLOSED, is_not_found
from routes.problems import ProblemError
from routes.validation import InvalidField

PATIENCE = timedelta(seconds=15)
_TRIES = 3
AnswerT = TypeVar("AnswerT")

# The words of rules.tutor_application.missing.
_MISSING = {
    "bio": ("#/bio", "Say something about yourself."),
    "qualifications": ("#/qualifications", "Say what you have learned and done."),
    "certifications": ("#/certifications", "Say what you are certified for."),
    "subjects": ("#/subjects", "Choose at least one subject."),
    "identity": ("#/documents/identity", "A valid proof of identity is needed."),
    "video": ("#/documents/video", "A video in which you teach is needed."),
}

# Those of CertificateGround.
_GROUNDS = {
    CertificateGround.NOT_COMPLETED: "The course is not completed.",
    CertificateGround.NAME_UNCONFIRMED: "The name is not confirmed.",
    CertificateGround.NO_TEMPLATE: "The course brings no certificate.",
    CertificateGround.ENROLLMENT_CANCELED: "The enrollment is canceled.",
    CertificateGround.REVOKED_BEFORE: "It was revoked, and can be reinstated.",
}


@asynccontextmanager
async def answered(
    refusals: Collection[Reason], repeat: str, *, gone: ProblemError | None = None
) -> AsyncIterator[None]:
    """Around an update of a workflow: raises `ProblemError` for one of these refusals, and `unavailable` if no worker
    answers in time; `repeat` says how to go on then.

    `gone` is raised if the workflow does not run. Without it that is no worker's answer either: an update that starts
    its run finds none only if the run has closed while it was on its way.
    """
    not_answered = ProblemError(Reason.UNAVAILABLE, f"No worker has answered; {repeat}.")
    try:
        yield
    except WorkflowUpdateFailedError as failed:
        raise problem_of(failed, refusals) from failed
    except (RPCTimeoutOrCancelledError, TimeoutError):
        raise not_answered from None
    except RPCError as error:
        if is_not_found(error):
            raise gone or not_answered from error
        raise


async def in_any_run(
    ask: Callable[[], Awaitable[AnswerT]], refused: Callable[[WorkflowUpdateFailedError], Exception], repeat: str
) -> AnswerT:
    """What a workflow answers that may end at any time, and then runs again for whoever has something to say.

    `ask` sends an update with a start; where the run closes while it is on its way, the next try starts another.
    Raises what `refused` makes of a refusal, and `unavailable` if no worker answers; `repeat` says how to go on then.
    """
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            for _ in range(_TRIES):
                try:
                    return await ask()
                except WorkflowUpdateFailedError as failed:
                    if not (isinstance(failed.cause, ApplicationError) and failed.cause.type == RUN_CLOSED):
                        raise refused(failed) from failed
                except RPCError as error:
                    if not is_not_found(error):
                        raise
    except (RPCTimeoutOrCancelledError, TimeoutError):
        pass
    raise ProblemError(Reason.UNAVAILABLE, f"No worker has answered; {repeat}.")


def problem_of(failed: WorkflowUpdateFailedError, refusals: Collection[Reason]) -> Exception:
    """The problem of one of these refusals; anything else stays what it is, a defect."""
    cause = failed.cause
    if isinstance(cause, ApplicationError) and cause.type == RUN_CLOSED:
        return ProblemError(Reason.UNAVAILABLE, "The job ended while it was asked; repeat it.")
    if not isinstance(cause, ApplicationError) or cause.type is None or cause.type not in refusals:
        return failed
    return ProblemError(Reason(cause.type), cause.message, errors=missing_parts(cause.details))


def missing_parts(words: Sequence[object]) -> tuple[InvalidField, ...]:
    """What an application or a certificate lacks, each with a pointer to where it belongs."""
    return tuple(_missing_part(word) for word in words if isinstance(word, str))


def _missing_part(word: str) -> InvalidField:
    about, _, subject = word.partition(":")
    if word in set(CertificateGround):
        return InvalidField(pointer=f"#/grounds/{word}", detail=_GROUNDS[CertificateGround(word)])
    if about == "certification":
        pointer, detail = f"#/documents/{word}", f"A valid certification for `{subject}` is needed."
    elif about == "subject_closed":
        pointer, detail = "#/subjects", f"No tutors are looked for in `{subject}`."
    else:
        pointer, detail = _MISSING.get(word, ("#", f"Something is missing: {word}."))
    return InvalidField(pointer=pointer, detail=detail)
