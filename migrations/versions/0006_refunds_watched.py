"""Refunds watched to their end, in parts, for many at once; disputes, certificates, who looks after tasks, notes

Revision ID: 0006
Revises: 0005
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_TASK_KINDS = (
    "amount_differs",
    "double_payment",
    "unknown_payment",
    "pay_back",
    "provisioning_failed",
    "refund_failed",
    "refund_review",
)
_NEW_TASK_KINDS = ("refund_delayed", "alternative_payout", "dispute")
_TEMPLATES = (
    "order_confirmation",
    "order_approved",
    "order_denied",
    "order_cancelled",
    "approval_requested",
    "payment_action_required",
    "payment_processing",
    "payment_declined",
    "invoice",
    "invoice_reminder",
    "refund",
    "document_copy",
    "refund_rejected",
)
_NEW_TEMPLATES = ("refund_action_required", "refund_returned", "refund_notice", "place_ended", "task_reminder")
_CAUSES = ("changed_mind", "not_as_expected", "tutor_no_show", "no_time", "illness", "other")
_NEW_CAUSES = ("goodwill", "tutor_banned", "tutor_suspended", "course_removed")
_LIVE = "status IN ('in_review', 'approved')"
_LIVE_NOW = "status = 'in_review' OR (status = 'approved' AND access = 'revoked')"


def upgrade() -> None:
    op.create_table(
        "notes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("subject_kind", sa.String(length=32), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("author", sa.String(length=80), nullable=False),
        sa.Column("text", sa.String(length=2000), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notes")),
    )
    op.create_index("ix_notes_subject", "notes", ["subject_kind", "subject_id", "created_at"], unique=False)
    op.create_table(
        "task_contacts",
        sa.Column("queue", sa.String(length=32), nullable=False),
        sa.Column("remind_id", sa.Uuid(), nullable=False),
        sa.Column("escalate_id", sa.Uuid(), nullable=True),
        sa.Column("escalate_again_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("queue IN ('finance', 'support')", name=op.f("ck_task_contacts_queue_known")),
        sa.ForeignKeyConstraint(["escalate_again_id"], ["people.id"], name=op.f("fk_task_contacts_escalate_again_id")),
        sa.ForeignKeyConstraint(["escalate_id"], ["people.id"], name=op.f("fk_task_contacts_escalate_id")),
        sa.ForeignKeyConstraint(["remind_id"], ["people.id"], name=op.f("fk_task_contacts_remind_id")),
        sa.PrimaryKeyConstraint("queue", name=op.f("pk_task_contacts")),
    )
    op.create_table(
        "cascades",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("tutor_id", sa.Uuid(), nullable=True),
        sa.Column("course_id", sa.Uuid(), nullable=True),
        sa.Column("share", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("requested_by", sa.String(length=80), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("workflow_id", sa.String(length=255), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(kind <> 'course_removed') = (tutor_id IS NOT NULL)", name=op.f("ck_cascades_ban_has_tutor")
        ),
        sa.CheckConstraint(
            "(kind = 'course_removed') = (course_id IS NOT NULL)", name=op.f("ck_cascades_removal_has_course")
        ),
        sa.CheckConstraint("(status = 'done') = (ended_at IS NOT NULL)", name=op.f("ck_cascades_done_has_time")),
        sa.CheckConstraint(
            "kind IN ('tutor_banned', 'tutor_suspended', 'course_removed')", name=op.f("ck_cascades_kind_known")
        ),
        sa.CheckConstraint("share IN ('full', 'pro_rata', 'amount')", name=op.f("ck_cascades_share_known")),
        sa.CheckConstraint("status IN ('running', 'paused', 'done')", name=op.f("ck_cascades_status_known")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("fk_cascades_course_id")),
        sa.ForeignKeyConstraint(["tutor_id"], ["people.id"], name=op.f("fk_cascades_tutor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cascades")),
    )
    op.create_index(op.f("ix_cascades_course_id"), "cascades", ["course_id"], unique=False)
    op.create_index(op.f("ix_cascades_tutor_id"), "cascades", ["tutor_id"], unique=False)
    op.create_table(
        "disputes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stripe_dispute_id", sa.String(length=255), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("payment_intent_id", sa.String(length=255), nullable=True),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("evidence_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('warning_needs_response', 'warning_under_review', 'warning_closed', 'needs_response', 'under_review', 'won', 'lost', 'prevented')",
            name=op.f("ck_disputes_status_known"),
        ),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_disputes_amount_not_negative")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_disputes_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disputes")),
        sa.UniqueConstraint("stripe_dispute_id", name=op.f("uq_disputes_stripe_dispute_id")),
    )
    op.create_index(op.f("ix_disputes_order_id"), "disputes", ["order_id"], unique=False)
    op.create_table(
        "cascade_places",
        sa.Column("cascade_id", sa.Uuid(), nullable=False),
        sa.Column("enrollment_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["cascade_id"], ["cascades.id"], name=op.f("fk_cascade_places_cascade_id")),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"], name=op.f("fk_cascade_places_enrollment_id")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_cascade_places_order_id")),
        sa.PrimaryKeyConstraint("cascade_id", "enrollment_id", name=op.f("pk_cascade_places")),
    )
    op.create_table(
        "certificates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("enrollment_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("status_reason", sa.String(length=200), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('issued', 'expired', 'superseded', 'revoked')", name=op.f("ck_certificates_status_known")
        ),
        sa.ForeignKeyConstraint(["enrollment_id"], ["enrollments.id"], name=op.f("fk_certificates_enrollment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificates")),
    )
    op.create_index(op.f("ix_certificates_enrollment_id"), "certificates", ["enrollment_id"], unique=False)
    op.create_index(
        "uq_certificates_enrollment_issued",
        "certificates",
        ["enrollment_id"],
        unique=True,
        postgresql_where=sa.text("status = 'issued'"),
    )
    op.add_column(
        "academies", sa.Column("refund_releases_coupon", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column(
        "academies", sa.Column("refund_revokes_certificate", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("human_tasks", sa.Column("queue", sa.String(length=32), server_default="finance", nullable=False))
    op.add_column("human_tasks", sa.Column("assignee", sa.String(length=80), nullable=True))
    op.add_column("human_tasks", sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("human_tasks", sa.Column("escalate_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("human_tasks", sa.Column("escalate_again_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("human_tasks", sa.Column("escalation", sa.Integer(), server_default="0", nullable=False))
    op.add_column("people", sa.Column("cart_mails_quiet_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column("refund_requests", sa.Column("share", sa.String(length=32), server_default="full", nullable=False))
    op.add_column(
        "refund_requests", sa.Column("access", sa.String(length=32), server_default="revoked", nullable=False)
    )
    op.add_column("refund_requests", sa.Column("cascade_id", sa.Uuid(), nullable=True))
    op.create_index(op.f("ix_refund_requests_cascade_id"), "refund_requests", ["cascade_id"], unique=False)
    op.create_foreign_key(op.f("fk_refund_requests_cascade_id"), "refund_requests", "cascades", ["cascade_id"], ["id"])
    op.add_column("refunds", sa.Column("request_id", sa.Uuid(), nullable=True))
    op.add_column("refunds", sa.Column("payment_intent_id", sa.String(length=255), nullable=True))
    op.add_column("refunds", sa.Column("failure_reason", sa.String(length=64), nullable=True))
    op.drop_constraint(op.f("uq_refunds_enrollment_id"), "refunds", type_="unique")
    op.create_index(op.f("ix_refunds_enrollment_id"), "refunds", ["enrollment_id"], unique=False)
    op.create_index(op.f("ix_refunds_payment_intent_id"), "refunds", ["payment_intent_id"], unique=False)
    op.create_unique_constraint(op.f("uq_refunds_request_id"), "refunds", ["request_id"])
    op.create_foreign_key(op.f("fk_refunds_request_id"), "refunds", "refund_requests", ["request_id"], ["id"])
    op.create_check_constraint(op.f("ck_human_tasks_queue_known"), "human_tasks", "queue IN ('finance', 'support')")
    op.create_check_constraint(op.f("ck_human_tasks_escalation_known"), "human_tasks", "escalation BETWEEN 0 AND 3")
    op.create_check_constraint(
        op.f("ck_refund_requests_share_known"), "refund_requests", "share IN ('full', 'pro_rata', 'amount')"
    )
    op.create_check_constraint(
        op.f("ck_refund_requests_access_known"), "refund_requests", "access IN ('kept', 'revoked')"
    )
    op.drop_constraint(op.f("ck_refund_requests_amount_positive"), "refund_requests", type_="check")
    op.create_check_constraint(op.f("ck_refund_requests_amount_not_negative"), "refund_requests", "amount >= 0")
    _index_live(_LIVE_NOW)
    _listed("human_tasks", "kind", (*_TASK_KINDS, *_NEW_TASK_KINDS))
    _listed("mails", "template", (*_TEMPLATES, *_NEW_TEMPLATES))
    _listed("refund_requests", "cause", (*_CAUSES, *_NEW_CAUSES))
    # What was written before says the same in the new columns.
    op.execute(
        "UPDATE refunds SET payment_intent_id = payments.payment_intent_id FROM payments"
        " WHERE payments.order_id = refunds.order_id"
    )
    op.execute(
        "UPDATE refunds SET request_id = refund_requests.id FROM refund_requests"
        " WHERE refund_requests.enrollment_id = refunds.enrollment_id AND refund_requests.status = 'approved'"
        " AND refunds.reason = 'requested'"
    )


def downgrade() -> None:
    op.execute("DELETE FROM human_tasks WHERE kind IN ('refund_delayed', 'alternative_payout', 'dispute')")
    op.execute(
        "DELETE FROM mails WHERE template IN"
        " ('refund_action_required', 'refund_returned', 'refund_notice', 'place_ended', 'task_reminder')"
    )
    op.execute(
        "UPDATE refund_requests SET cause = 'other' WHERE cause IN ('goodwill', 'tutor_banned', 'tutor_suspended', 'course_removed')"
    )
    _listed("human_tasks", "kind", _TASK_KINDS)
    _listed("mails", "template", _TEMPLATES)
    _listed("refund_requests", "cause", _CAUSES)
    _index_live(_LIVE)
    op.drop_constraint(op.f("ck_refund_requests_amount_not_negative"), "refund_requests", type_="check")
    op.create_check_constraint(op.f("ck_refund_requests_amount_positive"), "refund_requests", "amount > 0")
    op.drop_constraint(op.f("fk_refunds_request_id"), "refunds", type_="foreignkey")
    op.drop_constraint(op.f("uq_refunds_request_id"), "refunds", type_="unique")
    op.drop_index(op.f("ix_refunds_payment_intent_id"), table_name="refunds")
    op.drop_index(op.f("ix_refunds_enrollment_id"), table_name="refunds")
    op.create_unique_constraint(
        op.f("uq_refunds_enrollment_id"), "refunds", ["enrollment_id"], postgresql_nulls_not_distinct=False
    )
    op.drop_column("refunds", "failure_reason")
    op.drop_column("refunds", "payment_intent_id")
    op.drop_column("refunds", "request_id")
    op.drop_constraint(op.f("fk_refund_requests_cascade_id"), "refund_requests", type_="foreignkey")
    op.drop_index(op.f("ix_refund_requests_cascade_id"), table_name="refund_requests")
    op.drop_column("refund_requests", "cascade_id")
    op.drop_column("refund_requests", "access")
    op.drop_column("refund_requests", "share")
    op.drop_column("people", "cart_mails_quiet_until")
    op.drop_column("human_tasks", "escalation")
    op.drop_column("human_tasks", "escalate_again_at")
    op.drop_column("human_tasks", "escalate_at")
    op.drop_column("human_tasks", "remind_at")
    op.drop_column("human_tasks", "assignee")
    op.drop_column("human_tasks", "queue")
    op.drop_column("academies", "refund_revokes_certificate")
    op.drop_column("academies", "refund_releases_coupon")
    op.drop_index(
        "uq_certificates_enrollment_issued", table_name="certificates", postgresql_where=sa.text("status = 'issued'")
    )
    op.drop_index(op.f("ix_certificates_enrollment_id"), table_name="certificates")
    op.drop_table("certificates")
    op.drop_table("cascade_places")
    op.drop_index(op.f("ix_disputes_order_id"), table_name="disputes")
    op.drop_table("disputes")
    op.drop_index(op.f("ix_cascades_tutor_id"), table_name="cascades")
    op.drop_index(op.f("ix_cascades_course_id"), table_name="cascades")
    op.drop_table("cascades")
    op.drop_table("task_contacts")
    op.drop_index("ix_notes_subject", table_name="notes")
    op.drop_table("notes")


def _listed(table: str, column: str, words: Sequence[str]) -> None:
    """Let the column hold these words."""
    name = op.f(f"ck_{table}_{column}_known")
    listed = ", ".join(f"'{word}'" for word in words)
    op.drop_constraint(name, table, type_="check")
    op.create_check_constraint(name, table, f"{column} IN ({listed})")


def _index_live(condition: str) -> None:
    """One wish for an enrollment may be alive at a time; what alive means."""
    name = "uq_refund_requests_enrollment_live"
    op.drop_index(name, table_name="refund_requests")
    op.create_index(name, "refund_requests", ["enrollment_id"], unique=True, postgresql_where=sa.text(condition))
