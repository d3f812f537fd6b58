"""Identifiers: row ids, workflow ids, idempotency keys. None holds a name or an address."""

from uuid import UUID, uuid5

from uuid_utils.compat import uuid7

REGISTRAR_NAMESPACE = UUID("6e9d5b0e-8f0a-5a4b-9a36-0d0c0c6a6f01")


def new_id() -> UUID:
    """A fresh row id: UUIDv7, so that rows sort by the time they were made."""
    return uuid7()


def order_id_for(principal: str, idempotency_key: str) -> UUID:
    """The order that this caller's `Idempotency-Key` stands for; a repeat finds the same order (DESIGN §3.3)."""
    return uuid5(REGISTRAR_NAMESPACE, f"order:{principal}:{idempotency_key}")


def mail_id_for(recipient_id: UUID, template: str, subject_id: UUID, occasion: str = "") -> UUID:
    """The one ledger row, and Message-ID, of a mail about a fact (DESIGN §3.10)."""
    return uuid5(REGISTRAR_NAMESPACE, f"mail:{recipient_id}:{template}:{subject_id}{occasion and f':{occasion}'}")


def task_id_for(workflow_id: str, about: str) -> UUID:
    """The one task of a workflow about this; asking again finds it."""
    return uuid5(REGISTRAR_NAMESPACE, f"task:{workflow_id}:{about}")


def note_id_for(subject_id: UUID, author: str, text: str) -> UUID:
    """The one note of somebody in these words about a thing; writing it again finds it."""
    return uuid5(REGISTRAR_NAMESPACE, f"note:{subject_id}:{author}:{text}")


def refund_id_for(workflow_id: str, about: str) -> UUID:
    """The one refund of a workflow for this; its id is Stripe's idempotency key and survives a reset."""
    return uuid5(REGISTRAR_NAMESPACE, f"refund:{workflow_id}:{about}")


def invoice_payment_id_for(order_id: UUID, principal: str, idempotency_key: str) -> UUID:
    """The money that this caller's `Idempotency-Key` reports; a repeat is the same money."""
    return uuid5(REGISTRAR_NAMESPACE, f"invoice-payment:{order_id}:{principal}:{idempotency_key}")


def order_workflow_id(order_id: UUID) -> str:
    """The workflow that owns an order."""
    return f"order-{order_id}"


def step_key(workflow_id: str, step: str) -> str:
    """The idempotency key of one external effect. Unlike run and activity ids it survives a reset (DESIGN §3.5)."""
    return f"{workflow_id}:{step}"


def unmatched_payment_workflow_id(payment_intent_id: str) -> str:
    """The workflow that looks after a payment which no running order waits for."""
    return f"payment-{payment_intent_id}"


def dispute_workflow_id(stripe_dispute_id: str) -> str:
    """The workflow that follows a disputed payment."""
    return f"dispute-{stripe_dispute_id}"


def order_cancellation_workflow_id(order_id: UUID) -> str:
    """The workflow that takes a paid order back."""
    return f"order-cancellation-{order_id}"


def refund_workflow_id(enrollment_id: UUID) -> str:
    """The workflow that owns the refund of an enrollment; there is one at a time."""
    return f"refund-{enrollment_id}"


def refund_watch_workflow_id(stripe_refund_id: str) -> str:
    """The workflow that follows a refund at Stripe to its end."""
    return f"refund-watch-{stripe_refund_id}"


def refund_sweep_workflow_id(payment_intent_id: str, event_id: str) -> str:
    """The workflow that looks for refunds of a payment because of a webhook."""
    return f"refund-sweep-{payment_intent_id}-{event_id}"


def refund_request_id_for(enrollment_id: UUID, principal: str, idempotency_key: str) -> UUID:
    """The wish for a refund that this caller's `Idempotency-Key` stands for."""
    return uuid5(REGISTRAR_NAMESPACE, f"refund-request:{enrollment_id}:{principal}:{idempotency_key}")


def document_copy_workflow_id(copy_id: UUID) -> str:
    """The workflow that mails a document once more."""
    return f"document-copy-{copy_id}"


def document_copy_id_for(document_id: UUID, principal: str, idempotency_key: str) -> UUID:
    """The copy that this caller's `Idempotency-Key` stands for."""
    return uuid5(REGISTRAR_NAMESPACE, f"document-copy:{document_id}:{principal}:{idempotency_key}")


def stripe_subject_id(stripe_id: str) -> UUID:
    """A row id for something that only Stripe knows, so that a task can be about it."""
    return uuid5(REGISTRAR_NAMESPACE, f"stripe:{stripe_id}")


def cascade_id_for(principal: str, idempotency_key: str) -> UUID:
    """The cascade that this caller's `Idempotency-Key` stands for."""
    return uuid5(REGISTRAR_NAMESPACE, f"cascade:{principal}:{idempotency_key}")


def cascade_workflow_id(cascade_id: UUID) -> str:
    """The workflow that ends many enrollments at once."""
    return f"cascade-{cascade_id}"


def cascade_request_id_for(cascade_id: UUID, enrollment_id: UUID) -> UUID:
    """The wish for the refund of one enrollment that a cascade ends."""
    return uuid5(REGISTRAR_NAMESPACE, f"cascade-refund:{cascade_id}:{enrollment_id}")


def tutor_application_id_for(principal: str, idempotency_key: str) -> UUID:
    """The application that this caller's `Idempotency-Key` stands for."""
    return uuid5(REGISTRAR_NAMESPACE, f"tutor-application:{principal}:{idempotency_key}")


def tutor_application_workflow_id(application_id: UUID) -> str:
    """The workflow that owns the application of a tutor."""
    return f"tutor-application-{application_id}"


def application_copy_id_for(application_id: UUID, document_id: UUID) -> UUID:
    """The document of an application that was taken over from an earlier one."""
    return uuid5(REGISTRAR_NAMESPACE, f"application-copy:{application_id}:{document_id}")


def tutor_message_id_for(subject_id: UUID, event: str) -> UUID:
    """The one message to the learning platform that somebody became, or is no longer, a tutor."""
    return uuid5(REGISTRAR_NAMESPACE, f"tutor-message:{subject_id}:{event}")


def tutor_profile_id_for(person_id: UUID) -> UUID:
    """The one profile of a tutor (TutorHub G30)."""
    return uuid5(REGISTRAR_NAMESPACE, f"tutor-profile:{person_id}")


def hand_over_occasion(task_id: UUID, hand_overs: int) -> str:
    """The occasion of the mail that a review was given to somebody: the same task may come back to the same person."""
    return f"{task_id}-{hand_overs}"


def cart_workflow_id(cart_id: UUID) -> str:
    """The workflow that looks after a cart."""
    return f"cart-{cart_id}"


def cart_order_id(cart_id: UUID, attempt: int) -> UUID:
    """The order that is placed from a cart; another attempt is another order, after one that came to nothing."""
    return uuid5(REGISTRAR_NAMESPACE, f"cart-order:{cart_id}:{attempt}")


def cart_coupon_id(cart_id: UUID) -> UUID:
    """The one coupon that a cart's last mail may offer."""
    return uuid5(REGISTRAR_NAMESPACE, f"cart-coupon:{cart_id}")


def drip_workflow_id(enrollment_id: UUID) -> str:
    """The workflow that opens the lessons of an enrollment and follows what is learned."""
    return f"drip-{enrollment_id}"


def attempt_id_for(enrollment_id: UUID, principal: str, idempotency_key: str) -> UUID:
    """What this caller's `Idempotency-Key` tells of a lesson; a repeat is the same attempt."""
    return uuid5(REGISTRAR_NAMESPACE, f"lesson-attempt:{enrollment_id}:{principal}:{idempotency_key}")


def enrollment_change_id_for(enrollment_id: UUID, principal: str, idempotency_key: str) -> UUID:
    """The change of an enrollment that this caller's `Idempotency-Key` stands for."""
    return uuid5(REGISTRAR_NAMESPACE, f"enrollment-change:{enrollment_id}:{principal}:{idempotency_key}")


def course_change_id_for(principal: str, idempotency_key: str) -> UUID:
    """The change of a course, or of all its enrollments, that this caller's `Idempotency-Key` stands for."""
    return uuid5(REGISTRAR_NAMESPACE, f"course-change:{principal}:{idempotency_key}")


def course_change_workflow_id(change_id: UUID) -> str:
    """The workflow that changes a course and everything that follows from it for those who learn there."""
    return f"course-change-{change_id}"


def member_change_id_for(change_id: UUID, enrollment_id: UUID) -> UUID:
    """The change of one enrollment that a change of all those of a course brings."""
    return uuid5(REGISTRAR_NAMESPACE, f"member-change:{change_id}:{enrollment_id}")


def certificate_workflow_id(enrollment_id: UUID) -> str:
    """The workflow that owns the certificates of an enrollment."""
    return f"certificate-{enrollment_id}"


def certificate_id_for(enrollment_id: UUID, template_id: UUID, about: str) -> UUID:
    """The one certificate of an enrollment by a template: its first, or the one that follows on another."""
    return uuid5(REGISTRAR_NAMESPACE, f"certificate:{enrollment_id}:{template_id}:{about}")


def name_correction_id_for(certificate_id: UUID, principal: str, idempotency_key: str) -> UUID:
    """The wish for another name that this caller's `Idempotency-Key` stands for."""
    return uuid5(REGISTRAR_NAMESPACE, f"name-correction:{certificate_id}:{principal}:{idempotency_key}")


def certificate_template_id_for(principal: str, idempotency_key: str) -> UUID:
    """The template of certificates that this caller's `Idempotency-Key` stands for."""
    return uuid5(REGISTRAR_NAMESPACE, f"certificate-template:{principal}:{idempotency_key}")


def certificate_copy_id_for(certificate_id: UUID, principal: str, idempotency_key: str) -> UUID:
    """The copy of a certificate's mail that this caller's `Idempotency-Key` stands for."""
    return uuid5(REGISTRAR_NAMESPACE, f"certificate-copy:{certificate_id}:{principal}:{idempotency_key}")


def certificate_batch_id_for(principal: str, idempotency_key: str) -> UUID:
    """The run over many learners that this caller's `Idempotency-Key` stands for."""
    return uuid5(REGISTRAR_NAMESPACE, f"certificate-batch:{principal}:{idempotency_key}")


def certificate_batch_workflow_id(batch_id: UUID) -> str:
    """The workflow that certifies many learners."""
    return f"certificate-batch-{batch_id}"


def verification_address(public_url: str, code: str) -> str:
    """Where anybody can check the certificate with this code; what its QR code says."""
    return f"{public_url.rstrip('/')}/verify/{code}"


def export_id_for(principal: str, idempotency_key: str) -> UUID:
    """The export that this caller's `Idempotency-Key`, or a schedule's moment, stands for."""
    return uuid5(REGISTRAR_NAMESPACE, f"export:{principal}:{idempotency_key}")


def export_workflow_id(export_id: UUID) -> str:
    """The workflow that writes an export."""
    return f"export-{export_id}"


def check_run_id_for(workflow_id: str) -> UUID:
    """The one run of a check that this workflow is; a schedule's carries its moment in its id."""
    return uuid5(REGISTRAR_NAMESPACE, f"check:{workflow_id}")


def finding_id_for(kind: str, about: str) -> UUID:
    """The one finding of this kind about a thing, however often it is found."""
    return uuid5(REGISTRAR_NAMESPACE, f"finding:{kind}:{about}")


def finding_workflow_id(finding_id: UUID) -> str:
    """The workflow that asks a person about a finding."""
    return f"finding-{finding_id}"


def job_action_id_for(principal: str, idempotency_key: str) -> UUID:
    """The action on many jobs that this caller's `Idempotency-Key` stands for."""
    return uuid5(REGISTRAR_NAMESPACE, f"job-action:{principal}:{idempotency_key}")


def job_action_workflow_id(job_action_id: UUID) -> str:
    """The workflow that acts on many jobs."""
    return f"job-action-{job_action_id}"


def job_subject_id(workflow_id: str) -> UUID:
    """What a job is about, for the audit log and for tasks: the id that its own ends with, else one made of it."""
    try:
        return UUID(workflow_id[-36:])
    except ValueError:
        return uuid5(REGISTRAR_NAMESPACE, f"job:{workflow_id}")
