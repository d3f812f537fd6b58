"""The state machines: which state may follow which (DESIGN §5). The only place that knows."""

from collections.abc import Mapping
from enum import StrEnum

from models.errors import IllegalTransitionError
from models.vocabulary import (
    ApplicationStatus,
    CartStatus,
    CertificateStatus,
    EnrollmentStatus,
    MailStatus,
    OrderStatus,
)

_ORDER = {
    OrderStatus.PENDING_PAYMENT: {OrderStatus.COMPLETED, OrderStatus.FAILED, OrderStatus.CANCELLED},
    OrderStatus.COMPLETED: {OrderStatus.PARTIALLY_REFUNDED, OrderStatus.REFUNDED},
    OrderStatus.PARTIALLY_REFUNDED: {OrderStatus.REFUNDED},
}
_ENROLLMENT = {
    EnrollmentStatus.PENDING_APPROVAL: {
        EnrollmentStatus.PENDING_PAYMENT,
        EnrollmentStatus.WAITLISTED,
        EnrollmentStatus.CANCELED,
    },
    EnrollmentStatus.WAITLISTED: {EnrollmentStatus.PENDING_PAYMENT, EnrollmentStatus.CANCELED},
    EnrollmentStatus.PENDING_PAYMENT: {EnrollmentStatus.ACTIVE, EnrollmentStatus.CANCELED},
    EnrollmentStatus.ACTIVE: {
        EnrollmentStatus.SUSPENDED,
        EnrollmentStatus.COMPLETED,
        EnrollmentStatus.CANCELED,
        EnrollmentStatus.EXPIRED,
    },
    EnrollmentStatus.SUSPENDED: {EnrollmentStatus.ACTIVE, EnrollmentStatus.CANCELED, EnrollmentStatus.EXPIRED},
    # What is learned stays completed when access ends; a reset begins anew.
    EnrollmentStatus.COMPLETED: {EnrollmentStatus.ACTIVE, EnrollmentStatus.CANCELED},
    # Access is given longer, or what was paid goes back all the same.
    EnrollmentStatus.EXPIRED: {EnrollmentStatus.ACTIVE, EnrollmentStatus.CANCELED},
    # A place that was given back while its payment was on its way is taken again when the money arrives.
    EnrollmentStatus.CANCELED: {EnrollmentStatus.PENDING_PAYMENT},
}
_MAIL = {
    MailStatus.QUEUED: {MailStatus.SENT, MailStatus.UNKNOWN, MailStatus.BOUNCED, MailStatus.SKIPPED},
    # A person may have it sent once more.
    MailStatus.UNKNOWN: {MailStatus.SENT, MailStatus.BOUNCED, MailStatus.QUEUED},
    MailStatus.BOUNCED: {MailStatus.QUEUED},
    MailStatus.SENT: {MailStatus.BOUNCED},
}
_DECIDED_BY_REVIEWERS = {
    ApplicationStatus.INFO_REQUESTED,
    ApplicationStatus.APPROVED,
    ApplicationStatus.REJECTED_SOFT,
    ApplicationStatus.REJECTED_HARD,
}
_APPLICATION = {
    ApplicationStatus.DRAFT: {ApplicationStatus.SUBMITTED, ApplicationStatus.WITHDRAWN, ApplicationStatus.EXPIRED},
    # Nobody is rejected because nobody had time: an application that waited too long is still decided (reference 5).
    ApplicationStatus.SUBMITTED: {
        ApplicationStatus.IN_REVIEW,
        ApplicationStatus.INACTIVE,
        ApplicationStatus.WITHDRAWN,
    },
    ApplicationStatus.IN_REVIEW: {
        *_DECIDED_BY_REVIEWERS,
        ApplicationStatus.SUBMITTED,
        ApplicationStatus.INACTIVE,
        ApplicationStatus.WITHDRAWN,
    },
    ApplicationStatus.INACTIVE: {
        *_DECIDED_BY_REVIEWERS,
        ApplicationStatus.WITHDRAWN,
        ApplicationStatus.EXPIRED,
    },
    ApplicationStatus.INFO_REQUESTED: {
        ApplicationStatus.SUBMITTED,
        ApplicationStatus.IN_REVIEW,
        ApplicationStatus.WITHDRAWN,
        ApplicationStatus.EXPIRED,
    },
}
_CART = {
    # A mail may have led back to a cart that was changed before it was bought.
    CartStatus.OPEN: {CartStatus.ABANDONED, CartStatus.RECOVERED, CartStatus.ORDERED, CartStatus.CLEARED},
    # Somebody who comes back and changes it has not abandoned it; who buys without our link has simply ordered.
    CartStatus.ABANDONED: {
        CartStatus.OPEN,
        CartStatus.RECOVERED,
        CartStatus.ORDERED,
        CartStatus.LOST,
        CartStatus.CLEARED,
    },
    # Money may come in for a cart that was given up in the meantime.
    CartStatus.LOST: {CartStatus.ORDERED, CartStatus.RECOVERED},
    # Who has taken everything out may put something in again.
    CartStatus.CLEARED: {CartStatus.OPEN},
}
_CERTIFICATE = {
    CertificateStatus.ISSUED: {CertificateStatus.EXPIRED, CertificateStatus.SUPERSEDED, CertificateStatus.REVOKED},
    # Reinstated; where its time is over meanwhile, it expires.
    CertificateStatus.REVOKED: {CertificateStatus.ISSUED},
}
_MACHINES: Mapping[type[StrEnum], Mapping[StrEnum, set[StrEnum]]] = {
    OrderStatus: _ORDER,  # type: ignore[dict-item]
    EnrollmentStatus: _ENROLLMENT,  # type: ignore[dict-item]
    MailStatus: _MAIL,  # type: ignore[dict-item]
    ApplicationStatus: _APPLICATION,  # type: ignore[dict-item]
    CartStatus: _CART,  # type: ignore[dict-item]
    CertificateStatus: _CERTIFICATE,  # type: ignore[dict-item]
}


def may_follow(current: StrEnum, wanted: StrEnum) -> bool:
    """Whether the state machine of these words has this step."""
    return wanted in _MACHINES[type(wanted)].get(current, set())


def require_transition(current: StrEnum, wanted: StrEnum) -> None:
    """Raise `IllegalTransitionError` unless `wanted` may follow `current`."""
    if not may_follow(current, wanted):
        raise IllegalTransitionError(type(wanted).__name__.removesuffix("Status").lower(), current, wanted)
