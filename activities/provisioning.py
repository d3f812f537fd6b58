"""The step that tells the learning platform to open a course, and waits for its yes."""

import json
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from uuid import UUID

import httpx
from sqlalchemy import select, update
from sqlmodel import col
from standardwebhooks import Webhook
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.database import Sessions
from models.messages.provisioning import Provisioned, ProvisionEnrollment
from models.tables import Enrollment, Order, OrderLine
from models.tables.columns import now
from models.vocabulary import EnrollmentStatus

_SECONDS = 20


@dataclass(frozen=True)
class LearningPlatform:
    """Where the platform listens, and the secret (Standard Webhooks, `whsec_…`) that proves that it is us."""

    url: str
    secret: str = field(repr=False)


@dataclass
class ProvisioningActivities:
    """Steps that talk to the learning platform."""

    sessions: Sessions
    platform: LearningPlatform | None

    @activity.defn
    async def provision_enrollment(self, step: ProvisionEnrollment) -> Provisioned:
        """Send `enrollment.activated` for the enrollment until the platform answers 2xx, and write down when it did.

        The webhook's id is the enrollment's, so that the platform can tell a repeat. An enrollment that has ended in
        the meantime is not sent. Every other answer is raised as a retryable `ApplicationError`.
        """
        body = await self._body(step.enrollment_id)
        if body is None or self.platform is None:
            return Provisioned()
        status = await post_to_platform(self.platform, step.enrollment_id, body)
        if not is_yes(status):
            raise not_now(status)
        return Provisioned(provisioned_at=await self._write_down(step.enrollment_id))

    async def _body(self, enrollment_id: UUID) -> str | None:
        query = (
            select(Enrollment, col(Order.id), col(Order.is_test))
            .join(OrderLine, col(OrderLine.id) == col(Enrollment.order_line_id))
            .join(Order, col(Order.id) == col(OrderLine.order_id))
            .where(col(Enrollment.id) == enrollment_id, col(Enrollment.status) == EnrollmentStatus.ACTIVE)
        )
        async with self.sessions() as session:
            found = (await session.execute(query)).one_or_none()
        if found is None:
            return None
        enrollment, order_id, is_test = found
        return json.dumps(
            {
                "type": "enrollment.activated",
                "timestamp": enrollment.updated_at.isoformat(),
                "data": {
                    "enrollment_id": str(enrollment.id),
                    "course_id": str(enrollment.course_id),
                    "student_id": str(enrollment.student_id),
                    "order_id": str(order_id),
                    "access_ends_at": enrollment.access_ends_at and enrollment.access_ends_at.isoformat(),
                    "is_test": is_test,
                },
            }
        )

    async def _write_down(self, enrollment_id: UUID) -> datetime:
        moment = now()
        confirmed = update(Enrollment).where(col(Enrollment.id) == enrollment_id).values(provisioned_at=moment)
        async with self.sessions.begin() as session:
            await session.execute(confirmed)
        return moment


async def post_to_platform(platform: LearningPlatform, message_id: UUID, body: str) -> int:
    """Post the message, signed (Standard Webhooks), and answer the platform's HTTP status, whatever it is.

    The same `message_id` tells the platform that it is a repeat. Raises a retryable `ApplicationError`
    (`platform_unreachable`) if there is no answer.
    """
    moment = now()
    headers = {
        "Content-Type": "application/json",
        "webhook-id": str(message_id),
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(platform.secret).sign(str(message_id), moment, body),
    }
    try:
        async with httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False, verify=_authorities()) as http:
            answer = await http.post(platform.url, content=body, headers=headers)
    except httpx.HTTPError as error:
        raise ApplicationError(
            f"the learning platform could not be reached ({type(error).__name__})", type="platform_unreachable"
        ) from None
    return answer.status_code


@cache
def _authorities() -> ssl.SSLContext:
    # To read all of them takes longer than a message does.
    return httpx.create_ssl_context()


def is_yes(status: int) -> bool:
    """Whether the platform has taken the message."""
    return httpx.codes.is_success(status)


def not_now(status: int) -> ApplicationError:
    """That the platform has not taken the message yet: another try may help."""
    return ApplicationError(f"the learning platform answered {status}", type=f"platform_{status}")
